"""Poisson maximum likelihood with priors: Fisher scoring over one or many spectra that share parameters.

Definition   minimise D(p) = 2 Σ [μ - n + n ln(n/μ)] + (p - m)ᵀ P (p - m);
             step = (J W Jᵀ + P)⁻¹ [J (n - μ)/μ - P (p - m)], W = 1/μ; covariance of the estimates
             (J W Jᵀ + P)⁻¹ = C; a parameter at its lower bound that would go below is held there.
             C = C F C + C P C, F = J W Jᵀ: by the noise of the counts, and by the means m being only as good as P
             says. Of the first part, (F_aa)⁻¹ would remain if all but the parameters a without priors were known.
             S. Baker, R. D. Cousins, NIM 221 (1984) 437
Validation   tests/fit/test_solve.py: pulls of Poisson replicas, agreement with scipy.optimize.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from xrfree.errors import NotDeterminedError
from xrfree.fit.inputs import Prior
from xrfree.fit.model import Evaluation, SpectrumModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_ITERATIONS = 60
SMALLEST_EXPECTED = 1e-2
MOST_TRIALS = 6
_NEARLY_NOTHING = 1e-7
"""Information of the data over that of the prior below which a parameter is not worth a column."""
_SAME_OBJECTIVE = 1e-3
"""Rise of the objective that counts as none: a thirtieth of a standard uncertainty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointPrior:
    """A Gaussian prior of several parameters together: means and covariance in the order of `names`."""

    names: tuple[str, ...]
    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Estimates of all parameters.

    names : parameter names; those of one spectrum only carry its index in front ("3/area:La"), those of a group of
        spectra the group's name ("low/noise").
    own : per spectrum, its parameters by its own names, and their places in `names`.
    information, precision : F + P, and P of all priors, shape (n, n).
    evaluations : per spectrum, expected counts and derivatives in its window at the solution.
    expected : per spectrum, counts in its window.
    deviance : per spectrum, Poisson deviance without priors.
    steps : largest step of each iteration in units of the standard uncertainty.
    """

    names: tuple[str, ...]
    own: tuple[Mapping[str, int], ...]
    values: FloatArray
    covariance: FloatArray
    information: FloatArray
    precision: FloatArray
    evaluations: tuple[Evaluation, ...]
    expected: tuple[FloatArray, ...]
    deviance: tuple[float, ...]
    converged: bool
    steps: tuple[float, ...]

    def prior_part(self, index: Sequence[int]) -> FloatArray:
        """C P C of some parameters: what would be left of their covariance if the counts had no noise."""
        rows = self.covariance[list(index)]
        return np.asarray(rows @ self.precision @ rows.T)

    def counting_part(self, index: Sequence[int]) -> FloatArray:
        """(F_aa)⁻¹ of some parameters: their covariance if all others, and those with priors, were known."""
        free = (np.diag(self.covariance) > 0.0) & (np.diag(self.precision) == 0.0)
        own = [k for k, i in enumerate(index) if free[i]]
        block = self.information[np.ix_([index[k] for k in own], [index[k] for k in own])]
        size = 1.0 / np.sqrt(np.diag(block))
        part = np.zeros((len(index), len(index)))
        part[np.ix_(own, own)] = np.linalg.inv(block * size * size[:, None]) * size * size[:, None]
        return part

    def of(self, spectrum: int) -> dict[str, float]:
        """Parameter values as spectrum number `spectrum` sees them."""
        return {name: float(self.values[place]) for name, place in self.own[spectrum].items()}


def poisson_deviance(counts: FloatArray, expected: FloatArray) -> float:
    """D = 2 Σ [μ - n + n ln(n/μ)], terms with n = 0 being 2 μ."""
    some = counts > 0.0
    logs = np.zeros_like(counts)
    logs[some] = counts[some] * np.log(counts[some] / expected[some])
    return float(2.0 * np.sum(expected - counts + logs))


class Problem:
    """Index of the parameters of several models that share some of them."""

    def __init__(
        self,
        models: Sequence[SpectrumModel],
        shared: frozenset[str],
        priors: Sequence[JointPrior],
        held: frozenset[str] = frozenset(),
        grouped: frozenset[str] = frozenset(),
        groups: Sequence[str] = (),
    ) -> None:
        self.models = models
        self._shared, self._grouped, self._groups = shared, grouped, groups
        names: dict[str, int] = {}
        self.indices: list[IntArray] = []
        for k, model in enumerate(models):
            full = [self.full_name(k, name) for name in model.names]
            self.indices.append(np.array([names.setdefault(name, len(names)) for name in full]))
        self.names = tuple(names)
        self._place = names
        self.mean = np.zeros(len(names))
        self.precision = np.zeros((len(names), len(names)))
        self.fixed = np.zeros(len(names), dtype=bool)
        self.lower = np.full(len(names), -np.inf)
        self._own_priors()
        for prior in priors:
            self._joint_prior(prior)
        self.fixed[[names[name] for name in held]] = True

    def full_name(self, k: int, name: str) -> str:
        """A parameter of model k among those of all."""
        if name in self._shared:
            return name
        return f"{self._groups[k]}/{name}" if name in self._grouped else f"{k}/{name}"

    def _own_priors(self) -> None:
        for k, model in enumerate(self.models):
            for name in model.names:
                index = self._place[self.full_name(k, name)]
                self._set(index, model.prior(name))
                self.lower[index] = model.lower_bound(name)

    def _set(self, index: int, prior: Prior) -> None:
        self.mean[index] = prior.mean
        self.fixed[index] = prior.sigma == 0.0
        self.precision[index, index] = 0.0 if prior.sigma in (0.0, np.inf) else prior.sigma**-2

    def _joint_prior(self, prior: JointPrior) -> None:
        """Replace the single priors of the named parameters, in every spectrum that has them."""
        for k, model in enumerate(self.models):
            free = model.plan.free
            full = [self.full_name(k, name) for name in prior.names]
            known = [i for i, name in enumerate(full) if name in self._place and prior.names[i] not in free]
            if not known:
                continue
            index = [self._place[full[i]] for i in known]
            self.mean[index] = prior.mean[known]
            block = prior.covariance[np.ix_(known, known)]
            self.precision[np.ix_(index, index)] = linalg.pinvh(block)
            if set(full) <= self._shared:
                return

    def values_of(self, k: int, values: FloatArray) -> dict[str, float]:
        """Parameters of model k by its own names."""
        return dict(zip(self.models[k].names, values[self.indices[k]].tolist(), strict=True))


def solve(
    models: Sequence[SpectrumModel],
    *,
    shared: frozenset[str] = frozenset(),
    grouped: frozenset[str] = frozenset(),
    groups: Sequence[str] = (),
    priors: Sequence[JointPrior] = (),
    held: frozenset[str] = frozenset(),
    start: Mapping[str, float] | None = None,
    tolerance: float = 2e-3,
    after_step: Callable[[int, Sequence[dict[str, float]]], bool] | None = None,
) -> Solution:
    """Estimate all parameters of all models together.

    shared : names of parameters that all spectra have in common.
    grouped : names of parameters that all spectra of a group have in common; groups : per model, its group.
    priors : joint priors; they replace the models' own for the parameters they name.
    held : full names of parameters that stay at their prior means.
    start : first values by full name; linear parameters without one start from a weighted linear fit.
    tolerance : the iteration ends when no parameter moves by more of its standard uncertainty.
    after_step : called with the iteration number and every model's parameters; True says that it changed the models.

    Raises NotDeterminedError when a parameter is not determined by data and priors.
    """
    problem = Problem(models, shared, priors, held, grouped, groups)
    state = _evaluated(problem, _start_values(problem, start or {}))
    steps: list[float] = []
    covariance = information = np.zeros_like(problem.precision)
    for iteration in range(MAX_ITERATIONS):
        information, gradient = _normal_equations(problem, state)
        staying = problem.fixed | ((state.values <= problem.lower) & (gradient < 0.0))
        covariance = _inverse(information, problem, staying)
        step = covariance @ gradient
        sigma = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
        steps.append(float(np.max(np.abs(step[~staying]) / sigma[~staying], initial=0.0)))
        better = _damped(problem, state, step, gradient)
        if better is None:
            break
        state = better
        if steps[-1] < tolerance:
            break
        if after_step is not None and after_step(
            iteration, [problem.values_of(k, state.values) for k in range(len(models))]
        ):
            state = _evaluated(problem, state.values)
    if np.any(state.values <= problem.lower):
        covariance = _inverse(information, problem, problem.fixed)
    return _solution(problem, state, information, covariance, steps, converged=steps[-1] < tolerance)


def _start_values(problem: Problem, given: Mapping[str, float]) -> FloatArray:
    """First values: the given ones, else prior means with a linear fit of areas and background."""
    values = np.array(
        [
            mean if fixed else given.get(name, mean)
            for name, mean, fixed in zip(problem.names, problem.mean, problem.fixed, strict=True)
        ]
    )
    if not given:
        _linear_start(problem, values)
    return np.asarray(np.maximum(values, problem.lower))


def _solution(
    problem: Problem,
    state: _State,
    information: FloatArray,
    covariance: FloatArray,
    steps: Sequence[float],
    *,
    converged: bool,
) -> Solution:
    expected = tuple(np.maximum(e.expected, SMALLEST_EXPECTED) for e in state.evaluations)
    return Solution(
        names=problem.names,
        own=tuple(
            dict(zip(m.names, index.tolist(), strict=True))
            for m, index in zip(problem.models, problem.indices, strict=True)
        ),
        values=state.values,
        covariance=covariance,
        information=information,
        precision=problem.precision,
        evaluations=state.evaluations,
        expected=expected,
        deviance=tuple(poisson_deviance(m.counts, mu) for m, mu in zip(problem.models, expected, strict=True)),
        converged=converged,
        steps=tuple(steps),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Parameters with everything evaluated at them."""

    values: FloatArray
    evaluations: tuple[Evaluation, ...]
    objective: float


