from __future__ import annotations

import math

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.limits import (
    counting_uncertainty,
    decision_limit,
    detection_limit,
    quantification_limit,
    quantification_limits,
)


@pytest.mark.parametrize("blank", [10.0, 100.0, 10_000.0])
def test_currie_paired_observations_of_counts(blank):
    # L. A. Currie, Anal. Chem. 40 (1968) 586, table II: L_C = 2.33 sqrt(B), L_D = 2.71 + 4.65 sqrt(B), for alpha = beta
    # = 0.05; L_Q = 50 (1 + sqrt(1 + B/12.5)). The net count of true value y has the variance y + 2 B.
    u = counting_uncertainty(2.0 * blank, 1.0)
    # The paper rounds its coefficients to three digits.
    assert decision_limit(u) == pytest.approx(2.33 * math.sqrt(blank), rel=3e-3)
    assert detection_limit(u) == pytest.approx(2.71 + 4.65 * math.sqrt(blank), rel=3e-3)
    assert quantification_limit(u) == pytest.approx(50.0 * (1.0 + math.sqrt(1.0 + blank / 12.5)), rel=1e-9)


def test_constant_uncertainty_doubles_the_decision_limit():
    u = counting_uncertainty(4.0, 0.0)
    assert detection_limit(u) == pytest.approx(2.0 * decision_limit(u))
    assert quantification_limit(u, relative_uncertainty=0.2) == pytest.approx(10.0)


def test_detection_fails_where_relative_uncertainty_is_too_large():
    # 1/1.645 = 0.61: beyond, no content is ever found above the decision limit in 95 % of cases.
    with pytest.raises(DomainError, match="never detected"):
        detection_limit(counting_uncertainty(1.0, 0.0, relative=0.7))
    with pytest.raises(DomainError, match="never has a relative uncertainty"):
        quantification_limit(counting_uncertainty(1.0, 0.0, relative=0.2), relative_uncertainty=0.1)


@pytest.mark.parametrize("risk", [0.0, 0.5, -1.0, float("nan")])
def test_risks_outside_their_range_are_refused(risk):
    with pytest.raises(DomainError, match="risk"):
        decision_limit(counting_uncertainty(1.0, 0.0), false_positive_risk=risk)


def test_an_uncertainty_of_zero_is_refused():
    with pytest.raises(DomainError, match="above 0"):
        decision_limit(counting_uncertainty(0.0, 1.0))


def test_many_quantification_limits_are_those_of_one_by_one() -> None:
    rows = [(4.0, 0.3, 0.02), (1e-9, 0.0, 0.05), (2.0, 1e3, 0.0)]
    found = quantification_limits(*(np.array(column) for column in zip(*rows, strict=True)))
    expected = [quantification_limit(counting_uncertainty(v, s, relative=r)) for v, s, r in rows]
    assert found == pytest.approx(expected, rel=1e-9)
    # Currie's: ten standard deviations of a blank where nothing else counts.
    assert quantification_limits(np.array(9.0), np.array(0.0), np.array(0.0)) == pytest.approx(30.0)
    assert np.isinf(quantification_limits(np.array([1.0]), np.array([1.0]), np.array([0.1])))
