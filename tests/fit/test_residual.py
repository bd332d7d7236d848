"""Residuals: lines that were added are found by energy, size and name; spectra of the model itself hold none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.atomic import XrayLine
from xrfree.fit import UnmodelledLine, runs_probability, unmodelled_lines

FloatArray = NDArray[np.float64]

ENERGY = np.arange(3.0, 12.0, 0.02)
SIGMA = np.sqrt(0.032**2 + 0.117 * 0.00365 * ENERGY)
SMOOTH = 2000.0 * np.exp(-ENERGY / 6.0)


def line(energy_kev: float, counts: float) -> FloatArray:
    sigma = np.interp(energy_kev, ENERGY, SIGMA)
    return np.asarray(
        counts * 0.02 * np.exp(-0.5 * ((ENERGY - energy_kev) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    )


def found(counts: NDArray[np.int64], *known: str) -> tuple[UnmodelledLine, ...]:
    return unmodelled_lines(energy_kev=ENERGY, counts=counts, expected=SMOOTH, sigma_kev=SIGMA, known=known)


@pytest.mark.parametrize(
    ("element", "transition", "name"), [("Cu", "K-L3", "Cu Kα"), ("Ti", "K-L3", "Ti Kα"), ("W", "L3-M5", "W Lα")]
)
def test_line_that_nobody_modelled_is_found_and_named(element: str, transition: str, name: str) -> None:
    energy = XrayLine(element, transition).energy_kev
    counts = np.random.default_rng(1).poisson(SMOOTH + line(energy, 3000.0))
    (peak,) = found(counts)
    sigma = np.interp(energy, ENERGY, SIGMA)
    under = np.interp(energy, ENERGY, SMOOTH) / 0.02
    # Of a Gaussian on a flat background of b counts per keV: √(2 √π σ b).
    uncertainty = np.sqrt(2.0 * np.sqrt(np.pi) * sigma * under)
    assert peak.energy_kev == pytest.approx(energy, abs=4.0 * sigma / peak.significance)
    assert abs(peak.counts - 3000.0) < 4.0 * np.sqrt(uncertainty**2 + 3000.0)
    assert peak.significance == pytest.approx(peak.counts / uncertainty, rel=0.02)
    assert name in peak.candidates
    assert f"{peak.energy_kev:.2f} keV, probably" in peak.explain()


def test_what_the_model_has_is_no_candidate() -> None:
    counts = np.random.default_rng(1).poisson(SMOOTH + line(8.046, 3000.0))
    (peak,) = found(counts, "Cu K")
    assert "Cu Kα" not in peak.candidates


def test_several_lines_come_by_significance() -> None:
    added = line(5.2, 2000.0) + line(9.2, 6000.0)
    peaks = found(np.random.default_rng(2).poisson(SMOOTH + added))
    assert [round(p.energy_kev, 1) for p in peaks] == [9.2, 5.2]
    assert peaks[0].significance > peaks[1].significance


def test_replicas_of_the_model_hold_no_line() -> None:
    rng = np.random.default_rng(3)
    # Six standard uncertainties at some hundred places: once in a million spectra.
    assert not any(found(rng.poisson(SMOOTH)) for _ in range(50))


def test_runs_of_replicas_are_as_many_as_chance_says() -> None:
    rng = np.random.default_rng(4)
    probabilities = np.array([runs_probability(rng.poisson(SMOOTH).astype(float), SMOOTH) for _ in range(400)])
    # A uniform distribution: mean 1/2, standard error 0.29/√400; four of them.
    assert probabilities.mean() == pytest.approx(0.5, abs=0.06)
    assert np.mean(probabilities < 0.05) < 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / 400)


def test_slow_structure_has_few_runs() -> None:
    counts = np.random.default_rng(5).poisson(SMOOTH * (1.0 + 0.1 * np.sin(ENERGY)))
    assert runs_probability(counts.astype(float), SMOOTH) < 1e-6


def test_residuals_of_one_sign_are_no_error() -> None:
    assert runs_probability(SMOOTH + 1.0, SMOOTH) == 1.0
