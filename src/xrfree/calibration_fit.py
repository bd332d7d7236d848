"""Calibration of the line groups with reference materials."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.calibration import Calibration, StandardPoint
from xrfree.errors import CalibrationError
from xrfree.quantification import (
    Prepared,
    common_solution,
    group_key,
    net_rate_uncertainties,
    net_rates,
    quantified_groups,
    stated_sensitivity,
)
from xrfree.reference import Basis, ReferenceMaterial, ReferenceValue
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement

FloatArray = NDArray[np.float64]

FEWEST_STANDARDS = 2
LEAST_SIGNIFICANT = 4.0
"""A line group is calibrated when at least one standard shows it with this many standard uncertainties."""
_SCATTER_SCALE = 0.01
_ABSOLUTE_SCALE = 1.0
_BLANK_SCALE = 10.0
"""Scales of the weak priors: relative scatter; absolute scatter and blank in counting uncertainties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observation:
    """One line group in one standard: net rate and the modelled strength times certified content."""

    material: str
    rate: float
    rate_uncertainty: float
    strength: float
    certified: float
    certified_uncertainty: float


def specimen_content(value: ReferenceValue, specimen: Specimen) -> tuple[float, float]:
    """Certified mass fraction in the measured specimen with its standard uncertainty, kg/kg.

    w_specimen = w_dry / dilution; an ignited basis is first brought to the dry one by (1 - LOI).
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
) -> Calibration:
    """Sensitivity of every line group that the standards show, with covariance and scatter between specimens.

    measurements : by specimen name, under the method's condition names.
    certificates, specimens : by the same names.

    Certified contents of each standard are held fixed while fit and matrix model come to a common answer; the
    sensitivity is then r = k w S(w), with errors in the rate r and in the certified content w.

    Raises CalibrationError when no line group is determined by two standards.
    """
    rows: dict[str, list[_Observation]] = {element: [] for element in quantified_groups(prepared.method)}
    for standard, measurement in measurements.items():
        for element, observation in _observed(standard, measurement, certificates, specimens, prepared).items():
            rows[element].append(observation)
    usable = {e: [o for o in seen if o.strength > 0.0] for e, seen in rows.items() if _determined(seen)}
    offsets = _scale_offsets(usable, prepared)
    groups: list[str] = []
    fitted: list[_Sensitivity] = []
    points: list[StandardPoint] = []
    for element, observations in usable.items():
        region, group = quantified_groups(prepared.method)[element]
        log_k, sigma = stated_sensitivity(region, group, prepared.instrument)
        result = _fit_sensitivity(observations, prior=(log_k + offsets[region.condition], sigma))
        groups.append(group_key(region, group))
        fitted.append(result)
        points += [_point(o, group_key(region, group), result) for o in observations]
    if not groups:
        raise CalibrationError(
            f"none of the {len(measurements)} standards determines a line group of the method; "
            f"at least {FEWEST_STANDARDS} standards with a certified content of an element are needed"
        )
    return Calibration(
        name=name,
        groups=tuple(groups),
        log_sensitivity=np.array([f.log_k for f in fitted]),
        covariance=np.diag([f.covariance[0, 0] for f in fitted]),
        blank=np.array([f.blank for f in fitted]),
        blank_uncertainty=np.array([np.sqrt(f.covariance[1, 1]) for f in fitted]),
        blank_correlation=np.array(
            [f.covariance[0, 1] / np.sqrt(f.covariance[0, 0] * f.covariance[1, 1]) for f in fitted]
        ),
        relative_scatter=np.array([f.relative_scatter for f in fitted]),
        absolute_scatter=np.array([f.absolute_scatter for f in fitted]),
        points=tuple(points),
        tables=TABLES,
        instrument_sha256=prepared.instrument.sha256,
        method_sha256=prepared.method.sha256,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        software_version=__version__,
    )


def _observed(
    standard: str,
    measurement: Measurement,
    certificates: Mapping[str, ReferenceMaterial],
    specimens: Mapping[str, Specimen],
    prepared: Prepared,
) -> dict[str, _Observation]:
    """Rates and modelled strengths of all certified elements of one standard."""
    if standard not in certificates:
        raise CalibrationError(f"there is no certificate of {standard}; give one, or leave the standard out")
    if standard not in specimens:
        raise CalibrationError(f"the specimen list does not name {standard}; add its form, density and thickness")
    specimen = specimens[standard]
    elements = list(quantified_groups(prepared.method))
    known = {
        element: specimen_content(value, specimen)
        for element, value in certificates[standard].element_values().items()
        if element in elements
    }
    solution = common_solution(measurement, prepared, specimen, pinned={e: w for e, (w, _) in known.items()})
    rate = net_rates(solution.fits, prepared.method)
    uncertainty = net_rate_uncertainties(solution.fits, prepared.method)
    return {
        element: _Observation(
            material=standard,
            rate=float(rate[elements.index(element)]),
            rate_uncertainty=float(uncertainty[elements.index(element)]),
            strength=float(solution.strengths[elements.index(element)]),
            certified=content,
            certified_uncertainty=u,
        )
        for element, (content, u) in known.items()
    }


def _determined(observations: Sequence[_Observation]) -> bool:
    """Whether enough standards contain the element, and one of them shows it."""
    containing = [o for o in observations if o.certified > 0.0 and o.strength > 0.0]
    shown = any(o.rate > LEAST_SIGNIFICANT * o.rate_uncertainty for o in containing)
    return shown and len(containing) >= FEWEST_STANDARDS


def _scale_offsets(usable: Mapping[str, Sequence[_Observation]], prepared: Prepared) -> dict[str, float]:
    """Per condition, by how much the standards' log sensitivities differ from the document's (tube current)."""
    found: dict[str, list[float]] = {}
    for element, observations in usable.items():
        region, group = quantified_groups(prepared.method)[element]
        log_k, _ = stated_sensitivity(region, group, prepared.instrument)
        found.setdefault(region.condition, []).append(_first_log_k(observations) - log_k)
    return {condition: float(np.median(values)) for condition, values in found.items()}


def _table(observations: Sequence[_Observation]) -> FloatArray:
    """Columns rate, its uncertainty, strength, content, its uncertainty; shape (5, n)."""
    return np.array(
        [(o.rate, o.rate_uncertainty, o.strength, o.certified, o.certified_uncertainty) for o in observations]
    ).T


def _first_log_k(observations: Sequence[_Observation]) -> float:
    """Weighted slope through the origin of the rates over strength times content."""
    rate, u_rate, strength, content, u_content = _table(observations)
    modelled = strength * content
    weight = 1.0 / np.maximum(u_rate**2 + (strength * u_content) ** 2 + (0.01 * modelled) ** 2, 1e-300)
    return float(np.log(max(np.sum(weight * rate * modelled) / np.sum(weight * modelled**2), 1e-12)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sensitivity:
    """Result of one regression; covariance of (ln k, blank), shape (2, 2)."""

    log_k: float
    blank: float
    covariance: FloatArray
    relative_scatter: float
    absolute_scatter: float


def _fit_sensitivity(observations: Sequence[_Observation], *, prior: tuple[float, float]) -> _Sensitivity:
    """Maximum likelihood of ln k, blank b, relative and absolute scatter.

    r / (k S) - b - w ~ N(0, u_r²/(kS)² + u_w² + (s_rel w)² + s_abs²)

    prior : mean and standard deviation of ln k before the standards, from pure compounds. Weak priors keep apart what
        few standards cannot: b and s_abs are of the size of a few counting uncertainties, s_rel of a few per cent.
    """
    rate, u_rate, strength, content, u_content = _table(observations)
    start = _first_log_k(observations)
    typical = float(np.median(u_rate / (np.exp(start) * strength)))

    def variances(log_k: float, relative: float, absolute: float) -> FloatArray:
        counting = (u_rate / (np.exp(log_k) * strength)) ** 2
        return np.asarray(counting + u_content**2 + (relative * content) ** 2 + (absolute * typical) ** 2)

    def deviance(parameters: FloatArray) -> float:
        log_k, blank, relative, absolute = parameters
        away = rate / (np.exp(log_k) * strength) - blank * typical - content
        variance = variances(log_k, relative, absolute)
        scatters = np.array([relative / _SCATTER_SCALE, absolute / _ABSOLUTE_SCALE])
        weak = np.sum(scatters**2 - 2.0 * np.log(np.abs(scatters) + 1e-12)) + (blank / _BLANK_SCALE) ** 2
        known = ((log_k - prior[0]) / prior[1]) ** 2
        return float(np.sum(away**2 / variance + np.log(variance)) + weak + known)

    best = minimize(
        deviance,
        np.array([start, 0.0, 0.005, 0.5]),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-6, "maxiter": 20000, "maxfev": 20000, "adaptive": True},
    )
    log_k, blank, relative, absolute = (float(x) for x in best.x)
    variance = variances(log_k, relative, absolute)
    slopes = np.array([-rate / (np.exp(log_k) * strength), -np.ones_like(rate)])
    information = (slopes / variance) @ slopes.T + np.diag([prior[1] ** -2, (_BLANK_SCALE * typical) ** -2])
    return _Sensitivity(
        log_k=log_k,
        blank=blank * typical,
        covariance=np.linalg.inv(information),
        relative_scatter=abs(relative),
        absolute_scatter=abs(absolute) * typical,
    )


def _point(observation: _Observation, group: str, fitted: _Sensitivity) -> StandardPoint:
    unit = np.exp(fitted.log_k) * observation.strength
    return StandardPoint(
        material=observation.material,
        group=group,
        certified=observation.certified,
        certified_uncertainty=observation.certified_uncertainty,
        found=float(observation.rate / unit) - fitted.blank,
        found_uncertainty=float(observation.rate_uncertainty / unit),
    )
