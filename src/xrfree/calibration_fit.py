"""Calibration of the line groups with reference materials."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.calibration import Calibration, RegionKnowledge, StandardPoint, validity_of_points
from xrfree.errors import CalibrationError
from xrfree.fit import JointPrior
from xrfree.fit.region import RegionFit
from xrfree.learning import Evidence, Lesson, evidence, learn, shape_names
from xrfree.method import Region
from xrfree.quantification import (
    CommonSolution,
    Prepared,
    QuantifiedLine,
    common_solution,
    coupling_of,
    net_rate_uncertainties,
    net_rates,
    stated_sensitivity,
    with_calibration,
)
from xrfree.reference import Basis, ReferenceMaterial, ReferenceValue, error_effects
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement

FloatArray = NDArray[np.float64]

FEWEST_STANDARDS = 2
LEAST_SIGNIFICANT = 4.0
"""A line group is calibrated when at least one standard shows it with this many standard uncertainties."""
LESSONS = 2
"""How often the standards are fitted and learned from. The second fit starts from what the first one taught; what is
learned starts from what was known without the standards, which would else count twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standard:
    """One standard, fitted with its certified contents held fixed.

    content : certified mass fraction in the specimen, and its standard uncertainty, of every element.
    certificate : what errors of these contents, each as large as its uncertainty, change of the contents as the line
        groups show them, kg/kg, shape (m, n_contents): M diag(u), see `quantification.coupling_of`.
    relative_effect : of each source of error of the certificate on its contents, by element.
    strength, rate, rate_uncertainty : of the line groups, shape (m,).
    """

    material: str
    content: dict[str, tuple[float, float]]
    certificate: FloatArray
    relative_effect: dict[str, dict[str, float]]
    solution: CommonSolution
    strength: FloatArray
    rate: FloatArray
    rate_uncertainty: FloatArray

    def fit(self, region: Region) -> RegionFit:
        """Fit of one region."""
        return next(f for f in self.solution.fits if f.areas.region == region.name)


def specimen_content(value: ReferenceValue, specimen: Specimen) -> tuple[float, float]:
    """Certified mass fraction in the measured specimen with its standard uncertainty, kg/kg.

    w_specimen = w_dry / dilution; an ignited basis is first brought to the dry one by (1 - LOI).

    Raises CalibrationError for a value on the ignited basis where the loss on ignition is not known.
    """
    factor = 1.0 / specimen.dilution
    if value.basis is Basis.IGNITED:
        if specimen.loss_on_ignition is None:
            raise CalibrationError(
                f"{value.component} is certified on the ignited basis; state the loss on ignition of the specimen"
            )
        factor *= 1.0 - specimen.loss_on_ignition
    return value.mass_fraction * factor, value.standard_uncertainty * factor


def calibrate(
    measurements: Mapping[str, Measurement],
    certificates: Mapping[str, ReferenceMaterial],
    specimens: Mapping[str, Specimen],
    prepared: Prepared,
    *,
    name: str,
    force_digestion: bool = False,
) -> Calibration:
    """Sensitivity and blank of every line group that the standards show, line ratios and background shapes.

    measurements : by specimen name, under the method's condition names.
    certificates, specimens : by the same names.
    force_digestion : also take values by digestions that leave resistant minerals undissolved.

    Certified contents of each standard are held fixed while fit and matrix model come to a common answer; then all
    standards together say what they have in common (`xrfree.learning`).

    Raises CalibrationError when no line group is determined by two standards.
    """
    known, force = prepared, force_digestion
    for _ in range(LESSONS - 1):
        fitted = [_fitted(s, m, certificates, specimens, known, force=force) for s, m in measurements.items()]
        known = with_calibration(prepared, _calibration(name, fitted, prepared))
    fitted = [_fitted(s, m, certificates, specimens, known, force=force) for s, m in measurements.items()]
    return _calibration(name, fitted, prepared)


