"""Simulated spectra: laws they obey, and the way back to the composition they were made of.

The way back uses the same model as the way there: it shows that the parts agree with one another, not with
nature.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from xrfree.closure import specimen_elements, whole_composition
from xrfree.composition import Composition
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError
from xrfree.instrument import Instrument, LineRatios
from xrfree.method import Method
from xrfree.quantification import prepare, quantify
from xrfree.simulation import expected_counts, simulate
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import Measurement

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.2, thickness_cm=0.5, loss_on_ignition=0.12)
SEEN = {
    "La": 0.009, "Ce": 0.016, "Pr": 0.0017, "Nd": 0.006, "Sm": 0.0009,
    "Fe": 0.45, "Ca": 0.06, "Ti": 0.006, "Mn": 0.008, "Ba": 0.012,
}  # fmt: skip
COMPOUND = {"Fe2O3": 0.8, "SiO2": 0.2}


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """The shipped one, with the scale of a tube that gives some ten thousand counts per second."""
    shipped = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    return dataclasses.replace(shipped, log_scale={"low": -12.5, "high": -12.0})


@pytest.fixture(scope="module")
def method() -> Method:
    """The band of the rare earths alone, for a specimen without the elements of the other regions."""
    shipped = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    band = next(region for region in shipped.regions if region.name == "band")
    alone = dataclasses.replace(band, accompanying=())
    return dataclasses.replace(shipped, regions=(alone,), analytes=("La", "Ce", "Pr", "Nd", "Sm"))


def mean(instrument: Instrument, **changes: Any) -> Any:
    given = {"contents": COMPOUND, "specimen": POWDER, "condition": "low", "live_time_s": 100.0}
    return expected_counts(instrument=instrument, **{**given, **changes})


def test_the_same_seed_gives_the_same_spectrum(instrument: Instrument) -> None:
    one, again, other = (
        simulate(COMPOUND, POWDER, instrument, "low", live_time_s=10.0, seed=seed).counts for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_counts_scatter_as_poisson_numbers_do(instrument: Instrument) -> None:
    expected = mean(instrument)
    counts = simulate(COMPOUND, POWDER, instrument, "low", live_time_s=100.0, seed=3).counts
    some = expected > 20.0
    pulls = (counts[some] - expected[some]) / np.sqrt(expected[some])
    assert np.mean(pulls**2) == pytest.approx(1.0, abs=5.0 * np.sqrt(2.0 / some.sum()))


def test_twice_the_time_gives_twice_the_counts(instrument: Instrument) -> None:
    assert mean(instrument, live_time_s=200.0) == pytest.approx(2.0 * mean(instrument), rel=1e-9, abs=1e-6)


def test_pile_up_takes_from_the_line_and_adds_at_the_sum(instrument: Instrument) -> None:
    def with_pulse_pair_time(seconds: float) -> Any:
        low = dataclasses.replace(instrument.responses["low"], pulse_pair_time_s=seconds)
        return mean(dataclasses.replace(instrument, responses={**instrument.responses, "low": low}))

    without, with_pile_up = with_pulse_pair_time(0.0), with_pulse_pair_time(1e-7)
    centres = np.arange(without.size) * 0.01
    iron, twice = np.abs(centres - 6.4) < 0.1, np.abs(centres - 12.8) < 0.1
    rate = without.sum() / 100.0
    assert with_pile_up[iron].sum() == pytest.approx(without[iron].sum() * np.exp(-1e-7 * rate), rel=1e-3)
    assert with_pile_up[twice].sum() > 2.0 * without[twice].sum()


def test_a_line_group_left_out_leaves_no_line(instrument: Instrument) -> None:
    silicon_only = mean(instrument, groups=("Si K",))
    centres = np.arange(silicon_only.size) * 0.01
    iron = np.abs(centres - 6.4) < 0.1
    assert silicon_only[iron].sum() < 0.02 * mean(instrument)[iron].sum()
    assert np.argmax(silicon_only) == pytest.approx(174, abs=2)


def test_scales_of_a_line_group_and_line_ratios_are_those_of_the_instrument(instrument: Instrument) -> None:
    ratios = LineRatios(clusters=(("Fe K", "K-M"),), deviation=np.array([0.1]), covariance=np.array([[1e-4]]))
    moved = dataclasses.replace(
        instrument, log_scale={"low": -12.5, "low/Fe K": -12.5 + np.log(1.5)}, line_ratios=ratios
    )
    centres = np.arange(2048) * 0.01
    response = dataclasses.replace(instrument.responses["low"], pulse_pair_time_s=0.0)
    one, two = (mean(dataclasses.replace(i, responses={**i.responses, "low": response})) for i in (instrument, moved))
    alpha, beta = np.abs(centres - 6.4) < 0.05, np.abs(centres - 7.06) < 0.05
    assert two[alpha].sum() == pytest.approx(1.5 * one[alpha].sum(), rel=5e-3)
    assert two[beta].sum() == pytest.approx(1.65 * one[beta].sum(), rel=2e-2)


def test_contents_must_be_those_of_the_whole_specimen(instrument: Instrument) -> None:
    with pytest.raises(DomainError, match=r"sum to 0\.8000"):
        mean(instrument, contents={"Fe2O3": 0.8})
    with pytest.raises(DomainError, match="no condition 'medium'; it has"):
        mean(instrument, condition="medium")


def test_quantify_finds_the_composition_again(instrument: Instrument, method: Method) -> None:
    elements = specimen_elements(method)
    whole = whole_composition(SEEN, POWDER, method.unseen, elements)
    contents = Composition(elements=elements, mass_fraction=whole)
    spectrum = simulate(contents, POWDER, instrument, "low", live_time_s=300.0, seed=5)
    measurement = Measurement(specimen="ore", spectra={"low": spectrum})
    assay = quantify(measurement, prepare(method, instrument), POWDER)
    truth = np.array([SEEN.get(component, 0.0) for component in assay.components])
    pulls = (assay.mass_fraction - truth) / np.hypot(assay.budget["counting"], assay.budget["background"])
    assert np.max(np.abs(pulls)) < 4.0
    assert assay.areas[0].reduced_deviance == pytest.approx(1.0, abs=0.25)
