"""From rates and curves to contents: all analytes together, because each corrects the others.

Definition   w_i = M_i(w) Σ_j β_ij t_ij(R, w), solved by repeated substitution.
             u from w = f(R, β, e): ∂w/∂q = (1 - ∂f/∂w)⁻¹ ∂f/∂q for rates, coefficients and scatter.
Validation   tests/curves/test_worked_example.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.calibration import CalibrationCurve
from xrfree.curves.models import Factors, terms_of
from xrfree.curves.rates import LineRates
from xrfree.errors import NotConvergedError

FloatArray = NDArray[np.float64]

MOST_ITERATIONS = 100
TOLERANCE = 1e-10
"""Largest last change of a content, kg/kg."""
_STEP = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineContents:
    """Contents of one specimen by curves.

    analytes : elements; mass_fraction : kg/kg of the specimen, shape (n,).
    covariance : shape (n, n); its parts by counting, calibration and scatter between specimens beside it.
    """

    specimen: str
    analytes: tuple[str, ...]
    mass_fraction: FloatArray
    counting: FloatArray
    calibration: FloatArray
    between_specimens: FloatArray
    iterations: int

    @property
    def covariance(self) -> FloatArray:
        """Sum of all parts."""
        return np.asarray(self.counting + self.calibration + self.between_specimens)

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, kg/kg."""
        return np.sqrt(np.diag(self.covariance))


def line_contents(
    rates: LineRates,
    curves: Sequence[CalibrationCurve],
    factors: Factors,
    *,
    known: Mapping[str, float] | None = None,
) -> LineContents:
    """Contents of the analytes of `curves`.

    known : contents (kg/kg, of the specimen) that no curve measures and matrix factors need: flux, loss on ignition.
    Raises NotConvergedError where substitution does not settle.
    """
    fixed = dict(known or {})
    analytes = tuple(curve.model.analyte for curve in curves)

    def step(contents: FloatArray, rates: LineRates, coefficients: Sequence[FloatArray]) -> FloatArray:
        assumed = {**fixed, **dict(zip(analytes, contents.tolist(), strict=True))}
        terms = (terms_of(curve.model, rates, assumed, factors) for curve in curves)
        return np.array([float(t @ beta) for t, beta in zip(terms, coefficients, strict=True)])

    betas = [curve.coefficients for curve in curves]
    contents, changes = np.zeros(len(curves)), []
    for _ in range(MOST_ITERATIONS):
        following = step(contents, rates, betas)
        changes.append(float(np.max(np.abs(following - contents))))
        contents = following
        if changes[-1] < TOLERANCE:
            break
    else:
        raise NotConvergedError(
            f"{rates.specimen}: contents still moved by {changes[-1]:.1e} after {MOST_ITERATIONS} steps", tuple(changes)
        )
    feedback = _jacobian(lambda w: step(w, rates, betas), contents, np.full(len(curves), _STEP))
    settle = np.linalg.inv(np.eye(len(curves)) - feedback)
    by_rate = settle @ _jacobian(
        lambda r: step(contents, rates.with_rate(r), betas), rates.rate, 1e-4 * np.maximum(np.abs(rates.rate), 1.0)
    )
    calibration = np.zeros((len(curves), len(curves)))
    assumed = {**fixed, **dict(zip(analytes, contents.tolist(), strict=True))}
    for i, curve in enumerate(curves):
        terms = terms_of(curve.model, rates, assumed, factors)
        calibration += float(terms @ curve.covariance @ terms) * np.outer(settle[:, i], settle[:, i])
    scatter = np.array([c.scatter * np.hypot(w, c.scatter_floor) for c, w in zip(curves, contents, strict=True)])
    return LineContents(
        specimen=rates.specimen,
        analytes=analytes,
        mass_fraction=contents,
        counting=by_rate @ rates.covariance @ by_rate.T,
        calibration=calibration,
        between_specimens=settle @ np.diag(scatter**2) @ settle.T,
        iterations=len(changes),
    )


def _jacobian(function: Callable[[FloatArray], FloatArray], at: FloatArray, steps: FloatArray) -> FloatArray:
    """Central differences, shape (n_results, n_arguments)."""
    columns = []
    for i, h in enumerate(steps):
        up, down = at.copy(), at.copy()
        up[i] += h
        down[i] -= h
        columns.append((function(up) - function(down)) / (2.0 * h))
    return np.array(columns).T
