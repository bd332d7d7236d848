"""What is installed from the wheel is what stands in the source: code, texts, templates, documents, documentation."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="the wheel is built by hatchling")

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import xrfree

ROOT = Path(__file__).resolve().parents[2]
TRAVELS = {"src/xrfree": "xrfree", "calibration": "xrfree/_shipped", "docs": "xrfree/_docs"}
"""Folders of the source and where they lie in the wheel."""
LEFT_BEHIND = ("__pycache__", ".nbi", ".nbc", ".pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_everything_travels_and_nothing_else(wheel):
    wanted = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in TRAVELS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not any(mark in str(path) for mark in LEFT_BEHIND)
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert wanted - names == set()
    assert names - wanted == set()
    assert {"xrfree/py.typed", "xrfree/app/bench.css", "xrfree/app/texts/zh.toml", "xrfree/app/notice.html.j2"} <= names
    assert {"xrfree/report/templates/report.html.j2", "xrfree/_shipped/methods/iron-ore-edxrf.toml"} <= names


def test_the_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (place,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        said = message_from_bytes(archive.read(f"{place}/METADATA"))
        programs = archive.read(f"{place}/entry_points.txt").decode()
        assert f"{place}/licenses/LICENSE" in archive.namelist()
    assert said["Version"] == xrfree.__version__
    assert said["License-Expression"] == "BSD-3-Clause"
    assert {"formats", "cluster", "app", "pdf", "ml", "docs", "jupyter", "tables"} <= set(
        said.get_all("Provides-Extra")
    )
    assert "xrfree = xrfree.cli:main" in programs
    assert f"\nversion: {xrfree.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {xrfree.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_source_distribution_can_be_worked_on(tmp_path):
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("src", "tests", "docs", "benchmarks", "tools", "notebooks", "calibration"):
        wanted = {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*.*") if p.is_file()}
        assert {name for name in wanted - names if not any(mark in name for mark in LEFT_BEHIND)} == set()
    assert {"README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md", "noxfile.py", "run.py"} <= names
    assert not [name for name in names if name.startswith(("out/", "site/", ".venv", "xrfree-demo"))]


def run(unpacked: Path, *arguments: str, **environment: str) -> str:
    """What a command says when it is started from the wheel's files, in a folder with nothing else."""
    here = unpacked.parent / "elsewhere"
    here.mkdir(exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(unpacked), **environment}
    done = subprocess.run([sys.executable, *arguments], cwd=here, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_works_from_where_it_lies(unpacked):
    place = run(unpacked, "-c", "import xrfree; print(xrfree.__file__)")
    assert Path(place.strip()).is_relative_to(unpacked)
    assert "assay" in run(unpacked, "-m", "xrfree", "--help")
    assert "tutorials/technician" in run(unpacked, "-m", "xrfree", "docs")
    shipped = run(unpacked, "-c", "from xrfree.documents.shipped import shipped_path as p; print(p('methods'))")
    assert Path(shipped.strip()).is_relative_to(unpacked)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(unpacked, shell):
    asked = {"_XRFREE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "xrfree calib", "COMP_CWORD": "1"}
    asked |= {"COMP_WORDS": "xrfree calib", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    program = "import sys; from xrfree.cli import main; sys.argv[0] = 'xrfree'; sys.exit(main())"
    told = run(unpacked, "-c", program, **asked)
    assert "calibrate-instrument" in told
    assert "assay" not in told.replace("Assay", "")
