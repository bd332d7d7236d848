"""Sherman's equation: direct integrals, another program, and the laws that every specimen obeys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, special

from xrfree.atomic import _tables, atomic_number
from xrfree.errors import DomainError
from xrfree.instrument import Absorber, Detector, InstrumentCondition
from xrfree.matrix.fundamental import (
    Excitation,
    LineStrengths,
    detector_efficiency,
    excitation,
    incident_flux,
    incident_lines,
    line_strengths,
    only_lines,
)

FloatArray = NDArray[np.float64]
OneEnergy = Callable[[Sequence[str], float], Excitation]

ORE = {"Fe": 0.50, "La": 0.02, "Ce": 0.03, "Nd": 0.01, "Ti": 0.02, "O": 0.42}
CERIA = {"Ce": 0.2, "Fe": 0.5, "O": 0.3}
DILUTE = {"Ce": 0.004, "Fe": 0.004, "O": 0.992}
plain_half_space = run_path(str(Path(__file__).with_name("plain.py")))["plain_half_space"]
PARTS = ("primary", "secondary", "scattered", "shoulder")


def strengths(model: Excitation, contents: dict[str, float], areal_density: float = np.inf) -> LineStrengths:
    """Strengths for a composition given by name; elements without a content are absent."""
    return line_strengths(model, np.array([contents.get(e, 0.0) for e in model.elements]), areal_density)


def index_of(model: Excitation, element: str, transition: str) -> int:
    return next(i for i, line in enumerate(model.lines) if (line.element, line.transition) == (element, transition))


def attenuation(contents: dict[str, float], energy_kev: FloatArray | float) -> FloatArray:
    """Mass attenuation of a mixture, cm²/g."""
    energy = np.atleast_1d(energy_kev)
    return np.asarray(sum(w * _tables.total_attenuation(atomic_number(e), energy) for e, w in contents.items()))


def decays(element: str, shell: str, energy_kev: FloatArray | float) -> FloatArray:
    """Radiative decays of a subshell per photon and unit mass per area, cm²/g."""
    z = atomic_number(element)
    transfer = _tables.vacancy_transfer(z, shell).items()
    energy = np.atleast_1d(energy_kev)
    return np.asarray(sum(n * _tables.shell_photo_absorption(z, donor, energy) for donor, n in transfer))


@pytest.fixture(scope="session")
def ore(condition: InstrumentCondition, detector: Detector) -> Excitation:
    return excitation(condition, detector, tuple(ORE))


# ---- direct integrals


@pytest.mark.parametrize(("contents", "areal_density"), [(CERIA, np.inf), (DILUTE, 0.01)], ids=["thick", "thin"])
@pytest.mark.parametrize(("element", "transition"), [("Ce", "L3-M5"), ("Ce", "L1-M3"), ("Fe", "K-L3")])
def test_primary_is_the_integral_over_energy_and_depth(
    condition: InstrumentCondition,
    detector: Detector,
    contents: dict[str, float],
    areal_density: float,
    element: str,
    transition: str,
) -> None:
    model = excitation(condition, detector, tuple(contents))
    line = model.lines[index_of(model, element, transition)]
    sin_in, sin_out = np.sin(condition.incidence_angle_rad), np.sin(condition.take_off_angle_rad)
    outward = attenuation(contents, line.energy_kev)[0] / sin_out
    total = 0.0

    def through_the_depth(energy: FloatArray, photons: FloatArray) -> float:
        inward = attenuation(contents, energy) / sin_in
        made = photons * decays(element, line.shell, energy) / sin_in
        # Fifty mean free paths instead of infinity.
        deepest = min(areal_density, 50.0 / float(outward + inward.min()))

        def reaching(depth: float) -> FloatArray:
            return np.asarray(np.exp(-(inward + outward) * depth))

        seen = integrate.quad_vec(reaching, 0.0, deepest, epsrel=1e-8)[0]
        return float(np.sum(made * seen))

    edges = [
        _tables.edge_energy_kev(atomic_number(e), shell) for e in (*contents, "Rh", "Be") for shell in _tables.SHELLS
    ]
    breaks = [1.0, *sorted(e for e in set(edges) if 1.0 < e < 15.0), 15.0]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for low, high in pairwise(breaks):
        energy = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        total += through_the_depth(energy, incident_flux(condition, energy) * 0.5 * (high - low) * weights)
    energy, photons = incident_lines(condition)
    total += through_the_depth(energy, photons)

    efficiency = detector_efficiency(detector, condition, np.array([line.energy_kev]))[0]
    expected = total * line.line_fraction * efficiency / (4.0 * np.pi)
    found = strengths(model, contents, areal_density).primary[index_of(model, element, transition)]
    # Three nodes per panel of ratio 1.12 (the model) against sixty between edges.
    assert found == pytest.approx(expected, rel=5e-4)


def seen_through_mutual(inward: float, outward: float, mu: float) -> float:
    """∫∫ exp(-a z) exp(-b z') ½ E1(μ |z - z'|) dz dz', by quadrature over both depths.

    ½ E1(μ d) is the share of a plane, isotropic source's photons that is absorbed per μ and depth at a distance d: the
    integral of exp(-μ d / cos θ) / cos θ over half of all directions.
    """
    x, w = np.polynomial.legendre.leggauss(60)

    def along(decay: float) -> tuple[FloatArray, FloatArray]:
        # depth = u⁴ deepest crowds the nodes at 0, where E1 has its logarithm
        u = 0.5 * (x + 1.0)
        deepest = 45.0 / decay
        return deepest * u**4, deepest * 4.0 * u**3 * 0.5 * w

    start, start_weight = along(inward + outward)
    total = 0.0
    for further in (outward, inward):
        # the photon goes deeper before it is absorbed (its line then has further to go), or comes up
        apart, apart_weight = along(further + mu)
        kernel = (
            np.exp(-(inward + outward) * start)[:, None] * np.exp(-further * apart) * 0.5 * special.exp1(mu * apart)
        )
        total += float(start_weight @ kernel @ apart_weight)
    return total


def seen_within_a_layer(inward: float, outward: float, mu: float, mass: float) -> float:
    """∫∫ exp(-a z) exp(-b z') ½ E1(μ |z - z'|) dz dz' over a layer of finite mass, by quadrature."""
    x, w = np.polynomial.legendre.leggauss(80)
    u, w = 0.5 * (x + 1.0), 0.5 * w
    total = 0.0
    for depth, weight in zip(mass * u, mass * w, strict=True):
        for span, sign in ((depth, -1.0), (mass - depth, 1.0)):
            # apart = u⁴ span crowds the nodes at 0, where E1 has its logarithm
            apart = span * u**4
            absorbed = 0.5 * special.exp1(mu * apart) * np.exp(-outward * (depth + sign * apart))
            total += weight * np.exp(-inward * depth) * float(np.sum(absorbed * 4.0 * span * u**3 * w))
    return total


