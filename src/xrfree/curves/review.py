"""Everything a calibration engineer looks at before approving: one review per curve or line group.

A line group of a spectrum calibration and a curve of line intensities are reviewed alike: certified content against the
content that the calibrated line shows, by errors in both, and each material predicted from the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from xrfree.calibration import Calibration, StandardPoint
from xrfree.curves.calibrating import LineCalibration
from xrfree.errors import CalibrationError, NotConvergedError
from xrfree.reference import ReferenceMaterial, ReferenceValue
from xrfree.regression.collinearity import Collinearity
from xrfree.regression.diagnostics import (
    LeaveOneOut,
    LinearityTest,
    ModelScore,
    RobustLook,
    compare,
    leave_one_material_out,
    linearity_test,
    robust_look,
)
from xrfree.regression.observations import CONSTANT, Observations
from xrfree.regression.solve import Regression, fit

FloatArray = NDArray[np.float64]

FOUND = "found"
FEWEST_REVIEWED = 4
"""Materials below which a line group of a spectrum calibration is not reviewed."""
LIMIT_RISK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveReview:
    """One curve, questioned.

    found : content that the curve gives for each row, kg/kg of the specimen, shape (n,).
    linearity, collinearity : None where the standards are too few, or one term leaves nothing to ask.
    detection_limit : kg/kg of the specimen, twice 1.645 u at the standard with the lowest content.
    """

    name: str
    analyte: str
    regression: Regression
    found: FloatArray
    left_out: LeaveOneOut
    linearity: LinearityTest | None
    collinearity: Collinearity | None
    models: tuple[ModelScore, ...]
    look: RobustLook
    detection_limit: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationReview:
    """A calibration, questioned.

    not_reviewed : line groups, and why. certificates : by material, as far as they are at hand.
    """

    calibration: Calibration
    curves: tuple[CurveReview, ...]
    not_reviewed: Mapping[str, str]
    certificates: Mapping[str, ReferenceMaterial]

    def certificate_value(self, material: str, analyte: str) -> ReferenceValue | None:
        """Certified value of an analyte; None where the certificate is not at hand."""
        if material not in self.certificates:
            return None
        return self.certificates[material].element_values().get(analyte)


def review_lines(
    lines: LineCalibration, certificates: Mapping[str, ReferenceMaterial] | None = None
) -> CalibrationReview:
    """Review of curves as they were fitted."""
    curves = []
    for fitted in lines.fitted:
        model = fitted.curve.model
        curves.append(
            _review(
                f"{model.analyte} by {model.line}, {model.kind}",
                model.analyte,
                fitted.regression,
                fitted.left_out,
                term=model.terms[int(model.constant)],
                collinearity=fitted.collinearity,
                models=lines.alternatives.get(model.analyte, ()),
            )
        )
    return CalibrationReview(
        calibration=lines.calibration, curves=tuple(curves), not_reviewed={}, certificates=certificates or {}
    )


def review_spectra(
    calibration: Calibration,
    certificates: Mapping[str, ReferenceMaterial] | None = None,
    *,
    groups: Collection[str] | None = None,
    left_out: Collection[str] = (),
) -> CalibrationReview:
    """Review of a calibration of fitted spectra from its points: certified against found content, blank included.

    The found contents come from the calibration itself; the line through them is fitted anew with each material left
    out, slope and blank both, so that no material vouches for itself.

    groups : to be reviewed; None for all. left_out : materials to do without, as if they had not been measured.
    """
    curves: list[CurveReview] = []
    not_reviewed: dict[str, str] = {}
    for group in calibration.groups if groups is None else groups:
        points = [p for p in calibration.points if p.group == group and p.material not in left_out]
        n = len({point.material for point in points})
        if n < FEWEST_REVIEWED:
            not_reviewed[group] = f"{n} standards, {FEWEST_REVIEWED} are needed"
            continue
        try:
            curves.append(_group_review(group, points))
        except (CalibrationError, NotConvergedError) as problem:  # the other groups are to be seen all the same
            not_reviewed[group] = str(problem)
    return CalibrationReview(
        calibration=calibration, curves=tuple(curves), not_reviewed=not_reviewed, certificates=certificates or {}
    )


def _group_review(group: str, points: Sequence[StandardPoint]) -> CurveReview:
    rows = _rows_of_points(points)
    regression = fit(rows)
    models = {"slope and blank": regression, "slope alone": fit(rows.with_terms([FOUND]))}
    return _review(
        group,
        group.rpartition("/")[2].partition(" ")[0],
        regression,
        leave_one_material_out(regression),
        term=FOUND,
        collinearity=None,
        models=compare(models),
    )


def _rows_of_points(points: Sequence[StandardPoint]) -> Observations:
    certified = np.array([point.certified for point in points])
    found = np.array([point.found for point in points])
    n = len(points)
    return Observations.of(
        [point.material for point in points],
        [CONSTANT, FOUND],
        certified,
        np.column_stack([np.ones(n), found]),
        # A blank whose content is stated without uncertainty is not known better than to a millionth of the largest.
        response_uncertainty=np.maximum([p.certified_uncertainty for p in points], 1e-6 * certified.max()),
        design_uncertainty=np.column_stack([np.zeros(n), [p.found_uncertainty for p in points]]),
        scatter_scale=np.hypot(certified, 0.05 * certified.max()),
    )


def _review(
    name: str,
    analyte: str,
    regression: Regression,
    left_out: LeaveOneOut,
    *,
    term: str,
    collinearity: Collinearity | None,
    models: tuple[ModelScore, ...],
) -> CurveReview:
    observations = regression.observations
    try:
        linearity = linearity_test(regression, term)
    except CalibrationError:  # too few rows for a third coefficient
        linearity = None
    return CurveReview(
        name=name,
        analyte=analyte,
        regression=regression,
        found=np.asarray(observations.design @ regression.coefficients),
        left_out=left_out,
        linearity=linearity,
        collinearity=collinearity,
        models=models,
        look=robust_look(observations),
        detection_limit=_detection_limit(regression),
    )


def _detection_limit(regression: Regression) -> float:
    """Twice 1.645 u at the lowest standard, u of what is found there: counting, coefficients and scatter."""
    observations, beta = regression.observations, regression.coefficients
    lowest = int(np.argmin(observations.response))
    terms = observations.design[lowest]
    variance = terms @ regression.covariance @ terms + beta @ observations.covariance[lowest, 1:, 1:] @ beta
    variance += (observations.scatter_scale[lowest] * regression.scatter) ** 2
    return float(2.0 * norm.isf(LIMIT_RISK) * np.sqrt(variance))
