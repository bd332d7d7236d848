"""Control charts: Shewhart with Westgard's rules, EWMA, CUSUM, ranges of duplicates.

Sources      J. O. Westgard et al., Clin. Chem. 27 (1981) 493 (rules); ISO 7870-2, -4, -6;
             NIST/SEMATECH e-Handbook of Statistical Methods 6.3.2.
Validation   tests/quality/test_charts.py: worked examples of the e-Handbook.

A chart is plain data: values in, alarms out, each with its rule and its points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]

RANGE_MEAN = 1.1283791670955126
"""d2: mean range of two normal values in standard deviations, 2/sqrt(pi)."""
RANGE_SPREAD = 0.8525024664316
"""d3: standard deviation of that range, sqrt(2 - 4/pi)."""
FEWEST_HISTORY = 10
"""Values of a process in control that limits may be taken from."""
MEANINGS = {
    "1-2s": "one point beyond 2 s",
    "1-3s": "one point beyond 3 s",
    "2-2s": "two points in a row beyond 2 s on one side",
    "R-4s": "one point beyond +2 s and the next beyond -2 s, or the reverse",
    "4-1s": "four points in a row beyond 1 s on one side",
    "10x": "ten points in a row on one side of the centre",
    "EWMA": "the weighted moving average left its limits",
    "CUSUM+": "the sum of upward deviations passed its limit",
    "CUSUM-": "the sum of downward deviations passed its limit",
    "range": "the range of duplicates passed its upper limit",
}
"""What each rule says, for people."""


class Severity(StrEnum):
    """What an alarm asks for."""

    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A broken rule and the points that broke it (positions in the series, the last one is the present)."""

    rule: str
    severity: Severity
    points: tuple[int, ...]

    def explain(self) -> str:
        """The alarm as a sentence; points are counted from 1."""
        numbers = ", ".join(str(p + 1) for p in self.points)
        return f"{self.rule}: {MEANINGS[self.rule]} (point {numbers})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """A drawn chart as plain data: plotted points, centre and limits of each, shape (n,), and alarms.

    centre, low, high have the length of the points; warning limits are None where the chart has none.
    """

    kind: str
    points: FloatArray
    centre: FloatArray
    low: FloatArray
    high: FloatArray
    alarms: tuple[Alarm, ...]

    @property
    def in_control(self) -> bool:
        """Whether no rule that rejects was broken."""
        return all(alarm.severity is Severity.WARN for alarm in self.alarms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Centre and standard deviation of a process in control, in the unit of the values."""

    mean: float
    standard_deviation: float

    def __post_init__(self) -> None:
        """Refuse what is no standard deviation."""
        if not (np.isfinite(self.mean) and np.isfinite(self.standard_deviation) and self.standard_deviation > 0.0):
            raise DomainError(
                f"a control chart needs a centre and a standard deviation above 0, got {self.mean} and "
                f"{self.standard_deviation}; take them from at least 10 values of a process in control"
            )


def centre_from_history(values: ArrayLike) -> Centre:
    """Mean, and standard deviation from moving ranges, which a slow trend does not widen: mean |x_i - x_(i-1)| / d2.

    Raises DomainError for fewer than 10 values.

    values : in the order of time, shape (n,).
    """
    x = _finite(values)
    if x.size < FEWEST_HISTORY:
        raise DomainError(
            f"{x.size} values are too few for control limits, take {FEWEST_HISTORY} or more of a process in control"
        )
    return Centre(mean=float(x.mean()), standard_deviation=float(np.abs(np.diff(x)).mean() / RANGE_MEAN))


def shewhart(values: ArrayLike, centre: Centre) -> Chart:
    """Values between centre ± 3 s, judged by Westgard's rules.

    values : in the order of time, shape (n,).
    """
    x = _finite(values)
    spread = 3.0 * centre.standard_deviation
    return Chart(
        kind="Shewhart",
        points=x,
        centre=np.full(x.size, centre.mean),
        low=np.full(x.size, centre.mean - spread),
        high=np.full(x.size, centre.mean + spread),
        alarms=tuple(westgard((x - centre.mean) / centre.standard_deviation)),
    )