def _fitted(
    standard: str,
    measurement: Measurement,
    certificates: Mapping[str, ReferenceMaterial],
    specimens: Mapping[str, Specimen],
    prepared: Prepared,
    *,
    force: bool,
) -> _Standard:
    """Fit one standard at its certified composition."""
    if standard not in certificates:
        raise CalibrationError(f"there is no certificate of {standard}; give one, or leave the standard out")
    if standard not in specimens:
        raise CalibrationError(f"the specimen list does not name {standard}; add its form, density and thickness")
    elements = prepared.method.quantified_elements
    content = {
        element: specimen_content(value, specimens[standard])
        for element, value in certificates[standard].element_values(force_digestion=force).items()
        if element in elements
    }
    pinned = {element: w for element, (w, _) in content.items()}
    solution = common_solution(measurement, prepared, specimens[standard], pinned=pinned)
    coupling = coupling_of(solution, prepared, specimens[standard])
    return _Standard(
        material=standard,
        content=content,
        certificate=coupling[:, [elements.index(e) for e in content]] * [u for _, u in content.values()],
        relative_effect=_relative_effects(certificates[standard], list(content), force=force),
        solution=solution,
        strength=solution.strengths,
        rate=net_rates(solution.fits, prepared),
        rate_uncertainty=net_rate_uncertainties(solution.fits, prepared),
    )


def _relative_effects(
    material: ReferenceMaterial, elements: Sequence[str], *, force: bool
) -> dict[str, dict[str, float]]:
    """Effect of each source of error on the contents, as a share of them."""
    values = material.element_values(force_digestion=force)
    return {
        source: {
            e: float(g) / values[e].mass_fraction
            for e, g in zip(elements, effect, strict=True)
            if g and values[e].mass_fraction
        }
        for source, effect in error_effects(material, elements, force_digestion=force).items()
    }


def _shared_errors(standards: Sequence[_Standard], elements: Sequence[str]) -> FloatArray:
    """Covariance of ln k by errors that several standards share, such as a reagent's purity: no number averages them.

    Cov(ln k_i, ln k_j) = Σ_s ḡ_si ḡ_sj, ḡ mean relative effect of source s on an element in the standards that hold it
    """
    counts = Counter(source for standard in standards for source in standard.relative_effect)
    shared = [source for source, n in counts.items() if n > 1]
    effect = np.zeros((len(shared), len(elements)))
    for j, element in enumerate(elements):
        holding = [s for s in standards if s.content.get(element, (0.0, 0.0))[0] > 0.0]
        for m, source in enumerate(shared):
            effect[m, j] = np.mean([s.relative_effect.get(source, {}).get(element, 0.0) for s in holding])
    return np.asarray(effect.T @ effect)


def _calibration(name: str, standards: Sequence[_Standard], prepared: Prepared) -> Calibration:
    lessons = {region.name: lesson for region, lesson in _lessons(standards, prepared)}
    if not lessons:
        raise CalibrationError(
            f"none of the {len(standards)} standards determines a line group of the method; "
            f"at least {FEWEST_STANDARDS} standards with a certified content of an element are needed"
        )
    taught = [k for k, line in enumerate(prepared.lines) if _is_taught(line, lessons)]
    lines = [prepared.lines[k] for k in taught]
    rows = [_row(lessons[line.region.name], line.group) for line in lines]
    covariance = _joint_covariance(lines, lessons, standards)
    own = np.diag(covariance).copy()
    covariance += _shared_errors(standards, [line.element for line in lines])
    # A blank shares nothing with them: its covariance with ln k stays, and their correlation falls.
    blank_correlation = np.array([row.blank_correlation for row in rows]) * np.sqrt(own / np.diag(covariance))
    points = tuple(
        _point(standard, line, k, row)
        for k, line, row in zip(taught, lines, rows, strict=True)
        for standard in standards
        if line.element in standard.content and standard.strength[k] > 0.0
    )
    return Calibration(
        name=name,
        groups=tuple(line.key for line in lines),
        log_sensitivity=np.array([row.log_k for row in rows]),
        covariance=covariance,
        blank=np.array([row.blank for row in rows]),
        blank_uncertainty=np.array([row.blank_uncertainty for row in rows]),
        blank_correlation=blank_correlation,
        relative_scatter=np.array([row.relative_scatter for row in rows]),
        absolute_scatter=np.array([row.absolute_scatter for row in rows]),
        points=points,
        validity=validity_of_points(points),
        tables=TABLES,
        instrument_sha256=prepared.instrument.sha256,
        method_sha256=prepared.method.sha256,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        software_version=__version__,
        regions=tuple(_knowledge(r, lessons[r.name]) for r in prepared.method.regions if r.name in lessons),
    )


