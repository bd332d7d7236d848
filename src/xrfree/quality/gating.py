"""Evaluation of gates: what passes, what is warned about, what holds a batch, and what must be repeated.

Spectra answer the gates of the instrument before anything is assayed (`spectrum_findings`); results answer the others
(`result_findings`). All inputs are plain nouns; nothing here reads files or knows the matrix model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations

import numpy as np

from xrfree.areas import FitVerdict
from xrfree.assay import Assay, Verdict
from xrfree.composition import element_fraction
from xrfree.errors import DomainError, XrfreeError
from xrfree.gates import (
    Action,
    BlankGate,
    CheckGate,
    DeadTimeGate,
    DriftGate,
    DuplicateGate,
    FitGate,
    Gate,
    PatternGate,
    PeakGate,
    RangeGate,
    Score,
    SeriesGate,
    SumGate,
    TubeLineGate,
)
from xrfree.quality.duplicates import Acceptance, LinearPrecision, accept, allowed_relative_deviation, c_test
from xrfree.quality.pattern import NEIGHBOURS, plausibility
from xrfree.quality.peak import k_alpha
from xrfree.quality.precision import LIMIT_FACTOR
from xrfree.quality.scores import en_score, zeta_score
from xrfree.reference import Basis, ReferenceMaterial, ReferenceValue
from xrfree.spectrum import Measurement, Spectrum

FEWEST_FOR_A_SWAP = 3
"""Elements that must agree with another material before an exchange of specimens is suspected."""


class Outcome(StrEnum):
    """What a gate says."""

    PASS = "pass"
    WARN = "warn"
    HOLD = "hold"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One specimen of a batch as the gates see it.

    role, sample : of the list of specimens; specimens of one sample are duplicates.
    measurement : under the method's condition names, where spectra are looked at. assay : where results are.
    loss_on_ignition : kg/kg of the dry sample. oxides : formula in which each element is bound.
    expected_areas : counts of accompanying line groups that the found composition predicts, by "condition/group".
    outside : sentences on contents outside the ranges of the calibration; None where it has no ranges.
    """

    name: str
    role: str = ""
    sample: str = ""
    measurement: Measurement | None = None
    assay: Assay | None = None
    loss_on_ignition: float | None = None
    oxides: Mapping[str, str] = field(default_factory=dict)
    expected_areas: Mapping[str, float] = field(default_factory=dict)
    outside: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one gate found: a sentence, the specimens it is about, and what must be repeated."""

    gate: str
    kind: str
    outcome: Outcome
    message: str
    specimens: tuple[str, ...] = ()
    repeat: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All findings of a batch, in the order of the gates."""

    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst finding; a gate that was not evaluated does not count."""
        found = {finding.outcome for finding in self.findings}
        return next((o for o in (Outcome.HOLD, Outcome.WARN) if o in found), Outcome.PASS)

    @property
    def repeat(self) -> tuple[str, ...]:
        """Everything that must be measured again before a held batch is released, each once."""
        held = (f for f in self.findings if f.outcome is Outcome.HOLD)
        return tuple(dict.fromkeys(name for f in held for name in f.repeat))


KINDS: Mapping[type[Gate], str] = {
    PeakGate: "instrument check",
    DeadTimeGate: "dead time",
    TubeLineGate: "tube line",
    DriftGate: "drift monitor",
    BlankGate: "blank",
    CheckGate: "check standard",
    DuplicateGate: "duplicates",
    RangeGate: "range of validity",
    FitGate: "fit",
    SumGate: "element sum",
    SeriesGate: "line series",
    PatternGate: "rare-earth pattern",
}
"""Name of each kind of gate, in documents and reports."""
_OF_SPECTRA = (PeakGate, DeadTimeGate, TubeLineGate)
_OF_EVERYTHING = frozenset({"monitor", "check"})
"""Roles whose failure says something about all specimens of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why one specimen, or a pair, does not pass; `repeat` beyond the specimens themselves."""

    message: str
    specimens: tuple[str, ...]
    repeat: tuple[str, ...] = ()


_Evaluated = tuple[list[Subject], list[_Failure]]
"""Specimens a gate could look at, and failures."""


def asks_for_spectra(gates: Iterable[Gate]) -> bool:
    """Whether any gate needs the spectra themselves."""
    return any(isinstance(gate, _OF_SPECTRA) for gate in gates)


def spectrum_findings(gates: Sequence[Gate], subjects: Iterable[Subject]) -> list[Finding]:
    """Findings of the gates that need nothing but spectra: before a batch; spectra are looked at one by one."""
    mine = [gate for gate in gates if isinstance(gate, _OF_SPECTRA)]
    found: dict[str, _Evaluated] = {gate.name: ([], []) for gate in mine}
    everything: list[Subject] = []
    for subject in subjects:
        known = replace(subject, measurement=None)
        everything.append(known)
        for gate in mine:
            if gate.roles and subject.role not in gate.roles:
                continue
            message = _spectrum_message(gate, subject)
            if message is not None:
                found[gate.name][0].append(known)
            if message:
                failure = _Failure(message=f"{subject.name}: {message}", specimens=(subject.name,))
                found[gate.name][1].append(failure)
    return [f for gate in mine for f in _findings(gate, everything, found[gate.name])]


def result_findings(
    gates: Iterable[Gate], subjects: Sequence[Subject], certificates: Mapping[str, ReferenceMaterial]
) -> list[Finding]:
    """Findings of the gates that need results; certificates by name of the specimen or of its sample."""
    findings: list[Finding] = []
    for gate in gates:
        if isinstance(gate, _OF_SPECTRA):
            continue
        try:
            findings += _findings(gate, subjects, _evaluate(gate, subjects, certificates))
        except XrfreeError as problem:  # results are there: a gate that cannot be asked must not lose them
            findings.append(_unanswered(gate, problem))
    return findings


def _unanswered(gate: Gate, problem: XrfreeError) -> Finding:
    outcome = Outcome.HOLD if gate.action is Action.HOLD else Outcome.WARN
    message = f"the gate could not be asked: {problem}"
    return Finding(gate=gate.name, kind=KINDS[type(gate)], outcome=outcome, message=message)


def _findings(gate: Gate, subjects: Sequence[Subject], evaluated: _Evaluated) -> list[Finding]:
    looked_at, failures = evaluated
    kind = KINDS[type(gate)]
    if failures:
        outcome = Outcome.HOLD if gate.action is Action.HOLD else Outcome.WARN
        everything = tuple(s.name for s in subjects)
        return [_finding(gate, kind, outcome, failure, subjects, everything) for failure in failures]
    if looked_at:
        names = tuple(s.name for s in looked_at)
        message = _paths(gate, looked_at) if isinstance(gate, DuplicateGate) else ""
        return [Finding(gate=gate.name, kind=kind, outcome=Outcome.PASS, message=message, specimens=names)]
    wanted = " or ".join(gate.roles) or "suitable"
    message = f"no {wanted} specimen was measured that this gate could look at"
    if not gate.required:
        return [Finding(gate=gate.name, kind=kind, outcome=Outcome.NOT_EVALUATED, message=message)]
    outcome = Outcome.HOLD if gate.action is Action.HOLD else Outcome.WARN
    message += "; measure one and assay the batch again"
    return [Finding(gate=gate.name, kind=kind, outcome=outcome, message=message, repeat=gate.roles)]


def _finding(
    gate: Gate, kind: str, outcome: Outcome, failure: _Failure, subjects: Sequence[Subject], everything: tuple[str, ...]
) -> Finding:
    roles = {s.role for s in subjects if s.name in failure.specimens}
    general = isinstance(gate, DriftGate) or not roles.isdisjoint(_OF_EVERYTHING)
    repeat = everything if general else tuple(dict.fromkeys((*failure.specimens, *failure.repeat)))
    return Finding(
        gate=gate.name,
        kind=kind,
        outcome=outcome,
        message=failure.message,
        specimens=failure.specimens,
        repeat=repeat,
    )


def _evaluate(gate: Gate, subjects: Sequence[Subject], certificates: Mapping[str, ReferenceMaterial]) -> _Evaluated:
    """Specimens a gate could look at, and failures."""
    mine = [s for s in subjects if not gate.roles or s.role in gate.roles]
    match gate:
        case CheckGate():
            return _check(gate, mine, certificates)
        case DuplicateGate():
            return _duplicates(gate, mine)
        case BlankGate():
            return _blank(gate, mine, subjects)
    assayed = [s for s in mine if s.assay is not None]
    judges: dict[type[Gate], Callable[..., str | None]] = {
        DriftGate: _drift,
        RangeGate: _range,
        FitGate: _fit,
        SumGate: _sum,
        SeriesGate: _series,
        PatternGate: _pattern,
    }
    return _each(assayed, lambda s: judges[type(gate)](gate, s, s.assay))


def _each(subjects: Iterable[Subject], judge: Callable[[Subject], str | None]) -> _Evaluated:
    """Ask one question of each specimen: None where it cannot answer, "" where it passes, else why it fails."""
    looked_at, failures = [], []
    for subject in subjects:
        message = judge(subject)
        if message is None:
            continue
        looked_at.append(subject)
        if message:
            failures.append(_Failure(message=f"{subject.name}: {message}", specimens=(subject.name,)))
    return looked_at, failures


# --- gates of spectra -----------------------------------------------------------------------------------------------


def _spectrum_message(gate: Gate, subject: Subject) -> str | None:
    match gate:
        case PeakGate():
            return _peak(gate, subject)
        case DeadTimeGate():
            return _dead_time(gate, subject)
        case TubeLineGate():
            return _tube_line(gate, subject)
    return None


def _spectrum(subject: Subject, condition: str) -> Spectrum | None:
    return None if subject.measurement is None else subject.measurement.spectra.get(condition)


def _peak(gate: PeakGate, subject: Subject) -> str | None:
    spectrum = _spectrum(subject, gate.condition)
    if spectrum is None:
        return None
    try:
        peak = k_alpha(spectrum, gate.element)
    except DomainError as problem:
        return str(problem)
    if peak.counts < gate.least_counts:
        return None
    line = f"{gate.element} Ka of condition {gate.condition}"
    width = f"{line} is {1e3 * peak.fwhm_kev:.1f} eV wide"
    if gate.highest_fwhm_kev is not None and peak.fwhm_kev > gate.highest_fwhm_kev:
        return f"{width}, allowed {1e3 * gate.highest_fwhm_kev:.1f} eV; the detector's resolution is broken"
    if gate.lowest_fwhm_kev is not None and peak.fwhm_kev < gate.lowest_fwhm_kev:
        return f"{width}, expected at least {1e3 * gate.lowest_fwhm_kev:.1f} eV; check the energy scale's gain"
    if abs(peak.shift_kev) > gate.highest_shift_kev:
        return (
            f"{line} lies {1e3 * peak.shift_kev:+.1f} eV from its place, allowed {1e3 * gate.highest_shift_kev:.1f} eV"
            "; calibrate the energy scale"
        )
    return ""


def _dead_time(gate: DeadTimeGate, subject: Subject) -> str | None:
    spectrum = _spectrum(subject, gate.condition)
    if spectrum is None:
        return None
    if spectrum.dead_time_fraction <= gate.highest:
        return ""
    dead = f"{100 * spectrum.dead_time_fraction:.1f} %"
    return f"dead time of condition {gate.condition} is {dead}, allowed {100 * gate.highest:.1f} %; lower the current"


def _tube_line(gate: TubeLineGate, subject: Subject) -> str | None:
    spectrum = _spectrum(subject, gate.condition)
    if spectrum is None:
        return None
    low, high = gate.window_kev
    inside = (spectrum.centres_kev >= low) & (spectrum.centres_kev <= high)
    rate = float(spectrum.counts[inside].sum()) / spectrum.live_time_s
    change = rate / gate.reference_per_s - 1.0
    if abs(change) <= gate.tolerance:
        return ""
    return (
        f"scattered tube line ({low:g} to {high:g} keV) has changed by {100 * change:+.1f} %, allowed "
        f"{100 * gate.tolerance:.1f} %; check tube, filter and specimen position"
    )


# --- gates of single results ----------------------------------------------------------------------------------------


def _drift(gate: DriftGate, subject: Subject, assay: Assay) -> str | None:
    """Relative change of the monitor's net rates; the counting uncertainty is told beside it."""
    changes: list[tuple[float, str]] = []
    for areas in assay.areas:
        for i, group in enumerate(areas.groups):
            reference = gate.reference_per_s.get(f"{areas.condition}/{group}")
            if reference is None:
                continue
            rate_per_area = 1.0 / (areas.live_time_s * areas.survival)
            change = float(areas.area[i]) * rate_per_area / reference - 1.0
            u = float(areas.standard_uncertainty[i]) * rate_per_area / reference
            changes.append((change, f"{areas.condition}/{group} {100 * change:+.2f} % (u {100 * u:.2f} %)"))
    if not changes:
        return None
    beyond = [text for change, text in changes if abs(change) > gate.tolerance]
    allowed = f"allowed {100 * gate.tolerance:.2f} %"
    return f"the monitor has drifted: {', '.join(beyond)}, {allowed}; correct the drift, or calibrate" if beyond else ""


