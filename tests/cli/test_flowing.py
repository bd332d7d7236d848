from __future__ import annotations

import csv
import json
from xml.etree import ElementTree

import pytest

from xrfree.cli import FAILED, OK, REFUSED, main
from xrfree.documents.assays import assay_data
from xrfree.ledger.store import Ledger, entry

SHEET = """
schema = "xrfree/flowsheet/1"
name = "Plant <1>"
components = ["Fe", "Ce"]
mass_unit = "t"

[[streams]]
name = "ore"
to = "mill"
stage = "ore"
mass = 1000.0
mass_uncertainty = 5.0
moisture = 0.05
moisture_uncertainty = 0.002
contents = { Fe = 0.30, Ce = 0.020 }
contents_uncertainty = { Fe = 0.002, Ce = 0.0003 }

[[streams]]
name = "=concentrate"
from = "mill"
stage = "concentrate"
mass = MASS
mass_uncertainty = 1.0
contents = { Fe = 0.25, Ce = 0.076 }
contents_uncertainty = { Fe = 0.002, Ce = 0.001 }

[[streams]]
name = "tailings"
from = "mill"
stage = "tailings"
mass = 750.0
mass_uncertainty = 4.0
contents = { Fe = 0.3133, Ce = 0.0051 }
contents_uncertainty = { Fe = 0.002, Ce = 0.0002 }
"""
LOTS = """
[[lots]]
name = "A/1"
stage = "ore"
mass = 60.0
mass_uncertainty = 0.1
contents = { Fe = 0.30, Ce = 0.020 }
contents_uncertainty = { Fe = 0.002, Ce = 0.0003 }
custody = [{ party = "Mine <b>", location = "pit 4", since = 2025-03-02, event = "loaded" }]

[[lots]]
name = "B"
stage = "ore"
mass = 40.0
mass_uncertainty = 0.1
contents = { Fe = 0.35, Ce = 0.010 }
contents_uncertainty = { Fe = 0.002, Ce = 0.0003 }

[[lots]]
name = "C"
stage = "ore"
mass = 100.0
mass_uncertainty = 0.1
contents = { Fe = 0.32, Ce = BLEND }
contents_uncertainty = { Fe = 0.002, Ce = 0.0003 }
made_of = [{ lot = "A/1", mass = 60.0 }, { lot = "B", mass = 40.0 }]
"""


def _run(tmp_path, text: str, *more: str) -> int:
    (tmp_path / "sheet.toml").write_text(text, encoding="utf-8")
    return main(["flow", str(tmp_path / "sheet.toml"), "-o", str(tmp_path / "out"), *more])


def test_a_plant_that_fits(tmp_path, capsys):
    assert _run(tmp_path, SHEET.replace("MASS", "200.0") + LOTS.replace("BLEND", "0.016")) == OK
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith("lot-")) == [
        "balance.csv",
        "balance.json",
        "flow-Ce.svg",
        "flow-Fe.svg",
        "flow-mass.svg",
        "flow.html",
    ]
    page = (out / "flow.html").read_text(encoding="utf-8")
    assert "Plant &lt;1&gt;" in page
    assert "None, at a probability of false alarm of 5 %" in page
    for picture in out.glob("*.svg"):
        ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    with (out / "balance.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[4]["stream"] == "'=concentrate"
    told = json.loads((out / "balance.json").read_text(encoding="utf-8"))
    shares = [told["recoveries"][name]["Ce"][0] for name in ("=concentrate", "tailings")]
    assert sum(shares) == pytest.approx(1.0, abs=1e-9)
    assert len(list(out.glob("lot-*.html"))) == 3
    custody = (out / "lot-C.html").read_text(encoding="utf-8")
    assert "Mine &lt;b&gt;" in custody
    assert "60000 kg of A/1" in custody


def test_what_does_not_fit_is_told(tmp_path, capsys):
    assert _run(tmp_path, SHEET.replace("MASS", "230.0") + LOTS.replace("BLEND", "0.020")) == REFUSED
    told = capsys.readouterr().out
    assert "=concentrate: the mass 230000 contradicts the others" in told
    assert "of mass unaccounted" in told
    assert "C does not fit: blend of A/1, B" in told
    assert "does not fit" in (tmp_path / "out" / "lot-C.html").read_text(encoding="utf-8")


def test_assays_of_the_ledger_are_attached(tmp_path, make_assay, capsys):
    text = SHEET.replace("MASS", "200.0").replace("contents = { Fe = 0.25, Ce = 0.076 }\n", 'specimens = ["P1"]\n')
    text = text.replace("contents_uncertainty = { Fe = 0.002, Ce = 0.001 }\n", "")
    assert _run(tmp_path, text) == FAILED
    assert "give the ledger" in capsys.readouterr().err
    place = str(tmp_path / "lab.sqlite")
    with Ledger(place) as ledger:
        ledger.append([entry("result", "P1", assay_data(make_assay("P1")), key="k")], actor="Li")
    code = _run(tmp_path, text + LOTS.replace("BLEND", "0.016"), "--ledger", place)
    assert code == REFUSED  # the hand-made assay has other contents than the plant
    assert "assay of P1, record 1" in (tmp_path / "out" / "lot-B.html").read_text(encoding="utf-8")
    with Ledger(place) as ledger:
        assert [r.kind for r in ledger.records()] == ["result", "flowsheet", "lot", "lot", "lot"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("mass = 750.0\n", ""), "mass and mass_uncertainty together"),
        (('to = "mill"\n', ""), "from outside to outside"),
        (("moisture = 0.05\n", "moisture = 1.5\n"), "moisture"),
        (("Ce = 0.0003", "Nd = 0.0003"), "same components"),
    ],
)
def test_wrong_documents_are_one_line(tmp_path, capsys, change, complaint):
    assert _run(tmp_path, SHEET.replace("MASS", "200.0").replace(*change)) == FAILED
    written = capsys.readouterr().err
    assert complaint in written
    assert written.count("\n") == 1
