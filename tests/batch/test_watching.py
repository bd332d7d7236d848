from __future__ import annotations

import os
from pathlib import Path

import pytest

from xrfree.batch.watching import FolderWatch, News
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.spectrum import Measurement


def write_spectrum(path: Path, specimen: str, condition: str, first: int = 1) -> Path:
    lines = [f"# specimen: {specimen}", f"# condition: {condition}", "# live_time_s: 10", "# real_time_s: 11"]
    lines += ["# energy_zero_kev: 0.0", "# energy_gain_kev: 0.01", "channel,counts"]
    lines += [f"{i},{first + i}" for i in range(64)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(tmp_path, clock):
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    return FolderWatch(tmp_path, method, settle_s=5.0, patience_s=100.0, clock=clock)


def _after(watch, clock, seconds: float) -> News:
    clock.now += seconds
    return watch.look()


def test_a_file_is_taken_when_it_stands_still(tmp_path, watch, clock):
    write_spectrum(tmp_path / "P1.low.csv", "P1", "low")
    high = tmp_path / "P1.high.csv"
    high.write_text("# specimen: P1\n")
    assert watch.look() == News()
    assert _after(watch, clock, 3) == News()
    write_spectrum(high, "P1", "high", 2)  # still being written
    assert _after(watch, clock, 3) == News()
    assert watch.waiting == 2  # the second file, and the specimen that lacks it
    (arrival,) = _after(watch, clock, 6).arrivals
    assert isinstance(arrival.measurement, Measurement)
    assert sorted(arrival.measurement.spectra) == ["high", "low"]
    assert watch.waiting == 0
    assert _after(watch, clock, 1000) == News()


def test_a_specimen_that_stays_incomplete_is_handed_on(tmp_path, watch, clock):
    write_spectrum(tmp_path / "P1.low.csv", "P1", "low")
    watch.look()
    assert _after(watch, clock, 6) == News()
    assert _after(watch, clock, 50) == News()
    assert [a.specimen for a in _after(watch, clock, 60).arrivals] == ["P1"]


def test_a_replaced_file_is_taken_again_with_its_companion(tmp_path, watch, clock):
    write_spectrum(tmp_path / "a.csv", "P1", "low")
    write_spectrum(tmp_path / "b.csv", "P1", "high", 2)
    watch.look()
    assert len(_after(watch, clock, 6).arrivals) == 1
    write_spectrum(tmp_path / "b.csv", "P1", "high", 3)
    os.utime(tmp_path / "b.csv", ns=(1, 1))
    assert _after(watch, clock, 1) == News()
    (arrival,) = _after(watch, clock, 6).arrivals
    assert arrival.measurement.spectra["high"].counts[0] == 3
    assert sorted(arrival.measurement.spectra) == ["high", "low"]


def test_copies_and_rubbish_are_refused(tmp_path, watch, clock):
    write_spectrum(tmp_path / "a.csv", "P1", "low")
    (tmp_path / "x.csv").write_text("nonsense")
    watch.look()
    news = _after(watch, clock, 6)
    assert [r.path for r in news.refusals] == [str(tmp_path / "x.csv")]
    write_spectrum(tmp_path / "copy.csv", "P1", "low")
    watch.look()
    assert "same content" in _after(watch, clock, 6).refusals[0].reason


def test_empty_and_vanished_files_wait(tmp_path, watch, clock):
    empty = tmp_path / "empty.csv"
    empty.touch()
    watch.look()
    assert _after(watch, clock, 60) == News()
    empty.unlink()
    assert _after(watch, clock, 60) == News()