def _range(gate: RangeGate, subject: Subject, assay: Assay) -> str | None:
    if not gate.ranges:
        return None if subject.outside is None else "; ".join(subject.outside)
    outside = []
    for element, (low, high) in gate.ranges.items():
        if element not in assay.components:
            continue
        i = assay.components.index(element)
        w, detected = float(assay.mass_fraction[i]), assay.verdicts[i] is not Verdict.NOT_DETECTED
        if w > high or (w < low and detected):
            outside.append(f"{element} {_percent(w)}, valid from {_percent(low)} to {_percent(high)}")
    return f"outside the range of validity: {'; '.join(outside)}" if outside else ""


def _fit(gate: FitGate, subject: Subject, assay: Assay) -> str | None:
    bad = [
        f"{a.region} ({a.verdict}{': ' + a.reason if a.reason else ''})"
        for a in assay.areas
        if a.verdict is not FitVerdict.GOOD
    ]
    bad += [
        f"{a.region} (reduced deviance {a.reduced_deviance:.2f}, allowed {gate.highest_reduced_deviance:.2f})"
        for a in assay.areas
        if a.verdict is FitVerdict.GOOD and a.reduced_deviance > gate.highest_reduced_deviance
    ]
    return f"the fit is not good: {'; '.join(bad)}" if bad else ""


