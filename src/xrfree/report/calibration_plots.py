"""Figures of calibration curves: found against certified, residuals, leverage, leave-one-out; for pages and Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.curves.review import CurveReview
from xrfree.report.plots import BACKGROUND, FITTED, MEASURED, OTHER, house_style, literal, new_figure
from xrfree.report.rounding import display_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

_MOST_NAMED = 4
_COOK_DOUBTFUL = 1.0


def curve_figure(review: CurveReview, *, width_in: float = 8.6) -> Figure:
    """Four panels of one curve; materials that stand out are named. Each `draw_...` draws one into axes of yours."""
    with house_style():
        figure = new_figure(width_in, 0.75 * width_in)
        panels = figure.subplots(2, 2)
        draw_curve(panels[0, 0], review)
        draw_residuals(panels[0, 1], review)
        draw_leverage(panels[1, 0], review)
        draw_left_out(panels[1, 1], review)
        return figure


def draw_curve(axes: Axes, review: CurveReview) -> None:
    """Found against certified content with both standard uncertainties, and the line of equality."""
    certified, u_certified, u_found, unit, factor = _contents(review)
    axes.errorbar(
        factor * certified,
        factor * review.found,
        xerr=factor * u_certified,
        yerr=factor * u_found,
        fmt="o",
        color=BACKGROUND,
        markersize=3.5,
        elinewidth=0.8,
        label="standards, ± u",
    )
    ends = factor * np.array([min(certified.min(), review.found.min(), 0.0), max(certified.max(), review.found.max())])
    axes.plot(ends, ends, color=MEASURED, linewidth=0.8, label="equality")
    axes.set_xlabel(f"certified in the specimen, {unit}")
    axes.set_ylabel(f"found, {unit}")
    axes.set_title("curve", loc="left", fontsize=8.5)
    axes.legend(loc="upper left")


def draw_residuals(axes: Axes, review: CurveReview) -> None:
    """Standardised residuals against certified content."""
    certified, _, _, unit, factor = _contents(review)
    residual = review.regression.standardised_residual
    _band(axes, residual)
    axes.plot(factor * certified, residual, "o", color=BACKGROUND, markersize=3.5)
    _name(axes, review, factor * certified, residual, np.abs(residual))
    axes.set_xlabel(f"certified in the specimen, {unit}")
    axes.set_ylabel("standardised residual")
    axes.set_title("residuals", loc="left", fontsize=8.5)


def draw_leverage(axes: Axes, review: CurveReview) -> None:
    """Deleted residual against leverage; the size of a point is Cook's distance."""
    leverage = review.regression.leverage
    rows = [left.row for left in review.left_out.rows]
    deleted = np.array([left.deleted_residual for left in review.left_out.rows])
    cook = np.array([left.cook_distance for left in review.left_out.rows])
    _band(axes, deleted)
    axes.scatter(leverage[rows], deleted, s=12.0 + 160.0 * np.minimum(cook, 2.0), color=OTHER, alpha=0.65, linewidths=0)
    mean = float(leverage.sum()) / len(leverage)
    axes.axvline(2.0 * mean, color=MEASURED, linewidth=0.8, linestyle=(0, (4, 2)))
    _name(axes, review, leverage[rows], deleted, np.maximum(np.abs(deleted) / 2.0, cook / _COOK_DOUBTFUL), rows)
    axes.set_xlabel("leverage (dashed: twice the mean)")
    axes.set_ylabel("deleted residual")
    axes.set_title("leverage; size: Cook's distance", loc="left", fontsize=8.5)


def draw_left_out(axes: Axes, review: CurveReview) -> None:
    """What the other standards say of each: difference to the certificate with its standard uncertainty."""
    certified = review.regression.observations.response
    unit = display_unit(certified)
    factor = float(unit.factor)
    rows = sorted(review.left_out.rows, key=lambda left: left.response)
    place = np.arange(len(rows))
    axes.axhline(0.0, color="#555555", linewidth=0.6)
    axes.errorbar(
        place,
        [factor * left.difference for left in rows],
        yerr=[factor * left.standard_uncertainty for left in rows],
        fmt="o",
        color=FITTED,
        markersize=3.5,
        elinewidth=0.8,
    )
    axes.set_xticks(place, [literal(left.material) for left in rows], rotation=90, fontsize=6.0)
    axes.set_ylabel(f"predicted - certified, {unit.sign}")
    axes.set_title("leave one material out (by content), ± u", loc="left", fontsize=8.5)


def _contents(review: CurveReview) -> tuple[FloatArray, FloatArray, FloatArray, str, float]:
    observations, beta = review.regression.observations, review.regression.coefficients
    shared = np.sum(observations.shared[:, :, 0] ** 2, axis=0)
    u_certified = np.sqrt(observations.covariance[:, 0, 0] + shared)
    u_found = np.sqrt(np.einsum("j,ijk,k->i", beta, observations.covariance[:, 1:, 1:], beta))
    unit = display_unit(observations.response)
    return observations.response, u_certified, u_found, unit.sign, float(unit.factor)


def _band(axes: Axes, residual: FloatArray) -> None:
    axes.axhspan(-2.0, 2.0, color="#eef3f7", zorder=0)
    axes.axhline(0.0, color="#555555", linewidth=0.6)
    largest = float(np.abs(residual).max(initial=2.5))
    axes.set_ylim(-1.15 * largest, 1.15 * largest)


def _name(
    axes: Axes, review: CurveReview, x: FloatArray, y: FloatArray, size: FloatArray, rows: list[int] | None = None
) -> None:
    """Names of the materials that stand out most."""
    materials = review.regression.observations.materials
    for i in np.argsort(-size)[:_MOST_NAMED]:
        name = materials[i if rows is None else rows[i]]
        axes.annotate(literal(name), (x[i], y[i]), xytext=(4, 3), textcoords="offset points", fontsize=6.5)