@pytest.mark.parametrize("decay", [(1.0, 1.0, 1.0), (2.0, 0.3, 5.0), (40.0, 400.0, 70.0)])
def test_exponential_integral_is_the_integral_over_directions(decay: tuple[float, float, float]) -> None:
    inward, outward, mu = decay

    def towards(cosine: float) -> float:
        # both depths in closed form for one direction, down and up
        return (1.0 / (mu + outward * cosine) + 1.0 / (mu + inward * cosine)) / (inward + outward)

    expected = 0.5 * integrate.quad(towards, 0.0, 1.0)[0]
    # Quadrature with 60 x 60 nodes over the depths.
    assert seen_through_mutual(*decay) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("exciting", "energy_kev"), [("K-L3", 15.0), ("K-L3", 8.0)])
def test_secondary_is_the_integral_over_both_depths_and_directions(
    one_energy: OneEnergy, exciting: str, energy_kev: float
) -> None:
    contents = {"Ti": 0.05, "Fe": 0.6, "O": 0.35}
    model = one_energy(tuple(contents), energy_kev)
    target = index_of(model, "Ti", "K-L3")
    line = model.lines[target]
    sine = np.sin(np.pi / 4)
    inward = attenuation(contents, energy_kev)[0] / sine
    outward = attenuation(contents, line.energy_kev)[0] / sine
    expected = 0.0
    for source in (other for other in model.lines if other.element == "Fe" and other.shell == "K"):
        made = contents["Fe"] * decays("Fe", "K", energy_kev)[0] * source.line_fraction / sine
        mutual = seen_through_mutual(inward, outward, attenuation(contents, source.energy_kev)[0])
        expected += made * decays("Ti", "K", source.energy_kev)[0] * mutual
    expected *= line.line_fraction * model.efficiency[target] / (4.0 * np.pi)
    # The model leaves out exciting lines with less than 0.2 % of their shell.
    assert strengths(model, contents).secondary[target] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("mass", [3e-4, 3e-3, 3e-2], ids=["thin", "medium", "thick"])