def _sum(gate: SumGate, subject: Subject, assay: Assay) -> str | None:
    if subject.loss_on_ignition is None:
        return None
    total = subject.loss_on_ignition + sum(
        float(w) / element_fraction(subject.oxides[element], element)
        for element, w in zip(assay.components, assay.mass_fraction, strict=True)
    )
    if gate.low <= total <= gate.high:
        return ""
    return (
        f"oxides and ignition loss sum to {_percent(total)}, expected {_percent(gate.low)} to {_percent(gate.high)}; "
        "check preparation, ignition loss and specimen position"
    )


def _series(gate: SeriesGate, subject: Subject, assay: Assay) -> str | None:
    wanted = {second: first for first, second in gate.pairs}
    differing, compared = [], False
    for areas in assay.areas:
        for i, group in enumerate(areas.groups):
            expected = subject.expected_areas.get(f"{areas.condition}/{group}")
            if group not in wanted or expected is None:
                continue
            compared = True
            u, found = float(areas.standard_uncertainty[i]), float(areas.area[i])
            if abs(found - expected) > gate.tolerance * abs(expected) + 3.0 * u:
                differing.append(f"{group} shows {found:.3g} counts, {wanted[group]} predicts {expected:.3g}")
    if not compared:
        return None
    what = "look for an overlap, or a layered specimen"
    return f"line series do not agree: {'; '.join(differing)}; {what}" if differing else ""


