"""Scores that compare a result with a reference: z, zeta, En.

Source       ISO 13528:2022, 9.4, 9.6, 9.7; ISO/IEC 17043:2010, B.3.
Validation   tests/quality/test_scores.py: En of the NIST Dataplot Reference Manual.
"""

from __future__ import annotations

import math
from enum import StrEnum

from xrfree.errors import DomainError


class Rating(StrEnum):
    """What a z or zeta score means: |z| <= 2, between 2 and 3, from 3 on."""

    SATISFACTORY = "satisfactory"
    QUESTIONABLE = "questionable"
    UNSATISFACTORY = "unsatisfactory"


def z_score(*, found: float, reference: float, standard_deviation: float) -> float:
    """Z = (x - X) / σ, σ the standard deviation that is fit for the purpose."""
    _check_positive(standard_deviation, "standard deviation")
    return (found - reference) / standard_deviation


def zeta_score(*, found: float, u_found: float, reference: float, u_reference: float) -> float:
    """ζ = (x - X) / sqrt(u_x² + u_X²), standard uncertainties."""
    u = math.hypot(u_found, u_reference)
    _check_positive(u, "combined standard uncertainty")
    return (found - reference) / u


def en_score(*, found: float, expanded_found: float, reference: float, expanded_reference: float) -> float:
    """En = (x - X) / sqrt(U_x² + U_X²), expanded uncertainties of one coverage factor; |En| <= 1 is agreement."""
    expanded = math.hypot(expanded_found, expanded_reference)
    _check_positive(expanded, "combined expanded uncertainty")
    return (found - reference) / expanded


def rate(z: float) -> Rating:
    """Rating of a z or zeta score; DomainError for a score that is no number."""
    if not math.isfinite(z):
        raise DomainError(f"score is {z}, expected a finite number")
    if abs(z) <= 2.0:
        return Rating.SATISFACTORY
    return Rating.QUESTIONABLE if abs(z) < 3.0 else Rating.UNSATISFACTORY


def _check_positive(value: float, what: str) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise DomainError(f"{what} is {value}, expected a number above 0")
