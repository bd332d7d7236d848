"""From a measurement to an assay: fit and matrix model brought to a common composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from xrfree import __version__
from xrfree.areas import FitVerdict, NetAreas
from xrfree.assay import Assay, Recipe, Verdict
from xrfree.atomic import TABLES
from xrfree.calibration import Calibration, RegionKnowledge
from xrfree.closure import specimen_elements, whole_composition
from xrfree.composition import Composition
from xrfree.errors import CalibrationError, DomainError, FitError, NotConvergedError
from xrfree.fit import FitSettings, JointPrior, Prior, RegionFit, Templates, fit_spectrum
from xrfree.instrument import Instrument
from xrfree.method import LaboratoryUncertainty, Method, Region, split_group
from xrfree.quality.limits import quantification_limits
from xrfree.quality.validity import judged_in_range
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement, Spectrum
from xrfree.templates import ConditionModel, condition_model, group_strengths, movable, templates

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_ROUNDS = 12
MOST_INVERSIONS = 80
INVERSION_TOLERANCE = 1e-8
COUPLING_STEP = 1e-4
"""Least change of a content (kg/kg) by which its effect on the strengths of the others is worked out."""
ACCOMPANYING_SIGMA = 0.15
"""Relative standard uncertainty with which the present composition predicts an accompanying area."""
ROUND_TOLERANCE = 0.1
"""Change of a mass fraction, in its counting uncertainties, below which rounds of fit and matrix end."""
PURE_COMPOUND_UNCERTAINTY = 0.02
"""Relative standard uncertainty of a sensitivity carried from a pure compound to an ore."""
FREE_FIRST_TERM = 10.0
"""Relative standard uncertainty of the background's first term beforehand: the spectrum alone decides."""
TUBE_LINE_UNCERTAINTY = 0.3
"""Relative standard uncertainty with which the tube model predicts its scattered lines, once the scale is known."""
LARGEST_DISAGREEMENT = 4.0
"""Standard uncertainties that two line groups of one element may be apart before its mass fraction is doubtful."""
PARTS_OF_FIT = ("counting", "background", "response", "misfit")
"""Origins of the uncertainty of net rates; all but the third vary when the same specimen is measured again."""
UNCALIBRATED_UNCERTAINTY = 0.10
"""Relative standard uncertainty of a sensitivity without standards: tables disagree by this much (docs/method.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantifiedLine:
    """A line group of one region that an element is quantified by; key : its name in calibrations, "low/band/La L"."""

    element: str
    region: Region
    group: str

    @property
    def key(self) -> str:
        """Condition, region and group."""
        return group_key(self.region, self.group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Method, instrument and calibration made ready once for many measurements.

    elements : of every specimen, in the order of mass-fraction vectors.
    lines : what the n quantified elements are taken from; owner : place of each one's element, shape (m,).
    log_sensitivity, blank, relative_scatter, absolute_scatter : of these m line groups, shape (m,) each.
    sensitivity_covariance, blank_covariance, cross_covariance : of ln k; of the blanks; between the two, shape (m, m).
    ratio_priors : by region, what is known of line ratios.
    shapes : by region, how background (its terms over the first one) and resolution differ between specimens.
    """

    method: Method
    instrument: Instrument
    calibration: Calibration | None
    elements: tuple[str, ...]
    lines: tuple[QuantifiedLine, ...]
    owner: IntArray
    models: Mapping[str, ConditionModel]
    ratio_priors: Mapping[str, JointPrior]
    log_sensitivity: FloatArray
    blank: FloatArray
    sensitivity_covariance: FloatArray
    blank_covariance: FloatArray
    cross_covariance: FloatArray
    relative_scatter: FloatArray
    absolute_scatter: FloatArray
    shapes: Mapping[str, JointPrior] = field(default_factory=dict)


def group_key(region: Region, group: str) -> str:
    """Name of a line group's sensitivity in a calibration: "low/band/La L"."""
    return f"{region.condition}/{region.name}/{group}"


def quantified_lines(method: Method) -> tuple[QuantifiedLine, ...]:
    """Line groups the quantified elements are taken from: of an element one in each of some spectra."""
    found = [
        QuantifiedLine(element=split_group(group)[0], region=region, group=group)
        for region in method.regions
        for group in region.quantified
    ]
    return tuple(line for element in method.quantified_elements for line in found if line.element == element)


def prepare(method: Method, instrument: Instrument, calibration: Calibration | None = None) -> Prepared:
    """Check that method, instrument and calibration belong together and build the models of all conditions.

    Raises CalibrationError for a calibration of another instrument, another method or other atomic tables, and
    DomainError for a method whose conditions the instrument does not have.
    """
    _check_conditions(method, instrument)
    if calibration is not None:
        _check_calibration(method, instrument, calibration)
    elements = specimen_elements(method)
    conditions = dict.fromkeys(region.condition for region in method.regions)
    models = {name: condition_model(instrument.conditions[name], instrument.detector, elements) for name in conditions}
    return _prepared(method, instrument, calibration, models)


def with_calibration(prepared: Prepared, calibration: Calibration) -> Prepared:
    """The same method and instrument with another calibration; its models need not be made again."""
    _check_calibration(prepared.method, prepared.instrument, calibration)
    return _prepared(prepared.method, prepared.instrument, calibration, prepared.models)


def _prepared(
    method: Method, instrument: Instrument, calibration: Calibration | None, models: Mapping[str, ConditionModel]
) -> Prepared:
    lines = quantified_lines(method)
    return Prepared(
        method=method,
        instrument=instrument,
        calibration=calibration,
        elements=specimen_elements(method),
        lines=lines,
        owner=np.array([method.quantified_elements.index(line.element) for line in lines]),
        models=models,
        ratio_priors=_ratio_priors(method, instrument, calibration),
        shapes=_shapes(calibration),
        **_sensitivities(lines, instrument, calibration),
    )


