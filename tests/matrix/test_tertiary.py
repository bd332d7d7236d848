"""Tertiary excitation and substrates: integrals over depths, limits, laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from xrfree.errors import DomainError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.fundamental import Excitation, excitation, line_strengths, substrate_photons

FloatArray = NDArray[np.float64]
OneEnergy = Callable[[Sequence[str], float], Excitation]
ELEMENTS = ("Zr", "Fe", "Ti", "O")
ORE = np.array([0.1, 0.4, 0.05, 0.45])
SINE = np.sin(np.pi / 4)


def index_of(model: Excitation, element: str, transition: str) -> int:
    return next(i for i, line in enumerate(model.lines) if (line.element, line.transition) == (element, transition))


def light_at(decay: float, mu: float, depth: FloatArray, deepest: float) -> FloatArray:
    """∫ dz' ½ E1(μ |z - z'|) exp(-decay z') over 0 to `deepest` at every depth, by quadrature."""
    x, w = np.polynomial.legendre.leggauss(60)
    u, w = 0.5 * (x + 1.0), 0.5 * w
    found = np.zeros_like(depth)
    for sign, span in ((-1.0, depth), (1.0, np.minimum(deepest - depth, 45.0 / (mu + decay)))):
        # apart = u⁴ span crowds the nodes at 0, where E1 has its logarithm
        apart = span[:, None] * u**4
        kernel = 0.5 * special.exp1(mu * np.maximum(apart, 1e-300)) * np.exp(-decay * (depth[:, None] + sign * apart))
        found += (kernel * 4.0 * span[:, None] * u**3 * w).sum(axis=1)
    return found


@pytest.mark.parametrize("mass", [np.inf, 4e-3], ids=["thick", "layer"])
def test_tertiary_is_the_integral_over_three_depths(one_energy: OneEnergy, mass: float) -> None:
    model = one_energy(ELEMENTS, 20.0)
    target = index_of(model, "Ti", "K-L3")
    a = float(ORE @ model.tube_attenuation[:, 0]) / SINE
    b = float(ORE @ model.line_attenuation[:, target]) / SINE
    mu = ORE @ model.exciting_attenuation
    strength = ORE[model.group_element[model.exciting_group]] * model.exciting_fraction
    deepest = min(mass, 40.0 / a)
    x, w = np.polynomial.legendre.leggauss(80)
    depth, weight = deepest * (0.5 * (x + 1.0)) ** 3, deepest * 1.5 * (0.5 * (x + 1.0)) ** 2 * w
    expected = 0.0
    for k, second in enumerate(model.exciting_group):
        ends = strength[k] * model.exciting_production[model.line_group[target], k]
        if ends == 0.0:
            continue
        vacancies = np.zeros_like(depth)
        for j, first in enumerate(model.exciting_group):
            begins = strength[j] * model.exciting_production[second, j] * model.group_production[first, 0]
            if begins > 0.0:
                vacancies += begins * light_at(a, mu[j], depth, deepest)
        expected += ends * float(np.sum(weight * vacancies * light_at(b, mu[k], depth, deepest)))
    expected *= model.line_fraction[target] * model.efficiency[target] / (4.0 * np.pi * SINE)
    found = line_strengths(model, ORE, mass, tertiary=True).tertiary[target]
    # Lines with less than 0.03 % of content times fraction are left out in the model; nodes of both.
    assert found == pytest.approx(expected, rel=5e-3)
    assert found > 0.0


def test_tertiary_is_off_unless_asked_for(one_energy: OneEnergy) -> None:
    model = one_energy(ELEMENTS, 20.0)
    without, added = (line_strengths(model, ORE, np.inf, tertiary=on) for on in (False, True))
    assert not without.tertiary.any()
    assert np.all(added.tertiary >= 0.0)
    assert np.array_equal(added.total - added.tertiary, without.total) or added.total == pytest.approx(
        without.total + added.tertiary, rel=1e-14
    )


def test_chain_needs_two_exciting_lines(one_energy: OneEnergy) -> None:
    model = one_energy(("Fe", "Ti", "O"), 8.0)
    found = line_strengths(model, np.array([0.5, 0.05, 0.45]), np.inf, tertiary=True)
    # Iron excites titanium; nothing excites iron, and titanium excites only what it cannot see here.
    assert found.tertiary[index_of(model, "Fe", "K-L3")] == 0.0
    assert found.tertiary[index_of(model, "Ti", "K-L3")] < 1e-4 * found.primary[index_of(model, "Ti", "K-L3")]


@pytest.fixture(scope="module")
def ore(condition: InstrumentCondition, detector: Detector) -> Excitation:
    return excitation(condition, detector, ELEMENTS)


@pytest.mark.parametrize("mass", [1e-3, 1e-2])
def test_layer_on_its_own_material_is_a_thick_specimen(ore: Excitation, mass: float) -> None:
    layer = line_strengths(ore, ORE, mass, substrate=ORE)
    below = substrate_photons(ore, ORE, mass, ORE)
    thick = line_strengths(ore, ORE, np.inf)
    own = ORE[ore.group_element][ore.line_group]
    # What scattering and the specimen's lines do across the border is left out: below 3 % of these lines.
    whole = (layer.primary + layer.secondary) * own + below
    assert whole == pytest.approx(thick.total * own, rel=0.03)
    assert layer.primary + below / own == pytest.approx(thick.total, rel=0.25)


def test_lines_of_a_substrate_excite_a_film(one_energy: OneEnergy) -> None:
    model = one_energy(ELEMENTS, 20.0)
    film, iron = np.array([0.0, 0.0, 0.6, 0.4]), np.array([0.0, 1.0, 0.0, 0.0])
    alone, on_iron = (line_strengths(model, film, 1e-4, substrate=s) for s in (None, iron))
    titanium = index_of(model, "Ti", "K-L3")
    # A film this thin on iron sees half of all the iron lines that leave it.
    assert on_iron.secondary[titanium] > alone.secondary[titanium] + 0.1 * alone.primary[titanium]
    assert np.array_equal(on_iron.primary, alone.primary)
    photons = substrate_photons(model, film, 1e-4, iron)
    bare = line_strengths(model, iron, np.inf).total[index_of(model, "Fe", "K-L3")]
    assert photons[titanium] == 0.0
    assert 0.9 * bare < photons[index_of(model, "Fe", "K-L3")] < bare


@pytest.mark.parametrize(
    ("mass_fraction", "areal_density"),
    [
        (np.array([0.1, 0.2]), 1.0),
        (np.array([0.1, np.nan, 0.2, 0.7]), 1.0),
        (np.zeros(4), 1.0),
        (-np.ones(4), 1.0),
        (ORE, 0.0),
        (ORE, -1.0),
        (ORE, np.nan),
    ],
)
def test_impossible_specimens_are_refused(ore: Excitation, mass_fraction: FloatArray, areal_density: float) -> None:
    with pytest.raises(DomainError, match=r"mass fractions|areal density"):
        line_strengths(ore, mass_fraction, areal_density)
