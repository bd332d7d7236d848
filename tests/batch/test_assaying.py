from __future__ import annotations

import sqlite3
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from xrfree.batch import assaying
from xrfree.batch.assaying import Book, Tally, Task, partly_matched, record_batch, recorded_assays, specimen_of
from xrfree.batch.catalogue import Arrival
from xrfree.batch.curves import CurveFolder
from xrfree.batch.workers import ThisProcess, WorkerDiedError
from xrfree.documents.assays import assay_data, assay_of, packed_symmetric, unpacked_symmetric
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError, FitError, LedgerError, SpectrumFileError, XrfreeError
from xrfree.ledger.store import Ledger
from xrfree.ledger.verification import verify_ledger
from xrfree.report.refused import Refusal
from xrfree.report.tables import assay_document
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, SourceFile, Spectrum

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)
THIN = replace(POWDER, thickness_cm=0.1)


@pytest.fixture(scope="module")
def method():
    return replace(load_method(shipped_path("methods", "iron-ore-edxrf.toml")), specimen=POWDER)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def _measurement(specimen: str, *conditions: str, first: int = 0) -> Measurement:
    spectra = {
        name: Spectrum(
            counts=np.arange(8) + first,
            live_time_s=1.0,
            real_time_s=1.0,
            energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.01),
            condition=ExcitationCondition(name=name),
        )
        for name in conditions
    }
    return Measurement(specimen=specimen, spectra=spectra, sources=(SourceFile(path="x", sha256="0" * 64),))


def _arrivals(tmp_path, *measurements: Measurement) -> list[Arrival]:
    return [
        Arrival(specimen=m.specimen, paths=tuple(tmp_path / f"{m.specimen}.{c}.csv" for c in m.spectra), measurement=m)
        for m in measurements
    ]


class Lab:
    """A quantification without physics that counts its calls."""

    def __init__(self, make_assay) -> None:
        self.make_assay, self.calls = make_assay, []

    def __call__(self, measurement, specimen):
        self.calls.append(measurement.specimen)
        if measurement.specimen == "P2":
            raise FitError("P2: nothing to see")
        if measurement.specimen == "P3":
            raise ZeroDivisionError
        return self.make_assay(measurement.specimen)


@pytest.fixture
def lab(make_assay):
    return Lab(make_assay)


def _record(arrivals, lab, method, ledger, **more) -> Tally:
    task = Task(quantification=lab, method=method, procedure="p", retry=more.pop("retry", False))
    return record_batch(arrivals, task, Book(ledger=ledger, actor="Li"), ThisProcess(), **more)


def test_a_batch_goes_on_after_errors(tmp_path, method, lab, ledger):
    measurements = [_measurement(f"P{i}", "low", "high") for i in range(5)]
    broken = Arrival(
        specimen="P6", paths=(tmp_path / "P6.csv",), measurement=SpectrumFileError("P6.csv", found="x", remedy="y")
    )
    unread = Refusal(path="a.csv", specimen="", reason="empty")
    told = []
    tally = _record(
        [*_arrivals(tmp_path, *measurements), broken],
        lab,
        method,
        ledger,
        refusals=[unread],
        progress=lambda found: told.append((found.done, len(found.refusals))),
    )
    assert sorted(tally.numbers) == ["P0", "P1", "P4"]
    # One line per file: each input is accounted for.
    assert [(r.specimen, r.path[-9:]) for r in tally.refusals] == [
        ("P2", ".high.csv"),
        ("P2", "2.low.csv"),
        ("P3", ".high.csv"),
        ("P3", "3.low.csv"),
        ("P6", str(tmp_path / "P6.csv")[-9:]),
        ("", "a.csv"),
    ]
    assert "nothing to see" in tally.refusals[0].reason
    assert "measure the specimen again" in tally.refusals[0].remedy
    assert "unexpected ZeroDivisionError" in tally.refusals[2].reason
    assert tally.refusals[4].remedy == "y."
    assert told[-1] == (6, 6)
    assert verify_ledger(ledger) == []
    kinds = [record.kind for record in ledger.records()]
    assert (kinds.count("result"), kinds.count("refusal")) == (3, 4)


def test_nothing_is_assayed_twice(tmp_path, method, lab, ledger):
    arrivals = _arrivals(tmp_path, *(_measurement(f"P{i}", "low") for i in range(5)))
    first = _record(arrivals, lab, method, ledger)
    assert lab.calls == ["P0", "P1", "P2", "P3", "P4"]
    lab.calls.clear()
    again = _record(arrivals, lab, method, ledger)
    # A fault of the program may be gone by now; a spectrum that cannot be fitted stays one.
    assert lab.calls == ["P3"]
    assert (again.numbers, again.refusals, again.recognised) == (first.numbers, first.refusals, 3)
    assert ledger.head()[0] == 5
    lab.calls.clear()
    _record(arrivals, lab, method, ledger, retry=True)
    assert lab.calls == ["P2", "P3"]


