"""Tube radiation that the specimen scatters into the detector: the background and the tube's own lines.

Definition   single Rayleigh and Compton scattering in a flat specimen, with the specimen's own absorption edges;
             Compton lines of the tube are broadened by the Compton profiles of the specimen's atoms (impulse
             approximation: F. Biggs, L. B. Mendelsohn, J. B. Mann, At. Data Nucl. Data Tables 16 (1975) 201), which
             knows no binding: a small part of the light gains energy.
Validation   tests/matrix/test_scatter.py: Klein-Nishina limit, elastic position, thick limit, additivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import _tables
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.fundamental import (
    ELECTRON_REST_KEV,
    _attenuation_table,
    _edges_between,
    detector_efficiency,
    incident_flux,
    incident_lines,
)
from xrfree.matrix.tube import tube_lines

FloatArray = NDArray[np.float64]

_FINE_STRUCTURE_INVERSE = 137.036
_BINS = 450
_LOWEST_KEV = 0.3
_REBIN_KEV = 0.03
"""Step of rebinned light: below the Gaussian width of every detector, so that the sum of Gaussians is smooth."""
_NARROW = 1e-6
"""Width of a bin, in steps of the grid, below which it is a point."""
_MOMENTUM_EDGES = np.array([0.0, 0.25, 0.5, 0.8, 1.15, 1.6, 2.2, 3.0, 4.2, 6.0, 9.0, 14.0, 22.0])
_MOMENTUM_WIDTH = np.concatenate([np.diff(_MOMENTUM_EDGES)[::-1], np.diff(_MOMENTUM_EDGES)])
MOMENTUM = np.concatenate(
    [-0.5 * (_MOMENTUM_EDGES[1:] + _MOMENTUM_EDGES[:-1])[::-1], 0.5 * (_MOMENTUM_EDGES[1:] + _MOMENTUM_EDGES[:-1])]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattering:
    """Scatter of one condition, prepared for all specimens made of `elements`: three parts, Rayleigh and Compton.

    grid : even energies on which the parts of the continuum are added.
    """

    condition: InstrumentCondition
    elements: tuple[str, ...]
    continuum: tuple[_Part, ...]
    grid: _Grid
    tube_series: tuple[str, ...]
    tube_rayleigh: _Part
    tube_compton: _Part


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One kind of scattering of n_in incident energies, each spread over n_out energies.

    strength : photons arriving x differential cross section, shape (n_elements, n_in); share : of each outgoing energy,
        shape (n_elements, n_out). before_attenuation : cm²/g, shape (n_elements, n_in).
    energy_kev, efficiency : after scattering, shape (n_in n_out,), energies of one incident energy together;
        after_attenuation : shape (n_elements, n_in n_out).
    """

    strength: FloatArray
    share: FloatArray
    before_attenuation: FloatArray
    energy_kev: FloatArray
    after_attenuation: FloatArray
    efficiency: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """How bins of light share in the points of an even grid.

    energy_kev : the points, shape (n_points,); point, share : of every bin, shape (n_bins, n_touched).
    """

    energy_kev: FloatArray
    point: NDArray[np.int64]
    share: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatteredLight:
    """Detected photons / (s sr mA): energies (keV) and strengths, each of shape (n,), of a fine list of energies."""

    energy_kev: FloatArray
    strength: FloatArray


def scattering(condition: InstrumentCondition, detector: Detector, elements: Sequence[str]) -> Scattering:
    """Prepare the scatter of one condition."""
    breaks = _continuum_breaks(condition, elements)
    bins = 0.5 * (breaks[1:] + breaks[:-1])
    continuum = incident_flux(condition, bins) * np.diff(breaks)
    after = _after_compton(breaks, condition.scattering_angle_rad)
    lines, photons = incident_lines(condition)
    parts = (
        _rayleigh_part(condition, detector, elements, bins, continuum),
        _compton_part(condition, detector, elements, bins, continuum),
    )
    return Scattering(
        condition=condition,
        elements=tuple(elements),
        continuum=parts,
        grid=_grid(
            np.concatenate([part.energy_kev for part in parts]),
            np.concatenate([np.diff(breaks), np.diff(after, axis=0).ravel()]),
        ),
        tube_series=tuple(line.series for line in tube_lines(condition.tube)),
        tube_rayleigh=_rayleigh_part(condition, detector, elements, lines, photons),
        tube_compton=_compton_part(condition, detector, elements, lines, photons),
    )


