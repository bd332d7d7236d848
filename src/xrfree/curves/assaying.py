"""From rates and curves to contents and assays: all analytes together, because each corrects the others.

Definition   w_i = M_i(w) Σ_j β_ij t_ij(R, w), solved by repeated substitution.
             u from w = f(R, β, e): ∂w/∂q = (1 - ∂f/∂w)⁻¹ ∂f/∂q for rates, coefficients and scatter.
Validation   tests/curves/test_worked_example.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from xrfree import __version__
from xrfree.assay import Assay, Recipe, Verdict
from xrfree.calibration import Calibration, CalibrationCurve
from xrfree.composition import Composition
from xrfree.curves.models import Factors, terms_of
from xrfree.curves.rates import LineRates
from xrfree.errors import CalibrationError, NotConvergedError
from xrfree.line_method import LineMethod
from xrfree.quality.limits import quantification_limits
from xrfree.quality.validity import judged_in_range
from xrfree.specimen import Specimen
from xrfree.spectrum import SourceFile

FloatArray = NDArray[np.float64]

MOST_ITERATIONS = 100
TOLERANCE = 1e-10
"""Largest last change of a content, kg/kg."""
_STEP = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineContents:
    """Contents of one specimen by curves.

    analytes : elements; mass_fraction : kg/kg of the specimen, shape (n,).
    covariance : shape (n, n); its parts by counting, calibration and scatter between specimens beside it.
    """

    specimen: str
    analytes: tuple[str, ...]
    mass_fraction: FloatArray
    counting: FloatArray
    calibration: FloatArray
    between_specimens: FloatArray
    iterations: int

    @property
    def covariance(self) -> FloatArray:
        """Sum of all parts."""
        return np.asarray(self.counting + self.calibration + self.between_specimens)

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, kg/kg."""
        return np.sqrt(np.diag(self.covariance))


def line_contents(
    rates: LineRates,
    curves: Sequence[CalibrationCurve],
    factors: Factors,
) -> LineContents:
    """Contents of the analytes of `curves`.

    Raises NotConvergedError where substitution does not settle.
    """
    analytes = tuple(curve.model.analyte for curve in curves)

    def step(contents: FloatArray, rates: LineRates, coefficients: Sequence[FloatArray]) -> FloatArray:
        assumed = dict(zip(analytes, contents.tolist(), strict=True))
        terms = (terms_of(curve.model, rates, assumed, factors) for curve in curves)
        return np.array([float(t @ beta) for t, beta in zip(terms, coefficients, strict=True)])

    betas = [curve.coefficients for curve in curves]
    contents, changes = np.zeros(len(curves)), []
    for _ in range(MOST_ITERATIONS):
        following = step(contents, rates, betas)
        changes.append(float(np.max(np.abs(following - contents))))
        contents = following
        if changes[-1] < TOLERANCE:
            break
    else:
        raise NotConvergedError(
            f"{rates.specimen}: contents still moved by {changes[-1]:.1e} after {MOST_ITERATIONS} steps", tuple(changes)
        )
    feedback = _jacobian(lambda w: step(w, rates, betas), contents, np.full(len(curves), _STEP))
    settle = np.linalg.inv(np.eye(len(curves)) - feedback)
    by_rate = settle @ _jacobian(
        lambda r: step(contents, rates.with_rate(r), betas), rates.rate, 1e-4 * np.maximum(np.abs(rates.rate), 1.0)
    )
    calibration = np.zeros((len(curves), len(curves)))
    assumed = dict(zip(analytes, contents.tolist(), strict=True))
    for i, curve in enumerate(curves):
        terms = terms_of(curve.model, rates, assumed, factors)
        calibration += float(terms @ curve.covariance @ terms) * np.outer(settle[:, i], settle[:, i])
    scatter = np.array([c.scatter * np.hypot(w, c.scatter_floor) for c, w in zip(curves, contents, strict=True)])
    return LineContents(
        specimen=rates.specimen,
        analytes=analytes,
        mass_fraction=contents,
        counting=by_rate @ rates.covariance @ by_rate.T,
        calibration=calibration,
        between_specimens=settle @ np.diag(scatter**2) @ settle.T,
        iterations=len(changes),
    )


def _jacobian(function: Callable[[FloatArray], FloatArray], at: FloatArray, steps: FloatArray) -> FloatArray:
    """Central differences, shape (n_results, n_arguments)."""
    columns = []
    for i, h in enumerate(steps):
        up, down = at.copy(), at.copy()
        up[i] += h
        down[i] -= h
        columns.append((function(up) - function(down)) / (2.0 * h))
    return np.array(columns).T