def test_secondary_of_a_layer_is_the_integral_over_both_depths(one_energy: OneEnergy, mass: float) -> None:
    contents = {"Ti": 0.05, "Fe": 0.6, "O": 0.35}
    model = one_energy(tuple(contents), 15.0)
    target = index_of(model, "Ti", "K-L3")
    line = model.lines[target]
    sine = np.sin(np.pi / 4)
    inward = attenuation(contents, 15.0)[0] / sine
    outward = attenuation(contents, line.energy_kev)[0] / sine
    expected = 0.0
    for source in (other for other in model.lines if other.element == "Fe" and other.line_fraction > 2e-3):
        made = contents["Fe"] * decays("Fe", source.shell, 15.0)[0] * source.line_fraction / sine
        mutual = seen_within_a_layer(inward, outward, attenuation(contents, source.energy_kev)[0], mass)
        expected += made * decays("Ti", "K", source.energy_kev)[0] * mutual
    expected *= line.line_fraction * model.efficiency[target] / (4.0 * np.pi)
    # Twelve directions in the model, 80 x 80 depths here.
    assert strengths(model, contents, mass).secondary[target] == pytest.approx(expected, rel=1e-4)


def test_scattered_tube_photons_excite_as_an_integral_over_both_depths_says(one_energy: OneEnergy) -> None:
    contents = {"Fe": 0.4, "O": 0.6}
    energy_kev = 15.0
    model = one_energy(tuple(contents), energy_kev)
    target = index_of(model, "Fe", "K-L3")
    line = model.lines[target]
    sine = np.sin(np.pi / 4)
    inward = attenuation(contents, energy_kev)[0] / sine
    outward = attenuation(contents, line.energy_kev)[0] / sine

    def mixed(look_up: Callable[[int, FloatArray], FloatArray], energy: float) -> float:
        return float(sum(w * look_up(atomic_number(e), np.array([energy]))[0] for e, w in contents.items()))

    softened = energy_kev / (1.0 + energy_kev / 510.99895)
    own = attenuation(contents, line.energy_kev)[0]
    expected = 0.0
    for look_up, after in ((_tables.rayleigh, energy_kev), (_tables.compton, softened)):
        mutual = seen_through_mutual(inward, outward, attenuation(contents, after)[0])
        expected += mixed(look_up, energy_kev) * decays("Fe", "K", after)[0] * mutual
    made = decays("Fe", "K", energy_kev)[0]
    on_the_way_out = made * seen_through_mutual(inward, outward, own)
    expected += mixed(_tables.rayleigh, line.energy_kev) * on_the_way_out
    common = line.line_fraction * model.efficiency[target] / (4.0 * np.pi * sine)
    found = strengths(model, contents)
    # Quadrature with 60 x 60 nodes.
    assert found.scattered[target] == pytest.approx(expected * common, rel=1e-4)
    shoulder = mixed(_tables.compton, line.energy_kev) * on_the_way_out * common
    assert found.shoulder[target] == pytest.approx(shoulder, rel=1e-4)


