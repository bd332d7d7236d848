from __future__ import annotations

import pytest

from xrfree.errors import DomainError
from xrfree.quality.scores import Rating, en_score, rate, z_score, zeta_score


def test_scores_by_their_definitions():
    assert z_score(found=10.4, reference=10.0, standard_deviation=0.2) == pytest.approx(2.0)
    assert zeta_score(found=10.5, u_found=0.3, reference=10.0, u_reference=0.4) == pytest.approx(1.0)
    assert en_score(found=10.5, expanded_found=0.6, reference=10.0, expanded_reference=0.8) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("z", "rating"),
    [
        (0.0, Rating.SATISFACTORY),
        (-2.0, Rating.SATISFACTORY),
        (2.01, Rating.QUESTIONABLE),
        (-3.0, Rating.UNSATISFACTORY),
    ],
)
def test_ratings_at_their_borders(z, rating):
    assert rate(z) is rating


def test_no_uncertainty_is_refused():
    with pytest.raises(DomainError, match="above 0"):
        en_score(found=1.0, expanded_found=0.0, reference=1.0, expanded_reference=0.0)
    with pytest.raises(DomainError, match="finite"):
        rate(float("nan"))