def _check_conditions(method: Method, instrument: Instrument) -> None:
    missing = sorted({region.condition for region in method.regions} - set(instrument.conditions))
    if missing:
        raise DomainError(
            f"method {method.name} needs the condition {', '.join(missing)}, instrument {instrument.name} has "
            f"{', '.join(instrument.conditions)}; choose the instrument the method was written for"
        )


def _check_calibration(method: Method, instrument: Instrument, calibration: Calibration) -> None:
    for what, found, expected in (
        ("atomic tables", calibration.tables, TABLES),
        ("instrument", calibration.instrument_sha256, instrument.sha256),
        ("method", calibration.method_sha256, method.sha256),
    ):
        if found != expected:
            raise CalibrationError(
                f"calibration {calibration.name} belongs to the {what} {found[:20]}, this is {expected[:20]}; "
                "calibrate again with these documents, or give the ones it was made with"
            )


def _ratio_priors(method: Method, instrument: Instrument, calibration: Calibration | None) -> dict[str, JointPrior]:
    """What pure compounds say about line ratios in every region; of those that standards showed, what standards say.

    They do so in the region itself before any other: model and lines' surroundings differ.
    """
    regions = calibration.regions if calibration else ()
    priors = {}
    for region in method.regions:
        here = f"{region.condition}/{region.name}"
        prior = _ratio_prior(instrument, sorted(regions, key=lambda known: known.region == here))
        if prior is not None:
            priors[region.name] = prior
    return priors


def _ratio_prior(instrument: Instrument, regions: Sequence[RegionKnowledge]) -> JointPrior | None:
    """What pure compounds say, and what standards say, the last region before all others."""
    ratios = instrument.line_ratios
    mean = dict(zip(ratios.clusters, ratios.deviation.tolist(), strict=True))
    places = {cluster: k for k, cluster in enumerate(ratios.clusters)}
    learned = [region for region in regions if region.ratios]
    for region in learned:
        for cluster in region.ratios:
            places.setdefault(cluster, len(places))
        mean |= dict(zip(region.ratios, region.ratio_deviation.tolist(), strict=True))
    if not places:
        return None
    covariance = np.zeros((len(places), len(places)))
    n = len(ratios.clusters)
    covariance[:n, :n] = ratios.covariance
    for region in learned:
        index = [places[cluster] for cluster in region.ratios]
        covariance[index] = 0.0
        covariance[:, index] = 0.0
        covariance[np.ix_(index, index)] = region.ratio_covariance
    return JointPrior(
        names=tuple(f"ratio:{group}:{cluster}" for group, cluster in places),
        mean=np.array([mean[cluster] for cluster in places]),
        covariance=covariance,
    )


def _shapes(calibration: Calibration | None) -> dict[str, JointPrior]:
    return {
        region.region.partition("/")[2]: JointPrior(
            names=region.shapes, mean=region.shape_mean, covariance=region.shape_covariance
        )
        for region in (calibration.regions if calibration else ())
        if region.shapes
    }


def region_priors(prepared: Prepared, region: Region, start: Mapping[str, float] | None) -> list[JointPrior]:
    """What calibrations know about parameters of a region's fit together; start : an earlier fit of the spectrum."""
    first_term = None if start is None else start.get("continuum:0")
    known = prepared.ratio_priors.get(region.name)
    return [*([] if known is None else [known]), *shape_priors(prepared.shapes.get(region.name), first_term)]


def shape_priors(shapes: JointPrior | None, first_term: float | None) -> list[JointPrior]:
    """Priors of a fit from the population of background shapes and resolutions.

    first_term : counts of the background's first term in an earlier fit of the spectrum; the others are known only
        relative to it. Without one, nothing is said about the background.
    """
    if shapes is None:
        return []
    is_background = np.array([name.startswith("continuum:") for name in shapes.names])
    rest, terms = np.flatnonzero(~is_background), np.flatnonzero(is_background)
    priors = [_part(shapes, rest)] if rest.size else []
    if terms.size and first_term is not None and first_term > 0.0:
        part = _part(shapes, terms)
        direction = np.concatenate([[1.0], part.mean])
        covariance = FREE_FIRST_TERM**2 * np.outer(direction, direction)
        covariance[1:, 1:] += part.covariance
        priors.append(
            JointPrior(
                names=("continuum:0", *part.names), mean=first_term * direction, covariance=first_term**2 * covariance
            )
        )
    return priors


def _part(prior: JointPrior, index: NDArray[np.int64]) -> JointPrior:
    names = tuple(prior.names[k] for k in index)
    return JointPrior(names=names, mean=prior.mean[index], covariance=prior.covariance[np.ix_(index, index)])