@pytest.mark.parametrize("mass", [1e-3, 1e-2, 0.1], ids=["thin", "medium", "thick"])
def test_scattering_in_a_layer_is_the_integral_over_both_depths(one_energy: OneEnergy, mass: float) -> None:
    contents = {"Fe": 0.05, "O": 0.95}
    model = one_energy(tuple(contents), 15.0)
    target = index_of(model, "Fe", "K-L3")
    line = model.lines[target]
    sine = np.sin(np.pi / 4)
    inward, outward = (attenuation(contents, e)[0] / sine for e in (15.0, line.energy_kev))
    w = np.array([contents[e] for e in model.elements])
    before = (
        (w @ model.tube_rayleigh)[0]
        * decays("Fe", "K", 15.0)[0]
        * seen_within_a_layer(inward, outward, inward * sine, mass)
    )
    compton_mu = (w @ model.compton_attenuation)[0]
    group = model.line_group[target]
    before += (
        (w @ model.tube_compton)[0]
        * model.compton_production[group, 0]
        * seen_within_a_layer(inward, outward, compton_mu, mass)
    )
    after = decays("Fe", "K", 15.0)[0] * seen_within_a_layer(inward, outward, outward * sine, mass)
    common = line.line_fraction * model.efficiency[target] / (4.0 * np.pi * sine)
    found = strengths(model, contents, mass)
    # As above; the scattered light of a thin layer is a small part of its line.
    least = 3e-6 * found.primary[target]
    expected = before + (w @ model.line_rayleigh)[target] * after
    assert found.scattered[target] == pytest.approx(expected * common, rel=1e-4, abs=least)
    shoulder = (w @ model.line_compton)[target] * after * common
    assert found.shoulder[target] == pytest.approx(shoulder, rel=1e-4, abs=least)


@settings(max_examples=10)
@given(mass_fraction=st.lists(st.floats(1e-9, 1.0), min_size=6, max_size=6))
def test_strengths_are_those_of_the_plain_formula(ore: Excitation, mass_fraction: list[float]) -> None:
    weights = np.array(mass_fraction) / sum(mass_fraction)
    found = line_strengths(ore, weights, np.inf)
    for part, expected in plain_half_space(ore, weights).items():
        # Rounding of sums in another order.
        assert getattr(found, part) == pytest.approx(expected, rel=1e-11)


# ---- another program


@pytest.fixture(scope="module")
def fisx_library() -> Any:
    fisx = pytest.importorskip("fisx", reason="fisx is the other program; pip install xrfree[peers]")
    library = fisx.Elements()
    library.initializeAsPyMca()
    material = fisx.Material("Ore", 1.0, 10.0)
    material.setComposition(ORE)
    library.addMaterial(material)
    return library


def fisx_rates(library: Any, energy_kev: float, groups: list[str]) -> dict[tuple[str, str], dict[str, float]]:
    fisx = pytest.importorskip("fisx")
    setup = fisx.XRF()
    setup.setBeam([energy_kev], [1.0])
    setup.setGeometry(45.0, 45.0)
    setup.setSample([["Ore", 1.0, 10.0]])
    answer: dict[str, Any] = setup.getMultilayerFluorescence(
        groups, library, secondary=1, useMassFractions=1, useGeometricEfficiency=0
    )
    found = {}
    for group, layers in answer.items():
        for name, rates in layers[0].items():
            shell = 1 if name[0] == "K" else 2
            # fisx counts coherent scattering as secondary excitation; xrfree has a place of its own for it.
            secondary = rates["secondary"] - sum(v for k, v in rates.items() if k.startswith("coherent"))
            line = (group.split()[0], f"{name[:shell]}-{name[shell:]}")
            found[line] = {"primary": rates["primary"], "enhancement": 1.0 + secondary / rates["primary"]}
    return found


