"""Layers that photons cross, as documents write them: by thickness, by length of gas, or by mass per area."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import model_validator

from xrfree.atomic import _tables, atomic_number, parse_formula
from xrfree.documents._base import Document
from xrfree.documents._parts import Formula, NotNegative, Positive, exact_in_unit, exactly_one, refused
from xrfree.errors import DomainError
from xrfree.instrument import Absorber

UM_PER_CM = 1e4
_WRITTEN_DIGITS = 6
"""A thickness of more digits than this was not what a person meant; mass per area is written instead."""


class Gas(NamedTuple):
    """Density (g/cm³) of a gas at 20 °C and 101.325 kPa, and mass fractions (kg/kg) of its elements."""

    density_g_cm3: float
    mass_fraction: Mapping[str, float]


GASES: Mapping[str, Gas] = MappingProxyType(
    {
        "air": Gas(1.205e-3, MappingProxyType({"N": 0.755, "O": 0.232, "Ar": 0.013})),
        "helium": Gas(1.66e-4, MappingProxyType({"He": 1.0})),
    }
)
"""Dry air without its traces. Source: NIST, X-ray mass attenuation coefficients, tables 1 and 2."""


class _Amount(Document):
    """How much of a layer there is."""

    thickness_um: NotNegative | None = None
    density_g_cm3: Positive | None = None
    areal_density_g_cm2: NotNegative | None = None

    def check(self, formula: str) -> None:
        """Refuse what does not say the mass per area, or says it twice."""
        exactly_one(self, "thickness_um", "areal_density_g_cm2")
        if self.thickness_um is None:
            if self.density_g_cm3 is not None:
                raise refused("a layer given by its mass per area has no use for density_g_cm3")
        elif self.density_g_cm3 is None and element_density_g_cm3(formula) is None:
            raise refused(f"the thickness of a layer of {formula} needs its density_g_cm3 beside it")

    def absorber(self, formula: str) -> Absorber:
        """Layer of this much of `formula`."""
        mass = self.areal_density_g_cm2
        if mass is None:
            density = self.density_g_cm3 or element_density_g_cm3(formula) or 0.0
            mass = areal_density_g_cm2(thickness_um=self.thickness_um or 0.0, density_g_cm3=density)
        return Absorber(formula=formula, areal_density_g_cm2=mass)


class LayerDocument(_Amount):
    """A layer: formula, and either its thickness or its mass per area.

    The density of an element needs not be given; that of a compound does, beside a thickness.
    """

    formula: Formula

    @model_validator(mode="after")
    def _complete(self) -> LayerDocument:
        self.check(self.formula)
        return self


class PathLayerDocument(_Amount):
    """A length of gas, or a layer, in the beam's path."""

    gas: Literal["air", "helium"] | None = None
    length_cm: NotNegative | None = None
    formula: Formula | None = None

    @model_validator(mode="after")
    def _complete(self) -> PathLayerDocument:
        exactly_one(self, "gas", "formula")
        if self.formula is None:
            given = {key for key in type(self).model_fields if getattr(self, key) is not None}
            if given != {"gas", "length_cm"}:
                raise refused("a gas is given by the keys gas and length_cm")
        else:
            if self.length_cm is not None:
                raise refused("length_cm is for a gas; give a layer its thickness_um")
            self.check(self.formula)
        return self


def element_density_g_cm3(formula: str) -> float | None:
    """Density (g/cm³) of a pure element; None for a compound, whose density no table knows."""
    elements = list(parse_formula(formula))
    return _tables.density_g_cm3(atomic_number(elements[0])) if len(elements) == 1 else None


def areal_density_g_cm2(*, thickness_um: float, density_g_cm3: float) -> float:
    """Mass per area of a layer: thickness times density."""
    return thickness_um / UM_PER_CM * density_g_cm3


def absorber(document: LayerDocument) -> Absorber:
    """The layer that a document describes."""
    return document.absorber(document.formula)


def layer_of_text(text: str) -> Absorber:
    """Layer of an element written as symbol and micrometres, "Ag:50"."""
    formula, _, thickness = text.strip().partition(":")
    density = element_density_g_cm3(formula)
    if density is None:
        raise DomainError(
            f"filter '{text}': '{formula}' is not an element; write symbol and micrometres, such as Ag:50"
        )
    try:
        thickness_um = float(thickness)
    except ValueError:
        raise DomainError(f"filter '{text}' has no thickness; write symbol and micrometres, such as Ag:50") from None
    mass = areal_density_g_cm2(thickness_um=thickness_um, density_g_cm3=density)
    return Absorber(formula=formula, areal_density_g_cm2=mass)


def path_absorbers(document: PathLayerDocument) -> tuple[Absorber, ...]:
    """The layers that an entry of a path stands for: one per element of a gas."""
    if document.formula is not None:
        return (document.absorber(document.formula),)
    gas = GASES[document.gas or ""]
    mass = (document.length_cm or 0.0) * gas.density_g_cm3
    return tuple(
        Absorber(formula=element, areal_density_g_cm2=mass * fraction)
        for element, fraction in gas.mass_fraction.items()
    )


def absorber_data(layer: Absorber) -> dict[str, Any]:
    """Plain data of a layer: an element's thickness if that is a round number, its mass per area if not."""
    density, mass = element_density_g_cm3(layer.formula), float(layer.areal_density_g_cm2)
    if density is not None and isfinite(mass / density * UM_PER_CM):
        thickness = exact_in_unit(
            mass,
            mass / density * UM_PER_CM,
            lambda um: areal_density_g_cm2(thickness_um=um, density_g_cm3=density),
            digits=_WRITTEN_DIGITS,
        )
        if thickness is not None:
            return {"formula": layer.formula, "thickness_um": thickness}
    return {"formula": layer.formula, "areal_density_g_cm2": mass}
