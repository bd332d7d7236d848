from __future__ import annotations

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from xrfree.cli import FAILED, OK, REFUSED, main
from xrfree.ledger.store import Ledger, entry

HANDMADE = run_path(str(Path(__file__).parents[1] / "handmade.py"))


def ledger_of(folder: Path, shifts: list[float]) -> str:
    """A ledger with results of one monitor: lanthanum at 1.2 %, moved by so many standard deviations of 0.01 %."""
    place = str(folder / "lab.sqlite")
    with Ledger(place) as ledger:
        for shift in shifts:
            ledger.append([HANDMADE["made_result"]("monitor", shift)], actor="tester")
    return place


def chart(place: str, *more: str) -> int:
    return main(["chart", "monitor", "--component", "La", "--ledger", place, "--operator", "tester", *more])


STEADY = np.random.default_rng(5).standard_normal(12).clip(-1.5, 1.5).tolist()
KNOWN = ("--mean", "0.012", "--sd", "0.0001")


def test_a_steady_monitor_is_in_control(tmp_path, capsys):
    place = ledger_of(tmp_path, [0.5, -0.5, 0.8, -0.3])
    picture = tmp_path / "chart.png"
    assert chart(place, *KNOWN, "--png", str(picture)) == OK
    shown = capsys.readouterr().out
    assert "4 results, centre 1.200, s 0.010 %" in shown
    assert shown.splitlines()[1].endswith("in control")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("kind", "rule"), [("shewhart", "1-3s"), ("ewma", "EWMA"), ("cusum", "CUSUM+")])
def test_a_break_is_announced_with_rule_and_points_and_recorded(tmp_path, capsys, kind, rule):
    place = ledger_of(tmp_path, [*STEADY, 4.0, 4.0])
    assert chart(place, "--kind", kind, *KNOWN) == REFUSED
    shown = capsys.readouterr().out
    assert f"{rule}: " in shown
    assert "14)" in shown
    with Ledger(place) as ledger:
        (kept,) = ledger.records(kind="chart", subject="monitor")
    assert kept.data["chart"] == kind
    assert len(kept.data["results"]) == 14
    assert kept.data["alarms"][-1]["results"][-1] == kept.data["results"][-1]


def duplicates(folder: Path, differences: list[float]) -> str:
    """A ledger with batches of the method "Ore", each with two preparations of a sample; differences in 0.01 % La."""
    place = str(folder / "pairs.sqlite")
    with Ledger(place) as ledger:
        for i, difference in enumerate(differences):
            numbers = HANDMADE["recorded_pair"](ledger, f"S{i}", difference)
            told = {"findings": [], "results": numbers, "duplicates": {f"S{i}": numbers}}
            # A batch that is assayed again asks its gates again.
            ledger.append([entry("gates", "Ore", told), entry("gates", "Ore", told)], actor="tester")
    return place


def chart_ranges(place: str, *more: str) -> int:
    command = ["chart", "Ore", "--kind", "range", "--component", "La", "--ledger", place, "--operator", "tester"]
    return main([*command, *more])


def test_ranges_of_duplicates_are_charted_from_what_gates_asked(tmp_path, capsys):
    place = duplicates(tmp_path, [1.0, -1.2, 0.4, 4.2])
    # Upper limit (d2 + 3 d3) s = 3.686 s of a repeatability of 0.01 %.
    assert chart_ranges(place, "--sd", "0.0001", "--png", str(tmp_path / "ranges.png")) == REFUSED
    shown = capsys.readouterr().out
    assert "4 pairs of duplicates, centre 110, s 100 mg/kg" in shown
    assert "S3: range: the range of duplicates passed its upper limit (point 4)" in shown
    with Ledger(place) as ledger:
        (kept,) = ledger.records(kind="chart", subject="Ore")
        assert len(kept.data["results"]) == 8
        assert kept.data["alarms"][0]["results"] == kept.data["results"][-2:]


def test_limits_of_ranges_come_from_the_first_pairs_or_are_given(tmp_path, capsys):
    place = duplicates(tmp_path, [*STEADY, 0.5])
    assert chart_ranges(place) == OK
    assert "13 pairs" in capsys.readouterr().out
    assert chart_ranges(place, "--history", "20") == FAILED
    assert "13 pairs are too few" in capsys.readouterr().err
    assert chart_ranges(place, "--mean", "0.01") == FAILED
    assert "leave --mean out" in capsys.readouterr().err
    assert chart(place, "--kind", "range") == FAILED
    assert "no duplicates of the method monitor" in capsys.readouterr().err


def test_limits_from_the_first_results(tmp_path, capsys):
    place = ledger_of(tmp_path, [*STEADY, 0.0])
    assert chart(place) in (OK, REFUSED)
    (tmp_path / "few").mkdir()
    assert chart(ledger_of(tmp_path / "few", [0.0, 0.1])) == FAILED
    assert "2 results are too few" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--kind", "pie"], "no control chart"),
        (["--mean", "0.012"], "belong together"),
        (["--component", "Au"], "no result of"),
    ],
)
def test_wrong_questions_exit_with_1(tmp_path, capsys, more, words):
    place = ledger_of(tmp_path, [0.0])
    assert chart(place, *more) == FAILED
    assert words in capsys.readouterr().err
