"""Influence coefficients: textbook cases, the full model over a stated range, beads, ignition loss, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xrfree.atomic import _tables, atomic_number
from xrfree.errors import DomainError, NotConvergedError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix import fundamental
from xrfree.matrix.influence import (
    ComponentSystem,
    FluxRecipe,
    coefficients,
    cola,
    component_system,
    compton_ratio,
    de_jongh,
    lachance_traill,
    largest_deviation,
    lucas_tooth_price_design,
    rasberry_heinrich_design,
)

FloatArray = NDArray[np.float64]
STEEL = ("Fe", "Ni", "Cr")
ORE = {
    "Fe2O3": ("Fe2O3", "Fe K"),
    "CaO": ("CaO", "Ca K"),
    "La2O3": ("La2O3", "La L"),
    "CeO2": ("CeO2", "Ce L"),
    "SiO2": ("SiO2", "Si K"),
}
LOI = {"CO2": 0.7, "H2O": 0.3}
BORATE = {"Li2B4O7": 12.0, "LiBO2": 22.0}
BASE = np.array([0.55, 0.12, 0.02, 0.03, 0.13, 0.15])


@pytest.fixture(scope="module")
def hard(condition: InstrumentCondition) -> InstrumentCondition:
    return replace(condition, tube=replace(condition.tube, voltage_kv=40.0))


@pytest.fixture(scope="module")
def steel(hard: InstrumentCondition, detector: Detector) -> ComponentSystem:
    return component_system({"x": hard}, detector, {e: e for e in STEEL}, {e: ("x", f"{e} K") for e in STEEL})


def ore_system(condition: InstrumentCondition, detector: Detector, fusion: FluxRecipe | None) -> ComponentSystem:
    made: dict[str, Any] = {name: formula for name, (formula, _) in ORE.items()}
    channels = {name: ("x", group) for name, (_, group) in ORE.items()}
    return component_system({"x": condition}, detector, {**made, "LOI": LOI}, channels, fusion=fusion)


@pytest.fixture(scope="module")
def powder(condition: InstrumentCondition, detector: Detector) -> ComponentSystem:
    return ore_system(condition, detector, None)


@pytest.fixture(scope="module")
def bead(condition: InstrumentCondition, detector: Detector) -> ComponentSystem:
    return ore_system(condition, detector, FluxRecipe(flux=BORATE, flux_per_sample=10.0, lost="LOI"))


def around(base: FloatArray, spread: float, n: int = 12) -> FloatArray:
    rows = base * np.random.default_rng(4).uniform(1.0 - spread, 1.0 + spread, (n, base.size))
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


# ---- textbook cases


def test_one_energy_without_enhancement_gives_the_ratio_of_attenuations(
    condition: InstrumentCondition, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fundamental, "_incident_photons", lambda *_: (np.array([8.2]), np.array([1.0])))
    pair = component_system({"x": condition}, detector, {"Fe": "Fe", "Al": "Al"}, {"Fe": ("x", "Fe K")})
    sin_in, sin_out = np.sin(condition.incidence_angle_rad), np.sin(condition.take_off_angle_rad)

    def path(element: str) -> float:
        mu = _tables.total_attenuation(atomic_number(element), np.array([8.2, 6.403]))
        return float(mu[0] / sin_in + mu[1] / sin_out)

    # Lachance and Traill's α = μ*_j / μ*_i - 1, whatever the content.
    expected = path("Al") / path("Fe") - 1.0
    for content in (0.01, 0.5, 0.99):
        alpha = lachance_traill(pair, analyte_content=content).alpha[0, 1]
        # Photons that are scattered before they excite add up to 2 % in aluminium; Kβ leaves more easily than Kα.
        assert alpha == pytest.approx(expected, abs=0.02)


def test_signs_in_stainless_steel(steel: ComponentSystem) -> None:
    alpha = dict(zip([(i, j) for i in STEEL for j in STEEL], lachance_traill(steel).alpha.ravel(), strict=True))
    # Chromium absorbs iron's lines and iron nickel's; nickel enhances iron, iron and nickel enhance chromium.
    assert alpha["Fe", "Cr"] > 1.0
    assert alpha["Ni", "Fe"] > 1.0
    assert alpha["Ni", "Cr"] > 1.0
    assert alpha["Fe", "Ni"] < 0.0
    assert alpha["Cr", "Fe"] < 0.0
    assert alpha["Cr", "Ni"] < 0.0


def test_successive_approximation_finds_the_same_steel(steel: ComponentSystem) -> None:
    found = lachance_traill(steel)
    truth = np.array([0.70, 0.10, 0.20])
    relative = truth / found.matrix_factors(truth)[0]
    content = relative / relative.sum()
    for _ in range(60):
        content = relative * (1.0 + found.alpha @ content)
        content /= content.sum()
    assert content == pytest.approx(truth, abs=1e-9)
    assert found.contents(relative)[0] == pytest.approx(truth, abs=1e-12)


def test_binary_is_exact_at_its_own_content(steel: ComponentSystem) -> None:
    found = lachance_traill(steel, analyte_content=0.3)
    content = np.array([0.3, 0.0, 0.7])
    assert found.matrix_factors(content)[0, 0] == pytest.approx(steel.matrix_factors(content)[0], rel=1e-12)


def test_cola_is_exact_in_its_binaries_and_ternary(steel: ComponentSystem) -> None:
    found = cola(steel)
    for content in ([0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, 0.35, 0.35]):
        expected = steel.matrix_factors(np.array(content))[0]
        assert found.matrix_factors(content)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_enhancement_in_the_denominator_of_rasberry_and_heinrich() -> None:
    found = coefficients(
        "Rasberry-Heinrich", ["Cr"], ["Cr", "Fe"], alpha=np.zeros((1, 2)), enhancement=np.array([[0.0, -0.4]])
    )
    # C = R [1 - 0.4 * 0.8 / 1.2] = 0.2, worked by hand.
    assert found.contents([[0.2 / (1.0 - 0.4 * 0.8 / 1.2)]], known={"Fe": 0.8})[0, 0] == pytest.approx(0.2, rel=1e-12)


def test_rasberry_heinrich_coefficients_are_regressed_back() -> None:
    rng = np.random.default_rng(2)
    content = rng.dirichlet([2.0, 2.0, 2.0], 12)
    truth = coefficients(
        "Rasberry-Heinrich",
        ["Cr"],
        ["Cr", "Fe", "Ni"],
        alpha=np.array([[0.0, 0.0, 0.3]]),
        enhancement=np.array([[0.0, -0.5, 0.0]]),
    )
    relative = content[:, 0] / truth.matrix_factors(content)[:, 0]
    design, right = rasberry_heinrich_design(content, relative, 0, enhancing=[1])
    assert np.linalg.lstsq(design, right, rcond=None)[0] == pytest.approx([-0.5, 0.3], rel=1e-9)


def test_lucas_tooth_price_is_linear_in_its_coefficients() -> None:
    intensity = np.random.default_rng(3).uniform(1.0, 9.0, (8, 3))
    truth = np.array([0.01, 0.2, 0.0, 0.03, -0.02])
    content = truth[0] + intensity[:, 0] * (truth[1] + intensity @ truth[2:])
    design = lucas_tooth_price_design(intensity, 0)
    assert np.linalg.lstsq(design, content, rcond=None)[0] == pytest.approx(truth, abs=1e-10)


def test_compton_ratio_is_a_ratio_and_wants_a_peak() -> None:
    assert compton_ratio([10.0, 20.0], [100.0, 50.0]).tolist() == [0.1, 0.4]
    with pytest.raises(DomainError, match="the Compton peak has no counts"):
        compton_ratio([10.0], [0.0])


# ---- the full model


@pytest.mark.parametrize("eliminated", STEEL)
def test_any_component_can_be_eliminated(steel: ComponentSystem, eliminated: str) -> None:
    base = np.array([0.6, 0.2, 0.2])
    found = de_jongh(steel, base, eliminated=eliminated)
    assert np.all(found.alpha[:, STEEL.index(eliminated)] == 0.0)
    assert found.matrix_factors(base)[0] == pytest.approx(steel.matrix_factors(base), rel=1e-10)
    # First order: what is left grows with the square of the distance, 5 % of each content here.
    assert np.all(largest_deviation(found, steel, around(base, 0.05)) < 1e-3)


def test_expansion_is_of_first_order(steel: ComponentSystem) -> None:
    base, move = np.array([0.6, 0.2, 0.2]), np.array([0.02, 0.01, -0.03])
    found = de_jongh(steel, base, eliminated="Fe")

    def missing(step: float) -> FloatArray:
        content = base + step * move
        return np.asarray(steel.matrix_factors(content) - found.matrix_factors(content)[0])

    # Second order: half the way, a quarter of the error, third order being a tenth of it over 3 % of
    # content (the coefficients themselves change by that).
    assert missing(0.5) == pytest.approx(0.25 * missing(1.0), rel=0.1)


@pytest.mark.parametrize(
    ("model", "most"),
    [("de Jongh", 0.01), ("COLA", 0.03)],
)
def test_ore_powder_agrees_with_the_full_model(powder: ComponentSystem, model: str, most: float) -> None:
    found = de_jongh(powder, BASE, eliminated="LOI") if model == "de Jongh" else cola(powder)
    deviation = largest_deviation(found, powder, around(BASE, 0.4))
    print(model, "powder", dict(zip(ORE, deviation.round(4).tolist(), strict=True)))  # noqa: T201
    assert np.all(deviation < most)


@pytest.mark.parametrize(("model", "most"), [("de Jongh", 0.002), ("COLA", 0.005), ("Lachance-Traill", 0.02)])
def test_bead_agrees_with_the_full_model(bead: ComponentSystem, model: str, most: float) -> None:
    makers = {
        "de Jongh": lambda: de_jongh(bead, BASE, eliminated="LOI"),
        "COLA": lambda: cola(bead),
        "Lachance-Traill": lambda: lachance_traill(bead, analyte_content=0.1),
    }
    deviation = largest_deviation(makers[model](), bead, around(BASE, 0.4))
    print(model, "bead", dict(zip(ORE, deviation.round(4).tolist(), strict=True)))  # noqa: T201
    assert np.all(deviation < most)


# ---- beads and ignition loss


def test_coefficients_rewritten_for_beads_are_those_of_bead_compositions() -> None:
    alpha = np.array([[0.0, 0.8, -0.3], [0.5, 0.0, -0.4]])
    plain = coefficients("Lachance-Traill", ["A", "B"], ["A", "B", "flux"], alpha=alpha)
    flux, loss = 10.0, 0.12
    sample = np.array([0.30, 0.58])
    mass = flux + 1.0 - loss
    in_bead = np.array([*(sample / mass), flux / mass])
    intensity = in_bead[:2] / plain.matrix_factors(in_bead)[0]
    pure = []
    for i in range(2):
        only = np.array([*(np.eye(2)[i] / (flux + 1.0)), flux / (flux + 1.0)])
        pure.append(only[i] / plain.matrix_factors(only)[0, i])
    modified = plain.for_beads(flux_per_sample=flux, flux="flux", lost="LOI")
    found = modified.contents(intensity / np.array(pure), known={"LOI": loss})[0]
    assert found == pytest.approx([*sample, loss], rel=1e-12)


@pytest.mark.parametrize("loss", [0.2, 0.0, -0.03])
def test_ignition_loss_and_gain_of_a_bead(bead: ComponentSystem, loss: float) -> None:
    content = BASE.copy()
    content[-1] = 0.0
    content *= (1.0 - loss) / content.sum()
    content[-1] = loss
    whole = bead.specimen(content)
    assert whole.sum() == pytest.approx(1.0, rel=1e-12)
    assert whole[bead.intensities.elements.index("C")] == 0.0
    found = de_jongh(bead, BASE, eliminated="LOI")
    relative = bead.relative_intensities(content)
    back = found.contents(relative, known={"LOI": loss})[0]
    # Far from the base composition the expansion is off by its second order.
    assert back[bead.own] == pytest.approx(content[bead.own], rel=0.01)


def test_loss_can_be_the_balance(bead: ComponentSystem) -> None:
    found = de_jongh(bead, BASE, eliminated="SiO2")
    back = found.contents(BASE[bead.own] / found.matrix_factors(BASE)[0], balance="LOI")[0]
    assert back == pytest.approx(BASE, abs=1e-10)


@settings(max_examples=15)
@given(weights=st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6))
def test_contents_survive_the_round_trip(bead: ComponentSystem, weights: list[float]) -> None:
    content = np.array(weights) / sum(weights)
    found = de_jongh(bead, BASE, eliminated="LOI")
    relative = content[bead.own] / found.matrix_factors(content)[0]
    assert found.contents(relative, known={"LOI": content[-1]})[0] == pytest.approx(content, abs=1e-9)


# ---- bad input


def test_impossible_input_is_refused(steel: ComponentSystem, hard: InstrumentCondition, detector: Detector) -> None:
    found = lachance_traill(steel)
    with pytest.raises(DomainError, match="3 finite relative intensities"):
        found.contents([[0.1, 0.2]])
    with pytest.raises(DomainError, match="the content of Cr is given, but Cr is measured"):
        found.contents([[0.1, 0.2, 0.3]], known={"Cr": 0.2})
    with pytest.raises(DomainError, match="but Mo is not among Fe, Ni, Cr"):
        found.contents([[0.1, 0.2, 0.3]], balance="Mo")
    with pytest.raises(DomainError, match="'Mo' cannot be eliminated"):
        de_jongh(steel, [0.6, 0.2, 0.2], eliminated="Mo")
    with pytest.raises(DomainError, match="with the sum 1"):
        de_jongh(steel, [0.6, 0.2, 0.3], eliminated="Fe")
    with pytest.raises(DomainError, match="each measured element in one component"):
        component_system({"x": hard}, detector, {"FeO": "FeO", "Fe2O3": "Fe2O3"}, {"FeO": ("x", "Fe K")})
    recipe = FluxRecipe(flux=BORATE, flux_per_sample=10.0, lost="LOI")
    with pytest.raises(DomainError, match="fusion drives out 'LOI'"):
        component_system({"x": hard}, detector, {"Fe2O3": "Fe2O3"}, {"Fe2O3": ("x", "Fe K")}, fusion=recipe)
    with pytest.raises(DomainError, match="a flux needs formulas and masses above 0"):
        FluxRecipe(flux=BORATE, flux_per_sample=float("nan"))


def test_impossible_intensities_do_not_converge() -> None:
    found = coefficients(
        "COLA",
        ["A"],
        ["A", "B"],
        alpha=np.array([[0.0, 0.5]]),
        hyperbola=np.array([[0.0, 3.0]]),
        curvature=np.array([[0.0, 5.0]]),
    )
    with pytest.raises(NotConvergedError, match="specimen 1: contents by COLA coefficients") as caught:
        found.contents([[40.0]], balance="B")
    assert len(caught.value.history) > 0
