"""One self-contained page per calibration, and all its numbers as a workbook."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrfree.calibration import ContentRange, ModelKind
from xrfree.conformity import Conformity
from xrfree.curves.review import CalibrationReview, CurveReview
from xrfree.report.calibration_plots import curve_figure
from xrfree.report.files import replacing, write_text
from xrfree.report.page import data_address, page_template, time_text
from xrfree.report.rounding import DisplayUnit, display_unit, rounded, rounded_alone

_SUSPICIOUS = 3.0
"""Deleted residual from which a standard is marked: one in 370 by chance."""
_INFLUENTIAL = 1.0
"""Cook's distance from which a standard is said to carry the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardRow:
    """One measured standard of one curve, rounded."""

    material: str
    certified: str
    certified_u: str
    found: str
    found_u: str
    standardised: str
    leverage: str
    predicted: str
    deleted: str
    cook: str
    certificate: str
    suspicious: bool


def write_calibration_report(
    path: Path, review: CalibrationReview, *, created: dt.datetime, conformity: Conformity | None = None
) -> None:
    """Write the page of a calibration; created : with a time zone."""
    write_text(path, calibration_html(review, created=created, conformity=conformity))


def calibration_html(review: CalibrationReview, *, created: dt.datetime, conformity: Conformity | None = None) -> str:
    """Text of the page; everything that comes from outside is escaped."""
    calibration = review.calibration
    materials = {m for curve in review.curves for m in curve.regression.observations.materials}
    return page_template("calibration.html.j2").render(
        title=calibration.name,
        created=time_text(created),
        status=str(calibration.status),
        facts=_facts(review),
        conformity="" if conformity is None else conformity.statement(),
        curves=[_curve(i, curve, review) for i, curve in enumerate(review.curves)],
        n_materials=len(materials),
        learned=bool(calibration.regions),
        not_reviewed=review.not_reviewed,
        ranges=[_range(span) for span in calibration.validity.ranges],
        exclusions=calibration.exclusions,
        history=calibration.history,
    )


def _facts(review: CalibrationReview) -> list[tuple[str, str]]:
    calibration = review.calibration
    return [
        ("Made", f"{calibration.created} by xrfree {calibration.software_version}"),
        ("Calibration, sha256", calibration.sha256 or "not written yet"),
        ("Method, sha256", calibration.method_sha256 or "none"),
        ("Instrument, sha256", calibration.instrument_sha256 or "none"),
        ("Atomic data", calibration.tables),
    ]


def _range(span: ContentRange) -> dict[str, str]:
    unit = display_unit([span.high])
    return {
        "element": span.element,
        "low": f"{span.low * float(unit.factor):.4g}",
        "high": f"{span.high * float(unit.factor):.4g}",
        "unit": unit.sign,
        "origin": f"set by {span.by}, {span.at}: {span.why}" if span.by else "of the standards",
    }


def _curve(index: int, curve: CurveReview, review: CalibrationReview) -> dict[str, Any]:
    regression = curve.regression
    response = regression.observations.response
    unit = display_unit(response)
    return {
        "anchor": f"curve-{index + 1}",
        "name": curve.name,
        "unit": unit.sign,
        "n_materials": len(regression.observations.distinct_materials),
        "range": f"{_shown(response.min(), unit)} – {_shown(response.max(), unit)} {unit.sign}",
        "left_out_rms": rounded_alone(curve.left_out.rms, unit),
        "detection_limit": rounded_alone(curve.detection_limit, unit),
        "scatter": f"{100.0 * regression.scatter:.2g} %",
        "goodness": f"{regression.goodness:.2g}",
        "remarks": _remarks(curve),
        "sentences": _sentences(curve, unit),
        "image": data_address(curve_figure(curve)),
        "terms": regression.observations.terms,
        "coefficients": _coefficients(curve),
        "alphas": _alphas(index, review),
        "models": [
            {
                "name": score.name,
                "n_terms": score.n_terms,
                "rms": rounded_alone(score.leave_one_out_rms, unit),
                "deleted": f"{score.rms_deleted:.2f}",
                "scatter": f"{100.0 * score.scatter:.2g} %",
                "aicc": "–" if score.aicc is None else f"{score.aicc:.1f}",
            }
            for score in curve.models
        ],
        "rows": standard_rows(curve, review, unit),
    }


