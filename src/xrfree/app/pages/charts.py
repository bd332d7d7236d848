"""Control charts of what the ledger holds of a monitor, and of duplicates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import Request
from nicegui import ui

from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.pictures import picture
from xrfree.app.texts import Texts
from xrfree.batch.inputs import natural_order
from xrfree.batch.monitoring import methods_with_duplicates, recorded_pairs, recorded_series
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger
from xrfree.quality.charts import (
    CHARTS,
    FEWEST_HISTORY,
    RANGE,
    RANGE_MEAN,
    Alarm,
    Centre,
    Chart,
    Severity,
    centre_from_history,
    ranges,
    repeatability,
)
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
        subjects, methods = await asyncio.to_thread(_known, place)
        with frame.frame(request, "charts", frame.texts_of(request)("charts.heading")) as say:
            if not subjects:
                frame.text(say("charts.none"))
                return
            await _Page(place, subjects, methods, say).build()


def _known(place: str) -> tuple[list[str], Mapping[str, tuple[str, ...]]]:
    """Specimens with results, and methods with duplicates and their components."""
    with Ledger(place) as ledger:
        return _subjects(ledger), methods_with_duplicates(ledger)


def _subjects(ledger: Ledger) -> list[str]:
    """Specimens by the number of their results: who was measured most often is the monitor."""
    counts = ledger.subjects("result")
    return sorted(counts, key=lambda name: (-counts[name], natural_order(name)))


def _components(place: str, specimen: str) -> list[str]:
    with Ledger(place) as ledger:
        last = None
        for last in ledger.records(kind="result", subject=specimen):  # noqa: B007  the last one is wanted
            pass
    return [] if last is None else [str(c) for c in last.data["components"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """Values of a chart, shape (n,), their dates and labels, and the last record of each; second : of duplicates."""

    first: tuple[float, ...]
    second: tuple[float, ...] = ()
    dates: tuple[str, ...]
    labels: tuple[str, ...]
    records: tuple[int, ...]

    def chart(self, kind: str, history: int) -> tuple[Chart, Centre]:
        """The chart with limits from the first `history` points, and its centre.

        Raises DomainError where these do not scatter.
        """
        if kind != RANGE:
            centre = centre_from_history(self.first[:history])
            return CHARTS[kind](np.array(self.first), centre), centre
        s = repeatability(self.first[:history], self.second[:history])
        centre = Centre(mean=RANGE_MEAN * s, standard_deviation=s)
        return ranges(self.first, self.second, standard_deviation=s), centre


def _points(place: str, kind: str, subject: str, component: str) -> _Points:
    with Ledger(place) as ledger:
        if kind != RANGE:
            series = recorded_series(ledger, subject, component)
            return _Points(first=series.contents, dates=series.dates, labels=series.dates, records=series.records)
        pairs = recorded_pairs(ledger, subject, component)
    return _Points(
        first=pairs.first,
        second=pairs.second,
        dates=pairs.dates,
        labels=tuple(f"{date} {sample}" for date, sample in zip(pairs.dates, pairs.samples, strict=True)),
        records=tuple(second for _, second in pairs.records),
    )


class _Page:
    """Choices above, the chart below."""

    def __init__(self, place: str, specimens: list[str], methods: Mapping[str, tuple[str, ...]], say: Texts) -> None:
        self._place, self._specimens, self._methods, self._say = place, specimens, methods, say

    async def build(self) -> None:
        """Make the parts of the page."""
        say = self._say
        components = await asyncio.to_thread(_components, self._place, self._specimens[0])
        kinds = (*CHARTS, *((RANGE,) if self._methods else ()))
        with ui.element("div").classes("side-by-side no-print"):
            self._subject = ui.select(
                self._specimens, value=self._specimens[0], label=say("charts.specimen"), with_input=True,
                on_change=self._other_subject,
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
                {kind: say.known("kind", kind) for kind in kinds}, value=kinds[0], label=say("charts.kind"),
                on_change=self._other_kind,
            ).props('outlined dense id="chart-kind"').classes("choice")  # fmt: skip
            self._history = ui.number(
                say("charts.history"), value=FEWEST_HISTORY, min=FEWEST_HISTORY, precision=0, on_change=self.draw
            ).props('outlined dense id="chart-history"').classes("choice")  # fmt: skip
        self._shown = ui.element("section").props('id="chart" aria-live="polite"')
        await self.draw()

    @property
    def _subjects(self) -> list[str]:
        """What may be charted: specimens, or methods with duplicates."""
        return list(self._methods) if self._kind.value == RANGE else self._specimens

    async def _other_kind(self) -> None:
        """Ranges are charted of methods, all else of specimens."""
        if self._subject.value in self._subjects:
            await self.draw()
            return
        self._subject.label = self._say("charts.method" if self._kind.value == RANGE else "charts.specimen")
        self._subject.set_options(self._subjects, value=self._subjects[0])

    async def _other_subject(self) -> None:
        subject = self._subject.value
        if subject not in self._subjects:
            return
        known = self._methods if self._kind.value == RANGE else None
        components = list(known[subject]) if known else await asyncio.to_thread(_components, self._place, subject)
        self._component.set_options(components, value=components[0] if components else None)
        await self.draw()

    async def draw(self) -> None:
        """Draw what is chosen."""
        say, subject, component = self._say, self._subject.value, self._component.value
        kind, history = self._kind.value, self._history.value
        if subject not in self._subjects or not component or not history:
            return
        try:
            points = await asyncio.to_thread(_points, self._place, kind, subject, component)
            n, first = len(points.records), int(max(history, FEWEST_HISTORY))
            if n < first:
                self._only(say("charts.too_few_pairs" if points.second else "charts.too_few", n=n, history=first))
                return
            chart, centre = points.chart(kind, first)
        except XrfreeError as error:
            self._complain(error)
            return
        labels = points.labels if n <= _MOST_LABELS else ()
        drawn = await picture(
            control_chart_figure, chart, title=f"{subject}, {component}", labels=labels, unit=_UNITS.get(kind, "kg/kg")
        )
        unit = display_unit([centre.mean])
        mean, s = rounded(centre.mean, centre.standard_deviation, unit)
        self._shown.clear()
        with self._shown:
            summary = "charts.summary_pairs" if points.second else "charts.summary"
            frame.text(say(summary, n=n, mean=mean, s=s, unit=unit.sign))
            self._last([a for a in chart.alarms if a.points[-1] == n - 1], points)
            words = say("charts.picture", component=component, specimen=subject)
            frame.picture(drawn, alternative=words).classes("chart-picture")
            if chart.alarms:
                frame.title(say("charts.alarms"))
                columns = [(name, say(f"charts.{name}")) for name in ("date", "record", "severity", "rule")]
                rows = [self._alarm(i, alarm, points) for i, alarm in enumerate(reversed(chart.alarms))]
                frame.table(columns, rows, key="i", page=10, name=say("charts.alarms"))

    def _only(self, words: str) -> None:
        self._shown.clear()
        with self._shown:
            frame.text(words)

    def _complain(self, error: XrfreeError) -> None:
        self._shown.clear()
        with self._shown:
            frame.sentence(self._say, str(error))

    def _last(self, alarms: list[Alarm], points: _Points) -> None:
        say = self._say
        with ui.element("div").classes("side-by-side"):
            ui.label(say("charts.last", date=points.labels[-1]))
            if not alarms:
                frame.verdict(say("charts.in_control"), "detected", "✓")
            for alarm in alarms:
                words = say("part.colon", first=_severity(say, alarm.severity), rest=_explained(say, alarm))
                frame.verdict(words, "doubtful", "!")

    def _alarm(self, i: int, alarm: Alarm, points: _Points) -> dict[str, Any]:
        record = points.records[alarm.points[-1]]
        return {
            "i": i,
            "date": points.dates[alarm.points[-1]],
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
