"""Uncertainty of quantities computed from correlated results: by derivatives, and by Monte Carlo.

Sources      JCGM 100:2008 (GUM) 5.2, G.4; JCGM 101:2008 (GUM supplement 1) 7 and 8; JCGM 102:2011.
Validation   tests/quality/test_propagation.py: GUM H.1 and H.2, supplement 1 9.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]
Model = Callable[[FloatArray], FloatArray]
"""Outputs, shape (..., n_outputs), of inputs, shape (..., n_inputs)."""

_STEP = 1e-3
"""Of a numerical derivative, in standard uncertainties of its input."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Propagated:
    """Outputs with their covariance; low and high are coverage limits, None where none were computed."""

    value: FloatArray
    covariance: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal."""
        return np.sqrt(np.diag(self.covariance))


def checked_covariance(covariance: ArrayLike, n: int) -> FloatArray:
    """A covariance of n quantities as an array; DomainError if it is none (uneven, or a negative variance)."""
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise DomainError(f"{n} quantities need a finite covariance of shape {(n, n)}, got {matrix.shape}")
    size = float(np.max(np.abs(matrix), initial=0.0))
    if np.max(np.abs(matrix - matrix.T), initial=0.0) > _ROUNDING * size:
        raise DomainError("a covariance matrix is symmetric, this one is not")
    if np.min(np.linalg.eigvalsh(matrix), initial=0.0) < -_ROUNDING * size:
        raise DomainError("a covariance matrix has no negative variance in any direction, this one has")
    return matrix


def propagate(model: Model, value: ArrayLike, covariance: ArrayLike) -> Propagated:
    """Outputs of any model, linearised: U_y = J U_x Jᵀ, J by central differences of a fraction of u(x).

    Source: JCGM 102:2011, 6.2.
    """
    x = np.asarray(value, dtype=np.float64)
    matrix = checked_covariance(covariance, x.size)
    steps = _STEP * np.sqrt(np.maximum(np.diag(matrix), 0.0))
    columns = []
    for k, step in enumerate(steps):
        if step == 0.0:
            columns.append(np.zeros_like(np.atleast_1d(model(x))))
            continue
        moved = np.zeros_like(x)
        moved[k] = step
        columns.append(np.atleast_1d(model(x + moved) - model(x - moved)) / (2.0 * step))
    jacobian = np.stack(columns, axis=-1)
    return Propagated(value=np.atleast_1d(model(x)), covariance=jacobian @ matrix @ jacobian.T)


def monte_carlo(
    model: Model,
    value: ArrayLike,
    covariance: ArrayLike,
    *,
    trials: int = 200_000,
    seed: int = 1,
    coverage: float = 0.95,
) -> Propagated:
    """Outputs of any model by propagating a normal distribution of the inputs; limits are symmetric in probability.

    Source: JCGM 101:2008, 6.4.8 (multivariate normal), 7.

    Raises DomainError for fewer than 1000 trials or a coverage outside 0 to 1.
    """
    x = np.asarray(value, dtype=np.float64)
    matrix = checked_covariance(covariance, x.size)
    draws = x + np.random.default_rng(seed).standard_normal((_checked_trials(trials), x.size)) @ _root(matrix)
    return from_draws(model(draws), coverage=coverage)


def from_draws(outputs: ArrayLike, *, coverage: float = 0.95) -> Propagated:
    """Mean, covariance and coverage limits of drawn outputs, shape (n_trials, n_outputs) or (n_trials,)."""
    if not 0.0 < coverage < 1.0:
        raise DomainError(f"coverage is {coverage}, expected a number between 0 and 1")
    y = np.asarray(outputs, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    _checked_trials(y.shape[0])
    if not np.isfinite(y).all():
        raise DomainError("some trials gave no finite number: the model is not defined for inputs that may be true")
    low, high = np.quantile(y, [0.5 - coverage / 2.0, 0.5 + coverage / 2.0], axis=0)
    return Propagated(value=y.mean(axis=0), covariance=np.atleast_2d(np.cov(y, rowvar=False)), low=low, high=high)


def _checked_trials(trials: int) -> int:
    if trials < 1000:
        raise DomainError(f"{trials} trials are too few for a distribution, take 1000 or more")
    return trials


def _root(covariance: FloatArray) -> FloatArray:
    """R with Rᵀ R = U, also for covariances without full rank."""
    variance, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(variance, 0.0))).T)


def effective_degrees_of_freedom(uncertainties: ArrayLike, degrees_of_freedom: ArrayLike) -> float:
    """Degrees of freedom of a combined uncertainty: ν = u_c⁴ / Σ u_i⁴/ν_i  Welch-Satterthwaite, GUM G.4.1.

    degrees_of_freedom : infinite for uncertainties that are known exactly.
    """
    u, nu = np.asarray(uncertainties, dtype=np.float64), np.asarray(degrees_of_freedom, dtype=np.float64)
    if u.shape != nu.shape or np.any(u < 0.0) or np.any(nu <= 0.0):
        raise DomainError("each uncertainty (0 or more) needs its degrees of freedom (above 0)")
    below = float(np.sum(u**4 / nu))
    return float(np.sum(u**2)) ** 2 / below if below > 0.0 else float("inf")
