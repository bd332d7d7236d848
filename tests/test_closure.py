"""From seen elements to the whole specimen: mass is kept, and fluorine replaces oxygen atom for charge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.atomic import parse_formula
from xrfree.closure import specimen_elements, whole_composition
from xrfree.errors import DomainError
from xrfree.method import ConditionMatch, Method, Region, UnseenRule
from xrfree.specimen import Fusion, Specimen, SpecimenForm

OXIDES = {"La": "La2O3", "Ce": "CeO2", "Fe": "Fe2O3", "Ca": "CaO", "Si": "SiO2"}
LOSS = {"CO2": 0.7, "H2O": 0.3}
ELEMENTS = (*OXIDES, "O", "C", "H", "F", "Li", "B")
SEEN = st.fixed_dictionaries({e: st.floats(0.0, 0.1) for e in OXIDES})


def rule(remainder: str = "F-O") -> UnseenRule:
    return UnseenRule(oxides=OXIDES, loss_on_ignition=LOSS, remainder=remainder)


def powder(loss_on_ignition: float | None = None) -> Specimen:
    return Specimen(
        form=SpecimenForm.PRESSED_POWDER,
        density_g_cm3=2.5,
        thickness_cm=0.3,
        loss_on_ignition=loss_on_ignition,
    )


def bead() -> Specimen:
    record = Fusion(
        flux=(("Li2B4O7", 12.0), ("LiBO2", 22.0)), sample_g=1.0, flux_g=10.0, ignited_mass_per_g_sample=0.95
    )
    return Specimen(form=SpecimenForm.FUSED_BEAD, density_g_cm3=2.4, thickness_cm=0.3, fusion=record)


def whole(seen: dict[str, float], specimen: Specimen, remainder: str = "F-O") -> dict[str, float]:
    found = whole_composition(seen, specimen, rule(remainder), ELEMENTS)
    return dict(zip(ELEMENTS, found.tolist(), strict=True))


@given(seen=SEEN, loss=st.floats(0.0, 0.3), remainder=st.sampled_from(["SiO2", "CaCO3", "O", "F"]))
def test_everything_sums_to_one(seen: dict[str, float], loss: float, remainder: str) -> None:
    found = whole(seen, powder(loss), remainder)
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-9)
    assert min(found.values()) >= 0.0


@given(seen=SEEN)
def test_bead_sums_to_one_and_holds_its_flux(seen: dict[str, float]) -> None:
    small = {e: 0.1 * w for e, w in seen.items()}
    found = whole(small, bead(), "SiO2")
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-9)
    tetraborate, metaborate = parse_formula("Li2B4O7"), parse_formula("LiBO2")
    for element in ("Li", "B"):
        per_flux = (12.0 * tetraborate[element] + 22.0 * metaborate[element]) / 34.0
        assert found[element] == pytest.approx(10.0 / 10.95 * per_flux, rel=1e-9)


@given(seen=SEEN, loss=st.one_of(st.none(), st.floats(0.0, 0.2)))
def test_seen_elements_keep_their_contents(seen: dict[str, float], loss: float | None) -> None:
    found = whole(seen, powder(loss), "O")
    assert {e: found[e] for e in OXIDES} == pytest.approx(seen, rel=1e-12)


def test_oxygen_is_that_of_the_oxides() -> None:
    found = whole({"Fe": 0.3}, powder(), "CaF2")
    fractions = parse_formula("Fe2O3")
    assert found["O"] == pytest.approx(0.3 / fractions["Fe"] * fractions["O"], rel=1e-12)


@given(fluorite=st.floats(0.01, 0.5))
def test_fluorine_that_took_the_place_of_oxygen_is_found_in_fluorite(fluorite: float) -> None:
    """A mixture of fluorite and quartz whose calcium and silicon are seen: all fluorine comes from what is missing."""
    calcium = fluorite * parse_formula("CaF2")["Ca"]
    silicon = (1.0 - fluorite) * parse_formula("SiO2")["Si"]
    found = whole({"Ca": calcium, "Si": silicon}, powder())
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-9)
    assert found["F"] == pytest.approx(fluorite * parse_formula("CaF2")["F"], rel=1e-6)
    assert found["O"] == pytest.approx((1.0 - fluorite) * parse_formula("SiO2")["O"], rel=1e-6)


def test_no_more_oxygen_is_replaced_than_there_is() -> None:
    found = whole({"Fe": 0.01}, powder())
    assert found["O"] == pytest.approx(0.0, abs=1e-15)
    assert sum(found.values()) < 1.0


def test_more_than_everything_leaves_no_remainder() -> None:
    found = whole({"Fe": 0.69, "Ca": 0.1}, powder(), "SiO2")
    assert found["Si"] == 0.0
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-12)


@given(seen=SEEN, below=st.floats(-0.01, 0.0))
def test_negative_content_counts_as_none(seen: dict[str, float], below: float) -> None:
    assert whole({**seen, "Ce": below}, powder()) == whole({**seen, "Ce": 0.0}, powder())


def test_loss_of_a_powder_is_what_the_rule_says() -> None:
    found = whole({"Fe": 0.3}, powder(0.1), "SiO2")
    assert found["C"] == pytest.approx(0.07 * parse_formula("CO2")["C"], rel=1e-12)
    assert found["H"] == pytest.approx(0.03 * parse_formula("H2O")["H"], rel=1e-12)


def test_ore_that_gains_mass_on_ignition_has_no_negative_contents() -> None:
    found, fired = whole({"Fe": 0.6}, powder(-0.02), "SiO2"), whole({"Fe": 0.6}, powder(0.0), "SiO2")
    assert min(found.values()) >= 0.0
    assert found["C"] == found["H"] == 0.0
    # what the ore still lacks in oxygen is remainder
    assert found["Si"] - fired["Si"] == pytest.approx(0.02 * parse_formula("SiO2")["Si"], rel=1e-9)
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-12)


def method(**changes: Any) -> Method:
    fields: dict[str, Any] = {
        "name": "ore",
        "analytes": ("La", "Ce"),
        "regions": (
            Region(
                name="band",
                condition="low",
                ranges_kev=((3.6, 8.2),),
                quantified=("Fe K", "La L", "Ce L", "Ca K"),
            ),
        ),
        "conditions": {"low": ConditionMatch(names=("low",))},
        "unseen": rule(),
    }
    return Method(**(fields | changes))


def test_elements_of_a_specimen_are_the_seen_ones_first_and_each_once() -> None:
    elements = specimen_elements(method())
    assert elements[:4] == ("La", "Ce", "Fe", "Ca")
    assert len(set(elements)) == len(elements)
    assert {"O", "C", "H", "F", "Li", "B"} <= set(elements)


@given(
    seen=st.fixed_dictionaries({e: st.floats(0.0, 0.1) for e in ("La", "Ce", "Fe", "Ca")}),
    loss=st.floats(0.0, 0.2),
)
def test_elements_of_a_specimen_hold_all_of_its_mass(seen: dict[str, float], loss: float) -> None:
    made = method(unseen=rule("H2O"))
    found = whole_composition(seen, powder(loss), made.unseen, specimen_elements(made))
    assert np.sum(found) == pytest.approx(1.0, rel=1e-9)


def test_remainder_of_another_element_is_not_lost() -> None:
    made = method(unseen=rule("SiO2"))
    found = whole_composition({"Fe": 0.3}, powder(), made.unseen, specimen_elements(made))
    assert np.sum(found) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oxides": {"La": "CeO2"}}, "La is to be bound as CeO2, which does not contain it"),
        ({"oxides": {"La": "lanthana"}}, "not a chemical formula"),
        ({"loss_on_ignition": {"CO2": 0.5}}, "shares of the loss on ignition must sum to 1"),
        ({"loss_on_ignition": {"steam": 1.0}}, "not a chemical formula"),
        ({"remainder": "rest"}, "not a chemical formula"),
    ],
)
def test_impossible_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"oxides": OXIDES, "loss_on_ignition": LOSS}
    with pytest.raises(DomainError, match=message):
        UnseenRule(**(fields | changes))


def test_nothing_of_the_flux_is_lost() -> None:
    record = Fusion(flux=(("LiBO2", 9.95), ("LiBr", 0.05)), sample_g=1.0, flux_g=10.0, ignited_mass_per_g_sample=1.0)
    specimen = Specimen(form=SpecimenForm.FUSED_BEAD, density_g_cm3=2.4, thickness_cm=0.3, fusion=record)
    made = method(unseen=rule("O"))
    found = whole_composition({"Fe": 0.01}, specimen, made.unseen, specimen_elements(made, [specimen]))
    assert np.sum(found) == pytest.approx(1.0, rel=1e-9)
    with pytest.raises(DomainError, match="contains Br by its flux"):
        whole_composition({"Fe": 0.01}, specimen, made.unseen, specimen_elements(made))
