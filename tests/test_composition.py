"""Compositions: oxides and elements both ways, and what is no composition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.atomic import parse_formula
from xrfree.composition import USUAL_OXIDES, Composition, element_fraction
from xrfree.errors import DomainError

OXIDES = st.dictionaries(
    st.sampled_from(sorted(set(USUAL_OXIDES.values()))), st.floats(1e-9, 0.3), min_size=1, max_size=4
)


@pytest.mark.parametrize(
    ("oxide", "element", "factor"),
    [
        # PHYSICS.md section 7; five digits, and the table's older atomic weights (La 138.92).
        ("La2O3", "La", 0.85269),
        ("CeO2", "Ce", 0.81409),
        ("Pr6O11", "Pr", 0.82771),
        ("Nd2O3", "Nd", 0.85737),
        ("Sm2O3", "Sm", 0.86235),
        ("Nb2O5", "Nb", 0.69904),
    ],
)
def test_oxide_factors_are_those_the_project_states(oxide: str, element: str, factor: float) -> None:
    assert element_fraction(oxide, element) == pytest.approx(factor, abs=2e-5)
    assert USUAL_OXIDES[element] == oxide


@pytest.mark.parametrize("element", sorted(USUAL_OXIDES))
def test_every_usual_oxide_contains_its_element_and_else_oxygen(element: str) -> None:
    fractions = parse_formula(USUAL_OXIDES[element])
    assert set(fractions) == {element, "O"}
    assert element_fraction(USUAL_OXIDES[element], element) + element_fraction(
        USUAL_OXIDES[element], "O"
    ) == pytest.approx(1.0, rel=1e-12)


def test_oxide_without_the_element_is_refused() -> None:
    with pytest.raises(DomainError, match="CeO2 does not contain La"):
        element_fraction("CeO2", "La")


@given(contents=OXIDES)
def test_oxides_survive_the_way_to_elements_and_back(contents: dict[str, float]) -> None:
    found = Composition.of(contents).as_oxides()
    assert found == pytest.approx(contents, rel=1e-12)


@given(contents=OXIDES)
def test_mass_is_kept(contents: dict[str, float]) -> None:
    assert Composition.of(contents).total == pytest.approx(sum(contents.values()), rel=1e-12)


@given(contents=OXIDES)
def test_normalised_keeps_proportions(contents: dict[str, float]) -> None:
    composition = Composition.of(contents)
    normalised = composition.normalised()
    assert normalised.total == pytest.approx(1.0, rel=1e-12)
    assert normalised.mass_fraction * composition.total == pytest.approx(composition.mass_fraction, rel=1e-12)


def test_elements_of_several_formulas_add_up() -> None:
    composition = Composition.of({"Fe2O3": 0.5, "Fe": 0.1, "SiO2": 0.4})
    assert composition["Fe"] == pytest.approx(0.1 + 0.5 * element_fraction("Fe2O3", "Fe"), rel=1e-12)
    assert composition["Nd"] == 0.0


def test_array_is_a_frozen_copy() -> None:
    given_array = np.array([0.4, 0.6])
    composition = Composition(elements=("Fe", "O"), mass_fraction=given_array)
    given_array[0] = 9.0
    assert composition["Fe"] == 0.4
    with pytest.raises(ValueError, match="read-only"):
        composition.mass_fraction[0] = 0.0


def test_small_negative_estimates_are_legal() -> None:
    assert Composition(elements=("Sm", "Fe"), mass_fraction=np.array([-1e-5, 0.5]))["Sm"] == -1e-5


@pytest.mark.parametrize(
    ("elements", "mass_fraction", "message"),
    [
        (("Fe", "Fe"), [0.1, 0.2], "names each element once, got Fe, Fe"),
        (("Fe", "Xx"), [0.1, 0.2], "'Xx' is not the symbol"),
        (("Fe",), [0.1, 0.2], r"1 elements needs as many mass fractions, got \(2,\)"),
        (("Fe",), [[0.1]], r"got \(1, 1\)"),
        (("Fe", "O"), [0.1, np.nan], "mass fraction of O is nan, expected kg/kg between 0 and 1"),
        (("Fe", "O"), [np.inf, 0.1], "mass fraction of Fe is inf"),
        (("Fe", "O"), [48.1, 0.1], "mass fraction of Fe is 48.1, expected kg/kg"),
    ],
)
def test_what_is_no_composition_is_refused(elements: tuple[str, ...], mass_fraction: list[float], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        Composition(elements=elements, mass_fraction=np.array(mass_fraction))


@pytest.mark.parametrize("total", [0.0, -0.1])
def test_nothing_cannot_be_normalised(total: float) -> None:
    with pytest.raises(DomainError, match=f"sum to {total}, cannot be normalised"):
        Composition(elements=("Fe",), mass_fraction=np.array([total])).normalised()


def test_what_is_no_formula_is_refused() -> None:
    with pytest.raises(DomainError, match="'ore' is not a chemical formula"):
        Composition.of({"ore": 0.5})
