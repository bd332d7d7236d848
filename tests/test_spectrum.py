"""Spectra: whole counts, times that agree, an energy scale that rises."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, SourceFile, Spectrum

SCALE = EnergyScale(zero_kev=-0.01, gain_kev=0.02)


def spectrum(**changes: Any) -> Spectrum:
    fields: dict[str, Any] = {
        "counts": [0, 3, 7, 1],
        "live_time_s": 90.0,
        "real_time_s": 100.0,
        "energy_scale": SCALE,
        "condition": ExcitationCondition(name="low"),
        "metadata": {"DET": "SDD"},
    }
    return Spectrum(**(fields | changes))


@given(zero=st.floats(-1.0, 1.0), gain=st.floats(1e-4, 0.1), n=st.integers(1, 100))
def test_centres_lie_between_their_edges(zero: float, gain: float, n: int) -> None:
    scale = EnergyScale(zero_kev=zero, gain_kev=gain)
    edges, centres = scale.edges_kev(n), scale.centres_kev(n)
    assert edges.shape == (n + 1,)
    assert centres == pytest.approx(0.5 * (edges[1:] + edges[:-1]), abs=1e-12)
    assert np.diff(edges) == pytest.approx(np.full(n, gain), rel=1e-6)


def test_quadratic_scale_is_the_stated_polynomial() -> None:
    scale = EnergyScale(zero_kev=0.1, gain_kev=0.01, quadratic_kev=1e-7)
    assert scale.energy_kev(100.5) == pytest.approx(0.1 + 1.005 + 1e-7 * 100.5**2, rel=1e-12)
    assert scale.energy_kev(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("zero", "gain", "quadratic"),
    [(0.0, 0.0, 0.0), (0.0, -0.01, 0.0), (0.0, np.nan, 0.0), (np.inf, 0.01, 0.0), (0.0, 0.01, np.nan)],
)
def test_scale_that_does_not_rise_is_refused(zero: float, gain: float, quadratic: float) -> None:
    with pytest.raises(DomainError, match="the gain must be a positive number"):
        EnergyScale(zero_kev=zero, gain_kev=gain, quadratic_kev=quadratic)


def test_scale_that_turns_around_within_the_spectrum_is_refused() -> None:
    turning = EnergyScale(zero_kev=0.0, gain_kev=0.01, quadratic_kev=-1e-4)
    with pytest.raises(DomainError):
        spectrum(counts=np.zeros(200, dtype=int), energy_scale=turning)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], r"at least one channel, got shape \(0,\)"),
        ([[1, 2]], r"got shape \(1, 2\)"),
        ([1, -1], "channel 1 holds -1 counts, expected a whole number of events"),
        ([1.0, 2.5], "channel 1 holds 2.5 counts"),
        ([np.nan, 1.0], "channel 0 holds nan counts"),
        ([1.0, np.inf], "channel 1 holds inf counts"),
        ([1.0, 1e17], r"channel 1 holds 1e\+17 counts"),
        (["1", "2"], "expected numbers"),
        ([True, False], "counts are of type bool, expected numbers"),
    ],
)
def test_what_are_no_counts_is_refused(counts: list[Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        spectrum(counts=counts)


def test_counts_are_a_frozen_copy_of_whole_numbers() -> None:
    given_counts = np.array([1.0, 2.0])
    made = spectrum(counts=given_counts)
    given_counts[0] = 9.0
    assert made.counts.dtype == np.int64
    assert made.counts.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        made.counts[0] = 0


@pytest.mark.parametrize("live", [0.0, -1.0, np.nan, np.inf])
def test_impossible_live_time_is_refused(live: float) -> None:
    with pytest.raises(DomainError, match=f"live time is {live} s, expected seconds > 0"):
        spectrum(live_time_s=live)


@pytest.mark.parametrize("real", [80.0, 0.0, np.nan, -5.0])
def test_real_time_shorter_than_live_time_is_refused(real: float) -> None:
    with pytest.raises(DomainError, match=f"real time {real} s is shorter than live time 90.0 s"):
        spectrum(real_time_s=real)


def test_rounded_times_are_accepted_and_give_no_negative_dead_time() -> None:
    assert spectrum(real_time_s=89.95).dead_time_fraction == 0.0


def test_sums_and_dead_time() -> None:
    made = spectrum()
    assert made.total_counts == 11
    assert made.n_channels == 4
    assert made.dead_time_fraction == pytest.approx(0.1, rel=1e-12)
    assert made.edges_kev[0] == pytest.approx(-0.02)
    assert made.centres_kev[0] == pytest.approx(-0.01)


def test_metadata_cannot_be_changed() -> None:
    said = {"DET": "SDD"}
    made = spectrum(metadata=said)
    said["DET"] = "other"
    assert made.metadata["DET"] == "SDD"
    with pytest.raises(TypeError):
        made.metadata["DET"] = "other"  # type: ignore[index]


def test_measurement_needs_a_name_and_a_spectrum() -> None:
    with pytest.raises(DomainError, match="needs the name of its specimen"):
        Measurement(specimen=" ", spectra={"low": spectrum()})
    with pytest.raises(DomainError, match="P01: a measurement needs at least one spectrum"):
        Measurement(specimen="P01", spectra={})


def test_measurement_travels_between_processes() -> None:
    source = SourceFile(path="P01.csv", sha256="ab" * 32)
    made = Measurement(specimen="P01", spectra={"low": spectrum()}, sources=(source,))
    back = pickle.loads(pickle.dumps(made))
    assert back.specimen == "P01"
    assert back.sources == (source,)
    assert np.array_equal(back.spectra["low"].counts, made.spectra["low"].counts)
    assert back.spectra["low"].metadata == made.spectra["low"].metadata
    assert not back.spectra["low"].counts.flags.writeable
