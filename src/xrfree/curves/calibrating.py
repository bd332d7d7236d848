"""Curves from standards: rows with all their errors, the fit, and what the curve is valid for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.calibration import (
    Calibration,
    CalibrationCurve,
    ContentRange,
    CurveModel,
    ExcludedStandard,
    ModelKind,
    Validity,
)
from xrfree.curves.models import Factors, terms_of
from xrfree.curves.rates import LineRates
from xrfree.curves.theory import LineTheory, theoretical_alphas
from xrfree.errors import CalibrationError
from xrfree.instrument import Instrument
from xrfree.line_method import LineMethod
from xrfree.reference import Basis, ReferenceMaterial, ReferenceValue, error_effects
from xrfree.regression.collinearity import Collinearity, collinearity, require_determined
from xrfree.regression.diagnostics import LeaveOneOut, ModelScore, compare, leave_one_material_out
from xrfree.regression.observations import Exclusion, Observations
from xrfree.regression.solve import Regression, fit
from xrfree.specimen import Specimen

FloatArray = NDArray[np.float64]

SCATTER_FLOOR_SHARES = (0.05, 0.3, 2.0)
"""Shares of the largest content at which a relative scatter may become an absolute one; the likelihood decides.
The last one is absolute over the whole range, as where an overlap causes the scatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """One measured specimen of a reference material.

    force_digestion : whether values by digestions that leave resistant minerals undissolved are used all the same.
    """

    material: ReferenceMaterial
    specimen: Specimen
    rates: LineRates
    force_digestion: bool = False

    @property
    def factor(self) -> float:
        """Factor from the certificate's mass fractions to those of the specimen; 1/dilution for a dry basis."""
        bases = {value.basis for value in self._values().values()}
        if len(bases) > 1:
            raise CalibrationError(f"{self.material.name}: values of different bases ({', '.join(sorted(bases))})")
        basis = bases.pop()
        if basis is Basis.SPECIMEN:
            return 1.0
        if basis is Basis.IGNITED:
            if self.specimen.loss_on_ignition is None:
                raise CalibrationError(f"{self.material.name} is certified ignited; state its loss on ignition")
            return (1.0 - self.specimen.loss_on_ignition) / self.specimen.dilution
        return 1.0 / self.specimen.dilution

    def contents(self) -> dict[str, float]:
        """Mass fraction of every certified element in the specimen, kg/kg; four-acid values of REE and Nb left out."""
        factor = self.factor
        return {e: factor * v.mass_fraction for e, v in self._values().items()}

    def _values(self) -> dict[str, ReferenceValue]:
        return self.material.element_values(force_digestion=self.force_digestion)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedCurve:
    """A curve with all that was asked of it on the way."""

    curve: CalibrationCurve
    regression: Regression
    left_out: LeaveOneOut
    collinearity: Collinearity


def observations_of(
    model: CurveModel,
    standards: Sequence[Standard],
    factors: Factors,
    *,
    floor_share: float = SCATTER_FLOOR_SHARES[0],
) -> Observations:
    """Rows of a model: response the certified content of the analyte, columns its terms.

    floor_share : share of the largest content at which a relative scatter becomes an absolute one.
    Errors of certificates (also those several standards share), of purities and of counting enter by what they change
    in response and terms.
    """
    rows = [_row(model, standard, factors) for standard in standards]
    n, q = len(rows), 1 + len(model.terms)
    covariance = np.zeros((n, q, q))
    by_source: dict[str, dict[int, FloatArray]] = {}
    for i, row in enumerate(rows):
        covariance[i] += row.counting
        for name, effect in row.effects.items():
            by_source.setdefault(name, {})[i] = effect
    shared = []
    for effects in by_source.values():
        if len(effects) == 1:
            ((i, effect),) = effects.items()
            covariance[i] += np.outer(effect, effect)
        else:
            column = np.zeros((n, q))
            for i, effect in effects.items():
                column[i] = effect
            shared.append(column)
    response = np.array([row.values[0] for row in rows])
    return Observations(
        materials=tuple(standard.material.name for standard in standards),
        terms=model.terms,
        response=response,
        design=np.array([row.values[1:] for row in rows]),
        covariance=covariance,
        shared=np.array(shared).reshape(-1, n, q),
        scatter_scale=_scatter_scale(response, floor_share),
    )


