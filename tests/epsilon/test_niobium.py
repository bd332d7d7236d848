"""Niobium in real soils, measured for 8 s on a PANalytical Epsilon 1: standards predict the material left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from xrfree.calibration_fit import calibrate
from xrfree.documents.certificates import load_certificates
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.quantification import Prepared, matched_conditions, prepare, quantify
from xrfree.readers import read_measurement
from xrfree.reference import ReferenceMaterial
from xrfree.spectrum import Measurement

HERE = Path(__file__).parent
MATERIALS = ("22d", "24b", "25a", "45d")


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load_method(HERE / "method.toml"), load_instrument(HERE / "instrument.toml"))


@pytest.fixture(scope="module")
def measurements(shared: Path, prepared: Prepared) -> dict[str, Measurement]:
    folder = shared / "spectra" / "real" / "epsilon_mp2"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    read = {f"OREAS {m}": read_measurement(folder / f"oreas{m}_50kV_Ag100.mp2") for m in MATERIALS}
    return {name: replace(matched_conditions(m, prepared.method), specimen=name) for name, m in read.items()}


@pytest.fixture(scope="module")
def certificates(repository: Path) -> Mapping[str, ReferenceMaterial]:
    return {c.name: c for c in load_certificates(repository / "calibration" / "certificates")}


@pytest.mark.parametrize("left_out", ["OREAS 25a", "OREAS 45d"])
def test_three_materials_predict_the_fourth(
    left_out: str,
    prepared: Prepared,
    measurements: Mapping[str, Measurement],
    certificates: Mapping[str, ReferenceMaterial],
) -> None:
    specimen = prepared.method.specimen
    assert specimen is not None
    standards = {name: m for name, m in measurements.items() if name != left_out}
    calibration = calibrate(standards, certificates, dict.fromkeys(standards, specimen), prepared, name="soils")
    ready = prepare(prepared.method, prepared.instrument, calibration)
    assay = quantify(measurements[left_out], ready, specimen)
    at = assay.components.index("Nb")
    certified = certificates[left_out].element_values()["Nb"].mass_fraction
    # 8 s of counting: 14 and 25 per cent; within two standard uncertainties, which must mean something.
    assert abs(assay.mass_fraction[at] - certified) < 2.0 * assay.standard_uncertainty[at]
    assert assay.standard_uncertainty[at] < 0.3 * certified
