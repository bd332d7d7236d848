"""Spectrum of an X-ray tube.

Definition   continuum and K lines: H. Ebel, X-Ray Spectrom. 28 (1999) 255; L lines: H. Ebel, X-Ray Spectrom. 32
             (2003) 46. Photo-absorption, yields and line fractions are those of `xrfree.atomic`.
Validation   tests/matrix/test_tube.py: against PyMca's continuum; limits at the tube voltage and at zero absorption.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import _tables, emission_lines
from xrfree.instrument import Absorber, Tube

FloatArray = NDArray[np.float64]

CONTINUUM_CONSTANT = 1.35e9
"""Photons / (s sr mA keV), Ebel 1999."""
_LINE_CONSTANT = {"K": 5.0e13, "L1": 0.71e13, "L2": 2.70e13, "L3": 4.94e13}
"""Photons / (s sr mA) by subshell, Ebel 2003."""
_SHELL_FACTORS = {"K": (2.0, 0.35), "L": (8.0, 0.25)}
"""Number of electrons z and factor b of the ionisation cross section, Ebel 1999 and 2003."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeLine:
    """One characteristic line of the anode: series ("L3-M"), energy (keV), photons / (s sr mA)."""

    series: str
    energy_kev: float
    flux: float


def transmission(absorbers: Iterable[Absorber], energy_kev: FloatArray) -> FloatArray:
    """Fraction of photons that cross all absorbers: exp(-Σ μ/ρ(E) ρd)."""
    exponent = np.zeros_like(energy_kev)
    for absorber in absorbers:
        for element, share in _tables.parse_formula(absorber.formula).items():
            mu = _tables.total_attenuation(_tables.atomic_number(element), energy_kev)
            exponent += absorber.areal_density_g_cm2 * share * mu
    return np.exp(-exponent)


def tube_continuum(tube: Tube, energy_kev: FloatArray) -> FloatArray:
    """Bremsstrahlung behind the tube window, photons / (s sr mA keV).

    N(E) = 1.35e9 Z (E0/E - 1)^x f(E),  x = 1.109 - 0.00435 Z + 0.00175 E0          Ebel 1999
    or the tube's own spectrum where it has one.
    """
    if tube.spectrum is not None:
        known = tube.spectrum
        return np.asarray(np.interp(energy_kev, known.energy_kev, known.flux, left=0.0, right=0.0))
    z = _tables.atomic_number(tube.anode)
    below = (energy_kev < tube.voltage_kv) & (energy_kev > 0.0)
    flux = np.zeros_like(energy_kev)
    energy = energy_kev[below]
    exponent = 1.109 - 0.00435 * z + 0.00175 * tube.voltage_kv
    flux[below] = CONTINUUM_CONSTANT * z * (tube.voltage_kv / energy - 1.0) ** exponent
    flux[below] *= _self_absorption(tube, energy, tube.voltage_kv / energy) * transmission(tube.window, energy)
    return flux


def _self_absorption(tube: Tube, energy_kev: FloatArray, overvoltage: FloatArray) -> FloatArray:
    """Share of photons that leave the anode: f = (1 - exp(-2 τ ρz sin φ / sin ε)) / (2 τ ρz sin φ / sin ε)."""
    tau = _tables.photo_absorption(_tables.atomic_number(tube.anode), energy_kev)
    depth = _mean_depth(tube, overvoltage)
    argument = 2.0 * tau * depth * np.sin(tube.electron_incidence_rad) / np.sin(tube.take_off_angle_rad)
    safe = np.maximum(argument, 1e-12)
    return np.asarray(-np.expm1(-safe) / safe)