def uncertainty_at_zero(curve: CalibrationCurve, rates: LineRates, terms: FloatArray) -> float:
    """Standard uncertainty (kg/kg) of a content of 0 in this specimen.

    u₀² = Σ_j (M β_j)² u²(R_j) + M² u²(β₀) + (scatter floor)², u(R) of the analyte's own line as it would be at 0
    """
    model = curve.model
    own = int(model.constant)
    factor = abs(terms[own] / rates.rate[rates.index(model.line)]) if rates.rate[rates.index(model.line)] else 0.0
    variance = (factor * curve.coefficients[own]) ** 2 * rates.variance_at_zero[rates.index(model.line)]
    for j, line in enumerate(model.overlaps, start=own + 1):
        i = rates.index(line)
        slope = terms[j] / rates.rate[i] if rates.rate[i] else 0.0
        variance += (slope * curve.coefficients[j]) ** 2 * rates.covariance[i, i]
    if model.constant:
        variance += terms[0] ** 2 * curve.covariance[0, 0]
    return float(np.sqrt(variance + (curve.scatter * curve.scatter_floor) ** 2))


def assay_lines(
    rates: LineRates,
    calibration: Calibration,
    method: LineMethod,
    factors: Factors,
    specimen: Specimen,
    sources: Sequence[SourceFile] = (),
) -> Assay:
    """Assay of one specimen by the curves of a calibration, as mass fractions of the dry sample.

    Limits after Currie: y* = k u₀, k = z(1 - α/n); contents outside the ranges of the standards are doubtful.
    Raises CalibrationError where method and calibration do not belong together.
    """
    curves = [curve for curve in calibration.curves if curve.model.analyte in method.analytes]
    if calibration.method_sha256 != method.sha256 or len(curves) < len(method.analytes):
        raise CalibrationError(f"{calibration.name} was not made with the method {method.name}; calibrate it anew")
    found = line_contents(rates, curves, factors)
    contents = dict(zip(found.analytes, found.mass_fraction.tolist(), strict=True))
    terms = [terms_of(curve.model, rates, contents, factors) for curve in curves]
    u0 = np.array([uncertainty_at_zero(c, rates, t) for c, t in zip(curves, terms, strict=True)])
    decision = float(norm.isf(method.false_positive_risk / len(curves))) * u0
    by_counts = np.maximum(np.diag(found.counting) - u0**2, 0.0)
    w = found.mass_fraction
    slope = np.divide(by_counts, w, where=w > 0.0, out=np.zeros(w.size))
    detected = [bool(content > limit) for content, limit in zip(w, decision, strict=True)]
    scale = specimen.dilution
    verdicts, reasons = judged_in_range(
        [Verdict.DETECTED if is_detected else Verdict.NOT_DETECTED for is_detected in detected],
        ["" if is_detected else "at or below the decision limit" for is_detected in detected],
        contents=contents,
        analytes=method.analytes,
        validity=calibration.validity,
        dilution=scale,
    )
    return Assay(
        specimen=rates.specimen,
        basis="specimen as measured" if specimen.fusion is None else "dry sample before fusion",
        components=found.analytes,
        analytes=found.analytes,
        mass_fraction=found.mass_fraction * scale,
        covariance=found.covariance * scale**2,
        budget={
            "counting": np.sqrt(np.diag(found.counting)) * scale,
            "calibration": np.sqrt(np.diag(found.calibration)) * scale,
            "between specimens": np.sqrt(np.diag(found.between_specimens)) * scale,
        },
        coverage_factor=method.coverage_factor,
        decision_limit=decision * scale,
        detection_limit=2.0 * decision * scale,
        quantification_limit=quantification_limits(u0**2, slope, np.array([c.scatter for c in curves])) * scale,
        verdicts=verdicts,
        reasons=reasons,
        composition=Composition(elements=found.analytes, mass_fraction=found.mass_fraction),
        areas=(),
        iterations=found.iterations,
        recipe=Recipe(
            source_sha256=tuple(source.sha256 for source in sources),
            sources=tuple(source.path for source in sources),
            method=method.name,
            method_sha256=method.sha256,
            instrument="",
            instrument_sha256=calibration.instrument_sha256,
            calibration=calibration.name,
            calibration_sha256=calibration.sha256,
            calibration_status=str(calibration.status),
            tables=calibration.tables,
            software_version=__version__,
        ),
    )
