from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.errors import DomainError
from xrfree.quality.charts import (
    Centre,
    Severity,
    announcement,
    centre_from_history,
    cusum,
    cusum_sums,
    ewma,
    ranges,
    shewhart,
    westgard,
    westgard_at,
)

# NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4 (EWMA, lambda = 0.3) and 6.3.2.3 (tabular CUSUM).
EWMA_DATA = [
    52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5,
    49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1,
]  # fmt: skip
EWMA_POINTS = [
    50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33,
    50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99,
]  # fmt: skip
CUSUM_DATA = [
    324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
    324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350,
]  # fmt: skip


def test_ewma_of_the_handbook():
    chart = ewma(EWMA_DATA, Centre(mean=50.0, standard_deviation=2.0539), weight=0.3)
    np.testing.assert_allclose(chart.points, EWMA_POINTS, atol=0.00501)
    # The handbook prints the limits of a long series, from a factor rounded to 0.4201.
    assert chart.high[-1] == pytest.approx(52.5884, abs=1e-3)
    assert chart.low[-1] == pytest.approx(47.4115, abs=1e-3)
    assert chart.in_control


def test_cusum_of_the_handbook():
    # Target 325, k = 0.3175, h = 4.1959, in units of the data; the shift after the twelfth point is found at the 14th.
    up, down = cusum_sums(np.array(CUSUM_DATA) - 325.0, allowance=0.3175)
    assert np.flatnonzero(up > 4.1959)[0] == 13
    assert np.all(down < 4.1959)
    # Hand sums from the first ones: 325.35 - 325 - 0.3175; then + 0.225 - 0.3175, which is 0 again with the next.
    np.testing.assert_allclose(up[4], 0.0325)
    np.testing.assert_allclose(up[12:14], [3.0075, 4.94])


def test_cusum_tells_where_the_shift_began():
    z = [0.1, -0.2, 0.3, -0.1] + [1.5] * 8
    chart = cusum(z, Centre(mean=0.0, standard_deviation=1.0))
    first = chart.alarms[0]
    assert first.rule == "CUSUM+"
    assert first.points[0] == 4
    assert first.points[-1] == 9  # six points at 1.0 each exceed 5
    assert not chart.in_control
    mirrored = cusum([-x for x in z], Centre(mean=0.0, standard_deviation=1.0))
    assert mirrored.alarms[0].rule == "CUSUM-"
    np.testing.assert_allclose(mirrored.points, -chart.points)


@pytest.mark.parametrize(
    ("z", "rules"),
    [
        ([0.0, 2.1], {"1-2s"}),
        ([0.0, 3.1], {"1-3s"}),
        ([2.1, 2.2], {"1-2s", "2-2s"}),
        ([2.1, -2.2], {"1-2s", "R-4s"}),
        ([1.1, 1.2, 1.3, 1.4], {"4-1s"}),
        ([0.1] * 10, {"10x"}),
        ([-0.1] * 9 + [0.1], set()),
        ([1.1, 1.2, -1.3, 1.4], set()),
        ([2.0, 1.9, 0.0, -2.0], set()),
    ],
)
def test_westgard_rules(z, rules):
    assert {alarm.rule for alarm in westgard_at(z, len(z) - 1)} == rules


def test_westgard_rules_of_a_published_exercise():
    # Sten Westgard, "Break All the Rules! (Answers to Part One)", westgard.com, August 2015: one control, z-values 1 to
    # 57, and the runs of points that break a rule. The exercise counts a run once; 8x is no rule of ours.
    z = [
        -1.5, 2.7, -0.2, 0.0, -1.3, 3.3, -1.9, -0.7, -0.5, -1.9, 0.0, -3.1, -1.8, 2.1, 2.8, -0.8, 0.1, 0.4, -1.9, -1.4,
        -0.9, 0.2, -0.9, -0.4, 0.2, -2.4, -2.4, 1.3, 0.9, -0.5, -0.6, 0.1, 0.3, -0.9, -2.3, 0.4, -2.1, -1.7, -1.2, -1.1,
        0.9, -1.6, 1.7, -0.8, -0.6, -0.4, -1.8, -1.9, -0.7, -1.1, -0.6, 1.2, 1.1, 1.4, 1.5, -0.9, -1.8,
    ]  # fmt: skip
    broken = [(a.rule, a.points[0] + 1, a.points[-1] + 1) for a in westgard(z) if a.severity is Severity.REJECT]
    assert broken == [
        ("1-3s", 6, 6),
        ("1-3s", 12, 12),
        ("2-2s", 14, 15),
        ("2-2s", 26, 27),
        ("4-1s", 37, 40),
        ("4-1s", 52, 55),
    ]


def test_only_the_warning_rule_warns():
    severities = {a.rule: a.severity for a in westgard([2.1, 2.2, -2.5, -3.5])}
    assert severities["1-2s"] is Severity.WARN
    assert {s for rule, s in severities.items() if rule != "1-2s"} == {Severity.REJECT}


def test_alarms_say_their_rule_and_points():
    chart = shewhart([10.0, 12.1, 12.2], Centre(mean=10.0, standard_deviation=1.0))
    assert announcement(chart.alarms).startswith("2-2s: two points in a row beyond 2 s on one side (point 2, 3)")
    assert announcement(()) == "in control"


def test_false_alarms_of_the_three_sigma_rule_are_rare():
    z = np.random.default_rng(8).standard_normal(20_000)
    share = sum(a.rule == "1-3s" for a in westgard(z[:4000])) / 4000
    assert share == pytest.approx(0.0027, abs=4 * np.sqrt(0.0027 / 4000))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_mirrored_series_break_the_same_rules(z):
    mirrored = westgard([-x for x in z])
    assert [(a.rule, a.points) for a in westgard(z)] == [(a.rule, a.points) for a in mirrored]


def test_moving_ranges_ignore_a_slow_trend():
    noise = np.random.default_rng(2).standard_normal(4000)
    centre = centre_from_history(noise + np.linspace(0, 20, 4000))
    # 4000 moving ranges: relative scatter sqrt(0.83/4000) = 1.4 %; four of them.
    assert centre.standard_deviation == pytest.approx(1.0, rel=0.058)


def test_ranges_of_duplicates():
    # Published constants for two values (ISO 7870-2): D4 = 3.267, d2 = 1.128.
    chart = ranges([1.0] * 11, [1.1] * 10 + [1.5])
    mean = (10 * 0.1 + 0.5) / 11
    assert chart.high[0] / mean == pytest.approx(3.267, abs=5e-4)
    assert chart.centre[0] == pytest.approx(mean)
    assert [a.points for a in chart.alarms] == [(10,)]
    assert ranges([1.0], [1.1], standard_deviation=0.1).centre[0] == pytest.approx(0.1128, abs=5e-5)


def test_rubbish_is_refused():
    for call in (
        lambda: centre_from_history([1.0] * 9),
        lambda: centre_from_history([1.0] * 12),
        lambda: shewhart([float("nan")], Centre(mean=0.0, standard_deviation=1.0)),
        lambda: ewma([1.0], Centre(mean=0.0, standard_deviation=1.0), weight=0.0),
        lambda: ranges([1.0], [1.0]),
        lambda: ranges([1.0], [1.0, 2.0], standard_deviation=1.0),
    ):
        with pytest.raises(DomainError):
            call()
