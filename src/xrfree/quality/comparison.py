"""Two methods on the same samples, linearity, and interference tests.

Sources      J. M. Bland, D. G. Altman, Lancet i (1986) 307; W. E. Deming, Statistical Adjustment of Data (1943);
             K. Linnet, Clin. Chem. 39 (1993) 424 (jackknife).
Validation   tests/quality/test_comparison.py: data of Bland and Altman, of Pearson (1901).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm
from scipy.stats import t as t_distribution

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Differences of two methods: mean, standard deviation, limits of agreement (mean ± 1.96 s), and t of the mean."""

    n: int
    bias: float
    standard_deviation: float

    @property
    def limits(self) -> tuple[float, float]:
        """Between what 95 % of differences lie."""
        half = float(norm.ppf(0.975)) * self.standard_deviation
        return self.bias - half, self.bias + half

    @property
    def bias_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the mean difference."""
        half = float(t_distribution.ppf(0.975, self.n - 1)) * self.standard_deviation / math.sqrt(self.n)
        return self.bias - half, self.bias + half


def bland_altman(first: ArrayLike, second: ArrayLike) -> Agreement:
    """Differences first - second of paired results (3 or more)."""
    x, y = _pairs(first, second, least=3)
    difference = x - y
    return Agreement(n=x.size, bias=float(difference.mean()), standard_deviation=float(difference.std(ddof=1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """y = intercept + slope x, with standard uncertainties."""

    slope: float
    intercept: float
    u_slope: float
    u_intercept: float
    n: int

    def identity_probability(self) -> tuple[float, float]:
        """Probabilities of a slope, and of an intercept, this far from 1 and 0 if the methods agree."""
        t = np.array([(self.slope - 1.0) / self.u_slope, self.intercept / self.u_intercept])
        p = 2.0 * t_distribution.sf(np.abs(t), self.n - 2)
        return float(p[0]), float(p[1])


def deming(x: ArrayLike, y: ArrayLike, *, variance_ratio: float = 1.0) -> Line:
    """Line through results with errors in both.

    b = (S_yy - δ S_xx + sqrt((S_yy - δ S_xx)² + 4 δ S_xy²)) / (2 S_xy),  δ = var(errors of y) / var(errors of x)

    Uncertainties by jackknife. Raises DomainError for fewer than 4 pairs, and for pairs without any correlation.
    """
    if not variance_ratio > 0.0:
        raise DomainError(f"variance ratio is {variance_ratio}, expected above 0")
    a, b = _pairs(x, y, least=4)
    slope, intercept = _deming(a, b, variance_ratio)
    left_out = np.array([_deming(np.delete(a, i), np.delete(b, i), variance_ratio) for i in range(a.size)])
    pseudo = a.size * np.array([slope, intercept]) - (a.size - 1) * left_out
    u = pseudo.std(axis=0, ddof=1) / math.sqrt(a.size)
    return Line(slope=slope, intercept=intercept, u_slope=float(u[0]), u_intercept=float(u[1]), n=a.size)


def _deming(x: FloatArray, y: FloatArray, ratio: float) -> tuple[float, float]:
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy, sxy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if sxx == 0.0 or sxy == 0.0:
        raise DomainError("results of the two methods are not correlated at all: no line can be drawn")
    lean = syy - ratio * sxx
    slope = (lean + math.sqrt(lean**2 + 4.0 * ratio * sxy**2)) / (2.0 * sxy)
    return slope, float(y.mean() - slope * x.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Linearity:
    """Found against reference contents, weighted: a line, a test of curvature, and the range it holds for.

    curvature_probability : of a quadratic term this large if the relation is a line.
    """

    line: Line
    curvature_probability: float
    low: float
    high: float


def linearity(reference: ArrayLike, found: ArrayLike, u: ArrayLike) -> Linearity:
    """Weighted line through found against reference; u : standard uncertainties of their difference, all above 0.

    The quadratic term is tested by the fall of χ² that it brings (one degree of freedom).
    Raises DomainError for fewer than 5 pairs or fewer than 3 different contents.
    """
    x, y = _pairs(reference, found, least=5)
    sigma = np.asarray(u, dtype=np.float64)
    if sigma.shape != x.shape or not np.all(np.isfinite(sigma)) or np.any(sigma <= 0.0):
        raise DomainError("linearity needs a standard uncertainty above 0 for each pair")
    if np.unique(x).size < 3:
        raise DomainError("linearity needs at least three different contents")
    scale = float(np.max(np.abs(x)))
    terms = np.stack([np.ones_like(x), x / scale, (x / scale) ** 2], axis=1) / sigma[:, None]
    straight, chi_straight = _solved(terms[:, :2], y / sigma)
    _, chi_curved = _solved(terms, y / sigma)
    covariance = np.linalg.inv(terms[:, :2].T @ terms[:, :2])
    line = Line(
        slope=float(straight[1] / scale),
        intercept=float(straight[0]),
        u_slope=float(np.sqrt(covariance[1, 1]) / scale),
        u_intercept=float(np.sqrt(covariance[0, 0])),
        n=x.size,
    )
    probability = float(chi2.sf(max(chi_straight - chi_curved, 0.0), 1))
    return Linearity(line=line, curvature_probability=probability, low=float(x.min()), high=float(x.max()))


def _solved(terms: FloatArray, target: FloatArray) -> tuple[FloatArray, float]:
    solution = np.asarray(np.linalg.lstsq(terms, target, rcond=None)[0], dtype=np.float64)
    return solution, float(np.sum((target - terms @ solution) ** 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """Effect of an interferent on an analyte that is absent (or the same) in both specimens.

    effect : change of the analyte's result; per_content : the same per content of the interferent.
    exceeding : share of replicas above the decision limit; allowed : what chance allows at the stated confidence.
    """

    effect: float
    u_effect: float
    per_content: float
    n: int
    exceeding: int
    most_exceeding: int

    @property
    def passed(self) -> bool:
        """Whether no more replicas exceed their decision limit than chance explains."""
        return self.exceeding <= self.most_exceeding


def interference(
    found: ArrayLike,
    decision_limits: ArrayLike,
    *,
    without: float = 0.0,
    interferent_content: float,
    share_below: float = 0.95,
) -> Interference:
    """Replicas with an interferent and without the analyte.

    found, decision_limits : shape (n,), of the analyte in each replica; without : its true content.
    share_below : of replicas that must stay at or below their decision limit.

    Raises DomainError for fewer than two replicas or an interferent content of 0.
    """
    x, limits = _pairs(found, decision_limits, least=2)
    if not interferent_content > 0.0:
        raise DomainError(f"content of the interferent is {interferent_content}, expected above 0")
    effect = float(x.mean()) - without
    return Interference(
        effect=effect,
        u_effect=float(x.std(ddof=1)) / math.sqrt(x.size),
        per_content=effect / interferent_content,
        n=x.size,
        exceeding=int(np.sum(x - without > limits)),
        most_exceeding=math.floor((1.0 - share_below) * x.size + 1e-9),
    )


def _pairs(first: ArrayLike, second: ArrayLike, *, least: int) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < least or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DomainError(f"needs {least} or more pairs of finite numbers, got shapes {x.shape} and {y.shape}")
    return x, y
