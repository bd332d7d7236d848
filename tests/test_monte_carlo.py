from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest

from xrfree import monte_carlo
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError, FitError
from xrfree.fit import JointPrior
from xrfree.instrument import Instrument
from xrfree.method import LaboratoryUncertainty, Method
from xrfree.monte_carlo import monte_carlo_assay, redrawn, redrawn_counts, redrawn_specimen
from xrfree.quantification import QuantifiedLine, quantified_lines
from xrfree.specimen import Fusion, Specimen, SpecimenForm
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

make_assay = run_path(str(Path(__file__).parent / "handmade.py"))["make_assay"]
POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)
METHOD = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
INSTRUMENT = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
LINES = quantified_lines(METHOD)
N = len(LINES)


@dataclass(frozen=True)
class Prepared:
    """The part of a preparation that is redrawn."""

    log_sensitivity: np.ndarray
    blank: np.ndarray
    sensitivity_covariance: np.ndarray
    blank_covariance: np.ndarray
    cross_covariance: np.ndarray
    relative_scatter: np.ndarray
    absolute_scatter: np.ndarray
    ratio_priors: dict[str, JointPrior] = field(default_factory=dict)
    shapes: dict[str, JointPrior] = field(default_factory=dict)
    method: Method = METHOD
    instrument: Instrument = INSTRUMENT
    lines: tuple[QuantifiedLine, ...] = LINES
    owner: np.ndarray = field(default_factory=lambda: np.arange(N))


def prepared(**changes: Any) -> Prepared:
    vectors = ("log_sensitivity", "blank", "relative_scatter", "absolute_scatter")
    squares = ("sensitivity_covariance", "blank_covariance", "cross_covariance")
    nothing = {**{name: np.zeros(N) for name in vectors}, **{name: np.zeros((N, N)) for name in squares}}
    return Prepared(**{**nothing, **changes})


def stating(**uncertainties: float) -> Method:
    return replace(METHOD, uncertainty=LaboratoryUncertainty(**uncertainties))


def measurement(counts: int = 10_000) -> Measurement:
    spectrum = Spectrum(
        counts=np.full(16, counts),
        live_time_s=1.0,
        real_time_s=1.0,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.01),
        condition=ExcitationCondition(name="low"),
    )
    return Measurement(specimen="P", spectra={"low": spectrum})


@pytest.fixture
def chain(monkeypatch, make_assay):
    """Instead of the chain: w = sum of counts / exp(ln k) - b for every component."""

    def quantify(measured, ready, specimen):
        total = float(measured.spectra["low"].counts.sum())
        loss = 1.0 - (specimen.loss_on_ignition or 0.0)
        w = total / 160_000 * 0.1 / np.exp(ready.log_sensitivity) / loss - ready.blank
        return make_assay(mass_fraction=w[:7])

    monkeypatch.setattr(monte_carlo, "quantify", quantify)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (prepared(), 0.1 / np.sqrt(160_000)),
        (prepared(sensitivity_covariance=np.eye(N) * 0.02**2), np.hypot(0.1 / 400, 0.1 * 0.02)),
        (prepared(blank_covariance=np.eye(N) * 0.001**2), np.hypot(0.1 / 400, 0.001)),
        (prepared(relative_scatter=np.full(N, 0.03)), np.hypot(0.1 / 400, 0.003)),
        (prepared(absolute_scatter=np.full(N, 0.002)), np.hypot(0.1 / 400, 0.002)),
        (prepared(method=stating(preparation=0.03)), np.hypot(0.1 / 400, 0.003)),
        (prepared(method=stating(drift=0.03)), np.hypot(0.1 / 400, 0.003)),
        (prepared(method=stating(loss_on_ignition=0.03)), np.hypot(0.1 / 400, 0.003)),
    ],
)
def test_every_input_is_redrawn(chain, ready, expected):
    ignited = replace(POWDER, loss_on_ignition=0.0)
    found = monte_carlo_assay(measurement(), ready, ignited, trials=2000, seed=1)
    # 2000 draws know a standard deviation to 1.6 %; four of them, for each of seven components.
    np.testing.assert_allclose(found.standard_uncertainty, expected, rtol=0.064)
    assert found.own_uncertainty == pytest.approx(0.0158, abs=1e-4)


