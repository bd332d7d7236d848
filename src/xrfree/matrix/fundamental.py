"""Intensities of characteristic lines from a flat, homogeneous specimen: Sherman's equation.

Definition   J. Sherman, Spectrochim. Acta 7 (1955) 283; T. Shiraiwa, N. Fujino, Jpn. J. Appl. Phys. 5 (1966) 886.
             Polychromatic tube, primary and secondary excitation of every K, L1, L2 and L3 line, Coster-Kronig
             transfer and K-to-L cascades.
Validation   tests/matrix/test_fundamental.py: direct double integral; fisx; laws (scaling, thick limit, permutation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import XrayLine, _tables, absorption_edge_kev, emission_lines
from xrfree.errors import DomainError
from xrfree.instrument import CRYSTAL_DENSITY_G_CM3, Detector, InstrumentCondition
from xrfree.kernels import sherman
from xrfree.matrix.directions import DIRECTIONS
from xrfree.matrix.tertiary import tertiary_decays
from xrfree.matrix.tube import transmission, tube_continuum, tube_lines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOWEST_EXCITATION_KEV = 1.0
LOWEST_LINE_KEV = 1.2
ELECTRON_REST_KEV = 510.99895
_PANEL_RATIO = 1.12
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(2)
_EXCITING_FRACTION = 2e-3
_EMITTED_FRACTION = 1e-4
_PER_LINE = ("line_group", "line_energy_kev", "line_fraction", "line_width_kev", "efficiency")
_PER_ELEMENT_AND_LINE = ("line_attenuation", "line_rayleigh", "line_compton")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excitation:
    """Everything about lines and excitation that does not depend on the composition.

    elements : all elements the specimen may contain; order of every mass-fraction vector.
    groups : (element, subshell) that the tube ionises; group_element their index into `elements`.
    lines : emitted lines that are wanted; line_group their index into `groups`.
    exciting_lines : lines that excite others, whether they are wanted or not; exciting_group, exciting_fraction theirs.
    flux : shape (n_energies,), tube photons per quadrature node behind the filters.
    """

    condition: InstrumentCondition
    elements: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]
    group_element: IntArray
    lines: tuple[XrayLine, ...]
    line_group: IntArray
    line_energy_kev: FloatArray
    line_fraction: FloatArray
    line_width_kev: FloatArray
    efficiency: FloatArray
    energy_kev: FloatArray
    flux: FloatArray
    tube_attenuation: FloatArray
    line_attenuation: FloatArray
    group_production: FloatArray
    exciting_lines: tuple[XrayLine, ...]
    exciting_group: IntArray
    exciting_fraction: FloatArray
    exciting_attenuation: FloatArray
    exciting_production: FloatArray
    tube_rayleigh: FloatArray
    tube_compton: FloatArray
    compton_attenuation: FloatArray
    compton_production: FloatArray
    line_rayleigh: FloatArray
    line_compton: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStrengths:
    """Detected photons per line and unit mass fraction of its element, / (s sr mA), each of shape (n_lines,).

    primary : excited by the tube.
    secondary : excited by lines of the specimen (and of a substrate).
    tertiary : excited by lines that lines of the specimen excited; 0 unless it was asked for.
    scattered : excited by tube photons after one scattering inside the specimen, or Rayleigh-scattered on the way out.
    shoulder : Compton-scattered on their way out: they lie up to 2 E²/mc² below the line and are not part of `total`.
    """

    primary: FloatArray
    secondary: FloatArray
    tertiary: FloatArray
    scattered: FloatArray
    shoulder: FloatArray

    @property
    def total(self) -> FloatArray:
        """Photons of the line's own energy."""
        return self.primary + self.secondary + self.tertiary + self.scattered


