"""One specimen: its mass fractions, the fits with residuals, and where the uncertainty comes from."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request
from nicegui import ui

from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.pictures import picture
from xrfree.app.results import MARKS, STYLES
from xrfree.app.texts import Texts
from xrfree.app.workspace import Batch
from xrfree.areas import FitVerdict
from xrfree.assay import Assay
from xrfree.batch.inputs import natural_order
from xrfree.report.budget import Contribution, contributions
from xrfree.report.charts import budget_figure
from xrfree.report.page import component_row
from xrfree.report.plots import fit_figure
from xrfree.report.rounding import display_unit, rounded_alone

_COLUMNS = (
    "component",
    "value",
    "uncertainty",
    "unit",
    "oxide",
    "decision_limit",
    "detection_limit",
    "quantification_limit",
    "verdict",
    "reason",
)


def register(bench: Bench) -> None:
    """Make the page known."""

    @ui.page("/batches/{key}/{record}", response_timeout=frame.PATIENCE_S)
    async def specimen_page(request: Request, key: str, record: str) -> None:
        batch = bench.workspace.batch(key)
        records = {} if batch is None else batch.status().records
        number = int(record) if record.isascii() and record.isdigit() and len(record) < 16 else -1
        if batch is None or number not in records.values():
            frame.missing(request)
            return
        folders = [batch.results / "fits", *bench.workspace.fits()]
        assay = await asyncio.to_thread(bench.results.assay, number, folders)
        if assay is None:
            frame.missing(request)
            return
        back = (batch.order().name, f"/batches/{key}")
        with frame.frame(request, "batches", assay.specimen, back=back) as say:
            _neighbours(say, batch, number, records)
            _results(say, assay)
            await _fits(say, assay)
            await _budget(say, assay)
            _sources(say, assay, number)


def _neighbours(say: Texts, batch: Batch, number: int, records: dict[str, int]) -> None:
    order = [records[name] for name in sorted(records, key=natural_order)]
    i = order.index(number)
    with ui.element("nav").classes("side-by-side no-print"):
        for key, j in (("previous", i - 1), ("next", i + 1)):
            if 0 <= j < len(order):
                frame.link(say(f"specimen.{key}"), f"/batches/{batch.key}/{order[j]}").props(f'id="{key}"')
        ui.button(say("specimen.print"), on_click=lambda: ui.run_javascript("window.print()")).props(
            "outline no-caps dense"
        )


def _results(say: Texts, assay: Assay) -> None:
    frame.title(say("specimen.results"))
    columns = [(name, say(f"specimen.{name}", k=f"{assay.coverage_factor:g}")) for name in _COLUMNS]
    rows = [_row(say, assay, i) for i in range(len(assay.components))]
    frame.table(columns, rows, key="component", name=say("specimen.results"))


def _row(say: Texts, assay: Assay, i: int) -> dict[str, Any]:
    row, verdict = component_row(assay, i), assay.verdicts[i]
    word = {"t": say.known("verdict", str(verdict)), "s": STYLES[verdict], "m": MARKS[verdict]}
    return {
        **{name: getattr(row, name) for name in _COLUMNS if name not in ("oxide", "verdict", "reason")},
        "reason": frame.sentence_cell(say, row.reason),
        "oxide": f"{row.oxide} {row.oxide_value} {row.unit}" if row.oxide else "",
        "verdict": word,
    }


async def _fits(say: Texts, assay: Assay) -> None:
    frame.title(say("specimen.fits"))
    for areas in assay.areas:
        place = {"condition": areas.condition, "region": areas.region}
        good = areas.verdict is FitVerdict.GOOD
        with ui.element("div").classes("side-by-side"):
            word = say.known("fit", str(areas.verdict))
            frame.verdict(word, "detected" if good else "doubtful", "✓" if good else "!")
            ui.label(say("specimen.fit_text", **place, deviance=f"{areas.reduced_deviance:.2f}"))
        if areas.reason:
            frame.sentence(say, areas.reason)
        if areas.curve.energy_kev.size:
            drawn = await picture(fit_figure, areas, emphasised=assay.analytes)
            frame.picture(drawn, alternative=say("specimen.fit_picture", **place)).classes("fit-picture")
        else:
            frame.text(say("specimen.no_curve"))


async def _budget(say: Texts, assay: Assay) -> None:
    frame.title(say("specimen.budget"))
    parts = {a: _contributions(assay, a) for a in assay.analytes}
    drawn = await picture(budget_figure, assay.specimen, parts)
    frame.picture(drawn, alternative=say("specimen.budget_picture")).classes("budget-picture")

    @ui.refreshable
    def one(analyte: str) -> None:
        lines = parts[analyte]
        unit = display_unit([assay.mass_fraction[assay.components.index(analyte)]])
        columns = [
            ("contribution", say("specimen.contribution")),
            ("u", say("specimen.u", unit=unit.sign)),
            ("share", say("specimen.share")),
        ]
        rows = [
            {
                "contribution": say.known("contribution", line.key),
                "u": rounded_alone(line.uncertainty, unit),
                "share": {"t": f"{100.0 * line.share:.1f} %", "n": line.share},
            }
            for line in lines
        ]
        frame.table(columns, rows, key="contribution", name=say("specimen.budget"))
        frame.text(_advice(say, lines[0]))

    ui.select(
        list(assay.analytes),
        value=assay.analytes[0],
        label=say("specimen.budget_of"),
        on_change=lambda change: one.refresh(change.value),
    ).props("outlined dense").classes("no-print")
    one(assay.analytes[0])


def _contributions(assay: Assay, analyte: str) -> tuple[Contribution, ...]:
    i = assay.components.index(analyte)
    return contributions({name: float(u[i]) for name, u in assay.budget.items()})


def _advice(say: Texts, largest: Contribution) -> str:
    """What to improve first."""
    known = say.known("advice", largest.key)
    return say(
        "advice.largest",
        contribution=say.known("contribution", largest.key),
        share=f"{100.0 * largest.share:.0f}",
        advice=say("advice.unknown") if known == largest.key else known,
    )


def _sources(say: Texts, assay: Assay, number: int) -> None:
    frame.title(say("specimen.sources"))
    frame.link(say("specimen.record", record=number), f"/ledger?record={number}")
    recipe = assay.recipe
    files = [*zip(recipe.sources, recipe.source_sha256, strict=True)]
    documents = [
        (f"{recipe.method} ({say('batch.method')})", recipe.method_sha256),
        (recipe.instrument, recipe.instrument_sha256),
        (_calibration(say, assay), recipe.calibration_sha256),
    ]
    rows = [{"file": name, "digest": digest} for name, digest in (*files, *documents)]
    columns = [("file", say("specimen.file")), ("digest", say("specimen.digest"))]
    frame.table(columns, rows, key="file", name=say("specimen.sources"))
    frame.text(f"{recipe.tables}, xrfree {recipe.software_version}")


def _calibration(say: Texts, assay: Assay) -> str:
    recipe = assay.recipe
    name = recipe.calibration if recipe.calibration_sha256 else say("batch.no_calibration")
    return f"{name} ({say.known('status', recipe.calibration_status)})" if recipe.calibration_status else name