def _scatter_scale(response: FloatArray, floor_share: float) -> FloatArray:
    return np.asarray(np.hypot(response, floor_share * float(np.max(response))))


@dataclass(frozen=True, slots=True)
class _Row:
    """Response and terms, their covariance by counting, and the effect of each error of the certificate."""

    values: FloatArray
    counting: FloatArray
    effects: dict[str, FloatArray]


def _row(model: CurveModel, standard: Standard, factors: Factors) -> _Row:
    contents = standard.contents()
    if model.analyte not in contents:
        raise CalibrationError(f"{standard.material.name} has no usable value of {model.analyte}; leave it out")

    def values(contents: Mapping[str, float], rates: LineRates) -> FloatArray:
        return np.concatenate([[contents[model.analyte]], terms_of(model, rates, contents, factors)])

    here = values(contents, standard.rates)
    elements = [e for e in contents if _matters(model, e)]
    effects = {
        name: values({**contents, **_shifted(contents, elements, standard.factor * effect)}, standard.rates) - here
        for name, effect in error_effects(standard.material, elements, force_digestion=standard.force_digestion).items()
    }
    return _Row(here, _counting(standard.rates, lambda rates: values(contents, rates), model.lines), effects)


def _matters(model: CurveModel, element: str) -> bool:
    """Whether an element's content enters the row at all."""
    if element == model.analyte or element in model.influencing_elements:
        return True
    return model.kind is ModelKind.FUNDAMENTAL or element in model.alphas


def _shifted(contents: Mapping[str, float], elements: Sequence[str], effect: FloatArray) -> dict[str, float]:
    return {e: contents[e] + float(d) for e, d in zip(elements, effect, strict=True)}


def _counting(rates: LineRates, values: Callable[[LineRates], FloatArray], lines: Sequence[str]) -> FloatArray:
    """Covariance of response and terms by counting: J Cov J', J by central differences of one standard deviation."""
    where = [rates.index(line) for line in lines]
    covariance = rates.covariance[np.ix_(where, where)]
    step = np.sqrt(np.diag(covariance))
    slopes = []
    for i, h in zip(where, step, strict=True):
        if h == 0.0:
            slopes.append(0.0 * values(rates))
            continue
        up, down = rates.rate.copy(), rates.rate.copy()
        up[i] += 0.5 * h
        down[i] -= 0.5 * h
        slopes.append((values(rates.with_rate(up)) - values(rates.with_rate(down))) / h)
    jacobian = np.array(slopes).T
    return np.asarray(jacobian @ covariance @ jacobian.T)


def fit_curve(
    model: CurveModel,
    standards: Sequence[Standard],
    factors: Factors,
    *,
    exclusions: Sequence[Exclusion] = (),
    candidates: Mapping[str, Mapping[str, float]] | None = None,
    element_of: Mapping[str, str] | None = None,
) -> FittedCurve:
    """Curve of one analyte through the standards, with leave-one-material-out and collinearity.

    candidates : contents (kg/kg, as the specimens would have them) of materials that could be measured in addition, to
        be proposed where the standards do not determine a curve; element_of : the element of each line.

    Standards without a usable value of the analyte do not take part. Raises CalibrationError with fewer reference
    materials than the model needs, and where they do not determine its coefficients.
    """
    usable = [s for s in standards if model.analyte in s.contents()]
    left = {s.material.name for s in usable} - {e.material for e in exclusions}
    if len(left) < model.fewest_standards:
        raise CalibrationError(
            f"{model.analyte} with {model.kind} has {len(model.terms)} coefficients ({', '.join(model.terms)}) and "
            f"needs {model.fewest_standards} reference materials; {len(left)} have a usable value. "
            "Add standards, or take a model with fewer terms"
        )
    observations = observations_of(model, usable, factors).without(exclusions)
    several = len(model.terms) - model.constant > 1
    proposals = _candidate_rows(model, usable, observations, candidates or {}, element_of or {})
    found = (
        require_determined(observations, analyte=model.analyte, candidates=proposals)
        if several
        else collinearity(observations)
    )
    regression, floor_share = _likeliest(observations)
    left_out = leave_one_material_out(regression)
    curve = CalibrationCurve(
        model=model,
        coefficients=regression.coefficients,
        covariance=regression.covariance,
        scatter=regression.scatter,
        scatter_floor=floor_share * float(np.max(observations.response)),
        chi_square=regression.chi_square,
        n_standards=len(left),
        leave_one_out_rms=left_out.rms,
    )
    return FittedCurve(curve=curve, regression=regression, left_out=left_out, collinearity=found)


