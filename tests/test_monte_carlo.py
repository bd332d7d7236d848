from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from xrfree import monte_carlo
from xrfree.errors import DomainError, FitError
from xrfree.fit import JointPrior
from xrfree.monte_carlo import monte_carlo_assay, redrawn, redrawn_counts
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

make_assay = run_path(str(Path(__file__).parent / "handmade.py"))["make_assay"]
POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)


@dataclass(frozen=True)
class Prepared:
    """The part of a preparation that is redrawn, for one element."""

    log_sensitivity: np.ndarray
    blank: np.ndarray
    sensitivity_covariance: np.ndarray
    blank_covariance: np.ndarray
    cross_covariance: np.ndarray
    relative_scatter: np.ndarray
    absolute_scatter: np.ndarray
    ratio_prior: JointPrior | None = None


def prepared(**changes) -> Prepared:
    nothing = {
        "log_sensitivity": np.zeros(7),
        "blank": np.zeros(7),
        "sensitivity_covariance": np.zeros((7, 7)),
        "blank_covariance": np.zeros((7, 7)),
        "cross_covariance": np.zeros((7, 7)),
        "relative_scatter": np.zeros(7),
        "absolute_scatter": np.zeros(7),
    }
    return Prepared(**{**nothing, **changes})


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
        return make_assay(mass_fraction=total / 160_000 * 0.1 / np.exp(ready.log_sensitivity) - ready.blank)

    monkeypatch.setattr(monte_carlo, "quantify", quantify)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (prepared(), 0.1 / np.sqrt(160_000)),
        (prepared(sensitivity_covariance=np.eye(7) * 0.02**2), np.hypot(0.1 / 400, 0.1 * 0.02)),
        (prepared(blank_covariance=np.eye(7) * 0.001**2), np.hypot(0.1 / 400, 0.001)),
        (prepared(relative_scatter=np.full(7, 0.03)), np.hypot(0.1 / 400, 0.003)),
        (prepared(absolute_scatter=np.full(7, 0.002)), np.hypot(0.1 / 400, 0.002)),
    ],
)
def test_every_input_is_redrawn(chain, ready, expected):
    found = monte_carlo_assay(measurement(), ready, POWDER, trials=2000, seed=1)
    # 2000 draws know a standard deviation to 1.6 %; four of them, for each of seven components.
    np.testing.assert_allclose(found.standard_uncertainty, expected, rtol=0.064)
    assert found.own_uncertainty == pytest.approx(0.0158, abs=1e-4)


def test_correlation_of_sensitivity_and_blank_is_kept():
    generator = np.random.default_rng(2)
    cross = np.diag(np.full(7, -0.9 * 0.02 * 0.001))
    ready = prepared(
        sensitivity_covariance=np.eye(7) * 0.02**2, blank_covariance=np.eye(7) * 0.001**2, cross_covariance=cross
    )
    draws = [redrawn(ready, generator) for _ in range(2000)]
    r = np.corrcoef([d.log_sensitivity[0] for d in draws], [d.blank[0] for d in draws])[0, 1]
    assert r == pytest.approx(-0.9, abs=0.02)


def test_line_ratios_are_redrawn_and_counts_stay_whole():
    prior = JointPrior(names=("a", "b"), mean=np.zeros(2), covariance=np.diag([0.01**2, 0.0]))
    generator = np.random.default_rng(3)
    drawn = redrawn(prepared(ratio_prior=prior), generator).ratio_prior
    assert drawn.mean[0] != 0.0
    assert drawn.mean[1] == 0.0
    again = redrawn_counts(measurement(), generator).spectra["low"].counts
    assert again.dtype == np.int64
    assert abs(again.sum() - 160_000) < 5 * 400


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
