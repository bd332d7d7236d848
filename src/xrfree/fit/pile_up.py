"""Pile-up: photons that come while the pulse of another one is measured.

Definition   A pulse holds the energies of all photons that come within τ of its first. S spectrum of the pulses per
             second of live time, s that of the photons, s' the same without electronic noise (a pulse has it once), R
             their rate, * convolution over energy:
             S = s * exp(τ (s' - R)) = e^(-Rτ) (s + τ s * s' + τ²/2 s * s' * s' + ...)
             Every photon that comes in live time begins a pulse: R is the rate of the pulses as well, and e^(-Rτ) the
             share of counts that pile-up leaves in their lines. What it adds follows from S, to the second order:
             P = S - e^(-Rτ) s = x S * S' - 3/2 x² S * S' * S' + ...,   x = τ e^(Rτ)
             S' is S freed of a noise of variance σ²: its Fourier transform times e^(σ²k²/2). The transform of S * S'
             falls nevertheless, for both have the noise; where nothing is left of it, for k > √(2 g)/σ, the factor
             stays e^g.
Validation   tests/fit/test_pile_up.py: photons drawn one by one; pile-up found in spectra that have much of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]

SAME_PAIRS = {"zero": 1e-3, "gain": 2e-4, "noise": 0.02, "pile_up": 0.02}
"""Changes of parameters of a fit (zero in keV, the others relative) that leave its pile-up as it is."""
_MOST_GAIN = 5.0
"""g: pairs of lines as wide as the noise and more have less than e^(-5) of their transform beyond it."""
_MARGIN = 64
"""Channels beyond those that are wanted: S' rings at the end of the counts, for some widths of the noise."""
_AT_ONCE = 8
"""Spectra whose transforms fit into a processor's cache."""


def piled_up(photons: FloatArray, sharp: FloatArray, pairs_per_count: float, zero_channel: float) -> FloatArray:
    """Counts of pulses, s * exp(τ (s' - R)), shape (n_channels,).

    photons, sharp : counts without pile-up, and these without electronic noise, shape (n_channels,).
    pairs_per_count : τ over the live time. zero_channel : zero_kev / gain_kev of the energy scale.
    """
    n = photons.size
    size = fft.next_fast_len(4 * n, real=True)  # sums of up to four photons do not come round
    partner = pairs_per_count * fft.rfft(_by_energy(sharp[None], np.array([zero_channel]))[0], size)
    added = fft.irfft(fft.rfft(photons, size) * np.expm1(partner), size)[:n]
    return np.asarray(np.exp(-pairs_per_count * photons.sum()) * (photons + np.maximum(added, 0.0)))


def pile_up_in(
    counts: FloatArray,
    noise_channels: FloatArray,
    live_time_s: FloatArray,
    pulse_pair_time_s: FloatArray,
    zero_channel: FloatArray,
    n_channels: int,
) -> FloatArray:
    """Counts by pile-up per second of pulse-pair time, P/τ, in the first channels, shape (n_spectra, n_channels).

    counts : as measured, shape (n_spectra, n_all_channels).
    noise_channels : standard deviation of the electronic noise in channels; live_time_s, pulse_pair_time_s (s),
        zero_channel (zero_kev / gain_kev) : shape (n_spectra,) each.
    n_channels : how many are wanted. Energies add up: what lies above them counts for the rate alone.
    """
    rate = counts.sum(axis=1) / live_time_s
    below = counts[:, : n_channels + _MARGIN]
    found = np.empty((counts.shape[0], n_channels))
    for k in range(0, counts.shape[0], _AT_ONCE):
        some = slice(k, k + _AT_ONCE)
        photons_per_count = np.exp(pulse_pair_time_s[some] * rate[some]) / live_time_s[some]
        found[some] = _pairs(
            below[some], noise_channels[some], photons_per_count, pulse_pair_time_s[some], zero_channel[some]
        )[:, :n_channels]
    return found


def _pairs(
    counts: FloatArray,
    noise_channels: FloatArray,
    photons_per_count: FloatArray,
    pulse_pair_time_s: FloatArray,
    zero_channel: FloatArray,
) -> FloatArray:
    """P/τ of the counts alone, shape (n_spectra, n_channels); photons_per_count : e^(Rτ) over the live time (1/s)."""
    n = counts.shape[1]
    size = fft.next_fast_len(3 * n, real=True)
    wave = 2.0 * np.pi * np.arange(size // 2 + 1) / size
    partner = fft.rfft(_by_energy(counts, zero_channel), size)
    partner *= np.exp(np.minimum(0.5 * (noise_channels[:, None] * wave) ** 2, _MOST_GAIN)) * photons_per_count[:, None]
    pulses = fft.rfft(counts, size)
    pulses *= partner
    pulses *= 1.0 - 1.5 * pulse_pair_time_s[:, None] * partner
    return np.asarray(np.maximum(fft.irfft(pulses, size)[:, :n], 0.0))


def _by_energy(counts: FloatArray, zero_channel: FloatArray) -> FloatArray:
    """Counts at their energies over the gain: how many channels they move what they are added to."""
    channel = np.arange(counts.shape[1])
    return np.array(
        [np.interp(channel - z, channel, row, left=0.0, right=0.0) for z, row in zip(zero_channel, counts, strict=True)]
    )
