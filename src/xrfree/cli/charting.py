"""`xrfree chart`: the results of one specimen, or duplicates, over time, as a control chart that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xrfree.batch.monitoring import recorded_pairs, recorded_series
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.ledgering import opened
from xrfree.cli.recording import Hand, checked_signer
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger, entry
from xrfree.quality.charts import (
    CHARTS,
    FEWEST_HISTORY,
    RANGE,
    RANGE_MEAN,
    Centre,
    Chart,
    announcement,
    centre_from_history,
    ranges,
    repeatability,
)
from xrfree.report.rounding import display_unit, rounded
from xrfree.report.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line; subject : a specimen, or a method whose duplicates are charted."""

    subject: str
    component: str
    ledger: str
    kind: str = "shewhart"
    history: int = 0
    mean: float | None = None
    standard_deviation: float | None = None
    png: Path | None = None
    hand: Hand = field(default_factory=Hand)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charted:
    """A chart with its centre, and label and records of each point; of : what the points are."""

    chart: Chart
    centre: Centre
    labels: tuple[str, ...]
    records: tuple[tuple[int, ...], ...]
    of: str


def run(request: Request) -> int:
    """Draw, announce and record a chart; exit code 2 where the last point breaks a rule that rejects."""
    if request.kind not in (*CHARTS, RANGE):
        raise XrfreeError(f"'{request.kind}' is no control chart; known: {', '.join((*CHARTS, RANGE))}")
    if request.kind != RANGE and (request.mean is None) != (request.standard_deviation is None):
        raise XrfreeError("--mean and --sd belong together; give both, or neither")
    with opened(request.ledger) as ledger:
        charted = _of_duplicates(ledger, request) if request.kind == RANGE else _of_results(ledger, request)
        _record(ledger, request, charted)
    chart, n = charted.chart, charted.chart.points.size
    last = [alarm for alarm in chart.alarms if alarm.points[-1] == n - 1]
    unit = display_unit([charted.centre.mean])
    mean, s = rounded(charted.centre.mean, charted.centre.standard_deviation, unit)
    what = printable(f"{request.subject}, {request.component}")
    console.say(f"{what}: {n} {charted.of}, centre {mean}, s {s} {unit.sign}, {request.kind} chart")
    for alarm in chart.alarms:
        console.say(f"{charted.labels[alarm.points[-1]]}: {alarm.severity}: {alarm.explain()}")
    console.say(f"Last one, {charted.labels[-1]}: {announcement(last)}")
    if request.png is not None:
        _draw(request.png, charted, what)
    return REFUSED if any(alarm.severity == "reject" for alarm in last) else OK


def _of_results(ledger: Ledger, request: Request) -> _Charted:
    series = recorded_series(ledger, request.subject, request.component)
    if request.mean is not None and request.standard_deviation is not None:
        centre = Centre(mean=request.mean, standard_deviation=request.standard_deviation)
    else:
        centre = centre_from_history(series.contents[: _history(request, len(series.contents))])
    return _Charted(
        chart=CHARTS[request.kind](np.array(series.contents), centre),
        centre=centre,
        labels=series.dates,
        records=tuple((number,) for number in series.records),
        of="results",
    )


def _of_duplicates(ledger: Ledger, request: Request) -> _Charted:
    """Ranges of duplicates; their standard deviation as given, else from the first pairs."""
    if request.mean is not None:
        raise XrfreeError("the centre of a range chart follows from --sd, the repeatability; leave --mean out")
    pairs = recorded_pairs(ledger, request.subject, request.component)
    first, second = np.array(pairs.first), np.array(pairs.second)
    s = request.standard_deviation
    if s is None:
        known = _history(request, first.size)
        s = repeatability(first[:known], second[:known])
    return _Charted(
        chart=ranges(first, second, standard_deviation=s),
        centre=Centre(mean=RANGE_MEAN * s, standard_deviation=s),
        labels=tuple(f"{date} {sample}" for date, sample in zip(pairs.dates, pairs.samples, strict=True)),
        records=pairs.records,
        of="pairs of duplicates",
    )


def _history(request: Request, n: int) -> int:
    """How many of the first points limits are taken from; they must be of a process in control."""
    history = request.history or FEWEST_HISTORY
    if n < history:
        instead = "--sd" if request.kind == RANGE else "--mean and --sd"
        what = "pairs" if request.kind == RANGE else "results"
        raise XrfreeError(
            f"{n} {what} are too few for limits from the first {history}; measure more, or give {instead}"
        )
    return history


def _record(ledger: Ledger, request: Request, charted: _Charted) -> None:
    def numbers(points: tuple[int, ...]) -> list[int]:
        return [number for point in points for number in charted.records[point]]

    content: Mapping[str, object] = {
        "component": request.component,
        "chart": request.kind,
        "mean": charted.centre.mean,
        "standard_deviation": charted.centre.standard_deviation,
        "results": numbers(tuple(range(len(charted.records)))),
        "alarms": [
            {"rule": a.rule, "severity": str(a.severity), "results": numbers(a.points)} for a in charted.chart.alarms
        ],
    }
    signer = checked_signer(ledger, request.hand)
    ledger.append([entry("chart", request.subject, dict(content))], actor=request.hand.actor, signer=signer)


def _draw(png: Path, charted: _Charted, title: str) -> None:
    from xrfree.report.charts import control_chart_figure
    from xrfree.report.plots import write_png

    write_png(png, control_chart_figure(charted.chart, title=title, labels=charted.labels))
    console.say(f"Picture: {png.resolve()}")
