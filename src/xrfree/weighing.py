"""Synthetic standards: from weighing records to mass fractions, with all that their errors have in common.

Definition   w_e = Σ_r m_r p_r f_er / Σ_r m_r with mass m, purity p, and mass fraction f of element e in the reagent's
             formula. Errors: every weighing by itself; the purity of a lot in all mixtures made of it (GUM, linear).
Validation   tests/test_weighing.py: finite differences, Monte Carlo, one reagent in two mixtures.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError
from xrfree.reference import Assignment, Basis, ErrorSource, ReferenceMaterial, ReferenceValue, ValueKind

COVERAGE_FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reagent:
    """A substance of known formula that mixtures are made of.

    name : of the substance; lot : its batch. Mixtures of the same name and lot share the error of the purity.
    purity : mass fraction of the formula in what is weighed, kg/kg, water and gas taken up included.
    purity_uncertainty : standard uncertainty of it, kg/kg.
    """

    name: str
    formula: str
    purity: float
    purity_uncertainty: float
    lot: str = ""

    def __post_init__(self) -> None:
        """Refuse formulas and purities that cannot be."""
        parse_formula(self.formula)
        if not 0.0 < self.purity <= 1.0:
            raise DomainError(f"{self.name}: purity is {self.purity}, expected kg/kg between 0 and 1 (99.9 % is 0.999)")
        if not 0.0 <= self.purity_uncertainty <= 0.5:
            raise DomainError(f"{self.name}: uncertainty of the purity is {self.purity_uncertainty} kg/kg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """One weighing record.

    mass_g : mass of each reagent by its name, g.
    balance_uncertainty_g : standard uncertainty of one mass, g.
    """

    name: str
    mass_g: Mapping[str, float]
    balance_uncertainty_g: float
    date: dt.date | None = None

    def __post_init__(self) -> None:
        """Refuse masses that cannot be, and freeze."""
        if not self.mass_g:
            raise DomainError(f"{self.name}: a mixture needs at least one mass")
        for reagent, mass in self.mass_g.items():
            if not (math.isfinite(mass) and mass > 0.0):
                raise DomainError(f"{self.name}: mass of {reagent} is {mass} g, expected a number above 0")
        if not (math.isfinite(self.balance_uncertainty_g) and self.balance_uncertainty_g >= 0.0):
            raise DomainError(f"{self.name}: uncertainty of a weighing is {self.balance_uncertainty_g} g")
        object.__setattr__(self, "mass_g", MappingProxyType(dict(self.mass_g)))


def weighed_material(mixture: Mixture, reagents: Sequence[Reagent], *, source: str = "") -> ReferenceMaterial:
    """Mass fractions of the elements of a mixture with the sources of their errors.

    dw_e = (p_r f_er - w_e) dm_r / M   and   dw_e = m_r f_er dp_r / M,   M total mass

    Oxygen and what the purities leave open get no value. Raises DomainError for a mass of an unknown reagent.
    """
    by_name = {reagent.name: reagent for reagent in reagents}
    unknown = [name for name in mixture.mass_g if name not in by_name]
    if unknown:
        known = ", ".join(by_name) or "none"
        raise DomainError(f"{mixture.name}: no reagent is called {', '.join(unknown)}; known: {known}")
    total = sum(mixture.mass_g.values())
    shares = {name: parse_formula(by_name[name].formula) for name in mixture.mass_g}
    elements = sorted({e for parts in shares.values() for e in parts} - {"O"})
    content = {
        e: sum(m * by_name[r].purity * shares[r].get(e, 0.0) for r, m in mixture.mass_g.items()) / total
        for e in elements
    }
    sources = [*_weighings(mixture, by_name, shares, content, total), *_purities(mixture, by_name, shares, total)]
    return ReferenceMaterial(
        name=mixture.name,
        values=tuple(_value(e, content[e], sources) for e in elements),
        matrix="synthetic mixture",
        date=mixture.date,
        source=source or "weighing record",
        error_sources=tuple(sources),
    )


_Parts = Mapping[str, Mapping[str, float]]


def _weighings(
    mixture: Mixture, reagents: Mapping[str, Reagent], shares: _Parts, content: Mapping[str, float], total: float
) -> list[ErrorSource]:
    u = mixture.balance_uncertainty_g
    return [
        ErrorSource(
            name=f"weighing of {name} for {mixture.name}",
            effect={e: (reagents[name].purity * parts.get(e, 0.0) - w) * u / total for e, w in content.items()},
        )
        for name, parts in shares.items()
        if u > 0.0
    ]


def _purities(mixture: Mixture, reagents: Mapping[str, Reagent], shares: _Parts, total: float) -> list[ErrorSource]:
    return [
        ErrorSource(
            name=f"purity of {name} {reagents[name].lot}".rstrip(),
            effect={
                e: mixture.mass_g[name] * f * reagents[name].purity_uncertainty / total
                for e, f in parts.items()
                if e != "O"
            },
        )
        for name, parts in shares.items()
        if reagents[name].purity_uncertainty > 0.0
    ]


def _value(element: str, content: float, sources: Sequence[ErrorSource]) -> ReferenceValue:
    u = math.sqrt(sum(source.effect.get(element, 0.0) ** 2 for source in sources))
    return ReferenceValue(
        component=element,
        mass_fraction=content,
        expanded_uncertainty=COVERAGE_FACTOR * u,
        coverage_factor=COVERAGE_FACTOR,
        kind=ValueKind.CERTIFIED,
        assigned_by=Assignment.WEIGHING,
        basis=Basis.DRY,
    )