def scattered_continuum(model: Scattering, mass_fraction: FloatArray, areal_density_g_cm2: float) -> ScatteredLight:
    """Scattered bremsstrahlung.

    S(E) = ε(E) / sin ψ1 Σ_i w_i N(E0) dσ_i/dΩ(E0, θ) A(E0, E),  A as in `fundamental.line_strengths`
    """
    strength = np.concatenate([_seen(model, part, mass_fraction, areal_density_g_cm2) for part in model.continuum])
    grid = model.grid
    shared = grid.share * strength[:, None]
    summed = np.bincount(grid.point.ravel(), weights=shared.ravel(), minlength=grid.energy_kev.size)
    return ScatteredLight(energy_kev=grid.energy_kev, strength=summed.astype(np.float64, copy=False))


def _grid(centre_kev: FloatArray, width_kev: FloatArray) -> _Grid:
    """Grid of 30 eV for bins of light that lie side by side, the light of each spread evenly over its width.

    share of point k = 1/w ∫ h(x - k) dx over the bin, h(x) = 1 - |x| for |x| < 1, in units of the grid's step
    Even light comes out even. Bins taken as points would not do: those that lie a little further apart than the grid's
    points leave a bump of 1 % wherever one falls just on a point.
    """
    width = np.maximum(width_kev / _REBIN_KEV, _NARROW)
    low = np.maximum(centre_kev, _LOWEST_KEV) / _REBIN_KEV - 0.5 * width
    first = np.floor(low).astype(np.int64)
    touched = first[:, None] + np.arange(int(np.ceil(width.max())) + 2)
    share = _below_hat(low[:, None] + width[:, None] - touched) - _below_hat(low[:, None] - touched)
    point = touched - first.min()
    return _Grid(
        energy_kev=_REBIN_KEV * (first.min() + np.arange(int(point.max()) + 1)),
        point=point,
        share=share / width[:, None],
    )


def _below_hat(x: FloatArray) -> FloatArray:
    """∫ h from -1 to x, h(x) = 1 - |x|."""
    inside = np.clip(x, -1.0, 1.0)
    return np.asarray(0.5 + inside - 0.5 * inside * np.abs(inside))


def rebinned(energy_kev: FloatArray, strength: FloatArray) -> ScatteredLight:
    """The same light on an even grid of 30 eV, every photon shared between its two neighbours; mean energy is kept."""
    first = np.floor(max(float(energy_kev.min()), _LOWEST_KEV) / _REBIN_KEV)
    position = np.maximum(energy_kev / _REBIN_KEV - first, 0.0)
    left = position.astype(np.int64)
    right_share = position - left
    n_bins = int(left.max()) + 2
    summed = np.bincount(left, weights=strength * (1.0 - right_share), minlength=n_bins).astype(np.float64)
    summed += np.bincount(left + 1, weights=strength * right_share, minlength=n_bins)
    return ScatteredLight(energy_kev=_REBIN_KEV * (first + np.arange(n_bins)), strength=summed[:n_bins])