@pytest.mark.parametrize("change", ["counts", "time", "specimen", "procedure"])
def test_what_differs_is_assayed_again(tmp_path, method, lab, ledger, change):
    measurement = _measurement("P1", "low")
    _record(_arrivals(tmp_path, measurement), lab, method, ledger)
    procedure, other = "p", method
    if change == "counts":
        measurement = _measurement("P1", "low", first=1)
    elif change == "time":
        spectrum = replace(measurement.spectra["low"], live_time_s=0.9)
        measurement = replace(measurement, spectra={"low": spectrum})
    elif change == "specimen":
        other = replace(method, specimen=THIN)
    else:
        procedure = "q"
    task = Task(quantification=lab, method=other, procedure=procedure)
    record_batch(_arrivals(tmp_path, measurement), task, Book(ledger=ledger, actor="Li"), ThisProcess())
    assert lab.calls == ["P1", "P1"]


def test_an_interrupted_batch_keeps_what_was_done(tmp_path, method, lab, ledger):
    arrivals = _arrivals(tmp_path, *(_measurement(f"P{i}", "low") for i in range(10, 20)))

    def interrupted():
        yield from arrivals[:4]
        raise KeyboardInterrupt

    # 256 arrivals are looked up together, so the interruption comes before the first of them is assayed
    with pytest.raises(KeyboardInterrupt):
        _record(interrupted(), lab, method, ledger)

    def stop_at_14(measurement, specimen):
        if measurement.specimen == "P14":
            raise KeyboardInterrupt
        return lab(measurement, specimen)

    with pytest.raises(KeyboardInterrupt):
        _record(arrivals, stop_at_14, method, ledger)
    assert [record.subject for record in ledger.records()] == ["P10", "P11", "P12", "P13"]
    tally = _record(arrivals, lab, method, ledger)
    assert tally.recognised == 4
    assert lab.calls == [f"P{i}" for i in range(10, 20)]


def test_a_full_disk_stops_the_batch_and_loses_nothing(tmp_path, method, lab, monkeypatch):
    monkeypatch.setattr("xrfree.batch.assaying.COMMIT_RESULTS", 5)
    arrivals = _arrivals(tmp_path, *(_measurement(f"P{i}", "low") for i in range(10, 70)))
    with Ledger(tmp_path / "small.sqlite") as ledger:

        def limit(connection, _):
            connection.execute("PRAGMA max_page_count = 60")

        from sqlalchemy import event

        ledger.close()
        event.listen(ledger._engine, "connect", limit)
        with pytest.raises(LedgerError, match="Free some space"):
            _record(arrivals, lab, method, ledger)
        event.remove(ledger._engine, "connect", limit)
        ledger.close()
        kept = ledger.head()[0]
        assert 0 < kept < 60
        assert verify_ledger(ledger) == []
        lab.calls.clear()
        assert len(_record(arrivals, lab, method, ledger).numbers) == 60
        assert len(lab.calls) == 60 - kept
        assert verify_ledger(ledger) == []


def test_a_dead_worker_is_worth_another_try(tmp_path, method, lab, ledger):
    class Dying:
        def results(self, function, groups):
            for group in groups:
                yield from ((key, WorkerDiedError("died")) for key, _ in group)

    arrivals = _arrivals(tmp_path, _measurement("P1", "low"))
    task = Task(quantification=lab, method=method, procedure="p")
    assert len(record_batch(arrivals, task, Book(ledger=ledger, actor="Li"), Dying()).refusals) == 1
    assert len(_record(arrivals, lab, method, ledger).numbers) == 1


class Company:
    """Assays blocks but for P1, and remembers who was in each."""

    def __init__(self, make_assay) -> None:
        self.make_assay, self.blocks = make_assay, []

    def __call__(self, measurements, specimens, drawn):
        names = [m.specimen for m in measurements]
        self.blocks.append(names)
        assert len(specimens) == len(names)
        return ((i, self.make_assay(name)) for i, name in enumerate(names) if name != "P1")


def _record_together(arrivals, lab, company, method, ledger, crew=None) -> Tally:
    task = Task(quantification=lab, method=method, procedure="p", together=company)
    return record_batch(arrivals, task, Book(ledger=ledger, actor="Li"), crew or ThisProcess())


def test_what_belongs_together_does_so_after_an_interruption(tmp_path, method, lab, make_assay, ledger, monkeypatch):
    monkeypatch.setattr(assaying, "BLOCK", 4)
    arrivals = _arrivals(tmp_path, *[_measurement(f"P{i}", "low", "high") for i in range(4, 10)])
    company = Company(make_assay)
    _record_together(arrivals[:1], lab, company, method, ledger)
    _record_together(arrivals, lab, company, method, ledger)
    # The first is known; its block is worked out whole nevertheless, so that the others get what they always get.
    assert company.blocks == [["P4", "P5", "P6", "P7"], ["P8", "P9"]]
    again = _record_together(arrivals, lab, company, method, ledger)
    assert (again.recognised, len(company.blocks)) == (6, 2)
    assert sum(1 for _ in ledger.records(kind="result")) == 6


