"""From the mass fractions that lines show to the whole specimen: oxygen, ignition loss, flux, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closure:
    """What completes the compositions of some specimens.

    oxides : elements in the oxide of each measured element per mass of that element, shape (n_measured, n_elements);
        its row sums are the masses of the oxides.
    added, added_mass : elements that flux or ignition loss bring, shape (n_specimens, n_elements), and their sum.
    gain : oxygen that a powder will take up on ignition, shape (n_specimens,).
    remainder : elements in what fills the sum, shape (n_elements,); None for fluorine in the place of oxygen.
    oxygen, fluorine : places of these elements.
    """

    oxides: FloatArray
    added: FloatArray
    added_mass: FloatArray
    gain: FloatArray
    remainder: FloatArray | None
    oxygen: int
    fluorine: int

    def of(self, some: NDArray[np.int64]) -> Closure:
        """The same for some of the specimens."""
        return replace(self, added=self.added[some], added_mass=self.added_mass[some], gain=self.gain[some])

    def whole(self, seen: FloatArray) -> FloatArray:
        """Mass fractions of all elements, shape (n_specimens, n_elements); see `whole_composition`.

        seen : shape (n_specimens, n_measured).
        """
        positive = np.maximum(seen, 0.0)
        gain = np.minimum(self.gain, positive @ self.oxides[:, self.oxygen])
        total = positive @ self.oxides + self.added
        total[:, self.oxygen] -= gain
        bound = positive @ self.oxides.sum(axis=1) + self.added_mass - gain
        missing = np.maximum(1.0 - bound, 0.0)
        if self.remainder is not None:
            total += missing[:, None] * self.remainder
        else:
            replaced = _oxygen_per_fluorine()
            fluorine = np.minimum(missing / (1.0 - replaced), total[:, self.oxygen] / replaced)
            total[:, self.fluorine] += fluorine
            total[:, self.oxygen] -= fluorine * replaced
        return np.asarray(total / np.maximum(bound, 1.0)[:, None])


def closure(
    measured: Sequence[str], specimens: Sequence[Specimen], rule: UnseenRule, elements: Sequence[str]
) -> Closure:
    """Prepare `Closure` for specimens whose lines show the elements `measured`.

    Raises DomainError where an oxide, a flux or the rule needs an element that is not among `elements`.
    """

    def parts(formula: str) -> FloatArray:
        found = dict(_parts(formula))
        lost = [e for e in found if e not in elements]
        if lost:
            raise DomainError(
                f"the specimen contains {', '.join(lost)} by its flux or by the rule for unseen elements, which the "
                "method has no place for; leave a releasing agent that evaporates out of the flux, or quantify the "
                "element"
            )
        return np.array([found.get(e, 0.0) for e in elements])

    def added(specimen: Specimen) -> FloatArray:
        if specimen.fusion is not None:
            masses = sum(mass for _, mass in specimen.fusion.flux)
            shares = [(f, specimen.fusion.flux_fraction * mass / masses) for f, mass in specimen.fusion.flux]
        else:
            loss = max(specimen.loss_on_ignition or 0.0, 0.0)
            shares = [(formula, loss * share) for formula, share in rule.loss_on_ignition.items()]
        return sum((mass * parts(formula) for formula, mass in shares if mass > 0.0), np.zeros(len(elements)))

    rows = {specimen: added(specimen) for specimen in dict.fromkeys(specimens)}
    contents = np.array([rows[specimen] for specimen in specimens])
    oxides = [parts(rule.oxides[e]) / dict(_parts(rule.oxides[e]))[e] for e in measured]
    return Closure(
        oxides=np.array(oxides).reshape(len(measured), len(elements)),
        added=contents,
        added_mass=contents.sum(axis=1),
        gain=np.array([_gain_on_ignition(specimen) for specimen in specimens]),
        remainder=None if rule.remainder == "F-O" else parts(rule.remainder),
        oxygen=list(elements).index("O"),
        fluorine=list(elements).index("F"),
    )


def _gain_on_ignition(specimen: Specimen) -> float:
    """Oxygen (kg/kg) that a powder does not have yet, and a bead has."""
    return max(-(specimen.loss_on_ignition or 0.0), 0.0) if specimen.fusion is None else 0.0


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
    prepared = closure(tuple(seen), [specimen], rule, elements)
    return np.asarray(prepared.whole(np.array([list(seen.values())], dtype=np.float64))[0])