def _candidate_rows(
    model: CurveModel,
    standards: Sequence[Standard],
    observations: Observations,
    candidates: Mapping[str, Mapping[str, float]],
    element_of: Mapping[str, str],
) -> dict[str, FloatArray]:
    """Terms that candidates would show, to first order: each line in proportion to the content of its element."""
    if not candidates or model.influencing_elements or model.influencing_lines:
        return {}
    contents = [standard.contents() for standard in standards]
    start = int(model.constant)
    lines = (model.line, *model.overlaps)
    if any(line not in element_of for line in lines):
        return {}
    slopes = []
    for j, line in enumerate(lines, start=start):
        known = [w[element_of[line]] for w in contents if element_of[line] in w]
        if not known or np.mean(known) <= 0.0:
            return {}
        slopes.append(float(np.mean(observations.design[:, j]) / np.mean(known)))
    constant = [float(np.mean(observations.design[:, 0]))] if model.constant else []
    return {
        name: np.array(constant + [s * w.get(element_of[line], 0.0) for s, line in zip(slopes, lines, strict=True)])
        for name, w in candidates.items()
    }


def _likeliest(observations: Observations) -> tuple[Regression, float]:
    """Fit with the floor of the scatter under which the residuals are most probable."""
    found = []
    for share in SCATTER_FLOOR_SHARES:
        scaled = replace(observations, scatter_scale=_scatter_scale(observations.response, share))
        regression = fit(scaled)
        _, log_determinant = np.linalg.slogdet(regression.residual_covariance)
        found.append((regression.chi_square + float(log_determinant), share, regression))
        if regression.scatter == 0.0:
            break
    _, share, best = min(found, key=lambda entry: entry[0])
    return best, share


def validity_of(standards: Sequence[Standard], *, elements: Sequence[str]) -> Validity:
    """Range of each element over the standards, kg/kg of the specimen; those no standard states get none."""
    contents = [standard.contents() for standard in standards]
    known = {e: [c[e] for c in contents if e in c] for e in elements}
    return Validity(ranges=tuple(ContentRange(element=e, low=min(w), high=max(w)) for e, w in known.items() if w))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineCalibration:
    """A calibration of curves with what was asked of each on the way."""

    calibration: Calibration
    fitted: tuple[FittedCurve, ...]
    alternatives: Mapping[str, tuple[ModelScore, ...]]


def theory_of(method: LineMethod, instrument: Instrument) -> LineTheory:
    """Theory of the lines of a method on an instrument; its elements are those with a curve.

    Raises CalibrationError where the method has no section excitation, or the instrument no such condition.
    """
    if method.excitation is None:
        raise CalibrationError(f"{method.name} has no section excitation; theory needs instrument, condition and base")
    if method.excitation.condition not in instrument.conditions:
        raise CalibrationError(
            f"{method.name} names the condition {method.excitation.condition!r}; {instrument.name} has "
            f"{', '.join(instrument.conditions)}"
        )
    return LineTheory(
        instrument.conditions[method.excitation.condition],
        instrument.detector,
        {name: line.xray_lines for name, line in method.lines.items() if line.transitions},
        method.analytes,
        base=method.excitation.base,
    )


