from __future__ import annotations

import csv
import io
import json
from contextlib import suppress

import numpy as np
import pytest

from xrfree.errors import XrfreeError
from xrfree.report.files import prepare_folder, replacing, write_text
from xrfree.report.refused import Refusal
from xrfree.report.tables import write_refused_csv, write_tables

HEADER = (
    "specimen,component,mass_fraction,standard_uncertainty,expanded_uncertainty,coverage_factor,decision_limit,"
    "detection_limit,verdict,reason,source_sha256,method_sha256,calibration_sha256,software_version"
)


def test_csv_has_the_fixed_columns_and_one_row_per_component(tmp_path, make_assay):
    write_tables(tmp_path, [make_assay("P01"), make_assay("P02")])
    content = (tmp_path / "assays.csv").read_bytes()
    # What is added stands behind what other programs know.
    assert content.startswith(f"{HEADER},calibration_status\n".encode())
    assert b"\r" not in content
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["component"] for row in rows[:7]] == ["La", "Ce", "Pr", "Nd", "Sm", "Nb", "Fe"]
    assert len(rows) == 14
    assert rows[4]["verdict"] == "not detected"
    assert rows[0]["source_sha256"] == f"{'aa' * 32} {'bb' * 32}"


def test_csv_keeps_every_digit(tmp_path, make_assay):
    third = np.full(7, 1.0 / 3.0)
    write_tables(tmp_path, [make_assay(mass_fraction=third)])
    row = next(csv.DictReader(io.StringIO((tmp_path / "assays.csv").read_text(encoding="utf-8"))))
    assert float(row["mass_fraction"]) == 1.0 / 3.0
    assert float(row["expanded_uncertainty"]) == 2.0 * float(row["standard_uncertainty"])


@pytest.mark.parametrize("name", ["=1+1", 'a "quoted", name', "línea\nnueva", "<script>", "鉄鉱石", "\udcff"])
def test_names_come_back_verbatim(tmp_path, make_assay, name):
    write_tables(tmp_path, [make_assay(name)])
    text = (tmp_path / "assays.csv").read_text(encoding="utf-8")
    row = next(csv.DictReader(io.StringIO(text)))
    readable = name.replace("\udcff", "\\udcff")
    assert row["specimen"] == readable
    document = json.loads((tmp_path / "assays.json").read_text(encoding="utf-8"))
    assert document["assays"][0]["specimen"] == name


def test_json_holds_covariance_budget_areas_and_recipe(tmp_path, make_assay):
    assay = make_assay()
    refusal = Refusal(path="x.csv", specimen="", reason="empty")
    write_tables(tmp_path, [assay], [refusal])
    document = json.loads((tmp_path / "assays.json").read_text(encoding="utf-8"))
    found = document["assays"][0]
    assert document["schema"] == "xrfree/assays/1"
    assert document["refused"] == [{"path": "x.csv", "specimen": "", "reason": "empty"}]
    assert np.array_equal(found["covariance"], assay.covariance)
    assert set(found["budget"]) == {"counting", "calibration"}
    assert found["recipe"]["sources"][1] == {"path": "P01.high.csv", "sha256": "bb" * 32}
    # JSON has no NaN.
    assert found["areas"][0]["parameters"]["fixed"] == {"value": 1.0, "standard_uncertainty": None}


def test_json_without_assays_is_still_a_document(tmp_path):
    write_tables(tmp_path, [])
    document = json.loads((tmp_path / "assays.json").read_text(encoding="utf-8"))
    assert document == {"schema": "xrfree/assays/1", "assays": [], "refused": []}


def test_refused_files_are_listed(tmp_path):
    write_refused_csv(tmp_path / "refused.csv", [Refusal(path="a,b.csv", specimen="P", reason="empty", remedy="Go")])
    assert (tmp_path / "refused.csv").read_text(
        encoding="utf-8"
    ) == 'path,specimen,reason,remedy\n"a,b.csv",P,empty,Go\n'


def test_names_of_refused_files_are_not_computed(tmp_path):
    write_refused_csv(tmp_path / "refused.csv", [Refusal(path="=1.csv", specimen="+P", reason="empty", remedy="Go")])
    assert (tmp_path / "refused.csv").read_text(encoding="utf-8").splitlines()[1] == "'=1.csv,'+P,empty,Go"


def test_files_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with suppress(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text() == "new"


def test_an_unwritable_place_gives_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(XrfreeError, match=r"cannot be written .*Choose another place"):
        prepare_folder(tmp_path / "file" / "out")
    with pytest.raises(XrfreeError, match="cannot be written"):
        write_text(tmp_path / "file" / "x.csv", "")