def westgard(z: ArrayLike) -> list[Alarm]:
    """Alarms of a series of standardised values: 1-2s warns; 1-3s, 2-2s, R-4s, 4-1s and 10x reject.

    Each alarm belongs to its last point; a run that goes on is announced at each of its points.

    z : shape (n,).
    """
    return [alarm for last in range(_finite(z).size) for alarm in westgard_at(z, last)]


def westgard_at(z: ArrayLike, last: int) -> Iterator[Alarm]:
    """Alarms of the point at position `last`, with the ones before it as history.

    z : shape (n,).
    """
    series = _finite(z)[: last + 1]
    if abs(series[-1]) > 3.0:
        yield Alarm(rule="1-3s", severity=Severity.REJECT, points=(last,))
    elif abs(series[-1]) > 2.0:
        yield Alarm(rule="1-2s", severity=Severity.WARN, points=(last,))
    for rule, length, beyond in (("2-2s", 2, 2.0), ("4-1s", 4, 1.0), ("10x", 10, 0.0)):
        run = series[-length:]
        if run.size == length and (np.all(run > beyond) or np.all(run < -beyond)):
            yield Alarm(rule=rule, severity=Severity.REJECT, points=tuple(range(last - length + 1, last + 1)))
    if series.size > 1 and max(series[-2:]) > 2.0 and min(series[-2:]) < -2.0:
        yield Alarm(rule="R-4s", severity=Severity.REJECT, points=(last - 1, last))


def ewma(values: ArrayLike, centre: Centre, *, weight: float = 0.2, width: float = 3.0) -> Chart:
    """Exponentially weighted moving average with its exact limits.

    q_i = λ x_i + (1-λ) q_(i-1),  q_0 = centre;  limits centre ± L s sqrt(λ/(2-λ) (1 - (1-λ)^(2i)))

    weight : λ, above 0 to 1; width : L.                          ISO 7870-6; S. W. Roberts, Technometrics 1 (1959) 239

    Raises DomainError for a weight that is not above 0, to 1.

    values : in the order of time, shape (n,).
    """
    if not 0.0 < weight <= 1.0:
        raise DomainError(f"weight of a moving average is {weight}, expected above 0 to 1")
    x = _finite(values)
    points, last = np.empty(x.size), centre.mean
    for i, value in enumerate(x.tolist()):
        last = weight * value + (1.0 - weight) * last
        points[i] = last
    count = np.arange(1, x.size + 1)
    variance = weight / (2.0 - weight) * (1.0 - (1.0 - weight) ** (2 * count))
    half = width * centre.standard_deviation * np.sqrt(variance)
    return _limited("EWMA", "EWMA", points, centre.mean - half, centre.mean + half, centre.mean)


def cusum(values: ArrayLike, centre: Centre, *, allowance: float = 0.5, limit: float = 5.0) -> Chart:
    """Sums of upward and downward deviations, in standard deviations; the chart draws S+ and -S-.

    S+_i = max(0, S+_(i-1) + z_i - k),  S-_i = max(0, S-_(i-1) - z_i - k); alarm above h       E. S. Page, Biometrika 41
    (1954) 100; ISO 7870-4

    allowance : k, half of the shift worth finding; limit : h. The larger sum of each point is drawn with its sign.

    values : in the order of time, shape (n,).
    """
    z = (_finite(values) - centre.mean) / centre.standard_deviation
    up, down = cusum_sums(z, allowance=allowance)
    drawn = np.where(up >= down, up, -down)
    alarms = [
        Alarm(rule=rule, severity=Severity.REJECT, points=tuple(range(_start_of_run(sums, i), i + 1)))
        for rule, sums in (("CUSUM+", up), ("CUSUM-", down))
        for i in np.flatnonzero(sums > limit).tolist()
    ]
    n = z.size
    return Chart(
        kind="CUSUM",
        points=drawn,
        centre=np.zeros(n),
        low=np.full(n, -limit),
        high=np.full(n, limit),
        alarms=tuple(sorted(alarms, key=lambda alarm: alarm.points[-1])),
    )