def detector_efficiency(detector: Detector, condition: InstrumentCondition, energy_kev: FloatArray) -> FloatArray:
    """Fraction of photons that pass path and windows and are absorbed in the crystal.

    ε(E) = exp(-Σ μ ρd)_{path, windows} [1 - exp(-μ(E) ρ d)_crystal]
    """
    mass = CRYSTAL_DENSITY_G_CM3[detector.crystal] * detector.thickness_cm
    photo = sum(
        share * _tables.photo_absorption(_tables.atomic_number(element), energy_kev)
        for element, share in _tables.parse_formula(detector.crystal).items()
    )
    stopped = -np.expm1(-mass * photo)
    return np.asarray(transmission((*detector.windows, *condition.path), energy_kev) * stopped)


def incident_flux(condition: InstrumentCondition, energy_kev: FloatArray) -> FloatArray:
    """Tube continuum at the specimen, photons / (s sr mA keV)."""
    return tube_continuum(condition.tube, energy_kev) * transmission((*condition.filters, *condition.path), energy_kev)


def incident_lines(condition: InstrumentCondition) -> tuple[FloatArray, FloatArray]:
    """Tube lines at the specimen: energies (keV) and photons / (s sr mA)."""
    lines = tube_lines(condition.tube)
    energy = np.array([line.energy_kev for line in lines])
    flux = np.array([line.flux for line in lines])
    return energy, flux * transmission((*condition.filters, *condition.path), energy)


def _edges_between(symbols: Sequence[str], low: float, high: float) -> list[float]:
    edges = {_tables.edge_energy_kev(_tables.atomic_number(s), shell) for s in symbols for shell in _tables.SHELLS}
    return sorted(edge for edge in edges if low < edge < high)