def calibrate_lines(
    method: LineMethod,
    standards: Sequence[Standard],
    theory: LineTheory | None,
    *,
    name: str,
    exclusions: Sequence[ExcludedStandard] = (),
    candidates: Sequence[ReferenceMaterial] = (),
    instrument_sha256: str = "",
) -> LineCalibration:
    """Curves of all analytes of a method.

    theory : where the method needs one (`theory_of`).
    exclusions : standards that are left out of one curve, or of all.
    candidates : materials at hand that were not measured; the helpful ones are named where standards do not suffice.

    Beside each curve the same line without matrix correction, and without its constant, are fitted for comparison.
    Raises CalibrationError where standards are too few or do not determine a curve, naming what to add.
    """
    factors = Factors(theory)
    typical = _typical(standards, method.analytes)
    measured = {standard.material.name for standard in standards}
    share = float(np.mean([standard.factor for standard in standards])) if standards else 1.0
    proposals = {
        m.name: {e: share * v.mass_fraction for e, v in m.element_values().items()}
        for m in candidates
        if m.name not in measured
    }
    element_of = {name: line.element for name, line in method.lines.items()}
    fitted: list[FittedCurve] = []
    alternatives = {}
    for model in method.models:
        alphas = {}
        if model.kind is ModelKind.THEORETICAL_ALPHAS and theory is not None:
            alphas = theoretical_alphas(theory, model.line, typical, method.analytes)
        complete = replace(model, alphas=alphas)
        out = [
            Exclusion(material=e.material, reason=e.reason, decided_by=e.by, decided=e.at)
            for e in exclusions
            if e.curve in ("", model.analyte)
        ]
        out = [e for e in out if _takes_part(e.material, model, standards)]
        found = fit_curve(complete, standards, factors, exclusions=out, candidates=proposals, element_of=element_of)
        fitted.append(found)
        alternatives[model.analyte] = _alternatives(complete, standards, factors, out, found)
    calibration = Calibration(
        name=name,
        groups=(),
        log_sensitivity=np.zeros(0),
        covariance=np.zeros((0, 0)),
        blank=np.zeros(0),
        blank_uncertainty=np.zeros(0),
        blank_correlation=np.zeros(0),
        relative_scatter=np.zeros(0),
        absolute_scatter=np.zeros(0),
        points=(),
        tables=TABLES,
        instrument_sha256=instrument_sha256,
        method_sha256=method.sha256,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        software_version=__version__,
        curves=tuple(found.curve for found in fitted),
        validity=validity_of(standards, elements=method.analytes),
        exclusions=tuple(exclusions),
    )
    return LineCalibration(calibration=calibration, fitted=tuple(fitted), alternatives=alternatives)


def _typical(standards: Sequence[Standard], analytes: Sequence[str]) -> dict[str, float]:
    """Mean content of each analyte over the standards that state it."""
    contents = [standard.contents() for standard in standards]
    known = {a: [c[a] for c in contents if a in c] for a in analytes}
    return {a: float(np.mean(values)) for a, values in known.items() if values}


def _takes_part(material: str, model: CurveModel, standards: Sequence[Standard]) -> bool:
    return any(s.material.name == material and model.analyte in s.contents() for s in standards)


def _alternatives(
    model: CurveModel,
    standards: Sequence[Standard],
    factors: Factors,
    exclusions: Sequence[Exclusion],
    chosen: FittedCurve,
) -> tuple[ModelScore, ...]:
    """The chosen model beside simpler ones, best by leave-one-material-out first."""
    simpler = {
        "without matrix correction": replace(
            model,
            kind=ModelKind.NONE,
            alphas={},
            influencing_elements=(),
            influencing_lines=(),
            compton_line="",
        ),
        "without constant": replace(model, constant=False),
        "without overlaps": replace(model, overlaps=()),
    }
    fitted = {str(model.kind): chosen}
    for name, other in simpler.items():
        if other.terms == model.terms and other.kind is model.kind:
            continue
        try:
            fitted[name] = fit_curve(other, standards, factors, exclusions=exclusions)
        except CalibrationError:
            continue  # a model that cannot be fitted is no alternative
    return compare(
        {name: found.regression for name, found in fitted.items()},
        {name: found.left_out for name, found in fitted.items()},
    )
