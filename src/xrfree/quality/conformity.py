"""Conformity with a specification, with uncertainty: probabilities, decision rules, risks, capability.

Source  JCGM 106:2012; ISO/IEC 17025:2017, 7.8.6; ISO 22514-2 (capability of processes).
Validation   tests/quality/test_conformity.py: examples of JCGM 106, and risks of D. Deaver (NCSL 1993).

Tolerance limits may be infinite; results are normal about the value found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from xrfree.errors import DomainError

_GRID = 4001
_REACH = 8.0
"""Of the integration over true values, in standard deviations."""


class Rule(StrEnum):
    """How uncertainty enters a decision.

    simple : the value found must lie inside the tolerance.
    guard band : inside the tolerance, narrowed so that the chosen risk of a false acceptance is not exceeded.
    conditional : as with guard bands, but what lies between is neither accepted nor rejected.
    """

    SIMPLE = "simple"
    GUARD_BAND = "guard band"
    CONDITIONAL = "conditional"


class Decision(StrEnum):
    """Outcome of a decision rule."""

    PASS = "pass"
    FAIL = "fail"
    CONDITIONAL_PASS = "conditional pass"
    CONDITIONAL_FAIL = "conditional fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Limits of what is permitted; -inf and inf where there is none."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        """Refuse an empty or unlimited tolerance."""
        if not self.low < self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise DomainError(f"a tolerance needs a limit, and low below high; got {self.low} to {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A decision with the acceptance limits it was made by and the probability that it is false for this item.

    conformance : probability that the true value lies inside the tolerance.
    false_decision : probability that an accepted item does not conform, or a rejected one does.
    """

    decision: Decision
    acceptance: Tolerance
    conformance: float
    false_decision: float


def conformance_probability(value: float, u: float, tolerance: Tolerance) -> float:
    """Probability that the true value conforms: Φ((T_U - y)/u) - Φ((T_L - y)/u)  JCGM 106, 7.2."""
    _check_uncertainty(u)
    return float(norm.cdf((tolerance.high - value) / u) - norm.cdf((tolerance.low - value) / u))


def guard_band(u: float, *, risk: float = 0.05) -> float:
    """Width by which an acceptance limit stays inside its tolerance limit: w = z(1 - risk) u  JCGM 106, 8.3."""
    _check_uncertainty(u)
    if not 0.0 < risk < 0.5:
        raise DomainError(f"risk of a guard band is {risk}, expected between 0 and 0.5")
    return float(norm.isf(risk)) * u


def judge(value: float, u: float, tolerance: Tolerance, *, rule: Rule, risk: float = 0.05) -> Judgement:
    """Decision about one item.

    risk : of accepting an item that does not conform, for guard bands; one-sided, at each limit.

    Raises DomainError where guard bands leave nothing of the tolerance: the measurement is not good enough for it.
    """
    width = 0.0 if rule is Rule.SIMPLE else guard_band(u, risk=risk)
    if tolerance.low + width >= tolerance.high - width:
        raise DomainError(
            f"guard bands of {width:.3g} on both sides leave nothing of the tolerance {tolerance.low:g} to "
            f"{tolerance.high:g}; measure with a smaller uncertainty, or agree on a larger risk"
        )
    acceptance = Tolerance(low=tolerance.low + width, high=tolerance.high - width)
    conformance = conformance_probability(value, u, tolerance)
    decision = _decision(value, width, tolerance, acceptance, rule)
    accepted = decision in (Decision.PASS, Decision.CONDITIONAL_PASS)
    return Judgement(
        decision=decision,
        acceptance=acceptance,
        conformance=conformance,
        false_decision=1.0 - conformance if accepted else conformance,
    )


def _decision(value: float, width: float, tolerance: Tolerance, acceptance: Tolerance, rule: Rule) -> Decision:
    if acceptance.low <= value <= acceptance.high:
        return Decision.PASS
    if rule is not Rule.CONDITIONAL or not tolerance.low - width <= value <= tolerance.high + width:
        return Decision.FAIL
    inside = tolerance.low <= value <= tolerance.high
    return Decision.CONDITIONAL_PASS if inside else Decision.CONDITIONAL_FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """Of a whole production: share of items that are falsely accepted, and falsely rejected."""

    false_accept: float
    false_reject: float