def _is_taught(line: QuantifiedLine, lessons: Mapping[str, Lesson]) -> bool:
    return line.region.name in lessons and line.group in lessons[line.region.name].groups


def _joint_covariance(
    lines: Sequence[QuantifiedLine], lessons: Mapping[str, Lesson], standards: Sequence[_Standard]
) -> FloatArray:
    """Covariance of ln k of all line groups; regions have the certificates in common: Σ_s G_s U_s G_sᵀ."""
    by_certificate = []
    for line in lines:
        lesson = lessons[line.region.name]
        k = lesson.groups.index(line.group)
        by_certificate.append(np.concatenate([effect[k] for effect in lesson.by_certificate]))
    covariance: FloatArray = np.array(by_certificate) @ np.array(by_certificate).T
    for i, line in enumerate(lines):
        for j, other in enumerate(lines):
            lesson = lessons[line.region.name]
            if line.region.name == other.region.name:
                covariance[i, j] = lesson.covariance[lesson.groups.index(line.group), lesson.groups.index(other.group)]
    return covariance


def _lessons(standards: Sequence[_Standard], prepared: Prepared) -> Iterator[tuple[Region, Lesson]]:
    """What the standards teach about each region in which they determine a line group."""
    determined = [k for k in range(len(prepared.lines)) if _is_determined(k, standards, prepared)]
    offsets = _scale_offsets(determined, standards, prepared)
    for region in prepared.method.regions:
        mine = [k for k in determined if prepared.lines[k].region == region]
        if not mine:
            continue
        groups = tuple(prepared.lines[k].group for k in mine)
        stated = [stated_sensitivity(region, group, prepared.instrument) for group in groups]
        analytes = [k for k in mine if prepared.lines[k].element in prepared.method.analytes]
        shapes = shape_names(region.background_terms) if len(analytes) > 1 else ()
        yield (
            region,
            learn(
                [_evidence(standard, region, mine, prepared, shapes) for standard in standards],
                groups=groups,
                ratios=_ratio_prior(region, [s.fit(region) for s in standards], prepared),
                shapes=shapes,
                log_sensitivity=np.array([log_k for log_k, _ in stated]) + offsets[region.condition],
                log_sensitivity_sigma=np.array([sigma for _, sigma in stated]),
            ),
        )


def _evidence(
    standard: _Standard, region: Region, mine: Sequence[int], prepared: Prepared, shapes: Sequence[str]
) -> Evidence:
    """Evidence of one standard about the line groups `mine` of a region."""
    certified = [k for k in mine if prepared.lines[k].element in standard.content]
    return evidence(
        standard.fit(region),
        strength={prepared.lines[k].group: float(standard.strength[k]) for k in mine},
        content={prepared.lines[k].element: standard.content[prepared.lines[k].element][0] for k in certified},
        certificate=standard.certificate[certified],
        shapes=shapes,
    )


def _is_determined(k: int, standards: Sequence[_Standard], prepared: Prepared) -> bool:
    """Whether enough standards contain the element of line group k, and one of them shows it."""
    element = prepared.lines[k].element
    holding = [s for s in standards if s.content.get(element, (0.0, 0.0))[0] > 0.0 and s.strength[k] > 0.0]
    shown = any(s.rate[k] > LEAST_SIGNIFICANT * s.rate_uncertainty[k] for s in holding)
    return shown and len(holding) >= FEWEST_STANDARDS


def _scale_offsets(determined: Sequence[int], standards: Sequence[_Standard], prepared: Prepared) -> dict[str, float]:
    """Per condition, by how much the standards' log sensitivities differ from the document's (tube current)."""
    found: dict[str, list[float]] = {}
    for k in determined:
        line = prepared.lines[k]
        log_k, _ = stated_sensitivity(line.region, line.group, prepared.instrument)
        found.setdefault(line.region.condition, []).append(_first_log_k(k, line.element, standards) - log_k)
    return {condition: float(np.median(values)) for condition, values in found.items()}


