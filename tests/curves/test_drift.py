"""Drift: one and two points, their uncertainty, and what is no drift any more."""

import numpy as np
import pytest

from xrfree.curves.drift import drift_corrections, one_point, two_point, without_drift
from xrfree.curves.rates import LineRates
from xrfree.errors import CalibrationError
from xrfree.line_method import MonitorReading


def _monitor(reference, now, u=0.0):
    return MonitorReading(
        reference_per_s=reference, reference_uncertainty_per_s=u, now_per_s=now, now_uncertainty_per_s=u
    )


def _rates(*values):
    lines = tuple("ab"[: len(values)])
    return LineRates(
        specimen="ore",
        lines=lines,
        rate=np.array(values),
        covariance=np.diag(np.array(values) / 10.0),
        variance_at_zero=np.ones(len(values)),
    )


def test_one_point_undoes_a_gain():
    back = without_drift(_rates(950.0), {"a": one_point(_monitor(2000.0, 1900.0))})
    assert back.rate[0] == pytest.approx(1000.0)


def test_two_points_undo_gain_and_offset():
    def now(rate):
        return 7.0 + 0.93 * rate

    drift = two_point(_monitor(100.0, now(100.0)), _monitor(5000.0, now(5000.0)))
    back = without_drift(_rates(now(1234.0)), {"a": drift})
    assert back.rate[0] == pytest.approx(1234.0, rel=1e-12)


def test_no_drift_changes_nothing_and_original_rates_stay():
    rates = _rates(950.0, 20.0)
    same = without_drift(rates, {"a": one_point(_monitor(500.0, 500.0))})
    assert same.rate == pytest.approx(rates.rate)
    assert rates.rate[0] == 950.0


@pytest.mark.parametrize("points", [1, 2])
def test_uncertainty_of_the_monitors_is_that_of_a_simulation(points):
    rng = np.random.default_rng(1)
    u = np.array([1.0, 8.0])

    def corrected(noise):
        low = MonitorReading(
            reference_per_s=100.0 + noise[0],
            reference_uncertainty_per_s=u[0],
            now_per_s=102.0 + noise[1],
            now_uncertainty_per_s=u[0],
        )
        high = MonitorReading(
            reference_per_s=5000.0 + noise[2],
            reference_uncertainty_per_s=u[1],
            now_per_s=4800.0 + noise[3],
            now_uncertainty_per_s=u[1],
        )
        drift = one_point(high) if points == 1 else two_point(low, high)
        rates = LineRates(
            specimen="o",
            lines=("a",),
            rate=np.array([1500.0]),
            covariance=np.zeros((1, 1)),
            variance_at_zero=np.ones(1),
        )
        return without_drift(rates, {"a": drift})

    draws = [corrected(rng.normal(size=4) * [u[0], u[0], u[1], u[1]]).rate[0] for _ in range(4000)]
    stated = np.sqrt(corrected(np.zeros(4)).covariance[0, 0])
    assert stated == pytest.approx(np.std(draws), rel=0.05)  # 4000 draws: 1.1 %


def test_what_is_no_drift_is_refused():
    with pytest.raises(CalibrationError, match=r"La .*more than 20% is no drift"):
        one_point(_monitor(1000.0, 700.0), line="La")
    with pytest.raises(CalibrationError, match="too close together"):
        two_point(_monitor(1000.0, 990.0), _monitor(1100.0, 1090.0))


def test_the_number_of_monitors_decides_the_points():
    high, low = _monitor(5000.0, 4900.0), _monitor(100.0, 100.0)
    found = drift_corrections({"La": [high], "Ce": [high, low]})
    assert found["La"].offset_per_s == 0.0
    assert found["Ce"].factor == pytest.approx(4900.0 / 4800.0)
    with pytest.raises(CalibrationError, match="3 monitors"):
        drift_corrections({"La": [high, low, high]})
