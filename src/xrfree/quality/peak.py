"""Position and width of one strong K alpha line, straight from the counts: the instrument check before a batch.

Definition   two Gaussians (K-L3, K-L2, one width) on a flat background, fitted to the square roots of the counts.
Validation   tests/quality/test_peak.py: lines of known position and width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erf

from xrfree.atomic import emission_lines
from xrfree.errors import DomainError
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

FWHM_PER_SIGMA = 2.3548200450309493
ROUNDS = 4
FEWEST_CHANNELS = 6
_SEARCH_KEV, _FIRST_SIGMA_KEV = 0.25, 0.065
_SIGMA_KEV = (0.025, 0.15)
_BELOW, _ABOVE = 2.0, 2.5
"""Window in standard deviations: the lower side of a line has a tail that is no Gaussian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A K alpha line as the spectrum shows it: shift from its true energy, width, counts above background."""

    element: str
    shift_kev: float
    fwhm_kev: float
    counts: float


def k_alpha(spectrum: Spectrum, element: str) -> Peak:
    """Position and width of an element's K alpha line.

    Raises DomainError where the spectrum does not reach the line.
    """
    energies, weights = _doublet(element)
    centre = float(energies @ weights)
    edges, counts = spectrum.edges_kev, spectrum.counts.astype(np.float64)
    if not edges[0] < centre - 2.0 * _SEARCH_KEV < centre + 2.0 * _SEARCH_KEV < edges[-1]:
        raise DomainError(f"the spectrum ends at {edges[-1]:.2f} keV and does not hold the K alpha line of {element}")
    near = np.abs(spectrum.centres_kev - centre) < _SEARCH_KEV
    top = float(spectrum.centres_kev[near][np.argmax(_smoothed(counts)[near])])
    sigma = _FIRST_SIGMA_KEV
    shift, area = top - centre, 0.0
    for _ in range(ROUNDS):  # the window follows the line
        inside = (spectrum.centres_kev > centre + shift - _BELOW * sigma) & (
            spectrum.centres_kev < centre + shift + _ABOVE * sigma
        )
        if inside.sum() < FEWEST_CHANNELS:
            raise DomainError(
                f"only {inside.sum()} channels hold the K alpha line of {element}; the gain is too coarse"
            )
        first = int(np.argmax(inside))
        window = edges[first : first + int(inside.sum()) + 1]
        shift, sigma, area = _fitted(counts[inside], window, energies, weights, (shift, sigma))
    return Peak(element=element, shift_kev=shift, fwhm_kev=FWHM_PER_SIGMA * sigma, counts=area)


def _smoothed(counts: FloatArray) -> FloatArray:
    return np.convolve(counts, np.full(5, 0.2), mode="same")


def _doublet(element: str) -> tuple[FloatArray, FloatArray]:
    """Energies (keV) and shares of K-L3 and K-L2."""
    lines = [line for line in emission_lines(element, "K") if line.transition in ("K-L3", "K-L2")]
    if len(lines) != 2:
        raise DomainError(f"the tables have no K alpha line of {element}")
    shares = np.array([line.line_fraction for line in lines])
    return np.array([line.energy_kev for line in lines]), shares / shares.sum()


def _fitted(
    counts: FloatArray, edges: FloatArray, energies: FloatArray, weights: FloatArray, start: tuple[float, float]
) -> tuple[float, float, float]:
    """Shift (keV), standard deviation (keV) and counts of the doublet in one window; start : the first two."""
    floor = max(float(np.minimum(counts[0], counts[-1])), 1.0)
    size = max(float(counts.sum()) - floor * counts.size, 100.0)

    def expected(parameters: FloatArray) -> FloatArray:
        shift, sigma, area, level = parameters
        steps = erf((edges[:, None] - (energies + shift)) / (sigma * np.sqrt(2.0))) @ weights
        return np.asarray(np.maximum(0.5 * area * size * np.diff(steps) + floor * level, 0.0))

    def residual(parameters: FloatArray) -> FloatArray:
        # Square roots of Poisson counts have one variance (F. J. Anscombe, Biometrika 35 (1948) 246).
        return np.asarray(2.0 * (np.sqrt(expected(parameters) + 0.375) - np.sqrt(counts + 0.375)))

    bounds = ([-_SEARCH_KEV, _SIGMA_KEV[0], 0.0, 0.0], [_SEARCH_KEV, _SIGMA_KEV[1], 9.0, 5.0])
    first = np.clip([*start, 1.0, 0.5], bounds[0], bounds[1])
    found = least_squares(residual, first, bounds=bounds, x_scale=[0.01, 0.01, 1.0, 1.0]).x
    return float(found[0]), float(found[1]), float(found[2]) * size
