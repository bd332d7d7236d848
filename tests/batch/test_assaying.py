from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from xrfree.batch import assaying
from xrfree.batch.assaying import assay_batch, partly_matched, specimen_of
from xrfree.batch.inputs import Inputs
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError, FitError, XrfreeError
from xrfree.specimen import Specimen, SpecimenForm
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum

POWDER = Specimen(form=SpecimenForm.PRESSED_POWDER, density_g_cm3=3.0, thickness_cm=0.5)
THIN = replace(POWDER, thickness_cm=0.1)


@pytest.fixture(scope="module")
def method():
    return load_method(shipped_path("methods", "iron-ore-edxrf.toml"))


def _measurement(specimen: str, *conditions: str) -> Measurement:
    spectra = {
        name: Spectrum(
            counts=np.arange(8),
            live_time_s=1.0,
            real_time_s=1.0,
            energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.01),
            condition=ExcitationCondition(name=name),
        )
        for name in conditions
    }
    return Measurement(specimen=specimen, spectra=spectra)


def _inputs(tmp_path, *measurements: Measurement) -> Inputs:
    files = {m.specimen: tuple(tmp_path / f"{m.specimen}.{c}.csv" for c in m.spectra) for m in measurements}
    return Inputs(measurements=measurements, files=files)


def test_a_batch_goes_on_after_errors(tmp_path, method, monkeypatch, make_assay):
    def quantify(measurement, prepared, specimen):
        if measurement.specimen == "P2":
            raise FitError("P2: nothing to see")
        if measurement.specimen == "P3":
            raise ZeroDivisionError
        return make_assay(measurement.specimen)

    monkeypatch.setattr(assaying, "quantify", quantify)
    measurements = [_measurement(f"P{i}", "low", "high") for i in range(5)]
    measurements.append(_measurement("P5", "low"))
    told = []
    result = assay_batch(
        _inputs(tmp_path, *measurements),
        SimpleNamespace(method=method),
        progress=lambda done, total: told.append((done, total)),
    )
    assert [assay.specimen for assay in result.assays] == ["P0", "P1", "P4"]
    # One line per file: each input is accounted for.
    assert [(r.specimen, r.path[-9:]) for r in result.refusals] == [
        ("P2", ".high.csv"),
        ("P2", "2.low.csv"),
        ("P3", ".high.csv"),
        ("P3", "3.low.csv"),
        ("P5", "5.low.csv"),
    ]
    assert "nothing to see" in result.refusals[0].reason
    assert "unexpected ZeroDivisionError" in result.refusals[2].reason
    assert "'high'" in result.refusals[4].reason
    assert told[-1] == (6, 6)


def test_specimen_list_goes_before_the_method(method):
    measurement = _measurement("P1", "low")
    prepared = SimpleNamespace(method=replace(method, specimen=POWDER))
    assert specimen_of(measurement, prepared, None) is POWDER
    assert specimen_of(measurement, prepared, {"P1": SimpleNamespace(specimen=THIN)}) is THIN
    assert specimen_of(measurement, prepared, {"P2": SimpleNamespace(specimen=THIN)}) is POWDER


@pytest.mark.parametrize(("entries", "words"), [(None, "needs a specimen list"), ({}, "is not in the specimen list")])
def test_a_specimen_that_nobody_describes_is_an_error(method, entries, words):
    prepared = SimpleNamespace(method=replace(method, specimen=None))
    with pytest.raises(XrfreeError, match=words):
        specimen_of(_measurement("P1", "low"), prepared, entries)


def test_pure_compounds_need_not_have_all_conditions(method):
    assert list(partly_matched(_measurement("La2O3", "low"), method).spectra) == ["low"]
    assert list(partly_matched(_measurement("Fe2O3", "high", "low"), method).spectra) == ["low", "high"]
    with pytest.raises(DomainError, match="no spectrum of the condition"):
        partly_matched(_measurement("Fe2O3", "other"), method)
