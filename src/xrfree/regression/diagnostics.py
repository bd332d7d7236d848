"""Questions to a curve: which material carries it, which contradicts it, is it straight, is a simpler one as good.

Definition   leave-one-material-out: every row of a material is left out, the curve fitted again and asked for it.
             Cook's distance: R. D. Cook, Technometrics 19 (1977) 15, with all rows of a material deleted together.
             AICc: C. M. Hurvich, C.-L. Tsai, Biometrika 76 (1989) 297, with the full Gaussian likelihood.
             Straight or curved: orthogonal distance regression of both (odrpack), because the square of a column that
             has an error has an error that is not independent of it.
Validation   tests/regression/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odrpack import odr_fit
from scipy import stats
from scipy.optimize import linprog

from xrfree.errors import CalibrationError, DomainError, NotConvergedError
from xrfree.regression.observations import Observations
from xrfree.regression.solve import ErrorLevel, Regression, fit

FloatArray = NDArray[np.float64]

_BISQUARE = 4.685
_MAD_TO_SD = 1.4826
_ROBUST_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What the other materials say of one row of a material.

    predicted : by a curve that never saw the material; standard_uncertainty : of the difference to the response.
    deleted_residual : (response - predicted) / standard_uncertainty.
    cook_distance : shift of all coefficients over p times their covariance, when the material leaves.
    """

    material: str
    row: int
    response: float
    predicted: float
    standard_uncertainty: float
    deleted_residual: float
    cook_distance: float

    @property
    def difference(self) -> float:
        """Predicted less response."""
        return self.predicted - self.response


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    """Leave-one-material-out prediction of a curve.

    irreplaceable : materials without which the others do not determine the curve; they cannot be predicted.
    """

    rows: tuple[LeftOut, ...]
    irreplaceable: tuple[str, ...]

    @property
    def rms(self) -> float:
        """Root mean square difference between prediction and response."""
        return float(np.sqrt(np.mean([row.difference**2 for row in self.rows])))

    @property
    def rms_deleted(self) -> float:
        """Root mean square deleted residual: 1 where the stated uncertainties are right."""
        return float(np.sqrt(np.mean([row.deleted_residual**2 for row in self.rows])))


def leave_one_material_out(regression: Regression) -> LeaveOneOut:
    """Prediction of each material by a curve through all the others; never one spectrum of several of a material.

    The extra scatter of the whole curve is kept. u² = a' C_i a + (s scatter)² + x C₍₋ₘ₎ x'
    """
    observations = regression.observations
    rows: list[LeftOut] = []
    irreplaceable: list[str] = []
    for material in observations.distinct_materials:
        own = observations.rows_of([material])
        others = np.setdiff1d(np.arange(len(observations.materials)), own)
        try:
            reduced = fit(
                observations.taking(others),
                level=regression.level,
                scatter=regression.scatter,
                start=regression.coefficients,
            )
        except (CalibrationError, NotConvergedError):
            irreplaceable.append(material)
            continue
        rows += [_left_out(regression, reduced, int(row)) for row in own]
    if not rows:
        raise CalibrationError("no material can be left out: the others do not determine the curve without it")
    return LeaveOneOut(rows=tuple(rows), irreplaceable=tuple(irreplaceable))


