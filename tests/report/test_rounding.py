from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.report.rounding import MINUS, DisplayUnit, display_unit, rounded, rounded_alone

PERCENT, MG_KG = DisplayUnit.MASS_PERCENT, DisplayUnit.MILLIGRAM_PER_KILOGRAM


@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [
        (1.23456, 0.0123, ("1.235", "0.012")),
        (1.2, 0.0125, ("1.200", "0.012")),  # half to even
        (1.2, 0.0135, ("1.200", "0.014")),  # half to even
        (0.125, 0.10, ("0.12", "0.10")),  # half to even, in the value
        (0.135, 0.10, ("0.14", "0.10")),
        (2.5, 10.0, ("2", "10")),
        (3.5, 10.0, ("4", "10")),
        (5.0, 0.0996, ("5.00", "0.10")),  # a digit is gained by rounding and dropped again
        (5.0, 0.995, ("5.0", "1.0")),
        (1234.0, 123.0, ("1230", "120")),
        (123456.0, 9999.0, ("123000", "10000")),
        (-0.0123, 0.004, (f"{MINUS}0.0123", "0.0040")),
        (-0.00001, 0.1, ("0.00", "0.10")),  # no negative zero
        (1.0e-12, 3.21e-13, ("0.00000000000100", "0.00000000000032")),
        (0.1234567, 0.0, ("0.123457", "0")),
        (0.1234567, math.nan, ("0.123457", "–")),
        (math.nan, 1.0, ("–", "–")),
    ],
)
def test_value_is_rounded_to_two_digits_of_its_uncertainty(value, uncertainty, expected):
    assert rounded(value, uncertainty) == expected


def test_units_are_exact_decimal_factors():
    assert rounded(0.0123456, 0.00025, PERCENT) == ("1.235", "0.025")
    assert rounded(0.000123456, 0.0000025, MG_KG) == ("123.5", "2.5")


@pytest.mark.parametrize(
    ("contents", "unit"),
    [([0.001], PERCENT), ([0.00099], MG_KG), ([-0.5], PERCENT), ([1e-5, 0.01], PERCENT), ([], MG_KG)],
)
def test_one_unit_serves_all_values_of_a_column(contents, unit):
    assert display_unit(contents) is unit


def test_limits_have_two_significant_digits():
    assert rounded_alone(0.0000235, MG_KG) == "24"
    assert rounded_alone(0.0) == "0"
    assert rounded_alone(math.inf) == "–"


@given(st.floats(-1.0, 1.0), st.floats(1e-9, 1.0))
def test_rounding_moves_a_value_by_half_a_digit_at_most(value, uncertainty):
    shown, u = (Decimal(text.replace(MINUS, "-")) for text in rounded(value, uncertainty))
    digit = Decimal(1).scaleb(int(u.as_tuple().exponent))
    assert abs(shown - Decimal(repr(value))) <= max(digit, u / 10) / 2
    assert abs(u - Decimal(repr(uncertainty))) <= Decimal(repr(uncertainty)) * Decimal("0.051")
