"""What a measurement will be worth, before it is made.

Definition   expected counts of `simulation`; precision from their Fisher information (Poisson counts), all line groups,
             scattered light, energy scale and width being free, and every content acting on all lines through the
             matrix; split of the time that minimises the sum of squared relative uncertainties (A-optimal design:
             V. V. Fedorov, Theory of Optimal Experiments, 1972).
Validation   tests/test_planning.py: counting limits of an independent program; scaling with time; assays of simulated
             spectra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from xrfree.composition import Composition
from xrfree.errors import DomainError
from xrfree.instrument import Absorber, Instrument
from xrfree.matrix.intensities import group_intensities
from xrfree.method import split_group
from xrfree.simulation import ExpectedParts, expected_parts
from xrfree.specimen import Specimen
from xrfree.spectrum import EnergyScale

FloatArray = NDArray[np.float64]

DETECTION_RISK = 0.05
"""Risk of both errors in the detection limits.  L. A. Currie, Anal. Chem. 40 (1968) 586"""
LEAST_CONTENT = 1e-7
"""Content that an analyte is given where the specimen is said to have none of it."""
_BACKGROUND_TERMS = 3
_LOWEST_KEV = 1.0
_FEWEST_COUNTS = 1e-9
_WELL_SHOWN = 0.05
"""Relative uncertainty to which a condition's own lines must determine a content for the others to depend on it: what
it shows worse is known from elsewhere."""
_MOST_CHANNELS = 4096
_SPLIT_ROUNDS = 400
_LEAST_SHARE = 0.01
_RIDGE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionPlan:
    """One condition by itself.

    name : of the condition; current : factor on the tube current, below 1 where the rate would be too high.
    rate_per_s : counts of all channels; spectrum, energy_kev : counts per second and channel.
    uncertainty, detection_limit : of each analyte after the whole time, kg/kg; infinite where no line shows it.
    """

    name: str
    current: float
    rate_per_s: float
    energy_kev: FloatArray
    spectrum: FloatArray
    uncertainty: FloatArray
    detection_limit: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be expected, and how the time is best split.

    analytes, content : what is asked for (kg/kg in the specimen as measured).
    conditions : every choice alone for the whole time; time_s : recommended seconds in each, summing to total_s.
    uncertainty, detection_limit : of each analyte with the recommended split, kg/kg.
    """

    analytes: tuple[str, ...]
    content: FloatArray
    total_s: float
    conditions: tuple[ConditionPlan, ...]
    time_s: FloatArray
    uncertainty: FloatArray
    detection_limit: FloatArray


def with_choices(
    instrument: Instrument,
    base: str,
    voltages_kv: Sequence[float],
    filters: Mapping[str, tuple[Absorber, ...]],
) -> Instrument:
    """An instrument whose conditions are one of its own with other voltages and filters.

    base : condition whose geometry, response and scale (tube current) all choices share.
    filters : name to layers; {"none": ()} for no filter.

    Raises DomainError for a base that the instrument does not have.
    """
    if base not in instrument.conditions:
        raise DomainError(f"instrument {instrument.name} has {', '.join(instrument.conditions)}, no condition '{base}'")
    own = instrument.conditions[base]
    conditions = {}
    for voltage in voltages_kv:
        for filter_name, layers in filters.items():
            name = f"{voltage:g} kV, {filter_name}"
            gain = max(own.energy_gain_kev, 1.05 * voltage / _MOST_CHANNELS)
            tube = replace(own.tube, voltage_kv=voltage)
            conditions[name] = replace(own, name=name, tube=tube, filters=layers, energy_gain_kev=gain)
    scales = {key: value for key, value in instrument.log_scale.items() if key.partition("/")[0] == base}
    return replace(
        instrument,
        conditions=conditions,
        responses=dict.fromkeys(conditions, instrument.responses[base]),
        log_scale={name + key[len(base) :]: value for name in conditions for key, value in scales.items()},
    )


