"""Plans of measurements: counting limits of an independent program, scaling, the split of the time, bad input."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError
from xrfree.instrument import Absorber, Instrument
from xrfree.planning import plan, with_choices
from xrfree.quantification import prepare, quantify
from xrfree.simulation import at_rate, simulate
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import Measurement

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.2, thickness_cm=0.5)
ORE = {"Fe2O3": 0.60, "SiO2": 0.30, "La2O3": 0.02, "CeO2": 0.04, "Nd2O3": 0.02, "Nb2O5": 0.02}
RATE = 80_000.0


@pytest.fixture(scope="module")
def bench() -> Instrument:
    shipped = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    for name in shipped.conditions:
        shipped = at_rate(shipped, ORE, POWDER, name, RATE, n_channels=2048 if name == "low" else 4096)
    return shipped


@pytest.mark.parametrize("specimen", ["P05", "P14"])
def test_counting_limits_of_an_independent_program(shared: Path, bench: Instrument, specimen: str) -> None:
    folder = shared / "spectra" / "mc-a"
    with (folder / "truth.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["specimen"] == specimen and not r["component"].startswith("ore")]
    contents = {r["component"]: float(r["mass_fraction"]) for r in rows}
    contents = {e: w / sum(contents.values()) for e, w in contents.items()}
    with (folder / "counting_limit.csv").open() as file:
        stated = {
            r["component"]: float(r["relative_standard_deviation"])
            for r in csv.DictReader(file)
            if r["specimen"] == specimen
        }
    found = plan(contents, POWDER, bench, tuple(stated), total_s=600.0, conditions=["low"], most_counts_per_s=RATE)
    ratio = found.uncertainty / found.content / np.array(list(stated.values()))
    # That program frees escape and pile-up (here they have priors), and its tails, shelf and background are its own.
    assert np.all((ratio > 0.75) & (ratio < 1.25)), dict(zip(stated, ratio, strict=True))


def test_main_elements_are_as_uncertain_as_an_assay_says(bench: Instrument) -> None:
    # More iron absorbs its own lines: a count too many is worth far more iron than its share of the counts.
    found = plan(ORE, POWDER, bench, ["Fe", "La", "Si"], total_s=600.0, conditions=["low"])
    spectra = {
        name: simulate(ORE, POWDER, bench, name, live_time_s=600.0, seed=7, n_channels=2048 if name == "low" else 4096)
        for name in ("low", "high")
    }
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    assay = quantify(Measurement(specimen="ore", spectra=spectra), prepare(method, bench), POWDER)
    counting = [assay.budget["counting"][assay.components.index(element)] for element in found.analytes]
    # A plan also has to find background and energy scale in the counts, and iron takes the place of what is not seen.
    assert np.all((found.uncertainty / counting > 0.9) & (found.uncertainty / counting < 1.8))


def test_uncertainty_falls_with_the_root_of_the_time(bench: Instrument) -> None:
    known = {
        n: replace(r, escape_relative_uncertainty=1e-9, pile_up_relative_uncertainty=1e-9)
        for n, r in bench.responses.items()
    }
    sure = replace(bench, responses=known)
    short, long = (plan(ORE, POWDER, sure, ["La", "Nd"], total_s=t, conditions=["low"]) for t in (100.0, 400.0))
    assert long.uncertainty == pytest.approx(0.5 * short.uncertainty, rel=1e-6)
    assert long.detection_limit == pytest.approx(0.5 * short.detection_limit, rel=1e-6)


def test_split_is_not_worse_than_any_condition_alone(bench: Instrument) -> None:
    found = plan(ORE, POWDER, bench, ["La", "Nd", "Nb"], total_s=600.0)
    assert found.time_s.sum() == pytest.approx(600.0, rel=1e-12)
    scale = np.maximum(found.content, np.min([c.detection_limit for c in found.conditions], axis=0))

    def cost(uncertainty: np.ndarray) -> float:
        return float(np.sum((uncertainty / scale) ** 2))

    # Escape and pile-up enter with the knowledge of the whole time in each condition: 1 %.
    assert all(cost(found.uncertainty) <= 1.01 * cost(c.uncertainty) for c in found.conditions)
    assert np.all(found.detection_limit > 0.0)


def test_condition_without_the_line_says_so_and_the_split_avoids_it(bench: Instrument) -> None:
    choices = with_choices(bench, "high", [15.0, 40.0], {"none": ()})
    found = plan({"Fe2O3": 0.9, "ZrO2": 0.1}, POWDER, choices, ["Sn"], total_s=60.0, most_counts_per_s=RATE)
    soft, hard = found.conditions
    assert np.isfinite(hard.uncertainty[0])
    assert hard.detection_limit[0] < soft.detection_limit[0]
    assert found.time_s[1] > found.time_s[0]


def test_filter_lowers_the_rate_and_the_current_keeps_to_the_limit(bench: Instrument) -> None:
    layer = Absorber(formula="Al", areal_density_g_cm2=0.054)
    choices = with_choices(bench, "low", [15.0], {"none": (), "Al": (layer,)})
    found = plan(ORE, POWDER, choices, ["La"], total_s=60.0)
    assert found.conditions[1].rate_per_s < 0.5 * found.conditions[0].rate_per_s
    limited = plan(ORE, POWDER, choices, ["La"], total_s=60.0, most_counts_per_s=5_000.0)
    assert all(c.rate_per_s <= 5_000.0 * (1.0 + 1e-9) for c in limited.conditions)
    assert limited.uncertainty[0] > found.uncertainty[0]


def test_impossible_plans_are_refused(bench: Instrument) -> None:
    with pytest.raises(DomainError, match="total time is nan s"):
        plan(ORE, POWDER, bench, ["La"], total_s=float("nan"))
    with pytest.raises(DomainError, match="most counts per second is 0"):
        plan(ORE, POWDER, bench, ["La"], total_s=60.0, most_counts_per_s=0.0)
    with pytest.raises(DomainError, match="name at least one analyte"):
        plan(ORE, POWDER, bench, [], total_s=60.0)
    with pytest.raises(DomainError, match="no condition shows Li"):
        plan(ORE, POWDER, bench, ["Li"], total_s=60.0, conditions=["low"])
    with pytest.raises(DomainError, match=r"does not state the scale of (low, high|high, low)"):
        plan(ORE, POWDER, replace(bench, log_scale={}), ["La"], total_s=60.0)
    with pytest.raises(DomainError, match="no condition 'mid'"):
        with_choices(bench, "mid", [15.0], {"none": ()})
    with pytest.raises(DomainError, match="sum to"):
        plan({"Fe2O3": 0.5}, POWDER, bench, ["La"], total_s=60.0)
    with pytest.raises(DomainError, match="count rate is 0"):
        at_rate(bench, ORE, POWDER, "low", 0.0)
