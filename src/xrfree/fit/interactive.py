"""The fit for a scientist: every quantity of the model is an lmfit parameter to free, tie and bound by name.

Definition   Model and priors are those of `fit_spectrum`; counts n with expectation μ, priors of mean m and precision
             P. Weighted least squares Σ (n - μ)²/μ' + (p - m)ᵀ P (p - m) with μ' the expectation of the round before:
             when the rounds settle, the score Σ (∂μ/∂p)(n - μ)/μ - P (p - m) is 0, that is Poisson maximum likelihood,
             and the covariance of the least squares is the inverse of the Fisher information.
             A. Charnes, E. L. Frome, P. L. Yu, J. Am. Stat. Assoc. 71 (1976) 169
Validation   tests/fit/test_interactive.py: the same estimates and covariance as `fit_spectrum`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from xrfree.errors import DomainError, FitError, NotConvergedError
from xrfree.fit.inputs import FitSettings, Prior, Templates
from xrfree.fit.model import RESPONSE_PARAMETERS, Evaluation, SpectrumModel
from xrfree.fit.region import renewing, solved_where_determined
from xrfree.fit.solve import SMALLEST_EXPECTED, JointPrior, Problem, poisson_deviance, solve
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

MOST_ROUNDS = 30
_SETTLED = 1e-5
"""Largest change of a parameter between rounds, in standard uncertainties, with which they end."""
_STEP = 1e-6
_MOST_EVALUATIONS = 200
_CULPRIT = 0.3
"""Least part in the combination of parameters that is not determined for a parameter to be named."""


def parameter_label(name: str) -> str:
    """Name of a parameter in lmfit: "ratio:La L:L2-M4,5" -> "ratio_La_L_L2_M4_5"."""
    return re.sub(r"[^0-9A-Za-z]+", "_", name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InteractiveResult:
    """What an interactive fit found.

    groups, area, covariance : as in `NetAreas`; values : all parameters by the names of `SpectrumModel`.
    deviance, reduced_deviance : of the counts, without priors.
    energy_kev, counts, expected : shape (n_channels_in_fit,) each.
    lmfit : the `MinimizerResult` of the last round: parameters, correlations, statistics.
    """

    groups: tuple[str, ...]
    area: FloatArray
    covariance: FloatArray
    values: Mapping[str, float]
    deviance: float
    reduced_deviance: float
    energy_kev: FloatArray
    counts: FloatArray
    expected: FloatArray
    lmfit: Any

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Of the areas, counts."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def report(self, *, least_correlation: float = 0.3) -> str:
        """Fit report: deviance, then parameters with uncertainties and correlations as lmfit writes them."""
        import lmfit

        head = f"Poisson deviance {self.deviance:.1f}, {self.reduced_deviance:.3f} per degree of freedom"
        return f"{head}\n{lmfit.fit_report(self.lmfit, min_correl=least_correlation)}"


class InteractiveFit:
    """One spectrum with its model, and all parameters to be changed before the next fit.

    parameters : `lmfit.Parameters`, named by `parameter_label`: "area_La_L", "ratio_La_L_L2_M4_5", "continuum_0",
        "zero", "gain", "noise", "fano", "escape", "pile_up", "tail_share" ... in the units of `SpectrumModel`. Terms of
        the response that the settings do not name stand at 0 and are fixed; `vary`, `min`, `max` and `expr` of all are
        free to choose. A fit starts from their values, and leaves in them what it found.
    """

    def __init__(
        self,
        spectrum: Spectrum,
        templates: Templates,
        *,
        response: Response,
        crystal: str,
        settings: FitSettings,
        priors: Sequence[JointPrior] = (),
        offset: FloatArray | None = None,
    ) -> None:
        fixed = {name: Prior(mean=0.0, sigma=0.0) for name in ("escape", "pile_up", *RESPONSE_PARAMETERS)}
        everything = replace(settings, priors={**fixed, **settings.priors})
        self.model = SpectrumModel(spectrum, templates, response, crystal, everything, spectrum.energy_scale, offset)
        solution, undetermined = solved_where_determined(
            lambda held: solve([self.model], priors=priors, held=held, after_step=renewing(self.model, {}))
        )
        self._problem = Problem([self.model], frozenset(), priors, undetermined.held)
        self._known = np.flatnonzero(np.diag(self._problem.precision) > 0.0)
        self._root = linalg.cholesky(self._problem.precision[np.ix_(self._known, self._known)])
        self._labels = tuple(map(parameter_label, self.model.names))
        if len(set(self._labels)) != len(self._labels):
            raise DomainError("two parameters of the fit would have the same name in lmfit; rename a line group")
        self.parameters = self._first_parameters(solution.values)

    def _first_parameters(self, values: FloatArray) -> Any:
        import lmfit

        parameters = lmfit.Parameters()
        for name, label, value, fixed in zip(
            self.model.names, self._labels, values.tolist(), self._problem.fixed, strict=True
        ):
            parameters.add(label, value=value, vary=not fixed, min=self.model.lower_bound(name))
        return parameters

    def free(self, *labels: str) -> None:
        """Let parameters vary, whatever tied or fixed them; their priors, if they have any, stay."""
        for label in labels:
            self._parameter(label).set(vary=True, expr="")

    def fix(self, label: str, value: float | None = None) -> None:
        """Hold a parameter at a value, or where it is."""
        self._parameter(label).set(value=value, vary=False, expr="")

    def tie(self, label: str, expression: str) -> None:
        """Make a parameter an expression of others: tie("ratio_Pr_L_L2", "ratio_Ce_L_L2")."""
        self._parameter(label).set(expr=expression)

    def _parameter(self, label: str) -> Any:
        if label not in self.parameters:
            raise DomainError(f"there is no parameter '{label}'; there are {', '.join(self.parameters)}")
        return self.parameters[label]

    def evaluate(self) -> Evaluation:
        """Expected counts and derivatives at the present parameters."""
        return self.model.evaluate(self._values(self.parameters))

    def fit(self) -> InteractiveResult:
        """Fit from the present parameters.

        Raises NotConvergedError when the rounds do not settle, FitError for a parameter that the data leave open.
        """
        import lmfit

        before = self._vector(self.parameters)
        renew = renewing(self.model, {})
        steps: list[float] = []
        for number in range(MOST_ROUNDS):
            weight = 1.0 / np.sqrt(np.maximum(self.evaluate().expected, SMALLEST_EXPECTED))
            found = lmfit.minimize(
                self._residual,
                self.parameters,
                args=(weight,),
                method="least_squares",
                scale_covar=False,
                jac=self._derivatives,
                x_scale="jac",
                xtol=1e-12,
                ftol=1e-12,
                gtol=1e-12,
                max_nfev=_MOST_EVALUATIONS,
            )
            self.parameters = found.params
            covariance = self._covariance(weight)
            sigma = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
            now = self._vector(self.parameters)
            varied = sigma > 1e-140
            steps.append(float(np.max(np.abs(now - before)[varied] / sigma[varied], initial=0.0)))
            before = now
            if not renew(number, [self._values(self.parameters)]) and steps[-1] < _SETTLED:
                return self._result(found, covariance)
        raise NotConvergedError(
            f"the interactive fit still moved by {steps[-1]:.2g} standard uncertainties after {MOST_ROUNDS} rounds; "
            "fix or bound a parameter",
            tuple(steps),
        )

    def _vector(self, parameters: Any) -> FloatArray:
        return np.array([float(parameters[label].value) for label in self._labels])

    def _values(self, parameters: Any) -> dict[str, float]:
        return dict(zip(self.model.names, self._vector(parameters).tolist(), strict=True))

    def _residual(self, parameters: Any, weight: FloatArray) -> FloatArray:
        expected = self.model.evaluate(self._values(parameters)).expected
        away = self._vector(parameters) - self._problem.mean
        return np.concatenate([(expected - self.model.counts) * weight, self._root @ away[self._known]])

    def _derivatives(self, parameters: Any, weight: FloatArray) -> FloatArray:
        """Of the residual by the parameters that vary, shape (n_residuals, n_varied)."""
        jacobian = self.model.evaluate(self._values(parameters)).jacobian * weight
        priors = np.zeros((len(self._labels), self._known.size))
        priors[self._known] = self._root.T
        return np.asarray(np.concatenate([jacobian, priors], axis=1).T @ self._all_by_varied(parameters))

    def _varied(self, parameters: Any) -> list[str]:
        return [label for label, p in parameters.items() if p.vary and not p.expr]

    def _all_by_varied(self, parameters: Any) -> FloatArray:
        """Derivatives of all parameters by those that vary, shape (n_parameters, n_varied)."""
        varied = self._varied(parameters)
        by = np.zeros((len(self._labels), len(varied)))
        own = [(self._labels.index(label), k) for k, label in enumerate(varied) if label in self._labels]
        by[tuple(np.array(own).T)] = 1.0
        tied = [i for i, label in enumerate(self._labels) if parameters[label].expr]
        if not tied:
            return by
        moved = parameters.copy()
        for k, label in enumerate(varied):
            value = float(parameters[label].value)
            step = _STEP * max(abs(value), 1e-3)
            ends = []
            for sign in (1.0, -1.0):
                moved[label].set(value=value + sign * step)
                moved.update_constraints()
                ends.append(self._vector(moved))
            moved[label].set(value=value)
            by[tied, k] = ((ends[0] - ends[1]) / (2.0 * step))[tied]
        return by

    def _covariance(self, weight: FloatArray) -> FloatArray:
        """Of all parameters, through the expressions that tie them."""
        rows = self._derivatives(self.parameters, weight)
        size = 1.0 / np.maximum(np.linalg.norm(rows, axis=0), 1e-300)
        scaled = (rows * size).T @ (rows * size)
        try:
            inverse = linalg.cho_solve(linalg.cho_factor(scaled), np.eye(size.size))
        except linalg.LinAlgError:
            vector = np.abs(linalg.eigh(scaled)[1][:, 0])
            culprits = [f"{label} = {self.parameters[label].value:.3g}" for label in self._varied(self.parameters)]
            named = " and ".join(culprits[i] for i in np.argsort(-vector)[:2] if vector[i] > _CULPRIT)
            raise FitError(f"the data do not determine {named}; fix or bound it, or give it a prior") from None
        by = self._all_by_varied(self.parameters)
        return np.asarray(by @ (inverse * size * size[:, None]) @ by.T)

    def _result(self, found: Any, covariance: FloatArray) -> InteractiveResult:
        model, values = self.model, self._values(found.params)
        index = [model.names.index(f"area:{group}") for group in model.templates.groups]
        expected = np.maximum(model.evaluate(values).expected, SMALLEST_EXPECTED)
        deviance = poisson_deviance(model.counts, expected)
        edges = model.edges(values)
        return InteractiveResult(
            groups=model.templates.groups,
            area=np.array([values[f"area:{group}"] for group in model.templates.groups]),
            covariance=covariance[np.ix_(index, index)],
            values=values,
            deviance=deviance,
            reduced_deviance=deviance / max(model.counts.size - len(index), 1),
            energy_kev=(0.5 * (edges[1:] + edges[:-1]))[model.inside],
            counts=model.counts,
            expected=expected,
            lmfit=found,
        )


def interactive_fit(
    spectrum: Spectrum,
    templates: Templates,
    *,
    response: Response,
    crystal: str,
    settings: FitSettings,
    priors: Sequence[JointPrior] = (),
    offset: FloatArray | None = None,
) -> InteractiveFit:
    """The model of `fit_spectrum` at its best fit, with all parameters open to be freed, tied and bounded by name.

    Takes what `fit_spectrum` takes. Change `parameters` (`free`, `fix`, `tie`, or lmfit's own ways), then call `fit`:

        fit = interactive_fit(spectrum, templates, response=response, crystal="Si", settings=settings)
        fit.free("tail_share")
        fit.tie("ratio_Pr_L_L2_M4_5", "ratio_Ce_L_L2_M4_5")
        print(fit.fit().report())

    Raises FitError where nothing can be fitted; `fit` where the data do not determine what was freed.
    """
    return InteractiveFit(
        spectrum,
        templates,
        response=response,
        crystal=crystal,
        settings=settings,
        priors=priors,
        offset=offset,
    )
