"""Whether these standards can tell the coefficients of a curve apart.

Definition   correlation of the columns; condition number and variance-decomposition proportions of the scaled columns
             (D. A. Belsley, E. Kuh, R. E. Welsch, Regression Diagnostics, 1980, ch. 3); variance inflation of each
             coefficient (D. W. Marquardt, Technometrics 12 (1970) 591).
Validation   tests/regression/test_collinearity.py: orthogonal columns, VIF by auxiliary regression, natural ores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import CalibrationError
from xrfree.regression.observations import CONSTANT, Observations

FloatArray = NDArray[np.float64]

LARGEST_CONDITION = 100.0
"""Belsley calls dependencies above 30 strong and above 100 severe; contents of designed standards give 3 to 15."""
LARGEST_INFLATION = 20.0
"""Variance inflation above which a coefficient is said to be undetermined: its uncertainty is 4.5 times that of an
uncorrelated design of the same size (usual thresholds: 10 for a warning)."""
WARNING_INFLATION = 10.0
_CULPRIT_SHARE = 0.3
_MOST_PROPOSED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collinearity:
    """How far the columns of a design depend on one another.

    terms : the varying ones, p; correlation : of their columns, shape (p, p); inflation : shape (p,).
    condition_number : of all columns scaled to unit length, the constant included.
    culprits : terms that share in the worst dependency.
    worst_pair : the two terms with the largest |correlation|, and that; None where only one varies.
    n_materials : how many reference materials stand behind it.
    """

    terms: tuple[str, ...]
    correlation: FloatArray
    inflation: FloatArray
    condition_number: float
    culprits: tuple[str, ...]
    worst_pair: tuple[str, str, float] | None
    n_materials: int

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Terms whose coefficients these standards do not determine."""
        worst = tuple(t for t, v in zip(self.terms, self.inflation, strict=True) if v > LARGEST_INFLATION)
        return worst or (self.culprits if self.condition_number > LARGEST_CONDITION else ())

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Terms that deserve a warning."""
        return tuple(t for t, v in zip(self.terms, self.inflation, strict=True) if v > WARNING_INFLATION)

    def explain(self) -> str:
        """Two sentences for the calibration engineer."""
        if self.worst_pair is None:
            return f"The {self.n_materials} standards have one varying term: nothing to confuse it with."
        one, other, r = self.worst_pair
        worst = int(np.argmax(self.inflation))
        return (
            f"{one} and {other} of the {self.n_materials} standards correlate {r:.3f}; condition number "
            f"{self.condition_number:.1f}, largest variance inflation {self.inflation[worst]:.1f} "
            f"({self.terms[worst]})."
        )


def collinearity(observations: Observations) -> Collinearity:
    """Correlation, condition number and variance inflation of a design."""
    varying = [i for i, term in enumerate(observations.terms) if term != CONSTANT]
    terms = tuple(observations.terms[i] for i in varying)
    columns = observations.design[:, varying]
    centred = columns - columns.mean(axis=0) if CONSTANT in observations.terms else columns
    length = np.linalg.norm(centred, axis=0)
    still = [
        t for t, size, whole in zip(terms, length, np.abs(columns).max(axis=0), strict=True) if size <= 1e-12 * whole
    ]
    if still or not terms:
        raise CalibrationError(
            f"{', '.join(still) or 'no term'} is the same in all {len(observations.distinct_materials)} standards: "
            "its coefficient cannot be determined"
        )
    unit = centred / length
    correlation = unit.T @ unit
    condition, shares = _decomposition(observations.design)
    culprits = tuple(t for t, s in zip(observations.terms, shares, strict=True) if s > _CULPRIT_SHARE and t != CONSTANT)
    return Collinearity(
        terms=terms,
        correlation=correlation,
        inflation=_inflation(unit),
        condition_number=condition,
        culprits=culprits,
        worst_pair=_worst_pair(terms, correlation),
        n_materials=len(observations.distinct_materials),
    )


def _inflation(unit: FloatArray) -> FloatArray:
    """Diagonal of the inverse correlation matrix, from the singular values so that no inverse can turn negative."""
    _, singular, right = np.linalg.svd(unit, full_matrices=False)
    safe = np.maximum(singular, 1e-9 * singular[0])
    return np.asarray(np.sum((right.T / safe) ** 2, axis=1))


def _decomposition(design: FloatArray) -> tuple[float, FloatArray]:
    """Condition number of the columns at unit length, and each one's share of variance in the worst direction."""
    _, singular, right = np.linalg.svd(design / np.linalg.norm(design, axis=0), full_matrices=False)
    safe = np.maximum(singular, 1e-14 * singular[0])
    parts = (right.T / safe) ** 2
    return float(singular[0] / safe[-1]), np.asarray(parts[:, -1] / parts.sum(axis=1))


def _worst_pair(terms: tuple[str, ...], correlation: FloatArray) -> tuple[str, str, float] | None:
    if len(terms) < 2:
        return None
    apart = np.abs(correlation - np.diag(np.diag(correlation)))
    i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return terms[int(i)], terms[int(j)], float(correlation[i, j])


def require_determined(
    observations: Observations, *, analyte: str = "", candidates: Mapping[str, FloatArray] | None = None
) -> Collinearity:
    """The collinearity of a design, unless some of its coefficients are undetermined.

    candidates : rows of terms (shape (p,)) of materials that could be measured in addition, by name.

    Raises CalibrationError naming the culprits and the candidates that would help most.
    """
    found = collinearity(observations)
    if not found.undetermined:
        return found
    about = f"{analyte}: " if analyte else ""
    named = ", ".join(found.undetermined)
    helpful = helpful_additions(observations, candidates or {})
    remedy = (
        f"add one of {', '.join(helpful)}"
        if helpful
        else "add synthetic mixtures in which these contents are independent (xrfree design-standards)"
    )
    raise CalibrationError(
        f"{about}the standards do not determine the coefficients of {named}. {found.explain()} "
        f"Drop a term, or {remedy}."
    )


def helpful_additions(observations: Observations, candidates: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Candidates that lower the largest variance most, each alone; the best first, at most three.

    Terms are compared at equal size: the columns are scaled to unit length before.
    """
    scale = np.linalg.norm(observations.design, axis=0)
    known = observations.design / scale
    information = known.T @ known + 1e-12 * np.eye(known.shape[1])
    before = float(np.max(np.diag(np.linalg.inv(information))))
    after = {
        name: float(np.max(np.diag(np.linalg.inv(information + np.outer(row / scale, row / scale)))))
        for name, row in candidates.items()
    }
    better = sorted((v, name) for name, v in after.items() if v < 0.9 * before)
    return tuple(name for _, name in better[:_MOST_PROPOSED])
