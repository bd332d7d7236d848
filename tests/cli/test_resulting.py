from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from xrfree.cli import FAILED, OK, REFUSED, main
from xrfree.composition import element_fraction
from xrfree.documents.assays import assay_data
from xrfree.documents.worklist import load_worklist, sample_names
from xrfree.errors import DocumentError
from xrfree.ledger.store import Ledger, entry
from xrfree.report.certificate import total_rare_earth_oxides
from xrfree.report.tables import safe_cell

LABORATORY = """
schema = "xrfree/laboratory/1"
name = "Works <laboratory>"
address = "1 Ore Street"
place = "X-ray room"
prefix = "XR"
"""
WORKLIST = "Sample,Files,Order,Customer,Received\nP1,a.csv;b.csv,=1+1,Mine & Co,2025-03-01\nP7,,4711,,\nP8,,4712,,\n"


@pytest.fixture
def place(tmp_path, make_assay, monkeypatch):
    path = tmp_path / "lab.sqlite"
    with Ledger(path) as ledger:
        refused = {"refused": [{"path": "P7.csv", "specimen": "P7", "reason": "empty", "details": "", "remedy": ""}]}
        ledger.append(
            [
                entry("result", "P1", assay_data(make_assay("P1")), key="1"),
                entry("result", "=P2", assay_data(make_assay("=P2")), key="2"),
                entry("refusal", "P7", refused),
            ],
            actor="Li",
        )
    monkeypatch.setenv("XRFREE_LEDGER", str(path))
    (tmp_path / "lab.toml").write_text(LABORATORY, encoding="utf-8")
    (tmp_path / "list.csv").write_text(WORKLIST, encoding="utf-8")
    assert main(["ledger", "person", "Zhao", "--role", "approver", "--operator", "setup"]) == OK
    return path


def test_results_of_a_worklist(place, tmp_path, capsys):
    arguments = ["results", "--worklist", str(tmp_path / "list.csv"), "--unit", "mg/kg", "-o"]
    assert main([*arguments, str(tmp_path / "r.csv")]) == REFUSED
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    first = rows[0]
    assert (first["sample"], first["component"], first["unit"], first["order"]) == ("P1", "La", "mg/kg", "'=1+1")
    assert float(first["result"]) == pytest.approx(12345.6)
    assert [(r["sample"], r["flag"], r["reason"]) for r in rows[-2:]] == [
        ("P7", "refused", "empty"),
        ("P8", "missing", "nothing was recorded of this sample"),
    ]
    assert {r["flag"] for r in rows[:-2]} == {"", "not detected", "doubtful"}
    assert main(["ledger", "release", "P1", "--operator", "Zhao"]) == OK
    assert main([*arguments, str(tmp_path / "r.json"), "--released-only"]) == REFUSED
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert found[0]["released"].startswith("Zhao, ")
    assert main([*arguments, str(tmp_path / "r.txt")]) == FAILED
    assert main(["results", "P1", "--unit", "ppm", "-o", str(tmp_path / "r.csv")]) == FAILED


def test_no_cell_is_computed(place, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="reads the workbook back")
    assert main(["results", "-o", str(tmp_path / "r.xlsx")]) == OK
    sheet = openpyxl.load_workbook(tmp_path / "r.xlsx").worksheets[0]
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in cells)
    assert "=P2" in [cell.value for cell in cells]
    assert main(["results", "-o", str(tmp_path / "r.csv")]) == OK
    assert "'=P2,La" not in (tmp_path / "r.csv").read_text()[:10]
    assert "\n'=P2,," in (tmp_path / "r.csv").read_text()


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_formulas_are_neutralised(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "P1", "1=2", "a-b", "P+1"])
def test_other_text_is_left_alone(text):
    assert safe_cell(text) == text


