from __future__ import annotations

import numpy as np
import pytest

from xrfree.errors import DomainError
from xrfree.quality.propagation import (
    checked_covariance,
    effective_degrees_of_freedom,
    from_draws,
    monte_carlo,
    propagate,
)

# GUM H.2, table H.2: five simultaneous observations of voltage (V), current (mA) and phase (rad).
H2_OBSERVED = np.array(
    [
        [5.007, 19.663, 1.0456],
        [4.994, 19.639, 1.0438],
        [5.005, 19.640, 1.0468],
        [4.990, 19.685, 1.0428],
        [4.999, 19.678, 1.0433],
    ]
)
H2_FOUND, H2_U = (127.732, 219.847, 254.260), (0.071, 0.295, 0.236)
H2_CORRELATION = {(0, 1): -0.588, (0, 2): -0.485, (1, 2): 0.993}


def impedance(inputs: np.ndarray) -> np.ndarray:
    voltage, current, phase = inputs[..., 0], inputs[..., 1] * 1e-3, inputs[..., 2]
    z = voltage / current
    return np.stack([z * np.cos(phase), z * np.sin(phase), z], axis=-1)


def h2_inputs() -> tuple[np.ndarray, np.ndarray]:
    return H2_OBSERVED.mean(axis=0), np.cov(H2_OBSERVED, rowvar=False) / len(H2_OBSERVED)


def test_gum_h2_correlated_inputs_and_outputs():
    found = propagate(impedance, *h2_inputs())
    np.testing.assert_allclose(found.value, H2_FOUND, atol=1e-3)
    np.testing.assert_allclose(found.standard_uncertainty, H2_U, atol=1e-3)
    u = found.standard_uncertainty
    for (i, j), r in H2_CORRELATION.items():
        assert found.covariance[i, j] / (u[i] * u[j]) == pytest.approx(r, abs=1e-3)


def test_monte_carlo_agrees_with_derivatives():
    drawn = monte_carlo(impedance, *h2_inputs(), trials=200_000, seed=3)
    exact = propagate(impedance, *h2_inputs())
    # Standard deviation of u from 200 000 draws: 0.16 %; four of them.
    np.testing.assert_allclose(drawn.standard_uncertainty, exact.standard_uncertainty, rtol=0.0064)
    np.testing.assert_allclose(drawn.low, exact.value - 1.96 * exact.standard_uncertainty, atol=0.01)


def test_gum_h1_end_gauge():
    # GUM H.1, table H.1: standard uncertainties in nm of the standard's calibration, the difference of lengths,
    # the difference of expansion coefficients and of temperatures; 18, 25.6, 50 and 2 degrees of freedom.
    u = np.array([25.0, 9.7, 2.9, 16.6])
    assert np.sqrt(np.sum(u**2)) == pytest.approx(32.0, abs=0.5)
    assert effective_degrees_of_freedom(u, [18, 25.6, 50, 2]) == pytest.approx(16.7, abs=0.1)


def test_supplement_1_sum_of_four_rectangular_distributions():
    # JCGM 101:2008, 9.2.3 and table 3: four rectangular inputs of mean 0 and u = 1 give u(y) = 2.00 and the 95 %
    # interval [-3.88, 3.88], narrower than the normal one of +-3.92.
    draws = np.random.default_rng(5).uniform(-np.sqrt(3.0), np.sqrt(3.0), size=(1_000_000, 4)).sum(axis=1)
    found = from_draws(draws)
    assert found.standard_uncertainty[0] == pytest.approx(2.00, abs=0.01)
    assert found.low[0] == pytest.approx(-3.88, abs=0.01)
    assert found.high[0] == pytest.approx(3.88, abs=0.01)


def test_covariance_without_full_rank_can_be_drawn_from():
    drawn = monte_carlo(lambda x: x[..., 0] - x[..., 1], [1.0, 1.0], np.ones((2, 2)), trials=1000)
    assert drawn.standard_uncertainty[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "matrix", [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]], [[1.0]], [[np.nan, 0], [0, 1.0]]]
)
def test_what_is_no_covariance_is_refused(matrix):
    with pytest.raises(DomainError):
        checked_covariance(matrix, 2)


def test_models_that_are_not_defined_everywhere_are_refused():
    with pytest.raises(DomainError, match="not defined"), np.errstate(invalid="ignore"):
        monte_carlo(lambda x: np.sqrt(x), [0.1], [[1.0]], trials=1000)
    with pytest.raises(DomainError, match="1000"):
        monte_carlo(lambda x: x, [0.1], [[1.0]], trials=10)