def _evaluated(problem: Problem, values: FloatArray) -> _State:
    evaluations = tuple(m.evaluate(problem.values_of(k, values)) for k, m in enumerate(problem.models))
    total = sum(
        poisson_deviance(m.counts, np.maximum(e.expected, SMALLEST_EXPECTED))
        for m, e in zip(problem.models, evaluations, strict=True)
    )
    away = values - problem.mean
    return _State(values=values, evaluations=evaluations, objective=total + float(away @ problem.precision @ away))


def variances_without(
    model: SpectrumModel,
    evaluation: Evaluation,
    values: Mapping[str, float],
    priors: Sequence[JointPrior],
    held: frozenset[str] = frozenset(),
) -> FloatArray:
    """Variance each group's area would have in a spectrum that is the same but for that group, shape (n_groups,).

    [(J W' Jᵀ + P)⁻¹]_gg, W' = 1/(μ - a_g j_g); the group's own line ratios do not change what is not there.
    """
    problem = Problem([model], frozenset(), priors, held)
    kept, precision = _that_matter(problem, evaluation)
    names = [model.names[i] for i in kept]
    jacobian = evaluation.jacobian[kept]
    tied = model.plan.tied_groups(model.templates.clusters)
    variances = np.zeros(len(model.templates.groups))
    for k, group in enumerate(model.templates.groups):
        if f"area:{group}" not in names:
            continue
        own = names.index(f"area:{group}")
        absent = evaluation.expected - values[f"area:{group}"] * jacobian[own]
        rows = model.evaluate({**values, f"area:{group}": 0.0}).jacobian[kept] if group in tied else jacobian
        weighted = rows / np.sqrt(np.maximum(absent, SMALLEST_EXPECTED))
        information = weighted @ weighted.T
        ratios = [] if group in tied else [i for i, name in enumerate(names) if name.startswith(f"ratio:{group}:")]
        information[ratios] = 0.0
        information[:, ratios] = 0.0
        information += precision
        size = 1.0 / np.sqrt(np.diag(information))
        unit = np.zeros(len(names))
        unit[own] = size[own]
        factor = _factor(information * size * size[:, None], names)
        solution = linalg.solve_triangular(factor, unit, lower=True, check_finite=False)
        variances[k] = solution @ solution
    return variances


