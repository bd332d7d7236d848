"""Figures of budgets and of control charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xrfree.quality.charts import Chart, Severity, announcement
from xrfree.report.budget import Contribution
from xrfree.report.plots import BACKGROUND, FITTED, MEASURED, house_style, literal, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#5a5a5a")


def budget_figure(title: str, budgets: Mapping[str, Sequence[Contribution]]) -> Figure:
    """Shares of the variance as bars, one bar per component."""
    names = dict.fromkeys((line.key, line.name) for lines in budgets.values() for line in lines)
    with house_style():
        figure = new_figure(7.5, 1.5 + 0.34 * len(budgets))
        axes = figure.subplots()
        left = np.zeros(len(budgets))
        for i, (key, name) in enumerate(names):
            shares = [next((line.share for line in lines if line.key == key), 0.0) for lines in budgets.values()]
            width = 100.0 * np.array(shares)
            axes.barh(list(budgets), width, left=left, color=_PALETTE[i % len(_PALETTE)], label=name, height=0.66)
            left += width
        axes.invert_yaxis()
        axes.set_xlim(0.0, 100.0)
        axes.set_xlabel("share of the variance, %")
        axes.set_title(literal(title), loc="left", fontsize=8.5)
        figure.legend(loc="outside lower center", ncols=2)
        return figure


def control_chart_figure(chart: Chart, *, title: str, labels: Sequence[str] = ()) -> Figure:
    """A control chart: points, centre and limits; points of an alarm stand out, and the rule is written below.

    labels : of the points (dates, batches); their numbers where there are none.
    """
    number = np.arange(1, chart.points.size + 1)
    with house_style():
        figure = new_figure(7.5, 3.0)
        axes = figure.subplots()
        axes.plot(number, chart.centre, color=BACKGROUND, linewidth=0.8)
        for limit in (chart.low, chart.high):
            axes.step(number, limit, where="mid", color=BACKGROUND, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.plot(number, chart.points, color=MEASURED, linewidth=0.7, marker="o", markersize=3.0)
        rejected = sorted({p for a in chart.alarms if a.severity is Severity.REJECT for p in a.points})
        axes.plot(number[rejected], chart.points[rejected], "o", color=FITTED, markersize=4.5)
        axes.set_title(literal(f"{title}: {chart.kind} chart"), loc="left", fontsize=8.5)
        last = [alarm for alarm in chart.alarms if alarm.points[-1] == chart.points.size - 1]
        axes.set_xlabel(literal(f"point; the last one: {announcement(last)}"))
        if labels:
            axes.set_xticks(number, [literal(label) for label in labels], rotation=60, ha="right", fontsize=6.5)
        return figure
