"""What a specimen consists of: mass fractions of elements, and the oxides people report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import atomic_number, parse_formula
from xrfree.errors import DomainError
from xrfree.shown import Shown

USUAL_OXIDES = {
    "Li": "Li2O", "Be": "BeO", "B": "B2O3", "C": "CO2", "Na": "Na2O", "Mg": "MgO", "Al": "Al2O3",
    "Si": "SiO2", "P": "P2O5", "S": "SO3", "K": "K2O", "Ca": "CaO", "Sc": "Sc2O3", "Ti": "TiO2",
    "V": "V2O5", "Cr": "Cr2O3", "Mn": "MnO2", "Fe": "Fe2O3", "Co": "CoO", "Ni": "NiO", "Cu": "CuO",
    "Zn": "ZnO", "Ga": "Ga2O3", "Ge": "GeO2", "As": "As2O3", "Rb": "Rb2O", "Sr": "SrO", "Y": "Y2O3",
    "Zr": "ZrO2", "Nb": "Nb2O5", "Mo": "MoO3", "Sn": "SnO2", "Sb": "Sb2O3", "Cs": "Cs2O", "Ba": "BaO",
    "La": "La2O3", "Ce": "CeO2", "Pr": "Pr6O11", "Nd": "Nd2O3", "Sm": "Sm2O3", "Eu": "Eu2O3",
    "Gd": "Gd2O3", "Tb": "Tb4O7", "Dy": "Dy2O3", "Ho": "Ho2O3", "Er": "Er2O3", "Tm": "Tm2O3",
    "Yb": "Yb2O3", "Lu": "Lu2O3", "Hf": "HfO2", "Ta": "Ta2O5", "W": "WO3", "Pb": "PbO", "Bi": "Bi2O3",
    "Th": "ThO2", "U": "U3O8",
}  # fmt: skip
"""Oxide in which the content of an element is usually stated."""


def element_fraction(oxide: str, element: str) -> float:
    """Mass fraction of `element` in `oxide`, kg/kg (0.85269 for La in La2O3).

    Raises DomainError for an oxide that does not contain the element.
    """
    fractions = parse_formula(oxide)
    if element not in fractions:
        raise DomainError(f"{oxide} does not contain {element}")
    return fractions[element]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composition(Shown):
    """Mass fractions (kg/kg) of elements.

    elements : symbols, without repetition.
    mass_fraction : shape (n,), finite; small negative estimates near zero are legal.
    """

    elements: tuple[str, ...]
    mass_fraction: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check symbols, lengths and numbers; freeze the array."""
        for element in self.elements:
            atomic_number(element)
        if len(set(self.elements)) != len(self.elements):
            raise DomainError(f"a composition names each element once, got {', '.join(self.elements)}")
        fractions = np.array(self.mass_fraction, dtype=np.float64)
        if fractions.shape != (len(self.elements),):
            raise DomainError(
                f"a composition of {len(self.elements)} elements needs as many mass fractions, got {fractions.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(fractions) | (np.abs(fractions) > 1.5))
        if bad.size:
            raise DomainError(
                f"mass fraction of {self.elements[bad[0]]} is {fractions[bad[0]]}, expected kg/kg between 0 and 1"
            )
        fractions.setflags(write=False)
        object.__setattr__(self, "mass_fraction", fractions)

    @classmethod
    def of(cls, contents: Mapping[str, float]) -> Composition:
        """Composition from a mapping of formula to mass fraction; oxides are taken apart.

        w(element) = Σ_formulas w(formula) f(element in formula)

        contents : kg/kg by formula or element.
        """
        total: dict[str, float] = {}
        for formula, content in contents.items():
            for element, fraction in parse_formula(formula).items():
                total[element] = total.get(element, 0.0) + content * fraction
        return cls(elements=tuple(total), mass_fraction=np.array(list(total.values())))

    def __getitem__(self, element: str) -> float:
        """Mass fraction of one element; 0 where it is not named."""
        return float(self.mass_fraction[self.elements.index(element)]) if element in self.elements else 0.0

    @property
    def total(self) -> float:
        """Sum of the mass fractions."""
        return float(self.mass_fraction.sum())

    def normalised(self) -> Composition:
        """The same proportions with sum 1.

        Raises DomainError where the sum is not above 0.
        """
        if self.total <= 0.0:
            raise DomainError(f"mass fractions sum to {self.total}, cannot be normalised")
        return Composition(elements=self.elements, mass_fraction=self.mass_fraction / self.total)

    def as_oxides(self) -> dict[str, float]:
        """Mass fractions of the usual oxides: w(oxide) = w(element) / f(element in oxide)."""
        return {
            USUAL_OXIDES[element]: float(w) / element_fraction(USUAL_OXIDES[element], element)
            for element, w in zip(self.elements, self.mass_fraction, strict=True)
            if element in USUAL_OXIDES
        }
