"""The one door to xraylib: every call that reaches the tables is here, and every silence of theirs is an error here.

Cross sections are Kissel's (with Rayleigh and Compton scattering added for the total), energies, rates, yields,
Coster-Kronig probabilities, level widths and cascades those that xraylib ships.
Source: T. Schoonjans et al., Spectrochim. Acta B 66 (2011) 776.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import xraylib
import xraylib_np
from numpy.typing import NDArray

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]

TABLES = f"xraylib {xraylib.__version__}"
LAST_ATOMIC_NUMBER = 92
LOWEST_ENERGY_KEV = 0.1
HIGHEST_ENERGY_KEV = 100.0

SHELLS = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")
_SHELL_INDEX = {name: index for index, name in enumerate(SHELLS)}
_OUTER = (
    *SHELLS[1:],
    *(f"N{i}" for i in range(1, 8)),
    *(f"O{i}" for i in range(1, 8)),
    *(f"P{i}" for i in range(1, 6)),
)
_WIDTH_SHELLS = (*SHELLS, *(f"N{i}" for i in range(1, 8)), *(f"O{i}" for i in range(1, 8)))


def element_symbol(z: int) -> str:
    """Symbol of the element with atomic number z."""
    return str(xraylib.AtomicNumberToSymbol(z))


@cache
def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol ("Nd" -> 60)."""
    try:
        z = int(xraylib.SymbolToAtomicNumber(symbol))
    except ValueError:
        z = 0
    if not 1 <= z <= LAST_ATOMIC_NUMBER:
        raise DomainError(f"'{symbol}' is not the symbol of an element from H to U, such as 'La' or 'Nd'")
    return z


def atomic_weight(z: int) -> float:
    """Relative atomic mass, g/mol."""
    return float(xraylib.AtomicWeight(z))


def parse_formula(formula: str) -> dict[str, float]:
    """Mass fractions (kg/kg) of the elements of a chemical formula ("Fe2O3", "La2(CO3)3")."""
    try:
        parsed = xraylib.CompoundParser(formula)
    except ValueError:
        raise DomainError(f"'{formula}' is not a chemical formula such as 'Fe2O3' or 'CaF2'") from None
    symbols = [str(xraylib.AtomicNumberToSymbol(z)) for z in parsed["Elements"]]
    for symbol in symbols:
        atomic_number(symbol)
    return dict(zip(symbols, map(float, parsed["massFractions"]), strict=True))


def density_g_cm3(z: int) -> float:
    """Density of the pure element, g/cm³."""
    return float(xraylib.ElementDensity(z))


def _or_zero(look_up: Callable[..., float], *arguments: int | float) -> float:
    """A table entry, or 0 where the table has none (an absent line or transition, not an error by itself)."""
    try:
        return float(look_up(*arguments))
    except ValueError:
        return 0.0


def edge_energy_kev(z: int, shell: str) -> float:
    """Absorption edge (keV); 0 where the element has no such shell."""
    return _or_zero(xraylib.EdgeEnergy, z, _SHELL_INDEX[shell])


@cache
def shell_lines(z: int, shell: str) -> tuple[tuple[str, float, float], ...]:
    """Lines that fill `shell`: (transition "L3-M5", energy keV, share of the shell's radiative decays).

    Lines without an energy in the table are left out; the shares are the table's own and sum to at most 1.
    """
    found = []
    for outer in _OUTER:
        line = getattr(xraylib, f"{shell}{outer}_LINE", None)
        if line is None or outer == shell:
            continue
        rate = _or_zero(xraylib.RadRate, z, line)
        energy = _or_zero(xraylib.LineEnergy, z, line)
        if rate > 0.0 and energy > 0.0:
            found.append((f"{shell}-{outer}", energy, rate))
    return tuple(found)


@cache
def vacancy_transfer(z: int, shell: str) -> dict[str, float]:
    """Radiative decays of `shell` per primary vacancy in each shell, energy-independent.

    For the shell itself this is its fluorescence yield; for every shell inside it the yield times the number of
    vacancies that Coster-Kronig, radiative and Auger transitions, in one or several steps, leave behind.
    """
    own_yield = _or_zero(xraylib.FluorYield, z, _SHELL_INDEX[shell])
    if own_yield == 0.0:
        return {}
    return {donor: own_yield * left for donor, left in _vacancies_left(z, shell, own_yield).items() if left > 0.0}