def test_a_certificate_has_every_item(place, tmp_path, capsys):
    arguments = ["certificate", "P1", "--laboratory", str(tmp_path / "lab.toml"), "-o", str(tmp_path / "out")]
    arguments += ["--worklist", str(tmp_path / "list.csv"), "--operator", "Zhao"]
    assert main(arguments) == FAILED
    assert "not released" in capsys.readouterr().err
    assert main(["ledger", "release", "P1", "--operator", "Zhao"]) == OK
    assert main([*arguments, "--no-pdf"]) == OK
    (page,) = (tmp_path / "out").glob("XR-*.html")
    text = page.read_text(encoding="utf-8")
    for words in (
        "<h1>Certificate of analysis</h1>",  # a
        "Works &lt;laboratory&gt;, 1 Ore Street",  # b
        "X-ray room",  # c
        page.stem,  # d
        f"End of certificate {page.stem}",
        "Mine &amp; Co",  # e
        "<dt>Method</dt>",  # f
        "<dt>Condition</dt><dd>not stated",  # g
        "2025-03-01",  # h
        "<dt>Tested</dt>",  # i
        "<dt>Date of issue</dt>",  # j
        "<dt>Sampling plan</dt>",  # k
        "relate only to the items tested",  # l
        "1.235",  # m
        "<dt>Deviations from the method</dt><dd>Nb: poor fit: something is there",  # n
        "<dt>Authorised by</dt><dd>Zhao",  # o
        "<dt>External results</dt>",  # p
        "Total rare-earth oxides (La₂O₃, CeO₂, Pr₆O₁₁, Nd₂O₃, Sm₂O₃)",
    ):
        assert words in text, words
    assert main([*arguments, "--no-pdf"]) == OK
    assert len(list((tmp_path / "out").glob("XR-*.html"))) == 2  # a number is never given twice
    capsys.readouterr()
    assert main(["ledger", "show", "P1"]) == OK
    assert f"certificate {page.stem}: record" in capsys.readouterr().out


def test_a_draft_says_so_and_a_batch_is_one(place, tmp_path):
    pytest.importorskip("fpdf", reason="needs the extra pdf")
    arguments = ["certificate", "P1", "=P2", "--laboratory", str(tmp_path / "lab.toml"), "--draft", "--batch"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == OK
    (page,) = (tmp_path / "out").glob("*.html")
    assert "Draft of a certificate of analysis (not released)" in page.read_text(encoding="utf-8")
    content = page.with_suffix(".pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    with Ledger(place) as ledger:
        assert [r.subject for r in ledger.records(kind="certificate")] == ["2 samples"]


def test_a_pdf_with_gaps_is_refused(place, tmp_path, capsys):
    pytest.importorskip("fpdf", reason="needs the extra pdf")
    laboratory = LABORATORY.replace("X-ray room", "\N{CJK UNIFIED IDEOGRAPH-94C1}")
    (tmp_path / "lab.toml").write_text(laboratory, encoding="utf-8")
    arguments = ["certificate", "P1", "--laboratory", str(tmp_path / "lab.toml"), "--draft"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == FAILED
    assert "--font" in capsys.readouterr().err


def test_total_rare_earth_oxides_by_hand(make_assay):
    assay = make_assay("P1")
    covariance = np.array(assay.covariance)
    covariance[0, 1] = covariance[1, 0] = 0.5 * math.sqrt(covariance[0, 0] * covariance[1, 1])
    elements, total, u = total_rare_earth_oxides(make_assay("P1", covariance=covariance))
    oxides = {"La": "La2O3", "Ce": "CeO2", "Pr": "Pr6O11", "Nd": "Nd2O3", "Sm": "Sm2O3"}
    assert elements == tuple(oxides)
    g = [1.0 / element_fraction(oxide, e) for e, oxide in oxides.items()]
    assert total == pytest.approx(sum(a * b for a, b in zip(g, assay.mass_fraction[:5], strict=True)))
    by_hand = sum(g[i] * g[j] * covariance[i, j] for i in range(5) for j in range(5))
    assert u == pytest.approx(math.sqrt(by_hand))


def test_worklists_of_all_kinds(tmp_path):
    (tmp_path / "a.csv").write_text(WORKLIST, encoding="utf-8")
    (tmp_path / "a.json").write_text(
        json.dumps([{"Sample": "P1", "files": ["a.csv", "b.csv"], "order": "=1+1"}, {"sample": "P7", "order": 4711}])
    )
    by_table, by_json = load_worklist(tmp_path / "a.csv"), load_worklist(tmp_path / "a.json")
    assert by_table["P1"].files == by_json["P1"].files == ("a.csv", "b.csv")
    assert by_table["P7"].order == by_json["P7"].order == "4711"
    assert sample_names("a", by_table) == {"a.csv": "P1", "b.csv": "P1"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "id,files\n1,x\n", "no column sample"),
        ("a.csv", "sample\n\n", "holds no sample"),
        ("a.csv", "sample,order\n,1\n", "names no sample"),
        ("a.csv", "sample\nP1\nP1\n", "'P1' again"),
        ("a.json", "{", "not JSON"),
        ("a.json", '{"sample": "P1"}', "not a list"),
    ],
)
def test_broken_worklists(tmp_path, name, text, words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=words):
        load_worklist(tmp_path / name)
