"""Criteria of a method validation, evaluated on measured data: a verdict for each, or what is still to be measured.

Sources      ISO/IEC 17025:2017, 7.2.2; ISO 5725-2; Eurachem, The Fitness for Purpose of Analytical Methods (2014).
Validation   tests/quality/test_validation.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from scipy.optimize import nnls
from scipy.stats import binom

from xrfree.errors import DomainError
from xrfree.quality.comparison import bland_altman, deming, interference, linearity
from xrfree.quality.limits import counting_uncertainty, quantification_limit
from xrfree.quality.precision import precision, scatter_test
from xrfree.quality.scores import en_score

_CHANCE = 0.05


class Judgement(StrEnum):
    """What a criterion says."""

    PASS = "pass"
    FAIL = "fail"
    MISSING = "measurements missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One result, kg/kg: content, standard uncertainty, limits; repeating : the part of u that varies when repeated."""

    content: float
    u: float
    repeating: float
    decision_limit: float
    detection_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement of the plan; found is empty while its results are missing.

    purpose : "trueness", "precision", "blank", "interference", "robustness"; material : what was measured;
    series : day, operator, or the deviation tried; content : of the interferent, kg/kg.
    """

    specimen: str
    purpose: str
    material: str
    series: str = ""
    interferent: str = ""
    content: float = 0.0
    found: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One criterion of a plan: its kind, its limits by name, and the components it is about."""

    name: str
    kind: str
    components: tuple[str, ...]
    limits: Mapping[str, float]
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one criterion says of one component (and material, interferent ...), as numbers in words."""

    component: str
    subject: str
    statement: str
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A criterion with all its outcomes, and the measurements that are missing."""

    criterion: Criterion
    outcomes: tuple[Outcome, ...]
    missing: tuple[str, ...]

    @property
    def judgement(self) -> Judgement:
        """Fail where anything fails; else missing where anything is missing."""
        if any(o.judgement is Judgement.FAIL for o in self.outcomes):
            return Judgement.FAIL
        return Judgement.MISSING if self.missing or not self.outcomes else Judgement.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Everything that was measured, reference contents with expanded uncertainty, and another method's results."""

    measured: tuple[Measured, ...]
    references: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    other_method: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    coverage_factor: float = 2.0

    def of(self, purpose: str) -> list[Measured]:
        """Measurements for one purpose that have results."""
        return [m for m in self.measured if m.purpose == purpose and m.found]


_Found = tuple[list[Outcome], list[str]]


def evaluate(criterion: Criterion, data: Data) -> Evaluated:
    """Evaluate one criterion; DomainError for a kind that does not exist."""
    if criterion.kind not in _EVALUATORS:
        raise DomainError(f"'{criterion.kind}' is no criterion of validation; known: {', '.join(_EVALUATORS)}")
    outcomes, missing = _EVALUATORS[criterion.kind](criterion, data)
    purposes = PURPOSES[criterion.kind]
    missing += [f"{m.specimen} ({m.material})" for m in data.measured if m.purpose in purposes and not m.found]
    return Evaluated(criterion=criterion, outcomes=tuple(outcomes), missing=tuple(dict.fromkeys(missing)))


def _outcome(component: str, subject: str, statement: str, *, passed: bool) -> Outcome:
    judgement = Judgement.PASS if passed else Judgement.FAIL
    return Outcome(component=component, subject=subject, statement=statement, judgement=judgement)


def _by(key: Callable[[Measured], str], measured: Iterable[Measured]) -> dict[str, list[Measured]]:
    groups: dict[str, list[Measured]] = defaultdict(list)
    for m in measured:
        groups[key(m)].append(m)
    return dict(groups)


def _values(measured: Iterable[Measured], component: str) -> list[Value]:
    return [m.found[component] for m in measured if component in m.found]


def _percent(content: float) -> str:
    return f"{100.0 * content:.4g} %" if abs(content) >= 1e-3 else f"{1e6 * content:.3g} mg/kg"


