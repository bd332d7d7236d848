"""Acceptance of duplicate results as the iron-ore standards ask for it, and rounding half to even.

The coefficients of r(X) and R(X) are parameters of a method, never constants of this file.

Sources      ISO iron-ore standards (flow of four results; check with a reference material), ISO 5725-6,
             DZ/T 0130.3-2006 (allowed relative deviation), ISO 80000-1 B.3 (rounding).
Validation   tests/quality/test_duplicates.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median

from xrfree.errors import DomainError

THREE_RESULTS, FOUR_RESULTS = 1.2, 1.3
"""Allowed ranges of three and of four results, in r; ISO 5725-6 has 3.3/2.77 and 3.6/2.77 for them."""


_ROUNDING = 1e-9
"""By how much a difference of decimal numbers may exceed a limit that it equals (11.3 - 10 is not 1.3 in binary)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPrecision:
    """A precision figure that rises with the content X: slope X + intercept, all in one unit."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        """Refuse a figure that is nowhere positive."""
        if self.intercept < 0.0 or self.slope < 0.0 or self.slope + self.intercept == 0.0:
            raise DomainError(
                f"precision is {self.slope} X + {self.intercept}: slope and intercept must not be below 0, nor both 0"
            )

    def at(self, content: float) -> float:
        """The figure at a content."""
        return self.slope * max(content, 0.0) + self.intercept


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What became of duplicate results.

    value : final result, None where more results are needed; used : results it was made from.
    path : the steps taken, as sentences; needs : how many results are missing.
    """

    value: float | None
    used: tuple[float, ...]
    path: tuple[str, ...]
    needs: int = 0


def accept(results: Sequence[float], repeatability: LinearPrecision) -> Acceptance:
    """Final result of two to four results of one sample.

    |X1 - X2| <= r: mean of two. Else a third: range <= 1.2 r: mean of three. Else a fourth: range <= 1.3 r: mean of
    four. Else the median of four. r is taken at the mean of the results looked at.

    results : in the order they were obtained; later ones than needed are ignored and the path says so.

    Raises DomainError for fewer than two results or more than four.
    """
    if not 2 <= len(results) <= 4 or not all(math.isfinite(x) for x in results):
        raise DomainError(f"acceptance needs two to four finite results, got {len(results)}")
    path: list[str] = []
    for n, factor in ((2, 1.0), (3, THREE_RESULTS), (4, FOUR_RESULTS)):
        if len(results) < n:
            path.append(f"measure a {'third' if n == 3 else 'fourth'} time")
            return Acceptance(value=None, used=(), path=tuple(path), needs=1)
        taken = tuple(results[:n])
        mean = sum(taken) / n
        spread, allowed = max(taken) - min(taken), factor * repeatability.at(mean)
        inside = spread <= allowed * (1.0 + _ROUNDING)
        path.append(f"range of {n} results {spread:.4g} {'<=' if inside else '>'} {factor:g} r = {allowed:.4g}")
        if inside:
            path.append(f"mean of {n}" + ("" if n == len(results) else f"; {len(results) - n} later results not used"))
            return Acceptance(value=mean, used=taken, path=tuple(path))
    return Acceptance(value=median(results), used=tuple(results), path=(*path, "median of 4"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CTest:
    """Check of a reference material: deviation, what is allowed, and whether it passed."""

    deviation: float
    critical: float

    @property
    def passed(self) -> bool:
        """|Ac - A| <= C."""
        return abs(self.deviation) <= self.critical


def c_test(
    *, found: float, reference: float, sigma_laboratories: float, sigma_repeat: float, n: int, variance_reference: float
) -> CTest:
    """C = 2 sqrt(σ_L² + σ_r²/n + V(Ac)), compared with found - reference.

    sigma_laboratories, sigma_repeat : σ_L and σ_r at this content; n : results the found value is the mean of;
    variance_reference : V(Ac) of the reference value.
    """
    if n < 1 or min(sigma_laboratories, sigma_repeat, variance_reference) < 0.0:
        raise DomainError("the C test needs standard deviations and a variance of 0 or more, and n of 1 or more")
    critical = 2.0 * math.sqrt(sigma_laboratories**2 + sigma_repeat**2 / n + variance_reference)
    return CTest(deviation=found - reference, critical=critical)


def between_laboratories(first: float, second: float, reproducibility: LinearPrecision) -> bool:
    """Whether single results of two laboratories agree: |y1 - y2| <= R at their mean  ISO 5725-6, 5.3."""
    return abs(first - second) <= reproducibility.at(0.5 * (first + second))


def critical_difference(*, repeatability: float, reproducibility: float, n_first: int, n_second: int) -> float:
    """Of the means of two laboratories: CD = sqrt(R² - r² (1 - 1/(2 n1) - 1/(2 n2)))  ISO 5725-6, 5.3.2.

    repeatability, reproducibility : limits r and R at this content.
    """
    square = reproducibility**2 - repeatability**2 * (1.0 - 0.5 / n_first - 0.5 / n_second)
    if square < 0.0 or min(n_first, n_second) < 1:
        raise DomainError(
            "the reproducibility limit must not be below the repeatability limit, and n must be 1 or more"
        )
    return math.sqrt(square)


def allowed_relative_deviation(content: float, *, grade: float = 1.0) -> float:
    """DZ/T 0130.3-2006: Y_C = C (14.37 X^-0.1263 - 7.659), X and Y_C in %; here as shares of 1.

    content : kg/kg, above 0; grade : C, 1 unless the standard says otherwise for the element.

    Raises DomainError for a content of 0 or less and where the curve ends (above 100 %).
    """
    if not 0.0 < content <= 1.0:
        raise DomainError(f"content is {content}, expected kg/kg above 0 to 1")
    return float(grade * (14.37 * (100.0 * content) ** -0.1263 - 7.659) / 100.0)


def relative_deviation(first: float, second: float) -> float:
    """Of each duplicate from their mean: |x1 - x2| / (x1 + x2); DomainError unless the mean is above 0."""
    if first + second <= 0.0:
        raise DomainError(f"duplicates {first} and {second} have no mean above 0 to compare with")
    return abs(first - second) / (first + second)


def half_even(value: float, decimals: int) -> Decimal:
    """Value rounded to decimals, a half to the even neighbour; as it is printed, so that 0.125 is half-way."""
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