def test_correlation_of_sensitivity_and_blank_is_kept():
    generator = np.random.default_rng(2)
    cross = np.diag(np.full(N, -0.9 * 0.02 * 0.001))
    ready = prepared(
        sensitivity_covariance=np.eye(N) * 0.02**2, blank_covariance=np.eye(N) * 0.001**2, cross_covariance=cross
    )
    draws = [redrawn(ready, generator) for _ in range(2000)]
    r = np.corrcoef([d.log_sensitivity[0] for d in draws], [d.blank[0] for d in draws])[0, 1]
    assert r == pytest.approx(-0.9, abs=0.02)


def test_line_ratios_and_shapes_are_redrawn_and_counts_stay_whole():
    prior = JointPrior(names=("a", "b"), mean=np.zeros(2), covariance=np.diag([0.01**2, 0.0]))
    generator = np.random.default_rng(3)
    drawn = redrawn(prepared(ratio_priors={"band": prior, "other": prior}, shapes={"band": prior}), generator)
    for known in (drawn.ratio_priors["band"], drawn.shapes["band"]):
        assert known.mean[0] != 0.0
        assert known.mean[1] == 0.0
    assert drawn.ratio_priors["band"].mean[0] != drawn.shapes["band"].mean[0]
    # What pure compounds say is wrong in all regions alike.
    assert drawn.ratio_priors["other"].mean[0] == drawn.ratio_priors["band"].mean[0]
    again = redrawn_counts(measurement(), generator).spectra["low"].counts
    assert again.dtype == np.int64
    assert abs(again.sum() - 160_000) < 5 * 400


def test_escape_and_pile_up_are_redrawn():
    generator = np.random.default_rng(4)
    response = replace(INSTRUMENT.responses["low"], pulse_pair_time_s=2e-7, pile_up_relative_uncertainty=0.1)
    ready = prepared(instrument=replace(INSTRUMENT, responses={**INSTRUMENT.responses, "low": response}))
    drawn = [redrawn(ready, generator).instrument.responses["low"] for _ in range(2000)]
    # 2000 draws know a standard deviation to 1.6 %: four of them.
    assert np.std([r.pulse_pair_time_s for r in drawn]) == pytest.approx(2e-8, rel=0.064)
    u = response.escape_scale * response.escape_relative_uncertainty
    assert np.std([r.escape_scale for r in drawn]) == pytest.approx(u, rel=0.064)


def test_drift_is_that_of_a_condition():
    drawn = redrawn(prepared(method=stating(drift=0.01)), np.random.default_rng(5)).log_sensitivity
    by_condition: dict[str, set[float]] = {}
    for line, moved in zip(LINES, drawn.tolist(), strict=True):
        by_condition.setdefault(line.region.condition, set()).add(moved)
    assert sorted(map(len, by_condition.values())) == [1, 1]
    assert by_condition["low"] != by_condition["high"]


def test_flux_is_weighed_again_and_an_unknown_ignition_loss_stays_unknown():
    generator = np.random.default_rng(6)
    record = Fusion(flux=(("Li2B4O7", 1.0),), sample_g=1.0, flux_g=10.0, ignited_mass_per_g_sample=0.95)
    bead = Specimen(form=SpecimenForm.FUSED_BEAD, density_g_cm3=2.4, thickness_cm=0.3, fusion=record)
    stated = LaboratoryUncertainty(dilution=0.001, loss_on_ignition=0.01)
    drawn = [redrawn_specimen(bead, stated, generator).fusion.flux_g for _ in range(2000)]
    assert np.std(drawn) == pytest.approx(0.01, rel=0.064)
    assert redrawn_specimen(POWDER, stated, generator) == POWDER


def test_the_same_seed_gives_the_same_draws(chain):
    first, second = (monte_carlo_assay(measurement(), prepared(), POWDER, trials=20, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.mass_fraction, second.mass_fraction)


def test_refused_trials_are_counted_and_too_few_are_an_error(monkeypatch, make_assay):
    calls = iter(range(100))

    def sometimes(measured, ready, specimen):
        if next(calls) % 2:
            raise FitError("no")
        return make_assay()

    monkeypatch.setattr(monte_carlo, "quantify", sometimes)
    assert monte_carlo_assay(measurement(), prepared(), POWDER, trials=40, seed=1).refused == 20
    with pytest.raises(DomainError, match="only 15 of 30"):
        monte_carlo_assay(measurement(), prepared(), POWDER, trials=30, seed=1)
    with pytest.raises(DomainError, match="20 or more"):
        monte_carlo_assay(measurement(), prepared(), POWDER, trials=5, seed=1)