def _trueness(criterion: Criterion, data: Data) -> _Found:
    """En of the mean of each reference material; its uncertainty is that of one result: most of it is common."""
    outcomes, missing = [], []
    by_material = _by(lambda m: m.material, data.of("trueness"))
    for component in criterion.components:
        used = 0
        for material, group in by_material.items():
            reference = data.references.get(material, {}).get(component)
            values = _values(group, component)
            if reference is None or not values:
                continue
            used += 1
            found = sum(v.content for v in values) / len(values)
            expanded = data.coverage_factor * max(v.u for v in values)
            en = en_score(found=found, expanded_found=expanded, reference=reference[0], expanded_reference=reference[1])
            statement = f"found {_percent(found)}, certified {_percent(reference[0])}, En {en:+.2f}"
            outcomes.append(_outcome(component, material, statement, passed=abs(en) <= criterion.limits["highest_en"]))
        fewest = round(criterion.limits["fewest_materials"])
        if used < fewest:
            missing.append(f"{fewest - used} more reference materials with a certified content of {component}")
    return outcomes, missing


def _precision(criterion: Criterion, data: Data) -> _Found:
    """Repeatability within series and intermediate precision between them, relative to the content."""
    outcomes, missing = [], []
    fewest = round(criterion.limits["fewest_series"])
    by_material = _by(lambda m: m.material, data.of("precision"))
    if not by_material:
        missing.append(f"a material measured in {fewest} series of two or more results")
    for material, group in by_material.items():
        series = _by(lambda m: m.series, group)
        if len(series) < fewest:
            missing.append(f"{fewest - len(series)} more series of {material}")
        for component in criterion.components:
            groups = [[v.content for v in _values(part, component)] for part in series.values()]
            groups = [g for g in groups if g]
            if len(groups) < 2 or max(map(len, groups)) < 2:
                continue
            found = precision(groups)
            if found.mean <= 0.0:
                continue
            repeat, between = found.repeatability / found.mean, found.intermediate / found.mean
            statement = (
                f"repeatability {100 * repeat:.2f} %, intermediate {100 * between:.2f} % of {_percent(found.mean)} "
                f"({found.n_results} results in {found.n_groups} series)"
            )
            passed = repeat <= criterion.limits["highest_repeatability"]
            passed &= between <= criterion.limits["highest_intermediate"]
            outcomes.append(_outcome(component, material, statement, passed=passed))
    return outcomes, missing


def _linearity(criterion: Criterion, data: Data) -> _Found:
    outcomes, missing = [], []
    fewest = round(criterion.limits["fewest_contents"])
    for component in criterion.components:
        points = [
            (reference[0], v.content, math.hypot(v.u, reference[1] / data.coverage_factor))
            for m in data.of("trueness")
            for v in _values([m], component)
            if (reference := data.references.get(m.material, {}).get(component)) is not None
        ]
        contents = {p[0] for p in points}
        if len(contents) < fewest or len(points) < 5:
            missing.append(f"{max(fewest - len(contents), 1)} more reference contents of {component}")
            continue
        x, y, u = (np.array(column) for column in zip(*points, strict=True))
        found = linearity(x, y, u)
        off = abs(found.line.slope - 1.0)
        statement = (
            f"slope {found.line.slope:.4f} ± {2 * found.line.u_slope:.4f}, probability of no curvature "
            f"{found.curvature_probability:.2g}, {_percent(found.low)} to {_percent(found.high)}"
        )
        passed = found.curvature_probability >= criterion.limits["lowest_probability"]
        passed &= off <= max(criterion.limits["highest_slope_error"], 2.0 * found.line.u_slope)
        outcomes.append(_outcome(component, "", statement, passed=passed))
    return outcomes, missing


