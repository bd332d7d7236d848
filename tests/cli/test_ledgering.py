from __future__ import annotations

import json

import pytest

from xrfree.cli import FAILED, OK, main
from xrfree.documents.assays import assay_data
from xrfree.ledger.store import Ledger, entry


@pytest.fixture
def place(tmp_path, make_assay, monkeypatch):
    """A ledger with one result by Li."""
    path = tmp_path / "lab.sqlite"
    assay = make_assay("P1")
    recipe = assay.recipe
    with Ledger(path) as ledger:
        document = {"document": {"second_person_release": True}, "path": "ore.toml"}
        points = {"document": {"points": [{"material": "OREAS 461"}, {"material": "OREAS 464"}]}, "path": "may.toml"}
        ledger.append(
            [
                entry("method", "ore", document, key=f"method:{recipe.method_sha256}:second person"),
                entry("calibration", "may", points, key=f"calibration:{recipe.calibration_sha256}"),
                entry("result", "P1", assay_data(assay), key="k"),
            ],
            actor="Li",
        )
    monkeypatch.setenv("XRFREE_LEDGER", str(path))
    return path


def test_a_result_goes_from_the_bench_to_the_customer(place, tmp_path, capsys):
    for name, role in (("Li", "operator"), ("Wang", "reviewer"), ("Zhao", "approver")):
        assert main(["ledger", "person", name, "--role", role, "--operator", "setup"]) == OK
    assert main(["ledger", "amend", "P1", "--set", "basis=dry", "--reason", "typo", "--operator", "Wang"]) == OK
    assert main(["ledger", "release", "P1", "--operator", "Li"]) == FAILED
    assert "needs a person who is approver" in capsys.readouterr().err
    assert main(["ledger", "release", "P1", "--operator", "Zhao"]) == OK
    assert main(["ledger", "show", "P1"]) == OK
    told = capsys.readouterr().out
    for word in ("OREAS 461, OREAS 464", "sha256 " + "aa" * 32, "by Wang", "reason: typo", "basis", "  released"):
        assert word in told
    assert main(["ledger", "show", "3", "--json"]) == OK
    kinds = [record["kind"] for record in json.loads(capsys.readouterr().out)]
    assert kinds == ["result", "method", "calibration", "amendment", "release"]
    assert main(["ledger", "list", "--kind", "person"]) == OK
    assert capsys.readouterr().out.count("\n") == 3


def test_a_second_person_is_needed_where_the_method_says_so(place, capsys):
    assert main(["ledger", "person", "Li", "--role", "approver", "--operator", "setup"]) == OK
    assert main(["ledger", "release", "P1", "--operator", "Li"]) == FAILED
    assert "second person" in capsys.readouterr().err


def test_a_ledger_is_verified_anchored_and_exported(place, tmp_path, capsys):
    assert main(["ledger", "verify", str(place)]) == OK
    assert "3 records, none changed" in capsys.readouterr().out
    assert main(["ledger", "anchor", "-o", str(tmp_path / "anchor.txt")]) == OK
    assert main(["ledger", "verify", str(place), "--anchor", str(tmp_path / "anchor.txt")]) == OK
    assert main(["ledger", "export", "-o", str(tmp_path / "lab.zip")]) == OK
    assert main(["ledger", "verify", str(tmp_path / "lab.zip")]) == OK
    capsys.readouterr()
    assert main(["ledger", "verify", str(place), "--anchor", "3:" + "0" * 64]) == FAILED
    assert "record 3 is not the record that was anchored" in capsys.readouterr().out


def test_documents_are_recorded_once(place, tmp_path, capsys):
    chart = tmp_path / "chart.toml"
    chart.write_text('schema = "xrfree/chart/1"\nname = "La"\nday = 2025-03-04\n')
    assert main(["ledger", "add", "chart", str(chart)]) == OK
    assert main(["ledger", "add", "chart", str(chart)]) == OK
    assert "recorded already" in capsys.readouterr().out
    (tmp_path / "gate.json").write_text('{"open": true}')
    assert main(["ledger", "add", "gate", str(tmp_path / "gate.json")]) == OK
    assert main(["ledger", "add", "nonsense", str(chart)]) == FAILED


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "P9"], "no result 'P9'"),
        (["verify", "missing.sqlite"], "no such file"),
        (["amend", "P1", "--set", "x", "--reason", "y"], "NAME=VALUE"),
        (["amend", "P1", "--set", "bassis=dry", "--reason", "y"], "no 'bassis'"),
        (["amend", "P1", "--set", "mass_fraction=3", "--reason", "y"], "no result any more"),
        (["amend", "P1", "--set", 'verdicts=["x"]', "--reason", "y"], "no result any more"),
        (["person", "Li", "--role", "king"], "roles are operator, reviewer, approver"),
        (["release", "P1", "--operator", "Chen"], "not known"),
    ],
)
def test_errors_are_one_line(place, capsys, arguments, complaint):
    assert main(["ledger", *arguments]) == FAILED
    written = capsys.readouterr().err
    assert complaint in written
    assert written.count("\n") == 1


def test_a_ledger_must_be_named(monkeypatch, capsys):
    monkeypatch.delenv("XRFREE_LEDGER", raising=False)
    assert main(["ledger", "list"]) == FAILED
    assert "--ledger" in capsys.readouterr().err