def plan(
    contents: Mapping[str, float] | Composition,
    specimen: Specimen,
    instrument: Instrument,
    analytes: Sequence[str],
    *,
    total_s: float,
    conditions: Sequence[str] | None = None,
    most_counts_per_s: float = np.inf,
) -> Plan:
    """Predict precision and detection limits of a measurement and recommend how to split its time.

    I_c = Jᵀ diag(1/m) J for one second of condition c, what is not a content being eliminated; V = (Σ_c t_c I_c)⁻¹
    J_j = Σ_g l_g (δ_gj/w_j + ∂ ln S_g/∂w_j), l_g the lines of group g, S_g their strength per unit of their element:
    a content that a condition shows well changes all of its lines, and takes the place of what has none.
    Escape yield and pile-up are known as well as the instrument's response says.

    contents : of the whole specimen as measured, with the analytes it has; sum 1.
    analytes : elements. total_s : live time of all conditions together.
    conditions : of the instrument; all of them if not given.
    most_counts_per_s : rate to which the tube current is lowered where it would be higher.

    Raises DomainError for a time or rate that is not above 0, for an analyte that no condition shows, and for an
    instrument that neither states its scale nor gets a rate.
    """
    if not (np.isfinite(total_s) and total_s > 0.0):
        raise DomainError(f"total time is {total_s} s, expected a number above 0")
    if not most_counts_per_s > 0.0:
        raise DomainError(f"most counts per second is {most_counts_per_s}, expected a number above 0")
    whole = _with_analytes(contents, analytes)
    names = tuple(instrument.conditions if conditions is None else conditions)
    unscaled = [name for name in names if name in instrument.conditions and name not in instrument.log_scale]
    if unscaled and np.isinf(most_counts_per_s):
        raise DomainError(
            f"instrument {instrument.name} does not state the scale of {', '.join(unscaled)}, so its count rate is "
            "unknown; calibrate the instrument, or say at how many counts per second it measures"
        )
    seen = [_seen(whole, specimen, instrument, name, analytes, most_counts_per_s, total_s) for name in names]
    index = [whole.elements.index(a) for a in analytes]
    content = whole.mass_fraction[index]
    dark = [a for a, i in zip(analytes, index, strict=True) if not any(s.information[i, i] > 0.0 for s in seen)]
    if dark:
        raise DomainError(
            f"no condition shows {', '.join(dark)}; add one with a higher voltage, or leave the element out"
        )
    scale = np.maximum(content, np.min([_limits(s, total_s) for s in seen], axis=0))
    time = total_s * _best_split([s.information for s in seen], index, scale, total_s)
    combined = _inverse(np.sum([t * s.information for t, s in zip(time, seen, strict=True)], axis=0))
    at_zero = [np.sum([t * s.at_zero[k] for t, s in zip(time, seen, strict=True)], axis=0) for k in range(len(index))]
    return Plan(
        analytes=tuple(analytes),
        content=content,
        total_s=total_s,
        conditions=tuple(_condition_plan(s, index, total_s) for s in seen),
        time_s=time,
        uncertainty=np.sqrt(combined[index, index]),
        detection_limit=_limit_factor() * np.sqrt([_inverse(m)[i, i] for m, i in zip(at_zero, index, strict=True)]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Information on all contents from one second of a condition, and at zero content of each analyte."""

    name: str
    current: float
    parts: ExpectedParts
    index: tuple[int, ...]
    information: FloatArray
    at_zero: tuple[FloatArray, ...]


def _with_analytes(contents: Mapping[str, float] | Composition, analytes: Sequence[str]) -> Composition:
    whole = contents if isinstance(contents, Composition) else Composition.of(contents)
    total = dict(zip(whole.elements, whole.mass_fraction.tolist(), strict=True))
    if not analytes:
        raise DomainError("name at least one analyte, such as La")
    for analyte in analytes:
        total[analyte] = max(total.get(analyte, 0.0), LEAST_CONTENT)
    return Composition(elements=tuple(total), mass_fraction=np.array(list(total.values())))


def _seen(
    whole: Composition,
    specimen: Specimen,
    instrument: Instrument,
    condition: str,
    analytes: Sequence[str],
    most_counts_per_s: float,
    total_s: float,
) -> _Seen:
    stated = instrument.conditions[condition]
    n_channels = int(np.ceil((1.05 * stated.tube.voltage_kv - stated.energy_zero_kev) / stated.energy_gain_kev))
    parts = expected_parts(whole, specimen, instrument, condition, n_channels=n_channels)
    current = min(1.0, most_counts_per_s / float(parts.total.sum()))
    index = tuple(whole.elements.index(a) for a in analytes)
    mean = current * parts.total
    response = instrument.responses[condition]
    scale = EnergyScale(zero_kev=stated.energy_zero_kev, gain_kev=stated.energy_gain_kev)
    pile_up = current * parts.pile_up(current * response.pulse_pair_time_s, scale)
    known = np.vstack(
        [
            response.escape_relative_uncertainty * current * parts.escape,
            response.pile_up_relative_uncertainty * pile_up,
        ]
    )
    free = _free(mean, current * parts.scattered, parts.energy_kev)
    own = np.array([current * parts.lines[_groups_of(e, parts.groups)].sum(axis=0) for e in whole.elements])

    def information(m: FloatArray, columns: FloatArray) -> FloatArray:
        return _information(m, columns, free, np.sqrt(total_s) * known, parts.energy_kev)

    columns = own / np.maximum(whole.mass_fraction, 1e-300)[:, None]
    alone = np.sqrt(np.diag(_inverse(information(mean, columns))) / total_s)
    shown = np.flatnonzero(alone < _WELL_SHOWN * whole.mass_fraction)
    columns += current * _slopes(whole, specimen, instrument, condition, parts.groups, shown) @ parts.lines
    found = [information(m, columns) for m in (mean, *(mean - own[i] for i in index))]
    return _Seen(
        name=condition, current=current, parts=parts, index=index, information=found[0], at_zero=tuple(found[1:])
    )


def _groups_of(element: str, groups: Sequence[str]) -> list[int]:
    """Places of an element's line groups."""
    return [k for k, group in enumerate(groups) if split_group(group)[0] == element]


def _slopes(
    whole: Composition,
    specimen: Specimen,
    instrument: Instrument,
    condition: str,
    groups: Sequence[str],
    shown: NDArray[np.intp],
) -> FloatArray:
    """Derivatives of each group's ln strength by the contents that are shown, shape (n_elements, n_groups)."""
    present = whole.mass_fraction
    unseen = np.array([0.0 if _groups_of(e, groups) else w for e, w in zip(whole.elements, present, strict=True)])
    gives_way = unseen / unseen.sum() if unseen.sum() > 0.0 else present
    channels = [(condition, group) for group in groups]
    intensities = group_intensities(instrument.conditions, instrument.detector, whole.elements, channels)
    strength, change = intensities.strengths_and_derivatives(present, specimen.areal_density_g_cm2)
    by_content = (change / strength[:, None]).T
    slopes = np.zeros_like(by_content)
    slopes[shown] = by_content[shown] - gives_way @ by_content
    return slopes


def _free(mean: FloatArray, scattered: FloatArray, energy_kev: FloatArray) -> FloatArray:
    """Columns of what is free: scattered continuum times a polynomial, series of tube lines, energy scale, width."""
    smooth = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, mean.size), _BACKGROUND_TERMS - 1).T
    slope = np.gradient(mean, energy_kev)
    return np.vstack([scattered[0] * smooth, scattered[1:], slope, energy_kev * slope, np.gradient(slope, energy_kev)])