def _pattern(gate: PatternGate, subject: Subject, assay: Assay) -> str | None:
    """Judged where the element and both neighbours were detected."""
    odd, judged = [], False
    for element, tolerance in gate.tolerance.items():
        names = [e for e in (*NEIGHBOURS, element) if e in assay.components]
        index = [assay.components.index(e) for e in names]
        if len(names) < 3 or any(assay.verdicts[i] is not Verdict.DETECTED for i in index):
            continue
        judged = True
        contents = dict(zip(names, assay.mass_fraction[index].tolist(), strict=True))
        found = plausibility(contents, assay.covariance[np.ix_(index, index)], element)
        if not found.is_plausible(tolerance, coverage_factor=assay.coverage_factor):
            odd.append(f"{element} is {found.ratio:.2f} times what La and Nd say ({_percent(found.expected)})")
    if not judged:
        return None
    return f"the rare-earth pattern is not smooth: {'; '.join(odd)}; look for an overlap" if odd else ""


# --- gates that compare specimens -----------------------------------------------------------------------------------


def _blank(gate: BlankGate, blanks: Sequence[Subject], subjects: Sequence[Subject]) -> _Evaluated:
    """Blanks above their limits, and the specimens whose results such a contamination would change by more than U."""
    looked_at, failures = [], []
    for subject in blanks:
        assay = subject.assay
        if assay is None:
            continue
        looked_at.append(subject)
        excess = _contamination(gate, assay)
        if not excess:
            continue
        touched = tuple(s.name for s in subjects if s.assay is not None and _is_touched(s.assay, excess))
        listed = ", ".join(f"{e} {_percent(w)}" for e, w in excess.items())
        message = f"{subject.name}: the blank is contaminated with {listed}; clean, and repeat blank and specimens"
        failures.append(_Failure(message=message, specimens=(subject.name,), repeat=touched))
    return looked_at, failures


