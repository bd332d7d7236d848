"""Drift of a spectrometer, followed with monitor specimens: rates of today become rates of the day of calibration.

Definition   one point: c = f r, f = R/m; two points: c = a + f r through both monitors, with reference rate R and
             today's rate m of each monitor. The original calibration is never touched: the rates are.
Validation   tests/curves/test_drift.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.curves.rates import LineRates
from xrfree.errors import CalibrationError
from xrfree.line_method import MonitorReading

FloatArray = NDArray[np.float64]

LARGEST_DRIFT = 0.2
"""Relative drift above which the spectrometer needs repair or a new calibration, not a factor."""
_LEAST_SPREAD = 2.0
"""Two monitors serve two points when their reference rates are at least this many times apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftCorrection:
    """One line's way back: c = offset + factor r, with the covariance of (offset, factor), shape (2, 2)."""

    offset_per_s: float
    factor: float
    covariance: FloatArray


def one_point(monitor: MonitorReading, *, line: str = "") -> DriftCorrection:
    """Factor from one monitor.

    f = R/m,  u(f)/f = hypot(u(R)/R, u(m)/m)        Raises CalibrationError for more than 20 % of drift.
    """
    factor = monitor.reference_per_s / monitor.now_per_s
    _refuse_large(factor, line)
    relative = np.hypot(
        monitor.reference_uncertainty_per_s / monitor.reference_per_s, monitor.now_uncertainty_per_s / monitor.now_per_s
    )
    return DriftCorrection(offset_per_s=0.0, factor=factor, covariance=np.diag([0.0, (factor * relative) ** 2]))


def two_point(low: MonitorReading, high: MonitorReading, *, line: str = "") -> DriftCorrection:
    """Offset and factor from two monitors.

    f = (R₂ - R₁)/(m₂ - m₁),  a = R₁ - f m₁
    """
    if high.reference_per_s < _LEAST_SPREAD * low.reference_per_s or high.now_per_s <= low.now_per_s:
        raise CalibrationError(
            f"{line or 'a line'}: rates of {low.reference_per_s:.4g} and {high.reference_per_s:.4g} per second are too "
            "close together for two monitors; use one point, or a monitor with less of the element"
        )
    span = high.now_per_s - low.now_per_s
    factor = (high.reference_per_s - low.reference_per_s) / span
    _refuse_large(factor, line)
    r1, m1 = low.reference_per_s, low.now_per_s
    # Derivatives of (a, f) by R₁, R₂, m₁, m₂.
    df = np.array([-1.0, 1.0, factor, -factor]) / span
    da = np.array([1.0, 0.0, -factor, 0.0]) - df * m1
    u = np.array(
        [
            low.reference_uncertainty_per_s,
            high.reference_uncertainty_per_s,
            low.now_uncertainty_per_s,
            high.now_uncertainty_per_s,
        ]
    )
    effects = np.vstack([da, df]) * u
    return DriftCorrection(offset_per_s=r1 - factor * m1, factor=factor, covariance=effects @ effects.T)


def _refuse_large(factor: float, line: str) -> None:
    if abs(np.log(max(factor, 1e-9))) > np.log1p(LARGEST_DRIFT):
        raise CalibrationError(
            f"{line or 'a line'} drifted by a factor of {1.0 / max(factor, 1e-9):.3f}; more than {LARGEST_DRIFT:.0%} "
            "is no drift: look after the spectrometer, then calibrate anew"
        )


def without_drift(rates: LineRates, corrections: Mapping[str, DriftCorrection]) -> LineRates:
    """Rates as they would have been on the day of calibration; lines without a correction stay as they are."""
    factor = np.array([corrections[line].factor if line in corrections else 1.0 for line in rates.lines])
    offset = np.array([corrections[line].offset_per_s if line in corrections else 0.0 for line in rates.lines])
    covariance = rates.covariance * np.outer(factor, factor)
    for i, line in enumerate(rates.lines):
        if line in corrections:
            effect = np.array([1.0, rates.rate[i]])
            covariance[i, i] += effect @ corrections[line].covariance @ effect
    return LineRates(
        specimen=rates.specimen,
        lines=rates.lines,
        rate=offset + factor * rates.rate,
        covariance=covariance,
        variance_at_zero=rates.variance_at_zero * factor**2,
    )


def drift_corrections(readings: Mapping[str, Sequence[MonitorReading]]) -> dict[str, DriftCorrection]:
    """Correction of each line: one point from one monitor, two points from two.

    Raises CalibrationError for more than two monitors of a line.
    """
    found = {}
    for line, monitors in readings.items():
        ordered = sorted(monitors, key=lambda monitor: monitor.reference_per_s)
        if len(ordered) == 1:
            found[line] = one_point(ordered[0], line=line)
        elif len(ordered) == 2:
            found[line] = two_point(ordered[0], ordered[1], line=line)
        else:
            raise CalibrationError(f"{line} has {len(ordered)} monitors; name one, or two")
    return found
