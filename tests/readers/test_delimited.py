"""Delimited text: separators, decimal signs, headers, columns, energy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import read_measurement
from xrfree.readers.profile import ReaderProfile
from xrfree.spectrum import Spectrum

Put = Callable[[str, str | bytes], Path]
HEADER = "# live_time_s: 100\n# energy_zero_kev: 0\n# energy_gain_kev: 0.1\n"
ROWS = [(0, 5), (1, 7), (2, 11), (3, 0)]


def profile(**said: object) -> ReaderProfile:
    return ReaderProfile.model_validate({"schema": "xrfree/profile/1", **said})


def only_spectrum(path: Path, given: ReaderProfile | None = None) -> Spectrum:
    (spectrum,) = read_measurement(path, profile=given).spectra.values()
    return spectrum


def test_sample(put: Put, samples: dict[str, tuple[str, bytes]], counts: list[int]) -> None:
    measurement = read_measurement(put(*samples["delimited"]))
    spectrum = measurement.spectra["low"]
    assert measurement.specimen == "ore 17"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (100.0, 112.5)
    assert (spectrum.energy_scale.zero_kev, spectrum.energy_scale.gain_kev) == (-0.05, 0.2)
    assert spectrum.condition.filter == "none"
    assert spectrum.metadata["atmosphere"] == "vacuum"


@pytest.mark.parametrize("separator", [",", ";", "\t", "   ", ", ", " \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(put: Put, separator: str, end: str) -> None:
    text = HEADER + separator.join(["channel", "counts"]) + "\n"
    text += "".join(f"{i}{separator}{n}\n" for i, n in ROWS)
    assert only_spectrum(put("a.csv", text.replace("\n", end))).counts.tolist() == [5, 7, 11, 0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_encodings(put: Put, encoding: str) -> None:
    text = "# specimen: Erzprobe Süd µ\n" + HEADER + "counts\n" + "".join(f"{n}.0\n" for _, n in ROWS)
    assert read_measurement(put("a.txt", text.encode(encoding))).specimen == "Erzprobe Süd µ"


def test_decimal_comma(put: Put) -> None:
    text = "Live time (s);12,5\nenergy_keV;counts\n0,10;5\n0,20;7\n0,30;11\n"
    spectrum = only_spectrum(put("a.csv", text))
    assert spectrum.live_time_s == 12.5
    assert spectrum.energy_scale.zero_kev == pytest.approx(0.1)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.1)


def test_a_comma_that_may_mark_thousands_is_not_guessed(put: Put) -> None:
    path = put("a.csv", HEADER + "channel;counts\n0;5\n1;12,000\n2;7\n")
    with pytest.raises(SpectrumFileError, match=r'line 6: the comma .*decimal = "comma"'):
        read_measurement(path)
    assert only_spectrum(path, profile(decimal="comma")).counts.tolist() == [5, 12, 7]


@pytest.mark.parametrize("line", ["live_time_s = 100", "Live time [s]: 100.0", "LIVETIME_S,100", '"live_time_s";100'])
def test_ways_to_write_a_key(put: Put, line: str) -> None:
    separator = ";" if ";" in line else ","
    text = f"{line}\nenergy_zero_kev: 0\nenergy_gain_kev: 0.1\n"
    text += "".join(f"{i}{separator}{n}\n" for i, n in ROWS)
    assert only_spectrum(put("a.csv", text)).live_time_s == 100.0


def test_a_time_without_unit_states_nothing(put: Put) -> None:
    text = HEADER.replace("live_time_s", "Live time") + "1\n2\n3\n"
    with pytest.raises(SpectrumFileError, match="no live time is stated"):
        read_measurement(put("a.txt", text))


def test_condition_is_named_after_voltage_and_filter(put: Put) -> None:
    text = "# tube_kv: 50\n# filter: Ag 100\n" + HEADER + "1\n2\n3\n"
    assert list(read_measurement(put("a.txt", text)).spectra) == ["50 kV Ag 100"]


def test_repeated_keys_are_kept(put: Put) -> None:
    spectrum = only_spectrum(put("a.txt", "# note: a\n# note: b\n# free text\n" + HEADER + "1\n2\n# end: c\n"))
    assert spectrum.metadata["note"] == "a\nb"
    assert spectrum.metadata["comment"] == "free text"
    assert spectrum.metadata["end"] == "c"


def test_a_key_stated_twice_must_agree(put: Put) -> None:
    with pytest.raises(SpectrumFileError, match=r"line 4: live_time_s is '90', but '100' in line 1"):
        read_measurement(put("a.txt", HEADER + "# live_time_s: 90\n1\n2\n"))


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("channel,counts\n0,5\n1,7\n3,11\n", "line 7", "channel 3 follows channel 1"),
        ("channel,counts\n0,5\n1,7,\n2,x\n", "line 7", "'x' is not a number"),
        ("channel,counts\n0,5\n1\n2,3\n", "line 6", "1 columns, expected 2"),
        ("channel,counts\n0,5\n1,7.5\n", "line 6", "channel 1 holds 7.5 counts"),
        ("a,b,c\n0,5,1\n1,7,1\n", "line 5", "3 columns named a, b, c, and which one holds the counts"),
        ("0,5,1\n1,7,1\n", "line 4", "3 columns without names"),
        ("5,5\n7,7\n", "line 4", "2 columns without names"),
        ("# channels: 4\n1\n2\n3\n", "line 4", "channels is 4, but 3 counts follow"),
        ("# total_counts: 7\n1\n2\n3\n", "line 4", "total_counts is 7, but the channels add up to 6"),
        ("channel,counts\n1,5\n2,7\n", "line 5", "channels are numbered from 1"),
    ],
)
def test_refused(put: Put, text: str, place: str, found: str) -> None:
    with pytest.raises(SpectrumFileError) as caught:
        read_measurement(put("a.csv", HEADER + text))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"counts_column": "Pulses"}, [5, 7, 11]),
        ({"counts_column": 3}, [9, 9, 9]),
        ({"counts_column": "pulses", "channel_column": 1}, [5, 7, 11]),
    ],
)
def test_profile_names_the_column(put: Put, keys: dict[str, object], expected: list[int]) -> None:
    path = put("a.csv", HEADER + "n,Pulses,other\n0,5,9\n1,7,9\n2,11,9\n")
    assert only_spectrum(path, profile(**keys)).counts.tolist() == expected


def test_profile_skips_lines_and_reads_beside_text(put: Put) -> None:
    path = put("a.csv", "12,34\n" + HEADER + "counts,flag\n5,ok\n7,bad\n")
    assert only_spectrum(path, profile(skip_lines=1)).counts.tolist() == [5, 7]


def test_profile_fills_what_the_file_does_not_state(put: Put) -> None:
    path = put("a.txt", "1\n2\n3\n")
    given = profile(
        live_time_s=10, real_time_s=11, energy_zero_kev=0, energy_gain_kev=0.01, specimen="S", condition="c"
    )
    measurement = read_measurement(path, profile=given)
    spectrum = measurement.spectra["c"]
    assert (measurement.specimen, spectrum.live_time_s, spectrum.real_time_s) == ("S", 10.0, 11.0)
    assert spectrum.metadata["xrfree.profile_sha256"] == given.sha256()


@pytest.mark.parametrize(
    "keys",
    [
        {"live_time_s": 90.0},
        {"energy_zero_kev": 0.0, "energy_gain_kev": 0.2},
    ],
)
def test_profile_and_file_must_agree(put: Put, keys: dict[str, object]) -> None:
    path = put("a.txt", HEADER + "1\n2\n3\n")
    replaced = "live_time_s" if "live_time_s" in keys else "energy_scale"
    with pytest.raises(SpectrumFileError, match=rf"but the profile says .*replaces = \[\"{replaced}\"\]"):
        read_measurement(path, profile=profile(**keys))
    spectrum = only_spectrum(path, profile(**keys, replaces=[replaced]))
    assert spectrum.live_time_s == keys.get("live_time_s", 100.0)
    assert spectrum.energy_scale.gain_kev == keys.get("energy_gain_kev", 0.1)


def test_an_energy_column_must_be_straight(put: Put) -> None:
    energies = 0.01 * np.arange(50)
    good = "".join(f"{e:.3f},{i}\n" for i, e in enumerate(energies))
    head = "# live_time_s: 1\nenergy_keV,counts\n"
    assert only_spectrum(put("a.csv", head + good)).energy_scale.gain_kev == pytest.approx(0.01)
    bent = "".join(f"{e:.3f},{i}\n" for i, e in enumerate(energies + 1e-5 * np.arange(50) ** 2))
    with pytest.raises(UncalibratedError, match=r"line 3: the energies do not rise in equal steps: channel \d+"):
        read_measurement(put("b.csv", head + bent))


def test_an_energy_column_and_the_header_must_agree(put: Put) -> None:
    rows = "".join(f"{200 * i},{i}\n" for i in range(9))
    with pytest.raises(SpectrumFileError, match=r"the header ends the energy scale at 0\.8 keV, .* at 1\.6 keV"):
        read_measurement(put("a.csv", HEADER + "energy_eV,counts\n" + rows))


def test_an_energy_column_needs_its_unit(put: Put) -> None:
    path = put("a.csv", "# live_time_s: 1\nE,counts\n100,1\n200,2\n300,3\n")
    with pytest.raises(UncalibratedError, match='energy_unit = "keV"'):
        read_measurement(path, profile=profile(energy_column="E"))
    spectrum = only_spectrum(path, profile(energy_column="E", energy_unit="eV"))
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.1)
