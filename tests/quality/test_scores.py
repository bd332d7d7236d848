from __future__ import annotations

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.scores import Rating, en_score, rate, z_score, zeta_score


def test_scores_by_their_definitions():
    assert z_score(found=10.4, reference=10.0, standard_deviation=0.2) == pytest.approx(2.0)
    assert zeta_score(found=10.5, u_found=0.3, reference=10.0, u_reference=0.4) == pytest.approx(1.0)
    assert en_score(found=10.5, expanded_found=0.6, reference=10.0, expanded_reference=0.8) == pytest.approx(0.5)


GEARS = """
1.006 0.996 0.998 1.000 0.992 0.993 1.002 0.999 0.994 1.000 0.998 1.006 1.000 1.002 0.997 0.998 0.996 1.000 1.006 0.988
0.991 0.987 0.997 0.999 0.995 0.994 1.000 0.999 0.996 0.996 1.005 1.002 0.994 1.000 0.995 0.994 0.998 0.996 1.002 0.996
0.998 0.998 0.982 0.990 1.002 0.984 0.996 0.993 0.980 0.996 1.009 1.013 1.009 0.997 0.988 1.002 0.995 0.998 0.981 0.996
0.990 1.004 0.996 1.001 0.998 1.000 1.018 1.010 0.996 1.002 0.998 1.000 1.006 1.000 1.002 0.996 0.998 0.996 1.002 1.006
1.002 0.998 0.996 0.995 0.996 1.004 1.004 0.998 0.999 0.991 0.991 0.995 0.984 0.994 0.997 0.997 0.991 0.998 1.004 0.997
"""
"""Diameters of ten batches of ten gears (NIST, GEAR.DAT)."""


@pytest.mark.parametrize(("k", "published"), [(0, 0.393), (1, -0.262), (2, -0.131), (3, 0.0)])
def test_en_of_the_nist_dataplot_reference(k, published):
    # NIST Dataplot Reference Manual, vol. 2, ISO 13528 EN SCORE: reference value 1 with twice the standard deviation of
    # all diameters, each result with twice that of its batch; the first rows of the printed output.
    diameter = np.array(GEARS.split(), dtype=float)
    expanded, reference = 2.0 * diameter[:10].std(ddof=1), 2.0 * diameter.std(ddof=1)
    found = en_score(found=diameter[k], expanded_found=expanded, reference=1.0, expanded_reference=reference)
    assert found == pytest.approx(published, abs=0.0005)


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
