from __future__ import annotations

import math

import numpy as np
import pytest
from _plants import measured, random_plant
from scipy.optimize import minimize

from xrfree.errors import DomainError
from xrfree.flow.gross_errors import critical_value, find_gross_errors, unaccounted
from xrfree.flow.reconciliation import reconcile
from xrfree.flow.sheet import OUTSIDE, Contents, FlowSheet, Measured, Stream


def flow(name: str, source: str, target: str, mass: float | None, u: float = 1.0, **contents) -> Stream:
    components = tuple(contents)
    values = np.array([value for value, _ in contents.values()])
    return Stream(
        name=name,
        source=source,
        target=target,
        wet_mass=None if mass is None else Measured(value=mass, standard_uncertainty=u),
        contents=Contents(
            components=components,
            mass_fraction=values,
            covariance=np.diag([float(u) ** 2 for _, u in contents.values()]) if contents else np.empty((0, 0)),
        ),
    )


def test_heat_exchanger_with_bypass():
    """Narasimhan and Jordache, Data Reconciliation and Gross Error Detection (2000), example of chapter 1."""
    streams = (
        flow("1", OUTSIDE, "splitter", 101.91),
        flow("2", "splitter", "exchanger", 64.45),
        flow("3", "splitter", "valve", 34.65),
        flow("4", "exchanger", "mixer", 64.20),
        flow("5", "valve", "mixer", 36.44),
        flow("6", "mixer", OUTSIDE, 98.88),
    )
    found = reconcile(FlowSheet(name="exchanger", components=(), streams=streams))
    assert np.round(found.values, 2).tolist() == [100.22, 64.50, 35.72, 64.50, 35.72, 100.22]
    assert found.freedom == 4


# Basic Concepts in Data Reconciliation, North Carolina State University and University of Ottawa (2003), table 4.1
COLUMN = (
    flow("1", OUTSIDE, "column", 1095.475, 4.8, a=(0.4822, 0.0048), b=(0.5170, 0.0052)),
    flow("2", "column", OUTSIDE, 478.402, 3.9, a=(0.9410, 0.0094), b=(0.0501, 0.0005)),
    flow("3", "column", OUTSIDE, 488.232, 4.4, a=(0.0197, 0.0002), b=(0.9748, 0.0097)),
)