def _mean_depth(tube: Tube, overvoltage: FloatArray) -> FloatArray:
    """Mean depth of photon production ρz (g/cm²)."""
    z = _tables.atomic_number(tube.anode)
    e0 = tube.voltage_kv
    log_z = np.log(z)
    eta = e0 ** (0.1382 - 0.9211 / np.sqrt(z)) * (0.1904 - 0.2236 * log_z + 0.1292 * log_z**2 - 0.0149 * log_z**3)
    mean_ionisation = 0.0135 * z
    deepest = (_tables.atomic_weight(z) / z) * (0.787e-5 * np.sqrt(mean_ionisation) * e0**1.5 + 0.735e-6 * e0**2)
    log_u = np.log(overvoltage)
    return np.asarray(
        deepest
        * log_u
        * (0.49269 - 1.09870 * eta + 0.78557 * eta**2)
        / (0.70256 - 1.09865 * eta + 1.00460 * eta**2 + log_u)
    )


def tube_lines(tube: Tube) -> tuple[TubeLine, ...]:
    """K and L lines of the anode behind the tube window.

    N = C (1/S) R ω p f,
    1/S = (z b / Z)(U ln U + 1 - U) [1 + 16.05 √(J/E_edge) (√U ln U + 2(1 - √U)) / (U ln U + 1 - U)],
    R = 1 - 0.0081517 Z + 3.613e-5 Z² + 0.009583 Z exp(-U) + 0.001141 E0                  Ebel 1999, 2003
    """
    if tube.spectrum is not None:
        known = tube.spectrum
        rows = zip(known.line_series, known.line_energy_kev.tolist(), known.line_flux.tolist(), strict=True)
        return tuple(TubeLine(series=series, energy_kev=energy, flux=flux) for series, energy, flux in rows)
    found = []
    for shell in ("K", "L1", "L2", "L3"):
        emitted = _shell_emission(tube, shell)
        if emitted > 0.0:
            found.extend(_lines_of_shell(tube, shell, emitted))
    return tuple(found)


def _lines_of_shell(tube: Tube, shell: str, emitted: float) -> list[TubeLine]:
    z = _tables.atomic_number(tube.anode)
    lines = [ln for ln in emission_lines(tube.anode, shell, least_fraction=1e-3) if ln.energy_kev > 0.5]
    if not lines:
        return []
    energy = np.array([line.energy_kev for line in lines])
    overvoltage = np.full_like(energy, tube.voltage_kv / _tables.edge_energy_kev(z, shell))
    leaving = _self_absorption(tube, energy, overvoltage) * transmission(tube.window, energy)
    return [
        TubeLine(
            series=line.transition[: line.transition.index("-") + 2],
            energy_kev=line.energy_kev,
            flux=emitted * line.line_fraction * float(share),
        )
        for line, share in zip(lines, leaving, strict=True)
    ]


def _shell_emission(tube: Tube, shell: str) -> float:
    """Photons of all lines of one subshell made in the anode, / (s sr mA)."""
    z = _tables.atomic_number(tube.anode)
    edge = _tables.edge_energy_kev(z, shell)
    if edge <= 0.0 or tube.voltage_kv <= edge:
        return 0.0
    u = tube.voltage_kv / edge
    electrons, factor = _SHELL_FACTORS[shell[0]]
    ionisation = u * np.log(u) + 1.0 - u
    stopping = 1.0 + 16.05 * np.sqrt(0.0135 * z / edge) * (np.sqrt(u) * np.log(u) + 2.0 * (1.0 - np.sqrt(u))) / max(
        ionisation, 1e-12
    )
    backscatter = 1.0 - 0.0081517 * z + 3.613e-5 * z * z + 0.009583 * z * np.exp(-u) + 0.001141 * tube.voltage_kv
    cross_section = electrons * factor / z * ionisation * stopping * backscatter
    fluorescence_yield = _tables.vacancy_transfer(z, shell).get(shell, 0.0)
    constant = _LINE_CONSTANT[shell] * (_subshell_correction(z) if shell in ("L1", "L2") else 1.0)
    return float(constant * cross_section * fluorescence_yield)


def _subshell_correction(z: int) -> float:
    """Ebel's f_corr(Z) of the L1 and L2 constants below Z = 80."""
    return -0.4814 + 0.03781 * z - 2.413e-4 * z * z if z < 80 else 1.0
