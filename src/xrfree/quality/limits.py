"""Decision, detection and quantification limits from the uncertainty as a function of the true content.

Definitions   decision limit and detection limit after L. A. Currie, Anal. Chem. 40 (1968) 586 and ISO 11929;
              quantification limit as the content whose relative standard uncertainty reaches a target.
Validation    tests/quality/test_limits.py: Currie's working formulas for counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from xrfree.errors import DomainError

DEFINITION = "Currie 1968 / ISO 11929, uncertainty from the covariance at the content in question"
"""Name of the definition, for reports."""
QUANTIFIED = 0.1
"""Relative standard uncertainty that the quantification limit asks for, unless said otherwise (Currie's choice)."""
_MOST_DOUBLINGS = 60

FloatArray = NDArray[np.float64]

Uncertainty = Callable[[float], float]
"""Standard uncertainty of a result, given the true content; same unit."""


def decision_limit(uncertainty: Uncertainty, *, false_positive_risk: float = 0.05) -> float:
    """Content that a specimen without the analyte exceeds with the stated risk.

    y* = k(1-α) u(0)

    uncertainty : u(y), y the true content. false_positive_risk : α, 0 to 0.5.

    Raises DomainError for a risk outside 0 to 0.5, and for an uncertainty that is not above 0.
    """
    return _quantile(false_positive_risk) * _checked(uncertainty, 0.0)


def detection_limit(
    uncertainty: Uncertainty, *, false_positive_risk: float = 0.05, false_negative_risk: float = 0.05
) -> float:
    """Smallest true content that is found above the decision limit except for the stated risk.

    y# = y* + k(1-β) u(y#)                                                                       ISO 11929-1, 8.3

    false_positive_risk, false_negative_risk : α of the decision limit y*, and β, 0 to 1.

    Raises DomainError where the uncertainty grows so fast with the content that there is no such content.
    """
    decision = decision_limit(uncertainty, false_positive_risk=false_positive_risk)
    k = _quantile(false_negative_risk)
    return _root(lambda y: y - decision - k * _checked(uncertainty, y), decision, "is never detected reliably")


def quantification_limit(uncertainty: Uncertainty, *, relative_uncertainty: float = QUANTIFIED) -> float:
    """Smallest true content whose relative standard uncertainty is the stated one.

    y_Q = u(y_Q) / k_Q                                                          L. A. Currie 1968, k_Q = 0.1

    relative_uncertainty : k_Q, above 0.

    Raises DomainError where the relative uncertainty never becomes as small.
    """
    if not relative_uncertainty > 0.0:
        raise DomainError(f"relative uncertainty of a quantification limit is {relative_uncertainty}, expected above 0")
    start = _checked(uncertainty, 0.0) / relative_uncertainty
    return _root(
        lambda y: relative_uncertainty * y - _checked(uncertainty, y),
        0.5 * start,
        f"never has a relative uncertainty of {relative_uncertainty:g}",
    )


def quantification_limits(
    variance_at_zero: FloatArray, slope: FloatArray, relative: FloatArray, *, relative_uncertainty: float = QUANTIFIED
) -> FloatArray:
    """Quantification limits for uncertainties as of `counting_uncertainty`, of any shape.

    (k_Q y)² = u(0)² + s y + (r y)²;  infinite where r is not below k_Q: no content is known as well

    variance_at_zero : u(0)²; slope : s; relative : r; relative_uncertainty : k_Q, above 0.
    """
    rest = relative_uncertainty**2 - np.square(relative)
    root = slope + np.sqrt(np.square(slope) + 4.0 * np.maximum(rest, 0.0) * variance_at_zero)
    return np.asarray(np.divide(root, 2.0 * rest, where=rest > 0.0, out=np.full(np.shape(root), np.inf)))


def counting_uncertainty(variance_at_zero: float, slope: float, relative: float = 0.0) -> Uncertainty:
    """Uncertainty of a counted content: u² = u(0)² + s y + (r y)².

    variance_at_zero : u(0)²; slope : s, variance per content that Poisson counts of the line itself add;
    relative : r, what is proportional to the content (calibration, preparation).
    """

    def uncertainty(content: float) -> float:
        y = max(content, 0.0)
        return float((variance_at_zero + slope * y + (relative * y) ** 2) ** 0.5)

    return uncertainty


def _quantile(risk: float) -> float:
    if not 0.0 < risk < 0.5:
        raise DomainError(f"risk is {risk}, expected a number between 0 and 0.5")
    return float(-ndtri(risk))


def _checked(uncertainty: Uncertainty, content: float) -> float:
    u = uncertainty(content)
    if not 0.0 < u < float("inf"):
        raise DomainError(f"standard uncertainty at content {content:g} is {u}, expected a number above 0")
    return u


def _root(function: Callable[[float], float], start: float, complaint: str) -> float:
    """First sign change from below at or beyond `start`, which lies at or below it."""
    from scipy.optimize import brentq  # takes memory and time that workers of a batch need not spend

    upper = start
    for _ in range(_MOST_DOUBLINGS):
        if function(upper) >= 0.0:
            return float(brentq(function, 0.0, upper, xtol=1e-15 * upper, rtol=1e-12)) if upper > 0.0 else 0.0
        upper *= 2.0
    raise DomainError(f"this analyte {complaint}: its uncertainty grows as fast as its content")