def _that_matter(problem: Problem, evaluation: Evaluation) -> tuple[IntArray, FloatArray]:
    """Free parameters without those of which the prior knows nearly all, and the prior precision of the others.

    What is left out is integrated over its prior: P_kk - P_kd P_dd⁻¹ P_dk.
    """
    data = (evaluation.jacobian**2 / np.maximum(evaluation.expected, SMALLEST_EXPECTED)).sum(axis=1)
    known = data < _NEARLY_NOTHING * np.diag(problem.precision)
    kept, dropped = np.flatnonzero(~problem.fixed & ~known), np.flatnonzero(~problem.fixed & known)
    precision = problem.precision[np.ix_(kept, kept)]
    if dropped.size:
        across = problem.precision[np.ix_(kept, dropped)]
        precision = precision - across @ np.linalg.solve(problem.precision[np.ix_(dropped, dropped)], across.T)
    return kept, precision


def _linear_start(problem: Problem, values: FloatArray) -> None:
    """Areas and background from a least-squares fit weighted by 1/max(n, 1), everything else at its prior mean."""
    for k, model in enumerate(problem.models):
        free = ~problem.fixed[problem.indices[k]]
        linear = [i for i, n in enumerate(model.names) if free[i] and n.startswith(("area:", "continuum:", "tube:"))]
        own = problem.values_of(k, values)
        evaluation = model.evaluate(own)
        weight = 1.0 / np.sqrt(np.maximum(model.counts, 1.0))
        columns = evaluation.jacobian[linear] * weight
        size = np.maximum(np.linalg.norm(columns, axis=1), 1e-300)
        rest = (model.counts - evaluation.expected) * weight
        solution = np.linalg.lstsq((columns / size[:, None]).T, rest, rcond=1e-10)[0] / size
        values[problem.indices[k][linear]] += solution