def scattered_lines(
    model: Scattering, mass_fraction: FloatArray, areal_density_g_cm2: float
) -> tuple[ScatteredLight, ...]:
    """Tube lines after scattering, one entry for each series ("L3-M"), and one more for the Compton part of K series.

    Below 6 keV Rayleigh and Compton lines coincide for every detector: they are one entry there.
    """
    rayleigh, compton = model.tube_rayleigh, model.tube_compton
    elastic = _seen(model, rayleigh, mass_fraction, areal_density_g_cm2)
    shifted = _seen(model, compton, mass_fraction, areal_density_g_cm2)
    found = []
    for series in dict.fromkeys(model.tube_series):
        line = np.array([s == series for s in model.tube_series])
        spread = np.repeat(line, shifted.size // line.size)
        if series[0] == "K":
            found.append((rayleigh.energy_kev[line], elastic[line]))
            found.append((compton.energy_kev[spread], shifted[spread]))
        else:
            found.append(
                (
                    np.concatenate([rayleigh.energy_kev[line], compton.energy_kev[spread]]),
                    np.concatenate([elastic[line], shifted[spread]]),
                )
            )
    return tuple(ScatteredLight(energy_kev=energy, strength=strength) for energy, strength in found)


def _seen(model: Scattering, part: _Part, mass_fraction: FloatArray, areal_density: float) -> FloatArray:
    weights = np.maximum(mass_fraction, 0.0)
    sin_in, sin_out = np.sin(model.condition.incidence_angle_rad), np.sin(model.condition.take_off_angle_rad)
    before = np.repeat(weights @ part.before_attenuation / sin_in, part.share.shape[1])
    path = before + weights @ part.after_attenuation / sin_out
    escape = 1.0 / path if np.isinf(areal_density) else -np.expm1(-path * areal_density) / path
    scattered = ((weights[:, None] * part.strength).T @ part.share).ravel()
    return np.asarray(part.efficiency / sin_in * scattered * escape)


def _table(look_up: str, elements: Sequence[str], energy: FloatArray, angle: float) -> FloatArray:
    function = getattr(_tables, look_up)
    return np.array([function(_tables.atomic_number(e), energy, angle) for e in elements])


def _continuum_breaks(condition: InstrumentCondition, elements: Sequence[str]) -> FloatArray:
    """Ends (keV) of bins that no absorption edge of the specimen or the filters crosses."""
    low, high = 0.8, condition.tube.voltage_kv
    inside = [e for a in (*condition.filters, *condition.tube.window) for e in _tables.parse_formula(a.formula)]
    edges = _edges_between([*elements, *inside, condition.tube.anode], low, high)
    return np.unique(np.concatenate([np.linspace(low, high, _BINS + 1), edges]))


def _rayleigh_part(
    condition: InstrumentCondition,
    detector: Detector,
    elements: Sequence[str],
    energy: FloatArray,
    photons: FloatArray,
) -> _Part:
    strength = photons * _table("rayleigh_differential", elements, energy, condition.scattering_angle_rad)
    return _part(condition, detector, elements, energy, strength, np.ones((len(elements), 1)), energy)


def _compton_part(
    condition: InstrumentCondition,
    detector: Detector,
    elements: Sequence[str],
    energy: FloatArray,
    photons: FloatArray,
) -> _Part:
    """Compton scattering, every incident energy spread over the momenta of the atoms' electrons."""
    angle = condition.scattering_angle_rad
    strength = photons * _table("compton_differential", elements, energy, angle)
    share = np.array([momentum_shares(e) for e in elements])
    after = _after_compton(energy, angle)
    return _part(condition, detector, elements, energy, strength, share, after.ravel())


def _after_compton(energy_kev: FloatArray, angle: float) -> FloatArray:
    """Energies (keV) after Compton scattering for each of `MOMENTUM`, shape (n, n_momenta); at least 0.3 keV."""
    return np.maximum(compton_energy(energy_kev[:, None], MOMENTUM, angle), _LOWEST_KEV)


def momentum_shares(element: str) -> FloatArray:
    """Share of an atom's electrons in each cell of `MOMENTUM`, summing to 1, shape (n_momenta,)."""
    z = _tables.atomic_number(element)
    half = _tables.compton_profile(z, MOMENTUM[MOMENTUM > 0.0]) * _MOMENTUM_WIDTH[MOMENTUM > 0.0]
    both = np.concatenate([half[::-1], half])
    return np.asarray(both / both.sum())


def compton_energy(energy: FloatArray, momentum: FloatArray, angle: float) -> FloatArray:
    """Energy (keV) after Compton scattering off an electron of momentum p_z (atomic units) along the transfer.

    E' = [E0 + p_z q(E') / 137.036] / [1 + E0 (1 - cos θ) / mc²],  q² = E0² + E'² - 2 E0 E' cos θ
    """
    rest = 1.0 + energy * (1.0 - np.cos(angle)) / ELECTRON_REST_KEV
    after = energy / rest + 0.0 * momentum
    for _ in range(4):
        transfer = np.sqrt(np.maximum(energy**2 + after**2 - 2.0 * energy * after * np.cos(angle), 0.0))
        after = (energy + momentum * transfer / _FINE_STRUCTURE_INVERSE) / rest
    return np.asarray(after)


def _part(
    condition: InstrumentCondition,
    detector: Detector,
    elements: Sequence[str],
    before: FloatArray,
    strength: FloatArray,
    share: FloatArray,
    after: FloatArray,
) -> _Part:
    return _Part(
        strength=strength,
        share=share,
        before_attenuation=_attenuation_table(elements, before),
        energy_kev=after,
        after_attenuation=_attenuation_table(elements, after),
        efficiency=detector_efficiency(detector, condition, after),
    )
