"""Many spectra of one instrument fitted together: one set of line shapes, one compiled loop over the spectra.

Definition   The sum of all spectra is fitted first. At its energy scale and resolution the shapes of all columns are
             expanded (`kernels.block`), and every spectrum is fitted with the expansion. Spectra whose energy scale or
             resolution lies too far away are sorted and fitted with expansions of their own.
Validation   tests/fit/test_block.py: the same numbers as `fit_spectrum`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrfree.areas import FitVerdict
from xrfree.errors import DomainError, FitError
from xrfree.fit.inputs import FitSettings, Templates
from xrfree.fit.model import SpectrumModel, moved_response
from xrfree.fit.pile_up import SAME_PAIRS, pile_up_in
from xrfree.fit.region import (
    FEWEST_COUNTS,
    LEAST_SURVIVAL,
    Undetermined,
    renewing,
    solved_where_determined,
    too_fast,
    too_few,
    verdict_of,
)
from xrfree.fit.response import moves
from xrfree.fit.solve import JointPrior, Problem, solve
from xrfree.instrument import PAIR_ENERGY_KEV, Response
from xrfree.kernels.block import covariances_alone, fit_block, fit_linear_block
from xrfree.method import Background
from xrfree.plausibility import full_channel_note
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK = 32
"""Spectra that are worked on at a time: memory does not grow with their number."""
MOST_ITERATIONS = 40
TOLERANCE = 0.05
"""Length of the step, in standard uncertainties, with which a fit ends: the next would be a hundredth of it."""
_MOST_RENEWALS = 4
_MOST_LEVELS = 3
_FAR_SHIFT, _FAR_WIDTH, _FAR_ESCAPE = 0.15, 0.05, 0.2
"""Shift over σ, relative change of σ², and of escape, from the reference beyond which another one is made."""
MOST_LINEAR_ITERATIONS = 12
_SEGMENT = 112
_STEP_KEV = 2e-3
_LEAST_COUNTS = 1e-10
"""Share of a column's counts below which a channel does not belong to it."""
_LINEAR = ("area:", "continuum:", "tube:")
_SPECIAL = ("zero", "gain", "noise", "fano", "escape", "pile_up")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockFit:
    """Areas and other parameters of many spectra.

    groups : line groups; area : shape (n_spectra, n_groups), counts; covariance, counting_covariance,
        response_covariance : shape (n_spectra, n_groups, n_groups), see `NetAreas`.
    names : all parameters; values, standard_uncertainty : shape (n_spectra, n_parameters).
    reduced_deviance : shape (n_spectra,); verdicts, reasons : what each fit is worth, and why.
    """

    groups: tuple[str, ...]
    area: FloatArray
    covariance: FloatArray
    counting_covariance: FloatArray
    response_covariance: FloatArray
    names: tuple[str, ...]
    values: FloatArray
    standard_uncertainty: FloatArray
    reduced_deviance: FloatArray
    verdicts: tuple[FitVerdict, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Columns of a block: what `kernels.block.fit_block` needs of the model; see there."""

    fields: FloatArray
    first: IntArray
    last: IntArray
    linear: IntArray
    ratio: IntArray
    unit: FloatArray
    n_lines: int


def fit_spectra(
    counts: ArrayLike,
    templates: Templates,
    *,
    live_time_s: ArrayLike,
    energy_scale: EnergyScale,
    response: Response,
    crystal: str,
    settings: FitSettings,
    priors: Sequence[JointPrior] = (),
) -> BlockFit:
    """Fit one region of many spectra of one instrument as `fit_spectrum` does, with covariances.

    counts : shape (n_spectra, n_channels); live_time_s : of each, or of all.
    templates : the same lines and scattered light for all spectra: of one kind of specimen.
    settings, priors : those of areas and background in counts of one spectrum.

    Raises FitError when the sum of all spectra cannot be fitted, and DomainError for response parameters that only an
    instrument calibration frees.
    """
    table = np.asarray(counts)
    if table.ndim != 2:
        raise DomainError(f"counts of many spectra need two dimensions, got shape {table.shape}")
    times = np.broadcast_to(np.asarray(live_time_s, dtype=np.float64), table.shape[:1])
    whole = Spectrum(
        counts=table.sum(axis=0, dtype=np.int64),
        live_time_s=float(times.sum()),
        real_time_s=float(times.sum()),
        energy_scale=energy_scale,
        condition=ExcitationCondition(name="sum of spectra"),
    )
    model = SpectrumModel(whole, templates, response, crystal, settings, energy_scale)
    if settings.background is Background.SNIP:
        raise DomainError("clipped backgrounds (snip) belong to single spectra; fit these with fit_spectrum")
    if model.free_response:
        raise DomainError(f"{', '.join(model.free_response)}: spectra in blocks share a calibrated response")
    if model.counts.sum() < FEWEST_COUNTS:
        raise FitError(
            f"all spectra together hold {model.counts.sum():.0f} counts, at least {FEWEST_COUNTS} are needed"
        )
    n = table.shape[0]
    total = SpectrumModel(whole, templates, response, crystal, _settings_of_sum(settings, n), energy_scale)
    of_sum = [_prior_of_sum(prior, n) for prior in priors]
    solution, undetermined = solved_where_determined(
        lambda held: solve([total], priors=of_sum, held=held, after_step=renewing(total, {}))
    )
    problem = Problem([model], frozenset(), priors, undetermined.held)
    task = _Task(model=model, problem=problem, reference=solution.of(0))
    result = _Part.empty(table.shape[0], len(model.names), len(templates.groups))
    task.fit(result, table, times, np.arange(table.shape[0]))
    _fit_far(task, result, table, times)
    return task.judged(result, undetermined, _saturation(table, times, response))


def _settings_of_sum(settings: FitSettings, n: int) -> FitSettings:
    """The settings with priors of counts for a sum of n spectra."""
    priors = {
        name: replace(prior, mean=n * prior.mean, sigma=n * prior.sigma) if name.startswith(_LINEAR) else prior
        for name, prior in settings.priors.items()
    }
    return replace(settings, priors=priors)


def _prior_of_sum(prior: JointPrior, n: int) -> JointPrior:
    unit = np.array([float(n) if name.startswith(_LINEAR) else 1.0 for name in prior.names])
    return replace(prior, mean=prior.mean * unit, covariance=prior.covariance * np.outer(unit, unit))


def _fit_far(task: _Task, result: _Part, table: NDArray[np.generic], times: FloatArray) -> None:
    """Fit again what lies too far from the reference, neighbours in energy scale together; the last alone."""
    for level in range(_MOST_LEVELS):
        far = np.flatnonzero(task.far(result.values, result.reference))
        if not far.size:
            return
        middle = task.shift_of(result.values[far])
        order = far[np.argsort(middle, kind="stable")]
        number = np.floor(np.sort(middle, kind="stable") / _FAR_SHIFT) if level < _MOST_LEVELS - 1 else far
        for k in np.unique(number):
            some = order[number == k]
            values = np.median(result.values[some], axis=0)
            if not np.isfinite(values).all():
                continue
            reference = dict(zip(task.model.names, values.tolist(), strict=True))
            near = _Task(model=task.model, problem=task.problem, reference=reference)
            near.fit(result, table, times, some)


def _saturation(table: NDArray[np.generic], times: FloatArray, response: Response) -> list[str]:
    """Why counts are missing in each spectrum; empty where none are."""
    survival = np.exp(-response.pulse_pair_time_s * table.sum(axis=1) / times)
    highest = table.max(axis=1)
    return [
        "; ".join(filter(None, (full_channel_note(int(top)), too_fast(left) if left < LEAST_SURVIVAL else "")))
        for top, left in zip(highest, survival.tolist(), strict=True)
    ]


class _Task:
    """One model, expanded at a reference, and the work on one block of spectra after another."""

    def __init__(self, *, model: SpectrumModel, problem: Problem, reference: dict[str, float]) -> None:
        self.model = model
        self.problem = problem
        self.reference = reference
        self.start = np.array([reference[name] for name in model.names])
        self.response = moved_response(model.response, reference)
        self.is_linear = np.array([name.startswith(_LINEAR) for name in model.names])
        self.special = np.array([model.names.index(n) if n in model.names else -1 for n in _SPECIAL])
        self.areas = [model.names.index(f"area:{g}") for g in model.templates.groups]
        self.linear = _linear_part(self)

    @cached_property
    def columns(self) -> _Columns:
        """Columns expanded at the reference."""
        return _expanded(self.model, self.problem, self.reference, self.response)

    def fit(self, result: _Part, table: NDArray[np.generic], times: FloatArray, which: IntArray) -> None:
        """Fit the spectra with the numbers `which`, block by block, into `result`."""
        for k in range(0, which.size, BLOCK):
            some = which[k : k + BLOCK]
            part = result.taken(some)
            self._fit_block(part, np.asarray(table[some], dtype=np.float64), times[some])
            result.put(some, part)

    def _fit_block(self, part: _Part, counts: FloatArray, times: FloatArray) -> None:
        model = self.model
        seen = np.ascontiguousarray(counts[:, model.span])
        part.fitted_counts[:] = seen[:, model.inside].sum(axis=1)
        share = part.fitted_counts / max(float(model.counts.sum()), 1.0)
        fresh = np.isnan(part.values[:, 0])
        part.values[fresh] = self.start
        part.values[np.ix_(fresh, self.is_linear)] *= share[fresh, None]
        part.reference[:] = self.start
        pairs = self._pile_up(part, counts, times)
        pending = np.ones(seen.shape[0], dtype=bool)
        if self.linear is not None:
            self.linear.fit(part, seen, pairs)
            pending = ~(part.largest_step < TOLERANCE)
            part.values[pending] = self.start
            part.values[np.ix_(pending, self.is_linear)] *= share[pending, None]
        for _ in range(_MOST_RENEWALS):
            if not pending.any():
                break
            some = part.taken(pending)
            before = some.values.copy()
            self._run(some, seen[pending], pairs[pending])
            part.put(pending, some)
            pending[pending] = self._paired_otherwise(some.values, before)
            if pending.any():
                pairs[pending] = self._pile_up(part.taken(pending), counts[pending], times[pending])
        part.deviance[:] = part.deviance / max(model.counts.size - len(self.areas), 1)

    def _paired_otherwise(self, values: FloatArray, paired: FloatArray) -> NDArray[np.bool_]:
        """Whether parameters moved so far since the pile-up was made that it is another one."""
        if self.model.response.pulse_pair_time_s == 0.0:
            return np.zeros(values.shape[0], dtype=bool)
        index = [self.model.names.index(name) for name in SAME_PAIRS if name in self.model.names]
        same = np.array([SAME_PAIRS[self.model.names[k]] for k in index])
        return np.asarray(np.any(np.abs(values - paired)[:, index] >= same, axis=1))

    def shift_of(self, values: FloatArray) -> FloatArray:
        """Shift of the energy scale in the middle of the fitted channels over σ there, shape (n_spectra,)."""
        model = self.model
        channel = 0.5 * (model.span.start + model.span.stop)
        shift = values[:, self.special[0]] + values[:, self.special[1]] * model.scale.gain_kev * channel
        energy = np.atleast_1d(model.scale.energy_kev(channel))
        return np.asarray(shift / self.response.sigma_kev(energy, model.crystal))

    def far(self, values: FloatArray, reference: FloatArray) -> NDArray[np.bool_]:
        """Whether energy scale, width or escape lie so far from their reference that the expansion is too coarse."""
        model = self.model
        ends = model.scale.gain_kev * np.array([model.span.start, model.span.stop])
        z, g, n, f, e, _ = (
            (values - reference)[:, k, None] if k >= 0 else np.zeros((values.shape[0], 1)) for k in self.special
        )
        energy = model.edges(self.reference)[[0, -1]]
        variance = self.response.sigma_kev(energy, model.crystal) ** 2
        shift = np.abs(z + g * ends) / np.sqrt(variance)
        wider = n * model.response.noise_kev**2 + f * model.response.fano * PAIR_ENERGY_KEV[model.crystal] * energy
        coarse = (shift > _FAR_SHIFT) | (np.abs(wider) > _FAR_WIDTH * variance) | (np.abs(e) > _FAR_ESCAPE)
        return np.asarray(np.any(coarse, axis=1))

    def _run(self, part: _Part, counts: FloatArray, pairs: FloatArray) -> None:
        model, columns, problem = self.model, self.columns, self.problem
        channel = np.arange(model.span.start, model.span.stop + 1, dtype=np.float64) - 0.5
        response = model.response
        covariance = np.zeros((counts.shape[0], len(self.areas), len(model.names)))
        information, scale = _information(*part.values.shape)
        fit_block(
            part.values,
            part.sigma,
            covariance,
            information,
            scale,
            part.deviance,
            part.largest_step,
            counts,
            pairs,
            model.inside.astype(np.float64),
            columns.fields,
            columns.first,
            columns.last,
            channel,
            model.edges(self.reference),
            columns.linear,
            columns.ratio,
            columns.unit,
            columns.n_lines,
            self.special,
            np.array([self.reference.get(name, 0.0) for name in _SPECIAL[:5]]),
            np.array(
                [
                    model.scale.gain_kev,
                    response.noise_kev**2,
                    response.fano * PAIR_ENERGY_KEV[model.crystal],
                    response.escape_scale,
                ]
            ),
            problem.mean,
            problem.precision,
            problem.fixed,
            problem.lower,
            TOLERANCE,
            MOST_ITERATIONS,
        )
        own = without_prior(problem.precision, problem.fixed, len(self.areas))
        covariances_alone(part.counting_covariance, own, information, scale)
        part.take_covariance(covariance, problem.precision)

    def _pile_up(self, part: _Part, counts: FloatArray, times: FloatArray) -> FloatArray:
        """Pile-up in the fitted channels for the stated pulse-pair time, as `SpectrumModel` has it."""
        model = self.model
        if model.response.pulse_pair_time_s == 0.0:
            return np.zeros((counts.shape[0], model.inside.size))
        zero, gain, noise, pile_up = (
            part.values[:, k] if k >= 0 else np.zeros(times.size) for k in self.special[[0, 1, 2, 5]]
        )
        gain_kev = model.scale.gain_kev * (1.0 + gain)
        stated = model.response.pulse_pair_time_s
        shape = pile_up_in(
            counts,
            model.response.noise_kev * np.sqrt(1.0 + noise) / gain_kev,
            times,
            stated * (1.0 + pile_up),
            (model.scale.zero_kev + zero) / gain_kev,
            model.span.stop,
        )
        return np.ascontiguousarray(stated * shape[:, model.span])

    def judged(self, result: _Part, undetermined: Undetermined, saturation: list[str]) -> BlockFit:
        """All spectra with their verdicts; saturation : why counts are missing in each, empty where none are."""
        model = self.model
        result.covariance[:] += np.diag(undetermined.variance(model, "0/"))
        judged = [
            (FitVerdict.TOO_FEW_COUNTS, too_few(counts))
            if counts < FEWEST_COUNTS
            else verdict_of(
                dict(zip(model.names, values.tolist(), strict=True)),
                model,
                float(reduced),
                converged=bool(step < TOLERANCE),
                saturation=full,
                undetermined=undetermined,
            )
            for counts, values, reduced, step, full in zip(
                result.fitted_counts, result.values, result.deviance, result.largest_step, saturation, strict=True
            )
        ]
        return BlockFit(
            groups=model.templates.groups,
            area=result.values[:, self.areas],
            covariance=result.covariance,
            counting_covariance=result.counting_covariance,
            response_covariance=result.response_covariance,
            names=model.names,
            values=result.values,
            standard_uncertainty=result.sigma,
            reduced_deviance=result.deviance,
            verdicts=tuple(verdict for verdict, _ in judged),
            reasons=tuple(reason for _, reason in judged),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinearPart:
    """Fixed columns of the linear parameters `place`, also transposed, and their products by segments of channels."""

    place: IntArray
    inside: NDArray[np.bool_]
    columns: FloatArray
    by_channel: FloatArray
    products: FloatArray
    pair: IntArray
    segment_row: IntArray
    mean: FloatArray
    precision: FloatArray

    def fit(self, part: _Part, counts: FloatArray, pairs: FloatArray) -> None:
        """Fit one block; what does not converge is left for the general fit."""
        n_used = int(np.count_nonzero(self.inside))
        padding = np.zeros((self.columns.shape[1] - n_used, counts.shape[0]))
        seen = np.concatenate([counts[:, self.inside].T, padding])
        expected = np.empty_like(seen)
        values = np.ascontiguousarray(part.values[:, self.place])
        sigma = np.zeros_like(values)
        covariance = np.zeros((values.shape[0], part.covariance.shape[1], values.shape[1]))
        information, scale = _information(*values.shape)
        fit_linear_block(
            values,
            sigma,
            covariance,
            information,
            scale,
            expected,
            part.largest_step,
            seen,
            np.concatenate([pairs[:, self.inside].T, padding]),
            self.columns,
            self.by_channel,
            self.products,
            self.pair,
            self.segment_row,
            self.mean,
            self.precision,
            TOLERANCE,
            MOST_LINEAR_ITERATIONS,
        )
        own = without_prior(self.precision, np.zeros(self.place.size, dtype=bool), part.covariance.shape[1])
        covariances_alone(part.counting_covariance, own, information, scale)
        part.values[:, self.place] = values
        part.sigma[:, self.place] = sigma
        part.take_covariance(covariance, self.precision)
        part.deviance[:] = _deviances(seen[:n_used], expected[:n_used])


def _information(n_spectra: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Room for the information on n parameters of every spectrum and for its units, as `kernels.block.steps` has it."""
    return np.zeros((n, n, n_spectra)), np.zeros((n, n_spectra))


def without_prior(precision: FloatArray, fixed: NDArray[np.bool_], n: int) -> IntArray:
    """Places of those of the first n parameters that are free and have no prior."""
    return np.flatnonzero((np.diag(precision)[:n] == 0.0) & ~fixed[:n])


def _deviances(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """`solve.poisson_deviance` of many spectra of shape (n_channels, n_spectra)."""
    ratio = np.divide(counts, expected, where=counts > 0.0, out=np.ones_like(counts))
    return np.asarray(2.0 * (expected - counts + counts * np.log(ratio)).sum(axis=0))


def _linear_part(task: _Task) -> _LinearPart | None:
    """Columns of a problem in which areas and background alone are free, with the pile-up of the first estimate."""
    problem, model = task.problem, task.model
    free = ~problem.fixed
    bounded = np.isfinite(problem.lower) & free
    if np.any(free & ~task.is_linear) or bounded.any() or model.response.pulse_pair_time_s > 0.0:
        return None
    place = np.flatnonzero(free)
    inside = np.flatnonzero(model.inside)
    n_segments = -(-inside.size // _SEGMENT)
    columns = np.zeros((place.size, n_segments * _SEGMENT))
    columns[:, : inside.size] = model.evaluate(task.reference).jacobian[place]
    rows, pair, segment_row = [], [], [0]
    for k in range(n_segments):
        part = columns[:, k * _SEGMENT : (k + 1) * _SEGMENT]
        there = np.flatnonzero(np.any(part != 0.0, axis=1))
        for at, i in enumerate(there):
            for j in there[: at + 1]:
                rows.append(part[i] * part[j])
                pair.append(i * place.size + j)
        segment_row.append(len(rows))
    return _LinearPart(
        place=place,
        inside=model.inside,
        columns=columns,
        by_channel=np.ascontiguousarray(columns.T),
        products=np.array(rows),
        pair=np.array(pair),
        segment_row=np.array(segment_row),
        mean=problem.mean[place],
        precision=problem.precision[np.ix_(place, place)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Results of spectra, filled in place; values are NaN before, reference is where their expansion was made."""

    values: FloatArray
    sigma: FloatArray
    reference: FloatArray
    covariance: FloatArray
    counting_covariance: FloatArray
    response_covariance: FloatArray
    deviance: FloatArray
    largest_step: FloatArray
    fitted_counts: FloatArray

    def take_covariance(self, covariance: FloatArray, precision: FloatArray) -> None:
        """Fill in the covariance C of the areas, and its part C P C by the priors.

        covariance : of the areas, which come first, with all parameters, shape (n, n_groups, n_parameters).
        precision : P, shape (n_parameters, n_parameters).
        """
        known = np.flatnonzero(np.diag(precision))
        rows = covariance[:, :, known]
        self.covariance[:] = covariance[:, :, : self.covariance.shape[1]]
        self.response_covariance[:] = (rows @ precision[np.ix_(known, known)]) @ rows.swapaxes(1, 2)

    def taken(self, some: NDArray[np.bool_] | IntArray) -> _Part:
        """The results of some of the spectra."""
        return _Part(**{name: getattr(self, name)[some] for name in self.__slots__})

    def put(self, some: NDArray[np.bool_] | IntArray, part: _Part) -> None:
        """Put the results of some of the spectra back."""
        for name in self.__slots__:
            getattr(self, name)[some] = getattr(part, name)

    @classmethod
    def empty(cls, n: int, n_parameters: int, n_groups: int) -> _Part:
        """Room for n spectra."""
        return cls(
            values=np.full((n, n_parameters), np.nan),
            sigma=np.zeros((n, n_parameters)),
            reference=np.zeros((n, n_parameters)),
            covariance=np.zeros((n, n_groups, n_groups)),
            counting_covariance=np.zeros((n, n_groups, n_groups)),
            response_covariance=np.zeros((n, n_groups, n_groups)),
            deviance=np.zeros(n),
            largest_step=np.full(n, np.nan),
            fitted_counts=np.zeros(n),
        )


def _expanded(model: SpectrumModel, problem: Problem, values: dict[str, float], response: Response) -> _Columns:
    """Columns with their fields: lines of clusters, scattered light, shoulders.

    Clusters of a group whose ratios are fixed are one column.
    """
    names = list(model.names)
    templates, lines = model.templates, model.photons
    n = len(templates.clusters)
    members: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for c, cluster in enumerate(templates.clusters):
        linear = names.index(f"area:{cluster.group}")
        name = model.plan.parameter[c]
        ratio = -1 if name is None else names.index(name)
        fixed = ratio < 0 or bool(problem.fixed[ratio])
        factor = 1.0 if ratio < 0 or not fixed else 1.0 + float(problem.mean[ratio])
        members.setdefault((linear, -1 if fixed else ratio), []).append((c, factor))
    strength = dict(zip(templates.groups, templates.group_strength.tolist(), strict=True))
    table: list[tuple[int, int, float, FloatArray, FloatArray]] = []
    shoulders: list[tuple[int, int, float, FloatArray, FloatArray]] = []
    dark = np.zeros(lines.light_kev.size)
    for (linear, ratio), own in members.items():
        weight = np.zeros(n)
        for c, factor in own:
            weight[c] = factor
        unit = 1.0 / max(strength[names[linear].removeprefix("area:")], 1e-300)
        table.append((linear, ratio, unit, weight, dark))
        shoulder = weight @ lines.light_strength[lines.n_columns :]
        if shoulder.any():
            shoulders.append((linear, ratio, unit, np.zeros(n), shoulder))
    n_lines = len(table)
    for k, name in enumerate(model.light_names):
        table.append((names.index(name), -1, 1.0, np.zeros(n), lines.light_strength[k]))
    table += shoulders
    edges = model.edges(values)
    fields = np.zeros((len(table), 9, edges.size))
    first, last = np.zeros(len(table), dtype=np.int64), np.zeros(len(table), dtype=np.int64)
    for k, (_, _, _, weight, light) in enumerate(table):
        fields[k] = _fields(model, weight, light, edges, response)
        counts = np.abs(np.diff(fields[k, 0]))
        there = np.flatnonzero(counts > _LEAST_COUNTS * max(float(counts.sum()), 1e-300))
        first[k], last[k] = (there[0], there[-1] + 2) if there.size else (0, 1)
        fields[k, 0] -= fields[k, 0, first[k]]
    return _Columns(
        fields=fields,
        first=first,
        last=last,
        linear=np.array([row[0] for row in table]),
        ratio=np.array([row[1] for row in table]),
        unit=np.array([row[2] for row in table]),
        n_lines=n_lines,
    )


def _fields(
    model: SpectrumModel, weight: FloatArray, light: FloatArray, edges: FloatArray, response: Response
) -> FloatArray:
    """Cumulative counts of one column with derivatives, rows of `kernels.block._moved`; shape (9, n_edges)."""
    lines, crystal = model.photons, model.crystal
    amplitude = np.concatenate([weight, response.escape_scale * weight])
    counts, rows = moves(lines, amplitude, light, edges, response, crystal)
    field = np.zeros((9, edges.size))
    field[0, 1:] = np.cumsum(counts)
    field[1:4] = rows
    if weight.any():
        above, below = (
            moves(lines, amplitude, light, edges + sign * _STEP_KEV, response, crystal)[1][1:] for sign in (1.0, -1.0)
        )
        field[4:6] = (above - below) / (2.0 * _STEP_KEV)
        field[6:8] = (above - 2.0 * rows[1:] + below) / _STEP_KEV**2
        alone = np.concatenate([0.0 * weight, weight])
        field[8, 1:] = np.cumsum(moves(lines, alone, light, edges, response, crystal)[0])
    return field
