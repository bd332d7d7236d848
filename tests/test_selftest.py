from __future__ import annotations

import json

import pytest

from xrfree.selftest import CASES, Case, record, run_cases


def test_every_case_with_a_published_answer_passes():
    quick = [case for case in CASES if case.name != "whole chain"]
    outcomes = run_cases(quick)
    assert [o.name for o in outcomes if not o.passed] == []
    assert len({o.name for o in outcomes}) == len(quick)


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        (lambda: [(1.0, 1.0, 0.1), (1.2, 1.0, 0.1)], ""),
        (lambda: [(float("nan"), 1.0, 0.1)], ""),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_numbers_and_errors_fail_and_the_others_go_on(checks, words):
    bad = Case(name="bad", source="nowhere", checks=checks)
    good = Case(name="good", source="here", checks=lambda: [(1.0, 1.0, 0.1)])
    told = []
    outcomes = run_cases([bad, good], progress=lambda done, total: told.append((done, total)))
    assert [o.passed for o in outcomes] == [False, True]
    assert words in outcomes[0].error
    assert told == [(1, 2), (2, 2)]


def test_the_record_is_complete_json():
    outcomes = run_cases([Case(name="a", source="b", checks=lambda: [(1.0, 1.0, 0.1)])])
    told = json.loads(json.dumps(record(outcomes, seconds=1.0), allow_nan=False))
    assert told["passed"]
    assert told["cases"][0]["numbers"] == [{"found": 1.0, "expected": 1.0, "allowed": 0.1}]
    assert len(told["source_sha256"]) == 64
    assert told["software"]["numpy"] != "unknown"
    failed = run_cases([Case(name="a", source="b", checks=lambda: 1 / 0)])
    assert json.loads(json.dumps(record(failed, seconds=1.0), allow_nan=False))["passed"] is False
