"""Pile-up: pulses of one line counted by hand, photons drawn one by one, and pile-up found in what has much of it."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.fit.pile_up import pile_up_in, piled_up

FloatArray = NDArray[np.float64]

LIVE_TIME_S = 100.0


def two_lines(sigma: float = 4.0) -> FloatArray:
    """1e6 counts in 100 s: two lines of this standard deviation, the half of them each, on 300 channels."""
    channel = np.arange(300)
    lines = sum(np.exp(-0.5 * ((channel - centre) / sigma) ** 2) for centre in (40.0, 65.0))
    return np.asarray(1e6 * lines / np.sum(lines))


def test_pulses_of_one_line_hold_as_many_photons_as_chance_brings() -> None:
    photons = np.zeros(200)
    photons[20] = 1e6
    pulses = piled_up(photons, photons, 0.3 / 1e6, 0.0)
    for k in range(1, 5):
        chance = np.exp(-0.3) * 0.3 ** (k - 1) / factorial(k - 1)
        assert pulses[20 * k] == pytest.approx(1e6 * chance, rel=1e-9)
    # Nine photons and more lie beyond the last channel.
    assert pulses.sum() == pytest.approx(1e6, rel=1e-8)


def test_pulses_are_those_of_photons_drawn_one_by_one() -> None:
    photons, pair_time = two_lines(), 2e-5
    generator = np.random.default_rng(1)
    n = int(1.3 * photons.sum())
    arrival = np.cumsum(generator.exponential(LIVE_TIME_S / photons.sum(), n))
    energy = generator.choice(photons.size, n, p=photons / photons.sum())
    seen = np.zeros(4 * photons.size)
    first, live = 0, 0.0
    ends = np.searchsorted(arrival, arrival + pair_time)
    sums = np.concatenate([[0], np.cumsum(energy)])
    end_of_last = 0.0
    while live + arrival[first] - end_of_last < LIVE_TIME_S:
        live += arrival[first] - end_of_last
        seen[sums[ends[first]] - sums[first]] += 1
        end_of_last, first = arrival[first] + pair_time, int(ends[first])
    expected = piled_up(photons, photons, pair_time / LIVE_TIME_S, 0.0)
    for low, high in ((20, 53), (53, 90), (90, 118), (118, 150), (150, 300)):
        mean = expected[low:high].sum()
        # Five standard deviations of a Poisson number.
        assert seen[low:high].sum() == pytest.approx(mean, abs=5.0 * np.sqrt(mean))


@pytest.mark.parametrize("zero_channel", [0.0, -3.4, 2.6])
def test_pile_up_of_a_high_rate_has_the_true_pulse_pair_time(zero_channel: float) -> None:
    photons, pair_time = two_lines(), 5e-6
    counts = piled_up(photons, photons, pair_time / LIVE_TIME_S, zero_channel)
    lost = np.exp(-pair_time * photons.sum() / LIVE_TIME_S)
    true = counts - lost * photons
    found = pile_up_in(
        counts[None],
        np.zeros(1),
        np.array([LIVE_TIME_S]),
        np.array([pair_time]),
        np.array([zero_channel]),
        counts.size,
    )[0]
    # Rτ = 0.05. The third order, which is left out, is 8/3 (Rτ)² = 0.7 % of the pairs in all, and lies where four
    # photons are; the first order is 5 % too low in the peaks of pairs.
    assert (found @ true) / (found @ found) == pytest.approx(pair_time, rel=2e-3)
    assert pair_time * found == pytest.approx(true, abs=0.007 * true.max())


@pytest.mark.parametrize("own", [2.0, 3.0])
def test_a_pulse_has_the_electronic_noise_once(own: float) -> None:
    noise, pair_time = 3.5, 2e-6
    photons = two_lines(np.hypot(own, noise))
    counts = piled_up(photons, two_lines(own), pair_time / LIVE_TIME_S, 0.0)
    true = counts - np.exp(-pair_time * photons.sum() / LIVE_TIME_S) * photons
    given = np.array([LIVE_TIME_S]), np.array([pair_time]), np.zeros(1), counts.size
    once, twice = (pair_time * pile_up_in(counts[None], np.array([n]), *given)[0] for n in (noise, 0.0))
    # Rτ = 0.02: the third order is 8/3 (Rτ)² = 0.1 % of the pairs.
    assert once == pytest.approx(true, abs=0.003 * true.max())
    assert np.max(np.abs(twice - true)) > 0.1 * true.max()


def test_noise_of_few_counts_is_not_blown_up() -> None:
    counts = np.random.default_rng(2).poisson(two_lines(5.0) / 100.0).astype(float)
    given = np.array([LIVE_TIME_S]), np.array([1e-5]), np.zeros(1), counts.size
    found, plain = (1e-5 * pile_up_in(counts[None], np.array([n]), *given)[0] for n in (4.0, 0.0))
    assert found.sum() == pytest.approx(plain.sum(), rel=0.01)
    assert found.max() < 2.0 * plain.max()


@pytest.mark.parametrize("zero_channel", [0.0, -3.4, 2.6])
def test_what_lies_above_the_wanted_channels_counts_for_the_rate_alone(zero_channel: float) -> None:
    counts = np.random.default_rng(3).poisson(np.tile(two_lines(5.0) + 100.0, (20, 1))).astype(float)
    given = [np.full(20, value) for value in (4.0, LIVE_TIME_S, 1e-5, zero_channel)]
    noise, time, pair_time, zero = given
    some, whole = (pile_up_in(counts, noise, time, pair_time, zero, n) for n in (130, counts.shape[1]))
    # S' rings where the counts end, by what is left of 100 counts 64 channels away.
    assert some == pytest.approx(whole[:, :130], abs=1e-5 * whole.max())