@pytest.mark.parametrize("energy_kev", [8.5, 15.0])
def test_intensities_and_enhancement_are_those_of_fisx(
    one_energy: OneEnergy, fisx_library: Any, energy_kev: float
) -> None:
    other = fisx_rates(fisx_library, energy_kev, ["Ti K", "Fe K", "La L", "Ce L", "Nd L"])
    model = one_energy(tuple(ORE), energy_kev)
    found = strengths(model, ORE)
    compared = 0
    for k, line in enumerate(model.lines):
        rates = other.get((line.element, line.transition))
        if rates is None or line.line_fraction < 0.05:
            continue
        primary = 4.0 * np.pi * found.primary[k] / model.efficiency[k] * ORE[line.element]
        enhancement = 1.0 + found.secondary[k] / found.primary[k]
        if line.shell == "K":
            # Yields, line fractions and energies are the same tables, attenuation differs by 0.2 %.
            assert primary == pytest.approx(rates["primary"], rel=5e-3), line
            assert enhancement == pytest.approx(rates["enhancement"], rel=5e-3), line
        else:
            # L subshells: Kissel's cross sections against Scofield's with Coster-Kronig data of others: 4 to 13 % lower
            # here. The enhancement sees that only as its change from the exciting energy to 6.4 keV.
            assert 0.85 < primary / rates["primary"] < 1.0, line
            assert enhancement == pytest.approx(rates["enhancement"], rel=0.02), line
        compared += 1
    assert compared >= 20


# ---- laws


@settings(max_examples=20)
@given(factor=st.floats(1e-3, 1e3))
def test_intensities_scale_with_the_flux(ore: Excitation, factor: float) -> None:
    brighter = strengths(replace(ore, flux=ore.flux * factor), ORE)
    for part in PARTS:
        # Rounding of sums over energies.
        assert getattr(brighter, part) == pytest.approx(factor * getattr(strengths(ore, ORE), part), rel=1e-10)


def test_every_photon_energy_adds_its_own_share(ore: Excitation) -> None:
    odd = np.arange(ore.flux.size) % 2 == 1
    halves = [strengths(replace(ore, flux=np.where(mask, ore.flux, 0.0)), ORE) for mask in (odd, ~odd)]
    for part in PARTS:
        together = getattr(halves[0], part) + getattr(halves[1], part)
        assert together == pytest.approx(getattr(strengths(ore, ORE), part), rel=1e-10)


@settings(max_examples=12)
@given(order=st.permutations(list(ORE)))
def test_order_of_elements_changes_nothing(
    condition: InstrumentCondition, detector: Detector, ore: Excitation, order: list[str]
) -> None:
    other = excitation(condition, detector, order)
    here, there = strengths(ore, ORE), strengths(other, ORE)
    places = [index_of(other, line.element, line.transition) for line in ore.lines]
    assert len(other.lines) == len(ore.lines)
    for part in PARTS:
        assert getattr(there, part)[places] == pytest.approx(getattr(here, part), rel=1e-10)


def test_element_without_content_changes_nothing(
    condition: InstrumentCondition, detector: Detector, ore: Excitation
) -> None:
    wider = excitation(condition, detector, (*ORE, "Ba", "S"))
    places = [index_of(wider, line.element, line.transition) for line in ore.lines]
    here, there = strengths(ore, ORE), strengths(wider, ORE)
    for part in PARTS:
        # More absorption edges make other quadrature panels; La L2 has a step of 27 % at 0.3 % above its tabulated edge
        # (xraylib and Kissel place the edge differently), which no quadrature resolves: 0.3 %. All others: 0.1 %.
        assert getattr(there, part)[places] == pytest.approx(getattr(here, part), rel=4e-3)
        smooth = [(line.element, line.shell) != ("La", "L2") for line in ore.lines]
        assert getattr(there, part)[places][smooth] == pytest.approx(getattr(here, part)[smooth], rel=1e-3)