def _left_out(regression: Regression, reduced: Regression, row: int) -> LeftOut:
    observations, beta = regression.observations, reduced.coefficients
    terms = observations.design[row]
    a = np.concatenate([[1.0], -beta])
    variance = a @ observations.covariance[row] @ a + np.sum((observations.shared[:, row] @ a) ** 2)
    variance += (observations.scatter_scale[row] * regression.scatter) ** 2
    if regression.level is ErrorLevel.ESTIMATED:
        variance = (variance or 1.0) * reduced.residual_scale**2
    variance += terms @ reduced.covariance @ terms
    response, predicted = float(observations.response[row]), float(terms @ beta)
    shift = beta - regression.coefficients
    return LeftOut(
        material=observations.materials[row],
        row=row,
        response=response,
        predicted=predicted,
        standard_uncertainty=float(np.sqrt(variance)),
        deleted_residual=float((response - predicted) / np.sqrt(variance)),
        cook_distance=float(shift @ np.linalg.solve(regression.covariance, shift) / len(beta)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearityTest:
    """Whether a second power of one term is needed.

    curvature : its coefficient with its standard uncertainty; probability : of one as large by chance.
    largest_bend : greatest difference between parabola and straight line over the standards, unit of the response.
    """

    term: str
    curvature: float
    standard_uncertainty: float
    probability: float
    largest_bend: float

    @property
    def straight(self) -> bool:
        """Whether curvature is not significant at 5 %."""
        return self.probability >= 0.05


def linearity_test(regression: Regression, term: str) -> LinearityTest:
    """Test of one term's straightness: the curve with and without the term's square, by orthogonal distances.

    p = P(|t| > |γ|/u(γ)), the residuals deciding the size of the errors

    Raises CalibrationError with fewer than two rows beyond the coefficients.
    """
    observations = regression.observations
    n, p = observations.design.shape
    if n < p + 3:
        raise CalibrationError(f"{n} rows are too few to test whether {p} terms and a curvature describe them")
    column = observations.terms.index(term)
    x = observations.design.T
    centre, spread = float(x[column].mean()), float(np.ptp(x[column])) or 1.0
    variances = np.einsum("ijj->ji", observations.covariance)
    variances = variances[:, :] + np.einsum("mij->ji", observations.shared**2)
    own = variances[0] + (regression.scatter * observations.scatter_scale) ** 2
    floor = np.max(own) * 1e-12 if np.any(own > 0.0) else 1.0

    def bend(x: FloatArray) -> FloatArray:
        return np.asarray(((x[column] - centre) / spread) ** 2)

    def curve(x: FloatArray, beta: FloatArray) -> FloatArray:
        return np.asarray(beta[:-1] @ x + beta[-1] * bend(x))

    found = odr_fit(
        curve,
        x,
        observations.response,
        np.append(regression.coefficients, 0.0),
        weight_x=1.0 / np.maximum(variances[1:], 1e-12 * np.mean(x**2, axis=1, keepdims=True) + 1e-300),
        weight_y=1.0 / np.maximum(own, floor),
        fix_x=variances[1:] == 0.0,
        task="explicit-ODR" if np.any(variances[1:]) else "OLS",
        scale_beta=1.0 / np.maximum(np.abs(np.append(regression.coefficients, np.ptp(observations.response))), 1e-12),
    )
    curvature, sd = float(found.beta[-1]), float(found.sd_beta[-1])
    probability = float(2.0 * stats.t.sf(abs(curvature) / max(sd, 1e-300), n - p - 1))
    away = curve(x, found.beta) - regression.coefficients @ x
    return LinearityTest(
        term=term,
        curvature=curvature / spread**2,
        standard_uncertainty=sd / spread**2,
        probability=probability,
        largest_bend=float(np.max(np.abs(away))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """How good one model is: smaller is better for all of them but the number of terms.

    aicc : corrected information criterion; None with too few rows for its correction.
    """

    name: str
    n_terms: int
    leave_one_out_rms: float
    rms_deleted: float
    scatter: float
    aicc: float | None


def compare(
    models: Mapping[str, Regression], left_out: Mapping[str, LeaveOneOut] | None = None
) -> tuple[ModelScore, ...]:
    """Models of the same responses, the best by leave-one-material-out first.

    left_out : of some of the models, where it is known already.

    AICc = χ² + ln|V| + n ln 2π + 2k + 2k(k + 1)/(n - k - 1), k coefficients and the extra scatter

    Raises DomainError for models of different standards, which nothing can compare.
    """
    responses = {regression.observations.response.tobytes() for regression in models.values()}
    if len(responses) > 1:
        raise DomainError("models can be compared only on the same standards; exclude the same materials from all")
    known = left_out or {}
    scores = [
        _score(name, regression, known.get(name) or leave_one_material_out(regression))
        for name, regression in models.items()
    ]
    return tuple(sorted(scores, key=lambda score: score.leave_one_out_rms))


def _score(name: str, regression: Regression, left_out: LeaveOneOut) -> ModelScore:
    n, k = len(regression.residual), len(regression.coefficients) + 1
    variance = regression.residual_covariance
    chi_square = regression.chi_square
    if regression.level is ErrorLevel.ESTIMATED:
        common = chi_square / n
        variance, chi_square = variance * common, float(n)
    _, log_determinant = np.linalg.slogdet(variance)
    likelihood = chi_square + float(log_determinant) + n * float(np.log(2.0 * np.pi))
    aicc = likelihood + 2 * k + 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else None
    return ModelScore(
        name=name,
        n_terms=len(regression.coefficients),
        leave_one_out_rms=left_out.rms,
        rms_deleted=left_out.rms_deleted,
        scatter=regression.scatter,
        aicc=aicc,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustLook:
    """A first look that a few bad rows cannot bend: coefficients, scale of the good rows, weight 0 to 1 of each row."""

    coefficients: FloatArray
    scale: float
    weight: FloatArray
    suspects: tuple[str, ...]


def robust_look(observations: Observations) -> RobustLook:
    """Coefficients by least absolute deviations, then Tukey's bisquare about them; for looking, not for results.

    w = [1 - (r / 4.685 s)²]², s = 1.4826 median|r|        A. E. Beaton, J. W. Tukey, Technometrics 16 (1974) 147

    `suspects` are materials with a row of weight below 0.1. They are not excluded: that takes a reason.
    """
    x, y = observations.design, observations.response
    slopes = np.concatenate([[1.0], -_least_absolute(x, y)])
    unit = np.sqrt((observations.covariance @ slopes) @ slopes + np.sum((observations.shared @ slopes) ** 2, axis=0))
    unit = np.where(unit > 0.0, unit, float(np.max(unit)) or 1.0)
    a, b = x / unit[:, None], y / unit
    beta = _least_absolute(a, b)
    stated = bool(np.any(observations.covariance))  # residuals smaller than their stated errors accuse nobody
    scale, weight = 0.0, np.ones(len(b))
    for _ in range(_ROBUST_STEPS):
        residual = b - a @ beta
        scale = float(max(_MAD_TO_SD * np.median(np.abs(residual)), 1e-12 * float(np.max(np.abs(b))), 1e-300))
        scale = max(scale, 1.0) if stated else scale
        weight = np.clip(1.0 - (residual / (_BISQUARE * scale)) ** 2, 0.0, None) ** 2
        root = np.sqrt(weight)
        following: FloatArray = np.asarray(
            np.linalg.lstsq(a * root[:, None], b * root, rcond=None)[0], dtype=np.float64
        )
        settled = bool(np.allclose(following, beta, rtol=1e-8, atol=0.0))
        beta = following
        if settled:
            break
    suspects = dict.fromkeys(m for m, w in zip(observations.materials, weight, strict=True) if w < 0.1)
    return RobustLook(coefficients=beta, scale=scale, weight=weight, suspects=tuple(suspects))


def _least_absolute(a: FloatArray, b: FloatArray) -> FloatArray:
    """Coefficients with the smallest sum of |b - a β|, by linear programming."""
    n, p = a.shape
    size = np.maximum(np.max(np.abs(a), axis=0), 1e-300)
    height = max(float(np.max(np.abs(b))), 1e-300)
    cost = np.concatenate([np.zeros(p), np.ones(2 * n)])
    equalities = np.hstack([a / size, np.eye(n), -np.eye(n)])
    bounds = [(None, None)] * p + [(0.0, None)] * (2 * n)
    found = linprog(cost, A_eq=equalities, b_eq=b / height, bounds=bounds, method="highs")
    if found.x is None:
        raise CalibrationError(f"no first look at this curve: {found.message}")
    return np.asarray(found.x[:p] * height / size)