def _quadrature(breaks: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on panels that no absorption edge crosses and that span a ratio below 1.12."""
    nodes, weights = [], []
    for low, high in pairwise(breaks):
        n_panels = max(1, int(np.ceil(np.log(high / low) / np.log(_PANEL_RATIO))))
        ends = np.geomspace(low, high, n_panels + 1)
        half = 0.5 * np.diff(ends)[:, None]
        middle = 0.5 * (ends[1:] + ends[:-1])[:, None]
        nodes.append((middle + half * _NODES).ravel())
        weights.append((half * _NODE_WEIGHTS).ravel())
    return np.concatenate(nodes), np.concatenate(weights)


def _incident_photons(condition: InstrumentCondition, elements: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Energies (keV) and photons of continuum nodes and tube lines together."""
    absorbers = (*condition.filters, *condition.tube.window, *condition.path)
    inside = {condition.tube.anode, *(e for a in absorbers for e in _tables.parse_formula(a.formula))}
    top = condition.tube.voltage_kv
    kinks = _edges_between([*elements, *inside], LOWEST_EXCITATION_KEV, top)
    if condition.tube.spectrum is not None:
        kinks += [e for e in condition.tube.spectrum.energy_kev.tolist() if LOWEST_EXCITATION_KEV < e < top]
    breaks = [LOWEST_EXCITATION_KEV, *sorted(set(kinks)), top]
    nodes, weights = _quadrature(breaks)
    line_energy, line_flux = incident_lines(condition)
    used = line_energy > LOWEST_EXCITATION_KEV
    energy = np.concatenate([nodes, line_energy[used]])
    return energy, np.concatenate([incident_flux(condition, nodes) * weights, line_flux[used]])


def _attenuation_table(elements: Sequence[str], energy_kev: FloatArray) -> FloatArray:
    """Mass attenuation, cm²/g, shape (n_elements, n_energies)."""
    return np.array([_tables.total_attenuation(_tables.atomic_number(e), energy_kev) for e in elements])


def _scattering_table(elements: Sequence[str], energy_kev: FloatArray, *, compton: bool) -> FloatArray:
    """Rayleigh or Compton cross section over all angles, cm²/g, shape (n_elements, n_energies)."""
    look_up = _tables.compton if compton else _tables.rayleigh
    return np.array([look_up(_tables.atomic_number(e), energy_kev) for e in elements])


def _production_table(groups: Sequence[tuple[str, str]], energy_kev: FloatArray) -> FloatArray:
    """Radiative decays of a group per incident photon and unit mass per area, cm²/g, shape (n_groups, n_energies).

    F_s(E) = Σ_d n(d -> s) τ_d(E): own ionisation times yield, Coster-Kronig transfer, cascade from K.
    """
    table = np.zeros((len(groups), energy_kev.size))
    for row, (element, shell) in zip(table, groups, strict=True):
        z = _tables.atomic_number(element)
        for donor, decays in _tables.vacancy_transfer(z, shell).items():
            row += decays * _tables.shell_photo_absorption(z, donor, energy_kev)
    return table


def _emitting_groups(elements: Sequence[str], top_kev: float) -> list[tuple[str, str]]:
    """Subshells that the tube can ionise and whose lines lie in the range of the model."""
    return [
        (element, shell)
        for element in elements
        for shell in _tables.SHELLS
        if LOWEST_EXCITATION_KEV < absorption_edge_kev(element, shell) < top_kev and emission_lines(element, shell)
    ]


def excitation(
    condition: InstrumentCondition,
    detector: Detector,
    elements: Sequence[str],
    *,
    emitting: Sequence[str] | None = None,
) -> Excitation:
    """Prepare the model of one condition for all specimens made of `elements`.

    emitting : elements ("La") or line groups ("La L") whose lines are wanted; all of them if not given. Every element
        absorbs and excites.

    Raises DomainError where there is no such line.
    """
    if len(set(elements)) != len(elements) or not elements:
        raise DomainError(f"the model needs each element once, got {', '.join(elements) or 'none'}")
    groups = _emitting_groups(elements, condition.tube.voltage_kv)
    every = [
        (index, line)
        for index, (element, shell) in enumerate(groups)
        for line in emission_lines(element, shell, least_fraction=_EMITTED_FRACTION)
        if line.energy_kev > LOWEST_LINE_KEV
    ]
    wanted = elements if emitting is None else emitting
    lines = [
        (index, line) for index, line in every if line.element in wanted or f"{line.element} {line.shell[0]}" in wanted
    ]
    if not lines:
        raise DomainError(
            f"{', '.join(wanted)}: no line above {LOWEST_LINE_KEV} keV that "
            f"{condition.tube.voltage_kv:g} kV can excite; name an element with such lines, or raise the voltage"
        )
    line_energy = np.array([line.energy_kev for _, line in lines])
    energy, flux = _incident_photons(condition, elements)
    emitted = {index for index, _ in lines}
    lowest_edge = min(absorption_edge_kev(*groups[index]) for index in emitted)
    exciting = [
        (index, line)
        for index, line in every
        if line.line_fraction >= _EXCITING_FRACTION and line.energy_kev > lowest_edge
    ]
    exciting_energy = np.array([line.energy_kev for _, line in exciting])
    compton_energy = energy / (1.0 + energy / ELECTRON_REST_KEV)
    return Excitation(
        condition=condition,
        elements=tuple(elements),
        groups=tuple(groups),
        group_element=np.array([list(elements).index(element) for element, _ in groups]),
        lines=tuple(line for _, line in lines),
        line_group=np.array([index for index, _ in lines]),
        line_energy_kev=line_energy,
        line_fraction=np.array([line.line_fraction for _, line in lines]),
        line_width_kev=np.array([line.natural_width_kev for _, line in lines]),
        efficiency=detector_efficiency(detector, condition, line_energy),
        energy_kev=energy,
        flux=flux,
        tube_attenuation=_attenuation_table(elements, energy),
        line_attenuation=_attenuation_table(elements, line_energy),
        group_production=_production_table(groups, energy),
        exciting_lines=tuple(line for _, line in exciting),
        exciting_group=np.array([index for index, _ in exciting], dtype=np.int64),
        exciting_fraction=np.array([line.line_fraction for _, line in exciting]),
        exciting_attenuation=_attenuation_table(elements, exciting_energy),
        exciting_production=_production_table(groups, exciting_energy),
        tube_rayleigh=_scattering_table(elements, energy, compton=False),
        tube_compton=_scattering_table(elements, energy, compton=True),
        compton_attenuation=_attenuation_table(elements, compton_energy),
        compton_production=_production_table(groups, compton_energy),
        line_rayleigh=_scattering_table(elements, line_energy, compton=False),
        line_compton=_scattering_table(elements, line_energy, compton=True),
    )


def only_lines(model: Excitation, keep: NDArray[np.bool_]) -> Excitation:
    """The model of some of its lines; keep : shape (n_lines,).

    Exciting lines that ionise none of the groups left go as well: all strengths stay what they are.
    """
    kept = np.flatnonzero(keep)
    useful = np.any(model.exciting_production[np.unique(model.line_group[kept])] > 0.0, axis=0)
    per_line = {name: getattr(model, name)[kept] for name in _PER_LINE}
    per_line |= {name: np.ascontiguousarray(getattr(model, name)[:, kept]) for name in _PER_ELEMENT_AND_LINE}
    exciting = {name: getattr(model, name)[useful] for name in ("exciting_group", "exciting_fraction")}
    exciting |= {
        name: np.ascontiguousarray(getattr(model, name)[:, useful])
        for name in ("exciting_attenuation", "exciting_production")
    }
    return replace(
        model,
        lines=tuple(model.lines[k] for k in kept),
        exciting_lines=tuple(line for line, used in zip(model.exciting_lines, useful.tolist(), strict=True) if used),
        **per_line,
        **exciting,
    )


def line_strengths(
    model: Excitation,
    mass_fraction: FloatArray,
    areal_density_g_cm2: float,
    *,
    tertiary: bool = False,
    substrate: FloatArray | None = None,
) -> LineStrengths:
    """Strength of every line of `model` in a specimen of one composition, per unit mass fraction of its element.

    P_l = r_l ε_l / (4π sin ψ1) Σ_E0 N(E0) F_s(E0) A_l(E0)
    A_l = [1 - exp(-(a + b_l) ρd)] / (a + b_l),   a = μ(E0) / sin ψ1,   b_l = μ(E_l) / sin ψ2
    S_l = r_l ε_l / (4π sin ψ1) Σ_j w_j r_j F_s(E_j) ½ Σ_E0 N F_j A_l [ln(1 + a/μ_j)/a + ln(1 + b_l/μ_j)/b_l]
    the scattered term is S_l with the scattered photons in the place of the lines j, scattering taken as isotropic

    mass_fraction : shape (n_elements,), kg/kg, of the whole specimen (all absorbers included).
    areal_density_g_cm2 : density times thickness; np.inf for a thick specimen. What lines and scattered photons lose
        through the back of a thinner one is subtracted (integrals over directions by Gauss's rule).
    tertiary : add tertiary excitation (`tertiary.tertiary_decays`).
    substrate : mass fractions of a thick substrate under the specimen, whose lines then excite it from below; what the
        substrate itself shows is `substrate_photons`.

    Raises DomainError for contents that are no numbers or none above 0, and for a thickness that is not above 0.
    """
    weights = _checked_contents(model, mass_fraction, areal_density_g_cm2)
    sin_in, sin_out = np.sin(model.condition.incidence_angle_rad), np.sin(model.condition.take_off_angle_rad)
    a = weights @ model.tube_attenuation / sin_in
    b = weights @ model.line_attenuation / sin_out
    mu = weights @ model.exciting_attenuation
    strength = weights[model.group_element][model.exciting_group] * model.exciting_fraction
    geometry = _escape_integral(a, b, areal_density_g_cm2)
    geometry *= model.flux
    per_line = model.line_fraction * model.efficiency / (4.0 * np.pi * sin_in)
    shells = geometry @ model.group_production.T
    primary = per_line * shells[np.arange(len(model.lines)), model.line_group]
    twice = _enhancement(model, (a, b, mu), strength, geometry, shells, areal_density_g_cm2)
    if substrate is not None:
        twice += _from_substrate(model, (a, b, mu), substrate, areal_density_g_cm2)
    thrice = np.zeros(b.size)
    if tertiary:
        thrice = tertiary_decays(model, (a, b, mu), strength, areal_density_g_cm2)
    exciting, rayleigh, compton = (
        per_line * part for part in _after_scattering(model, weights, a, b, geometry, areal_density_g_cm2)
    )
    return LineStrengths(
        primary=primary,
        secondary=per_line * twice,
        tertiary=per_line * thrice,
        scattered=exciting + rayleigh,
        shoulder=compton,
    )


def substrate_photons(
    model: Excitation, mass_fraction: FloatArray, areal_density_g_cm2: float, substrate: FloatArray
) -> FloatArray:
    """Detected photons of every line from a thick substrate, seen through the specimen, / (s sr mA), shape (n_lines,).

    The strengths of the substrate times its contents, tube photons and lines weakened by exp(-a ρd) and exp(-b ρd) of
    the specimen. The specimen's lines do not excite the substrate.
    """
    weights = _checked_contents(model, mass_fraction, areal_density_g_cm2)
    sin_in, sin_out = np.sin(model.condition.incidence_angle_rad), np.sin(model.condition.take_off_angle_rad)
    through = replace(
        model,
        flux=model.flux * np.exp(-areal_density_g_cm2 * (weights @ model.tube_attenuation) / sin_in),
        efficiency=model.efficiency * np.exp(-areal_density_g_cm2 * (weights @ model.line_attenuation) / sin_out),
    )
    below = _checked_contents(model, substrate, areal_density_g_cm2)
    return line_strengths(through, below, np.inf).total * below[model.group_element][model.line_group]


def _checked_contents(model: Excitation, mass_fraction: FloatArray, areal_density: float) -> FloatArray:
    """Mass fractions with those below 0 as 0."""
    given = np.asarray(mass_fraction, dtype=np.float64)
    if given.shape != (len(model.elements),) or not np.isfinite(given).all() or not np.any(given > 0.0):
        raise DomainError(
            f"a specimen of {', '.join(model.elements)} needs as many mass fractions, numbers and not all 0; "
            f"got {given.tolist()}"
        )
    if not areal_density > 0.0:
        raise DomainError(f"areal density is {areal_density} g/cm², expected a number above 0, or infinity")
    return np.maximum(given, 0.0)


def _escape_integral(a: FloatArray, b: FloatArray, areal_density: float) -> FloatArray:
    """A = [1 - exp(-(a + b) ρd)] / (a + b), shape (n_lines, n_energies)."""
    path = np.add.outer(b, a)
    if np.isinf(areal_density):
        return np.asarray(np.reciprocal(path, out=path))
    return np.asarray(-np.expm1(-path * areal_density) / path)


def _enhancement(
    model: Excitation,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    strength: FloatArray,
    geometry: FloatArray,
    shells: FloatArray,
    areal_density: float,
) -> FloatArray:
    """Decays per line caused by lines of the specimen itself, before the factors all excitation shares."""
    a, b, mu = attenuation
    group = model.exciting_group
    inward = np.zeros((mu.size, a.size))
    sherman.inward_sums(inward, a, mu, strength, model.group_production, group)
    outward = np.zeros((b.size, len(model.groups)))
    sherman.outward_sums(outward, b, mu, strength, group, model.exciting_production, model.line_group)
    by_group = model.exciting_production @ inward
    half_space = 0.5 * ((geometry * by_group[model.line_group]).sum(axis=1) + (outward * shells).sum(axis=1))
    if np.isinf(areal_density):
        return np.asarray(half_space)
    missing, _ = _missing_from_below(model, attenuation, strength, areal_density)
    return np.asarray(half_space - missing)


def _from_substrate(
    model: Excitation,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    substrate: FloatArray,
    areal_density: float,
) -> FloatArray:
    """Decays per line caused by lines of a thick substrate."""
    weights = _checked_contents(model, substrate, areal_density)
    a, b, mu = attenuation
    below = (
        weights @ model.tube_attenuation / np.sin(model.condition.incidence_angle_rad),
        weights @ model.exciting_attenuation,
    )
    none = (np.zeros((a.size, 0)), np.zeros((b.size, 0)), np.zeros((mu.size, 0)))
    gained = np.zeros(b.size)
    sherman.gained_upwards(
        gained,
        np.zeros((b.size, 0)),
        attenuation,
        none,
        below,
        (none[0], none[2]),
        areal_density,
        weights[model.group_element][model.exciting_group] * model.exciting_fraction,
        none[2],
        model.flux * model.group_production,
        model.exciting_group,
        model.exciting_production,
        model.line_group,
        *DIRECTIONS,
    )
    return gained


def _missing_from_below(
    model: Excitation,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    strength: FloatArray,
    areal_density: float,
    tangents: tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """What the lower part of a half-space adds to the enhancement of a layer, with derivatives along tangents.

    attenuation : a, b, μ_j; tangents : of a, b, μ_j and of `strength`, shapes (n, n_tangents).
    """
    a, b, mu = attenuation
    if tangents is None:
        tangents = (np.zeros((a.size, 0)), np.zeros((b.size, 0)), np.zeros((mu.size, 0)), np.zeros((mu.size, 0)))
    by_a, by_b, by_mu, by_strength = tangents
    missing, change = np.zeros(b.size), np.zeros((b.size, by_a.shape[1]))
    source = (
        areal_density,
        strength,
        by_strength,
        model.flux * model.group_production,
        model.exciting_group,
        model.exciting_production,
        model.line_group,
        *DIRECTIONS,
    )
    sherman.lost_downwards(missing, change, attenuation, (by_a, by_b, by_mu), *source)
    below, below_tangent = (a, mu), (by_a, by_mu)
    sherman.gained_upwards(missing, change, attenuation, (by_a, by_b, by_mu), below, below_tangent, *source)
    return missing, change


def _after_scattering(
    model: Excitation, weights: FloatArray, a: FloatArray, b: FloatArray, geometry: FloatArray, areal_density: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Decays per line with one scattering inside the specimen, before the factors all excitation shares.

    Before the excitation (Rayleigh and Compton together); after it by Rayleigh; after it by Compton scattering.
    """
    before, after = np.zeros(b.size), np.zeros(b.size)
    attenuation = (a, b, weights @ model.compton_attenuation)
    cross_section = (weights @ model.tube_rayleigh, weights @ model.tube_compton)
    sherman.scattering_sums(
        before,
        after,
        geometry,
        *attenuation,
        *cross_section,
        model.group_production,
        model.compton_production,
        model.line_group,
        np.sin(model.condition.incidence_angle_rad),
        np.sin(model.condition.take_off_angle_rad),
    )
    if not np.isinf(areal_density):
        missing = _scattered_from_below(model, attenuation, cross_section, areal_density)
        before -= missing[0]
        after -= missing[1]
    return before, (weights @ model.line_rayleigh) * after, (weights @ model.line_compton) * after


def _scattered_from_below(
    model: Excitation,
    attenuation: tuple[FloatArray, FloatArray, FloatArray],
    cross_section: tuple[FloatArray, FloatArray],
    areal_density: float,
    tangents: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """What the lower part of a half-space adds to one scattering before and after excitation, with derivatives.

    attenuation : a, b, μ after Compton scattering; cross_section : Rayleigh, Compton of the tube's photons; tangents :
    of these five, shapes (n, n_tangents).
    """
    n_energies, n_lines = attenuation[0].size, attenuation[1].size
    if tangents is None:
        by_energy, by_line = np.zeros((n_energies, 0)), np.zeros((n_lines, 0))
        tangents = (by_energy, by_line, by_energy, by_energy, by_energy)
    before, after = np.zeros(n_lines), np.zeros(n_lines)
    before_tangent, after_tangent = np.zeros(tangents[1].shape), np.zeros(tangents[1].shape)
    sherman.scattering_beyond(
        before,
        after,
        before_tangent,
        after_tangent,
        areal_density,
        model.flux,
        attenuation,
        tangents[:3],
        cross_section,
        tangents[3:],
        model.group_production,
        model.compton_production,
        model.line_group,
        np.sin(model.condition.incidence_angle_rad),
        np.sin(model.condition.take_off_angle_rad),
        *DIRECTIONS,
    )
    return before, after, before_tangent, after_tangent