def _vacancies_left(z: int, shell: str, own_yield: float) -> dict[str, float]:
    """Vacancies in `shell` per primary vacancy in it and in every shell inside it.

    Σ_d n(d -> s) τ_d(E) is the table's own full-cascade cross section divided by the yield. Between the edges of two
    neighbouring donors each energy adds one unknown n, found from the outermost donor inwards.
    """
    left: dict[str, float] = {}
    edges = {s: edge_energy_kev(z, s) for s in SHELLS[: _SHELL_INDEX[shell] + 1] if edge_energy_kev(z, s) > 0.0}
    for donor in reversed(edges):
        inner = [edge for s, edge in edges.items() if edge > edges[donor]]
        above = min([HIGHEST_ENERGY_KEV, *inner])
        energy = min(0.5 * (edges[donor] + above), 1.2 * edges[donor])
        own = _or_zero(xraylib.CS_Photo_Partial, z, _SHELL_INDEX[donor], energy) if above > edges[donor] else 0.0
        if own > 0.0:
            whole = _or_zero(xraylib.CS_FluorShell_Kissel_Cascade, z, _SHELL_INDEX[shell], energy) / own_yield
            known = sum(n * _or_zero(xraylib.CS_Photo_Partial, z, _SHELL_INDEX[s], energy) for s, n in left.items())
            left[donor] = (whole - known) / own
    return left


def coster_kronig(z: int, donor: str, receiver: str) -> float:
    """Probability f(donor, receiver) that a vacancy moves from one subshell to another of the same shell."""
    transition = getattr(xraylib, f"F{donor}{receiver[1]}_TRANS", None)
    return 0.0 if transition is None else _or_zero(xraylib.CosKronTransProb, z, transition)


def level_width_kev(z: int, shell: str) -> float:
    """Natural width (FWHM, keV) of a level; 0 where the table has none (outer levels, narrow beside the others)."""
    if shell not in _WIDTH_SHELLS:
        return 0.0
    return _or_zero(xraylib.AtomicLevelWidth, z, getattr(xraylib, f"{shell}_SHELL"))


def _checked_energies(energy_kev: FloatArray) -> FloatArray:
    energy = np.ascontiguousarray(energy_kev, dtype=np.float64)
    outside = energy[~((energy >= LOWEST_ENERGY_KEV) & (energy <= HIGHEST_ENERGY_KEV))]
    if outside.size:
        raise DomainError(
            f"attenuation tables cover {LOWEST_ENERGY_KEV} to {HIGHEST_ENERGY_KEV} keV, asked for {outside.flat[0]} keV"
        )
    return energy


def total_attenuation(z: int, energy_kev: FloatArray) -> FloatArray:
    """Mass attenuation (photo-absorption, Rayleigh, Compton), cm²/g; same shape as `energy_kev`."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.CS_Total_Kissel(np.array([z]), energy.ravel())
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def photo_absorption(z: int, energy_kev: FloatArray) -> FloatArray:
    """Photo-absorption cross section of the atom, cm²/g."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.CS_Photo_Total(np.array([z]), energy.ravel())
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def rayleigh(z: int, energy_kev: FloatArray) -> FloatArray:
    """Rayleigh scattering cross section over all angles, cm²/g."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.CS_Rayl(np.array([z]), energy.ravel())
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def compton(z: int, energy_kev: FloatArray) -> FloatArray:
    """Compton scattering cross section over all angles, cm²/g."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.CS_Compt(np.array([z]), energy.ravel())
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def shell_photo_absorption(z: int, shell: str, energy_kev: FloatArray) -> FloatArray:
    """Photo-ionisation cross section of one subshell, cm²/g; 0 below its edge."""
    energy = _checked_energies(energy_kev)
    above = energy > edge_energy_kev(z, shell)
    cross_section = np.zeros_like(energy)
    if above.any() and edge_energy_kev(z, shell) > 0.0:
        table = xraylib_np.CS_Photo_Partial(np.array([z]), np.array([_SHELL_INDEX[shell]]), energy[above])
        cross_section[above] = np.asarray(table).ravel()
    return cross_section


def rayleigh_differential(z: int, energy_kev: FloatArray, angle_rad: float) -> FloatArray:
    """Rayleigh scattering into unit solid angle at `angle_rad`, cm²/g/sr."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.DCS_Rayl(np.array([z]), energy.ravel(), np.array([angle_rad]))
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def compton_differential(z: int, energy_kev: FloatArray, angle_rad: float) -> FloatArray:
    """Compton scattering into unit solid angle at `angle_rad`, cm²/g/sr."""
    energy = _checked_energies(energy_kev)
    table = xraylib_np.DCS_Compt(np.array([z]), energy.ravel(), np.array([angle_rad]))
    return np.asarray(table, dtype=np.float64).reshape(energy.shape)


def compton_profile(z: int, momentum: FloatArray) -> FloatArray:
    """Compton profile J(p_z) of the atom, p_z in atomic units (≥ 0); same shape as `momentum`."""
    flat = [_or_zero(xraylib.ComptonProfile, z, float(p)) for p in np.ravel(momentum)]
    return np.array(flat, dtype=np.float64).reshape(np.shape(momentum))
