"""`xrfree chart`: the results of one specimen over time, as a control chart that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xrfree.batch.monitoring import Series, recorded_series
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.ledgering import opened
from xrfree.cli.recording import Hand, checked_signer
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger, entry
from xrfree.quality.charts import CHARTS, FEWEST_HISTORY, Centre, Chart, announcement, centre_from_history
from xrfree.report.rounding import display_unit, rounded
from xrfree.report.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    specimen: str
    component: str
    ledger: str
    kind: str = "shewhart"
    history: int = 0
    mean: float | None = None
    standard_deviation: float | None = None
    png: Path | None = None
    hand: Hand = field(default_factory=Hand)


def run(request: Request) -> int:
    """Draw, announce and record a chart; exit code 2 where the last point breaks a rule that rejects."""
    if request.kind not in CHARTS:
        raise XrfreeError(f"'{request.kind}' is no control chart; known: {', '.join(CHARTS)}")
    with opened(request.ledger) as ledger:
        series = recorded_series(ledger, request.specimen, request.component)
        centre = _centre(series, request)
        chart = CHARTS[request.kind](np.array(series.contents), centre)
        told = announcement([a for a in chart.alarms if a.points[-1] == len(series.contents) - 1])
        _record(ledger, request, chart, centre, series)
    unit = display_unit([centre.mean])
    mean, s = rounded(centre.mean, centre.standard_deviation, unit)
    what = printable(f"{request.specimen}, {request.component}")
    console.say(f"{what}: {len(series.contents)} results, centre {mean}, s {s} {unit.sign}, {request.kind} chart")
    for alarm in chart.alarms:
        console.say(f"{series.dates[alarm.points[-1]]}: {alarm.severity}: {alarm.explain()}")
    console.say(f"Last result, {series.dates[-1]}: {told}")
    if request.png is not None:
        _draw(request.png, chart, series, what)
    last = [a for a in chart.alarms if a.points[-1] == len(series.contents) - 1]
    return REFUSED if any(a.severity == "reject" for a in last) else OK


def _centre(series: Series, request: Request) -> Centre:
    """As given; else from the first results, which must be of a process in control."""
    if request.mean is not None and request.standard_deviation is not None:
        return Centre(mean=request.mean, standard_deviation=request.standard_deviation)
    if (request.mean is None) != (request.standard_deviation is None):
        raise XrfreeError("--mean and --sd belong together; give both, or neither")
    history = request.history or FEWEST_HISTORY
    if len(series.contents) < history:
        raise XrfreeError(
            f"{len(series.contents)} results are too few for limits from the first {history}; measure more, "
            "or give --mean and --sd"
        )
    return centre_from_history(series.contents[:history])


def _record(ledger: Ledger, request: Request, chart: Chart, centre: Centre, series: Series) -> None:
    content: Mapping[str, object] = {
        "component": request.component,
        "chart": request.kind,
        "mean": centre.mean,
        "standard_deviation": centre.standard_deviation,
        "results": list(series.records),
        "alarms": [
            {"rule": a.rule, "severity": str(a.severity), "results": [series.records[p] for p in a.points]}
            for a in chart.alarms
        ],
    }
    signer = checked_signer(ledger, request.hand)
    ledger.append([entry("chart", request.specimen, dict(content))], actor=request.hand.actor, signer=signer)


def _draw(png: Path, chart: Chart, series: Series, title: str) -> None:
    from xrfree.report.charts import control_chart_figure
    from xrfree.report.plots import write_png

    write_png(png, control_chart_figure(chart, title=title, labels=series.dates))
    console.say(f"Picture: {png.resolve()}")
