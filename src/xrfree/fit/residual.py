"""What a fit leaves over: unmodelled lines with their significance, and runs of residuals of one sign.

Definition   A line of unit area g on the expectation μ: counts a = Σ g (n - μ)/μ / Σ g²/μ, uncertainty (Σ g²/μ)^-1/2;
             parameters of the fit that could take its part are left as they are.
             Runs: A. Wald, J. Wolfowitz, Ann. Math. Stat. 11 (1940) 147.
Validation   tests/fit/test_residual.py: lines added to spectra are found, replicas of the model hold none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from xrfree.atomic import XrayLine, element_symbol

FloatArray = NDArray[np.float64]

LEAST_SIGNIFICANCE = 6.0
"""Standard uncertainties from which on a residual peak is reported: a spectrum has some hundred places to look at."""
MOST_LINES = 5
_SERIES = {"K": ("K-L3", 11, 92), "L": ("L3-M5", 30, 92)}
_REACH_SIGMA = 4.0
LEAST_MISFIT = 4.0
"""Reduced deviance from which on runs of residuals are looked at: less is in the uncertainties."""
_LEAST_RUNS = 1e-6
_NOT_IN_NATURE = frozenset({"Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Pa"})
_NEAR = 0.35
"""Distance in σ within which a peak may be a tabulated line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmodelledLine:
    """A peak that the model does not have.

    energy_kev, counts, significance (counts over their standard uncertainty); candidates : "Cu Kα", the nearest first.
    """

    energy_kev: float
    counts: float
    significance: float
    candidates: tuple[str, ...]

    def explain(self) -> str:
        """A sentence for a technician."""
        probably = f", probably {' or '.join(self.candidates[:2])}" if self.candidates else ""
        return (
            f"unmodelled line at {self.energy_kev:.2f} keV{probably} ({self.significance:.0f} standard uncertainties)"
        )


def unmodelled_lines(
    *,
    energy_kev: FloatArray,
    counts: FloatArray,
    expected: FloatArray,
    sigma_kev: FloatArray,
    known: Sequence[str] = (),
    least: float = LEAST_SIGNIFICANCE,
) -> tuple[UnmodelledLine, ...]:
    """Peaks in the difference of counts and expectation, the most significant first.

    energy_kev, counts, expected, sigma_kev : of the fitted channels, shape (n,); sigma_kev the detector's there.
    known : line groups ("Cu K") that the model has.
    """
    found: list[UnmodelledLine] = []
    rest = counts - expected
    variance = np.maximum(expected, 1.0)
    near, shapes = line_shapes(energy_kev, sigma_kev)
    information = (shapes**2 / variance[near]).sum(axis=1)
    for _ in range(MOST_LINES):
        area = (shapes * (rest / variance)[near]).sum(axis=1) / information
        significance = area * np.sqrt(information)
        best = int(np.argmax(significance))
        if significance[best] < least:
            break
        energy = _refined(energy_kev, significance, best)
        found.append(
            UnmodelledLine(
                energy_kev=energy,
                counts=float(area[best]),
                significance=float(significance[best]),
                candidates=_candidates(energy, float(sigma_kev[best]), frozenset(known)),
            )
        )
        rest = rest.copy()
        np.subtract.at(rest, near[best], area[best] * shapes[best])
    return tuple(found)


def line_shapes(energy_kev: FloatArray, sigma_kev: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Channels near every channel, and the share of a line there that each of them sees, shape (n, n_near) each."""
    width = np.gradient(energy_kev)
    reach = int(np.ceil(_REACH_SIGMA * float(sigma_kev.max()) / float(width.min())))
    place = np.arange(energy_kev.size)[:, None] + np.arange(-reach, reach + 1)
    near = np.clip(place, 0, energy_kev.size - 1)
    u = (energy_kev[near] - energy_kev[:, None]) / sigma_kev[:, None]
    shapes = np.exp(-0.5 * u * u) / (np.sqrt(2.0 * np.pi) * sigma_kev[:, None]) * width[near]
    return near, np.where((place == near) & (np.abs(u) < _REACH_SIGMA), shapes, 0.0)


def structure(
    lines: Sequence[UnmodelledLine], counts: FloatArray, expected: FloatArray, reduced_deviance: float
) -> str:
    """What the residuals of a fit show that its deviance alone does not; empty where that is nothing.

    lines : peaks of the residual. A peak counts where an element has its main line, and if it stands out of the misfit
    (significance over the root of the reduced deviance); runs count where the misfit is large, too.
    """
    misfit = np.sqrt(max(reduced_deviance, 1.0))
    named = [line for line in lines if line.candidates and line.significance / misfit > LEAST_SIGNIFICANCE]
    if named:
        return "; ".join(line.explain() for line in named)
    probability = runs_probability(counts, expected) if reduced_deviance > LEAST_MISFIT else 1.0
    if probability < _LEAST_RUNS:
        return (
            f"residuals of one sign run together (probability {probability:.0e}) at a reduced deviance of "
            f"{reduced_deviance:.1f}: line shape or background are not those of the model"
        )
    return ""


def _refined(energy_kev: FloatArray, height: FloatArray, best: int) -> float:
    """Top of the parabola through a maximum and its neighbours."""
    if not 0 < best < energy_kev.size - 1:
        return float(energy_kev[best])
    left, middle, right = height[best - 1 : best + 2]
    bend = left - 2.0 * middle + right
    offset = float(np.clip(0.5 * (left - right) / bend, -1.0, 1.0)) if bend < 0.0 else 0.0
    return float(energy_kev[best] + offset * 0.5 * (energy_kev[best + 1] - energy_kev[best - 1]))


@cache
def _main_lines() -> tuple[tuple[str, str, float], ...]:
    """Group ("Cu K"), name ("Cu Kα") and energy (keV) of the main line of every series."""
    return tuple(
        (f"{symbol} {series}", f"{symbol} {series}α", XrayLine(symbol, transition).energy_kev)
        for series, (transition, first, last) in _SERIES.items()
        for symbol in map(element_symbol, range(first, last + 1))
        if symbol not in _NOT_IN_NATURE
    )


def _candidates(energy_kev: float, sigma_kev: float, known: frozenset[str]) -> tuple[str, ...]:
    near = [
        (abs(energy - energy_kev), name)
        for group, name, energy in _main_lines()
        if group not in known and abs(energy - energy_kev) < _NEAR * sigma_kev
    ]
    return tuple(name for _, name in sorted(near))


def runs_probability(counts: FloatArray, expected: FloatArray) -> float:
    """Probability that residuals without structure have as few runs of one sign as these.

    Mean 2 n₊n₋/n + 1, variance (mean - 1)(mean - 2)/(n - 1) of the number of runs             Wald & Wolfowitz 1940
    """
    above = counts > expected
    n, up = above.size, int(above.sum())
    mean = 2.0 * up * (n - up) / max(n, 1) + 1.0
    variance = (mean - 1.0) * (mean - 2.0) / max(n - 1, 1)
    if variance <= 0.0:
        return 1.0
    runs = 1 + int(np.count_nonzero(above[1:] != above[:-1]))
    return float(ndtr((runs + 0.5 - mean) / np.sqrt(variance)))
