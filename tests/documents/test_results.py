from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from xrfree.documents.results import load_results
from xrfree.errors import DocumentError
from xrfree.report.tables import write_tables

make_assay = run_path(str(Path(__file__).parents[1] / "handmade.py"))["make_assay"]


def test_what_was_written_is_read_back(tmp_path, make_assay):
    assay = make_assay("P01")
    write_tables(tmp_path, [assay], gates={"outcome": "hold", "repeat": [], "findings": []})
    for path in (tmp_path, tmp_path / "assays.json"):
        results = load_results(path)
        assert results.gates == "hold"
        (stored,) = results.assays
        assert stored.specimen == "P01"
        np.testing.assert_array_equal(stored.mass_fraction, assay.mass_fraction)
        np.testing.assert_array_equal(stored.covariance, assay.covariance)
        np.testing.assert_array_equal(stored.standard_uncertainty, assay.standard_uncertainty)
        np.testing.assert_array_equal(stored.budget["counting"], assay.budget["counting"])
        assert stored.verdicts == tuple(map(str, assay.verdicts))
        assert stored.recipe["method_sha256"] == assay.recipe.method_sha256
        assert stored.index("Fe") == 6


def test_an_unknown_component_is_an_error_with_a_sentence(tmp_path, make_assay):
    write_tables(tmp_path, [make_assay()])
    with pytest.raises(KeyError, match="no result for Au"):
        load_results(tmp_path).assays[0].index("Au")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema="x"), "schema"),
        (lambda d: d["assays"][0].pop("covariance"), "covariance"),
        (lambda d: d["assays"][0].update(mass_fraction=[1.0]), "shape"),
        (lambda d: d["assays"][0]["mass_fraction"].__setitem__(0, None), "finite"),
        (lambda d: d.update(assays=3), "garbles"),
    ],
)
def test_mangled_results_are_refused(tmp_path, make_assay, change, words):
    path = tmp_path / "assays.json"
    write_tables(tmp_path, [make_assay()])
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DocumentError, match=words):
        load_results(path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_what_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "assays.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError):
        load_results(path)
    with pytest.raises(DocumentError, match="no such file"):
        load_results(tmp_path / "missing.json")
