"""Assays of many similar spectra together: one reference for all of them, and of each what differs from it.

Definition   The sum of the spectra is assayed; at its composition, templates and strengths are worked out once. All
             spectra are fitted with these templates by one kernel (`fit_spectra`). What the composition of each changes
             follows from derivatives at the reference: of the areas by the templates (first order), of the reciprocal
             strengths by the mass fractions (second order). Spectra whose areas would change by more than
             `LARGEST_CHANGE` get a reference of their own kind, and what is too rare for that is left to `quantify`.
Validation   tests/test_block_quantification.py: the numbers of `quantify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NO_CURVE, FitVerdict, NetAreas
from xrfree.assay import Assay
from xrfree.closure import Closure, closure
from xrfree.composition import Composition
from xrfree.errors import FitError, NotConvergedError
from xrfree.fit import BlockFit, fit_spectra
from xrfree.fit.model import SpectrumModel
from xrfree.fit.reference import BlockReference, block_reference
from xrfree.fit.region import FEWEST_COUNTS, curve_of
from xrfree.fit.residual import LEAST_MISFIT
from xrfree.matrix.expansion import StrengthExpansion, expanded_strengths
from xrfree.matrix.intensities import GroupIntensities
from xrfree.method import Background, Method, Region, split_group
from xrfree.quantification import (
    COUPLING_STEP,
    PARTS_OF_FIT,
    CommonSolution,
    Prepared,
    basis_of,
    common_solution,
    contributions,
    limits,
    moved_specimens,
    parts_of_fit,
    quantified_lines,
    rate_slopes,
    recipe_of,
    region_priors,
    region_settings,
    verdicts_of_contents,
)
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement
from xrfree.templates import movable, templates

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEWEST = 16
"""Spectra of one kind from which on a reference costs less than assays one by one."""
LARGEST_CHANGE = 0.35
"""Change of an area by the templates, in its counting uncertainties, that first order is trusted with."""
NEAR_ENOUGH = 3.0
"""As `quantification.ROUND_TOLERANCE`, for the sum of the spectra: derivatives do the rest."""
SHAPING = 1e-3
"""Content (kg/kg) of the reference from which on an element changes templates, and bends strengths."""
SUSPICIOUS = 5.0
"""Significance of a peak in the residual from which on the spectrum is left to the single fit, which names lines from
`fit.residual.LEAST_SIGNIFICANCE` on."""
LIVE_TIMES = 0.2
"""Relative difference of live times within a block: what is expected of background and tube lines grows with them."""
OTHER_BACKGROUND = 0.2
"""Relative difference of a background from the mean that makes a spectrum a different one."""
STRAYED = 5e-3
"""Content (kg/kg) of any other element that makes a spectrum a different one."""
_STEP = 0.02
_MOST_ROUNDS = 12
_NEW_SLOPES = (0, 3)
"""Rounds in which the derivatives of the strengths are taken anew."""
_SETTLED = 1e-2
"""Rounds end when no mass fraction moves by more of its counting uncertainty (or of 0.2 % of itself)."""


def works_in_blocks(method: Method) -> bool:
    """Whether spectra of a method can be fitted in blocks: one region per condition, one line group per element.

    A second region of a spectrum takes its lines from the first, and an accompanying line of a quantified element is
    expected from the present composition: both differ from spectrum to spectrum. Areas that are held at 0, and clipped
    backgrounds, have no derivatives.
    """
    conditions = [region.condition for region in method.regions]
    accompanying = {split_group(g)[0] for region in method.regions for g in region.accompanying}
    return (
        len(set(conditions)) == len(conditions)
        and len(quantified_lines(method)) == len(method.quantified_elements)
        and accompanying.isdisjoint(method.quantified_elements)
        and not any(region.non_negative or region.background is Background.SNIP for region in method.regions)
    )


def quantify_alike(
    measurements: Sequence[Measurement],
    prepared: Prepared,
    specimens: Sequence[Specimen],
    *,
    drawn: frozenset[int] = frozenset(),
) -> Iterator[tuple[int, Assay]]:
    """Places and assays of those measurements that are similar to many others, one after the other.

    measurements : their spectra under the method's condition names (`matched_conditions`); specimens : of each.
    drawn : places of those whose fitted curves are wanted; the others have empty ones.

    What does not come is left to `quantify`: few of a kind, far from all others, not well fitted, or of a method
    that does not work in blocks.
    """
    if works_in_blocks(prepared.method):
        for places in _kinds(measurements, prepared.method, specimens):
            block = _block([measurements[i] for i in places], prepared, [specimens[i] for i in places])
            wanted = frozenset(k for k, i in enumerate(places) if i in drawn)
            yield from ((places[k], assay) for k, assay in _assays(block, np.arange(len(places)), wanted))


def _kinds(measurements: Sequence[Measurement], method: Method, specimens: Sequence[Specimen]) -> list[list[int]]:
    """Places of measurements that have energy scales, channels, preparation and nearly the live time in common.

    Without those that hold next to nothing.
    """
    kinds: dict[object, list[int]] = {}
    for i, (measurement, specimen) in enumerate(zip(measurements, specimens, strict=True)):
        spectra = [measurement.spectra[region.condition] for region in method.regions]
        if min(spectrum.total_counts for spectrum in spectra) < FEWEST_COUNTS:
            continue
        scales = tuple((s.n_channels, s.energy_scale, round(np.log(s.live_time_s) / LIVE_TIMES)) for s in spectra)
        kinds.setdefault((scales, replace(specimen, loss_on_ignition=None)), []).append(i)
    return list(kinds.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """Measurements of one kind.

    specimens : of each; specimen : what they have in common, with the ignition loss of the first.
    counts, live_time_s : by condition, shapes (n, n_channels) and (n,).
    """

    measurements: Sequence[Measurement]
    prepared: Prepared
    specimens: Sequence[Specimen]
    specimen: Specimen
    closure: Closure
    counts: dict[str, NDArray[np.unsignedinteger[Any]]]
    live_time_s: dict[str, FloatArray]

    @property
    def groups(self) -> list[tuple[Region, str]]:
        """Region and line group of each quantified element."""
        return [(line.region, line.group) for line in self.prepared.lines]

    def total(self, some: IntArray) -> Measurement:
        """The sum of some of the spectra as one measurement."""
        first = self.measurements[int(some[0])]
        spectra = {}
        for name, table in self.counts.items():
            seconds = float(self.live_time_s[name][some].sum())
            spectra[name] = replace(
                first.spectra[name], counts=table[some].sum(axis=0), live_time_s=seconds, real_time_s=seconds
            )
        return Measurement(specimen=first.specimen, spectra=spectra)


def _block(measurements: Sequence[Measurement], prepared: Prepared, specimens: Sequence[Specimen]) -> _Block:
    method = prepared.method
    names = [region.condition for region in method.regions]
    return _Block(
        measurements=measurements,
        prepared=prepared,
        specimens=specimens,
        specimen=specimens[0],
        closure=closure(method.quantified_elements, specimens, method.unseen, prepared.elements),
        counts={name: _table([m.spectra[name].counts for m in measurements]) for name in names},
        live_time_s={name: np.array([m.spectra[name].live_time_s for m in measurements]) for name in names},
    )


def _table(rows: Sequence[NDArray[np.int64]]) -> NDArray[np.unsignedinteger[Any]]:
    """Counts of many spectra in as few bytes as hold them, shape (n, n_channels)."""
    largest = max(int(row.max()) for row in rows)
    return np.array(rows, dtype=np.min_scalar_type(largest))


def _assays(block: _Block, some: IntArray, drawn: frozenset[int]) -> Iterator[tuple[int, Assay]]:
    """Assays of those of some measurements that lie near to their sum, or to that of a part of them."""
    if some.size < FEWEST:
        return
    try:
        reference = _reference(block, some)
        fits = {name: _fitted(block, some, name, each) for name, each in reference.regions.items()}
    except (FitError, NotConvergedError):  # their sum is no spectrum of this method; what each is, will be seen alone
        return
    found = _composed(block, some, reference, fits)
    done = found.near & found.settled & np.all([each.good for each in fits.values()], axis=0)
    if done.any():
        kept = {name: each.of(done) for name, each in fits.items()}
        yield from _stated(block, some[done], reference, kept, found.of(done), drawn, some)
    for part in _parts(found.whole, done):
        yield from _assays(block, some[part], drawn)


def _parts(whole: FloatArray, done: NDArray[np.bool_]) -> list[IntArray]:
    """What is not done: together if that is the lesser half, else cut in two where the compositions spread most."""
    rest = np.flatnonzero(~done)
    if 2 * rest.size <= done.size:
        return [rest]
    away = np.nan_to_num(whole[rest] - whole[rest].mean(axis=0))
    along = away @ np.linalg.svd(away, full_matrices=False)[2][0]
    return [part for part in (rest[along < 0.0], rest[along >= 0.0]) if part.size < done.size]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Reference:
    """What some measurements have in common.

    shaping : places of the elements that change the templates. regions : by name of the region.
    """

    solution: CommonSolution
    expansion: StrengthExpansion
    shaping: IntArray
    regions: dict[str, BlockReference]


def _reference(block: _Block, some: IntArray) -> _Reference:
    """Assay of the sum of some measurements, with derivatives."""
    prepared, areal_density = block.prepared, block.specimen.areal_density_g_cm2
    total = block.total(some)
    solution = common_solution(total, prepared, block.specimen, tolerance=NEAR_ENOUGH)
    unknown = [fit.areas for fit in solution.fits if fit.areas.verdict is FitVerdict.NOT_DETERMINED]
    if unknown:
        raise FitError(f"the sum of {some.size} spectra, region {unknown[0].region}: {unknown[0].reason}")
    shaping = np.flatnonzero(solution.whole > SHAPING)
    regions = {}
    for fit, region in zip(solution.fits, prepared.method.regions, strict=True):
        model = prepared.models[region.condition]
        groups = [*region.quantified, *region.accompanying]
        at = [(0.0, solution.whole), *(_moved(solution.whole, int(e)) for e in shaping)]
        expected = [(step, movable(templates(model, whole, areal_density, groups))) for step, whole in at]
        spectrum = total.spectra[region.condition]
        spectrum = replace(spectrum, live_time_s=spectrum.live_time_s / some.size)
        regions[region.name] = block_reference(
            fit,
            expected[0][1],
            expected[1:],
            settings=region_settings(region, prepared, solution.seen, spectrum, expected[0][1], first=False),
            priors=region_priors(prepared, region, {"continuum:0": fit.values.get("continuum:0", 0.0) / some.size}),
            n_spectra=some.size,
        )
    expansion = expanded_strengths(_intensities(prepared), solution.whole, areal_density, shaping.tolist())
    return _Reference(solution=solution, expansion=expansion, shaping=shaping, regions=regions)


def _moved(whole: FloatArray, element: int) -> tuple[float, FloatArray]:
    """A step of one mass fraction, and all of them after it."""
    step = _STEP * float(whole[element])
    moved = whole.copy()
    moved[element] += step
    return step, moved


def _intensities(prepared: Prepared) -> GroupIntensities:
    """The line groups of the quantified elements, in their order, as the matrix model's channels."""
    channels = tuple((line.region.condition, line.group) for line in prepared.lines)
    models, sums = {}, {}
    for name, model in prepared.models.items():
        models[name] = model.emitting([group for condition, group in channels if condition == name]).excitation
        lines = [(name, f"{line.element} {line.shell[0]}") for line in models[name].lines]
        sums[name] = np.array([[float(line == channel) for line in lines] for channel in channels])
    return GroupIntensities(
        elements=prepared.elements,
        channels=channels,
        channel_element=np.array([prepared.elements.index(line.element) for line in prepared.lines]),
        models=models,
        sums=sums,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    """Fits of one region.

    groups, names : line groups, and all parameters; values, uncertainties : of these, shape (n, n_parameters).
    areas, sigma : counts, shape (n, n_groups); covariance, counting_covariance, response_covariance : shape
        (n, n_groups, n_groups).
    reduced_deviance, good, live_time_s, survival : of each spectrum, shape (n,); scale : its counts over the mean.
    """

    groups: tuple[str, ...]
    names: tuple[str, ...]
    values: FloatArray
    uncertainties: FloatArray
    areas: FloatArray
    covariance: FloatArray
    counting_covariance: FloatArray
    response_covariance: FloatArray
    sigma: FloatArray
    reduced_deviance: FloatArray
    good: NDArray[np.bool_]
    scale: FloatArray
    live_time_s: FloatArray
    survival: FloatArray

    def of(self, some: NDArray[np.bool_]) -> _Fitted:
        """The same of some of the spectra."""
        own = (name for name in self.__slots__ if name not in ("groups", "names"))
        return replace(self, **{name: getattr(self, name)[some] for name in own})

    def parameters(self, k: int) -> dict[str, float]:
        """Parameters of fit k."""
        return dict(zip(self.names, self.values[k].tolist(), strict=True))


def _fitted(block: _Block, some: IntArray, name: str, reference: BlockReference) -> _Fitted:
    """Fits of the region `name` with the templates of the reference."""
    region = next(r for r in block.prepared.method.regions if r.name == name)
    instrument = block.prepared.instrument
    response = instrument.responses[region.condition]
    table = block.counts[region.condition][some]
    seconds = block.live_time_s[region.condition][some]
    fit = fit_spectra(
        table,
        reference.templates,
        live_time_s=seconds,
        energy_scale=block.measurements[0].spectra[region.condition].energy_scale,
        response=response,
        crystal=instrument.detector.crystal,
        settings=reference.settings,
        priors=reference.priors,
    )
    good = np.array([verdict is FitVerdict.GOOD for verdict in fit.verdicts])
    counts = table.sum(axis=1).astype(np.float64)
    per_area = np.outer(reference.unit, reference.unit)
    covariance = fit.covariance * per_area
    return _Fitted(
        groups=fit.groups,
        names=fit.names,
        values=fit.values,
        uncertainties=fit.standard_uncertainty,
        reduced_deviance=fit.reduced_deviance,
        good=good & ~_suspicious(reference, fit, table, seconds) & _like_the_mean(fit),
        areas=fit.area * reference.unit,
        covariance=covariance,
        counting_covariance=fit.counting_covariance * per_area,
        response_covariance=fit.response_covariance * per_area,
        sigma=np.sqrt(np.maximum(np.einsum("nii->ni", covariance), 0.0)),
        scale=counts / counts.mean(),
        live_time_s=seconds,
        survival=np.exp(-response.pulse_pair_time_s * counts / seconds),
    )


def _like_the_mean(fit: BlockFit) -> NDArray[np.bool_]:
    """Whether the background is about as high as the others', which its shape is expected in proportion to."""
    first = fit.values[:, fit.names.index("continuum:0")]
    mean = np.nanmean(first)
    return np.asarray(np.abs(first - mean) <= OTHER_BACKGROUND * abs(mean))


@np.errstate(all="ignore")
def _suspicious(
    reference: BlockReference, fit: BlockFit, table: NDArray[np.unsignedinteger[Any]], seconds: FloatArray
) -> NDArray[np.bool_]:
    """Whether residuals may hold a line, or a structure, that the single fit would name, shape (n,)."""
    counts = table.sum(axis=1).astype(np.float64)
    scale = counts / counts.mean()
    expected = reference.expected_counts(fit.values, scale, scale**2 * seconds.mean() / seconds)
    peaks = reference.largest_peaks(table[:, reference.window].astype(np.float64), expected)
    return np.asarray(~(peaks < SUSPICIOUS) | (fit.reduced_deviance > LEAST_MISFIT))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """Compositions of some measurements.

    seen, strengths : shape (n, n_quantified); whole : shape (n, n_elements); coupling : M of `contributions`.
    areas : by region, shape (n, n_groups). rounds : how many it took.
    near : whether the reference is one for this measurement; settled : whether the rounds came to an end.
    """

    seen: FloatArray
    strengths: FloatArray
    whole: FloatArray
    coupling: FloatArray
    areas: dict[str, FloatArray]
    rounds: int
    near: NDArray[np.bool_]
    settled: NDArray[np.bool_]

    def of(self, some: NDArray[np.bool_]) -> _Found:
        """The same of some of the measurements."""
        own = ("seen", "strengths", "whole", "coupling", "near", "settled")
        areas = {name: each[some] for name, each in self.areas.items()}
        return replace(self, areas=areas, **{name: getattr(self, name)[some] for name in own})


@np.errstate(all="ignore")
def _composed(block: _Block, some: IntArray, reference: _Reference, fits: dict[str, _Fitted]) -> _Found:
    """Compositions that reproduce the areas, and areas as the templates of each composition would give them.

    w = r(w) / (k S(w)) - b by Newton's method, r the net rate with the change of the area by the templates.

    A spectrum that is none of this method may end in numbers that are none: it is not near then.
    """
    prepared = block.prepared
    completed = block.closure.of(some)
    origin = reference.solution.whole
    seen = np.tile(list(reference.solution.seen.values()), (some.size, 1))
    rate_sigma = _rates(block, fits, {name: each.sigma for name, each in fits.items()})
    coupling = np.zeros((0, 0, 0))
    for rounds in range(_MOST_ROUNDS):
        whole = completed.whole(seen)
        strengths = reference.expansion.strengths(whole)
        areas, near = {}, np.ones(some.size, dtype=bool)
        for name, each in fits.items():
            change = reference.regions[name].changes(each.values, (whole - origin)[:, reference.shaping])
            areas[name] = each.areas + change
            near &= _is_small(block, name, each, change)
        per_strength = strengths * np.exp(prepared.log_sensitivity)
        target = np.clip(_rates(block, fits, areas) / per_strength - prepared.blank, -0.2, 1.0)
        if rounds in _NEW_SLOPES:
            coupling = _coupling(completed, reference.expansion, seen, strengths)
        step = np.linalg.solve(coupling, (target - seen)[:, :, None])[:, :, 0]
        seen = seen + step
        moved = np.abs(step) / np.maximum(rate_sigma / per_strength, 2e-3 * np.abs(seen))
        settled = np.all(moved < _SETTLED, axis=1)
        if settled.all():
            break
    whole = completed.whole(seen)
    strengths = reference.expansion.strengths(whole)
    other = np.setdiff1d(np.arange(origin.size), reference.shaping)
    near &= np.all(np.abs((whole - origin)[:, other]) < STRAYED, axis=1)
    return _Found(
        seen=seen,
        strengths=strengths,
        whole=whole,
        coupling=_coupling(completed, reference.expansion, seen, strengths),
        areas=areas,
        rounds=rounds + 1,
        near=near,
        settled=settled,
    )


def _is_small(block: _Block, name: str, each: _Fitted, change: FloatArray) -> NDArray[np.bool_]:
    """Whether no quantified area of a region changes by more than first order is trusted with, shape (n,)."""
    ours = [each.groups.index(group) for region, group in block.groups if region.name == name]
    return np.asarray(np.all(np.abs(change[:, ours]) <= LARGEST_CHANGE * each.sigma[:, ours], axis=1))


def _rates(block: _Block, fits: dict[str, _Fitted], areas: dict[str, FloatArray]) -> FloatArray:
    """Net rates (1/s) of the quantified elements, corrected for pile-up, shape (n, n_quantified)."""
    columns = []
    for region, group in block.groups:
        each = fits[region.name]
        columns.append(areas[region.name][:, each.groups.index(group)] / (each.live_time_s * each.survival))
    return np.array(columns).T


def _coupling(completed: Closure, expansion: StrengthExpansion, seen: FloatArray, strengths: FloatArray) -> FloatArray:
    """M_ij = δ_ij + w_i ∂ ln S_i/∂w_j by forward differences, see `quantification.coupling_of`; shape (n, m, m)."""
    matrix = np.tile(np.eye(seen.shape[1]), (seen.shape[0], 1, 1))
    base = np.log(strengths)
    for j in range(seen.shape[1]):
        moved = seen.copy()
        present = np.maximum(seen[:, j], 0.0)
        step = np.maximum(1e-3 * present, COUPLING_STEP)
        moved[:, j] = present + step
        change = np.log(expansion.strengths(completed.whole(moved))) - base
        matrix[:, :, j] += seen * change / step[:, None]
    return matrix


def _stated(
    block: _Block,
    some: IntArray,
    reference: _Reference,
    fits: dict[str, _Fitted],
    found: _Found,
    drawn: frozenset[int],
    together: IntArray,
) -> Iterator[tuple[int, Assay]]:
    """Assays of what is near, settled and well fitted; together : with what it was fitted."""
    prepared, dilution = block.prepared, block.specimen.dilution
    unit = np.exp(prepared.log_sensitivity) * found.strengths
    moves = _moves(block, some, reference, found)
    rates = _rate_covariances(block, fits)
    parts = contributions(
        rates, np.asarray(np.linalg.inv(found.coupling), dtype=np.float64), unit, found.seen, moves, prepared
    )
    covariance = np.sum(list(parts.values()), axis=0)
    at_zero = {name: _variances_at_zero(fits[name], each) for name, each in reference.regions.items()}
    variance_at_zero = _rate_variance_at_zero(block, fits, at_zero)
    grown = np.einsum("nii->ni", np.sum(list(rates.values()), axis=0)) - variance_at_zero
    slope = rate_slopes(grown, _rates(block, fits, found.areas), _exposures(block, fits))
    decision, detection, quantified = limits(variance_at_zero, slope, unit, prepared)
    budget = {name: np.sqrt(np.maximum(np.einsum("nii->ni", part), 0.0)) * dilution for name, part in parts.items()}
    told = f"{together.size} similar spectra, {_name(block, together[0])} to {_name(block, together[-1])}"
    for k in range(some.size):
        measurement = block.measurements[some[k]]
        areas = tuple(
            _net_areas(region, fits[region.name], found.areas[region.name], at_zero[region.name], k)
            for region in prepared.method.regions
        )
        if int(some[k]) in drawn:
            areas = tuple(
                _with_curve(block, measurement, reference.regions[a.region], fits[a.region].parameters(k), a)
                for a in areas
            )
        verdicts, reasons = verdicts_of_contents(found.seen[k], decision[k], areas, prepared, dilution)
        yield (
            int(some[k]),
            Assay(
                specimen=measurement.specimen,
                basis=basis_of(block.specimen),
                components=prepared.method.quantified_elements,
                analytes=prepared.method.analytes,
                mass_fraction=found.seen[k] * dilution,
                covariance=covariance[k] * dilution**2,
                budget={name: part[k] for name, part in budget.items()},
                coverage_factor=prepared.method.coverage_factor,
                decision_limit=decision[k] * dilution,
                detection_limit=detection[k] * dilution,
                quantification_limit=quantified[k] * dilution,
                verdicts=verdicts,
                reasons=reasons,
                composition=Composition(elements=prepared.elements, mass_fraction=found.whole[k]),
                areas=areas,
                iterations=found.rounds,
                recipe=replace(recipe_of(measurement, prepared), block=told),
            ),
        )


def _name(block: _Block, place: int) -> str:
    return block.measurements[place].specimen


def _moves(block: _Block, some: IntArray, reference: _Reference, found: _Found) -> list[tuple[FloatArray, FloatArray]]:
    """What ignition loss and weighed flux change where they are uncertain: see `matrix_covariance`."""
    prepared = block.prepared
    specimens = [block.specimens[i] for i in some]
    moved = [moved_specimens(specimen, prepared.method.uncertainty) for specimen in specimens]
    if not any(moved):
        return []
    others = [changed[0] if changed else specimen for changed, specimen in zip(moved, specimens, strict=True)]
    completed = closure(prepared.method.quantified_elements, others, prepared.method.unseen, prepared.elements)
    by_strength = np.log(reference.expansion.strengths(completed.whole(found.seen)) / found.strengths)
    by_dilution = np.array([o.dilution / s.dilution - 1.0 for o, s in zip(others, specimens, strict=True)])
    return [(by_strength, by_dilution)]


def _rate_covariances(block: _Block, fits: dict[str, _Fitted]) -> dict[str, FloatArray]:
    """Covariance of the net rates by origin, shape (n, m, m) each; see `quantification.rate_covariances`."""
    groups = block.groups
    n = next(iter(fits.values())).scale.size
    found = {part: np.zeros((n, len(groups), len(groups))) for part in PARTS_OF_FIT}
    for name, each in fits.items():
        mine = [k for k, (region, _) in enumerate(groups) if region.name == name]
        index = [each.groups.index(groups[k][1]) for k in mine]
        here, there = np.ix_(range(n), mine, mine), np.ix_(range(n), index, index)
        per_count = (1.0 / (each.live_time_s * each.survival) ** 2)[:, None, None]
        parts = parts_of_fit(each.covariance, each.counting_covariance, each.response_covariance, each.reduced_deviance)
        for part, covariance in parts.items():
            found[part][here] = covariance[there] * per_count
    return found


def _variances_at_zero(each: _Fitted, reference: BlockReference) -> FloatArray:
    """Variances that the areas would have without their groups, shape (n, n_groups)."""
    return each.sigma**2 * reference.variance_shares(each.areas / reference.unit / each.scale[:, None])


def _rate_variance_at_zero(block: _Block, fits: dict[str, _Fitted], at_zero: dict[str, FloatArray]) -> FloatArray:
    """The same for the net rates of the quantified elements, misfit included, shape (n, n_quantified)."""
    columns = []
    for region, group in block.groups:
        each = fits[region.name]
        rate = at_zero[region.name][:, each.groups.index(group)] / (each.live_time_s * each.survival) ** 2
        columns.append(rate * np.maximum(each.reduced_deviance, 1.0))
    return np.array(columns).T


def _exposures(block: _Block, fits: dict[str, _Fitted]) -> FloatArray:
    """Seconds in which counts of the quantified elements stayed in their lines, shape (n, n_quantified)."""
    of_group = [fits[region.name] for region, _ in block.groups]
    return np.array([each.live_time_s * each.survival for each in of_group]).T


def _net_areas(region: Region, each: _Fitted, areas: FloatArray, at_zero: FloatArray, k: int) -> NetAreas:
    """Net areas of one spectrum; line ratios that are held are no parameters."""
    values = each.parameters(k)
    sigma = dict(zip(each.names, each.uncertainties[k].tolist(), strict=True))
    own = [f"area:{group}" for group in each.groups]
    values.update(zip(own, areas[k].tolist(), strict=True))
    sigma.update(zip(own, each.sigma[k].tolist(), strict=True))
    return NetAreas(
        condition=region.condition,
        region=region.name,
        groups=each.groups,
        area=areas[k],
        covariance=each.covariance[k],
        counting_covariance=each.counting_covariance[k],
        response_covariance=each.response_covariance[k],
        variance_at_zero=at_zero[k],
        live_time_s=float(each.live_time_s[k]),
        survival=float(each.survival[k]),
        reduced_deviance=float(each.reduced_deviance[k]),
        verdict=FitVerdict.GOOD,
        reason="",
        parameters={name: (values[name], sigma[name]) for name in each.names},
        curve=NO_CURVE,
    )


def _with_curve(
    block: _Block, measurement: Measurement, reference: BlockReference, values: dict[str, float], areas: NetAreas
) -> NetAreas:
    """The same with the curve of the fit."""
    instrument, spectrum = block.prepared.instrument, measurement.spectra[areas.condition]
    model = SpectrumModel(
        spectrum,
        reference.templates,
        instrument.responses[areas.condition],
        instrument.detector.crystal,
        reference.settings,
        spectrum.energy_scale,
    )
    model.renew_pile_up(values)
    evaluation = model.evaluate(values)
    return replace(areas, curve=curve_of(model, values, evaluation.expected, evaluation.lines))
