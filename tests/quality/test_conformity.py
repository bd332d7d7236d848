from __future__ import annotations

import math

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.conformity import (
    Decision,
    Rule,
    Tolerance,
    capability,
    conformance_probability,
    global_risks,
    guard_band,
    guard_band_for_global_risk,
    judge,
)


def test_jcgm_106_zener_diode():
    # JCGM 106:2012, clause 7, example: breakdown voltage -5.47 V, u = 0.05 V, upper limit -5.40 V: p_c = 0.92.
    assert conformance_probability(-5.47, 0.05, Tolerance(high=-5.40)) == pytest.approx(0.92, abs=0.005)


def test_jcgm_106_motor_oil():
    # JCGM 106:2012, clause 7, example: viscosity 13.6 mm2/s, u = 1.8 mm2/s, tolerance 12.5 to 16.3 mm2/s: p_c = 0.66.
    assert conformance_probability(13.6, 1.8, Tolerance(low=12.5, high=16.3)) == pytest.approx(0.66, abs=0.005)


def test_a_guard_band_of_one_expanded_uncertainty():
    # JCGM 106:2012, clause 8: w = U = 2 u leaves at most 2.3 % risk.
    risk = 1.0 - conformance_probability(10.0 - 2.0 * 0.5, 0.5, Tolerance(high=10.0))
    assert risk == pytest.approx(0.023, abs=5e-4)
    assert guard_band(0.5, risk=risk) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("limit", "ratio", "shrink", "accept", "reject"), [(2.0, 4.0, 1.0, 0.008, 0.015), (2.0, 2.0, 0.91, 0.008, 0.066)]
)
def test_published_global_risks(limit, ratio, shrink, accept, reject):
    # D. Deaver, "How to maintain your confidence", NCSL Workshop and Symposium 1993, pages 7 and 10: limits of 2
    # standard deviations, test uncertainty ratio 4; and ratio 2 with acceptance limits shrunk to 0.91.
    found = global_risks(
        process_mean=0.0,
        process_sd=1.0,
        u=1.0 / ratio,
        tolerance=Tolerance(low=-limit, high=limit),
        acceptance=Tolerance(low=-shrink * limit, high=shrink * limit),
    )
    assert found.false_accept == pytest.approx(accept, abs=5e-4)
    assert found.false_reject == pytest.approx(reject, abs=1e-3)


def test_global_risks_agree_with_drawing_items():
    generator = np.random.default_rng(9)
    true = generator.normal(1.0, 0.8, 400_000)
    found = true + generator.normal(0.0, 0.3, true.size)
    tolerance, acceptance = Tolerance(low=0.0), Tolerance(low=0.2)
    risks = global_risks(process_mean=1.0, process_sd=0.8, u=0.3, tolerance=tolerance, acceptance=acceptance)
    # Binomial standard deviation of shares near 3 %: 0.03 %; four of them.
    assert risks.false_accept == pytest.approx(np.mean((true < 0.0) & (found >= 0.2)), abs=1.1e-3)
    assert risks.false_reject == pytest.approx(np.mean((true >= 0.0) & (found < 0.2)), abs=1.1e-3)


def test_guard_band_for_a_chosen_share():
    arguments = {"process_mean": 0.0, "process_sd": 4.0, "u": 2.0, "tolerance": Tolerance(low=-8.0, high=8.0)}
    width = guard_band_for_global_risk(**arguments, false_accept=0.01)
    acceptance = Tolerance(low=-8.0 + width, high=8.0 - width)
    assert global_risks(**arguments, acceptance=acceptance).false_accept == pytest.approx(0.01)
    assert guard_band_for_global_risk(**arguments, false_accept=0.5) == 0.0


@pytest.mark.parametrize(
    ("value", "rule", "decision"),
    [
        (9.9, Rule.SIMPLE, Decision.PASS),
        (10.1, Rule.SIMPLE, Decision.FAIL),
        (9.0, Rule.GUARD_BAND, Decision.PASS),
        (9.9, Rule.GUARD_BAND, Decision.FAIL),
        (9.9, Rule.CONDITIONAL, Decision.CONDITIONAL_PASS),
        (10.1, Rule.CONDITIONAL, Decision.CONDITIONAL_FAIL),
        (10.9, Rule.CONDITIONAL, Decision.FAIL),
    ],
)
def test_decision_rules(value, rule, decision):
    found = judge(value, 0.5, Tolerance(high=10.0), rule=rule, risk=0.05)
    assert found.decision is decision
    conforming = conformance_probability(value, 0.5, Tolerance(high=10.0))
    accepted = decision in (Decision.PASS, Decision.CONDITIONAL_PASS)
    assert found.false_decision == pytest.approx(1.0 - conforming if accepted else conforming)


def test_whatever_a_guard_band_accepts_keeps_its_risk():
    for value in np.linspace(8.0, 11.0, 61):
        found = judge(float(value), 0.4, Tolerance(high=10.0), rule=Rule.GUARD_BAND, risk=0.02)
        assert found.decision is Decision.FAIL or found.false_decision <= 0.02 + 1e-12


def test_process_capability():
    # NIST/SEMATECH e-Handbook 6.1.6: USL 20, LSL 8, mean 16, s 2: Cp = 1.0, Cpk = 0.6667.
    spread = np.array([-1.0, 1.0]) * 2.0 / math.sqrt(2.0)
    found = capability(16.0 + spread, 0.5, Tolerance(low=8.0, high=20.0))
    assert found.cp == pytest.approx(1.0)
    assert found.cpk == pytest.approx(2.0 / 3.0)
    assert found.measurement == pytest.approx(6.0)  # C_m = 12/(4 x 0.5), JCGM 106 (19)
    assert found.corrected_sd == pytest.approx(math.sqrt(4.0 - 0.25))
    one_sided = capability(16.0 + spread, 0.5, Tolerance(high=20.0))
    assert math.isnan(one_sided.cp)
    assert one_sided.cpk == pytest.approx(2.0 / 3.0)


def test_rubbish_is_refused():
    for call in (
        lambda: Tolerance(),
        lambda: Tolerance(low=2.0, high=1.0),
        lambda: conformance_probability(1.0, 0.0, Tolerance(high=1.0)),
        lambda: judge(1.0, 1.0, Tolerance(low=0.0, high=1.0), rule=Rule.GUARD_BAND),
        lambda: capability([1.0], 0.1, Tolerance(high=2.0)),
        lambda: capability([1.0, 1.0], 0.1, Tolerance(high=2.0)),
        lambda: guard_band(1.0, risk=0.7),
    ):
        with pytest.raises(DomainError):
            call()
