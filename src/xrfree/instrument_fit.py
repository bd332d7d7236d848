"""Calibration of one instrument with spectra of pure compounds and blanks: response, line ratios, scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.atomic import TABLES, absorption_edge_kev
from xrfree.composition import Composition
from xrfree.errors import CalibrationError
from xrfree.fit import FitSettings, JointPrior, Prior, Templates
from xrfree.fit.model import SpectrumModel, moved_response
from xrfree.fit.region import net_areas
from xrfree.fit.solve import Solution, solve
from xrfree.instrument import Instrument, LineRatios, Response
from xrfree.method import Method, Region, split_group
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement
from xrfree.templates import ConditionModel, condition_model, templates

FloatArray = NDArray[np.float64]
Ranges = tuple[tuple[float, float], ...]

DETECTOR = frozenset({"escape", "tail_share", "tail_fall", "tail_rest", "shelf_share"})
"""What belongs to the crystal, whatever excites the specimen: escape, and what tail and shelf hold."""
OF_CONDITION = frozenset({"noise", "fano", "width_k", "width_l", "tail_scale", "tail_growth", "pile_up"})
"""What all spectra of one condition have in common. The tail's scale is the crystal's, too; held in common, the many
compounds at 15 kV, where much continuum lies under the tails, make it 3 % wider than what iron oxide shows behind a
filter."""
_FREE = {
    "noise": 0.5,
    "fano": 0.2,
    "width_k": 0.3,
    "width_l": 0.3,
    "escape": 0.3,
    "pile_up": 1.0,
    "tail_share": 1.0,
    "tail_fall": 2.0,
    "tail_rest": 0.3,
    "tail_scale": 0.5,
    "tail_growth": 0.3,
    "shelf_share": 1.0,
}
"""Prior standard deviations of the response's changes from the instrument document: wide, so that the data decide."""
TABLE_LINE_SIGMA = 0.03
"""Relative standard uncertainty of a line among those of its subshell, by tabulated rates."""
TABLE_SUBSHELL_SIGMA = 0.10
"""Relative standard uncertainty of all lines of one L subshell beside those of another: tabulated fluorescence yields
and Coster-Kronig probabilities disagree that much between data bases (docs/matrix.md)."""
LEAST_RATIO_UNCERTAINTY = 0.007
"""Floor of a calibrated ratio's uncertainty: model errors that replicas of the same compound cannot show.

Calibrated with spectra of an independent Monte Carlo program, the strong lines of Ba to Sm beside L3-M4,5 are off by
that much beyond the counting noise (L3-N4,5 by 1.1 %, L2-M4,5 by 0.4 %, L2-N4,5 by nothing to be seen).
"""


FINE_STRUCTURE_KEV = (0.02, 0.30)
"""Above a main element's edge tables know no fine structure, and the scattered continuum is not what they say."""
_SHORTEST_RANGE_KEV = 0.05
MOST_BACKGROUND_TERMS = 5
"""Background terms of pure compounds: more would take the shelf's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PureCompound:
    """A compound or mixture of known composition and the form in which it was measured.

    contents : mass fraction of each formula, e.g. {"Fe2O3": 0.8, "SiO2": 0.2}; {"La2O3": 1.0} for a pure compound.
    """

    contents: Mapping[str, float]
    specimen: Specimen


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFit:
    """The calibrated instrument and the fits it rests on; labels name compound, condition and region of each fit."""

    instrument: Instrument
    labels: tuple[str, ...]
    fits: tuple[NetAreas, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One region of one compound's spectrum."""

    label: str
    condition: str
    region: Region
    model: SpectrumModel
    contents: Mapping[str, float]


