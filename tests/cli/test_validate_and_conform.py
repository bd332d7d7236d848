from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from xrfree.cli import FAILED, OK, REFUSED, main
from xrfree.report.tables import write_tables

make_assay = run_path(str(Path(__file__).parents[1] / "handmade.py"))["make_assay"]

PLAN = """
schema = "xrfree/validation-plan/1"
title = "Lanthanum & friends <in> ore"
laboratory = "Bench 7"
purpose = "La from 0.5 to 2 %"
results = ["day1", "day2"]
measurements = "measurements.csv"
certificates = "certificates.csv"
analytes = ["La"]

[[criteria]]
name = "trueness"
kind = "trueness"
limits = { fewest_materials = 1 }

[[criteria]]
name = "precision"
kind = "precision"
limits = { fewest_series = 2 }
"""


@pytest.fixture
def folder(tmp_path, make_assay):
    generator = np.random.default_rng(1)
    for day in ("day1", "day2"):
        assays = []
        for k in range(3):
            assay = make_assay(f"{day}-{k}")
            w = assay.mass_fraction * (1 + 0.003 * generator.standard_normal())
            assays.append(replace(assay, mass_fraction=w))
        (tmp_path / day).mkdir()
        write_tables(tmp_path / day, assays)
    rows = ["specimen,purpose,material,series"]
    rows += [f"{day}-{k},precision,CRM-1,{day}" for day in ("day1", "day2") for k in range(2)]
    rows += ["day1-2,trueness,CRM-1,", "day2-2,trueness,CRM-1,"]
    (tmp_path / "measurements.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "certificates.csv").write_text(
        "specimen,component,mass_fraction,expanded_uncertainty,coverage_factor,basis\nCRM-1,La,0.0123,0.0002,2,specimen\n",
        encoding="utf-8",
    )
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def validate(folder: Path, *more: str) -> int:
    return main(["validate", str(folder / "plan.toml"), "--out", str(folder / "out"), *more])


def test_a_plan_becomes_a_dossier(folder, capsys):
    assert validate(folder) == OK
    assert "Overall: pass" in capsys.readouterr().out
    html = (folder / "out" / "dossier.html").read_text(encoding="utf-8")
    assert "Lanthanum &amp; friends &lt;in&gt; ore" in html
    assert "En +" in html
    assert "repeatability" in html
    assert html.count("sha256") >= 6  # plan, recipe and each of four files
    assert "is fit for the stated purpose" in html
    assert "Approved by" in html


def test_the_dossier_as_pdf(folder):
    pytest.importorskip("fpdf", reason="the extra pdf is not installed")
    assert validate(folder, "--pdf") == OK
    assert (folder / "out" / "dossier.pdf").read_bytes().startswith(b"%PDF")


def test_measurements_that_nobody_made_are_told(folder, capsys):
    plan = PLAN.replace("fewest_series = 2", "fewest_series = 4")
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    (folder / "day2" / "assays.json").unlink()
    assert validate(folder) == REFUSED
    told = capsys.readouterr().out
    assert "to be measured for precision: 3 more series of CRM-1" in told
    assert "to be measured for precision: day2-0 (CRM-1)" in told
    assert "does not yet fulfil" in (folder / "out" / "dossier.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "trueness"', 'kind = "beauty"', "criteria[0].kind"),
        ("fewest_materials", "fewest_marbles", "no limit called fewest_marbles"),
        ('"measurements.csv"', '"nowhere.csv"', "no such file"),
        ('["day1", "day2"]', '["day1", "day1"]', "two of the files"),
        ('["La"]', '["Lx"]', "analytes[0]"),
    ],
)
def test_mistakes_in_a_plan_exit_with_1_and_one_line(folder, capsys, old, new, words):
    (folder / "plan.toml").write_text(PLAN.replace(old, new, 1), encoding="utf-8")
    assert validate(folder) == FAILED
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_wrong_purpose_names_its_line(folder, capsys):
    path = folder / "measurements.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("precision", "pression", 1), encoding="utf-8")
    assert validate(folder) == FAILED
    assert "line 2, purpose" in capsys.readouterr().err