def _shown(value: float, unit: DisplayUnit) -> str:
    return f"{value * float(unit.factor):.4g}"


def _remarks(curve: CurveReview) -> list[str]:
    """What deserves attention, one short sentence each."""
    found = []
    suspects = list(dict.fromkeys(r.material for r in curve.left_out.rows if abs(r.deleted_residual) > _SUSPICIOUS))
    if suspects:
        found.append(f"{', '.join(suspects)} {'contradict' if len(suspects) > 1 else 'contradicts'} the others.")
    influential = list(dict.fromkeys(r.material for r in curve.left_out.rows if r.cook_distance > _INFLUENTIAL))
    if influential:
        found.append(f"{', '.join(influential)} {'carry' if len(influential) > 1 else 'carries'} the curve.")
    if curve.left_out.irreplaceable:
        found.append(f"Without {', '.join(curve.left_out.irreplaceable)} it is undetermined.")
    if curve.linearity is not None and not curve.linearity.straight:
        found.append("Curved.")
    if curve.collinearity is not None and curve.collinearity.doubtful:
        found.append(f"Collinear: {', '.join(curve.collinearity.doubtful)}.")
    return found


def _sentences(curve: CurveReview, unit: DisplayUnit) -> list[str]:
    left_out = curve.left_out
    found = [
        f"Leave-one-material-out: rms {rounded_alone(left_out.rms, unit)} {unit.sign}, "
        f"rms deleted residual {left_out.rms_deleted:.2f} (1 where the uncertainties are right)."
    ]
    if curve.linearity is not None:
        verdict = "straight" if curve.linearity.straight else "curved"
        found.append(
            f"Linearity: {verdict} (p = {curve.linearity.probability:.2g}; a parabola departs by at most "
            f"{rounded_alone(curve.linearity.largest_bend, unit)} {unit.sign})."
        )
    if curve.collinearity is not None and curve.collinearity.worst_pair is not None:
        found.append(curve.collinearity.explain())
    if curve.look.suspects:
        found.append(f"The robust first look gives next to no weight to {', '.join(curve.look.suspects)}.")
    return found


def _coefficients(curve: CurveReview) -> list[dict[str, Any]]:
    regression = curve.regression
    u = regression.standard_uncertainty
    correlation = regression.covariance / np.maximum(np.outer(u, u), 1e-300)
    return [
        {
            "term": term,
            "value": f"{regression.coefficients[i]:.5g}",
            "uncertainty": f"{u[i]:.2g}",
            "correlation": [f"{r:+.2f}" for r in correlation[i]],
        }
        for i, term in enumerate(regression.observations.terms)
    ]


def _alphas(index: int, review: CalibrationReview) -> str:
    curves = review.calibration.curves
    if index >= len(curves) or curves[index].model.kind is not ModelKind.THEORETICAL_ALPHAS:
        return ""
    return ", ".join(f"{element} {alpha:.3f}" for element, alpha in curves[index].model.alphas.items())


def standard_rows(curve: CurveReview, review: CalibrationReview, unit: DisplayUnit) -> list[StandardRow]:
    """Rows of the table of standards, in the order of the observations."""
    regression = curve.regression
    observations, beta = regression.observations, regression.coefficients
    shared = np.sum(observations.shared[:, :, 0] ** 2, axis=0)
    u_certified = np.sqrt(observations.covariance[:, 0, 0] + shared)
    u_found = np.sqrt(np.einsum("j,ijk,k->i", beta, observations.covariance[:, 1:, 1:], beta))
    standardised, leverage = regression.standardised_residual, regression.leverage
    left_out = {left.row: left for left in curve.left_out.rows}
    rows = []
    for i, material in enumerate(observations.materials):
        left = left_out.get(i)
        certified, certified_u = rounded(observations.response[i], u_certified[i], unit)
        found, found_u = rounded(curve.found[i], u_found[i], unit)
        rows.append(
            StandardRow(
                material=material,
                certified=certified,
                certified_u=certified_u,
                found=found,
                found_u=found_u,
                standardised=f"{standardised[i]:+.2f}",
                leverage=f"{leverage[i]:.2f}",
                predicted="–" if left is None else rounded(left.predicted, left.standard_uncertainty, unit)[0],
                deleted="–" if left is None else f"{left.deleted_residual:+.2f}",
                cook="–" if left is None else f"{left.cook_distance:.2f}",
                certificate=_certificate(material, curve.analyte, review),
                suspicious=left is not None and abs(left.deleted_residual) > _SUSPICIOUS,
            )
        )
    return rows