def calibrate_instrument(
    measurements: Mapping[str, Measurement],
    compounds: Mapping[str, PureCompound],
    method: Method,
    instrument: Instrument,
) -> InstrumentFit:
    """Response, line ratios and scale of every condition from spectra of pure compounds and blanks, all together.

    Line ratios, escape, and what tail and shelf hold, are the instrument's: all spectra have them in common, from the
    stated response of the first condition on. Resolution, natural widths, the tail's scale and pile-up are those of a
    condition.

    measurements : by specimen name, under the method's condition names.
    compounds : what each specimen is made of.

    Raises CalibrationError when a condition has no compound with a line in its fitted ranges.
    """
    conditions = tuple(dict.fromkeys(region.condition for region in method.regions))
    stated = {c: _of_detector(instrument.responses[c], instrument.responses[conditions[0]]) for c in conditions}
    tasks: list[_Task] = []
    for condition in conditions:
        found = _tasks(condition, measurements, compounds, method, stated[condition], instrument)
        if not found:
            raise CalibrationError(
                f"no pure compound shows a line of the condition '{condition}'; measure at least one "
                "(Fe2O3, Nb2O5, TiO2 ...) and list it with its formula"
            )
        tasks += found
    solution = _solve(tasks)
    calibrated = Instrument(
        name=instrument.name,
        conditions=instrument.conditions,
        detector=instrument.detector,
        responses={**instrument.responses, **{c: _response(solution, stated[c], c) for c in conditions}},
        line_ratios=_ratios(tasks, solution),
        log_scale={name: v for c in conditions for name, v in _log_scales(c, tasks, solution).items()},
        tables=TABLES,
    )
    return InstrumentFit(
        instrument=calibrated,
        labels=tuple(task.label for task in tasks),
        fits=tuple(net_areas(t.model, solution, k, t.region.name, []) for k, t in enumerate(tasks)),
    )


def _tasks(
    condition: str,
    measurements: Mapping[str, Measurement],
    compounds: Mapping[str, PureCompound],
    method: Method,
    response: Response,
    instrument: Instrument,
) -> list[_Task]:
    """All regions of all compounds in which one of the compound's line groups has its main lines; mixtures last.

    What one fit alone says of an element, as its scale, comes from the first one, and is a pure compound's.
    """
    found = []
    for name, compound in sorted(compounds.items(), key=lambda item: len(item[1].contents)):
        if name not in measurements or condition not in measurements[name].spectra:
            continue
        contents, is_mixture = _elements(compound.contents), len(compound.contents) > 1
        prepared = condition_model(instrument.conditions[condition], instrument.detector, tuple(contents))
        whole = np.array(list(contents.values()))
        mine = [r for r in method.regions if r.condition == condition]
        highest = _highest_kev(prepared, whole, compound.specimen, mine)
        for region in mine:
            groups = [g for g in (*region.quantified, *region.accompanying) if split_group(g)[0] in contents]
            expected = templates(prepared, whole, compound.specimen.areal_density_g_cm2, groups)
            ranges = _ranges(region, is_mixture=is_mixture)
            top = max(high for _, high in ranges)
            if highest > top or not any(_inside(energy, ranges) for energy in _main_lines_kev(expected)):
                continue
            model = SpectrumModel(
                measurements[name].spectra[condition],
                expected,
                response,
                instrument.detector.crystal,
                _settings(region, _without_fine_structure(ranges, contents), is_mixture=is_mixture),
                measurements[name].spectra[condition].energy_scale,
            )
            found.append(
                _Task(
                    label=f"{name} {condition} {region.name}",
                    condition=condition,
                    region=region,
                    model=model,
                    contents=contents,
                )
            )
    return found


def _elements(contents: Mapping[str, float]) -> dict[str, float]:
    """Mass fractions of the elements of a mixture of formulas."""
    composition = Composition.of(contents)
    return dict(zip(composition.elements, composition.mass_fraction.tolist(), strict=True))


def _ranges(region: Region, *, is_mixture: bool) -> Ranges:
    """Where a compound is fitted; a mixture is fitted as an ore is: its lines are as close, its continuum as strong."""
    return region.ranges_kev if is_mixture else region.calibration_ranges_kev or region.ranges_kev