SPECIFICATION = """
schema = "xrfree/specification/1"
name = "Grade A"

[[limits]]
quantity = "La"
low = 0.012
rule = "guard band"

[[limits]]
quantity = "La/Nd"
low = 1.0
high = 3.0
"""


@pytest.fixture
def specified(tmp_path, make_assay):
    write_tables(
        tmp_path, [make_assay("lot 1"), replace(make_assay("lot 2"), mass_fraction=make_assay().mass_fraction * 0.98)]
    )
    (tmp_path / "grade.toml").write_text(SPECIFICATION, encoding="utf-8")
    return tmp_path


def test_results_are_judged_by_their_rule(specified, capsys):
    out = specified / "conformity.csv"
    arguments = [
        "conform",
        str(specified),
        "--specification",
        str(specified / "grade.toml"),
        "--out",
        str(out),
        "--lots",
    ]
    # La: 1.2346 and 1.2099 % with u = 0.0133 %: the second lies inside the guard band of 0.022 % above 1.2 %.
    assert main(arguments) == REFUSED
    shown = capsys.readouterr().out
    assert "guard band" in shown
    assert "Cpk" in shown
    with out.open(encoding="utf-8") as stream:
        rows = {(row["specimen"], row["quantity"]): row for row in csv.DictReader(stream)}
    assert rows["lot 1", "La"]["decision"] == "pass"
    assert rows["lot 2", "La"]["decision"] == "fail"
    assert float(rows["lot 2", "La"]["conformance_probability"]) == pytest.approx(0.77, abs=0.01)
    assert rows["lot 1", "La/Nd"]["decision"] == "pass"


def test_one_specimen_may_conform(specified):
    arguments = ["conform", str(specified), "--specification", str(specified / "grade.toml"), "--specimen", "lot 1"]
    assert main(arguments) == OK


def test_what_the_laboratory_measures_for_itself_is_no_lot(specified, make_assay, capsys):
    w = make_assay().mass_fraction
    other = replace(make_assay("lot 2"), mass_fraction=np.concatenate([1.01 * w[:1], w[1:]]))
    assays = [make_assay("lot 1"), other, make_assay("BLK"), make_assay("MON")]
    write_tables(specified, assays, roles={"lot 1": "unknown", "BLK": "blank", "MON": "monitor"})
    arguments = ["conform", str(specified), "--specification", str(specified / "grade.toml")]
    out = specified / "conformity.csv"
    assert main([*arguments, "--lots", "--out", str(out)]) == OK
    shown = capsys.readouterr()
    assert "not judged, by their role: BLK (blank), MON (monitor)" in shown.err
    with out.open(encoding="utf-8") as stream:
        assert {row["specimen"] for row in csv.DictReader(stream)} == {"lot 1", "lot 2"}
    assert main([*arguments, "--specimen", "MON", "--out", str(out)]) == OK
    assert "MON" in out.read_text(encoding="utf-8")


def test_a_held_batch_is_not_judged(specified, make_assay, capsys):
    write_tables(specified, [make_assay()], gates={"outcome": "hold", "repeat": [], "findings": []})
    assert main(["conform", str(specified), "--specification", str(specified / "grade.toml")]) == FAILED
    assert "held by its gates" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("low = 0.012", "", "low, high or both"),
        ('"La"', '"La-Nd"', "no sum or ratio"),
        ("low = 1.0", "low = 4.0", "low below high"),
        ('"La"', '"Au"', "no result for"),
    ],
)
def test_wrong_specifications_exit_with_1(specified, capsys, old, new, words):
    (specified / "grade.toml").write_text(SPECIFICATION.replace(old, new, 1), encoding="utf-8")
    assert main(["conform", str(specified), "--specification", str(specified / "grade.toml")]) == FAILED
    assert words in capsys.readouterr().err
