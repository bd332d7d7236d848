"""Every kind of bad file, in every format: one line with file, place, finding and remedy."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from xrfree import readers
from xrfree.errors import SpectrumFileError, UnknownFormatError, XrfreeError
from xrfree.readers import SpectrumBytes, SpectrumFormat, read_measurement
from xrfree.spectrum import Measurement

Put = Callable[[str, str | bytes], Path]
Samples = dict[str, tuple[str, bytes]]
TEXT_FORMATS = ("delimited", "emsa", "epsilon_mp2", "ortec_spe", "amptek_mca")
ALL_FORMATS = (*TEXT_FORMATS, "nexus_hdf5")
# The counts of channels 20 and 21 as each sample writes them.
PEAK = {
    "delimited": (b"20,930\n21,860\n", b"20,%s\n21,%s\n"),
    "emsa": (b"     930.0,     860.0,", b"%s,%s,"),
    "ortec_spe": (b"      930.      860.", b" %s %s"),
    "amptek_mca": (b"930\n860\n", b"%s\n%s\n"),
    "epsilon_mp2": (b"\t930\t1.5\t930.25\t\r\n4.19\t860\t", b"\t%s\t1.5\t0\t\r\n4.19\t%s\t"),
}
LIVE_TIME = {
    "delimited": (b"live_time_s: 100.000", b"live_time_s: 0"),
    "emsa": (b"LIVETIME  -s: 100.0", b"LIVETIME  -s: 0"),
    "ortec_spe": (b"\n100 112.5", b"\n0 112.5"),
    "amptek_mca": (b"LIVE_TIME - 100.000000", b"LIVE_TIME - 0"),
    "epsilon_mp2": (b": 100.000000000000", b": 0"),
}


def refused(path: Path) -> SpectrumFileError:
    with pytest.raises(SpectrumFileError) as caught:
        read_measurement(path)
    error = caught.value
    assert str(error).startswith(path.name)
    assert "\n" not in str(error)
    assert error.found
    assert error.remedy
    return error


def with_peak(samples: Samples, name: str, first: bytes, second: bytes) -> bytes:
    old, new = PEAK[name]
    content = samples[name][1]
    assert content.count(old) == 1
    if name == "epsilon_mp2":
        content = b"".join(line for line in content.splitlines(keepends=True) if b"OutputCounts" not in line)
    return content.replace(old, new % (first, second))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.msa").found
    assert "folder" in refused(tmp_path).found
    assert "cannot be read" in refused(tmp_path / "a\0b.msa").found


@pytest.mark.parametrize("suffix", [".csv", ".msa", ".mp2", ".spe", ".mca", ".h5", ""])
def test_empty_file(put: Put, suffix: str) -> None:
    assert refused(put("a" + suffix, b"")).found == "the file is empty"


def test_too_large_file(put: Put, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_FILE_BYTES", 100)
    assert "too large" in refused(put(*samples["emsa"])).found


@pytest.mark.parametrize("name", ALL_FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_file(put: Put, samples: Samples, name: str, share: float) -> None:
    file, content = samples[name]
    refused(put(file, content[: int(share * len(content))]))


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_binary_garbage(put: Put, samples: Samples, name: str) -> None:
    file, content = samples[name]
    error = refused(put(file, content[:600] + bytes(range(256)) * 4))
    assert "bytes that no text has" in error.found or "not match" in error.found
    refused(put(file, bytes(range(256)) * 8))


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark(put: Put, samples: Samples, name: str, encoding: str) -> None:
    file, content = samples[name]
    refused(put(file, content.decode().encode(encoding)))


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_marked_encodings_are_read(put: Put, samples: Samples, name: str, encoding: str) -> None:
    file, content = samples[name]
    assert read_measurement(put(file, content.decode().encode(encoding))).specimen.startswith("ore")


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_wrong_encoding(put: Put, samples: Samples, name: str) -> None:
    file, content = samples[name]
    error = refused(put(file, content.replace(b"ore", b"or\x81")))
    assert error.place.startswith("line ")
    assert "neither" in error.found


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("token", [b"-5", b"nan", b"inf", b"1e999", b"0x10", b"1_000", b"12.5", b"abc"])
def test_numbers_that_are_no_counts(put: Put, samples: Samples, name: str, token: bytes) -> None:
    error = refused(put(samples[name][0], with_peak(samples, name, token, b"1")))
    assert error.place.startswith("line ")
    assert token.decode() in error.found


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("top", [2**16 - 1, 2**24 - 1, 2**31 - 1, 2**32 - 1])
def test_saturated(put: Put, samples: Samples, name: str, top: int) -> None:
    token = str(top).encode()
    error = refused(put(samples[name][0], with_peak(samples, name, token, token)))
    assert error.found.startswith(f"channel 20 is saturated: it holds {top} counts")
    assert error.place.startswith("line ")


def test_one_channel_at_a_low_ceiling_is_a_coincidence(put: Put, samples: Samples) -> None:
    path = put("a.csv", with_peak(samples, "delimited", b"65535", b"65534"))
    assert read_measurement(path).spectra["low"].counts[20] == 65535


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_live_time_zero(put: Put, samples: Samples, name: str) -> None:
    file, content = samples[name]
    old, new = LIVE_TIME[name]
    assert old in content
    error = refused(put(file, content.replace(old, new)))
    assert "is 0 s, expected seconds > 0" in error.found
    assert error.place.startswith("line ")


def test_unknown_format_names_the_known_ones(put: Put) -> None:
    with pytest.raises(UnknownFormatError, match=r"starts with b'<\?xml.*Known formats: .*EMSA/MAS \(\.msa\)"):
        read_measurement(put("a.xml", '<?xml version="1.0"?>\n'))
    with pytest.raises(UnknownFormatError, match=r"has the suffix of Amptek MCA"):
        read_measurement(put("a.mca", "#? scan\n$X:\n1 2 3\n"))


def test_content_counts_more_than_the_suffix(put: Put, samples: Samples) -> None:
    for name in ALL_FORMATS:
        assert read_measurement(put("a.xyz", samples[name][1])).specimen.startswith("ore")
        assert read_measurement(put("a.msa", samples[name][1])).specimen.startswith("ore")


def test_live_time_alone_is_noted(put: Put, samples: Samples) -> None:
    content = samples["delimited"][1].replace(b"# real_time_s: 112.500\n", b"")
    spectrum = read_measurement(put("a.csv", content)).spectra["low"]
    assert spectrum.real_time_s == 100.0
    assert spectrum.metadata["xrfree.real_time_s"] == "not stated; taken equal to the live time"


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Install something as the only entry point of the group."""

    def install(loaded: object) -> None:
        def entry_points(*, group: str) -> list[EntryPoint]:
            assert group == "xrfree.readers"
            return [EntryPoint("other", f"{__name__}:x", group)]

        def load(_: EntryPoint) -> object:
            if isinstance(loaded, Exception):
                raise loaded
            return loaded

        monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
        monkeypatch.setattr(EntryPoint, "load", load)
        readers._other_formats.cache_clear()
        monkeypatch.setattr(readers, "_other_formats", readers._other_formats.__wrapped__)

    return install


def test_a_format_of_another_package_is_asked(
    put: Put, plug_in: Callable[[object], None], measurement_of: Callable[..., Measurement]
) -> None:
    def read(file: SpectrumBytes, profile: object) -> Measurement:
        return measurement_of(file.content.decode().strip())

    plug_in(SpectrumFormat(name="other", suffixes=(".oth",), recognises=lambda head: head[:3] == b"OTH", read=read))
    assert read_measurement(put("a.xyz", "OTHER 1 2\n")).specimen == "OTHER 1 2"
    assert read_measurement(put("a.oth", "unknown\n")).specimen == "unknown"
    assert [known.name for known in readers.spectrum_formats()][-2:] == ["other", "delimited text"]


@pytest.mark.parametrize("loaded", [ImportError("no module named x"), "not a format"])
def test_a_broken_plug_in_is_named(put: Put, plug_in: Callable[[object], None], loaded: object) -> None:
    plug_in(loaded)
    with pytest.raises(XrfreeError, match=r"spectrum format 'other' .*Repair or uninstall"):
        read_measurement(put("a.xyz", "OTHER 1 2\n"))


def test_importing_the_readers_is_cheap() -> None:
    code = "import sys, xrfree.readers; print(*({'h5py', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