def test_binary_distillation_column_against_a_general_optimiser():
    sheet = FlowSheet(name="column", components=("a", "b"), streams=COLUMN)
    found = reconcile(sheet)
    y = found.values + found.adjusted
    u = np.sqrt(found._covariance.diagonal())

    def balances(v: np.ndarray) -> np.ndarray:
        m, x = v[0::3], np.array([v[1::3], v[2::3]])
        sign = np.array([1.0, -1.0, -1.0])
        return np.array([np.sum(sign * m), *(x * sign @ m)]) / 1000.0

    best = minimize(
        lambda t: float(t @ t),
        np.zeros(9),
        constraints={"type": "eq", "fun": lambda t: balances(y + t * u)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert best.success
    assert found.objective == pytest.approx(best.fun, rel=1e-6)  # what SLSQP reaches
    assert np.allclose(found.values, y + best.x * u, rtol=1e-6)
    # The feed is 130 kg/h more than the products: no small uncertainty explains that.
    assert found.probability < 1e-6
    worst = find_gross_errors(sheet).gross_errors[0]
    assert (worst.stream, worst.quantity) == ("1", "mass")


def test_two_product_formula():
    """Without redundancy the balance is the formula: recovery = c (f - t) / (f (c - t))."""
    feed, concentrate, tailing = 0.021, 0.25, 0.004
    streams = (
        flow("feed", OUTSIDE, "cell", 100.0, 1.0, Ce=(feed, 0.0004)),
        flow("concentrate", "cell", OUTSIDE, None, Ce=(concentrate, 0.004)),
        flow("tailing", "cell", OUTSIDE, None, Ce=(tailing, 0.0002)),
    )
    found = reconcile(FlowSheet(name="cell", components=("Ce",), streams=streams))
    assert (found.freedom, found.undetermined, found.probability) == (0, (), 1.0)
    assert np.abs(found.adjusted).max() < 1e-9
    split = (feed - tailing) / (concentrate - tailing)
    recovery = found.recovery("Ce", "concentrate")
    assert recovery.value == pytest.approx(concentrate * split / feed, rel=1e-9)
    # Law of propagation, by differences
    changes = []
    for k, u in enumerate((0.0004, 0.004, 0.0002)):
        f, c, t = (x + (u * 1e-3 if i == k else 0.0) for i, x in enumerate((feed, concentrate, tailing)))
        changes.append((c * (f - t) / (f * (c - t)) - recovery.value) / 1e-3)
    assert recovery.standard_uncertainty == pytest.approx(math.hypot(*changes), rel=1e-3)  # of the differences
    assert found.dry_mass("concentrate").value == pytest.approx(100.0 * split, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_closed_balances(seed):
    rng = np.random.default_rng(seed)
    found = reconcile(measured(random_plant(6, rng), rng))
    assert found.imbalance < 1e-9
    assert 1e-4 < found.probability < 1.0 - 1e-4


def test_true_flows_are_left_alone():
    rng = np.random.default_rng(2)
    plant = random_plant(4, rng)
    sheet = measured(plant, rng)
    exact = tuple(
        Stream(
            name=noisy.name,
            source=noisy.source,
            target=noisy.target,
            wet_mass=Measured(value=true.wet_mass.value, standard_uncertainty=noisy.wet_mass.standard_uncertainty),
            moisture=Measured(value=true.moisture.value, standard_uncertainty=0.003),
            contents=Contents(
                components=true.contents.components,
                mass_fraction=true.contents.mass_fraction,
                covariance=noisy.contents.covariance,
            ),
        )
        for noisy, true in zip(sheet.streams, plant, strict=True)
    )
    found = reconcile(FlowSheet(name="exact", components=sheet.components, streams=exact))
    assert found.objective < 1e-12
    assert np.abs(found.adjusted / found._layout.size).max() < 1e-9


def test_uncertainties_are_those_of_repeated_balances():
    """Pulls of recoveries, grades and masses have width 1."""
    rng = np.random.default_rng(3)
    plant = random_plant(3, rng, components=("Fe", "Ce"))
    truth = {s.name: s for s in plant}

    def metal(name: str) -> float:
        s = truth[name]
        return s.wet_mass.value * 0.92 * float(s.contents.mass_fraction[1])

    pulls = []
    for _ in range(300):
        found = reconcile(measured(plant, rng))
        recovery = found.recovery("Ce", "concentrate 2")
        grade = found.content("concentrate 2", "Ce")
        mass = found.dry_mass("tailing 0")
        pulls.append(
            [
                (recovery.value - metal("concentrate 2") / metal("feed")) / recovery.standard_uncertainty,
                (grade.value - truth["concentrate 2"].contents.mass_fraction[1]) / grade.standard_uncertainty,
                (mass.value - truth["tailing 0"].wet_mass.value * 0.92) / mass.standard_uncertainty,
            ]
        )
    mean, width = np.mean(pulls, axis=0), np.std(pulls, axis=0)
    assert np.all(np.abs(mean) < 4.0 / math.sqrt(300))
    assert np.all(np.abs(width - 1.0) < 4.0 / math.sqrt(600))


def test_reconciled_quantities_are_never_less_certain():
    rng = np.random.default_rng(4)
    found = reconcile(measured(random_plant(3, rng), rng))
    assert np.all(found.standard_uncertainty <= np.sqrt(found._covariance.diagonal()) * (1 + 1e-9))


def test_what_nothing_determines_is_named():
    streams = (
        flow("feed", OUTSIDE, "cell", 100.0, 1.0, Ce=(0.02, 0.001)),
        flow("a", "cell", OUTSIDE, None),
        flow("b", "cell", OUTSIDE, None),
    )
    found = reconcile(FlowSheet(name="cell", components=("Ce",), streams=streams))
    assert set(found.undetermined) == {("a", "mass"), ("b", "mass"), ("a", "Ce"), ("b", "Ce")}
    assert found.recovery("Ce", "a").standard_uncertainty == math.inf
    assert found.probability == 1.0


def test_an_unmeasured_loss_is_found():
    streams = (
        flow("feed", OUTSIDE, "furnace", 1000.0, 5.0, Nb=(0.010, 0.0001)),
        flow("metal", "furnace", OUTSIDE, 600.0, 3.0, Nb=(0.009, 0.0001)),
        flow("slag", "furnace", OUTSIDE, 300.0, 3.0, Nb=(0.011, 0.0001)),
        flow("dust", "furnace", OUTSIDE, None),
    )
    sheet = FlowSheet(name="furnace", components=("Nb",), streams=streams)
    found = reconcile(sheet)
    assert found.dry_mass("dust").value == pytest.approx(100.0)
    assert found.metal("dust", "Nb").value == pytest.approx(10.0 - 5.4 - 3.3)


def test_a_step_that_changes_mass_balances_its_components_only():
    streams = (
        flow("carbonate", OUTSIDE, "kiln", 100.0, 0.1, Ce=(0.30, 0.001)),
        flow("oxide", "kiln", OUTSIDE, 70.0, 0.1, Ce=(0.43, 0.001)),
    )
    found = reconcile(FlowSheet(name="kiln", components=("Ce",), streams=streams, changes_mass=frozenset({"kiln"})))
    assert found.freedom == 1
    assert found.metal("carbonate", "Ce").value == pytest.approx(found.metal("oxide", "Ce").value)
    assert found.dry_mass("oxide").value == pytest.approx(70.0, abs=0.1)


def test_common_errors_drop_out_of_recoveries():
    rng = np.random.default_rng(5)
    sheet = measured(random_plant(2, rng), rng)
    shared = FlowSheet(name="s", components=sheet.components, streams=sheet.streams, common_relative={"Ce": 0.05})
    a, b = reconcile(sheet), reconcile(shared)
    assert a.recovery("Ce", "concentrate 1") == b.recovery("Ce", "concentrate 1")
    grade = b.content("feed", "Ce")
    assert grade.standard_uncertainty == pytest.approx(
        math.hypot(a.content("feed", "Ce").standard_uncertainty, 0.05 * grade.value)
    )


def test_covariance_between_streams_counts():
    """Two belts on one scale: their difference is better known than each, and the balance leaves it alone."""
    streams = tuple(flow(n, s, t, m) for n, s, t, m in (("a", OUTSIDE, "x", 10.0), ("b", "x", OUTSIDE, 10.6)))
    sheet = FlowSheet(name="x", components=(), streams=streams)
    apart = reconcile(sheet)
    together = reconcile(sheet, extra_covariance={(("a", "mass"), ("b", "mass")): 0.99})
    assert apart.objective == pytest.approx(0.18)
    assert together.objective == pytest.approx(0.36 / 0.02)


def test_a_gross_error_is_found_and_estimated():
    rng = np.random.default_rng(6)
    sheet = measured(random_plant(5, rng), rng, mass=0.005, content=0.01)
    streams = list(sheet.streams)
    bad = streams[7]
    streams[7] = Stream(
        name=bad.name,
        source=bad.source,
        target=bad.target,
        wet_mass=Measured(value=1.05 * bad.wet_mass.value, standard_uncertainty=bad.wet_mass.standard_uncertainty),
        moisture=bad.moisture,
        contents=bad.contents,
    )
    verdict = find_gross_errors(FlowSheet(name="x", components=sheet.components, streams=tuple(streams)))
    assert [(e.stream, e.quantity) for e in verdict.gross_errors] == [(bad.name, "mass")]
    error = verdict.gross_errors[0]
    assert verdict.first.probability < 0.05 < verdict.balance.probability
    assert abs(error.estimate.value - bad.wet_mass.value) < 4.0 * math.hypot(
        error.estimate.standard_uncertainty, bad.wet_mass.standard_uncertainty
    )


def test_critical_values():
    assert critical_value(1, false_alarm=0.05) == pytest.approx(1.959964, abs=1e-6)
    assert critical_value(100, false_alarm=0.05) == pytest.approx(3.474, abs=1e-3)  # Šidák: 1 - 0.95^(1/100) = 5.1e-4


def test_unaccounted_metal_is_named():
    streams = (
        flow("feed", OUTSIDE, "furnace", 1000.0, 1.0, Nb=(0.010, 0.00001)),
        flow("metal", "furnace", OUTSIDE, 1000.0, 1.0, Nb=(0.009, 0.00001)),
    )
    rows = unaccounted(FlowSheet(name="furnace", components=("Nb",), streams=streams))
    assert [(r.step, r.quantity) for r in rows] == [
        ("furnace", "mass"),
        ("furnace", "Nb"),
        ("whole plant", "mass"),
        ("whole plant", "Nb"),
    ]
    assert rows[1].imbalance == pytest.approx(1.0)
    assert rows[1].significance > 50


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FlowSheet(name="x", components=(), streams=()), "needs streams"),
        (lambda: flow("a", "x", "x", 1.0), "goes from x to x"),
        (lambda: flow("a", "x", OUTSIDE, -1.0), "expected 0 or more"),
        (lambda: Measured(value=float("nan"), standard_uncertainty=1.0), "expected numbers"),
        (lambda: FlowSheet(name="x", components=("La",), streams=COLUMN), "no component"),
        (lambda: reconcile(FlowSheet(name="x", components=(), streams=(flow("a", OUTSIDE, "b", None),))), "weighed"),
    ],
)
def test_what_cannot_be_balanced_is_an_error(make, words):
    with pytest.raises(DomainError, match=words):
        make()