def _certificate(material: str, analyte: str, review: CalibrationReview) -> str:
    value = review.certificate_value(material, analyte)
    if value is None:
        return ""
    stated = review.certificates[material]
    parts = [stated.certificate, str(value.kind), f"by {value.assigned_by}", f"basis {value.basis}"]
    parts += [stated.date.isoformat()] if stated.date else []
    return ", ".join(part for part in parts if part)


def write_calibration_workbook(path: Path, review: CalibrationReview) -> None:
    """Write all numbers with all their digits (kg/kg of the specimen), one sheet per kind."""
    import xlsxwriter

    with replacing(path) as partial:
        # Text from outside must not become formulas or links.
        book = xlsxwriter.Workbook(
            str(partial), {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        )
        bold = book.add_format({"bold": True})
        for name, header, rows in _sheets(review):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, header, bold)
            for i, row in enumerate(rows, start=1):
                sheet.write_row(i, 0, row)
            sheet.freeze_panes(1, 0)
            sheet.autofit()
        book.close()


def _sheets(review: CalibrationReview) -> Iterable[tuple[str, Sequence[str], list[list[Any]]]]:
    calibration = review.calibration
    yield (
        "summary",
        ("curve", "analyte", "materials", "chi_square", "degrees_of_freedom", "scatter", "goodness",
         "leave_one_out_rms", "rms_deleted_residual", "detection_limit", "linearity_probability"),
        [
            [c.name, c.analyte, len(c.regression.observations.distinct_materials), c.regression.chi_square,
             c.regression.degrees_of_freedom, c.regression.scatter, c.regression.goodness, c.left_out.rms,
             c.left_out.rms_deleted, c.detection_limit, c.linearity.probability if c.linearity else ""]
            for c in review.curves
        ],
    )  # fmt: skip
    yield (
        "coefficients",
        ("curve", "term", "coefficient", "standard_uncertainty"),
        [
            [c.name, term, float(b), float(u)]
            for c in review.curves
            for term, b, u in zip(
                c.regression.observations.terms,
                c.regression.coefficients,
                c.regression.standard_uncertainty,
                strict=True,
            )
        ],
    )
    yield (
        "covariance",
        ("curve", "term", "other_term", "covariance"),
        [
            [c.name, one, other, float(c.regression.covariance[i, j])]
            for c in review.curves
            for i, one in enumerate(c.regression.observations.terms)
            for j, other in enumerate(c.regression.observations.terms)
        ],
    )
    yield (
        "standards",
        ("curve", "material", "certified", "found", "residual", "weighted_residual", "standardised_residual",
         "leverage"),
        [
            [c.name, m, *map(float, numbers)]
            for c in review.curves
            for m, *numbers in zip(
                c.regression.observations.materials, c.regression.observations.response, c.found,
                c.regression.residual, c.regression.weighted_residual, c.regression.standardised_residual,
                c.regression.leverage, strict=True,
            )
        ],
    )  # fmt: skip
    yield (
        "leave-one-out",
        ("curve", "material", "certified", "predicted", "standard_uncertainty", "deleted_residual", "cook_distance"),
        [
            [c.name, r.material, r.response, r.predicted, r.standard_uncertainty, r.deleted_residual, r.cook_distance]
            for c in review.curves
            for r in c.left_out.rows
        ],
    )
    yield (
        "models",
        ("curve", "model", "coefficients", "leave_one_out_rms", "rms_deleted", "scatter", "aicc"),
        [
            [c.name, s.name, s.n_terms, s.leave_one_out_rms, s.rms_deleted, s.scatter, "" if s.aicc is None else s.aicc]
            for c in review.curves
            for s in c.models
        ],
    )
    yield (
        "validity",
        ("element", "low", "high", "by", "at", "why"),
        [[r.element, r.low, r.high, r.by, r.at, r.why] for r in calibration.validity.ranges],
    )
    yield (
        "exclusions",
        ("material", "curve", "reason", "by", "at"),
        [[e.material, e.curve, e.reason, e.by, e.at] for e in calibration.exclusions],
    )
    yield "history", ("status", "by", "at", "why"), [[str(h.status), h.by, h.at, h.why] for h in calibration.history]
