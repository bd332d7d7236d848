"""Amptek .mca: calibration points, dead time, end of data."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import read_measurement

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def text(samples: dict[str, tuple[str, bytes]]) -> str:
    return samples["amptek_mca"][1].decode()


def test_sample(put: Put, text: str, counts: list[int]) -> None:
    measurement = read_measurement(put("anything.txt", text))
    spectrum = measurement.spectra["spectrum"]
    assert measurement.specimen == "ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (100.0, 112.5)
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.05)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.2)
    assert spectrum.metadata["GAIN"] == "3\n60.023;    Total Gain"
    assert spectrum.metadata["Dead Time"] == "11.1%"


@pytest.mark.parametrize(
    ("label", "points"),
    [
        ("Channel", "5 950\n20 3950\n40 7950\n"),
        ("Energy (eV)", "5 950\n40 7950\n"),
        ("keV", "5 0.95\n40 7.95\n"),
    ],
)
def test_unit_of_the_points(put: Put, text: str, label: str, points: str) -> None:
    changed = text.replace("LABEL - Channel\n5 0.95\n20 3.95\n40 7.95\n", f"LABEL - {label}\n{points}")
    assert changed != text
    scale = read_measurement(put("a.mca", changed)).spectra["spectrum"].energy_scale
    assert scale.gain_kev == pytest.approx(0.2)


def test_empty_description_gives_way_to_the_file_name(put: Put, text: str) -> None:
    path = put("P07.mca", text.replace("DESCRIPTION - ore 17", "DESCRIPTION - "))
    assert read_measurement(path).specimen == "P07"


@pytest.mark.parametrize(
    ("old", "new", "kind", "place", "found"),
    [
        ("<<END>>\n", "", SpectrumFileError, "line 16", "<<DATA>> is not closed by <<END>>"),
        ("<<DPP STATUS END>>\n", "", SpectrumFileError, "line 70", "<<DPP STATUS>> is not closed"),
        ("<<DATA>>", "<<DOTA>>", SpectrumFileError, "", "there is no <<DATA>> section"),
        ("MCAC=48", "MCAC=2048", SpectrumFileError, "line 67", "MCAC is 2048, but 48 counts follow"),
        ("TIME - 100.000000", "TIME - 112.5", SpectrumFileError, "line 5", "LIVE_TIME equals REAL_TIME"),
        ("TIME - 100.000000", "TIME - 0", SpectrumFileError, "line 5", "LIVE_TIME is 0 s"),
        ("20 3.95", "20 7.95", UncalibratedError, "line 9", "the calibration points do not lie on"),
        ("20 3.95", "20", SpectrumFileError, "line 11", "'20' is not a channel and its energy"),
        ("20 3.95\n40 7.95\n", "", UncalibratedError, "", "<<CALIBRATION>> holds 1 points"),
        (
            "5 0.95\n20 3.95\n40 7.95\n",
            "5 50\n40 400\n",
            UncalibratedError,
            "line 9",
            "the unit of the calibration",
        ),
    ],
)
def test_refused(
    put: Put, text: str, old: str, new: str, kind: type[SpectrumFileError], place: str, found: str
) -> None:
    assert old in text
    with pytest.raises(kind) as caught:
        read_measurement(put("a.mca", text.replace(old, new)))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)
