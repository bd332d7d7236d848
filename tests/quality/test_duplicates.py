from __future__ import annotations

import pytest

from xrfree.errors import DomainError
from xrfree.quality.duplicates import (
    LinearPrecision,
    accept,
    allowed_relative_deviation,
    between_laboratories,
    c_test,
    critical_difference,
    half_even,
    relative_deviation,
)

# ISO 2598-2 (silicon in iron ore), in %: r = 0.0209 X + 0.0148, sigma_r = 0.0074 X + 0.0052,
# sigma_L = 0.0078 X + 0.0417.
SILICON_R = LinearPrecision(slope=0.0209, intercept=0.0148)
FIXED = LinearPrecision(slope=0.0, intercept=1.0)


@pytest.mark.parametrize(
    ("results", "value", "last"),
    [
        ((10.0, 11.0), 10.5, "mean of 2"),
        ((10.0, 11.1), None, "measure a third time"),
        ((10.0, 11.1, 11.2), 32.3 / 3, "mean of 3"),
        ((10.0, 11.1, 11.3), None, "measure a fourth time"),
        ((10.0, 11.1, 11.3, 11.25), 43.65 / 4, "mean of 4"),
        ((10.0, 11.1, 11.4, 11.2), 11.15, "median of 4"),
    ],
)
def test_the_flow_of_the_iron_ore_standards(results, value, last):
    found = accept(results, FIXED)
    assert found.value == (None if value is None else pytest.approx(value))
    assert found.path[-1] == last
    assert found.needs == (1 if value is None else 0)


def test_repeatability_rises_with_the_content():
    assert SILICON_R.at(5.0) == pytest.approx(0.1193)
    assert accept((5.0, 5.11), SILICON_R).value == pytest.approx(5.055)
    assert accept((5.0, 5.13), SILICON_R).value is None
    assert accept((0.5, 0.53), SILICON_R).needs == 1


def test_later_results_do_not_change_an_accepted_pair():
    found = accept((10.0, 10.5, 99.0), FIXED)
    assert found.value == pytest.approx(10.25)
    assert found.used == (10.0, 10.5)
    assert "1 later results not used" in found.path[-1]


def test_c_test():
    sigma_r, sigma_l = 0.0074 * 5 + 0.0052, 0.0078 * 5 + 0.0417
    expected = 2.0 * (sigma_l**2 + sigma_r**2 / 2 + 0.01**2) ** 0.5
    inside = c_test(
        found=5.15, reference=5.0, sigma_laboratories=sigma_l, sigma_repeat=sigma_r, n=2, variance_reference=1e-4
    )
    assert inside.critical == pytest.approx(expected)
    assert inside.passed
    assert not c_test(
        found=5.2, reference=5.0, sigma_laboratories=sigma_l, sigma_repeat=sigma_r, n=2, variance_reference=1e-4
    ).passed


@pytest.mark.parametrize(
    ("content", "percent", "digits"), [(0.10, 3.1, 1), (0.01, 6.7, 1), (0.001, 11.6, 1), (0.0001, 18.0, 1)]
)
def test_dz_t_0130_limits(content, percent, digits):
    # DZ/T 0130.3-2006: values of the curve at 10, 1, 0.1 and 0.01 %.
    assert round(100 * allowed_relative_deviation(content), digits) == percent


def test_relative_deviation_is_of_the_mean():
    assert relative_deviation(0.9, 1.1) == pytest.approx(0.1)
    with pytest.raises(DomainError):
        relative_deviation(-1.0, 0.5)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.125, 2, "0.12"), (0.135, 2, "0.14"), (2.5, 0, "2"), (3.5, 0, "4"), (-0.125, 2, "-0.12"), (1.005, 2, "1.00")],
)
def test_half_to_even(value, decimals, text):
    assert str(half_even(value, decimals)) == text


def test_between_laboratories():
    limit = LinearPrecision(slope=0.1, intercept=0.0)
    assert between_laboratories(9.5, 10.5, limit)
    assert not between_laboratories(9.4, 10.6, limit)
    # With one result each the critical difference is R itself (ISO 5725-6, 5.3.2.1).
    assert critical_difference(repeatability=0.3, reproducibility=1.0, n_first=1, n_second=1) == pytest.approx(1.0)
    assert critical_difference(repeatability=0.3, reproducibility=1.0, n_first=9, n_second=9) < 1.0


def test_rubbish_is_refused():
    for call in (
        lambda: accept((1.0,), FIXED),
        lambda: accept((1.0, float("nan")), FIXED),
        lambda: accept((1.0,) * 5, FIXED),
        lambda: LinearPrecision(slope=0.0, intercept=0.0),
        lambda: LinearPrecision(slope=-0.1, intercept=1.0),
        lambda: allowed_relative_deviation(0.0),
        lambda: critical_difference(repeatability=2.0, reproducibility=1.0, n_first=9, n_second=9),
    ):
        with pytest.raises(DomainError):
            call()