def _contamination(gate: BlankGate, assay: Assay) -> dict[str, float]:
    excess = {}
    for element in gate.elements or assay.analytes:
        i = assay.components.index(element)
        w = float(assay.mass_fraction[i])
        if w > gate.highest.get(element, float(assay.decision_limit[i])):
            excess[element] = w
    return excess


def _is_touched(assay: Assay, excess: Mapping[str, float]) -> bool:
    expanded = dict(zip(assay.components, assay.expanded_uncertainty.tolist(), strict=True))
    return any(w > expanded[element] for element, w in excess.items() if element in expanded)


def _certificate(subject: Subject, certificates: Mapping[str, ReferenceMaterial]) -> ReferenceMaterial | None:
    return certificates.get(subject.name) or certificates.get(subject.sample)


def _check(gate: CheckGate, checks: Sequence[Subject], certificates: Mapping[str, ReferenceMaterial]) -> _Evaluated:
    looked_at, failures = [], []
    for subject in checks:
        material = _certificate(subject, certificates)
        if subject.assay is None or material is None:
            continue
        scores = _scores(gate, subject, material)
        if not scores:
            continue
        looked_at.append(subject)
        beyond = {e: s for e, s in scores.items() if abs(s) > gate.limit}
        if beyond:
            listed = ", ".join(f"{e} {s:+.1f}" for e, s in beyond.items())
            message = f"{subject.name}: {gate.score} of {listed} against {material.name}, allowed {gate.limit:g}"
            message += _other_material(gate, subject, material, certificates.values())
            failures.append(_Failure(message=message, specimens=(subject.name,)))
    return looked_at, failures


