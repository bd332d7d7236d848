from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest

from xrfree.cli import FAILED, OK, main
from xrfree.report.budget import CONTRIBUTION_NAMES, advice, contributions, not_stated
from xrfree.report.tables import write_tables

make_assay = run_path(str(Path(__file__).parents[1] / "handmade.py"))["make_assay"]


def test_a_budget_is_sorted_and_its_shares_sum_to_one():
    lines = contributions({"counting": 3.0, "calibration": 4.0, "something": 0.0})
    assert [line.key for line in lines] == ["calibration", "counting", "something"]
    assert sum(line.share for line in lines) == pytest.approx(1.0)
    assert lines[0].share == pytest.approx(0.64)
    assert "64 %" in advice(lines)
    assert "add standards" in advice(lines)
    assert set(not_stated(["counting"])) == {v for k, v in CONTRIBUTION_NAMES.items() if k != "counting"}


def test_explain_shows_table_bars_and_combinations(tmp_path, make_assay, capsys):
    write_tables(tmp_path, [make_assay("P01"), make_assay("P02")])
    picture = tmp_path / "budget.png"
    arguments = ["explain", str(tmp_path), "--specimen", "P01", "--of", "REO", "--of", "La/Nd", "--png", str(picture)]
    assert main(arguments) == OK
    shown = capsys.readouterr().out
    assert "La: 1.235 ± 0.027 %" in shown
    assert "64.0 %" in shown
    assert "█" in shown
    assert "Decision limit" in shown
    assert "Quantification limit 0.0090 % (relative standard uncertainty 10 %)" in shown
    assert "Currie" in shown
    assert "drift of the instrument" in shown  # not stated by itself
    assert "REO" in shown
    assert "P02" not in shown
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--specimen", "P9"], "P9"),
        (["--component", "Au"], "Au"),
        (["--of", "La*2"], "no sum or ratio"),
        (["--monte-carlo", "50"], "give --method"),
    ],
)
def test_wrong_questions_exit_with_1_and_one_line(tmp_path, make_assay, capsys, more, words):
    write_tables(tmp_path, [make_assay("P01")])
    assert main(["explain", str(tmp_path), *more]) == FAILED
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_explain_says_where_there_is_no_quantification_limit(tmp_path, make_assay, capsys):
    write_tables(tmp_path, [make_assay("P01")])
    assert main(["explain", str(tmp_path), "--component", "Fe"]) == OK
    assert "No quantification limit" in capsys.readouterr().out