def _limits(criterion: Criterion, data: Data) -> _Found:
    """Blanks against their decision limits, and the quantification limit from uncertainties of all contents.

    u² = a + b w + c w², coefficients not below 0 fitted to the relative misfit of all results.
    """
    outcomes, missing = [], []
    fewest = round(criterion.limits["fewest_blanks"])
    blanks = data.of("blank")
    if len(blanks) < fewest:
        missing.append(f"{fewest - len(blanks)} more blanks")
    for component in criterion.components:
        values = _values(blanks, component)
        if len(values) < 2:
            continue
        above = sum(v.content > v.decision_limit for v in values)
        detection = sum(v.detection_limit for v in values) / len(values)
        everything = [v for m in data.measured for v in _values([m], component)]
        w, u = (np.array(c) for c in zip(*((max(v.content, 0.0), v.u) for v in everything), strict=True))
        terms = np.stack([np.ones_like(w), w, w * w], axis=1) / (u * u)[:, None]
        a, b, c = nnls(terms, np.ones_like(u))[0].tolist()
        try:
            quantification = _percent(
                quantification_limit(
                    counting_uncertainty(a, b, math.sqrt(c)),
                    relative_uncertainty=criterion.limits["relative_uncertainty"],
                )
            )
        except DomainError:
            quantification = "not reached"
        scatter = _percent(float(np.std([v.content for v in values], ddof=1)))
        statement = (
            f"{above} of {len(values)} blanks above their decision limit; scatter {scatter}, "
            f"detection limit {_percent(detection)}, quantification limit {quantification} "
            f"({100 * criterion.limits['relative_uncertainty']:g} % relative u)"
        )
        passed = detection <= criterion.limits["highest_detection_limit"]
        # More above their limit than chance explains in one of twenty validations.
        chance = float(binom.sf(above - 1, len(values), criterion.limits["highest_false_positive_share"]))
        passed &= chance >= _CHANCE
        outcomes.append(_outcome(component, "", statement, passed=passed))
    return outcomes, missing


def _selectivity(criterion: Criterion, data: Data) -> _Found:
    """Replicas with an interferent and without the analytes."""
    outcomes, missing = [], []
    by_interferent = _by(lambda m: m.interferent, data.of("interference"))
    missing += [f"interference test of {e}" for e in criterion.wanted if e not in by_interferent]
    for interferent, group in by_interferent.items():
        for component in criterion.components:
            values = _values(group, component)
            if len(values) < 2 or component == interferent:
                continue
            found = interference(
                [v.content for v in values],
                [v.decision_limit for v in values],
                interferent_content=max(m.content for m in group),
                share_below=criterion.limits["share_below"],
            )
            statement = (
                f"effect {_percent(found.effect)} ± {_percent(2 * found.u_effect)} at {_percent(group[0].content)} "
                f"{interferent}; {found.exceeding} of {found.n} above the decision limit"
            )
            outcomes.append(_outcome(component, interferent, statement, passed=found.passed))
    return outcomes, missing


def _robustness(criterion: Criterion, data: Data) -> _Found:
    """Each deviation against the series "nominal" of the same material: within the limit, or within 2 u of chance."""
    outcomes, missing = [], []
    by_material = _by(lambda m: m.material, data.of("robustness"))
    tried = {m.series for group in by_material.values() for m in group}
    missing += [f"robustness test: {name}" for name in criterion.wanted if name not in tried]
    for material, group in by_material.items():
        series = _by(lambda m: m.series, group)
        if "nominal" not in series:
            missing.append(f"series 'nominal' of {material} for the robustness test")
            continue
        for name, part in series.items():
            if name == "nominal":
                continue
            for component in criterion.components:
                base, moved = _values(series["nominal"], component), _values(part, component)
                if not base or not moved:
                    continue
                (x, ux), (y, uy) = _mean(base), _mean(moved)
                change, chance = y - x, 2.0 * math.hypot(ux, uy)
                statement = f"{material}: change {_percent(change)} (chance {_percent(chance)}) of {_percent(x)}"
                allowed = max(criterion.limits["highest_change"] * abs(x), chance)
                outcomes.append(_outcome(component, name, statement, passed=abs(change) <= allowed))
    return outcomes, missing


def _mean(values: Sequence[Value]) -> tuple[float, float]:
    """Mean and its standard uncertainty from what varies when repeated."""
    n = len(values)
    return sum(v.content for v in values) / n, math.sqrt(sum(v.repeating**2 for v in values)) / n


