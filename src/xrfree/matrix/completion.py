"""The whole specimen from the contents of a few elements: what nobody measures follows from a declared rule.

Definition   each measured element stands for its compounds (oxides, carbonates, fluorides); ignition loss and flux are
             weighed; a remainder, a fixed sum or nothing closes the balance.
Validation   tests/matrix/test_completion.py: conservation of mass, worked compounds, what is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]


class Total(StrEnum):
    """What is known of the sum of all contents.

    REMAINDER : a compound that is not measured fills it to 1. NORMALISED : it is 1, and one scale common to all
    intensities is unknown. FREE : nothing; intensities are absolute, and the sum is a check of the result.
    """

    REMAINDER = "remainder"
    NORMALISED = "normalised"
    FREE = "free"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Masses of all elements in the measured specimen, per mass of sample, as an affine function of contents y.

    m(y) = fixed + table @ y;  REMAINDER adds remainder (mass - Σ m)

    measured : elements whose contents y (kg/kg of the sample) are the unknowns; elements : all of the specimen.
    table : shape (n_elements, n_measured); fixed, remainder : shape (n_elements,); remainder sums to 1 or is 0.
    mass : of the specimen per mass of sample: 1 for a powder, sample less loss plus flux for a bead.
    """

    measured: tuple[str, ...]
    elements: tuple[str, ...]
    table: FloatArray
    fixed: FloatArray
    remainder: FloatArray
    mass: float
    total: Total

    def masses(self, content: FloatArray) -> FloatArray:
        """Mass of each element per nominal mass of the specimen, shape (n_elements,); sums to 1 unless FREE."""
        m = self.fixed + self.table @ content
        if self.total is Total.REMAINDER:
            m = m + self.remainder * (self.mass - m.sum())
        return np.asarray(m / (m.sum() if self.total is Total.NORMALISED else self.mass))

    def mass_derivatives(self, content: FloatArray) -> FloatArray:
        """∂ `masses` / ∂y, shape (n_elements, n_measured)."""
        if self.total is Total.REMAINDER:
            return np.asarray((self.table - np.outer(self.remainder, self.table.sum(axis=0))) / self.mass)
        if self.total is Total.FREE:
            return self.table / self.mass
        whole = (self.fixed + self.table @ content).sum()
        return np.asarray((self.table - np.outer(self.masses(content), self.table.sum(axis=0))) / whole)


def completion(
    compounds: Mapping[str, str | Mapping[str, float]],
    *,
    total: Total,
    remainder: str | Mapping[str, float] = "",
    loss: Mapping[str, float] | None = None,
    flux: Mapping[str, float] | None = None,
    elements: Sequence[str] = (),
) -> Completion:
    """Declare a rule.

    compounds : measured element to its compound ("CeCO3F"), or to compounds and the share of the element's mass in each
        ({"Fe2O3": 0.8, "FeO": 0.2}).
    remainder : compound, or compounds and their mass shares, that fill the sum; for REMAINDER only.
    loss : formulas that ignition drives out and their masses per mass of dry sample. They are part of a powder, not of
        a bead; a gain is a negative mass of oxygen.
    flux : formulas and masses per mass of sample; given for beads only.
    elements : order of the elements of the specimen; at least those that the rule needs.

    Raises DomainError for compounds without their element, shares that do not sum to 1, or a missing remainder.
    """
    if (total is Total.REMAINDER) != bool(remainder):
        raise DomainError("a remainder is named exactly where it fills the sum (Total.REMAINDER)")
    columns = {element: _per_element(element, made_of) for element, made_of in compounds.items()}
    lost, melt = _masses(loss or {}), _masses(flux or {})
    rest = _shares(remainder) if remainder else {}
    needed = dict.fromkeys([*compounds, *(e for part in (*columns.values(), lost, melt, rest) for e in part)])
    order = tuple(elements) or tuple(needed)
    absent = [e for e in needed if e not in order]
    if absent:
        raise DomainError(f"the rule needs {', '.join(absent)}, which are not among the specimen's elements")
    fixed = melt if flux else lost
    mass = 1.0 - sum((loss or {}).values()) + sum((flux or {}).values()) if flux else 1.0
    if not mass > 0.0:
        raise DomainError(f"the specimen would have a mass of {mass} per mass of sample; check ignition loss and flux")
    return Completion(
        measured=tuple(compounds),
        elements=order,
        table=np.array([[column.get(e, 0.0) for column in columns.values()] for e in order]),
        fixed=np.array([fixed.get(e, 0.0) for e in order]),
        remainder=np.array([rest.get(e, 0.0) for e in order]),
        mass=mass,
        total=total,
    )


def _per_element(element: str, made_of: str | Mapping[str, float]) -> dict[str, float]:
    """Mass of every element that comes with one mass of `element`."""
    shares = {made_of: 1.0} if isinstance(made_of, str) else dict(made_of)
    if abs(sum(shares.values()) - 1.0) > 1e-9 or min(shares.values()) < 0.0:
        raise DomainError(f"shares of {element} in its compounds must be 0 or more and sum to 1, got {shares}")
    found: dict[str, float] = {}
    for formula, share in shares.items():
        parts = parse_formula(formula)
        if element not in parts:
            raise DomainError(f"{element} is to be bound as {formula}, which does not contain it")
        for other, fraction in parts.items():
            found[other] = found.get(other, 0.0) + share * fraction / parts[element]
    return found


def _masses(formulas: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for formula, mass in formulas.items():
        if not np.isfinite(mass):
            raise DomainError(f"mass of {formula} is {mass}, expected a number")
        for element, fraction in parse_formula(formula).items():
            found[element] = found.get(element, 0.0) + mass * fraction
    return found


def _shares(remainder: str | Mapping[str, float]) -> dict[str, float]:
    shares = {remainder: 1.0} if isinstance(remainder, str) else dict(remainder)
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        raise DomainError(f"mass shares of the remainder must sum to 1, got {shares}")
    return _masses(shares)
