"""Strengths near one composition: their reciprocals as a quadratic function of the mass fractions.

Definition   1/S(w) = 1/S₀ + g (w - w₀) + ½ (w - w₀)ᵀ H (w - w₀). For one exciting energy and no enhancement the
             reciprocal is linear in w (the equation of Lachance and Traill), so that little is left for H and less
             beyond it. g from the analytic derivatives, H from their differences.
Validation   tests/matrix/test_expansion.py: the full model over the range of a stack of spectra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.matrix.intensities import GroupIntensities

FloatArray = NDArray[np.float64]

_STEP = 0.02
_LEAST_STEP = 1e-3
"""Differences of derivatives: relative to a mass fraction, and the least (kg/kg)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrengthExpansion:
    """Reciprocal strengths of n channels around one composition of n_elements.

    origin : w₀, shape (n_elements,); value : 1/S₀, shape (n,); slope : g, shape (n, n_elements);
    bend : H, shape (n_elements, n, n_elements).
    """

    origin: FloatArray
    value: FloatArray
    slope: FloatArray
    bend: FloatArray

    def strengths(self, mass_fraction: FloatArray) -> FloatArray:
        """Strengths of many specimens, shape (n_specimens, n); mass_fraction : shape (n_specimens, n_elements)."""
        away = mass_fraction - self.origin
        n_elements, n = self.bend.shape[0], self.value.size
        bent = (away @ self.bend.reshape(n_elements, -1)).reshape(-1, n, n_elements)
        quadratic = np.matmul(bent, away[:, :, None])[:, :, 0]
        return np.asarray(1.0 / (self.value + away @ self.slope.T + 0.5 * quadratic))


def expanded_strengths(
    intensities: GroupIntensities, origin: FloatArray, areal_density_g_cm2: float, shaping: Sequence[int]
) -> StrengthExpansion:
    """Expand the strengths of all channels around a composition.

    shaping : places of the elements whose second derivatives are taken, with one another and with all others.
    """
    value, slope = _reciprocal(intensities, origin, areal_density_g_cm2)
    bend = np.zeros((origin.size, value.size, origin.size))
    for element in shaping:
        moved = origin.copy()
        moved[element] += max(_STEP * origin[element], _LEAST_STEP)
        step = moved[element] - origin[element]
        change = (_reciprocal(intensities, moved, areal_density_g_cm2)[1] - slope) / step
        bend[element] = change
        others = np.setdiff1d(np.arange(origin.size), shaping)
        bend[others, :, element] = change[:, others].T
    inner = bend[np.ix_(shaping, range(value.size), shaping)]
    bend[np.ix_(shaping, range(value.size), shaping)] = 0.5 * (inner + inner.transpose(2, 1, 0))
    return StrengthExpansion(origin=origin, value=value, slope=slope, bend=bend)


def _reciprocal(
    intensities: GroupIntensities, mass_fraction: FloatArray, areal_density: float
) -> tuple[FloatArray, FloatArray]:
    """1/S and its derivatives."""
    strength, change = intensities.strengths_and_derivatives(mass_fraction, areal_density)
    return 1.0 / strength, -change / strength[:, None] ** 2