def _uncertainty(criterion: Criterion, data: Data) -> _Found:
    """Observed scatter of repeated results over what their stated uncertainty says; more than chance explains fails."""
    outcomes, missing = [], []
    fewest = round(criterion.limits["fewest_repetitions"])
    groups = list(_by(lambda m: f"{m.material}/{m.series}", data.of("precision")).values())
    for component in criterion.components:
        pairs = [[(v.content, v.repeating) for v in _values(group, component)] for group in groups]
        pairs = [p for p in pairs if len(p) > 1]
        repetitions = sum(len(p) - 1 for p in pairs)
        if repetitions < fewest:
            missing.append(f"{fewest - repetitions} more repetitions with {component}")
            continue
        found = scatter_test(pairs)
        low, high = found.interval(0.99)
        statement = f"scatter over stated u {found.ratio:.2f}, by chance {low:.2f} to {high:.2f}"
        if found.ratio < low:
            statement += "; the stated uncertainty is larger than needed"
        outcomes.append(_outcome(component, "", statement, passed=found.ratio <= high))
    return outcomes, missing


def _comparison(criterion: Criterion, data: Data) -> _Found:
    outcomes, missing = [], []
    fewest = round(criterion.limits["fewest_samples"])
    results = {m.specimen: m for m in data.measured if m.found}
    for component in criterion.components:
        pairs = [
            (other[component][0], v.content, other[component][1], v.u)
            for name, other in data.other_method.items()
            if name in results and component in other
            for v in _values([results[name]], component)
        ]
        if len(pairs) < max(fewest, 4):
            missing.append(f"{max(fewest, 4) - len(pairs)} more samples with {component} by another method")
            continue
        x, y, ux, uy = (np.array(column) for column in zip(*pairs, strict=True))
        line = deming(x, y, variance_ratio=float(np.mean(uy**2) / max(np.mean(ux**2), 1e-30)))
        p_slope, p_intercept = line.identity_probability()
        agreement = bland_altman(y, x)
        statement = (
            f"y = {_percent(line.intercept)} + {line.slope:.4f} x (probability if equal {p_intercept:.2g}, "
            f"{p_slope:.2g}), mean difference {_percent(agreement.bias)} of {agreement.n} samples"
        )
        lowest = criterion.limits["lowest_probability"]
        outcomes.append(_outcome(component, "", statement, passed=min(p_slope, p_intercept) >= lowest))
    return outcomes, missing


_EVALUATORS: Mapping[str, Callable[[Criterion, Data], _Found]] = {
    "trueness": _trueness,
    "precision": _precision,
    "linearity": _linearity,
    "limits": _limits,
    "selectivity": _selectivity,
    "robustness": _robustness,
    "uncertainty": _uncertainty,
    "comparison": _comparison,
}
PURPOSES: Mapping[str, tuple[str, ...]] = {
    "trueness": ("trueness",),
    "precision": ("precision",),
    "linearity": ("trueness",),
    "limits": ("blank",),
    "selectivity": ("interference",),
    "robustness": ("robustness",),
    "uncertainty": ("precision",),
    "comparison": (),
}
"""Purposes of the measurements that each kind of criterion looks at."""
USUAL_LIMITS: Mapping[str, Mapping[str, float]] = {
    "trueness": {"highest_en": 1.0, "fewest_materials": 3.0},
    "precision": {"highest_repeatability": 0.02, "highest_intermediate": 0.03, "fewest_series": 5.0},
    "linearity": {"lowest_probability": 0.01, "highest_slope_error": 0.02, "fewest_contents": 5.0},
    "limits": {
        "fewest_blanks": 10.0,
        "highest_detection_limit": 1.0,
        "highest_false_positive_share": 0.05,
        "relative_uncertainty": 0.1,
    },
    "selectivity": {"share_below": 0.95},
    "robustness": {"highest_change": 0.01},
    "uncertainty": {"fewest_repetitions": 9.0},
    "comparison": {"lowest_probability": 0.01, "fewest_samples": 10.0},
}
"""Limits of each kind of criterion where a plan names none."""
USUAL_INTERFERENTS = ("Ti", "Ba", "Cr", "V", "Mn", "Y", "Zr", "Th")
USUAL_DEVIATIONS = ("energy shift", "count rate", "time")
