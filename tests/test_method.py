"""Methods: parts that fit together, and refusals that name what does not."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from xrfree.errors import DomainError
from xrfree.method import ConditionMatch, Method, Region, UnseenRule, split_group
from xrfree.specimen import Specimen, SpecimenForm

OXIDES = {"La": "La2O3", "Ce": "CeO2", "Fe": "Fe2O3", "Nb": "Nb2O5"}


def region(**changes: Any) -> Region:
    fields: dict[str, Any] = {
        "name": "band",
        "condition": "low",
        "ranges_kev": ((3.6, 8.2),),
        "quantified": ("Fe K", "La L", "Ce L"),
        "accompanying": ("Ba L",),
    }
    return Region(**(fields | changes))


def method(**changes: Any) -> Method:
    fields: dict[str, Any] = {
        "name": "ore",
        "analytes": ("Ce", "La"),
        "regions": (region(),),
        "conditions": {"low": ConditionMatch(names=("low", "15 kV"), tube_voltage_kv=15.0)},
        "unseen": UnseenRule(oxides=OXIDES, loss_on_ignition={"CO2": 1.0}),
        "specimen": Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=2.5, thickness_cm=0.3),
        "sha256": "ab" * 32,
    }
    return Method(**(fields | changes))


def test_group_is_an_element_and_a_series() -> None:
    assert split_group("La L") == ("La", "L")
    assert split_group("Fe K") == ("Fe", "K")


@pytest.mark.parametrize("group", ["", "L", "Xx L", "la L", "La N", "La Lα", " L"])
def test_what_is_no_line_group_is_refused(group: str) -> None:
    with pytest.raises(DomainError, match=r"is not the symbol of an element|is not a series"):
        split_group(group)


@pytest.mark.parametrize("group", ["La", "La ", "La L3", "La L1"])
def test_group_without_a_whole_series_is_refused(group: str) -> None:
    with pytest.raises(DomainError, match="is not a series"):
        split_group(group)


def test_analytes_come_first_in_the_order_they_were_asked_for() -> None:
    assert method().quantified_elements == ("Ce", "La", "Fe")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantified": ("La L", "La L")}, "region band names a line group twice"),
        ({"accompanying": ("La L",)}, "region band names a line group twice"),
        ({"quantified": ("La Q",)}, "'Q' is not a series"),
        ({"ranges_kev": ()}, "region band needs ranges with 0 < low < high in keV"),
        ({"ranges_kev": ((5.0, 4.0),)}, "region band needs ranges"),
        ({"ranges_kev": ((0.0, 4.0),)}, "region band needs ranges"),
        ({"ranges_kev": ((float("nan"), 4.0),)}, "region band needs ranges"),
        ({"background_terms": 0}, "region band: background_terms is 0, expected 1 to 16"),
        ({"background_terms": 17}, "background_terms is 17"),
    ],
)
def test_impossible_region_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        region(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"analytes": ("La", "Nd")}, "no region quantifies Nd"),
        (
            {"regions": (region(), region(name="second", quantified=("La K",), accompanying=()))},
            "La would be quantified from two line groups of the condition low; choose one",
        ),
        (
            {"unseen": UnseenRule(oxides={"La": "La2O3", "Ce": "CeO2"}, loss_on_ignition={"CO2": 1.0})},
            "binds no oxide of Fe",
        ),
        ({"conditions": {"high": ConditionMatch(names=("high",))}}, "no condition is called low"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        method(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {name: value},
            marks=pytest.mark.xfail(strict=True, reason="not checked by the method (its document may do so)"),
        )
        for name, value in [
            ("coverage_factor", -2.0),
            ("coverage_factor", float("nan")),
            ("false_positive_risk", 0.0),
            ("false_positive_risk", 2.0),
            ("ratio_sigma", -0.1),
            ("analytes", ("La", "La")),
        ]
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        method(**changes)


def test_conditions_and_oxides_cannot_be_changed() -> None:
    made = method()
    with pytest.raises(TypeError):
        made.conditions["high"] = ConditionMatch(names=())  # type: ignore[index]
    with pytest.raises(TypeError):
        made.unseen.oxides["Nd"] = "Nd2O3"  # type: ignore[index]


def test_method_travels_between_processes() -> None:
    made = method()
    back = pickle.loads(pickle.dumps(made))
    assert back == made
    assert back.sha256 == made.sha256