def test_what_is_not_like_the_others_is_assayed_alone(tmp_path, method, lab, make_assay, ledger):
    arrivals = _arrivals(tmp_path, *[_measurement(f"P{i}", "low", "high") for i in (0, 1, 4)])
    tally = _record_together(arrivals, lab, Company(make_assay), method, ledger)
    assert lab.calls == ["P1"]
    assert sorted(tally.numbers) == ["P0", "P1", "P4"]


def test_loads_that_come_alone_are_assayed_alone(tmp_path, method, lab, make_assay, ledger):
    class Mortal:
        """A crew whose worker dies over every group of several."""

        def results(self, function, groups):
            for group in groups:
                for key, load in group:
                    yield key, *function([load])

    arrivals = _arrivals(tmp_path, *[_measurement(f"P{i}", "low", "high") for i in range(3)])
    tally = _record_together(arrivals, lab, Company(make_assay), method, ledger, Mortal())
    assert lab.calls == ["P0", "P1", "P2"]
    assert (sorted(tally.numbers), tally.refused_specimens) == (["P0", "P1"], 1)


def test_assays_come_back_bit_by_bit(tmp_path, method, make_assay, ledger):
    odd = make_assay("P9", budget={"counting": np.array([np.nan, *[0.1] * 6]), "a": np.full(7, 1e-300)})
    for assay in (make_assay("P1"), odd):
        assert assay_document(assay_of(assay_data(assay))) == assay_document(assay)
        alone = replace(assay, areas=())
        assert assay_document(assay_of(assay_data(assay), with_areas=False)) == assay_document(alone)
    before = assay_data(make_assay("P1"))
    del before["areas"][0]["response_covariance"], before["areas"][0]["counting_covariance"]
    del before["quantification_limit"]
    assert not assay_of(before).areas[0].response_covariance.any()
    assert np.isinf(assay_of(before).quantification_limit).all()
    matrix = np.random.default_rng(3).normal(size=(6, 6))
    matrix += matrix.T
    assert np.array_equal(unpacked_symmetric(packed_symmetric(matrix)), matrix)


def test_curves_are_kept_for_those_that_are_drawn(tmp_path, method, lab, ledger):
    arrivals = _arrivals(tmp_path, _measurement("P1", "low"), _measurement("P5", "low"))
    curves = CurveFolder(tmp_path / "fits")
    tally = _record(arrivals, lab, method, ledger, curves=curves, drawn=frozenset({"P1"}))
    first, second = recorded_assays(ledger, [tally.numbers["P1"], tally.numbers["P5"]], curves=curves)
    expected = lab.make_assay("P1").areas[0].curve
    assert np.array_equal(first.areas[0].curve.expected, expected.expected)
    assert second.areas[0].curve.energy_kev.size == 0
    curves.forget_others([])
    assert next(recorded_assays(ledger, [1], curves=curves)).areas[0].curve.energy_kev.size == 0


def test_a_damaged_curve_is_none(tmp_path):
    (tmp_path / "k.npz").write_bytes(b"PK nonsense")
    assert CurveFolder(tmp_path).of("k") == ()
    assert CurveFolder(tmp_path).of("missing") == ()


def test_two_batches_at_once_record_each_specimen_once(tmp_path, method, lab, ledger):
    arrivals = _arrivals(tmp_path, *(_measurement(f"P{i}", "low") for i in range(10, 15)))

    def meanwhile(measurement, specimen):
        if not lab.calls:  # another process is faster
            with Ledger(tmp_path / "ledger.sqlite") as other:
                _record(arrivals, lab, method, other)
        return lab.make_assay(measurement.specimen)

    tally = _record(arrivals, meanwhile, method, ledger)
    assert sorted(tally.numbers.values()) == [1, 2, 3, 4, 5]
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        assert raw.execute("SELECT count(*) FROM records").fetchone() == (5,)
    raw.close()


def test_specimen_list_goes_before_the_method(method):
    measurement = _measurement("P1", "low")
    assert specimen_of(measurement, method, None) is POWDER
    assert specimen_of(measurement, method, {"P1": SimpleNamespace(specimen=THIN)}) is THIN
    assert specimen_of(measurement, method, {"P2": SimpleNamespace(specimen=THIN)}) is POWDER


@pytest.mark.parametrize(("entries", "words"), [(None, "needs a specimen list"), ({}, "is not in the specimen list")])
def test_a_specimen_that_nobody_describes_is_an_error(method, entries, words):
    with pytest.raises(XrfreeError, match=words):
        specimen_of(_measurement("P1", "low"), replace(method, specimen=None), entries)


def test_pure_compounds_need_not_have_all_conditions(method):
    assert list(partly_matched(_measurement("La2O3", "low"), method).spectra) == ["low"]
    assert list(partly_matched(_measurement("Fe2O3", "high", "low"), method).spectra) == ["low", "high"]
    with pytest.raises(DomainError, match="no spectrum of the condition"):
        partly_matched(_measurement("Fe2O3", "other"), method)
