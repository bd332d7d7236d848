"""The documentation builds strictly, needs no network, and its generated pages say what the program says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from xrfree.cli import FAILED, OK, main
from xrfree.documents.pages import page_names

ROOT = Path(__file__).resolve().parents[2]
PAGES = run_path(str(ROOT / "tools" / "docs_pages.py"))
FIGURES = run_path(str(ROOT / "tools" / "evidence_page.py"))
LOADED = re.compile(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""")


def test_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    # Not --quiet: that would hide warnings from --strict, too.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    assert [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []
    assert "simulate" in (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")


def test_evidence_is_what_benchmarks_wrote(tmp_path):
    environment = {"python": "3.11.7"}
    written = {
        "regression": {
            "York_digits": 11.0,
            "Norris_digits": 14.06,
            "Filip_digits": 7.5,
            "York_sd_digits": 4.07,
            "fit_s": 0.1,
        },
        "reconciliation": {"large_s": 0.133, "bayes_mean": 0.05941},
        "gates": {"clean_released": 1.0, "note": "a | b", "none": None},
    }
    for name, figures in written.items():
        result = {"figures": figures, "environment": environment}
        if name == "gates":
            result["table"] = {"columns": ["batch", "faults"], "rows": [["a < b", 0], ["c", 1.23456]]}
        (tmp_path / f"{name}.json").write_text(json.dumps(result), encoding="utf-8")
    page = FIGURES["evidence_page"](tmp_path)
    assert "| | certified digits |" in page
    assert "| York | 11 |" in page
    assert "| `fit_s` | 0.1 |  |" in page
    assert "| York sd | 4.07 |" in page
    assert "| `large_s` | 0.133 | CPU seconds for 1 000 streams with 8 components: reconciled values" in page
    assert "| `bayes_mean` | 0.05941 | largest difference to the means of a Gibbs sampler" in page
    assert "| batch | faults |\n|---|---|\n| a &lt; b | 0 |\n| c | 1.235 |\n" in page
    assert "| `note` | a \\| b |" in page
    assert page.count("Measured with python 3.11.7.") == len(written)
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    assert page.count("\n### ") == len(scripts)
    assert page.count("Not run yet.") == len(scripts - set(written))


def test_every_figure_of_the_real_evidence_is_on_the_page():
    page = FIGURES["evidence_page"](FIGURES["EVIDENCE"])
    for path in FIGURES["EVIDENCE"].glob("*.json"):
        for name, value in json.loads(path.read_text(encoding="utf-8"))["figures"].items():
            assert value is None or f" {value:.4g} |" in page, f"{path.stem}: {name}"


def test_the_table_of_peers_in_the_readme_is_that_of_the_evidence():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made = FIGURES["with_table"](readme, FIGURES["peers_table"](FIGURES["EVIDENCE"]))
    assert readme == made, "run: python tools/evidence_page.py"


def test_the_table_of_peers_holds_figures_of_the_benchmarks_alone(tmp_path):
    assert FIGURES["peers_table"](tmp_path).count("\n") == 1
    figures = {"nonlinear_per_s": 4321.0, "over_pymca_nonlinear": 87.4}
    (tmp_path / "fit_speed.json").write_text(json.dumps({"figures": figures}), encoding="utf-8")
    (row,) = FIGURES["peers_table"](tmp_path).split("\n")[2:]
    assert "| 4321 | PyMca: 87 times fewer | `fit_speed.py` |" in row
    with pytest.raises(ValueError, match="no place for the table"):
        FIGURES["with_table"]("# readme", "")


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "evidence").glob("*.json")), ids=lambda p: p.stem)
def test_shipped_evidence_belongs_to_a_benchmark(path):
    assert (ROOT / "benchmarks" / f"{path.stem}.py").exists()
    assert json.loads(path.read_text(encoding="utf-8")).keys() >= {"figures", "environment"}


def test_every_kind_of_document_is_described():
    from xrfree.documents.schemas import schema_names

    page = PAGES["documents_page"]()
    assert all(f"## {name}\n" in page for name in schema_names())
    assert "| `analytes` |" in page


def test_pages_can_be_read_in_the_terminal(capsys):
    assert main(["docs"]) == OK
    assert capsys.readouterr().out.split() == list(page_names())
    assert main(["docs", "tutorials/technician"]) == OK
    assert "refused.csv" in capsys.readouterr().out
    assert main(["docs", "nowhere"]) == FAILED
    assert "there is no page 'nowhere'; pages are architecture" in capsys.readouterr().err


def test_help_of_every_command_names_a_page_that_exists(capsys):
    import typer.main

    from xrfree.cli.app import app

    root = typer.main.get_command(app)
    commands = {(name,): command for name, command in root.commands.items()}
    commands |= {("ledger", name): command for name, command in root.commands["ledger"].commands.items()}
    assert len(commands) > 30
    for path, command in commands.items():
        assert main([*path, "--help"]) == OK
        told = " ".join(capsys.readouterr().out.split())
        page = (command.epilog or "").removeprefix("More: xrfree docs ")
        assert page in page_names(), path
        assert told.endswith(f"More: xrfree docs {page}"), path


def test_every_kind_of_error_has_a_page():
    from xrfree import errors
    from xrfree.cli.pages import page_of

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.XrfreeError)]
    assert len(kinds) > 10
    found = {
        kind.__name__: page_of(
            kind("x", found="y", remedy="z") if issubclass(kind, errors.InputFileError) else kind("x")
        )
        for kind in kinds
        if kind not in (errors.XrfreeError, errors.InputFileError)
    }
    assert {name: page for name, page in found.items() if page not in page_names()} == {}


def test_the_page_on_documents_names_every_kind():
    from xrfree.documents.schemas import schema_names

    text = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)`", text, re.MULTILINE)) == set(schema_names())


def test_an_error_names_the_page_that_helps(tmp_path, capsys):
    (tmp_path / "x.toml").write_text("", encoding="utf-8")
    assert main(["ledger", "show", "P1", "--ledger", str(tmp_path / "none.sqlite")]) == FAILED
    assert capsys.readouterr().err.rstrip().endswith("(xrfree docs ledger)")