def _sensitivities(
    lines: Sequence[QuantifiedLine], instrument: Instrument, calibration: Calibration | None
) -> dict[str, FloatArray]:
    """Sensitivities and blanks of the quantified line groups, as the fields of `Prepared`.

    Without a calibration the sensitivity is the one the instrument document states and the blank is 0; so it is for one
    that the calibration does not know, moved as the known ones of its condition have moved (tube current).
    """
    n = len(lines)
    vectors = {name: np.zeros(n) for name in ("log_sensitivity", "blank", "relative_scatter", "absolute_scatter")}
    stated = [stated_sensitivity(line.region, line.group, instrument) for line in lines]
    vectors["log_sensitivity"] = np.array([log_k for log_k, _ in stated])
    vectors["relative_scatter"] = np.array([u for _, u in stated])
    squares = {f"{name}_covariance": np.zeros((n, n)) for name in ("sensitivity", "blank", "cross")}
    if calibration is not None:
        mine = [k for k, line in enumerate(lines) if line.key in calibration.groups]
        own = [calibration.groups.index(lines[k].key) for k in mine]
        vectors["log_sensitivity"] += _moved_scales(lines, mine, calibration.log_sensitivity[own], stated)
        for name, vector in vectors.items():
            vector[mine] = getattr(calibration, name)[own]
        blank, correlation = calibration.blank_uncertainty[own], calibration.blank_correlation[own]
        sigma = np.sqrt(np.diag(calibration.covariance)[own])
        squares["sensitivity_covariance"][np.ix_(mine, mine)] = calibration.covariance[np.ix_(own, own)]
        squares["blank_covariance"][mine, mine] = blank**2
        squares["cross_covariance"][mine, mine] = correlation * blank * sigma
    return {**vectors, **squares}


def _moved_scales(
    lines: Sequence[QuantifiedLine],
    known: Sequence[int],
    log_sensitivity: FloatArray,
    stated: Sequence[tuple[float, float]],
) -> FloatArray:
    """By how much the log sensitivities of each condition have moved since the instrument document was made."""
    moved: dict[str, list[float]] = {}
    for k, log_k in zip(known, log_sensitivity.tolist(), strict=True):
        moved.setdefault(lines[k].region.condition, []).append(log_k - stated[k][0])
    return np.array([float(np.median(moved.get(line.region.condition, [0.0]))) for line in lines])


def stated_sensitivity(region: Region, group: str, instrument: Instrument) -> tuple[float, float]:
    """Log sensitivity of a line group as the instrument document knows it, and its standard uncertainty.

    From a pure compound of the element where one was measured, else the scale of the condition.
    """
    key = f"{region.condition}/{group}"
    if key in instrument.log_scale:
        return instrument.log_scale[key], PURE_COMPOUND_UNCERTAINTY
    return instrument.log_scale.get(region.condition, 0.0), UNCALIBRATED_UNCERTAINTY


def matched_conditions(measurement: Measurement, method: Method) -> Measurement:
    """The measurement with its spectra under the method's condition names.

    A spectrum belongs to a condition when its file names it, or else states its voltage (within 0.5 kV) and filter.
    Raises DomainError when a condition that the method needs is missing or found twice.
    """
    needed = dict.fromkeys(region.condition for region in method.regions)
    spectra: dict[str, Spectrum] = {}
    for name in needed:
        found = [s for s in measurement.spectra.values() if _matches(s, name, method)]
        if len(found) != 1:
            held = ", ".join(f"'{s}'" for s in measurement.spectra)
            what = "no spectrum" if not found else f"{len(found)} spectra"
            raise DomainError(
                f"{measurement.specimen}: {what} of the condition '{name}' among {held}. "
                "Measure what is missing, or name the file's condition in the method"
            )
        condition = replace(found[0].condition, name=name)
        spectra[name] = replace(found[0], condition=condition)
    return Measurement(specimen=measurement.specimen, spectra=spectra, sources=measurement.sources)


