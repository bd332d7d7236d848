"""Precision from repeated results: one-way analysis of variance, repeatability, intermediate precision.

Sources  ISO 5725-2:2019 and -3:2023; R. A. Fisher.
Validation   tests/quality/test_precision.py: certified values of the NIST Statistical Reference Datasets; GUM H.5;
             sulfur in coal, ISO 5725-2:1994, B.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]

LIMIT_FACTOR = 2.8
"""Repeatability limit over standard deviation, 1.96 sqrt(2) rounded as ISO 5725-6, 4.1.4 does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anova:
    """One-way analysis of variance: sums of squares, degrees of freedom, F and its probability."""

    mean: float
    between_ss: float
    between_df: int
    within_ss: float
    within_df: int
    mean_group_size: float

    @property
    def between_ms(self) -> float:
        """Mean square between groups."""
        return self.between_ss / self.between_df

    @property
    def within_ms(self) -> float:
        """Mean square within groups."""
        return self.within_ss / self.within_df

    @property
    def f(self) -> float:
        """Ratio of the mean squares; infinite where nothing varies within groups."""
        return self.between_ms / self.within_ms if self.within_ms > 0.0 else math.inf

    @property
    def probability(self) -> float:
        """Of an F as large or larger if the groups do not differ."""
        return float(f_distribution.sf(self.f, self.between_df, self.within_df))

    @property
    def residual_sd(self) -> float:
        """Standard deviation within groups."""
        return math.sqrt(self.within_ms)


def anova(groups: Sequence[Sequence[float]]) -> Anova:
    """Between and within groups of results; values are centred first, so that many leading digits do no harm.

    Raises DomainError for fewer than two groups, an empty group, or no group with two results.
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    sizes = np.array([a.size for a in arrays])
    if sizes.size < 2 or sizes.min() < 1 or sizes.sum() <= sizes.size:
        raise DomainError(
            f"an analysis of variance needs two or more groups, one with two results; got sizes {sizes.tolist()}"
        )
    everything = np.concatenate(arrays)
    if not np.isfinite(everything).all():
        raise DomainError("an analysis of variance needs finite results")
    shift = float(everything[0])
    centred = [a - shift for a in arrays]
    grand = float(np.concatenate(centred).sum() / sizes.sum())
    means = np.array([_exact_mean(a) for a in centred])
    total = int(sizes.sum())
    return Anova(
        mean=shift + grand,
        between_ss=math.fsum((sizes * (means - grand) ** 2).tolist()),
        between_df=sizes.size - 1,
        within_ss=math.fsum(math.fsum(((a - m) ** 2).tolist()) for a, m in zip(centred, means, strict=True)),
        within_df=total - sizes.size,
        mean_group_size=float((total - (sizes**2).sum() / total) / (sizes.size - 1)),
    )


def _exact_mean(values: FloatArray) -> float:
    return math.fsum(values.tolist()) / values.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Standard deviations of one material, in the unit of its results.

    repeatability : s_r; between_groups : s_L (days, operators, laboratories); intermediate : sqrt(s_r² + s_L²), the s_R
    of groups that are laboratories.
    """

    mean: float
    repeatability: float
    between_groups: float
    n_groups: int
    n_results: int

    @property
    def intermediate(self) -> float:
        """Standard deviation between single results of different groups."""
        return math.hypot(self.repeatability, self.between_groups)

    @property
    def repeatability_limit(self) -> float:
        """R = 2.8 s_r: two results of one series differ by more only once in twenty."""
        return LIMIT_FACTOR * self.repeatability

    @property
    def intermediate_limit(self) -> float:
        """The same for results of two groups."""
        return LIMIT_FACTOR * self.intermediate


def precision(groups: Sequence[Sequence[float]]) -> Precision:
    """s_r² = MS_within,  s_L² = (MS_between - MS_within)/n₀, 0 where that is negative  ISO 5725-2, 7.4.5."""
    found = anova(groups)
    variance = max(found.between_ms - found.within_ms, 0.0) / found.mean_group_size
    return Precision(
        mean=found.mean,
        repeatability=found.residual_sd,
        between_groups=math.sqrt(variance),
        n_groups=found.between_df + 1,
        n_results=found.between_df + found.within_df + 1,
    )


def upper_bound(standard_deviation: float, degrees_of_freedom: int, *, confidence: float = 0.95) -> float:
    """What the true standard deviation does not exceed with the stated confidence: s sqrt(ν/χ²(1-p, ν))."""
    if degrees_of_freedom < 1 or not 0.0 < confidence < 1.0:
        raise DomainError("a bound needs a degree of freedom and a confidence between 0 and 1")
    return standard_deviation * math.sqrt(degrees_of_freedom / float(chi2.isf(confidence, degrees_of_freedom)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterTest:
    """Stated uncertainty against observed scatter: χ² = Σ ((x - mean)/u)² with its degrees of freedom."""

    chi_square: float
    degrees_of_freedom: int

    @property
    def ratio(self) -> float:
        """Observed scatter over stated uncertainty; 1 where the statement is true."""
        return math.sqrt(self.chi_square / self.degrees_of_freedom)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Between what the ratio lies with the stated confidence if the statement is true."""
        tails = chi2.ppf([0.5 - confidence / 2.0, 0.5 + confidence / 2.0], self.degrees_of_freedom)
        low, high = np.sqrt(tails / self.degrees_of_freedom)
        return float(low), float(high)


def scatter_test(groups: Sequence[Sequence[tuple[float, float]]]) -> ScatterTest:
    """Stated standard uncertainties of repeated results against their scatter about the weighted mean of each group.

    groups : per specimen, pairs of result and standard uncertainty (of what varies between repetitions).

    Raises DomainError where no group has two results, or an uncertainty is not above 0.
    """
    square, degrees = 0.0, 0
    for group in groups:
        x, u = (np.array(column, dtype=np.float64) for column in zip(*group, strict=True))
        if np.any(u <= 0.0):
            raise DomainError("stated uncertainties must be above 0")
        mean = np.average(x, weights=u**-2)
        square += float(np.sum(((x - mean) / u) ** 2))
        degrees += x.size - 1
    if degrees < 1:
        raise DomainError("observed scatter needs at least one specimen with two results")
    return ScatterTest(chi_square=square, degrees_of_freedom=degrees)
