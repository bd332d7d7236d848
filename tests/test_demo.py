"""The shipped demonstration: its documents belong together, and its ores are found again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import load_specimens
from xrfree.quantification import Prepared, prepare, quantify
from xrfree.readers import read_measurement
from xrfree.spectrum import Measurement

MOST_BYTES = 1_000_000
REMAKE = "python tools/make_demo.py calibration"


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """The shipped documents; refused if one of them changed after the others were made."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    instrument = load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    calibration = load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml"))
    assert calibration.method_sha256 == method.sha256, f"the method changed: {REMAKE}"
    assert calibration.instrument_sha256 == instrument.sha256, f"the instrument changed: {REMAKE}"
    return prepare(method, instrument, calibration)


def truth(specimen: str) -> dict[str, float]:
    """What a demonstration ore was made of, kg/kg."""
    with shipped_path("spectra", "demo", "truth.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["specimen"] == specimen]
    return {row["component"]: float(row["mass_fraction"]) for row in rows}


def measurement_of(specimen: str) -> Measurement:
    folder = shipped_path("spectra", "demo")
    parts = [read_measurement(path) for path in sorted(folder.glob(f"{specimen}.*.csv"))]
    return Measurement(specimen=specimen, spectra={k: s for part in parts for k, s in part.spectra.items()})


def test_the_example_data_stay_small() -> None:
    files = [path for folder in ("fitted", "spectra") for path in shipped_path(folder).rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) < MOST_BYTES


def test_every_spectrum_has_a_list_entry_and_a_truth() -> None:
    folder = shipped_path("spectra", "demo")
    named = {path.name.partition(".")[0] for path in folder.glob("*.*.csv")}
    assert named == set(load_specimens(folder / "specimens.csv"))
    assert all(truth(name) for name in named)


@pytest.mark.parametrize("specimen", ["laterite-middle", "hematite"])
def test_an_ore_is_found_again(prepared: Prepared, specimen: str) -> None:
    entry = load_specimens(shipped_path("spectra", "demo", "specimens.csv"))[specimen]
    assay = quantify(measurement_of(specimen), prepared, entry.specimen)
    made_of = truth(specimen)
    index = [assay.components.index(analyte) for analyte in assay.analytes]
    true = np.array([made_of[analyte] for analyte in assay.analytes])
    pulls = (assay.mass_fraction[index] - true) / assay.standard_uncertainty[index]
    assert np.max(np.abs(pulls)) < 3.5
    if specimen == "hematite":
        assert np.all(assay.mass_fraction[index] < assay.decision_limit[index])


def test_standards_teach_where_the_lines_of_the_matrix_lie(prepared: Prepared) -> None:
    prior = prepared.ratio_priors["band"]
    for group in ("Ca K", "Ti K", "Mn K", "Fe K"):
        at = prior.names.index(f"ratio:{group}:shift")
        u = float(np.sqrt(prior.covariance[at, at]))
        # Beforehand 3 (0.3 eV); the spectra were simulated with lines where the tables have them.
        assert u < 2.5
        assert abs(prior.mean[at]) < 3.5 * u


def test_the_demonstration_spectra_say_that_they_are_simulated() -> None:
    for path in Path(shipped_path("spectra", "demo")).glob("*.*.csv"):
        assert "simulated" in path.read_text(encoding="utf-8").splitlines()[2]
