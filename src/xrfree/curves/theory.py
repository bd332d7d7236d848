"""Matrix factors from fundamental parameters, exact or as influence coefficients.

Definition   S_i(w): strength of a line per unit mass fraction, `xrfree.matrix.fundamental`, of the whole specimen:
             each content brings the oxygen of its oxide; what is then missing to 1 is the base (flux, or a mineral).
             α_ij = g_ij / (1/S_i - Σ_k g_ik w_k), g_ij = ∂(1/S_i)/∂w_j at a typical composition: the tangent
             to 1/S_i, so that S_i(w₀)/S_i(w) ∝ 1 + Σ_j α_ij w_j, with each content in the place of the base
             (R. M. Rousseau, X-Ray Spectrom. 13 (1984) 115, for the idea of coefficients at the composition itself).
Validation   tests/curves/test_worked_example.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import XrayLine, parse_formula
from xrfree.composition import USUAL_OXIDES, element_fraction
from xrfree.errors import DomainError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.fundamental import excitation, line_strengths

FloatArray = NDArray[np.float64]

_STEP = 1e-3


class LineTheory:
    """Strengths of named lines in specimens of given contents.

    lines : name as the rates have it -> lines of one element that are counted there.
    elements : whose contents count; all others are part of the base, in standards and specimens alike.
    base : formulas and mass shares of what fills up to 1.
    areal_density_g_cm2 : of the specimen; infinite where it is thick.
    """

    def __init__(
        self,
        condition: InstrumentCondition,
        detector: Detector,
        lines: Mapping[str, Sequence[XrayLine]],
        elements: Sequence[str],
        *,
        base: Mapping[str, float],
        oxides: Mapping[str, str] | None = None,
        areal_density_g_cm2: float = np.inf,
    ) -> None:
        self._oxides = {e: (oxides or {}).get(e) or USUAL_OXIDES.get(e, e) for e in elements}
        parts = {e for formula in (*self._oxides.values(), *base) for e in parse_formula(formula)}
        self._elements = tuple(dict.fromkeys((*elements, *sorted(parts))))
        self._known = frozenset(elements)
        emitting = {line.element for wanted in lines.values() for line in wanted}
        exciting = [e for e in self._elements if e in emitting or e in self._known]
        self._model = excitation(condition, detector, self._elements, emitting=exciting)
        position = {line: i for i, line in enumerate(self._model.lines)}
        self._rows = {}
        for name, wanted in lines.items():
            absent = [f"{line.element} {line.transition}" for line in wanted if line not in position]
            if absent:
                raise DomainError(f"{name}: the tube at {condition.tube.voltage_kv} kV does not excite {absent[0]}")
            self._rows[name] = [position[line] for line in wanted]
        total = sum(base.values())
        self._base = np.zeros(len(self._elements))
        for formula, share in base.items():
            self._add(self._base, formula, share / total)
        self._areal_density = areal_density_g_cm2
        self._strengths = lru_cache(maxsize=4096)(self._computed)

    def __call__(self, line: str, contents: Mapping[str, float]) -> float:
        """Strength of a line per unit mass fraction of its element, in a specimen of these contents (kg/kg)."""
        if line not in self._rows:
            raise DomainError(f"no theory for the line {line!r}; there is one for {', '.join(self._rows)}")
        key = tuple((e, float(contents.get(e, 0.0))) for e in sorted(self._known))
        return self._strengths(key)[line]

    def whole(self, contents: Mapping[str, float]) -> FloatArray:
        """Mass fractions of all elements of the specimen, summing to 1."""
        total = np.zeros(len(self._elements))
        bound = 0.0
        for element, content in contents.items():
            if element in self._known and content > 0.0:
                oxide = content / element_fraction(self._oxides[element], element)
                self._add(total, self._oxides[element], oxide)
                bound += oxide
        return np.asarray((total + max(1.0 - bound, 0.0) * self._base) / max(bound, 1.0))

    def _add(self, total: FloatArray, formula: str, mass: float) -> None:
        for element, share in parse_formula(formula).items():
            total[self._elements.index(element)] += mass * share

    def _computed(self, key: tuple[tuple[str, float], ...]) -> dict[str, float]:
        strengths = line_strengths(self._model, self.whole(dict(key)), self._areal_density).total
        return {name: float(strengths[rows].sum()) for name, rows in self._rows.items()}


def theoretical_alphas(
    theory: LineTheory, line: str, typical: Mapping[str, float], elements: Sequence[str]
) -> dict[str, float]:
    """Influence coefficients of a line, one per element and kg/kg of it in the specimen.

    typical : contents (kg/kg) at which the coefficients are taken; the middle of the calibrated range.
    """
    inverse = 1.0 / theory(line, typical)
    slopes = {}
    for element in elements:
        low, high = ({**typical, element: typical.get(element, 0.0) + h} for h in (-_STEP, _STEP))
        if low[element] < 0.0:
            low = dict(typical)
        step = high[element] - low.get(element, 0.0)
        slopes[element] = (1.0 / theory(line, high) - 1.0 / theory(line, low)) / step
    constant = inverse - sum(slope * typical.get(element, 0.0) for element, slope in slopes.items())
    if constant <= 0.0:
        raise DomainError(f"{line}: no influence coefficients at this composition; take one nearer to the base")
    return {element: slope / constant for element, slope in slopes.items()}