def _reference(value: ReferenceValue, subject: Subject) -> tuple[float, float] | None:
    """Certified content and standard uncertainty on the basis of the assay; None where they cannot be compared.

    A value on the ignited basis needs the ignition loss: w = w_ignited (1 - LOI). One on the basis of the specimen says
    nothing of the ore in a bead.
    """
    factor: float | None = 1.0
    if value.basis is Basis.IGNITED:
        factor = None if subject.loss_on_ignition is None else 1.0 - subject.loss_on_ignition
    elif value.basis is Basis.SPECIMEN and subject.assay is not None and "before fusion" in subject.assay.basis:
        factor = None
    return None if factor is None else (factor * value.mass_fraction, factor * value.standard_uncertainty)


def _scores(gate: CheckGate, subject: Subject, material: ReferenceMaterial) -> dict[str, float]:
    """Score of each element that the certificate and the assay share."""
    values, assay, scores = material.element_values(), subject.assay, dict[str, float]()
    if assay is None:
        return scores
    for element in gate.elements or assay.analytes:
        if element not in values or element not in assay.components:
            continue
        i = assay.components.index(element)
        found, u = float(assay.mass_fraction[i]), float(assay.standard_uncertainty[i])
        certified = _reference(values[element], subject)
        if certified is None:
            continue
        reference, u_reference = certified
        if gate.score is Score.EN:
            k = assay.coverage_factor
            scores[element] = en_score(
                found=found, expanded_found=k * u, reference=reference, expanded_reference=k * u_reference
            )
        elif gate.score is Score.ZETA:
            scores[element] = zeta_score(found=found, u_found=u, reference=reference, u_reference=u_reference)
        elif element in gate.repeatability:
            scores[element] = _c_score(gate, element, found, reference, u_reference)
    return scores


def _c_score(gate: CheckGate, element: str, found: float, reference: float, u_reference: float) -> float:
    """Deviation of one result over its critical value C, from r(X) and R(X)."""
    repeat, laboratories = (
        LinearPrecision(slope=slope, intercept=intercept).at(reference) / LIMIT_FACTOR
        for slope, intercept in (gate.repeatability[element], gate.reproducibility[element])
    )
    tested = c_test(
        found=found,
        reference=reference,
        sigma_laboratories=math.sqrt(max(laboratories**2 - repeat**2, 0.0)),
        sigma_repeat=repeat,
        n=1,
        variance_reference=u_reference**2,
    )
    return tested.deviation / tested.critical


def _other_material(
    gate: CheckGate, subject: Subject, stated: ReferenceMaterial, materials: Iterable[ReferenceMaterial]
) -> str:
    """A sentence that names the material with which the result agrees instead, if there is exactly one."""
    agreeing = []
    for material in materials:
        scores = {} if material.name == stated.name else _scores(gate, subject, material)
        if len(scores) >= FEWEST_FOR_A_SWAP and all(abs(s) <= gate.limit for s in scores.values()):
            agreeing.append(material.name)
    return f"; the result agrees with {agreeing[0]}: were specimens swapped?" if len(agreeing) == 1 else ""


def _duplicates(gate: DuplicateGate, subjects: Sequence[Subject]) -> _Evaluated:
    """All samples with several specimens; two that disagree are tried with specimens of another sample exchanged."""
    repeated = _repeated(subjects)
    failures = []
    for sample, group in repeated.items():
        complaints = _disagreements(gate, group)
        if complaints:
            names = tuple(s.name for s in group)
            message = f"duplicates {', '.join(names)} of {sample} disagree: {'; '.join(complaints)}"
            message += _exchange(gate, sample, repeated) if len(group) == 2 else ""
            failures.append(_Failure(message=message, specimens=names))
    return [s for group in repeated.values() for s in group], failures


