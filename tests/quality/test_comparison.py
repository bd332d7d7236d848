from __future__ import annotations

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.comparison import bland_altman, deming, interference, linearity

# J. M. Bland, D. G. Altman, Lancet i (1986) 307: peak flow (l/min), first readings by the large and the mini meter.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
# K. Pearson, Phil. Mag. 2 (1901) 559.
PEARSON_X = [0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4]
PEARSON_Y = [5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5]


def test_bland_and_altmans_own_example():
    found = bland_altman(LARGE, MINI)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.standard_deviation == pytest.approx(38.8, abs=0.05)
    # The paper takes 2 s for 1.96 s: -79.7 and 75.5.
    low, high = found.limits
    assert low == pytest.approx(-2.1 - 1.96 * 38.8, abs=0.1)
    assert high == pytest.approx(-2.1 + 1.96 * 38.8, abs=0.1)
    # The paper's confidence interval of the bias: -22.0 to 17.8.
    np.testing.assert_allclose(found.bias_interval, (-22.0, 17.8), atol=0.1)


def test_pearsons_line_of_closest_fit():
    # Pearson's own result for his data: y = 5.784 - 0.546 x.
    found = deming(PEARSON_X, PEARSON_Y)
    assert found.slope == pytest.approx(-0.546, abs=5e-4)
    assert found.intercept == pytest.approx(5.784, abs=5e-4)


def test_errors_in_both_leave_the_slope_unbiased():
    generator = np.random.default_rng(11)
    true = generator.uniform(0.0, 10.0, 4000)
    x, y = true + generator.normal(0, 1.0, 4000), 0.5 + 1.2 * true + generator.normal(0, 2.0, 4000)
    found = deming(x, y, variance_ratio=4.0)
    assert abs(found.slope - 1.2) < 4 * found.u_slope
    assert abs(found.intercept - 0.5) < 4 * found.u_intercept
    ordinary = np.polyfit(x, y, 1)[0]
    assert ordinary < 1.2 - 4 * found.u_slope  # what it would cost to ignore the errors of x


def test_swapping_the_methods_inverts_the_line():
    there, back = deming(PEARSON_X, PEARSON_Y, variance_ratio=2.0), deming(PEARSON_Y, PEARSON_X, variance_ratio=0.5)
    assert back.slope == pytest.approx(1.0 / there.slope)


def test_equal_methods_have_no_significant_line():
    generator = np.random.default_rng(12)
    x = generator.uniform(1.0, 5.0, 60)
    found = deming(x + generator.normal(0, 0.1, 60), x + generator.normal(0, 0.1, 60))
    slope, intercept = found.identity_probability()
    assert slope > 1e-3
    assert intercept > 1e-3


def test_linearity_tells_a_curve_from_a_line():
    generator = np.random.default_rng(13)
    x = np.linspace(0.001, 0.05, 25)
    u = np.full(25, 2e-4)
    noise = generator.normal(0.0, 2e-4, 25)
    straight = linearity(x, x + noise, u)
    curved = linearity(x, x + 2.0 * x * x + noise, u)
    assert straight.curvature_probability > 1e-3
    assert curved.curvature_probability < 1e-6
    assert abs(straight.line.slope - 1.0) < 4 * straight.line.u_slope
    assert (straight.low, straight.high) == (0.001, 0.05)


def test_interference_counts_replicas_above_the_decision_limit():
    generator = np.random.default_rng(14)
    clean = generator.normal(0.0, 1.0, 200)
    limits = np.full(200, 2.5)
    found = interference(clean, limits, interferent_content=0.02)
    assert found.passed
    assert found.most_exceeding == 10
    assert abs(found.effect) < 4 * found.u_effect
    disturbed = interference(clean + 2.0, limits, interferent_content=0.02)
    assert not disturbed.passed
    assert disturbed.per_content == pytest.approx((disturbed.effect) / 0.02)


def test_rubbish_is_refused():
    for call in (
        lambda: bland_altman([1.0], [1.0]),
        lambda: deming([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        lambda: deming([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]),
        lambda: deming(PEARSON_X, PEARSON_Y, variance_ratio=0.0),
        lambda: linearity([1.0] * 6, [1.0] * 6, [0.1] * 6),
        lambda: linearity(np.arange(6.0), np.arange(6.0), np.zeros(6)),
        lambda: interference([1.0, 2.0], [1.0, 2.0], interferent_content=0.0),
    ):
        with pytest.raises(DomainError):
            call()