def _main_lines_kev(expected: Templates) -> list[float]:
    """Energy of the strongest line of each group."""
    owner = expected.cluster_group[expected.line_cluster] if expected.groups else np.zeros(0)
    mine = [np.flatnonzero(owner == group) for group in range(len(expected.groups))]
    return [float(expected.energy_kev[lines[np.argmax(expected.strength[lines])]]) for lines in mine]


def _inside(energy_kev: float, ranges_kev: Ranges) -> bool:
    """Whether a line lies in the ranges, so that a fit of it makes sense."""
    return any(low + 0.1 < energy_kev < high - 0.1 for low, high in ranges_kev)


def _highest_kev(model: ConditionModel, whole: FloatArray, specimen: Specimen, regions: Sequence[Region]) -> float:
    """Energy of the highest main line of a compound: below it lie its shelf and tail, which only a fit of it knows."""
    groups = list(dict.fromkeys(g for r in regions for g in (*r.quantified, *r.accompanying)))
    return max(_main_lines_kev(templates(model, whole, specimen.areal_density_g_cm2, groups)), default=0.0)


def _settings(region: Region, ranges_kev: Ranges, *, is_mixture: bool) -> FitSettings:
    terms = region.background_terms
    return FitSettings(
        ranges_kev=ranges_kev,
        background=region.background,
        floor=region.floor,
        background_terms=terms if is_mixture else min(terms, MOST_BACKGROUND_TERMS),
        ratio_sigma=TABLE_LINE_SIGMA,
        priors={name: Prior(mean=0.0, sigma=sigma) for name, sigma in _FREE.items()},
    )


def _without_fine_structure(ranges_kev: Ranges, contents: Mapping[str, float]) -> Ranges:
    """The ranges without the fine structure above the K and L3 edges of a compound's elements."""
    ranges = list(ranges_kev)
    for element in contents:
        for shell in ("K", "L3"):
            edge = absorption_edge_kev(element, shell)
            low, high = edge + FINE_STRUCTURE_KEV[0], edge + FINE_STRUCTURE_KEV[1]
            ranges = [
                part
                for a, b in ranges
                for part in ((a, min(b, low)), (max(a, high), b))
                if part[1] - part[0] > _SHORTEST_RANGE_KEV
            ]
    return tuple(ranges)


def _solve(tasks: Sequence[_Task]) -> Solution:
    """Fit all regions of all compounds together."""

    def renew(iteration: int, values: Sequence[dict[str, float]]) -> bool:
        if iteration in (1, 4):
            for task, own in zip(tasks, values, strict=True):
                task.model.renew_pile_up(own)
        return iteration in (1, 4)

    priors = _table_priors(tasks)
    return solve(
        [task.model for task in tasks],
        shared=DETECTOR.union(*(prior.names for prior in priors)),
        grouped=OF_CONDITION,
        groups=[task.condition for task in tasks],
        priors=priors,
        after_step=renew,
    )


def _table_priors(tasks: Sequence[_Task]) -> list[JointPrior]:
    """What tables tell of line ratios: Cov = σ_s² (1 + δ_ss' - δ_sl - δ_s'l) + σ² (1 + δ_cc'), by line group.

    c, c' are two clusters and s, s' their subshells; l is the subshell of the strongest cluster, beside which all
    others are counted. So a subshell's lines err together, and a weak line is known by the strong ones beside it.
    """
    clusters: dict[str, dict[str, None]] = {}
    leading: dict[str, str] = {}
    for task in tasks:
        for cluster in task.model.templates.clusters:
            if cluster.leading:
                leading[cluster.group] = cluster.name
        for cluster in task.model.ratios:
            clusters.setdefault(cluster.group, {})[cluster.name] = None
    return [_table_prior(group, tuple(names), leading[group]) for group, names in clusters.items()]


