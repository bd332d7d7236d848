"""Numbers for people: value and uncertainty rounded together, mass fractions in % or mg/kg.

Nothing here is ever read back: machine-readable results keep all their digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum

SIGNIFICANT_DIGITS = 2
"""Of an uncertainty (GUM 7.2.6)."""
SMALLEST_IN_PERCENT = 0.001
"""Mass fractions from here on (kg/kg) are shown in %, smaller ones in mg/kg."""
MINUS = "\N{MINUS SIGN}"


class DisplayUnit(Enum):
    """A unit in which mass fractions are shown: its sign, and how many of it make 1 kg/kg."""

    MASS_PERCENT = ("%", Decimal(100))
    MILLIGRAM_PER_KILOGRAM = ("mg/kg", Decimal(1_000_000))

    @property
    def sign(self) -> str:
        """How the unit is written."""
        return self.value[0]

    @property
    def factor(self) -> Decimal:
        """How many of it make 1 kg/kg."""
        return self.value[1]


def display_unit(mass_fractions: Iterable[float]) -> DisplayUnit:
    """Unit in which these mass fractions (kg/kg) are shown together."""
    largest = max((abs(w) for w in mass_fractions), default=0.0)
    return DisplayUnit.MASS_PERCENT if largest >= SMALLEST_IN_PERCENT else DisplayUnit.MILLIGRAM_PER_KILOGRAM


def rounded(value: float, uncertainty: float, unit: DisplayUnit | None = None) -> tuple[str, str]:
    """Uncertainty to two significant digits, value to the same place, half to even: (value, uncertainty).

    unit : None leaves the numbers as they are; else both are mass fractions in kg/kg, shown in `unit`.

    An uncertainty of 0 or none (NaN, infinite) rounds nothing: the value gets six significant digits.
    """
    if not math.isfinite(value):
        return "–", "–"
    scale = Decimal(1) if unit is None else unit.factor
    number = _decimal(value) * scale
    if not math.isfinite(uncertainty) or uncertainty <= 0.0:
        return _text(_to_digits(number, 6)), "–" if uncertainty != 0.0 else "0"
    u = _to_digits(_decimal(uncertainty) * scale, SIGNIFICANT_DIGITS)
    return _text(number.quantize(_place(u), rounding=ROUND_HALF_EVEN)), _text(u)


def rounded_alone(value: float, unit: DisplayUnit | None = None) -> str:
    """A number that is itself an uncertainty or a limit: two significant digits."""
    if not math.isfinite(value):
        return "–"
    scale = Decimal(1) if unit is None else unit.factor
    return _text(_to_digits(_decimal(value) * scale, SIGNIFICANT_DIGITS))


def _decimal(value: float) -> Decimal:
    """The number as it is printed: 0.125 is then really half-way between 0.12 and 0.13."""
    return Decimal(repr(float(value)))


def _to_digits(number: Decimal, digits: int) -> Decimal:
    if number == 0:
        return Decimal(0)
    once = number.quantize(Decimal(1).scaleb(number.adjusted() - digits + 1), rounding=ROUND_HALF_EVEN)
    # 0.0996 becomes 0.100: one digit too many, and the last is 0.
    return once.quantize(Decimal(1).scaleb(once.adjusted() - digits + 1), rounding=ROUND_HALF_EVEN)


def _place(number: Decimal) -> Decimal:
    return Decimal(1).scaleb(int(number.as_tuple().exponent))


def _text(number: Decimal) -> str:
    if number == 0:
        number = abs(number)
    return f"{number:f}".replace("-", MINUS)
