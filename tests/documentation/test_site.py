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
LOADED = re.compile(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""")


def test_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    assert [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []
    assert "simulate" in (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")


def test_evidence_is_what_benchmarks_wrote(tmp_path):
    figures = {"figures": {"York_digits": 11.0}, "environment": {"python": "3.11.7"}}
    (tmp_path / "regression.json").write_text(json.dumps(figures), encoding="utf-8")
    figures |= {"table": {"columns": ["reader", "faults"], "rows": [["emsa", 0]]}}
    (tmp_path / "readers_fuzz.json").write_text(json.dumps(figures), encoding="utf-8")
    page = PAGES["evidence_page"](tmp_path)
    assert "| `York_digits` | 11 |" in page
    assert "| reader | faults |\n| --- | --- |\n| emsa | 0 |\n" in page
    assert "Measured with python 3.11.7." in page
    assert page.count("Not run yet.") == page.count("\n## ") - 2


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


def test_an_error_names_the_page_that_helps(tmp_path, capsys):
    (tmp_path / "x.toml").write_text("", encoding="utf-8")
    assert main(["ledger", "show", "P1", "--ledger", str(tmp_path / "none.sqlite")]) == FAILED
    assert capsys.readouterr().err.rstrip().endswith("(xrfree docs ledger)")