@pytest.mark.parametrize("areal_density", [np.inf, 0.01])
@pytest.mark.parametrize("element", ["La", "Ti", "Fe"])
def test_some_of_the_lines_are_as_strong_as_among_all(ore: Excitation, element: str, areal_density: float) -> None:
    mine = np.array([line.element == element for line in ore.lines])
    weights = np.array(list(ORE.values()))
    every = line_strengths(ore, weights, areal_density, tertiary=True)
    some = only_lines(ore, mine)
    found = line_strengths(some, weights, areal_density, tertiary=True)
    assert {line.element for line in some.lines} == {element}
    assert len(some.exciting_lines) < len(ore.exciting_lines)
    for part in (*PARTS, "tertiary"):
        # Sums over fewer terms of which the others are 0: rounding alone.
        np.testing.assert_allclose(getattr(found, part), getattr(every, part)[mine], rtol=1e-12)


@pytest.mark.parametrize("wanted", [("Ti", "Fe"), ("Ce L", "La L"), ("Ti",)])
def test_lines_not_wanted_still_absorb_and_excite_and_are_not_emitted(
    condition: InstrumentCondition, detector: Detector, wanted: tuple[str, ...]
) -> None:
    whole = excitation(condition, detector, tuple(ORE))
    only = excitation(condition, detector, tuple(ORE), emitting=wanted)
    assert {line.element for line in only.lines} == {name.split()[0] for name in wanted}
    places = [index_of(whole, line.element, line.transition) for line in only.lines]
    for part in PARTS:
        # Lines too soft to excite any wanted line are left out: no difference but the order of sums.
        assert getattr(strengths(only, ORE), part) == pytest.approx(
            getattr(strengths(whole, ORE), part)[places], rel=1e-10
        )


@given(
    mass_fraction=st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6).filter(lambda w: sum(w) > 0.05),
)
def test_nothing_is_negative_and_everything_a_number(ore: Excitation, mass_fraction: list[float]) -> None:
    weights = np.array(mass_fraction) / sum(mass_fraction)
    found = line_strengths(ore, weights, np.inf)
    for part in PARTS:
        values = getattr(found, part)
        assert np.isfinite(values).all()
        assert np.all(values >= 0.0)
    assert np.all(found.total >= found.primary)


@pytest.mark.parametrize("element", list(ORE))
def test_pure_elements_give_numbers(ore: Excitation, element: str) -> None:
    found = strengths(ore, {element: 1.0})
    assert all(np.isfinite(getattr(found, part)).all() for part in PARTS)
    mine = [line.element == element for line in ore.lines]
    assert np.all(found.primary[mine] > 0.0)


@pytest.mark.parametrize("element", list(ORE))
def test_strength_per_content_has_a_limit_at_zero_content(ore: Excitation, element: str) -> None:
    trace, absent = strengths(ore, {**ORE, element: 1e-9}), strengths(ore, {**ORE, element: 0.0})
    for part in PARTS:
        # 1e-9 of an element adds 1e-6 to the attenuation of the lightest matrix at most; lines that nothing else
        # excites are compared with a millionth of their primary strength.
        size = np.maximum(getattr(absent, part), 1e-6 * absent.primary)
        assert np.all(np.abs(getattr(trace, part) - getattr(absent, part)) <= 1e-5 * size)


@given(content=st.floats(1e-9, 0.98), more=st.floats(1.001, 2.0), element=st.sampled_from(list(ORE)))
def test_more_of_an_element_gives_more_of_its_light(ore: Excitation, content: float, more: float, element: str) -> None:
    place = ore.elements.index(element)
    rest = np.array([0.0 if e == element else ORE[e] for e in ore.elements])
    rest /= rest.sum()
    intensities = []
    for w in (content, min(more * content, 1.0)):
        weights = (1.0 - w) * rest
        weights[place] = w
        mine = np.array([line.element == element for line in ore.lines])
        intensities.append(w * line_strengths(ore, weights, np.inf).total[mine])
    assert np.all(intensities[1] > intensities[0])


def test_negative_content_counts_as_none(ore: Excitation) -> None:
    below, absent = strengths(ore, {**ORE, "Nd": -0.001}), strengths(ore, {**ORE, "Nd": 0.0})
    assert np.array_equal(below.total, absent.total)