def _normal_equations(problem: Problem, state: _State) -> tuple[FloatArray, FloatArray]:
    information = problem.precision.copy()
    gradient = -problem.precision @ (state.values - problem.mean)
    for index, model, evaluation in zip(problem.indices, problem.models, state.evaluations, strict=True):
        expected = np.maximum(evaluation.expected, SMALLEST_EXPECTED)
        weighted = evaluation.jacobian / np.sqrt(expected)
        information[np.ix_(index, index)] += weighted @ weighted.T
        gradient[index] += weighted @ ((model.counts - expected) / np.sqrt(expected))
    return information, gradient


def _scaled(
    information: FloatArray, problem: Problem, held: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Information over the free parameters in units that make its diagonal 1, these units, and which are free."""
    free = ~held
    block = information[np.ix_(free, free)]
    diagonal = np.diag(block)
    if not np.all(diagonal > 0.0) or not np.isfinite(block).all():
        worst = int(np.flatnonzero(free)[np.argmin(np.where(np.isfinite(diagonal), diagonal, -1.0))])
        raise NotDeterminedError(
            f"the data do not determine {in_words(problem.names[worst])}: nothing in the fitted range depends on it. "
            "Widen the range, fix the parameter, or take its element out of the method.",
            (problem.names[worst],),
        )
    size = 1.0 / np.sqrt(diagonal)
    return block * size * size[:, None], size, free


def _factor(scaled: FloatArray, names: Sequence[str]) -> FloatArray:
    try:
        return np.asarray(linalg.cholesky(scaled, lower=True, check_finite=False))
    except linalg.LinAlgError:
        raise _dependent(scaled, names) from None


def _inverse(information: FloatArray, problem: Problem, held: NDArray[np.bool_]) -> FloatArray:
    """Inverse of the information over the parameters that are not held, zero elsewhere."""
    scaled, size, free = _scaled(information, problem, held)
    names = [name for name, is_free in zip(problem.names, free, strict=True) if is_free]
    inverse = linalg.cho_solve((_factor(scaled, names), True), np.eye(size.size), check_finite=False)
    covariance = np.zeros_like(information)
    covariance[np.ix_(free, free)] = inverse * size * size[:, None]
    return covariance


def _dependent(scaled: FloatArray, names: Sequence[str]) -> NotDeterminedError:
    """Error naming the parameters that make the information singular."""
    vector = linalg.eigh(scaled)[1][:, 0]
    culprits = [names[i] for i in np.argsort(-np.abs(vector), kind="stable")[:3] if abs(vector[i]) > 0.2]
    return NotDeterminedError(
        f"the data cannot tell {' from '.join(map(in_words, culprits))}: fix one of them, or take one element out of "
        "the method",
        tuple(culprits),
    )


_WORDS = {
    "zero": "the energy offset",
    "gain": "the gain",
    "noise": "the electronic noise",
    "fano": "the Fano factor",
    "escape": "the escape yield",
    "pile_up": "the pile-up",
}


def in_words(name: str) -> str:
    """A parameter as a technician knows it: "0/area:La L" -> "the area of La L"."""
    number, _, own = name.rpartition("/")
    kind, _, rest = own.partition(":")
    if kind == "area":
        text = f"the area of {rest}"
    elif kind == "ratio":
        text = "the line ratio {1} of {0}".format(*rest.split(":", 1))
    elif rest == "floor":
        text = "the floor of the background"
    elif kind in ("continuum", "tube"):
        text = "the background" if kind == "continuum" else "the scattered tube lines"
        text += f" (term {int(rest) + 1})"
    else:
        text = _WORDS.get(own, f"the detector's {own.replace('_', ' ')}")
    return text if number in ("", "0") else f"{text} in spectrum {int(number) + 1}"


def _damped(problem: Problem, state: _State, step: FloatArray, gradient: FloatArray) -> _State | None:
    """Full step, or a part of it that does not raise the objective; None if there is none.

    The part is where the parabola through the objective here, its slope, and the objective there has its minimum.
    """
    slope = 2.0 * float(gradient @ step)
    fraction = 1.0
    for _ in range(MOST_TRIALS):
        trial = _evaluated(problem, np.maximum(state.values + fraction * step, problem.lower))
        if np.isfinite(trial.objective) and trial.objective <= state.objective + _SAME_OBJECTIVE:
            return trial
        rise = trial.objective - state.objective if np.isfinite(trial.objective) else np.inf
        fraction *= float(np.clip(0.5 * fraction * slope / (rise + fraction * slope), 0.1, 0.5))
    return None
