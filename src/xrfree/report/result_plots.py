"""Figures of results and of calibrations of spectra: contents, limits, budgets, found against certified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xrfree.assay import Assay, Verdict
from xrfree.calibration import Calibration, StandardPoint
from xrfree.report.budget import Contribution, contributions
from xrfree.report.charts import draw_budget
from xrfree.report.plots import (
    BACKGROUND,
    DOUBLE_COLUMN_IN,
    FITTED,
    MEASURED,
    OTHER,
    figure_of,
    house_style,
    literal,
    new_figure,
)
from xrfree.report.rounding import display_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = {Verdict.DETECTED: (BACKGROUND, "o"), Verdict.NOT_DETECTED: (MEASURED, "s"), Verdict.DOUBTFUL: (FITTED, "^")}
_PANELS_PER_ROW = 3
_PANEL_IN = 2.3
_LEGEND_IN = 0.42


def assay_figure(
    assay: Assay,
    *,
    components: Sequence[str] | None = None,
    title: str = "",
    axes: tuple[Axes, Axes] | None = None,
    width_in: float = DOUBLE_COLUMN_IN,
) -> Figure:
    """Contents with expanded uncertainty and limits on the left, shares of the variance on the right.

    components : what is shown; None for the analytes.
    axes : for the two panels; None makes a figure `width_in` inches wide.
    """
    shown = list(assay.analytes if components is None else components)
    with house_style():
        left, right = _two_columns(width_in, len(shown)) if axes is None else axes
        _draw_contents(left, assay, shown)
        left.set_title(literal(title or assay.specimen), loc="left", fontsize=8.5)
        draw_budget(right, budgets_of(assay, shown))
        right.set_title("uncertainty budget", loc="left", fontsize=8.5)
        for panel, columns in ((left, 2), (right, 1)):
            panel.legend(
                loc="upper center", bbox_to_anchor=(0.5, -_LEGEND_IN / panel_height(len(shown))), ncols=columns
            )
        return figure_of(left)


def panel_height(n_rows: int) -> float:
    """Height (inches) of panels with so many rows."""
    return 0.25 + 0.24 * n_rows


def budgets_of(assay: Assay, components: Sequence[str]) -> dict[str, tuple[Contribution, ...]]:
    """Contributions to the uncertainty of each of these components, as `draw_budget` takes them."""
    places = {component: assay.components.index(component) for component in components}
    return {c: contributions({key: float(u[i]) for key, u in assay.budget.items()}) for c, i in places.items()}


def _two_columns(width_in: float, n_rows: int) -> tuple[Axes, Axes]:
    figure = new_figure(width_in, 1.65 + panel_height(n_rows))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    return left, right


def _draw_contents(axes: Axes, assay: Assay, components: Sequence[str]) -> None:
    """One row per component; a logarithmic scale that becomes linear around the smallest detection limit."""
    places = [assay.components.index(component) for component in components]
    rows = np.arange(len(places))
    unit = display_unit(assay.mass_fraction[places].tolist())
    factor = float(unit.factor)
    w, u = factor * assay.mass_fraction[places], factor * assay.expanded_uncertainty[places]
    decision, detection = factor * assay.decision_limit[places], factor * assay.detection_limit[places]
    for verdict, (colour, marker) in _LOOKS.items():
        mine = [i for i, place in enumerate(places) if assay.verdicts[place] is verdict]
        if mine:
            axes.errorbar(
                w[mine],
                rows[mine],
                xerr=u[mine],
                fmt=marker,
                color=colour,
                markersize=4,
                elinewidth=1.1,
                capsize=2.5,
                label=str(verdict),
            )
    axes.scatter(decision, rows, marker="|", s=70, color=OTHER, label="decision limit")
    axes.scatter(detection, rows, marker="|", s=70, color="#cc79a7", label="detection limit")
    axes.set_xscale("symlog", linthresh=float(max(detection.min(), 1e-9 * factor)))
    axes.axvline(0.0, color="#555555", linewidth=0.6)
    axes.set_yticks(rows, [literal(component) for component in components])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlabel(f"mass fraction, {unit.sign}; bars: U, k = {assay.coverage_factor:g}")


def calibration_figure(
    calibration: Calibration,
    *,
    elements: Sequence[str] | None = None,
    width_in: float = DOUBLE_COLUMN_IN,
) -> Figure:
    """Found against certified content of every standard, one panel per line group, with the line of equality.

    elements : whose line groups are drawn; None for all that have standards.
    """
    groups = [g for g in _groups_with_points(calibration) if elements is None or element_of(g) in elements]
    with house_style():
        n_rows = max(-(-len(groups) // _PANELS_PER_ROW), 1)
        figure = new_figure(width_in, 0.3 + _PANEL_IN * n_rows)
        panels = figure.subplots(n_rows, _PANELS_PER_ROW, squeeze=False).ravel()
        for axes, group in zip(panels, groups, strict=False):
            draw_found_against_certified(axes, group, [p for p in calibration.points if p.group == group])
        for axes in panels[len(groups) :]:
            axes.set_axis_off()
        return figure


def _groups_with_points(calibration: Calibration) -> tuple[str, ...]:
    return tuple(dict.fromkeys(point.group for point in calibration.points))


def element_of(key: str) -> str:
    """Element of the key of a line group: "low/band/La L" -> "La"."""
    return key.rpartition("/")[2].partition(" ")[0]


def draw_found_against_certified(axes: Axes, group: str, points: Sequence[StandardPoint]) -> None:
    """Points of one line group with both standard uncertainties."""
    unit = display_unit([point.certified for point in points])
    x, u_x, y, u_y = (
        float(unit.factor)
        * np.array([[p.certified, p.certified_uncertainty, p.found, p.found_uncertainty] for p in points]).T
    )
    axes.errorbar(x, y, xerr=u_x, yerr=u_y, fmt="o", color=BACKGROUND, markersize=3.0, elinewidth=0.8)
    ends = np.array([min(0.0, x.min(), y.min()), 1.03 * max(x.max(), y.max())])
    axes.plot(ends, ends, color=MEASURED, linewidth=0.8)
    axes.set_title(literal(group), loc="left", fontsize=8.5)
    axes.set_xlabel(f"certified, {unit.sign}")
    axes.set_ylabel(f"found, {unit.sign}")