def _repeated(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Assayed specimens of the samples that have two or more, in the order of the batch."""
    groups: dict[str, list[Subject]] = {}
    for subject in subjects:
        if subject.sample and subject.assay is not None:
            groups.setdefault(subject.sample, []).append(subject)
    return {sample: group for sample, group in sorted(groups.items()) if len(group) > 1}


def _disagreements(gate: DuplicateGate, group: Sequence[Subject]) -> list[str]:
    """Elements whose results are not acceptable together: by the flow with r(X), else by the DZ/T curve."""
    complaints = []
    for element, results in _duplicate_results(gate, group).items():
        if element in gate.repeatability:
            found = _accepted(gate, element, results)
            if found.value is None:
                complaints.append(f"{element} ({', '.join(found.path)})")
        else:
            complaints += [
                f"{element} {_percent(x)} and {_percent(y)}, allowed difference {_percent(allowed)}"
                for x, y in combinations(results, 2)
                if (allowed := _curve_difference(gate, x, y)) is not None and abs(x - y) > allowed
            ]
    return complaints


def _duplicate_results(gate: DuplicateGate, group: Sequence[Subject]) -> dict[str, list[float]]:
    """Results of the elements that all specimens have, in their order."""
    assays = [s.assay for s in group if s.assay is not None]
    elements = gate.elements or assays[0].analytes
    return {
        element: [float(a.mass_fraction[a.components.index(element)]) for a in assays]
        for element in elements
        if all(element in a.components for a in assays)
    }


def _accepted(gate: DuplicateGate, element: str, results: Sequence[float]) -> Acceptance:
    """The flow of the iron-ore standards, in %."""
    slope, intercept = gate.repeatability[element]
    return accept([100.0 * x for x in results[:4]], LinearPrecision(slope=slope, intercept=100.0 * intercept))


def _curve_difference(gate: DuplicateGate, x: float, y: float) -> float | None:
    """Twice the mean times the DZ/T limit; None where the curve says nothing."""
    mean = 0.5 * (x + y)
    if gate.dz_t_grade is None or mean <= 0.0:
        return None
    return 2.0 * mean * allowed_relative_deviation(mean, grade=gate.dz_t_grade)


def _paths(gate: DuplicateGate, subjects: Sequence[Subject]) -> str:
    """Which way each accepted result went, for the report (contents in %)."""
    told = []
    for sample, group in _repeated(subjects).items():
        results = _duplicate_results(gate, group)
        ways = [(e, _accepted(gate, e, results[e])) for e in results if e in gate.repeatability]
        told += [f"{sample} {e} {way.value:.4g} % ({way.path[-1]})" for e, way in ways if way.value is not None]
    return "; ".join(told)


def _exchange(gate: DuplicateGate, sample: str, repeated: Mapping[str, Sequence[Subject]]) -> str:
    """A sentence that names a specimen of another sample with which an exchange would make both pairs agree."""
    first, second = repeated[sample]
    for other, group in repeated.items():
        if other == sample or len(group) != 2:
            continue
        third, fourth = group
        for mine, kept in ((first, second), (second, first)):
            for theirs, left in ((third, fourth), (fourth, third)):
                if not _disagreements(gate, (kept, theirs)) and not _disagreements(gate, (left, mine)):
                    return f"; with {mine.name} and {theirs.name} exchanged both pairs agree: were they swapped?"
    return ""


def _percent(mass_fraction: float) -> str:
    """A content for a message: % from 0.1 % on, mg/kg below."""
    if abs(mass_fraction) >= 1e-3:
        return f"{100.0 * mass_fraction:.4g} %"
    return f"{1e6 * mass_fraction:.3g} mg/kg"
