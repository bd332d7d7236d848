"""Control charts of what the ledger holds of a monitor."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from fastapi import Request
from nicegui import ui

from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.pictures import picture
from xrfree.app.texts import Texts
from xrfree.batch.inputs import natural_order
from xrfree.batch.monitoring import Series, recorded_series
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger
from xrfree.quality.charts import CHARTS, FEWEST_HISTORY, Alarm, Severity, centre_from_history
from xrfree.report.charts import control_chart_figure
from xrfree.report.rounding import display_unit, rounded

_UNITS = {"cusum": "s"}
"""Of the points of a chart, where these are no mass fractions."""
_MOST_LABELS = 40
"""Points up to which each has its date below the chart."""


def register(bench: Bench) -> None:
    """Make the page known."""
    place = bench.settings.ledger_place

    @ui.page("/charts", response_timeout=frame.PATIENCE_S)
    async def charts(request: Request) -> None:
        subjects = await asyncio.to_thread(_subjects, place)
        with frame.frame(request, "charts", frame.texts_of(request)("charts.heading")) as say:
            if not subjects:
                frame.text(say("charts.none"))
                return
            await _Chart(place, subjects, say).build()


def _subjects(place: str) -> list[str]:
    """Specimens by the number of their results: who was measured most often is the monitor."""
    with Ledger(place) as ledger:
        counts = ledger.subjects("result")
    return sorted(counts, key=lambda name: (-counts[name], natural_order(name)))


def _components(place: str, specimen: str) -> list[str]:
    with Ledger(place) as ledger:
        last = None
        for last in ledger.records(kind="result", subject=specimen):  # noqa: B007  the last one is wanted
            pass
    return [] if last is None else [str(c) for c in last.data["components"]]


class _Chart:
    """Choices above, the chart below."""

    def __init__(self, place: str, subjects: list[str], say: Texts) -> None:
        self._place, self._subjects, self._say = place, subjects, say

    async def build(self) -> None:
        """Make the parts of the page."""
        say = self._say
        components = await asyncio.to_thread(_components, self._place, self._subjects[0])
        with ui.element("div").classes("side-by-side no-print"):
            self._specimen = ui.select(
                self._subjects, value=self._subjects[0], label=say("charts.specimen"), with_input=True,
                on_change=self._other_specimen,
            ).props('outlined dense id="chart-specimen"').classes("choice")  # fmt: skip
            self._component = (
                ui.select(
                    components,
                    value=components[0] if components else None,
                    label=say("charts.component"),
                    on_change=self.draw,
                )
                .props('outlined dense id="chart-component"')
                .classes("choice")
            )
            self._kind = ui.select(
                {kind: say.known("kind", kind) for kind in CHARTS}, value=next(iter(CHARTS)), label=say("charts.kind"),
                on_change=self.draw,
            ).props('outlined dense id="chart-kind"').classes("choice")  # fmt: skip
            self._history = ui.number(
                say("charts.history"), value=FEWEST_HISTORY, min=FEWEST_HISTORY, precision=0, on_change=self.draw
            ).props('outlined dense id="chart-history"').classes("choice")  # fmt: skip
        self._shown = ui.element("section").props('id="chart" aria-live="polite"')
        await self.draw()

    async def _other_specimen(self) -> None:
        if self._specimen.value not in self._subjects:
            return
        components = await asyncio.to_thread(_components, self._place, self._specimen.value)
        self._component.set_options(components, value=components[0] if components else None)
        await self.draw()

    async def draw(self) -> None:
        """Draw what is chosen."""
        say, specimen, component = self._say, self._specimen.value, self._component.value
        kind, history = self._kind.value, self._history.value
        if specimen not in self._subjects or kind not in CHARTS or not component or not history:
            return
        try:
            series = await asyncio.to_thread(self._series, specimen, component)
        except XrfreeError as error:
            self._complain(error)
            return
        n, first = len(series.contents), int(max(history, FEWEST_HISTORY))
        if n < first:
            self._only(say("charts.too_few", n=n, history=first))
            return
        try:
            centre = centre_from_history(series.contents[:first])
        except XrfreeError as error:
            self._complain(error)
            return
        chart = CHARTS[kind](np.array(series.contents), centre)
        labels = series.dates if n <= _MOST_LABELS else ()
        drawn = await picture(
            control_chart_figure, chart, title=f"{specimen}, {component}", labels=labels, unit=_UNITS.get(kind, "kg/kg")
        )
        unit = display_unit([centre.mean])
        mean, s = rounded(centre.mean, centre.standard_deviation, unit)
        self._shown.clear()
        with self._shown:
            frame.text(say("charts.summary", n=n, mean=mean, s=s, unit=unit.sign))
            self._last([a for a in chart.alarms if a.points[-1] == n - 1], series)
            words = say("charts.picture", component=component, specimen=specimen)
            frame.picture(drawn, alternative=words).classes("chart-picture")
            if chart.alarms:
                frame.title(say("charts.alarms"))
                columns = [(name, say(f"charts.{name}")) for name in ("date", "record", "severity", "rule")]
                rows = [self._alarm(i, alarm, series) for i, alarm in enumerate(reversed(chart.alarms))]
                frame.table(columns, rows, key="i", page=10, name=say("charts.alarms"))

    def _series(self, specimen: str, component: str) -> Series:
        with Ledger(self._place) as ledger:
            return recorded_series(ledger, specimen, component)

    def _only(self, words: str) -> None:
        self._shown.clear()
        with self._shown:
            frame.text(words)

    def _complain(self, error: XrfreeError) -> None:
        self._shown.clear()
        with self._shown:
            frame.sentence(self._say, str(error))

    def _last(self, alarms: list[Alarm], series: Series) -> None:
        say = self._say
        with ui.element("div").classes("side-by-side"):
            ui.label(say("charts.last", date=series.dates[-1]))
            if not alarms:
                frame.verdict(say("charts.in_control"), "detected", "✓")
            for alarm in alarms:
                words = say("part.colon", first=_severity(say, alarm.severity), rest=_explained(say, alarm))
                frame.verdict(words, "doubtful", "!")

    def _alarm(self, i: int, alarm: Alarm, series: Series) -> dict[str, Any]:
        record = series.records[alarm.points[-1]]
        return {
            "i": i,
            "date": series.dates[alarm.points[-1]],
            "record": {"t": str(record), "n": record, "href": f"/ledger?record={record}"},
            "severity": {"t": _severity(self._say, alarm.severity), "s": "doubtful", "m": "!"},
            "rule": _explained(self._say, alarm),
        }


def _explained(say: Texts, alarm: Alarm) -> str:
    """The alarm as a sentence; points are counted from 1."""
    points = ", ".join(str(point + 1) for point in alarm.points)
    return say("rule.point", rule=alarm.rule, meaning=say.known("rule", alarm.rule), points=points)


def _severity(say: Texts, severity: Severity) -> str:
    return say("charts.rejected" if severity is Severity.REJECT else "charts.warning")
