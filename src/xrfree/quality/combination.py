"""Quantities made of several results: sums as elements or oxides ("La2O3 + CeO2"), ratios ("La / Nd").

    q = Σ a_i w_i / Σ b_i w_i,   u²(q) = gᵀ U g,  g = (a - q b) / Σ b_i w_i

U is the full covariance of the results, so that what analytes have in common (a dilution, a drift) adds in a sum and
cancels in a ratio. Validation: tests/quality/test_combination.py, against Monte Carlo.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import atomic_number, parse_formula
from xrfree.composition import USUAL_OXIDES, element_fraction
from xrfree.errors import DomainError
from xrfree.quality.propagation import checked_covariance

FloatArray = NDArray[np.float64]

TOTAL_OXIDES = "REO"
"""Stands for the sum of the usual oxides of all lanthanoids among the results."""
_LANTHANOIDS = frozenset(range(57, 72))
_TERM = re.compile(r"[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A sum, or a ratio of two sums, of elements and oxides; denominator empty for a sum."""

    text: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()

    @property
    def is_ratio(self) -> bool:
        """Whether it is a ratio, that has no unit."""
        return bool(self.denominator)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combined:
    """Value and standard uncertainty; parts : g_i u_i of each component, which add with their correlations."""

    value: float
    standard_uncertainty: float
    parts: FloatArray


def parse_combination(text: str) -> Combination:
    """Combination of a text like "La2O3+CeO2", "REO" or "La/Nd"; DomainError for anything else."""
    sides = [side.split("+") for side in text.replace(" ", "").split("/")]
    terms = [term for side in sides for term in side]
    if len(sides) > 2 or not all(_TERM.fullmatch(term) for term in terms):
        raise DomainError(f"'{text}' is no sum or ratio of results; write La2O3+CeO2, REO, or La/Nd")
    for term in terms:
        if term != TOTAL_OXIDES:
            parse_formula(term)
    return Combination(text=text, numerator=tuple(sides[0]), denominator=tuple(sides[1]) if len(sides) > 1 else ())


def weights(terms: Sequence[str], components: Sequence[str]) -> FloatArray:
    """Weights a_i of Σ a_i w_i for element contents w_i: 1 for an element, 1/f(element in oxide) for an oxide.

    Raises DomainError for a term that is no result, or a formula with several elements besides oxygen.

    The weights have the shape (n_components,).
    """
    found = np.zeros(len(components))
    for term in terms:
        if term == TOTAL_OXIDES:
            rare = [e for e in components if atomic_number(e) in _LANTHANOIDS]
            found += weights([USUAL_OXIDES[e] for e in rare], components)
            continue
        elements = [e for e in parse_formula(term) if e != "O" or term == "O"]
        if len(elements) != 1 or elements[0] not in components:
            raise DomainError(f"there is no result for '{term}'; there are results for {', '.join(components)}")
        found[list(components).index(elements[0])] += 1.0 / element_fraction(term, elements[0])
    return found


def combine(
    combination: Combination, components: Sequence[str], mass_fraction: FloatArray, covariance: FloatArray
) -> Combined:
    """Value and standard uncertainty of a combination of correlated results.

    mass_fraction : of the components, kg/kg, shape (n,); covariance : of these, shape (n, n).

    Raises DomainError where a component was not assayed, or the denominator is not above 0.
    """
    matrix = checked_covariance(covariance, len(components))
    a = weights(combination.numerator, components)
    top, bottom, b = float(a @ mass_fraction), 1.0, np.zeros_like(a)
    if combination.is_ratio:
        b = weights(combination.denominator, components)
        bottom = float(b @ mass_fraction)
        if bottom <= 0.0:
            raise DomainError(f"'{combination.text}' divides by {bottom:.3g}, which is not above 0")
    gradient = (a - top / bottom * b) / bottom
    variance = float(gradient @ matrix @ gradient)
    return Combined(
        value=top / bottom,
        standard_uncertainty=float(np.sqrt(max(variance, 0.0))),
        parts=gradient * np.sqrt(np.maximum(np.diag(matrix), 0.0)),
    )
