"""PANalytical Epsilon: names, the fitted scale, sums."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import read_measurement

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def text(samples: dict[str, tuple[str, bytes]]) -> str:
    return samples["epsilon_mp2"][1].decode()


def test_sample(put: Put, text: str, counts: list[int]) -> None:
    measurement = read_measurement(put("anything.dat", text))
    spectrum = measurement.spectra["50 kV Ag 100"]
    assert measurement.specimen == "ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.energy_scale.zero_kev, spectrum.energy_scale.gain_kev) == (-0.01, 0.2)
    assert (spectrum.condition.anode, spectrum.condition.tube_current_ua) == ("Ag", 100.0)
    assert spectrum.condition.atmosphere == "Air"
    assert spectrum.metadata["ROI-Fit (chan)"] == "5\n40"
    assert spectrum.metadata["TimeMeasured"] == "16/08/2017 12:11:47"


def test_no_filter_is_none(put: Put, text: str) -> None:
    path = put("a.mp2", text.replace(": Ag 100", ": None").replace("50.000", "10.000"))
    assert list(read_measurement(path).spectra) == ["10 kV none"]


def test_one_count_per_line(put: Put, text: str, counts: list[int]) -> None:
    head = text[: text.index("Energy (keV)")]
    path = put("a.mps", head + "".join(f"{n}\r\n" for n in counts))
    assert read_measurement(path).spectra["50 kV Ag 100"].counts.tolist() == counts


@pytest.mark.parametrize(
    ("old", "new", "kind", "place", "found"),
    [
        (
            "OutputCounts              : ",
            "OutputCounts              : 1",
            SpectrumFileError,
            "line 17",
            "OutputCounts is 1",
        ),
        (
            "NrOfChannels              : 48",
            "NrOfChannels              : 4096",
            SpectrumFileError,
            "line 18",
            "NrOfChannels is",
        ),
        (
            "uA                        : 100",
            "uA                        : 455",
            SpectrumFileError,
            "line 6",
            "uA is 455, but mA",
        ),
        (
            "GainFit                   : 0.2",
            "GainFit                   : 0.3",
            SpectrumFileError,
            "line 21",
            "the energy is 0.19",
        ),
        (
            "GainFit                   : 0.2",
            "GainFit_                  : 0.2",
            UncalibratedError,
            "",
            "ZeroFit and GainFit",
        ),
        ("Energy (keV)\tCounts", "Counts\tEnergy (keV)", SpectrumFileError, "line 19", "the columns are"),
        ("0.19\t40\t", "0.19\t40\t7\t", SpectrumFileError, "line 21", "5 columns, expected 4"),
        ("NrOfChannels", "Channels", SpectrumFileError, "line 19", "the header ends without NrOfChannels"),
    ],
)
def test_refused(
    put: Put, text: str, old: str, new: str, kind: type[SpectrumFileError], place: str, found: str
) -> None:
    old, new = (old, new) if old in text else (old.replace("0.19\t40", "0.19\t39"), new.replace("0.19\t40", "0.19\t39"))
    assert old in text
    with pytest.raises(kind) as caught:
        read_measurement(put("a.mp2", text.replace(old, new)))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)