def _information(
    mean: FloatArray, columns: FloatArray, free: FloatArray, known: FloatArray, energy_kev: FloatArray
) -> FloatArray:
    """Fisher information on the contents from one second, what is not a content being eliminated.

    columns, free, known : shape (n, n_channels), of contents, of what is free, and of what is known to one standard
    uncertainty (times the root of all seconds); result of shape (n_elements, n_elements).
    """
    used = (energy_kev > _LOWEST_KEV) & (mean > _FEWEST_COUNTS)
    size = np.linalg.norm(free[:, used] / np.sqrt(mean[used]), axis=1)
    scaled = free[size > 0.0] / size[size > 0.0, None]
    n_known = known.shape[0]
    others = np.vstack([scaled, known])[:, used] / np.sqrt(mean[used])
    # One more "channel" for each thing that is known says so.
    prior = np.vstack([np.zeros((scaled.shape[0], n_known)), np.eye(n_known)])
    basis = np.linalg.qr(np.hstack([others, prior]).T)[0]
    wanted = np.hstack([columns[:, used] / np.sqrt(mean[used]), np.zeros((columns.shape[0], n_known))])
    rest = wanted - (wanted @ basis) @ basis.T
    return np.asarray(rest @ rest.T)


def _inverse(information: FloatArray) -> FloatArray:
    """Covariance of the contents that show; infinite for those that do not."""
    size = np.sqrt(np.diag(information))
    shown = np.flatnonzero(size > 0.0)
    covariance = np.full(information.shape, np.inf)
    scaled = information[np.ix_(shown, shown)] / np.outer(size[shown], size[shown])
    inverse = np.linalg.inv(scaled + _RIDGE * np.eye(shown.size)) / np.outer(size[shown], size[shown])
    covariance[np.ix_(shown, shown)] = inverse
    return covariance


