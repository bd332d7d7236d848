"""From counted intensities to corrected rates with their covariance.

Definition   n = m / (1 - m τ) for the dead time (non-paralysable; G. F. Knoll, Radiation Detection and Measurement,
             4th ed., ch. 4.VII); net = peak - Σ_b g_b n_b for the background, g from linear interpolation in 2θ;
             c = n - Σ_j h_j n_j for overlaps of known ratio; drift by `xrfree.curves.drift`. Uncertainties are carried
             by first order from what was counted; a position that serves two lines correlates them.
Validation   tests/curves/test_rates.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.errors import CalibrationError, DomainError
from xrfree.intensities import CountedPosition, IntensityKind, LineIntensities, LineIntensity
from xrfree.line_method import LineCorrection

FloatArray = NDArray[np.float64]

LARGEST_DEAD_SHARE = 0.3
"""Share of dead time above which the simple formula is not trusted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineRates:
    """Corrected rates of one specimen.

    rate : shape (n,), 1/s; covariance : shape (n, n), 1/s².
    variance_at_zero : shape (n,), variance each rate would have if its true value were 0.
    """

    specimen: str
    lines: tuple[str, ...]
    rate: FloatArray
    covariance: FloatArray
    variance_at_zero: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and numbers, and freeze."""
        n = len(self.lines)
        for name, shape in (("rate", (n,)), ("covariance", (n, n)), ("variance_at_zero", (n,))):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"{self.specimen}: rates of {n} lines need finite {name} of shape {shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def index(self, line: str) -> int:
        """Position of a line; CalibrationError where it was not measured."""
        if line not in self.lines:
            raise CalibrationError(f"{self.specimen}: no line is called {line!r}; it has {', '.join(self.lines)}")
        return self.lines.index(line)

    def with_rate(self, rate: FloatArray) -> LineRates:
        """Other rates of the same lines."""
        return replace(self, rate=rate)


def interpolation_weights(peak: LineIntensity) -> dict[str, float]:
    """Weights of the background positions of a line: those of a straight line in 2θ through them, at the peak.

    One position has weight 1. Raises CalibrationError where an angle is missing or two positions coincide.
    """
    positions = peak.background
    if len(positions) == 1:
        return {positions[0].name: 1.0}
    angles = [p.two_theta_rad for p in positions if p.two_theta_rad is not None]
    if peak.two_theta_rad is None or len(angles) < len(positions) or not positions:
        raise CalibrationError(
            f"{peak.line}: the angles of peak and background positions are needed to interpolate; state the weights"
        )
    x = np.array(angles)
    if np.ptp(x) == 0.0:
        raise CalibrationError(f"{peak.line}: its background positions lie at the same angle")
    # Value at the peak of the least-squares line through the positions, as weights of their rates.
    design = np.column_stack([np.ones_like(x), x - peak.two_theta_rad])
    return dict(zip([p.name for p in positions], np.linalg.pinv(design)[0].tolist(), strict=True))


def live_rate(rate_per_s: float, dead_time_s: float) -> float:
    """Rate without dead-time losses, 1/s.

    n = m / (1 - m τ)
    """
    share = rate_per_s * dead_time_s
    if share > LARGEST_DEAD_SHARE:
        raise CalibrationError(
            f"{rate_per_s:.3g} counts/s lose {share:.0%} to a dead time of {dead_time_s:.2g} s; lower the tube current"
        )
    return rate_per_s / (1.0 - share)


def corrected_rates(measured: LineIntensities, corrections: Mapping[str, LineCorrection]) -> LineRates:
    """Rates of the lines that `corrections` names, with the covariance of everything that was counted.

    Raises CalibrationError for a line that was not measured, a missing counting time, and an intensity of which nobody
    says whether it is gross or net.
    """
    lines = tuple(corrections)
    for line in lines:
        if line not in measured.lines:
            raise CalibrationError(
                f"{measured.specimen}: no line is called {line!r}; the file has {', '.join(measured.lines)}"
            )
    rate, at_zero, effects = np.zeros(len(lines)), np.zeros(len(lines)), _Effects(len(lines))
    for i, line in enumerate(lines):
        rate[i], at_zero[i] = _net(measured.lines[line], corrections[line], i, effects, measured.specimen)
    matrix = _overlap_matrix(lines, corrections)
    corrected = np.asarray(matrix @ rate)
    covariance = matrix @ effects.covariance() @ matrix.T
    for i, line in enumerate(lines):
        for overlap in corrections[line].overlaps:
            covariance[i, i] += (overlap.ratio_uncertainty * rate[lines.index(overlap.line)]) ** 2
    return LineRates(
        specimen=measured.specimen, lines=lines, rate=corrected, covariance=covariance, variance_at_zero=at_zero
    )


class _Effects:
    """Effect of every independent error on the rates of all lines, by the name of what was counted."""

    def __init__(self, n_lines: int) -> None:
        self.n_lines = n_lines
        self.by_name: dict[str, FloatArray] = {}

    def add(self, name: str, line: int, effect: float) -> None:
        self.by_name.setdefault(name, np.zeros(self.n_lines))[line] += effect

    def covariance(self) -> FloatArray:
        stacked = np.array(list(self.by_name.values())).reshape(-1, self.n_lines)
        return np.asarray(stacked.T @ stacked)


def _net(
    peak: LineIntensity, correction: LineCorrection, i: int, effects: _Effects, specimen: str
) -> tuple[float, float]:
    """Net rate of one line and its variance were it 0; its errors are noted in `effects`."""
    if peak.counting_time_s is None and correction.counting_time_s is not None:
        peak = replace(peak, counting_time_s=correction.counting_time_s)
    kind = peak.kind if peak.kind is not IntensityKind.NOT_STATED else correction.kind
    where = f"{specimen}, {peak.line}"
    if kind is None or kind is IntensityKind.NOT_STATED:
        raise CalibrationError(f"{where}: the file does not say whether the intensity is gross or net; state the kind")
    if kind is IntensityKind.NET:
        return _given_net(peak, correction, i, effects, where)
    positions = {p.name: p for p in peak.background}
    weights = interpolation_weights(peak) if correction.background is None else correction.background
    absent = [name for name in weights if name not in positions]
    if absent:
        raise CalibrationError(f"{where}: no background position is called {', '.join(absent)}")
    whole = CountedPosition(name=f"peak {peak.line}", rate_per_s=peak.rate_per_s, counting_time_s=peak.counting_time_s)
    total, variance = _counted(whole, 1.0, correction, i, effects, where)
    for name, weight in weights.items():
        part, noise = _counted(positions[name], -weight, correction, i, effects, where)
        total, variance = total + part, variance + noise
    time = peak.counting_time_s or np.inf  # a missing time has been refused by now
    return total, max(variance - max(total, 0.0) / time, 0.0)


def _counted(
    position: CountedPosition, weight: float, correction: LineCorrection, i: int, effects: _Effects, where: str
) -> tuple[float, float]:
    """Weighted live rate of one position and its variance by counting."""
    u = position.rate_uncertainty_per_s
    if u is None:
        raise CalibrationError(
            f"{where}: {position.name} has no counting time; without it nothing is known of its noise"
        )
    m, tau = position.rate_per_s, correction.dead_time_s
    live = live_rate(m, tau)
    slope = 1.0 / (1.0 - m * tau) ** 2
    effects.add(f"counts {position.name}", i, weight * slope * u)
    if correction.dead_time_uncertainty_s:
        effects.add(f"dead time {tau!r}", i, weight * live**2 * correction.dead_time_uncertainty_s)
    return weight * live, (weight * slope * u) ** 2


def _given_net(
    peak: LineIntensity, correction: LineCorrection, i: int, effects: _Effects, where: str
) -> tuple[float, float]:
    if correction.background or correction.background is None or correction.dead_time_s:
        raise CalibrationError(f"{where}: a net intensity has been corrected already; take the correction out")
    if correction.background_rate_per_s is None or peak.counting_time_s is None:
        raise CalibrationError(
            f"{where}: the noise of a net intensity is that of peak and background; state counting_time_s in the table "
            "and background_rate_per_s of the line in the method"
        )
    variance = (max(peak.rate_per_s, 0.0) + 2.0 * correction.background_rate_per_s) / peak.counting_time_s
    effects.add(f"counts peak {peak.line}", i, float(np.sqrt(variance)))
    return peak.rate_per_s, 2.0 * correction.background_rate_per_s / peak.counting_time_s


def _overlap_matrix(lines: Sequence[str], corrections: Mapping[str, LineCorrection]) -> FloatArray:
    matrix = np.eye(len(lines))
    for i, line in enumerate(lines):
        for overlap in corrections[line].overlaps:
            if overlap.line not in lines:
                raise CalibrationError(
                    f"{line} is overlapped by {overlap.line}, which is not among the corrected lines"
                )
            matrix[i, lines.index(overlap.line)] -= overlap.ratio
    return matrix


def rates_of_areas(specimen: str, fits: Sequence[NetAreas]) -> LineRates:
    """Rates of fitted line groups: area over live time; lines are named condition/region/group."""
    lines = tuple(f"{fit.condition}/{fit.region}/{group}" for fit in fits for group in fit.groups)
    covariance = np.zeros((len(lines), len(lines)))
    start = 0
    for areas in fits:
        stop = start + len(areas.groups)
        covariance[start:stop, start:stop] = areas.covariance / areas.live_time_s**2
        start = stop
    rate = np.concatenate([areas.area / areas.live_time_s for areas in fits])
    at_zero = np.concatenate([areas.variance_at_zero / areas.live_time_s**2 for areas in fits])
    return LineRates(specimen=specimen, lines=lines, rate=rate, covariance=covariance, variance_at_zero=at_zero)
