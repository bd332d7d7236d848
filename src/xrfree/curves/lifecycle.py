"""The life of a calibration: draft, approved, superseded; and what changed between two of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xrfree.calibration import (
    Calibration,
    CalibrationCurve,
    CalibrationStatus,
    ContentRange,
    StatusChange,
    Validity,
)
from xrfree.errors import CalibrationError


def with_status(calibration: Calibration, status: CalibrationStatus, *, by: str, at: str, why: str) -> Calibration:
    """The same calibration with a new status; the one given stays as it is.

    Draft -> approved -> superseded; a draft may be superseded at once. Raises CalibrationError for any other step.
    """
    change = StatusChange(status=status, by=by, at=at, why=why, sha256=calibration.sha256)
    return replace(calibration, history=(*calibration.history, change))


def with_range(calibration: Calibration, span: ContentRange) -> Calibration:
    """A draft with another range of one element; the calibration given stays as it is.

    Raises CalibrationError where the range does not say who set it, and why.
    """
    if not span.by:
        raise CalibrationError(f"{span.element}: a range is set by somebody, for a reason; say who and why")
    others = [one for one in calibration.validity.ranges if one.element != span.element]
    return replace(calibration, validity=Validity(ranges=(*others, span)), history=(), sha256="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One sensitivity or curve in an old and a new calibration.

    relative : new over old, less 1: of the sensitivity, or of the content that a rate typical of the curve gives.
    standard_uncertainty : of it, the two calibrations taken as independent.
    """

    name: str
    relative: float
    standard_uncertainty: float

    @property
    def significant(self) -> bool:
        """Whether it exceeds twice its uncertainty."""
        return abs(self.relative) > 2.0 * self.standard_uncertainty


def compare_calibrations(old: Calibration, new: Calibration) -> tuple[Difference, ...]:
    """What changed between two calibrations, in the order of the old one.

    Sensitivities: k₂/k₁ - 1, u² = Σ u²(ln k). Curves of the same model: slope₂/slope₁ - 1, u² = Σ [u(slope)/slope]².
    Raises CalibrationError where they have nothing in common, not even analytes by other models (`changed_models`).
    """
    found = [
        Difference(
            name=group,
            relative=float(np.expm1(new.log_sensitivity[j] - old.log_sensitivity[i])),
            standard_uncertainty=float(np.sqrt(old.covariance[i, i] + new.covariance[j, j])),
        )
        for i, group in enumerate(old.groups)
        if group in new.groups
        for j in [new.groups.index(group)]
    ]
    found += [_slope_difference(a, b) for a, b in _of_one_analyte(old, new) if _is_same_model(a, b)]
    if not found and not changed_models(old, new):
        raise CalibrationError(f"{old.name} and {new.name} have no line group and no curve in common")
    return tuple(found)


def changed_models(old: Calibration, new: Calibration) -> tuple[tuple[CalibrationCurve, CalibrationCurve], ...]:
    """Curves of one analyte by different models: their coefficients cannot be compared, their errors can."""
    return tuple((a, b) for a, b in _of_one_analyte(old, new) if not _is_same_model(a, b))


def _of_one_analyte(old: Calibration, new: Calibration) -> list[tuple[CalibrationCurve, CalibrationCurve]]:
    others = {curve.model.analyte: curve for curve in new.curves}
    return [(curve, others[curve.model.analyte]) for curve in old.curves if curve.model.analyte in others]


def _is_same_model(a: CalibrationCurve, b: CalibrationCurve) -> bool:
    return (a.model.kind, a.model.terms) == (b.model.kind, b.model.terms)


def _slope_difference(old: CalibrationCurve, new: CalibrationCurve) -> Difference:
    i = int(old.model.constant)
    slopes = old.coefficients[i], new.coefficients[i]
    relative = [np.sqrt(curve.covariance[i, i]) / abs(slope) for curve, slope in zip((old, new), slopes, strict=True)]
    return Difference(
        name=f"{old.model.analyte} by {old.model.line}",
        relative=float(slopes[1] / slopes[0] - 1.0),
        standard_uncertainty=float(np.hypot(*relative)),
    )


def require_usable(calibration: Calibration, *, drafts: bool = False, superseded: bool = False) -> None:
    """Refuse a superseded calibration unless `superseded`, and a draft unless `drafts`."""
    if calibration.status is CalibrationStatus.SUPERSEDED and not superseded:
        last = calibration.history[-1]
        raise CalibrationError(
            f"{calibration.name} was superseded by {last.by} at {last.at} ({last.why}); "
            "use the calibration that follows it, or say --superseded to repeat what was done with this one"
        )
    if calibration.status is CalibrationStatus.DRAFT and not drafts:
        raise CalibrationError(
            f"{calibration.name} is a draft; have it approved (xrfree calibration-status) or say that it is a trial"
        )
