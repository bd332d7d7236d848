from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.batch import inputs
from xrfree.batch.catalogue import catalogue, read_inputs
from xrfree.batch.faults import UnexpectedError
from xrfree.batch.inputs import find_inputs, natural_order
from xrfree.errors import SpectrumFileError
from xrfree.readers import read_measurement, write_hdf5
from xrfree.spectrum import Measurement


def write_spectrum(path: Path, specimen: str, condition: str, first: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"# specimen: {specimen}", f"# condition: {condition}", "# live_time_s: 10", "# real_time_s: 11"]
    lines += ["# energy_zero_kev: 0.0", "# energy_gain_kev: 0.01", "channel,counts"]
    lines += [f"{i},{first + i}" for i in range(64)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_folders_are_searched_and_documents_left_alone(tmp_path):
    wanted = [write_spectrum(tmp_path / name, "P", "low") for name in ("P2.csv", "P10.csv", "deep/er/P3.csv")]
    for name in ("method.toml", "report.html", ".hidden.csv", ".git/P9.csv", "notes.md", "data.csv.gz"):
        write_spectrum(tmp_path / name, "X", "low")
    for name, header in (
        ("list.csv", "specimen,role,form,density_g_cm3,thickness_cm"),
        ("certificates.csv", "specimen,component,mass_fraction,basis"),
        ("refused.csv", "path,specimen,reason"),
        ("assays.csv", "\N{BYTE ORDER MARK}specimen,component,mass_fraction"),
    ):
        (tmp_path / name).write_text(header + "\n", encoding="utf-8")
    assert find_inputs([tmp_path]) == (tmp_path / "P2.csv", tmp_path / "P10.csv", tmp_path / "deep/er/P3.csv")
    assert set(find_inputs([tmp_path])) == set(wanted)


def test_a_file_counts_once_and_named_files_always(tmp_path):
    path = write_spectrum(tmp_path / "P1.csv", "P1", "low")
    missing = tmp_path / "missing.csv"
    assert find_inputs([path, tmp_path, tmp_path / "." / "P1.csv", missing]) == (path, missing)
    assert find_inputs([tmp_path], exclude=[path, None]) == ()


def test_files_of_one_specimen_are_one_measurement(tmp_path):
    low = write_spectrum(tmp_path / "a.csv", "P1", "low")
    high = write_spectrum(tmp_path / "b.csv", "P1", "high", first=2)
    other = write_spectrum(tmp_path / "c.csv", "P2", "low", first=3)
    found = read_inputs([low, high, other])
    assert found.refusals == ()
    assert [(m.specimen, sorted(m.spectra)) for m in found.measurements] == [
        ("P1", ["high", "low"]),
        ("P2", ["low"]),
    ]
    assert found.files["P1"] == (low, high)
    assert [source.path for source in found.measurements[0].sources] == [str(low), str(high)]


def test_the_second_of_two_equal_files_is_refused(tmp_path):
    first = write_spectrum(tmp_path / "a.csv", "P1", "low")
    second = write_spectrum(tmp_path / "b.csv", "P1", "low")
    found = read_inputs([first, second])
    assert [m.specimen for m in found.measurements] == ["P1"]
    assert [(r.path, "same content as" in r.reason) for r in found.refusals] == [(str(second), True)]


def test_two_different_spectra_of_one_condition_are_both_refused(tmp_path):
    files = [write_spectrum(tmp_path / f"{i}.csv", "P1", "low", first=i) for i in range(2)]
    files.append(write_spectrum(tmp_path / "high.csv", "P1", "high", first=9))
    found = read_inputs(files)
    assert [r.path for r in found.refusals] == [str(files[0]), str(files[1])]
    assert str(files[1]) in found.refusals[0].reason
    assert found.refusals[0].specimen == "P1"
    assert list(found.measurements[0].spectra) == ["high"]


def test_bad_files_are_refused_and_the_others_read(tmp_path):
    good = write_spectrum(tmp_path / "good.csv", "P1", "low")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    found = read_inputs([empty, good, tmp_path / "missing.csv"])
    assert [m.specimen for m in found.measurements] == ["P1"]
    assert [r.path for r in found.refusals] == [str(empty), str(tmp_path / "missing.csv")]
    # The file stands beside the reason and is not named twice.
    assert found.refusals[0].reason.startswith("the file is empty")


def test_faults_of_the_program_do_not_stop_a_batch(tmp_path, monkeypatch):
    def broken(path, *, profile=None):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(inputs, "read_measurements", broken)
    found = read_inputs([write_spectrum(tmp_path / "a.csv", "P1", "low")])
    assert "unexpected ZeroDivisionError: oops" in found.refusals[0].reason
    assert "in broken" in found.refusals[0].details


def test_a_stack_holds_many_measurements(tmp_path):
    single = read_measurement(write_spectrum(tmp_path / "a.csv", "P1", "low"))
    spectra = dict(single.spectra)
    stack = tmp_path / "stack.h5"
    write_hdf5(stack, [Measurement(specimen=name, spectra=spectra) for name in ("P1", "P2", "P10")])
    found = read_inputs([stack])
    assert [m.specimen for m in found.measurements] == ["P1", "P2", "P10"]
    assert found.files["P10"] == (stack,)
    refusals = found.refused("P2", SpectrumFileError(stack, found="x", remedy="y"))
    assert [(r.path, r.specimen, r.reason) for r in refusals] == [(str(stack), "P2", "x. y.")]


def _stack_of(path: Path, single: Measurement, *names: str) -> Path:
    write_hdf5(path, [Measurement(specimen=name, spectra=dict(single.spectra)) for name in names])
    return path


def test_a_specimen_may_lie_in_two_stacks_and_a_text_file(tmp_path):
    low, high, other = (
        read_measurement(write_spectrum(tmp_path / f"{name}.csv", "P1", name)) for name in ("low", "high", "other")
    )
    for name in ("low", "high"):
        (tmp_path / f"{name}.csv").unlink()
    files = [_stack_of(tmp_path / "a.h5", low, "P1", "P2"), _stack_of(tmp_path / "b.h5", high, "P3", "P1")]
    found = read_inputs([*files, tmp_path / "other.csv"])
    assert {m.specimen: sorted(m.spectra) for m in found.measurements} == {
        "P1": ["high", "low", "other"],
        "P2": ["low"],
        "P3": ["high"],
    }
    assert other.specimen == "P1"


def test_two_spectra_of_one_condition_in_a_stack_are_both_refused(tmp_path):
    single = read_measurement(write_spectrum(tmp_path / "a.csv", "P1", "low"))
    found = read_inputs([_stack_of(tmp_path / "s.h5", single, "P1", "P2", "P1")])
    assert [m.specimen for m in found.measurements] == ["P2"]
    assert [r.specimen for r in found.refusals] == ["P1", "P1"]
    assert "s.h5" in found.refusals[0].reason


@pytest.mark.parametrize("names", [("P1", "P2"), ("P1", "P9", "P3")], ids=["shorter", "other"])
def test_a_stack_that_changes_meanwhile_loses_nothing(tmp_path, names):
    single = read_measurement(write_spectrum(tmp_path / "a.csv", "P1", "low"))
    listed = catalogue([_stack_of(tmp_path / "s.h5", single, "P1", "P2", "P3")])
    _stack_of(tmp_path / "s.h5", single, *names)
    found = {arrival.specimen: arrival.measurement for arrival in listed.arrivals()}
    assert list(found) == ["P1", "P2", "P3"]
    assert isinstance(found["P1"], Measurement)
    assert "changed while" in str(found["P3"])


def test_order_of_files_does_not_matter(tmp_path):
    files = [write_spectrum(tmp_path / f"{i}.csv", f"P{i % 5}", f"c{i % 3}", first=i) for i in range(15)]
    files += [write_spectrum(tmp_path / f"again{i}.csv", f"P{i}", "c0", first=99 + i) for i in range(2)]
    expected = read_inputs(files)
    random.Random(1).shuffle(files)
    found = read_inputs(files)
    assert [m.specimen for m in found.measurements] == [m.specimen for m in expected.measurements]
    assert [(r.path, r.specimen) for r in found.refusals] == [(r.path, r.specimen) for r in expected.refusals]


def test_progress_is_told(tmp_path):
    told = []
    files = [write_spectrum(tmp_path / f"{i}.csv", f"P{i}", "low", first=i) for i in range(3)]
    read_inputs(files, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_numbers_in_names_sort_by_value():
    assert sorted(["P10", "P2", "P2r10", "P2r9", "A", "p1"], key=natural_order) == [
        "A",
        "P2",
        "P2r9",
        "P2r10",
        "P10",
        "p1",
    ]


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_names_can_be_sorted_in_one_way(names):
    assert sorted(names, key=natural_order) == sorted(sorted(names), key=natural_order)


def test_unexpected_errors_keep_their_traceback_on_their_way():
    import pickle

    copy = pickle.loads(pickle.dumps(UnexpectedError("message", "Traceback ...")))
    assert (str(copy), copy.details) == ("message", "Traceback ...")


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 50, b"specimen"])
def test_any_csv_may_lie_in_a_folder(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    assert find_inputs([tmp_path]) == (tmp_path / "x.csv",)
    assert len(read_inputs(find_inputs([tmp_path])).refusals) == 1


def test_counts_survive_grouping(tmp_path):
    path = write_spectrum(tmp_path / "a.csv", "P1", "low", first=7)
    counts = read_inputs([path]).measurements[0].spectra["low"].counts
    assert np.array_equal(counts, np.arange(64) + 7)
