"""Our HDF5: what is written is read, damage and foreign files are refused."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from xrfree.errors import DomainError, SpectrumFileError, UnknownFormatError
from xrfree.readers import nexus_hdf5, read_measurement, read_stack, write_hdf5
from xrfree.spectrum import Measurement

Make = Callable[..., Measurement]


def assert_same(found: Measurement, written: Measurement) -> None:
    assert found.specimen == written.specimen
    assert found.sources[1:] == written.sources
    assert list(found.spectra) == list(written.spectra)
    for name, spectrum in written.spectra.items():
        other = found.spectra[name]
        np.testing.assert_array_equal(other.counts, spectrum.counts)
        assert (other.live_time_s, other.real_time_s) == (spectrum.live_time_s, spectrum.real_time_s)
        assert other.energy_scale == spectrum.energy_scale
        assert other.condition == spectrum.condition
        assert dict(other.metadata) == dict(spectrum.metadata)


def test_one_measurement_survives_the_round_trip(tmp_path: Path, measurement_of: Make) -> None:
    written = measurement_of("ore 17", 3)
    write_hdf5(tmp_path / "a.h5", [written])
    assert_same(read_measurement(tmp_path / "a.h5"), written)


def test_a_stack_is_streamed_over_batches(
    tmp_path: Path, measurement_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nexus_hdf5, "_BATCH_VALUES", 48 * 5)
    made = [measurement_of(f"P{k:02d}", 1 + k % 3) for k in range(23)]
    write_hdf5(tmp_path / "a.h5", iter(made))
    for found, written in itertools.zip_longest(read_stack(tmp_path / "a.h5"), made):
        assert_same(found, written)


def test_a_stack_is_not_one_measurement(tmp_path: Path, measurement_of: Make) -> None:
    write_hdf5(tmp_path / "a.h5", [measurement_of("a"), measurement_of("b")])
    with pytest.raises(SpectrumFileError, match=r"more than one measurement\. .*read_stack"):
        read_measurement(tmp_path / "a.h5")


def test_layout_is_nexus(tmp_path: Path, measurement_of: Make) -> None:
    write_hdf5(tmp_path / "a.h5", [measurement_of("a"), measurement_of("b")])
    with h5py.File(tmp_path / "a.h5") as opened:
        group = opened[opened.attrs["default"]]
        data = group[group.attrs["default"]]
        assert (group.attrs["NX_class"], data.attrs["NX_class"]) == ("NXentry", "NXdata")
        assert data[data.attrs["signal"]].shape == (4, 48)
        assert data["counts"].compression == "gzip"
        assert data["counts"].shuffle


def test_nothing_is_left_of_a_file_that_was_not_completed(tmp_path: Path, measurement_of: Make) -> None:
    def measurements() -> Iterator[Measurement]:
        yield measurement_of("a")
        raise DomainError("no more")

    with pytest.raises(DomainError, match="no more"):
        write_hdf5(tmp_path / "a.h5", measurements())
    assert list(tmp_path.iterdir()) == []


def test_spectra_of_two_lengths_do_not_mix(tmp_path: Path, measurement_of: Make) -> None:
    long = measurement_of("a", 1)
    spectrum = next(iter(long.spectra.values()))
    short = Measurement(
        specimen="b",
        spectra={
            "c": type(spectrum)(
                counts=spectrum.counts[:9],
                live_time_s=1.0,
                real_time_s=1.0,
                energy_scale=spectrum.energy_scale,
                condition=spectrum.condition,
            )
        },
    )
    with pytest.raises(DomainError, match="9 channels, but the spectra before have 48"):
        write_hdf5(tmp_path / "a.h5", [long, short])
    with pytest.raises(DomainError, match="at least one measurement"):
        write_hdf5(tmp_path / "a.h5", [])


def test_counts_beyond_32_bits_come_back(tmp_path: Path, measurement_of: Make) -> None:
    small, large = measurement_of("a", 1), measurement_of("b", 1)
    (old,) = large.spectra.values()
    spectrum = replace(old, counts=old.counts + 2**33)
    stack = [*[replace(small, specimen=f"a{i}") for i in range(30_000)], replace(large, spectra={"x": spectrum})]
    write_hdf5(tmp_path / "a.h5", stack)
    with h5py.File(tmp_path / "a.h5") as opened:
        assert opened["entry/spectra/counts"].dtype == "i8"
    *_, before, last = read_stack(tmp_path / "a.h5")
    (kept,), (grown,) = before.spectra.values(), last.spectra.values()
    np.testing.assert_array_equal(kept.counts, old.counts)
    np.testing.assert_array_equal(grown.counts, spectrum.counts)


def test_damage_is_seen_before_hdf5_sees_the_file(tmp_path: Path, samples: dict[str, tuple[str, bytes]]) -> None:
    content = samples["nexus_hdf5"][1]
    path = tmp_path / "a.h5"
    path.write_bytes(content[:-100])
    with pytest.raises(SpectrumFileError, match=r"a\.h5: the file is cut off"):
        read_measurement(path)
    path.write_bytes(content[:2000] + b"x" + content[2001:])
    for read in (read_measurement, read_stack):
        with pytest.raises(SpectrumFileError, match=r"a\.h5: the file is damaged"):
            read(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened["counts"] = np.arange(9)
    with pytest.raises(UnknownFormatError, match="an HDF5 file, but not one of xrfree"):
        read_stack(tmp_path / "a.h5")
    with pytest.raises(SpectrumFileError, match="does not say which dataset holds its spectra"):
        read_measurement(tmp_path / "a.h5")
    (tmp_path / "a.csv").write_text("1\n")
    with pytest.raises(UnknownFormatError, match="not an HDF5 file"):
        read_stack(tmp_path / "a.csv")
    with pytest.raises(SpectrumFileError, match="cannot be read"):
        read_stack(tmp_path / "b.h5")


def rewrite(path: Path, edit: Callable[[h5py.Group], None]) -> None:
    """Change a file of ours on purpose, with a valid checksum."""
    with h5py.File(path, "r+") as opened:
        edit(opened["entry/spectra"])
    nexus_hdf5._mark(path)


def external_link(data: h5py.Group) -> None:
    del data["counts"]
    data["counts"] = h5py.ExternalLink("other.h5", "/counts")


def soft_link(data: h5py.Group) -> None:
    del data["specimen"]
    data["specimen"] = h5py.SoftLink("/entry/spectra/condition")


def no_counts(data: h5py.Group) -> None:
    del data["counts"]


def wrong_type(data: h5py.Group) -> None:
    del data["live_time_s"]
    data["live_time_s"] = ["a", "b"]


def fewer_rows(data: h5py.Group) -> None:
    data["live_time_s"].resize(1, axis=0)


def no_live_time(data: h5py.Group) -> None:
    data["live_time_s"][0] = 0.0


def negative_counts(data: h5py.Group) -> None:
    counts = data["counts"][()].astype("i8")
    counts[1, 3] = -2
    del data["counts"]
    data["counts"] = counts


def too_many_counts(data: h5py.Group) -> None:
    counts = data["counts"][()].astype("i8")
    counts[1, 3] = 2**60
    del data["counts"]
    data["counts"] = counts


def broken_metadata(data: h5py.Group) -> None:
    data["metadata"][0] = "[" * 100_000


def same_condition(data: h5py.Group) -> None:
    data["condition"][1] = data["condition"][0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (external_link, "counts: missing, or a link"),
        (soft_link, "specimen: missing, or a link"),
        (no_counts, "counts: missing, or a link"),
        (wrong_type, "live_time_s: is not stored as xrfree stores it"),
        (fewer_rows, "live_time_s: has the shape"),
        (no_live_time, "row 0: live time is 0.0 s"),
        (negative_counts, "row 1: channel 3 holds -2 counts"),
        (too_many_counts, "row 1: channel 3 holds 1152921504606846976 counts"),
        (broken_metadata, "row 0: "),
        (same_condition, "measurement 0: its rows name"),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, measurement_of: Make, edit: Callable[[h5py.Group], None], message: str
) -> None:
    path = tmp_path / "a.h5"
    write_hdf5(path, [measurement_of()])
    rewrite(path, edit)
    with pytest.raises(SpectrumFileError) as caught:
        read_measurement(path)
    assert str(caught.value).startswith(f"a.h5 {message}")