CHARTS: Mapping[str, Callable[[ArrayLike, Centre], Chart]] = {"shewhart": shewhart, "ewma": ewma, "cusum": cusum}
"""Charts of single values by name."""
RANGE = "range"
"""Name of the chart of duplicates beside these."""


def cusum_sums(z: ArrayLike, *, allowance: float) -> tuple[FloatArray, FloatArray]:
    """Upward and downward sums of standardised values, shape (n,) each.

    z : values in standard deviations from the centre, shape (n,). allowance : taken off each step, in the same unit.
    """
    series = _finite(z)
    up, down = np.zeros(series.size), np.zeros(series.size)
    high = low = 0.0
    for i, value in enumerate(series.tolist()):
        high, low = max(0.0, high + value - allowance), max(0.0, low - value - allowance)
        up[i], down[i] = high, low
    return up, down


def _start_of_run(sums: FloatArray, last: int) -> int:
    """First point since the sum was 0: where the shift probably began."""
    zeros = np.flatnonzero(sums[:last] == 0.0)
    return int(zeros[-1]) + 1 if zeros.size else 0


def repeatability(first: ArrayLike, second: ArrayLike) -> float:
    """Standard deviation of single results from the ranges of duplicates: s = mean |x_1 - x_2| / d2.

    first, second : results of each pair, shape (n,).
    """
    return float(np.abs(_finite(first) - _finite(second)).mean()) / RANGE_MEAN


def ranges(first: ArrayLike, second: ArrayLike, *, standard_deviation: float | None = None) -> Chart:
    """Ranges of duplicates: centre d2 s, upper limit (d2 + 3 d3) s, lower limit 0.

    standard_deviation : s of repeatability; None takes it from the mean range of these duplicates (10 or more).

    Raises DomainError for values that are no pairs, and for fewer than 10 pairs without `standard_deviation`.

    first, second : results of each pair, shape (n,).
    """
    a, b = _finite(first), _finite(second)
    if a.shape != b.shape:
        raise DomainError(f"duplicates come in pairs, got {a.size} and {b.size} values")
    spread = np.abs(a - b)
    if standard_deviation is None and spread.size < FEWEST_HISTORY:
        raise DomainError(f"{spread.size} pairs are too few for control limits; give the repeatability, or 10 pairs")
    s = repeatability(a, b) if standard_deviation is None else standard_deviation
    high = np.full(spread.size, (RANGE_MEAN + 3.0 * RANGE_SPREAD) * s)
    return _limited("range", "range", spread, np.zeros(spread.size), high, RANGE_MEAN * s)


def _limited(kind: str, rule: str, points: FloatArray, low: FloatArray, high: FloatArray, centre: float) -> Chart:
    outside = np.flatnonzero((points < low) | (points > high)).tolist()
    alarms = tuple(Alarm(rule=rule, severity=Severity.REJECT, points=(i,)) for i in outside)
    return Chart(kind=kind, points=points, centre=np.full(points.size, centre), low=low, high=high, alarms=alarms)


def announcement(alarms: Sequence[Alarm]) -> str:
    """Alarms as one line, worst first; "in control" where there is none."""
    worst_first = sorted(alarms, key=lambda alarm: alarm.severity is Severity.WARN)
    return "; ".join(alarm.explain() for alarm in worst_first) or "in control"


def _finite(values: ArrayLike) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise DomainError(f"a control chart needs a series of finite numbers, got shape {x.shape}")
    return x
