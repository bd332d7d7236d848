"""The rule for what nobody measures: mass is conserved, compounds are worked by hand, nonsense is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError
from xrfree.matrix.completion import Total, completion

OXIDES = {"Fe": "Fe2O3", "Ca": "CaO", "Ce": "CeO2"}
LOSS = {"CO2": 0.07, "H2O": 0.03}
FLUX = {"Li2B4O7": 120.0 / 34.0, "LiBO2": 220.0 / 34.0}


@given(content=st.lists(st.floats(0.0, 0.2), min_size=3, max_size=3), loss=st.booleans(), bead=st.booleans())
def test_remainder_closes_the_balance(content: list[float], loss: bool, bead: bool) -> None:
    rule = completion(
        OXIDES,
        total=Total.REMAINDER,
        remainder={"SiO2": 0.6, "CaF2": 0.4},
        loss=LOSS if loss else None,
        flux=FLUX if bead else None,
    )
    assert rule.masses(np.array(content)).sum() == pytest.approx(1.0, rel=1e-12)


@given(content=st.lists(st.floats(0.01, 0.2), min_size=3, max_size=3))
def test_normalised_masses_sum_to_one_and_free_ones_to_what_is_there(content: list[float]) -> None:
    y = np.array(content)
    expected = sum(w / parse_formula(f)[e] for w, (e, f) in zip(content, OXIDES.items(), strict=True))
    assert completion(OXIDES, total=Total.NORMALISED).masses(y).sum() == pytest.approx(1.0, rel=1e-12)
    assert completion(OXIDES, total=Total.FREE).masses(y).sum() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("total", list(Total))
def test_derivatives_are_those_of_differences(total: Total) -> None:
    rule = completion(OXIDES, total=total, remainder="SiO2" if total is Total.REMAINDER else "", loss=LOSS)
    y = np.array([0.3, 0.1, 0.02])
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        difference = (rule.masses(y + step) - rule.masses(y - step)) / 2e-6
        assert rule.mass_derivatives(y)[:, k] == pytest.approx(difference, abs=1e-8)


def test_iron_can_be_two_oxides_calcium_fluorite_and_cerium_bastnaesite() -> None:
    rule = completion(
        {"Fe": {"Fe2O3": 0.75, "FeO": 0.25}, "Ca": {"CaF2": 0.5, "CaCO3": 0.5}, "Ce": "CeCO3F"}, total=Total.FREE
    )
    found = dict(zip(rule.elements, rule.masses(np.array([0.4, 0.1, 0.05])), strict=True))
    f = parse_formula
    oxygen = 0.3 * f("Fe2O3")["O"] / f("Fe2O3")["Fe"] + 0.1 * f("FeO")["O"] / f("FeO")["Fe"]
    oxygen += 0.05 * f("CaCO3")["O"] / f("CaCO3")["Ca"] + 0.05 * f("CeCO3F")["O"] / f("CeCO3F")["Ce"]
    assert found["O"] == pytest.approx(oxygen, rel=1e-12)
    assert found["F"] == pytest.approx(
        0.05 * f("CaF2")["F"] / f("CaF2")["Ca"] + 0.05 * f("CeCO3F")["F"] / f("CeCO3F")["Ce"]
    )


def test_ignition_loss_is_part_of_a_powder_and_not_of_a_bead() -> None:
    powder = completion(OXIDES, total=Total.FREE, loss=LOSS)
    bead = completion(OXIDES, total=Total.FREE, loss=LOSS, flux=FLUX)
    assert powder.masses(np.zeros(3)).sum() == pytest.approx(0.10, rel=1e-12)
    assert powder.mass == 1.0
    assert bead.mass == pytest.approx(10.9, rel=1e-12)
    assert "C" not in bead.elements or bead.masses(np.zeros(3))[bead.elements.index("C")] == 0.0
    # 0.3 g of iron per gram of sample, in 10.9 g of bead.
    assert bead.masses(np.array([0.3, 0.0, 0.0]))[bead.elements.index("Fe")] == pytest.approx(0.3 / 10.9, rel=1e-12)


def test_gain_on_ignition_is_oxygen_that_a_powder_lacks_and_a_bead_has() -> None:
    powder = completion({"Fe": "Fe2O3"}, total=Total.FREE, loss={"O": -0.02})
    without = completion({"Fe": "Fe2O3"}, total=Total.FREE)
    content = np.array([0.7])
    lacking = without.masses(content) - powder.masses(content)
    assert lacking[powder.elements.index("O")] == pytest.approx(0.02, rel=1e-9)
    assert completion({"Fe": "Fe2O3"}, total=Total.FREE, loss={"O": -0.02}, flux=FLUX).mass == pytest.approx(11.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compounds": {"Fe": "CaO"}, "total": Total.FREE}, "Fe is to be bound as CaO, which does not contain it"),
        ({"compounds": {"Fe": {"FeO": 0.5}}, "total": Total.FREE}, "shares of Fe in its compounds"),
        ({"compounds": OXIDES, "total": Total.REMAINDER}, "a remainder is named exactly where"),
        ({"compounds": OXIDES, "total": Total.FREE, "remainder": "SiO2"}, "a remainder is named exactly where"),
        ({"compounds": OXIDES, "total": Total.REMAINDER, "remainder": {"SiO2": 0.5}}, "remainder must sum to 1"),
        ({"compounds": OXIDES, "total": Total.FREE, "elements": ("Fe", "Ca", "Ce")}, "the rule needs O"),
        ({"compounds": OXIDES, "total": Total.FREE, "loss": {"CO2": float("nan")}}, "mass of CO2 is nan"),
        ({"compounds": OXIDES, "total": Total.FREE, "loss": {"CO2": 12.0}, "flux": FLUX}, "would have a mass of"),
        ({"compounds": {"Fe": "Fe2Q"}, "total": Total.FREE}, "is not a chemical formula"),
    ],
)
def test_impossible_rules_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        completion(**arguments)
