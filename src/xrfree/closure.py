"""From the mass fractions that lines show to the whole specimen: oxygen, ignition loss, flux, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import atomic_weight, parse_formula
from xrfree.atomic._tables import atomic_number
from xrfree.errors import DomainError
from xrfree.method import Method, UnseenRule
from xrfree.specimen import Specimen

FloatArray = NDArray[np.float64]

_UNSEEN_LIGHT = ("H", "Li", "B", "C", "N", "O", "F", "Na")


@cache
def _parts(formula: str) -> tuple[tuple[str, float], ...]:
    return tuple(parse_formula(formula).items())


@cache
def _oxygen_per_fluorine() -> float:
    """Mass of oxygen that one mass of fluorine replaces: A(O) / 2 A(F)."""
    return atomic_weight(atomic_number("O")) / (2.0 * atomic_weight(atomic_number("F")))


def specimen_elements(method: Method, specimens: Iterable[Specimen] = ()) -> tuple[str, ...]:
    """Every element a specimen of this method may contain: the quantified ones and those nobody sees.

    specimens : those whose flux may hold further elements (bromine of a releasing agent).
    """
    rule = method.unseen
    named = [e for formula in (*rule.oxides.values(), *rule.loss_on_ignition) for e, _ in _parts(formula)]
    bound = {e for element in method.quantified_elements for e, _ in _parts(rule.oxides[element])}
    other = [] if rule.remainder == "F-O" else [rule.remainder]
    other += [formula for s in specimens if s.fusion is not None for formula, _ in s.fusion.flux]
    added = [e for formula in other for e, _ in _parts(formula)]
    unseen = [e for e in dict.fromkeys([*named, *_UNSEEN_LIGHT]) if e in bound or e in _UNSEEN_LIGHT]
    return tuple(dict.fromkeys([*method.quantified_elements, *unseen, *added]))


def whole_composition(
    seen: Mapping[str, float], specimen: Specimen, rule: UnseenRule, elements: Sequence[str]
) -> FloatArray:
    """Mass fractions of all `elements` in the specimen, shape (n_elements,), summing to 1.

    seen : mass fractions (kg/kg, of the specimen) of the elements that lines show; negative ones count as 0 here.

    Each seen element brings the oxygen of its oxide; a powder its loss on ignition, a bead its flux; a gain on ignition
    is oxygen that the powder does not have yet. What is then missing to 1 is the remainder of `rule`. "F-O": fluorine
    that took the place of oxygen, w(F) (1 - A(O)/2A(F)). Where all of this is more than 1, it is scaled to 1: without a
    fixed sum, intensities do not determine contents, because they do not change when all contents grow together.

    Raises DomainError where this needs an element that is not among `elements`.
    """
    total = dict.fromkeys(elements, 0.0)

    def add(formula: str, mass: float) -> None:
        for element, share in _parts(formula):
            total[element] = total.get(element, 0.0) + mass * share

    bound = 0.0
    for element, content in seen.items():
        if content > 0.0:
            oxide = content / dict(_parts(rule.oxides[element]))[element]
            add(rule.oxides[element], oxide)
            bound += oxide
    if specimen.fusion is not None:
        masses = sum(mass for _, mass in specimen.fusion.flux)
        for formula, mass in specimen.fusion.flux:
            add(formula, specimen.fusion.flux_fraction * mass / masses)
        bound += specimen.fusion.flux_fraction
    elif specimen.loss_on_ignition is not None and specimen.loss_on_ignition < 0.0:
        gain = min(-specimen.loss_on_ignition, total.get("O", 0.0))
        total["O"] = total.get("O", 0.0) - gain
        bound -= gain
    elif specimen.loss_on_ignition:
        for formula, share in rule.loss_on_ignition.items():
            add(formula, specimen.loss_on_ignition * share)
        bound += specimen.loss_on_ignition
    _add_remainder(total, max(1.0 - bound, 0.0), rule.remainder)
    lost = [e for e, mass in total.items() if mass > 0.0 and e not in elements]
    if lost:
        raise DomainError(
            f"the specimen contains {', '.join(lost)} by its flux or by the rule for unseen elements, which the method "
            f"has no place for; leave a releasing agent that evaporates out of the flux, or quantify the element"
        )
    return np.array([total[element] for element in elements]) / max(bound, 1.0)


def _add_remainder(total: dict[str, float], missing: float, remainder: str) -> None:
    if remainder != "F-O":
        for element, share in _parts(remainder):
            total[element] = total.get(element, 0.0) + missing * share
        return
    replaced = _oxygen_per_fluorine()
    fluorine = min(missing / (1.0 - replaced), total["O"] / replaced)
    total["F"] += fluorine
    total["O"] -= fluorine * replaced
