"""EMSA/MAS: units in keys, data types, broken lines, contradictions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers import read_measurement
from xrfree.spectrum import Spectrum

Put = Callable[[str, str | bytes], Path]
Change = Callable[..., Path]


@pytest.fixture
def change(put: Put, samples: dict[str, tuple[str, bytes]]) -> Change:
    """Write the sample with pieces of it replaced; each must occur."""

    def write(*pairs: tuple[str, str]) -> Path:
        text = samples["emsa"][1].decode()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        return put("ore-17.msa", text)

    return write


def only_spectrum(path: Path) -> Spectrum:
    (spectrum,) = read_measurement(path).spectra.values()
    return spectrum


def xy_lines(counts: list[int], per_line: int = 1) -> str:
    pairs = [f"{-400.0 + 200.0 * i:.1f}, {n}." for i, n in enumerate(counts)]
    return "".join(", ".join(pairs[i : i + per_line]) + "\n" for i in range(0, len(pairs), per_line))


def with_data(change: Change, lines: str, *pairs: tuple[str, str]) -> Path:
    text = change(*pairs).read_text()
    head, _, rest = text.partition("#SPECTRUM    : \n")
    tail = rest[rest.index("#ENDOFDATA") :]
    path = change()
    path.write_text(head + "#SPECTRUM    : \n" + lines + tail)
    return path


def test_sample(change: Change, counts: list[int]) -> None:
    measurement = read_measurement(change())
    spectrum = measurement.spectra["40 kV"]
    assert measurement.specimen == "ore: batch 4"
    assert spectrum.counts.tolist() == counts
    assert (spectrum.live_time_s, spectrum.real_time_s) == (100.0, 112.5)
    assert spectrum.energy_scale.zero_kev == pytest.approx(-0.4)
    assert spectrum.energy_scale.gain_kev == pytest.approx(0.2)
    assert spectrum.metadata["#MAKER"] == "a\nb"
    assert spectrum.metadata["LIVETIME -s"] == "100.0"


@pytest.mark.parametrize("per_line", [1, 2, 5])
def test_xy_with_any_number_of_pairs_in_a_line(change: Change, counts: list[int], per_line: int) -> None:
    path = with_data(change, xy_lines(counts, per_line), ("DATATYPE    : Y", "DATATYPE    : XY"))
    assert only_spectrum(path).counts.tolist() == counts


def test_xy_must_agree_with_offset_and_xperchan(change: Change, counts: list[int]) -> None:
    lines = xy_lines(counts).replace("600.0, ", "615.0, ", 1)
    path = with_data(change, lines, ("DATATYPE    : Y", "DATATYPE    : XY"))
    with pytest.raises(SpectrumFileError, match=r"line 24: the energy is 615 eV, but .* point 5 at 0\.6 keV"):
        read_measurement(path)


def test_yy_gives_one_spectrum_per_detector(change: Change, counts: list[int]) -> None:
    lines = "".join(f"{n}, {2 * n}\n" for n in counts)
    path = with_data(
        change,
        lines,
        ("DATATYPE    : Y", "DATATYPE    : YY"),
        ("200.0", "200.0, 201.0"),
        ("-400.0", "-400.0, -402.0"),
        ("-s: 100.0", "-s: 100.0, 90.0"),
    )
    first, second = read_measurement(path).spectra.items()
    assert (first[0], second[0]) == ("40 kV detector 1", "40 kV detector 2")
    assert second[1].counts.tolist() == [2 * n for n in counts]
    assert (second[1].live_time_s, second[1].energy_scale.gain_kev) == (90.0, pytest.approx(0.201))


def test_notes_behind_values(put: Put, counts: list[int]) -> None:
    """PIXL explains its values behind them; a unit there is checked as anywhere else."""
    text = (
        "#FORMAT      : EMSA/MAS spectral data file\n#TITLE       : PIXL (which instrument took the data)\n"
        f"#NPOINTS     : {len(counts)}     Number of data points (zero for configuration only files)\n"
        "#XUNITS      : eV\n#YUNITS      : COUNTS\n#DATATYPE    : YY     (one column for each detector)\n"
        "#XPERCHAN    : 7.862, 7.881   eV per channel (separate by commas if more than one detector)\n"
        "#OFFSET      : 18.5, -22.4         eV of first channel  (separate by commas, if more than one)\n"
        "#LIVETIME    : 9.1, 9.2   seconds (separate by commas if more than one detector)\n"
        "#SPECTRUM    : start of spectrum data\n" + "".join(f"{n}, {n + 1}\n" for n in counts)
    )
    spectra = list(read_measurement(put("a.msa", text)).spectra.values())
    assert [spectrum.live_time_s for spectrum in spectra] == [9.1, 9.2]
    assert [spectrum.energy_scale.zero_kev for spectrum in spectra] == pytest.approx([0.0185, -0.0224])
    with pytest.raises(SpectrumFileError, match=r"LIVETIME is '9\.1, 9\.2   minutes"):
        read_measurement(put("b.msa", text.replace("seconds", "minutes")))


def test_missing_end_is_accepted_when_the_number_of_points_agrees(change: Change) -> None:
    path = change(("#ENDOFDATA   : \n", ""))
    assert "ENDOFDATA" in " ".join(only_spectrum(path).metadata)
    path.write_text(path.read_text().rstrip(",\n"))
    with pytest.raises(SpectrumFileError, match="in the middle of a line"):
        read_measurement(path)


@pytest.mark.parametrize(
    ("old", "new", "kind", "place", "found"),
    [
        (
            "LIVETIME  -s: 100.0",
            "LIVETIME -ms: 100.0",
            SpectrumFileError,
            "line 13",
            "LIVETIME -ms is '100.0', expected",
        ),
        (
            "LIVETIME  -s: 100.0",
            "LIVETIME  -s: abc",
            SpectrumFileError,
            "line 13",
            "LIVETIME -s is 'abc', expected",
        ),
        (
            "LIVETIME  -s: 100.0",
            "LIVETIME  -s: 1.0 E+2",
            SpectrumFileError,
            "line 13",
            "LIVETIME -s is '1.0 E+2'",
        ),
        ("LIVETIME  -s: 100.0", "LIVETIME  -s: 0", SpectrumFileError, "line 13", "LIVETIME -s is 0 s"),
        (
            "REALTIME  -s: 112.5",
            "REALTIME  -s: 12.5",
            SpectrumFileError,
            "line 14",
            "REALTIME -s is 12.5 s, shorter",
        ),
        ("XUNITS      : eV", "XUNITS      : nm", UncalibratedError, "line 6", "XUNITS is 'nm'"),
        ("XUNITS      : eV", "XUNITS      : ", UncalibratedError, "", "XUNITS is empty"),
        (
            "XUNITS      : eV",
            "XUNITS      : Energy Loss (eV)",
            SpectrumFileError,
            "line 6",
            "XUNITS is Energy Loss",
        ),
        ("XPERCHAN -eV: 200.0", "XPERCHAN -eV: 0", UncalibratedError, "", "XPERCHAN is 0"),
        ("SIGNALTYPE  : EDS", "SIGNALTYPE  : WDS", SpectrumFileError, "line 12", "SIGNALTYPE is WDS"),
        (
            "YUNITS      : counts",
            "YUNITS      : counts/s",
            SpectrumFileError,
            "line 7",
            "YUNITS is 'counts/s'",
        ),
        ("CHOFFSET    : 2", "CHOFFSET    : 96", SpectrumFileError, "line 11", "CHOFFSET is 96"),
        (
            "NPOINTS     : 48.",
            "NPOINTS     : 64.",
            SpectrumFileError,
            "line 4",
            "NPOINTS is 64, but 48 numbers",
        ),
        ("NPOINTS     : 48.", "NPOINTS     : 0", SpectrumFileError, "line 4", "NPOINTS is 0"),
        ("NPOINTS     : 48.", "NPOINTS     : many", SpectrumFileError, "line 4", "NPOINTS is 'many'"),
        ("DATATYPE    : Y", "DATATYPE    : Z", SpectrumFileError, "line 8", "DATATYPE is 'Z'"),
        ("#DATATYPE    : Y\n", "", SpectrumFileError, "", "the key #DATATYPE is missing"),
        (
            "#VERSION     : 1.0",
            "VERSION 1.0",
            SpectrumFileError,
            "line 2",
            "'VERSION 1.0' is not of the form",
        ),
    ],
)
def test_refused(change: Change, old: str, new: str, kind: type[SpectrumFileError], place: str, found: str) -> None:
    with pytest.raises(kind) as caught:
        read_measurement(change((old, new)))
    assert caught.value.place == place
    assert caught.value.found.startswith(found)