def _matches(spectrum: Spectrum, name: str, method: Method) -> bool:
    match = method.conditions[name]
    stated = spectrum.condition
    if stated.name in match.names:
        return True
    if match.tube_voltage_kv is None or stated.tube_voltage_kv is None:
        return False
    voltage = abs(stated.tube_voltage_kv - match.tube_voltage_kv) < 0.5
    return voltage and (match.filter is None or (stated.filter or "none").lower() == match.filter.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSolution:
    """Composition and fits that agree with each other.

    seen : mass fractions of the n quantified elements in the specimen.
    strengths : modelled strength of their m line groups at that composition, shape (m,).
    shares : of each line group in the mass fraction of its element, shape (n, m); see `shares_of`.
    """

    seen: dict[str, float]
    whole: FloatArray
    strengths: FloatArray
    shares: FloatArray
    fits: tuple[RegionFit, ...]
    rounds: int


def common_solution(
    measurement: Measurement,
    prepared: Prepared,
    specimen: Specimen,
    *,
    pinned: Mapping[str, float] | None = None,
    tolerance: float = ROUND_TOLERANCE,
) -> CommonSolution:
    """Iterate fit and matrix model to a common composition.

    pinned : mass fractions (of the specimen) that are known beforehand and are not changed.
    tolerance : rounds end when no mass fraction moves by more of its counting uncertainty.

    Raises NotConvergedError when the rounds do not settle, FitError when a region cannot be fitted.
    """
    known = dict(pinned or {})
    seen = {**_first_guess(prepared, specimen), **known}
    starts: dict[str, Mapping[str, float]] = {}
    history: list[float] = []
    for round_number in range(1, MOST_ROUNDS + 1):
        whole = whole_composition(seen, specimen, prepared.method.unseen, prepared.elements)
        fits = _fit_regions(measurement, prepared, specimen, seen, whole, starts)
        starts = {f.areas.region: f.values for f in fits}
        shares = _shares(fits, prepared, specimen, seen)
        renewed, strengths = _invert(fits, prepared, specimen, known, seen, shares)
        moved = _largest_move(seen, renewed, _content_variances(fits, prepared, strengths), shares)
        history.append(moved)
        seen = renewed
        if moved < tolerance and (round_number > 1 or not prepared.shapes):
            whole = whole_composition(seen, specimen, prepared.method.unseen, prepared.elements)
            return CommonSolution(
                seen=seen, whole=whole, strengths=strengths, shares=shares, fits=fits, rounds=round_number
            )
    raise NotConvergedError(
        f"{measurement.specimen}: fit and matrix model did not agree after {MOST_ROUNDS} rounds; the last one still "
        f"moved a mass fraction by {history[-1]:.2g} standard uncertainties. Check specimen form, filter and voltage",
        tuple(history),
    )


def _first_guess(prepared: Prepared, specimen: Specimen) -> dict[str, float]:
    """An ore of iron, silicon and calcium oxide with traces of everything else."""
    contents = dict.fromkeys(prepared.method.quantified_elements, 1e-3)
    contents.update({e: w for e, w in (("Fe", 0.35), ("Si", 0.05), ("Ca", 0.05)) if e in contents})
    return {element: w / specimen.dilution for element, w in contents.items()}


def _fit_regions(
    measurement: Measurement,
    prepared: Prepared,
    specimen: Specimen,
    seen: Mapping[str, float],
    whole: FloatArray,
    starts: Mapping[str, Mapping[str, float]],
) -> tuple[RegionFit, ...]:
    """Fit all regions in the method's order.

    A line group that an earlier region of the same spectrum quantified is a fixed part of the later ones.
    """
    fits: list[RegionFit] = []
    for region in prepared.method.regions:
        spectrum = measurement.spectra[region.condition]
        earlier = [f for f, r in zip(fits, prepared.method.regions, strict=False) if r.condition == region.condition]
        known = {
            g for r in prepared.method.regions[: len(fits)] if r.condition == region.condition for g in r.quantified
        }
        groups = [g for g in (*region.quantified, *region.accompanying) if g not in known]
        model = prepared.models[region.condition]
        expected = movable(templates(model, whole, specimen.areal_density_g_cm2, groups))
        start = starts.get(region.name)
        fit = fit_spectrum(
            spectrum,
            expected,
            response=prepared.instrument.responses[region.condition],
            crystal=prepared.instrument.detector.crystal,
            settings=region_settings(region, prepared, seen, spectrum, expected, first=start is None),
            region=region.name,
            priors=region_priors(prepared, region, start),
            offset=_lines_of(earlier, known),
            start=start,
        )
        if fit.areas.verdict is FitVerdict.NOT_DETERMINED:
            raise FitError(f"{measurement.specimen}, region {region.name}: {fit.areas.reason}")
        fits.append(fit)
    return tuple(fits)


def _lines_of(fits: Sequence[RegionFit], groups: set[str]) -> FloatArray | None:
    """Counts of the named line groups in every channel, from fits of the same spectrum."""
    rows = [f.lines[[g in groups for g in f.areas.groups]].sum(axis=0) for f in fits]
    return np.asarray(np.sum(rows, axis=0)) if rows else None


def region_settings(
    region: Region,
    prepared: Prepared,
    seen: Mapping[str, float],
    spectrum: Spectrum,
    expected: Templates,
    *,
    first: bool,
) -> FitSettings:
    """Priors of one region: response terms, and accompanying areas as the present composition predicts them.

    seen : mass fractions (kg/kg of the specimen) by element; expected : templates of the region's groups.
    first : whether nothing was fitted before, so that predictions are worth less.
    """
    response = prepared.instrument.responses[region.condition]
    priors = {
        "escape": Prior(mean=0.0, sigma=response.escape_relative_uncertainty),
        "pile_up": Prior(mean=0.0, sigma=response.pile_up_relative_uncertainty),
    }
    elements = prepared.method.quantified_elements
    scale = spectrum.live_time_s * np.exp(prepared.instrument.log_scale.get(region.condition, 0.0))
    for group, strength in zip(expected.groups, expected.group_strength, strict=True):
        element = split_group(group)[0]
        if group in region.accompanying and element in elements:
            area = float(scale * strength * max(seen[element], 0.0))
            priors[f"area:{group}"] = Prior(mean=area, sigma=(3.0 if first else ACCOMPANYING_SIGMA) * area + 300.0)
    if region.condition in prepared.instrument.log_scale:
        for k, light in enumerate(expected.tube):
            counts = float(scale * light.strength.sum())
            priors[f"tube:{k}"] = Prior(mean=counts, sigma=TUBE_LINE_UNCERTAINTY * counts + 1.0)
    return FitSettings(
        ranges_kev=region.ranges_kev,
        background=region.background,
        background_terms=region.background_terms,
        floor=region.floor,
        ratio_sigma=prepared.method.ratio_sigma,
        ratios=dict(region.ratios),
        priors=priors,
        non_negative=region.non_negative,
    )


def _invert(
    fits: Sequence[RegionFit],
    prepared: Prepared,
    specimen: Specimen,
    pinned: Mapping[str, float],
    seen: Mapping[str, float],
    shares: FloatArray,
) -> tuple[dict[str, float], FloatArray]:
    """Mass fractions that reproduce the areas: w = A (r / (k S(w)) - b), repeated until it stands still.

    r net rate corrected for pile-up, k sensitivity, S modelled strength per unit mass fraction, b blank, A shares.
    """
    factor = net_rates(fits, prepared) / np.exp(prepared.log_sensitivity)
    elements = prepared.method.quantified_elements
    free = np.array([e not in pinned for e in elements])
    w = np.array([seen[e] for e in elements])
    points: list[FloatArray] = []
    steps: list[FloatArray] = []
    history: list[float] = []
    for _ in range(MOST_INVERSIONS):
        strengths = _strengths(dict(zip(elements, w, strict=True)), prepared, specimen)
        step = np.where(free, shares @ np.clip(factor / strengths - prepared.blank, -0.2, 1.0) - w, 0.0)
        history.append(float(np.max(np.abs(step))))
        if history[-1] < INVERSION_TOLERANCE:
            return dict(zip(elements, (w + step).tolist(), strict=True)), strengths
        points.append(w)
        steps.append(step)
        w = _accelerated(points[-4:], steps[-4:])
    raise NotConvergedError(
        f"mass fractions still moved by {history[-1]:.1e} after {MOST_INVERSIONS} corrections for the matrix",
        tuple(history),
    )


def _accelerated(points: Sequence[FloatArray], steps: Sequence[FloatArray]) -> FloatArray:
    """Next point of a fixed-point iteration: the mixture of the last ones whose step is smallest, and its step.

    D. G. Anderson, J. ACM 12 (1965) 547
    """
    w, step = points[-1], steps[-1]
    if len(points) < 2:
        return np.asarray(w + step)
    scale = 1.0 / (np.abs(w) + 1e-4)
    d_step = np.array([step - s for s in steps[:-1]]) * scale
    mixture = np.linalg.lstsq(d_step.T, step * scale, rcond=1e-8)[0]
    d_point = np.array([w - p for p in points[:-1]])
    return np.asarray(w + step - mixture @ (d_point + d_step / scale))


def _strengths(seen: Mapping[str, float], prepared: Prepared, specimen: Specimen) -> FloatArray:
    """Modelled strengths of the quantified line groups, shape (m,)."""
    whole = whole_composition(seen, specimen, prepared.method.unseen, prepared.elements)
    strengths = np.zeros(len(prepared.lines))
    for name, model in prepared.models.items():
        mine = [k for k, line in enumerate(prepared.lines) if line.region.condition == name]
        wanted = [prepared.lines[k].group for k in mine]
        strengths[mine] = group_strengths(model, whole, specimen.areal_density_g_cm2, wanted)
    dark = [line.element for line, s in zip(prepared.lines, strengths, strict=True) if s <= 0.0]
    if dark:
        raise DomainError(f"the tube does not excite the lines the method wants of {', '.join(dark)}")
    return strengths


def _shares(fits: Sequence[RegionFit], prepared: Prepared, specimen: Specimen, seen: Mapping[str, float]) -> FloatArray:
    """Shares of the line groups at the present composition; see `shares_of`."""
    if len(prepared.lines) == len(prepared.method.quantified_elements):
        return np.eye(len(prepared.lines))
    w = np.array([seen[line.element] for line in prepared.lines])
    found = _content_variances(fits, prepared, _strengths(seen, prepared, specimen))
    return shares_of(found + _calibrated_variance(prepared, w), prepared.owner)


def shares_of(variance: FloatArray, owner: IntArray) -> FloatArray:
    """Weights with which the line groups of one element make its mass fraction: A_il = v_l⁻¹ / Σ v⁻¹ over its own.

    variance : of the mass fraction by each line group alone, shape (..., m); owner : place of its element, shape (m,).
    The result, 0 for line groups of other elements, has shape (..., n, m).
    """
    own = np.where(owner == np.arange(owner.max() + 1)[:, None], 1.0 / variance[..., None, :], 0.0)
    return np.asarray(own / own.sum(axis=-1, keepdims=True))


def net_rates(fits: Sequence[RegionFit], prepared: Prepared) -> FloatArray:
    """Net rates (1/s) of the quantified line groups, corrected for pile-up losses, shape (m,)."""
    by_region = {f.areas.region: f.areas for f in fits}
    rates = []
    for line in prepared.lines:
        areas = by_region[line.region.name]
        rates.append(areas.area[areas.groups.index(line.group)] / (areas.live_time_s * areas.survival))
    return np.array(rates)


def net_rate_uncertainties(fits: Sequence[RegionFit], prepared: Prepared) -> FloatArray:
    """Standard uncertainties (1/s) of `net_rates`, misfit included, shape (m,)."""
    return np.asarray(np.sqrt(np.maximum(np.diag(sum(rate_covariances(fits, prepared).values())), 0.0)))


def rate_covariances(fits: Sequence[RegionFit], prepared: Prepared) -> dict[str, FloatArray]:
    """Covariance of the net rates by origin, (1/s)², shape (m, m) each; regions are independent of each other.

    counting : by the noise of the counts if all but the areas were known. background : by finding background, line
    ratios and resolution in the same counts. response : by what priors leave open of these. misfit : what a reduced
    deviance above 1 adds to all three.
    """
    n = len(prepared.lines)
    found = {part: np.zeros((n, n)) for part in PARTS_OF_FIT}
    for fit in fits:
        areas = fit.areas
        mine = [k for k, line in enumerate(prepared.lines) if line.region.name == areas.region]
        index = [areas.groups.index(prepared.lines[k].group) for k in mine]
        here, there = np.ix_(mine, mine), np.ix_(index, index)
        per_count = 1.0 / (areas.live_time_s * areas.survival) ** 2
        parts = parts_of_fit(
            areas.covariance, areas.counting_covariance, areas.response_covariance, np.array(areas.reduced_deviance)
        )
        for name, part in parts.items():
            found[name][here] = part[there] * per_count
    return found


def parts_of_fit(
    covariance: FloatArray, counting: FloatArray, response: FloatArray, reduced_deviance: FloatArray
) -> dict[str, FloatArray]:
    """Covariance of areas by origin, counts², shape (..., n, n) each; see `rate_covariances`.

    covariance, counting, response : of `NetAreas`, shape (..., n, n); reduced_deviance : shape (...).
    """
    excess = np.maximum(reduced_deviance - 1.0, 0.0)[..., None, None]
    parts = (counting, covariance - counting - response, response, covariance * excess)
    return dict(zip(PARTS_OF_FIT, parts, strict=True))


def _content_variances(fits: Sequence[RegionFit], prepared: Prepared, strengths: FloatArray) -> FloatArray:
    """Variance that the fits leave to the mass fraction by each line group, misfit not included, shape (m,)."""
    by_origin = rate_covariances(fits, prepared)
    variance = np.diag(by_origin["counting"] + by_origin["background"] + by_origin["response"])
    return np.asarray(variance / (np.exp(prepared.log_sensitivity) * strengths) ** 2)


def _largest_move(
    before: Mapping[str, float], after: Mapping[str, float], variance: FloatArray, shares: FloatArray
) -> float:
    """Largest change of a mass fraction in units of the fit's uncertainty (or of 0.2 % of itself).

    variance : of `_content_variances`.
    """
    sigma = np.sqrt(shares**2 @ variance)
    a, b = np.array([before[e] for e in after]), np.array(list(after.values()))
    return float(np.max(np.abs(b - a) / np.maximum(sigma, 2e-3 * np.abs(b))))


def quantify(measurement: Measurement, prepared: Prepared, specimen: Specimen) -> Assay:
    """Mass fractions of the sample with covariance, limits and verdicts.

    measurement : its spectra under the method's condition names (`matched_conditions`).
    specimen : form, thickness, ignition loss or fusion record.

    Raises FitError, NotConvergedError or DomainError with the reason when the measurement cannot be assayed.
    """
    solution = common_solution(measurement, prepared, specimen)
    elements = prepared.method.quantified_elements
    w = np.array([solution.seen[e] for e in elements])
    unit = np.exp(prepared.log_sensitivity) * solution.strengths
    inverse = np.linalg.inv(solution.shares @ coupling_of(solution, prepared, specimen)) @ solution.shares
    base = np.log(solution.strengths)
    moves = [
        (np.log(_strengths(solution.seen, prepared, moved)) - base, np.array(moved.dilution / specimen.dilution - 1.0))
        for moved in moved_specimens(specimen, prepared.method.uncertainty)
    ]
    rate, rates = net_rates(solution.fits, prepared), rate_covariances(solution.fits, prepared)
    parts = contributions(rates, inverse, unit, w, moves, prepared)
    covariance = np.sum(list(parts.values()), axis=0)
    at_zero = _rate_variance_at_zero(solution.fits, prepared)
    grown = np.diag(sum(rates.values())) - at_zero
    slope = rate_slopes(grown, rate, _exposures(solution.fits, prepared))
    decision, detection, quantified = limits(at_zero, slope, unit, prepared)
    dilution = specimen.dilution
    areas = tuple(f.areas for f in solution.fits)
    disagreeing = _disagreements(rate, rates, unit, w, prepared)
    verdicts, reasons = verdicts_of_contents(w, decision, areas, prepared, dilution, disagreeing)
    return Assay(
        specimen=measurement.specimen,
        basis=basis_of(specimen),
        components=elements,
        analytes=prepared.method.analytes,
        mass_fraction=w * dilution,
        covariance=covariance * dilution**2,
        budget={name: np.sqrt(np.maximum(np.diag(part), 0.0)) * dilution for name, part in parts.items()},
        coverage_factor=prepared.method.coverage_factor,
        decision_limit=decision * dilution,
        detection_limit=detection * dilution,
        quantification_limit=quantified * dilution,
        verdicts=verdicts,
        reasons=reasons,
        composition=Composition(elements=prepared.elements, mass_fraction=solution.whole),
        areas=areas,
        iterations=solution.rounds,
        recipe=recipe_of(measurement, prepared),
    )


def _disagreements(
    rate: FloatArray, covariances: Mapping[str, FloatArray], unit: FloatArray, w: FloatArray, prepared: Prepared
) -> dict[str, str]:
    """Elements whose line groups say what they should not, and what: their reasons.

    rate, unit : net rate and k S of each line group, shape (m,); covariances : of the rates, shape (m, m) each; w :
    mass fractions, shape (n,).
    """
    found, own = rate / unit - prepared.blank, w[prepared.owner]
    variance = np.diag(sum(covariances.values())) / unit**2 + _calibrated_variance(prepared, own)
    reasons = {}
    for k, element in enumerate(prepared.method.quantified_elements):
        mine = np.flatnonzero(prepared.owner == k)
        low, high = mine[np.argmin(found[mine])], mine[np.argmax(found[mine])]
        apart = (found[high] - found[low]) / np.sqrt(variance[high] + variance[low])
        if apart > LARGEST_DISAGREEMENT:
            reasons[element] = disagreement(prepared.lines[low].key, prepared.lines[high].key, float(apart))
    return reasons


def disagreement(low: str, high: str, apart: float) -> str:
    """Why a mass fraction is doubtful whose two line groups are too many standard uncertainties apart."""
    return f"by {high} there is more than by {low}, {apart:.1f} standard uncertainties apart; compare the two fits"


def basis_of(specimen: Specimen) -> str:
    """What the mass fractions of an assay refer to."""
    return "specimen as measured" if specimen.fusion is None else "dry sample before fusion"


def contributions(
    rates: Mapping[str, FloatArray],
    inverse: FloatArray,
    unit: FloatArray,
    w: FloatArray,
    moves: Sequence[tuple[FloatArray, FloatArray]],
    prepared: Prepared,
) -> dict[str, FloatArray]:
    """Covariance of the mass fractions by origin, each of shape (..., n, n); of many specimens at once, too.

    From w = A x, x_l k_l S_l(w) = r_l:  A M δw = A (δr/(k S) - x δ ln k),  M = H + diag(x) ∂ ln S/∂w

    rates : covariance of the net rates by origin, (..., m, m); inverse : (A M)⁻¹ A, shape (..., n, m), with shares A of
    the line groups, M as of `coupling_of`; unit : k S, shape (..., m); w : mass fractions, shape (..., n).
    moves : what `moved_specimens` change, see `matrix_covariance`.

    What differs between specimens in proportion to the content acts on all line groups of an element alike.
    """
    owner = prepared.owner
    own = w[..., owner]
    per_unit = unit[..., :, None] * unit[..., None, :]
    relative = prepared.relative_scatter * own
    scatter = relative[..., :, None] * relative[..., None, :] * (owner[:, None] == owner)
    stated = prepared.method.uncertainty
    rough = {
        **{name: covariance / per_unit for name, covariance in rates.items()},
        "calibration": _calibration_covariance(prepared, own + prepared.blank),
        "between specimens": scatter + np.diag(prepared.absolute_scatter**2),
    }
    if stated.drift:
        rough["drift"] = stated.drift**2 * _together(own, prepared.lines)
    parts = {name: np.asarray(inverse @ part @ inverse.swapaxes(-1, -2)) for name, part in rough.items()}
    if stated.preparation:
        parts["preparation"] = (stated.preparation * w)[..., None] ** 2 * np.eye(w.shape[-1])
    if stated.loss_on_ignition or stated.dilution:
        parts["matrix"] = matrix_covariance(inverse, w, moves, owner)
    return parts


def _together(w: FloatArray, lines: Sequence[QuantifiedLine]) -> FloatArray:
    """w_i w_j of line groups measured in the same condition, 0 of all others."""
    conditions = [line.region.condition for line in lines]
    same = np.array([[a == b for b in conditions] for a in conditions])
    return np.asarray(w[..., :, None] * w[..., None, :] * same)


def moved_specimens(specimen: Specimen, stated: LaboratoryUncertainty) -> list[Specimen]:
    """The specimen with its ignition loss, or its weighed flux, changed by their standard uncertainties."""
    moved = []
    if stated.loss_on_ignition and specimen.fusion is None and specimen.loss_on_ignition is not None:
        moved.append(replace(specimen, loss_on_ignition=specimen.loss_on_ignition + stated.loss_on_ignition))
    if stated.dilution and specimen.fusion is not None:
        flux_g = specimen.fusion.flux_g * (1.0 + stated.dilution)
        moved.append(replace(specimen, fusion=replace(specimen.fusion, flux_g=flux_g)))
    return moved


def matrix_covariance(
    inverse: FloatArray, w: FloatArray, moves: Sequence[tuple[FloatArray, FloatArray]], owner: IntArray
) -> FloatArray:
    """What ignition loss and weighed flux leave uncertain, shape (..., n, n).

    A seen element's rates fix w S(w, q): A M δw = -A w δ ln S, for q the ignition loss or the dilution D; mass
    fractions of the sample are w D and move with D as well.

    inverse : (A M)⁻¹ A; moves : δ ln S, shape (..., m), and δ ln D, shape (...), of each q changed by its uncertainty;
    owner : of `Prepared`.
    """
    total = np.zeros((*w.shape, w.shape[-1]))
    for by_strength, by_dilution in moves:
        change = w * by_dilution[..., None] - (inverse @ (w[..., owner] * by_strength)[..., None])[..., 0]
        total += change[..., :, None] * change[..., None, :]
    return total


def _calibrated_variance(prepared: Prepared, w: FloatArray) -> FloatArray:
    """Variance by calibration and scatter of the mass fraction by each line group, shape (m,) as that of w."""
    calibrated = np.diag(_calibration_covariance(prepared, w + prepared.blank))
    return np.asarray(calibrated + (prepared.relative_scatter * w) ** 2 + prepared.absolute_scatter**2)


def _calibration_covariance(prepared: Prepared, apparent: FloatArray) -> FloatArray:
    """Of w = a - b with a ∝ 1/k: a_i a_j cov(ln k_i, ln k_j) + cov(b_i, b_j) + a_i cov(ln k_i, b_j) + transposed."""
    cross = apparent[..., :, None] * prepared.cross_covariance
    outer = apparent[..., :, None] * apparent[..., None, :]
    return np.asarray(
        prepared.sensitivity_covariance * outer + prepared.blank_covariance + cross + cross.swapaxes(-1, -2)
    )


def coupling_of(solution: CommonSolution, prepared: Prepared, specimen: Specimen) -> FloatArray:
    """M_lj = H_lj + w_l ∂ ln S_l/∂w_j by forward differences; H_lj = 1 if line group l is of element j.

    Its shape is (m, n), of the line groups and the elements.

    Traces are as uncertain as main elements: all columns count, not only those of high contents.
    """
    elements = prepared.method.quantified_elements
    matrix = np.eye(len(elements))[prepared.owner]
    w = np.array([solution.seen[line.element] for line in prepared.lines])
    base = np.log(solution.strengths)
    for j, element in enumerate(elements):
        present = max(solution.seen[element], 0.0)
        step = max(1e-3 * present, COUPLING_STEP)
        moved = {**solution.seen, element: present + step}
        matrix[:, j] += w * (np.log(_strengths(moved, prepared, specimen)) - base) / step
    return matrix


def _rate_variance_at_zero(fits: Sequence[RegionFit], prepared: Prepared) -> FloatArray:
    """Variance (1/s²) each net rate would have without its element, misfit included, shape (m,)."""
    by_region = {f.areas.region: f.areas for f in fits}
    variance = []
    for line in prepared.lines:
        areas = by_region[line.region.name]
        rate = areas.variance_at_zero[areas.groups.index(line.group)] / (areas.live_time_s * areas.survival) ** 2
        variance.append(rate * max(areas.reduced_deviance, 1.0))
    return np.array(variance)


def _exposures(fits: Sequence[RegionFit], prepared: Prepared) -> FloatArray:
    """Seconds in which counts of the quantified line groups stayed in their lines, shape (m,)."""
    by_region = {f.areas.region: f.areas for f in fits}
    of_line = [by_region[line.region.name] for line in prepared.lines]
    return np.array([areas.live_time_s * areas.survival for areas in of_line])


def rate_slopes(grown: FloatArray, rate: FloatArray, exposure_s: FloatArray) -> FloatArray:
    """By how much the variance of a net rate grows with it, 1/s: as found, but at least as its own counts make it.

    grown : variance beyond that at zero, (1/s)²; rate : 1/s; where that is not above 0, its own counts are all; shape
    (..., n) each, as that of the result.
    """
    found = np.divide(grown, rate, where=rate > 0.0, out=np.zeros(np.shape(rate)))
    return np.asarray(np.maximum(found, 1.0 / exposure_s))


def limits(
    variance_at_zero: FloatArray, slope: FloatArray, unit: FloatArray, prepared: Prepared
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Decision, detection and quantification limits, kg/kg in the specimen; of many specimens at once, too.

    y* = k u(0),  y# = 2 y*;  k = z(1 - α/n), α false-positive risk of one specimen with n analytes; u(0) from the fit's
    covariance at zero content, misfit and absolute scatter included.          L. A. Currie, Anal. Chem. 40 (1968) 586
    y_Q with a relative standard uncertainty of 10 %, from u(0), `slope`, and what is in proportion to the content.
    Line groups of one element have the shares that its absence gives them.

    variance_at_zero : of the net rates, (1/s)²; slope : see `rate_slopes`; unit : k S, shape (..., m).
    """
    by_line = variance_at_zero / unit**2 + prepared.absolute_scatter**2 + np.diag(prepared.blank_covariance)
    shares = shares_of(by_line, prepared.owner)
    zero, grown = ((shares**2 @ each[..., None])[..., 0] for each in (by_line, slope / unit))
    k = -float(ndtri(prepared.method.false_positive_risk / max(len(prepared.method.analytes), 1)))
    stated = prepared.method.uncertainty
    by_line = np.diag(prepared.sensitivity_covariance) + prepared.relative_scatter**2
    relative = np.sqrt(shares @ by_line + stated.preparation**2 + stated.drift**2)
    u0 = np.sqrt(zero)
    return k * u0, 2.0 * k * u0, quantification_limits(zero, grown, relative)


def verdicts_of_contents(
    w: FloatArray,
    decision: FloatArray,
    areas: Sequence[NetAreas],
    prepared: Prepared,
    dilution: float,
    disagreeing: Mapping[str, str] = MappingProxyType({}),
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """What the mass fractions of one specimen may be used for, by fits, decision limits and the calibration's ranges.

    w, decision : kg/kg of the specimen, shape (n,); areas : of all regions. dilution : kg of specimen per kg of sample.
    disagreeing : reasons why elements are doubtful whose line groups say different things.
    """
    by_region = {a.region: a for a in areas}
    judged = []
    for element, content, limit in zip(prepared.method.quantified_elements, w, decision, strict=True):
        own = [by_region[line.region.name] for line in prepared.lines if line.element == element]
        judged.append(verdict_of_content(content, limit, own, disagreeing.get(element, "")))
    verdicts, reasons = tuple(verdict for verdict, _ in judged), tuple(reason for _, reason in judged)
    if prepared.calibration is None:
        return verdicts, reasons
    return judged_in_range(
        verdicts,
        reasons,
        contents=dict(zip(prepared.method.quantified_elements, w.tolist(), strict=True)),
        analytes=prepared.method.analytes,
        validity=prepared.calibration.validity,
        dilution=dilution,
    )


def verdict_of_content(
    content: float, decision: float, areas: Sequence[NetAreas], disagreeing: str = ""
) -> tuple[Verdict, str]:
    """What a mass fraction may be used for, and why not for more; content and decision limit in the same unit.

    areas : of the regions that its line groups lie in; disagreeing : why these say different things, if they do.
    """
    for found in areas:
        if found.verdict is not FitVerdict.GOOD:
            return Verdict.DOUBTFUL, f"{found.verdict}: {found.reason}"
    if disagreeing:
        return Verdict.DOUBTFUL, disagreeing
    if content <= decision:
        return Verdict.NOT_DETECTED, "at or below the decision limit"
    return Verdict.DETECTED, ""


def recipe_of(measurement: Measurement, prepared: Prepared) -> Recipe:
    """Digests of the files and documents that an assay is made with."""
    calibration = prepared.calibration
    return Recipe(
        source_sha256=tuple(source.sha256 for source in measurement.sources),
        sources=tuple(source.path for source in measurement.sources),
        method=prepared.method.name,
        method_sha256=prepared.method.sha256,
        instrument=prepared.instrument.name,
        instrument_sha256=prepared.instrument.sha256,
        calibration=calibration.name if calibration else "none: fundamental parameters",
        calibration_sha256=calibration.sha256 if calibration else "",
        calibration_status=str(calibration.status) if calibration else "",
        tables=TABLES,
        software_version=__version__,
    )
