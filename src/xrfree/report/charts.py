"""Figures of budgets and of control charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xrfree.quality.charts import Chart, Severity, announcement
from xrfree.report.budget import Contribution
from xrfree.report.plots import BACKGROUND, CYCLE, FITTED, MEASURED, figure_of, house_style, literal, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def budget_figure(title: str, budgets: Mapping[str, Sequence[Contribution]], *, axes: Axes | None = None) -> Figure:
    """Shares of the variance as bars, one bar per component; axes : to draw into, instead of a figure of its own."""
    with house_style():
        axes = new_figure(7.5, 1.5 + 0.34 * len(budgets)).subplots() if axes is None else axes
        draw_budget(axes, budgets)
        axes.set_title(literal(title), loc="left", fontsize=8.5)
        figure = figure_of(axes)
        figure.legend(loc="outside lower center", ncols=2)
        return figure


def draw_budget(axes: Axes, budgets: Mapping[str, Sequence[Contribution]]) -> None:
    """Bars of the shares (%); labels for a legend."""
    names = dict.fromkeys((line.key, line.name) for lines in budgets.values() for line in lines)
    left = np.zeros(len(budgets))
    for i, (key, name) in enumerate(names):
        shares = [next((line.share for line in lines if line.key == key), 0.0) for lines in budgets.values()]
        width = 100.0 * np.array(shares)
        axes.barh(list(budgets), width, left=left, color=CYCLE[i % len(CYCLE)], label=name, height=0.66)
        left += width
    axes.invert_yaxis()
    axes.set_xlim(0.0, 100.0)
    axes.set_xlabel("share of the variance, %")


def control_chart_figure(
    chart: Chart, *, title: str, labels: Sequence[str] = (), unit: str = "", axes: Axes | None = None
) -> Figure:
    """A control chart: points, centre and limits; points of an alarm stand out, and the rule is written below.

    labels : of the points (dates, batches); their numbers where there are none.
    unit : of the points. axes : to draw into, instead of a figure of its own.
    """
    number = np.arange(1, chart.points.size + 1)
    with house_style():
        axes = new_figure(7.5, 3.0).subplots() if axes is None else axes
        axes.plot(number, chart.centre, color=BACKGROUND, linewidth=0.8)
        for limit in (chart.low, chart.high):
            axes.step(number, limit, where="mid", color=BACKGROUND, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.plot(number, chart.points, color=MEASURED, linewidth=0.7, marker="o", markersize=3.0)
        rejected = sorted({p for a in chart.alarms if a.severity is Severity.REJECT for p in a.points})
        axes.plot(number[rejected], chart.points[rejected], "o", color=FITTED, markersize=4.5)
        axes.set_title(literal(f"{title}: {chart.kind} chart"), loc="left", fontsize=8.5)
        if unit:
            axes.set_ylabel(unit)
        last = [alarm for alarm in chart.alarms if alarm.points[-1] == chart.points.size - 1]
        axes.set_xlabel(literal(f"point; the last one: {announcement(last)}"))
        if labels:
            axes.set_xticks(number, [literal(label) for label in labels], rotation=60, ha="right", fontsize=6.5)
        return figure_of(axes)
