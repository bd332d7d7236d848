"""`xrfree plan` and `xrfree simulate` from documents to results."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from xrfree.cli import FAILED, OK, main
from xrfree.documents.shipped import shipped_path
from xrfree.readers import read_measurements

INSTRUMENT = str(shipped_path("instruments", "example-edxrf.toml"))


@pytest.fixture
def ores(tmp_path: Path) -> Path:
    path = tmp_path / "ores.csv"
    rows = ["specimen,form,density_g_cm3,thickness_cm,formula"]
    rows += ["rich,pressed powder,3.2,0.5,Fe2O3:0.6 SiO2:0.3 La2O3:0.04 Nb2O5:0.06"]
    rows += ["poor,pressed powder,3.2,0.5,Fe2O3:0.6 SiO2:0.4", "unknown,pressed powder,3.2,0.5,"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_plan_prints_choices_and_writes_numbers(tmp_path: Path, ores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan.csv"
    command = ["plan", INSTRUMENT, str(ores), "--specimen", "rich", "-a", "La", "-a", "Nb", "--most-rate", "80000"]
    assert main([*command, "--kv", "15", "--kv", "40", "--filter", "none", "--filter", "Al:200", "-o", str(out)]) == OK
    text = capsys.readouterr().out
    assert "15 kV, Al:200" in text
    assert "Recommended split" in text
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4 * 2 + 2
    assert all(float(row["uncertainty"]) > 0.0 for row in rows)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--specimen", "rich"], "does not state the scale"),
        (["--most-rate", "8e4"], "choose one with --specimen"),
        (["--specimen", "other", "--most-rate", "8e4"], "has no specimen other"),
        (["--specimen", "unknown", "--most-rate", "8e4"], "unknown has no composition"),
        (["--specimen", "rich", "--filter", "Al"], "filter 'Al' has no thickness"),
        (["--specimen", "rich", "--filter", "Kapton:50"], "'Kapton' is not a chemical formula"),
        (["--specimen", "rich", "--filter", "SiO2:50"], "'SiO2' is not an element"),
        (["--specimen", "rich", "--kv", "15", "--base", "mid"], "--base mid is no condition"),
    ],
)
def test_impossible_plans_are_refused_in_one_line(
    ores: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", INSTRUMENT, str(ores), *more]) == FAILED
    assert message in capsys.readouterr().err


def test_simulated_spectra_are_read_back(tmp_path: Path, ores: Path) -> None:
    ores.write_text("\n".join(ores.read_text().splitlines()[:3]) + "\n", encoding="utf-8")
    for name, suffix in (("one", "csv"), ("again", "csv"), ("stack", "h5")):
        out = tmp_path / name if suffix == "csv" else tmp_path / f"{name}.h5"
        command = ["simulate", INSTRUMENT, str(ores), str(out), "--time", "10", "--rate", "5000", "--condition", "low"]
        assert main([*command, *(["--to", "csv"] if suffix == "csv" else [])]) == OK
    first, second = (read_measurements(tmp_path / name / "rich.low.csv")[0] for name in ("one", "again"))
    stack = {m.specimen: m for m in read_measurements(tmp_path / "stack.h5")}
    counts = first.spectra["low"].counts
    assert np.array_equal(counts, second.spectra["low"].counts)
    assert np.array_equal(counts, stack["rich"].spectra["low"].counts)
    # 50 000 counts expected; pile-up takes 0.05 %.
    assert counts.sum() == pytest.approx(50_000, abs=1_200)
    assert not np.array_equal(counts, stack["poor"].spectra["low"].counts)


def test_simulation_without_scale_or_rate_is_refused(
    tmp_path: Path, ores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", INSTRUMENT, str(ores), str(tmp_path / "s.h5")]) == FAILED
    assert "give --rate" in capsys.readouterr().err


def test_conditions_of_different_lengths_share_a_table(tmp_path: Path, ores: Path) -> None:
    ores.write_text("\n".join(ores.read_text().splitlines()[:2]) + "\n", encoding="utf-8")
    lengths = {}
    for kind in ("hdf5", "emsa", "csv"):
        out = tmp_path / kind
        command = ["simulate", INSTRUMENT, str(ores), str(out), "--time", "1", "--rate", "500", "--to", kind]
        assert main(command) == OK
        spectra = [s for path in out.iterdir() for m in read_measurements(path) for s in m.spectra.values()]
        lengths[kind] = sorted(s.n_channels for s in spectra)
    assert lengths["emsa"] == lengths["csv"] != lengths["hdf5"]
    assert lengths["hdf5"] == [max(lengths["csv"])] * len(lengths["csv"])
