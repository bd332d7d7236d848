"""Notes on spectra: a wrong scale, a wrong voltage and dead time are told, a sound spectrum is confirmed."""

import re

import numpy as np
import pytest

from xrfree.plausibility import plausibility_notes
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

CHANNELS = 4096
GAIN_KEV = 0.015


def made(
    *,
    kv: float = 40.0,
    stated_kv: float | None = None,
    scale: float = 1.0,
    live_s: float = 90.0,
    top: int | None = None,
) -> Spectrum:
    """Fe Kα and Rh Kα on a continuum that ends at `kv`; `scale` stretches the stated energies."""
    energy = GAIN_KEV * np.arange(CHANNELS)
    expected = np.clip(kv - energy, 0.0, None) * 20.0 / kv + 0.02
    for line_kev, counts, sigma_kev in ((6.400, 2e5, 0.06), (20.17, 2e4, 0.10)):
        expected += counts * GAIN_KEV / sigma_kev / 2.507 * np.exp(-0.5 * ((energy - line_kev) / sigma_kev) ** 2)
    counts = np.random.default_rng(3).poisson(expected)
    if top is not None:
        counts[427] = top
    return Spectrum(
        counts=counts,
        live_time_s=live_s,
        real_time_s=100.0,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=scale * GAIN_KEV),
        condition=ExcitationCondition(name="a", anode="Rh", tube_voltage_kv=stated_kv or kv),
    )


def test_a_sound_spectrum_is_confirmed() -> None:
    notes = " / ".join(plausibility_notes(made()))
    assert "Fe Kα at 6.4" in notes
    assert notes.count("as the energy scale says") == 2
    assert "as a tube voltage of 40 kV allows" in notes
    assert "check" not in notes


def test_a_scale_that_is_half_a_percent_off_is_told() -> None:
    (note,) = [note for note in plausibility_notes(made(scale=1.006)) if note.startswith("Fe Kα")]
    assert re.search(r"\(\+(3[6-9]|4[01]) eV\): check the energy scale", note)  # 0.6 % of 6.4 keV


def test_a_scale_that_is_far_off_finds_no_line() -> None:
    assert "not confirmed" in plausibility_notes(made(scale=1.3))[0]


@pytest.mark.parametrize(
    ("spectrum", "message"),
    [
        (made(stated_kv=60.0), "far below the stated tube voltage of 60 kV"),
        (made(stated_kv=25.0), "beyond the stated tube voltage of 25 kV"),
        (made(live_s=40.0), "the dead time is 60 %"),
        (made(live_s=100.0), "live time equals real time"),
        (made(top=65535), "the highest channel holds 65535 counts"),
    ],
)
def test_what_is_remarkable_is_told(spectrum: Spectrum, message: str) -> None:
    if "60 kV" in message:
        # the axis has to reach beyond the stated voltage
        assert spectrum.centres_kev[-1] > 60.0
    assert any(message in note for note in plausibility_notes(spectrum))


def test_an_empty_spectrum_and_an_unknown_anode_do_not_stop_it() -> None:
    empty = Spectrum(
        counts=np.zeros(64, dtype=int),
        live_time_s=1.0,
        real_time_s=1.0,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.5),
        condition=ExcitationCondition(name="a", anode="Rhodium", tube_voltage_kv=20.0),
    )
    assert plausibility_notes(empty)