def _table_prior(group: str, clusters: tuple[str, ...], leading: str) -> JointPrior:
    """`_table_priors` of one line group."""
    subshell = np.array([name.split("-")[0] for name in clusters])
    other = (subshell != leading.split("-")[0]).astype(np.float64)
    same = (subshell[:, None] == subshell) & (other[:, None] > 0.0)
    between = TABLE_SUBSHELL_SIGMA**2 * (np.outer(other, other) + same)
    within = TABLE_LINE_SIGMA**2 * (1.0 + np.eye(len(clusters)))
    return JointPrior(
        names=tuple(f"ratio:{group}:{name}" for name in clusters),
        mean=np.zeros(len(clusters)),
        covariance=between + within,
    )


def _of_detector(response: Response, known: Response) -> Response:
    """A response with escape, and shares of tail and shelf, of another one of the same detector."""
    return replace(
        response,
        tail_log_share=known.tail_log_share,
        tail_fall=known.tail_fall,
        tail_rest=known.tail_rest,
        shelf_log_share=known.shelf_log_share,
        escape_scale=known.escape_scale,
        escape_relative_uncertainty=known.escape_relative_uncertainty,
    )


def _response(solution: Solution, stated: Response, condition: str) -> Response:
    """The response of one condition."""
    full = {name: name for name in DETECTOR} | {name: f"{condition}/{name}" for name in OF_CONDITION}
    place = {name: solution.names.index(known) for name, known in full.items() if known in solution.names}
    change = {name: float(solution.values[index]) for name, index in place.items()}
    u = {name: float(np.sqrt(max(solution.covariance[index, index], 0.0))) for name, index in place.items()}
    return replace(
        moved_response(stated, change),
        escape_relative_uncertainty=max(u["escape"], 0.005) if "escape" in u else stated.escape_relative_uncertainty,
        pile_up_relative_uncertainty=max(u.get("pile_up", 0.0), 0.02),
    )


def _log_scales(condition: str, tasks: Sequence[_Task], solution: Solution) -> dict[str, float]:
    """ln[rate / (strength x content)] of every quantified line group ("low/La L"), and their median ("low")."""
    scales: dict[str, float] = {}
    for k, task in enumerate(tasks):
        if task.condition != condition:
            continue
        model, values = task.model, solution.of(k)
        for group, strength in zip(model.templates.groups, model.templates.group_strength, strict=True):
            rate = values[f"area:{group}"] / (model.spectrum.live_time_s * model.survival)
            content = task.contents[split_group(group)[0]]
            if rate > 0.0 and group in task.region.quantified and f"{condition}/{group}" not in scales:
                scales[f"{condition}/{group}"] = float(np.log(rate / (strength * content)))
    if not scales:
        raise CalibrationError("no pure compound contains an element that the method quantifies in this condition")
    return {condition: float(np.median(list(scales.values()))), **scales}


def _ratios(tasks: Sequence[_Task], solution: Solution) -> LineRatios:
    """Measured line ratios with covariance, widened where the fits are not perfect."""
    index: dict[tuple[str, str], int] = {}
    misfit: dict[tuple[str, str], float] = {}
    for k, task in enumerate(tasks):
        reduced = solution.deviance[k] / task.model.counts.size
        for cluster in task.model.ratios:
            if cluster.group in task.region.quantified:
                key = (cluster.group, cluster.name)
                index[key] = solution.own[k][f"ratio:{cluster.group}:{cluster.name}"]
                misfit[key] = max(reduced, misfit.get(key, 1.0))
    places, widening = list(index.values()), np.sqrt(list(misfit.values()))
    covariance = solution.covariance[np.ix_(places, places)] * np.outer(widening, widening)
    return LineRatios(
        clusters=tuple(index),
        deviation=solution.values[places],
        covariance=covariance + np.eye(len(places)) * LEAST_RATIO_UNCERTAINTY**2,
    )