def test_thick_specimen_ignores_its_thickness(ore: Excitation) -> None:
    infinite = strengths(ore, ORE, np.inf)
    for areal_density in (1.0, 30.0):
        thick = strengths(ore, ORE, areal_density)
        for part in PARTS:
            # 1 g/cm² of ore lets through less than exp(-30) at 15 keV.
            assert getattr(thick, part) == pytest.approx(getattr(infinite, part), rel=1e-9)


def test_thin_film_gives_lines_in_proportion_to_its_mass(one_energy: OneEnergy) -> None:
    model = one_energy(("Ti", "O"), 8.0)
    one, two = (strengths(model, {"Ti": 0.5, "O": 0.5}, mass).primary for mass in (1e-7, 2e-7))
    # Self-absorption in 2e-7 g/cm² is below 1e-3 even for the softest line.
    assert two == pytest.approx(2.0 * one, rel=2e-3)


@given(areal_density=st.floats(0.05, 1.0), more=st.floats(1.0, 3.0))
def test_more_specimen_never_gives_less(ore: Excitation, areal_density: float, more: float) -> None:
    less, thicker = strengths(ore, ORE, areal_density), strengths(ore, ORE, more * areal_density)
    assert np.all(thicker.primary >= less.primary * (1.0 - 1e-12))
    assert np.all(thicker.secondary >= less.secondary * (1.0 - 1e-12))


def test_iron_enhances_what_it_can_and_nothing_else(one_energy: OneEnergy) -> None:
    model = one_energy(("Ti", "Fe", "Nb", "O"), 20.0)
    found = strengths(model, {"Ti": 0.01, "Fe": 0.5, "Nb": 0.01, "O": 0.48})
    without = strengths(model, {"Ti": 0.01, "Nb": 0.01, "O": 0.98})
    titanium, niobium = index_of(model, "Ti", "K-L3"), index_of(model, "Nb", "K-L3")
    assert found.secondary[titanium] > 0.5 * found.primary[titanium]
    assert found.secondary[niobium] == without.secondary[niobium] == 0.0


def test_line_ratios_within_a_subshell_are_the_tables_where_nothing_absorbs(one_energy: OneEnergy) -> None:
    model = one_energy(("Ce", "O"), 15.0)
    thin = strengths(model, {"Ce": 0.004, "O": 0.996}, 1e-6).primary / model.efficiency
    alpha, beta = index_of(model, "Ce", "L3-M5"), index_of(model, "Ce", "L3-N5")
    table = model.lines[beta].line_fraction / model.lines[alpha].line_fraction
    # Self-absorption in 1e-6 g/cm² is below 1e-3.
    assert thin[beta] / thin[alpha] == pytest.approx(table, rel=1e-3)


@pytest.mark.parametrize("elements", [(), ("Fe", "Fe"), ("Fe", "O", "Fe")])
def test_elements_must_be_named_once(
    condition: InstrumentCondition, detector: Detector, elements: tuple[str, ...]
) -> None:
    with pytest.raises(DomainError, match="the model needs each element once, got"):
        excitation(condition, detector, elements)


def test_specimen_that_emits_nothing_is_refused_by_name(condition: InstrumentCondition, detector: Detector) -> None:
    with pytest.raises(DomainError, match=r"B, O: no line above 1.2 keV that 15 kV can excite; name an"):
        excitation(condition, detector, ("B", "O"))


def test_detector_sees_less_through_a_window_and_of_hard_photons(condition: InstrumentCondition) -> None:
    energy = np.array([2.0, 6.0, 15.0, 30.0])
    bare = detector_efficiency(Detector(crystal="Si", thickness_cm=0.05), condition, energy)
    covered = detector_efficiency(
        Detector(crystal="Si", thickness_cm=0.05, windows=(Absorber(formula="Be", areal_density_g_cm2=0.0015),)),
        condition,
        energy,
    )
    assert np.all((bare > 0.0) & (bare <= 1.0))
    assert np.all(covered < bare)
    assert bare[0] > 0.99
    assert bare[3] < bare[2]