def _limit_factor() -> float:
    return 2.0 * float(norm.isf(DETECTION_RISK))


def _limits(seen: _Seen, time_s: float) -> FloatArray:
    variance = [_inverse(m)[i, i] for m, i in zip(seen.at_zero, seen.index, strict=True)]
    return np.asarray(_limit_factor() * np.sqrt(np.array(variance) / time_s))


def _condition_plan(seen: _Seen, index: Sequence[int], total_s: float) -> ConditionPlan:
    spectrum = seen.current * seen.parts.total
    return ConditionPlan(
        name=seen.name,
        current=seen.current,
        rate_per_s=float(spectrum.sum()),
        energy_kev=seen.parts.energy_kev,
        spectrum=spectrum,
        uncertainty=np.sqrt(np.diag(_inverse(seen.information))[list(index)] / total_s),
        detection_limit=_limits(seen, total_s),
    )


def _best_split(
    information: Sequence[FloatArray], index: Sequence[int], scale: FloatArray, total_s: float
) -> FloatArray:
    """Shares of the time that minimise Σ_a V_aa / scale_a², shape (n_conditions,), summing to 1.

    Multiplicative steps t_c <- t_c sqrt(d_c) with d_c = tr(S V I_c V), which never raise the sum; shares below 1 % are
    given to the others.  S. D. Silvey, D. M. Titterington, B. Torsney, Commun. Stat. 7 (1978) 1379
    """
    share = np.full(len(information), 1.0 / len(information))
    for _ in range(_SPLIT_ROUNDS if len(information) > 1 else 0):
        covariance = _inverse(np.sum([s * total_s * m for s, m in zip(share, information, strict=True)], axis=0))
        rows = covariance[list(index)] / scale[:, None]
        rows = np.where(np.isfinite(rows), rows, 0.0)
        gain = np.array([np.einsum("ai,ij,aj->", rows, m, rows) for m in information])
        share = share * np.sqrt(np.maximum(gain, 0.0))
        share /= share.sum()
    kept = np.where(share >= _LEAST_SHARE, share, 0.0)
    return np.asarray(kept / kept.sum())
