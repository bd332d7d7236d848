"""The straight line with errors in all columns, and what its residuals say.

Definition   χ²(β) = r' V(β)⁻¹ r with r = y - X β and V the covariance that all errors of y and X give r. Its minimum is
             that of orthogonal distance regression, and York's line where there is one column: D. York et al.,
             Am. J. Phys. 72 (2004) 367; P. T. Boggs, C. H. Byrd, R. B. Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987)
             1052. Written with V, errors that several rows share (a reagent, a certificate) take part as well, which
             orthogonal distance regression row by row cannot take in.
             Extra scatter: R. C. Paule, J. Mandel, J. Res. NBS 87 (1982) 377.
             Least squares: column scaling, QR, refinement in extended precision (Å. Björck, BIT 7 (1967) 257).
Validation   benchmarks/regression.py: NIST StRD; Pearson's data with York's weights; odrpack.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import solve_triangular
from scipy.optimize import brentq, minimize

from xrfree.errors import CalibrationError, DomainError, NotConvergedError
from xrfree.regression.observations import Observations

FloatArray = NDArray[np.float64]

MOST_GAUSS_NEWTON = 20
"""Gauss-Newton steps before the rest is done downhill; good standards need half as many."""
_TOLERANCE = 1e-13
_REFINEMENTS = 3
_SCATTER_TOLERANCE = 1e-6
_JUMP = 1e-3
"""Relative change of χ² that so small a change of the scatter cannot make."""
_LEAST_GRADIENT = 1e-7
"""Change of χ² per standard uncertainty of a coefficient at which a curve is settled: to half as much of it."""
_SETTLED_GRADIENT = 1e-3
"""The same where rounding ends the way down earlier: one coefficient off by a two-thousandth of its uncertainty."""
_SEARCHES = 20
_FARTHEST = 1e4
"""Uncertainties from where a search began beyond which the curve is on its way to a line straight up."""
_LEAST_VARIANCE = 1e-300
_SINGULAR = 1e-11
"""Smallest part of a scaled column that may be its own, beside the columns before it, in double precision."""


class ErrorLevel(StrEnum):
    """What is known of the size of the errors.

    STATED : the covariances are what they are; what they do not explain is extra scatter, added to the variances.
    ESTIMATED : the covariances are relative weights; the residuals decide their common factor.
    """

    STATED = "stated"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A fitted curve.

    coefficients : β, shape (p,); covariance : shape (p, p).
    scatter : extra standard deviation between specimens, per unit of `scatter_scale`.
    residual : r = y - Xβ, shape (n,); residual_covariance : V, shape (n, n).
    adjusted : X less the most probable errors of its entries, shape (n, p).
    chi_square : r' V⁻¹ r, extra scatter included in V; stated_chi_square : the same without it.
    """

    observations: Observations
    level: ErrorLevel
    coefficients: FloatArray
    covariance: FloatArray
    scatter: float
    residual: FloatArray
    residual_covariance: FloatArray
    adjusted: FloatArray
    chi_square: float
    stated_chi_square: float

    @property
    def degrees_of_freedom(self) -> int:
        """Rows less coefficients, n - p."""
        return len(self.residual) - len(self.coefficients)

    @property
    def residual_scale(self) -> float:
        """√(χ²/(n - p)): with estimated errors the factor of all stated ones (the residual SD for unit weights)."""
        return float(np.sqrt(self.chi_square / max(self.degrees_of_freedom, 1)))

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, shape (p,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def weighted_residual(self) -> FloatArray:
        """r_i / √V_ii, shape (n,)."""
        return self.residual / (self._factor * np.sqrt(np.diag(self.residual_covariance)))

    @property
    def leverage(self) -> FloatArray:
        """Share h_i that a row has in its own fitted value, shape (n,); their sum is p.

        h = diag[X (X' V⁻¹ X)⁻¹ X' V⁻¹]
        """
        unscaled = self.covariance / self._factor**2
        weighted = np.linalg.solve(self.residual_covariance, self.adjusted)
        return np.asarray(np.einsum("ij,jk,ik->i", self.adjusted, unscaled, weighted))

    @property
    def standardised_residual(self) -> FloatArray:
        """r_i over its own standard deviation, which the fit has made smaller: √[(V - X C X')_ii], shape (n,)."""
        own = np.diag(self.residual_covariance) * self._factor**2
        fitted = np.einsum("ij,jk,ik->i", self.adjusted, self.covariance, self.adjusted)
        return np.asarray(self.residual / np.sqrt(np.maximum(own - fitted, _LEAST_VARIANCE)))

    @property
    def _factor(self) -> float:
        return self.residual_scale if self.level is ErrorLevel.ESTIMATED else 1.0

    @property
    def goodness(self) -> float:
        """Probability of a χ² at least as large, were the stated uncertainties all there is (without extra scatter)."""
        return float(stats.chi2.sf(self.stated_chi_square, max(self.degrees_of_freedom, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A value that a curve predicts: value ± expanded; with estimated errors by Student's t."""

    value: float
    standard_uncertainty: float
    expanded: float
    probability: float


def fit(
    observations: Observations,
    *,
    level: ErrorLevel = ErrorLevel.STATED,
    scatter: float | None = None,
    start: FloatArray | None = None,
) -> Regression:
    """Curve through the observations.

    scatter : extra scatter; None: estimated so that χ² = n - p, and 0 where the stated errors already explain the
        residuals. With estimated errors there is none.
    start : coefficients to begin with.

    Raises CalibrationError where there are fewer rows than terms, or where the columns do not determine them.
    """
    n, p = observations.design.shape
    if n < p + (scatter is None):
        raise CalibrationError(
            f"{n} rows cannot determine {p} coefficients ({', '.join(observations.terms)}) and how well they fit; "
            "measure more standards, or drop terms"
        )
    first = _solution(observations, 0.0, start)
    if level is ErrorLevel.ESTIMATED:
        return _regression(observations, level, 0.0, first, _chi_square(observations, first, 0.0))
    stated = _chi_square(observations, first, 0.0)
    found = _paule_mandel(observations, first) if scatter is None else scatter
    best = first if found == 0.0 else _solution(observations, found, first)
    return _regression(observations, level, found, best, stated)


def predict(
    regression: Regression,
    terms: FloatArray,
    covariance: FloatArray,
    *,
    scatter_scale: float,
    probability: float = 0.95,
) -> Prediction:
    """Value of the curve at one row of terms with its prediction interval.

    u² = x C x' + β' C_x β + (s scatter)²

    terms : shape (p,); covariance : of these, shape (p, p), counting included.
    """
    beta = regression.coefficients
    variance = terms @ regression.covariance @ terms + beta @ covariance @ beta
    variance += (scatter_scale * regression.scatter) ** 2
    estimated = regression.level is ErrorLevel.ESTIMATED
    tail = 0.5 * (1.0 + probability)
    factor = stats.t.ppf(tail, regression.degrees_of_freedom) if estimated else stats.norm.ppf(tail)
    return Prediction(
        value=float(terms @ beta),
        standard_uncertainty=float(np.sqrt(variance)),
        expanded=float(factor * np.sqrt(variance)),
        probability=probability,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """Covariance V of r = y - Xβ in two parts: V = diag(own) + common' common, shapes (n,) and (m, n)."""

    own: FloatArray
    common: FloatArray

    @property
    def matrix(self) -> FloatArray:
        return np.asarray(np.diag(self.own) + self.common.T @ self.common)

    def whitened(self, *columns: FloatArray) -> tuple[FloatArray, ...]:
        """Columns divided by the square root of V."""
        if not len(self.common):
            scale = np.sqrt(self.own)
            return tuple((column.T / scale).T for column in columns)
        lower = np.linalg.cholesky(self.matrix)
        return tuple(np.asarray(solve_triangular(lower, column, lower=True)) for column in columns)

    def solve(self, column: FloatArray) -> FloatArray:
        """V⁻¹ times a column."""
        return np.asarray(np.linalg.solve(self.matrix, column) if len(self.common) else column / self.own)


def _has_errors(observations: Observations) -> bool:
    return bool(np.any(observations.covariance) or np.any(observations.shared))


def _errors(observations: Observations, coefficients: FloatArray, scatter: float) -> _Errors:
    """Errors of the residuals; unit weights where nothing at all is stated.

    V_ij = δ_ij [a' C_i a + (s_i scatter)²] + Σ_m (a' g_mi)(a' g_mj),   a = (1, -β), g the shared errors
    """
    n = len(observations.materials)
    if scatter == 0.0 and not _has_errors(observations):
        return _Errors(np.ones(n), np.zeros((0, n)))
    a = np.concatenate([[1.0], -coefficients])
    own = (observations.covariance @ a) @ a + (observations.scatter_scale * scatter) ** 2
    common = observations.shared @ a
    if np.any(own <= _LEAST_VARIANCE):
        row = int(np.argmin(own))
        raise DomainError(
            f"row {row} ({observations.materials[row]}) has no uncertainty of its own while others have; state it"
        )
    return _Errors(own, common)


def _solution(observations: Observations, scatter: float, start: FloatArray | None) -> FloatArray:
    """Coefficients that minimise χ²: X̂' V⁻¹ (y - Xβ) = 0 with X̂ = X - Cov(X, r) V⁻¹ r, by Gauss-Newton steps.

    They shrink the slower, the more of the spread of a term is its errors. What a few of them have not settled is
    settled downhill, from the best of them.
    """
    y, x, terms = observations.response, observations.design, observations.terms
    exact = not np.any(observations.covariance[:, 1:]) and not np.any(observations.shared[:, :, 1:])
    if exact:
        return _least_squares(x, y, _errors(observations, np.zeros(x.shape[1]), scatter), terms, _REFINEMENTS)
    unit = _Errors(np.ones(len(y)), np.zeros((0, len(y))))
    beta = _least_squares(x, y, unit, terms, 0) if start is None else start
    size = np.linalg.norm(x, axis=0) / max(float(np.linalg.norm(y)), _LEAST_VARIANCE)
    visited = [beta]
    for _ in range(MOST_GAUSS_NEWTON):
        errors = _errors(observations, beta, scatter)
        deviation = _errors_of_terms(observations, beta, errors)
        following = _least_squares(x - deviation, y - deviation @ beta, errors, terms, 0)
        step = float(np.max(np.abs(following - beta) * size))
        beta = following
        if step < _TOLERANCE:
            return beta
        visited.append(beta)
    return _downhill(observations, min(visited, key=lambda b: _chi_square(observations, b, scatter)), scatter)


def _downhill(observations: Observations, start: FloatArray, scatter: float) -> FloatArray:
    """Coefficients at the bottom of χ², by its gradient -2 X̂' V⁻¹ r (BFGS), in their own standard uncertainties.

    A search along a line that comes to a cliff is taken up again from there, with the uncertainties of there.
    """
    beta = start
    slopes: list[float] = []
    for _ in range(_SEARCHES):
        errors = _errors(observations, beta, scatter)
        covariance = _coefficient_covariance(observations.design - _errors_of_terms(observations, beta, errors), errors)
        try:
            unit: FloatArray = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
        except np.linalg.LinAlgError:  # there, nothing is known of a coefficient
            break
        height = partial(_height, observations, scatter, beta, unit)
        found = minimize(height, np.zeros(len(beta)), jac=True, method="BFGS", options={"gtol": _LEAST_GRADIENT})
        beta = np.asarray(beta + unit @ found.x)
        slopes.append(float(np.max(np.abs(found.jac))))
        if slopes[-1] < _SETTLED_GRADIENT:
            return beta
        if np.max(np.abs(found.x)) > _FARTHEST:
            break
    raise NotConvergedError(
        "the curve did not settle: the uncertainties of its terms are as large as the terms; "
        "measure the standards longer, or standards with more of the analyte",
        tuple(slopes),
    )


def _height(
    observations: Observations, scatter: float, origin: FloatArray, unit: FloatArray, z: FloatArray
) -> tuple[float, FloatArray]:
    """χ² and its gradient at β = origin + unit z."""
    beta = origin + unit @ z
    errors = _errors(observations, beta, scatter)
    terms = observations.design - _errors_of_terms(observations, beta, errors)
    pull = errors.solve(_residual(observations, beta))
    return _chi_square(observations, beta, scatter), -2.0 * unit.T @ (terms.T @ pull)


def _errors_of_terms(observations: Observations, beta: FloatArray, errors: _Errors) -> FloatArray:
    """Most probable errors of the entries of X, shape (n, p): Cov(X, r) V⁻¹ r."""
    a = np.concatenate([[1.0], -beta])
    pull = errors.solve(observations.response - observations.design @ beta)
    found = (observations.covariance[:, 1:, :] @ a) * pull[:, None]
    return np.asarray(found + np.einsum("mik,m->ik", observations.shared[:, :, 1:], errors.common @ pull))


def _least_squares(
    x: FloatArray, y: FloatArray, errors: _Errors, terms: tuple[str, ...], refinements: int
) -> FloatArray:
    """Generalised least squares by QR, refined on the augmented system with residuals in extended precision."""
    a, b = errors.whitened(x, y)
    scale = np.linalg.norm(a, axis=0)
    if np.any(scale == 0.0):
        raise CalibrationError(f"{terms[int(np.argmin(scale))]} is 0 in every standard; its coefficient is unknown")
    scale = 2.0 ** np.round(np.log2(scale))
    a = a / scale
    q, r = np.linalg.qr(a)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() < _SINGULAR * diagonal.max():
        raise CalibrationError(
            f"the standards do not tell {', '.join(terms)} apart: their columns depend on one another exactly"
        )
    beta: FloatArray = np.asarray(solve_triangular(r, q.T @ b), dtype=np.float64)
    if not refinements:
        return np.asarray(beta / scale)
    exact_a, exact_b = a.astype(np.longdouble), b.astype(np.longdouble)
    solution, rest = beta.astype(np.longdouble), (b - a @ beta).astype(np.longdouble)
    for _ in range(refinements):
        f = np.asarray(exact_b - rest - exact_a @ solution, dtype=np.float64)
        g = np.asarray(-(exact_a.T @ rest), dtype=np.float64)
        h = solve_triangular(r, g, trans="T")
        d = q.T @ f - h
        solution = solution + solve_triangular(r, d)
        rest = rest + (f - q @ d)
    return np.asarray(np.asarray(solution, dtype=np.float64) / scale)


def _chi_square(observations: Observations, beta: FloatArray, scatter: float) -> float:
    residual = _residual(observations, beta)
    (white,) = _errors(observations, beta, scatter).whitened(residual)
    return float(white @ white)


def _residual(observations: Observations, beta: FloatArray) -> FloatArray:
    exact = observations.design.astype(np.longdouble) @ beta.astype(np.longdouble)
    return np.asarray(observations.response.astype(np.longdouble) - exact, dtype=np.float64)


def _paule_mandel(observations: Observations, start: FloatArray) -> float:
    """Extra scatter with which χ² is its expected value n - p; 0 where it is no larger without."""
    expected = observations.design.shape[0] - observations.design.shape[1]
    if expected <= 0 or not np.any(observations.scatter_scale):
        return 0.0

    def excess(scatter: float) -> float:
        return float(_chi_square(observations, _solution(observations, scatter, start), scatter) - expected)

    if _chi_square(observations, start, 0.0) <= expected and _has_errors(observations):
        return 0.0
    reach = np.abs(_residual(observations, start)) / np.maximum(observations.scatter_scale, _LEAST_VARIANCE)
    high = float(np.max(np.where(observations.scatter_scale > 0.0, reach, 0.0)))
    if high == 0.0:
        return 0.0
    low = 0.0 if _has_errors(observations) else 1e-9 * high
    while excess(high) > 0.0:
        high *= 2.0
    found = float(brentq(excess, low, high, rtol=_SCATTER_TOLERANCE))
    # Where errors explain most of a term's spread, the curve may jump to another minimum, and χ² past its expected
    # value with it: then the scatter just before the jump belongs to the curve that the stated errors gave.
    before = found * (1.0 - 4.0 * _SCATTER_TOLERANCE)
    return before if excess(before) > _JUMP * expected else found


def _regression(
    observations: Observations, level: ErrorLevel, scatter: float, beta: FloatArray, stated: float
) -> Regression:
    errors = _errors(observations, beta, scatter)
    adjusted = observations.design - _errors_of_terms(observations, beta, errors)
    chi_square = _chi_square(observations, beta, scatter)
    freedom = max(len(observations.materials) - len(beta), 1)
    covariance = _coefficient_covariance(adjusted, errors)
    if level is ErrorLevel.ESTIMATED:
        covariance = covariance * chi_square / freedom
    return Regression(
        observations=observations,
        level=level,
        coefficients=beta,
        covariance=covariance,
        scatter=scatter,
        residual=_residual(observations, beta),
        residual_covariance=errors.matrix,
        adjusted=adjusted,
        chi_square=chi_square,
        stated_chi_square=stated,
    )


def _coefficient_covariance(adjusted: FloatArray, errors: _Errors) -> FloatArray:
    """(X̂' V⁻¹ X̂)⁻¹ by way of QR."""
    (a,) = errors.whitened(adjusted)
    scale = np.linalg.norm(a, axis=0)
    inverse = solve_triangular(np.linalg.qr(a / scale).R, np.eye(a.shape[1]))
    return np.asarray(inverse @ inverse.T / np.outer(scale, scale))