def _first_log_k(k: int, element: str, standards: Sequence[_Standard]) -> float:
    """Weighted slope through the origin of the rates over strength times content."""
    rows = [
        (s.rate[k], s.rate_uncertainty[k], s.strength[k] * s.content[element][0],
         s.strength[k] * s.content[element][1])
        for s in standards
        if element in s.content
    ]  # fmt: skip
    rate, u_rate, modelled, u_modelled = np.array(rows).T
    weight = 1.0 / np.maximum(u_rate**2 + u_modelled**2 + (0.01 * modelled) ** 2, 1e-300)
    return float(np.log(max(np.sum(weight * rate * modelled) / np.sum(weight * modelled**2), 1e-12)))


def _ratio_prior(region: Region, fits: Sequence[RegionFit], prepared: Prepared) -> JointPrior:
    """What is known of every line ratio in the fits of one region, but nothing of those that the method frees."""
    own = {n: fit.model.prior(n) for fit in fits for n in fit.model.names if n.startswith("ratio:")}
    freed = frozenset().union(*(fit.model.plan.free for fit in fits))
    names = tuple(own)
    mean = np.zeros(len(names))
    covariance = np.diag([(prior.sigma or prepared.method.ratio_sigma) ** 2 for prior in own.values()])
    prior = prepared.ratio_priors.get(region.name)
    if prior is not None:
        mine = [k for k, name in enumerate(names) if name in prior.names and name not in freed]
        theirs = [prior.names.index(names[k]) for k in mine]
        mean[mine] = prior.mean[theirs]
        covariance[np.ix_(mine, mine)] = prior.covariance[np.ix_(theirs, theirs)]
    return JointPrior(names=names, mean=mean, covariance=covariance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line group of a lesson."""

    log_k: float
    blank: float
    blank_uncertainty: float
    blank_correlation: float
    relative_scatter: float
    absolute_scatter: float


def _row(lesson: Lesson, group: str) -> _Row:
    k, n = lesson.groups.index(group), len(lesson.groups)
    u_log_k, u_blank = np.sqrt(lesson.covariance[k, k]), np.sqrt(lesson.covariance[n + k, n + k])
    return _Row(
        log_k=float(lesson.log_sensitivity[k]),
        blank=float(lesson.blank[k]),
        blank_uncertainty=float(u_blank),
        blank_correlation=float(lesson.covariance[k, n + k] / (u_log_k * u_blank)),
        relative_scatter=float(lesson.relative_scatter[k]),
        absolute_scatter=float(lesson.absolute_scatter[k]),
    )


def _knowledge(region: Region, lesson: Lesson) -> RegionKnowledge:
    """Line ratios of the groups that the region quantifies, and shapes."""
    parts = [name.split(":", 2) for name in lesson.ratios.names]
    mine = [k for k, (_, group, _) in enumerate(parts) if group in region.quantified]
    shapes = lesson.shapes
    return RegionKnowledge(
        region=f"{region.condition}/{region.name}",
        ratios=tuple((parts[k][1], parts[k][2]) for k in mine),
        ratio_deviation=lesson.ratios.mean[mine],
        ratio_covariance=lesson.ratios.covariance[np.ix_(mine, mine)],
        shapes=() if shapes is None else shapes.names,
        shape_mean=np.zeros(0) if shapes is None else shapes.mean,
        shape_covariance=np.zeros((0, 0)) if shapes is None else shapes.covariance,
    )


def _point(standard: _Standard, line: QuantifiedLine, k: int, row: _Row) -> StandardPoint:
    unit = np.exp(row.log_k) * standard.strength[k]
    content, u = standard.content[line.element]
    return StandardPoint(
        material=standard.material,
        group=line.key,
        certified=content,
        certified_uncertainty=u,
        found=float(standard.rate[k] / unit) - row.blank,
        found_uncertainty=float(standard.rate_uncertainty[k] / unit),
    )
