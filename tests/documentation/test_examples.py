"""Python blocks of readme and documentation run as they stand; those of one page one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import xrfree
from xrfree.documents.shipped import shipped_path
from xrfree.quantification import common_solution, matched_conditions, prepare
from xrfree.readers.nexus_hdf5 import write_hdf5

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [
    page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if BLOCK.search(page.read_text())
]


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Path:
    """A folder with the files that the examples name: those of the demonstration."""
    method = shipped_path("methods", "iron-ore-edxrf.toml").read_text(encoding="utf-8")
    instruments = tmp_path / "instruments"
    instruments.mkdir()
    (instruments / "bench.toml").write_bytes(shipped_path("fitted", "example-edxrf.toml").read_bytes())
    (tmp_path / "ore.toml").write_text(method.replace("../instruments/example-edxrf.toml", "instruments/bench.toml"))
    (tmp_path / "may.toml").write_bytes(shipped_path("fitted", "iron-ore-edxrf.toml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stack(bench) -> None:
    """ore-17.h5: one specimen in two conditions."""
    halves = [xrfree.read_measurement(shipped_path("spectra", "demo", f"hematite.{c}.csv")) for c in ("low", "high")]
    spectra = {name: s for half in halves for name, s in half.spectra.items()}
    write_hdf5(bench / "ore-17.h5", [xrfree.Measurement(specimen="ore-17", spectra=spectra)])


def fitted() -> dict[str, object]:
    """What the page on fits takes as given: everything that one fit of an example ore was told."""
    method = xrfree.load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    prepared = prepare(method, xrfree.load_instrument(shipped_path("fitted", "example-edxrf.toml")))
    measurement = matched_conditions(xrfree.read_measurement("ore-17.h5"), method)
    model = common_solution(measurement, prepared, method.specimen).fits[0].model
    parts = ("spectrum", "templates", "response", "settings")
    return {name: getattr(model, name) for name in parts}


GIVEN = {"fit.md": fitted}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_of_a_page_runs(page):
    """What a page does not define itself, it says in words: `GIVEN`."""
    names = GIVEN.get(page.name, dict)()
    for i, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        exec(compile(block, f"{page.name}, block {i + 1}", "exec"), names)
    assert names
