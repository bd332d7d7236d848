"""Reference materials: what is known of them, how well, and by which method it was assigned.

How a value was assigned matters: open four-acid digestion leaves resistant minerals behind and reads rare
earths and niobium low, aqua regia is a partial leach altogether. Such values are refused unless they are
asked for.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError
from xrfree.shown import Shown

LOSS_ON_IGNITION = "LOI"

RARE_EARTHS = frozenset(["La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Y"])
"""Lanthanoids and yttrium."""

RESISTANT_ELEMENTS = RARE_EARTHS | {"Nb", "Ta", "Zr", "Hf", "Ti", "Th"}
"""Elements whose minerals (monazite, xenotime, pyrochlore, zircon, rutile) outlast a four-acid digestion.

OREAS 460, four-acid value over fusion value: Zr 0.46, Hf 0.52, Ti 0.61, Yb 0.68, Y 0.83, Ta 0.83
(producer's data pack).
"""


class ValueKind(StrEnum):
    """How far the producer vouches for a value."""

    CERTIFIED = "certified"
    INDICATIVE = "indicative"


class Assignment(StrEnum):
    """The method by which a value was assigned."""

    FUSION = "fusion"
    FUSION_ICP = "fusion ICP"
    FUSION_XRF = "fusion XRF"
    FOUR_ACID = "four-acid"
    AQUA_REGIA = "aqua regia"
    THERMOGRAVIMETRY = "thermogravimetry"
    COMBUSTION = "combustion"
    WEIGHING = "weighing"
    SEVERAL_METHODS = "several methods"
    OTHER = "other"
    NOT_STATED = "not stated"


class Basis(StrEnum):
    """The mass a mass fraction refers to.

    dry : the material (for a bead: the ore before fusion), dried as its certificate says.
    ignited : the material after loss on ignition.
    specimen : the specimen as the spectrometer sees it.
    """

    DRY = "dry"
    IGNITED = "ignited"
    SPECIMEN = "specimen"


def _require(condition: bool, component: str, complaint: str) -> None:
    if not condition:
        raise DomainError(f"{component}: {complaint}")


def _check_component(name: str) -> None:
    if name == LOSS_ON_IGNITION:
        return
    try:
        parse_formula(name)
    except DomainError as problem:
        raise DomainError(f"component '{name}' is neither an element, nor a formula, nor LOI") from problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValue:
    """The reference value of one component.

    component : element symbol, formula ("La2O3"), or "LOI", as the certificate writes it.
    mass_fraction : kg/kg; only LOI may be negative (gain on ignition).
    expanded_uncertainty : U, kg/kg, with its `coverage_factor` k.
    between_laboratory_sd : standard deviation of the laboratories' means, kg/kg.

    One of `expanded_uncertainty` and `between_laboratory_sd` must be given.
    """

    component: str
    mass_fraction: float
    expanded_uncertainty: float | None = None
    coverage_factor: float | None = None
    between_laboratory_sd: float | None = None
    kind: ValueKind = ValueKind.CERTIFIED
    assigned_by: Assignment = Assignment.NOT_STATED
    basis: Basis

    def __post_init__(self) -> None:
        """Refuse what cannot be a mass fraction or an uncertainty."""
        name = self.component
        _check_component(name)
        lowest = -1.0 if name == LOSS_ON_IGNITION else 0.0
        _require(
            lowest <= self.mass_fraction <= 1.0,
            name,
            f"mass fraction is {self.mass_fraction}, expected {lowest:g} to 1 kg/kg (divide % by 100)",
        )
        self._check_uncertainty()

    def _check_uncertainty(self) -> None:
        u, k, sd = self.expanded_uncertainty, self.coverage_factor, self.between_laboratory_sd
        name = self.component
        _require(
            u is not None or sd is not None,
            name,
            "has no uncertainty; give expanded_uncertainty with coverage_factor, or between_laboratory_sd",
        )
        _require((u is None) == (k is None), name, "expanded_uncertainty and coverage_factor belong together")
        _require(k is None or 1.0 <= k <= 20.0, name, f"coverage factor is {k}, expected 1 to 20")
        for label, value in (("expanded uncertainty", u), ("between-laboratory SD", sd)):
            _require(value is None or 0.0 <= value <= 1.0, name, f"{label} is {value}, expected 0 to 1 kg/kg")

    @property
    def standard_uncertainty(self) -> float:
        """Standard uncertainty u, kg/kg.

        u = U / k; where no U is stated, the between-laboratory standard deviation itself. That is
        conservative: the uncertainty of a mean over n laboratories is about √n times smaller, but n is not
        always known.
        """
        if self.expanded_uncertainty is not None and self.coverage_factor is not None:
            return self.expanded_uncertainty / self.coverage_factor
        return cast(float, self.between_laboratory_sd)  # one of the two is given: see __post_init__

    @property
    def elements(self) -> frozenset[str]:
        """Symbols in the formula; empty for LOI."""
        if self.component == LOSS_ON_IGNITION:
            return frozenset()
        return frozenset(parse_formula(self.component))

    @property
    def needs_force(self) -> bool:
        """Whether the digestion behind this value tends to leave part of the component undissolved."""
        if self.assigned_by is Assignment.FOUR_ACID:
            return not self.elements.isdisjoint(RESISTANT_ELEMENTS)
        return self.assigned_by is Assignment.AQUA_REGIA

    def as_element(self, symbol: str, fraction: float) -> ReferenceValue:
        """Value of one element of this component.

        w_element = w_component f, and the uncertainties alike

        Parameters
        ----------
        symbol : the element.
        fraction : f, mass fraction of the element in the component, kg/kg.
        """
        return replace(
            self,
            component=symbol,
            mass_fraction=self.mass_fraction * fraction,
            expanded_uncertainty=_scaled(self.expanded_uncertainty, fraction),
            between_laboratory_sd=_scaled(self.between_laboratory_sd, fraction),
        )


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSource:
    """One independent error that several values have in common: the purity of a reagent, one weighing.

    name : two materials that name the same source share its error.
    effect : by component, change of its mass fraction (kg/kg) by one standard uncertainty of the source.
    """

    name: str
    effect: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse effects that are no numbers, and freeze."""
        bad = [component for component, effect in self.effect.items() if not math.isfinite(effect)]
        _require(not bad, self.name, f"the effect on {', '.join(bad)} is not a number")
        object.__setattr__(self, "effect", MappingProxyType(dict(self.effect)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes."""
        return (_rebuild_source, (self.name, dict(self.effect)))


def _rebuild_source(name: str, effect: dict[str, float]) -> ErrorSource:
    return ErrorSource(name=name, effect=effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMaterial(Shown):
    """A material with reference values: certified, prepared by weighing, or a pure compound.

    certificate : its identification; date : its date of issue.
    source : where the values were taken from.
    error_sources : what the errors of the values are made of; empty: each value errs by itself.
    """

    name: str
    values: tuple[ReferenceValue, ...]
    matrix: str = ""
    certificate: str = ""
    date: dt.date | None = None
    source: str = ""
    error_sources: tuple[ErrorSource, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a material without name or values, or with two values for one component."""
        if not self.name.strip():
            raise DomainError("a reference material needs a name")
        if not self.values:
            raise DomainError(f"{self.name}: a reference material needs at least one value")
        twice = [c for c, n in Counter(v.component for v in self.values).items() if n > 1]
        if twice:
            raise DomainError(f"{self.name}: {', '.join(twice)} given more than once; keep one value of each")
        names = {v.component for v in self.values}
        strange = {c for source in self.error_sources for c in source.effect} - names
        if strange:
            raise DomainError(f"{self.name}: error sources name {', '.join(sorted(strange))}, which have no value")

    def __getitem__(self, component: str) -> ReferenceValue:
        """Value of a component as the certificate writes it; KeyError when there is none."""
        for value in self.values:
            if value.component == component:
                return value
        raise KeyError(f"{self.name} has no reference value for {component}")

    def usable_values(self, *, force_digestion: bool = False) -> tuple[ReferenceValue, ...]:
        """Values that may enter a calibration.

        Left out, unless `force_digestion`: four-acid values of `RESISTANT_ELEMENTS`, and all aqua regia
        values. `refused_values` lists them, so that a report can say so.
        """
        return tuple(v for v in self.values if force_digestion or not v.needs_force)

    def refused_values(self) -> tuple[ReferenceValue, ...]:
        """Values that `usable_values` leaves out by default."""
        return tuple(v for v in self.values if v.needs_force)

    def element_values(
        self,
        element_fraction_of: Callable[[str], Mapping[str, float]] = parse_formula,
        *,
        force_digestion: bool = False,
    ) -> dict[str, ReferenceValue]:
        """Usable values as elements: symbol -> ReferenceValue of that element.

        Oxygen of an oxide is left out, because it says nothing of the oxygen in the material; so is LOI. A
        value written for the element itself has precedence over one written for a compound of it.

        Parameters
        ----------
        element_fraction_of : formula -> {symbol: mass fraction in the compound, kg/kg}.
        force_digestion : see `usable_values`.

        Raises DomainError where two components give the same element.
        """
        usable = self.usable_values(force_digestion=force_digestion)
        direct = {v.component: v for v in usable if v.elements == {v.component}}
        compounds = [v for v in usable if v.component != LOSS_ON_IGNITION and v.component not in direct]
        converted = _elements_of(compounds, element_fraction_of)
        found: dict[str, ReferenceValue] = {}
        for symbol, value, written_as in converted:
            if symbol in direct:
                continue
            if symbol in found:
                raise DomainError(
                    f"{self.name}: {written_as} and another component both give {symbol}; keep one of them"
                )
            found[symbol] = value
        return direct | found


def error_effects(
    material: ReferenceMaterial, elements: Sequence[str], *, force_digestion: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Effect of each independent error of a material's values on the mass fractions of elements, shape (n,) each.

    Their outer products sum to the covariance: Cov(w_i, w_j) = Σ_s g_si g_sj. Without stated sources every value has
    one of its own, named after material and component.

    Raises KeyError for an element without a usable value.
    """
    values = material.element_values(force_digestion=force_digestion)
    found: dict[str, NDArray[np.float64]] = {}
    written = {e: _written_as(material, e, force_digestion=force_digestion) for e in elements}
    covered = {component for source in material.error_sources for component in source.effect}
    for i, element in enumerate(elements):
        component, fraction = written[element]
        if component in covered:
            for source in material.error_sources:
                effect = source.effect.get(component, 0.0) * fraction
                if effect:
                    found.setdefault(source.name, np.zeros(len(elements)))[i] = effect
        else:
            own = found.setdefault(f"certificate {material.name}: {component}", np.zeros(len(elements)))
            own[i] = values[element].standard_uncertainty
    return found


def _written_as(material: ReferenceMaterial, element: str, *, force_digestion: bool) -> tuple[str, float]:
    """Component that states an element, and the element's mass fraction in it."""
    values = material.usable_values(force_digestion=force_digestion)
    usable = {v.component: v for v in values if v.component != LOSS_ON_IGNITION}
    if element in usable:
        return element, 1.0
    for component, value in usable.items():
        if element in value.elements:
            return component, parse_formula(component)[element]
    raise KeyError(f"{material.name} has no usable reference value for {element}")


def _elements_of(
    compounds: Iterable[ReferenceValue], element_fraction_of: Callable[[str], Mapping[str, float]]
) -> Iterable[tuple[str, ReferenceValue, str]]:
    """Element, its value, and the compound it comes from, for each element but oxygen."""
    for value in compounds:
        for symbol, fraction in element_fraction_of(value.component).items():
            if not (math.isfinite(fraction) and 0.0 < fraction <= 1.0):
                raise DomainError(f"{value.component}: {symbol} makes up {fraction} kg/kg, expected 0 to 1")
            if symbol != "O":
                yield symbol, value.as_element(symbol, fraction), value.component