def global_risks(
    *, process_mean: float, process_sd: float, u: float, tolerance: Tolerance, acceptance: Tolerance
) -> Risks:
    """Risks when items of a normal process are measured with uncertainty u and accepted inside `acceptance`.

    R_C = ∫ outside T  g0(η) P(accept | η) dη,   R_P = ∫ inside T  g0(η) (1 - P(accept | η)) dη  JCGM 106, 9.5.2
    """
    _check_uncertainty(u)
    _check_uncertainty(process_sd)
    risks = [
        _integral(low, high, process_mean, process_sd, u, acceptance, accepted=accepted)
        for low, high, accepted in (
            (-math.inf, tolerance.low, True),
            (tolerance.high, math.inf, True),
            (tolerance.low, tolerance.high, False),
        )
    ]
    return Risks(false_accept=risks[0] + risks[1], false_reject=risks[2])


def _integral(
    low: float, high: float, mean: float, sd: float, u: float, acceptance: Tolerance, *, accepted: bool
) -> float:
    """Share of items with true values between low and high that are (not) accepted."""
    start, end = max(low, mean - _REACH * sd), min(high, mean + _REACH * sd)
    if start >= end:
        return 0.0
    eta = np.linspace(start, end, _GRID)
    chance = norm.cdf((acceptance.high - eta) / u) - norm.cdf((acceptance.low - eta) / u)
    wanted = chance if accepted else 1.0 - chance
    return float(np.trapezoid(norm.pdf(eta, mean, sd) * wanted, eta))


def guard_band_for_global_risk(
    *, process_mean: float, process_sd: float, u: float, tolerance: Tolerance, false_accept: float
) -> float:
    """Guard band (0 or more, the same on both sides) for a chosen share of falsely accepted items.

    Raises DomainError where even the narrowest acceptance interval does not reach it.
    """

    def excess(width: float) -> float:
        acceptance = Tolerance(low=tolerance.low + width, high=tolerance.high - width)
        found = global_risks(
            process_mean=process_mean, process_sd=process_sd, u=u, tolerance=tolerance, acceptance=acceptance
        )
        return found.false_accept - false_accept

    if excess(0.0) <= 0.0:
        return 0.0
    half = 0.5 * (tolerance.high - tolerance.low)
    widest = 6.0 * u if math.isinf(half) else min(6.0 * u, half * (1.0 - 1e-9))
    if excess(widest) > 0.0:
        raise DomainError(f"no guard band brings the share of falsely accepted items down to {false_accept:g}")
    return float(brentq(excess, 0.0, widest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Of a process over lots: C_p = (T_U - T_L)/(6 s), C_pk = nearest limit's distance/(3 s); nan for C_p of one limit.

    nonconforming : expected share of lots outside the tolerance. measurement : C_m = (T_U - T_L)/(4 u), nan likewise.
    corrected_sd : s without the measurement's own share, sqrt(s² - u²), 0 where u explains all scatter.
    """

    mean: float
    standard_deviation: float
    corrected_sd: float
    n: int
    cp: float
    cpk: float
    measurement: float
    nonconforming: float


def capability(values: ArrayLike, u: float, tolerance: Tolerance) -> Capability:
    """Capability of a process from the results of its lots; the indices take the observed standard deviation.

    values : one per lot, shape (n,), n >= 2; u : standard uncertainty of one result.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise DomainError(f"capability needs finite results of two or more lots, got shape {x.shape}")
    mean, s = float(x.mean()), float(x.std(ddof=1))
    _check_uncertainty(s)
    two_sided = math.isfinite(tolerance.low) and math.isfinite(tolerance.high)
    width = tolerance.high - tolerance.low
    return Capability(
        mean=mean,
        standard_deviation=s,
        corrected_sd=math.sqrt(max(s * s - u * u, 0.0)),
        n=x.size,
        cp=width / (6.0 * s) if two_sided else math.nan,
        cpk=min(tolerance.high - mean, mean - tolerance.low) / (3.0 * s),
        measurement=width / (4.0 * u) if two_sided and u > 0.0 else math.nan,
        nonconforming=1.0 - conformance_probability(mean, s, tolerance),
    )


def _check_uncertainty(u: float) -> None:
    if not (math.isfinite(u) and u > 0.0):
        raise DomainError(f"standard uncertainty is {u}, expected a number above 0")
