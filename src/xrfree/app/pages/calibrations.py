"""Calibrations: their curves, each standard questioned by the others, and what it would be without some of them."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request
from nicegui import ui

from xrfree.app.commands import excluding
from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.pictures import picture
from xrfree.app.texts import Texts
from xrfree.app.workspace import Batch
from xrfree.calibration import Calibration, ExcludedStandard
from xrfree.curves.review import FEWEST_REVIEWED, CalibrationReview, review_spectra
from xrfree.documents.curve_tables import EXCLUSION_COLUMNS
from xrfree.report.calibration_page import standard_rows
from xrfree.report.calibration_plots import curve_figure
from xrfree.report.files import write_text
from xrfree.report.rounding import DisplayUnit, display_unit, rounded_alone

_NUMBERS = ("certified", "found", "predicted", "deleted", "cook")


def register(bench: Bench) -> None:
    """Make the pages known."""

    @ui.page("/calibrations", response_timeout=frame.PATIENCE_S)
    async def calibrations(request: Request) -> None:
        shelf = await asyncio.to_thread(bench.shelf)
        with frame.frame(request, "calibrations", frame.texts_of(request)("calibrations.heading")) as say:
            frame.text(say("calibrations.intro", folder=bench.workspace.documents))
            rows = [_row(say, path, calibration) for path, calibration in shelf.calibrations.items()]
            if rows:
                columns = [(n, say(f"calibrations.{n}")) for n in ("name", "status", "created", "n_standards", "file")]
                frame.table(columns, rows, key="key", page=20, name=say("calibrations.heading"))
            else:
                frame.text(say("calibrations.none"))
            if shelf.broken:
                frame.title(say("calibrations.broken"))
                for reason in shelf.broken.values():
                    frame.sentence(say, reason)

    @ui.page("/calibrations/{key}", response_timeout=frame.PATIENCE_S)
    async def calibration_page(request: Request, key: str) -> None:
        shelf = await asyncio.to_thread(bench.shelf)
        path = next((p for p, c in shelf.calibrations.items() if key in (c.sha256, _made_in(p))), None)
        if path is None:
            frame.missing(request)
            return
        calibration = shelf.calibrations[path]
        made = bench.workspace.batch(_made_in(path))
        back = (frame.texts_of(request)("calibrations.heading"), "/calibrations")
        with frame.frame(request, "calibrations", calibration.name, back=back) as say:
            frame.text(f"{say.known('status', str(calibration.status))}, {path.name}, SHA-256 {calibration.sha256}")
            if calibration.points:
                await _Standards(bench, calibration, made, say).build()
            else:
                frame.text(say("calibration.no_points"))


def _made_in(path: Path) -> str:
    """Key of the batch in whose folder a calibration lies."""
    return path.parent.name


def _row(say: Texts, path: Path, calibration: Calibration) -> dict[str, Any]:
    return {
        "key": str(path),
        "name": {"t": calibration.name, "href": f"/calibrations/{calibration.sha256}"},
        "status": say.known("status", str(calibration.status)),
        "created": calibration.created[:19].replace("T", " "),
        "n_standards": len({point.material for point in calibration.points}),
        "file": path.name,
    }


class _Standards:
    """Standards that can be left out, each for a reason, and the curve of one line group without them."""

    def __init__(self, bench: Bench, calibration: Calibration, made: Batch | None, say: Texts) -> None:
        self._bench, self._calibration, self._made, self._say = bench, calibration, made, say
        self._materials = list(dict.fromkeys(point.material for point in calibration.points))
        self._excluded: dict[str, ExcludedStandard] = {}
        self._group = calibration.groups[0]
        self._latest = 0

    async def build(self) -> None:
        """Make the parts of the page."""
        say, calibration = self._say, self._calibration
        with ui.element("div").classes("no-print"):
            ui.select(
                list(calibration.groups), value=self._group, label=say("calibration.curve"), on_change=self._choose
            ).props('outlined dense id="curve" options-dense').classes("choice")
        self._summary = ui.label().props('id="summary" aria-live="polite"')
        self._drawn = ui.element("div")
        frame.title(say("calibration.standards"))
        self._table = ui.element("div").props('id="standards"')
        for exclusion in calibration.exclusions:
            frame.text(f"{say('calibration.excluded_before')}: {exclusion.material}. {exclusion.reason}")
        with ui.element("div").classes("no-print").props('id="consequences"'):
            frame.text(say("calibration.anew_text"))
            with ui.element("div").classes("side-by-side"):
                ui.button(say("calibration.table"), on_click=self._download).props('outline no-caps id="exclusions"')
                if self._made is None:
                    frame.text(say("calibration.not_made_here"))
                else:
                    ui.button(say("calibration.anew"), on_click=self._again).props('no-caps id="anew"')
        await self._update()

    async def _choose(self, change: Any) -> None:
        if change.value in self._calibration.groups:
            self._group = change.value
            await self._update()

    async def _update(self) -> None:
        """Question the curve without the standards that are left out; only the latest wish is shown."""
        say = self._say
        self._latest += 1
        wish = self._latest
        without = await asyncio.to_thread(self._review, tuple(self._excluded))
        with_all = await asyncio.to_thread(self._review, ())
        drawn = await picture(curve_figure, without.curves[0]) if without.curves else ""
        if wish != self._latest:
            return
        self._summary.set_text(_summary(say, without, with_all, len(self._materials) - len(self._excluded)))
        self._drawn.clear()
        if drawn:
            with self._drawn:
                frame.picture(drawn, alternative=say("calibration.picture", curve=self._group)).classes("curve-picture")
        self._table.clear()
        with self._table:
            _table(say, self._materials, without, self._excluded, self._toggle)

    def _review(self, left_out: tuple[str, ...]) -> CalibrationReview:
        return review_spectra(self._calibration, groups=(self._group,), left_out=left_out)

    async def _toggle(self, material: str, change: Any) -> None:
        if change.value:
            if self._excluded.pop(material, None) is None:
                return  # the box was only set back
        else:
            reason = await _ask(self._say, material)
            if not reason:
                change.sender.set_value(True)
                return
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            by = self._bench.settings.operator
            self._excluded[material] = ExcludedStandard(material=material, reason=reason, by=by, at=now)
        await self._update()

    def _exclusions(self) -> str:
        """The table of exclusions as `xrfree calibrate --exclude` reads it."""
        stream = io.StringIO()
        writer = csv.DictWriter(stream, EXCLUSION_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(exclusion) for exclusion in (*self._calibration.exclusions, *self._excluded.values()))
        return stream.getvalue()

    def _download(self) -> None:
        ui.download.content(self._exclusions(), "exclusions.csv", media_type="text/csv")

    async def _again(self) -> None:
        if self._made is None or self._bench.commands.running(self._made):
            return
        table = self._made.folder / "exclusions.csv"
        write_text(table, self._exclusions())
        order = excluding(self._made.order(), table)
        await asyncio.to_thread(self._bench.commands.start, self._made, order)
        ui.navigate.to(f"/batches/{self._made.key}")


async def _ask(say: Texts, material: str) -> str:
    """The reason why a standard is to be left out; empty where there is none."""
    with ui.dialog() as dialog, ui.card():
        ui.label(say("calibration.why", standard=material))
        reason = ui.input(say("calibration.why_label")).props('autofocus for="reason"').classes("w-full")
        reason.on("keydown.enter", lambda: dialog.submit(reason.value))
        frame.text(say("calibration.why_needed"))
        with ui.element("div").classes("side-by-side"):
            ui.button(say("calibration.leave_out"), on_click=lambda: dialog.submit(reason.value)).props(
                'id="leave-out" no-caps'
            )
            ui.button(say("calibration.cancel"), on_click=lambda: dialog.submit("")).props("no-caps outline")
    answer = await dialog
    dialog.delete()
    return str(answer or "").strip()


def _summary(say: Texts, without: CalibrationReview, with_all: CalibrationReview, n: int) -> str:
    if not without.curves or not with_all.curves:
        return say("calibration.too_few", n=n, fewest=FEWEST_REVIEWED)
    unit = _unit(with_all)
    rms, rms_all = (rounded_alone(review.curves[0].left_out.rms, unit) for review in (without, with_all))
    n_here = len(without.curves[0].regression.observations.distinct_materials)
    return say("calibration.summary", rms=rms, unit=unit.sign, n=n_here, rms_all=rms_all)


def _unit(review: CalibrationReview) -> DisplayUnit:
    return display_unit(review.curves[0].regression.observations.response)


def _table(
    say: Texts,
    materials: list[str],
    review: CalibrationReview,
    excluded: dict[str, ExcludedStandard],
    toggle: Callable[[str, Any], Any],
) -> None:
    """A row with a checkbox for each standard; numbers for those that are used."""
    known = {}
    sign = ""
    if review.curves:
        unit = _unit(review)
        sign = f", {unit.sign}"
        known = {row.material: row for row in standard_rows(review.curves[0], review, unit)}
    with ui.element("table").classes("standards"):
        with ui.element("thead"), ui.element("tr"):
            headings = ["use", "standard", *_NUMBERS, "reason"]
            for name in headings:
                with ui.element("th").props('scope="col"'):
                    ui.label(say(f"calibration.{name}") + (sign if name in _NUMBERS[:3] else ""))
        with ui.element("tbody"):
            for material in materials:
                row = known.get(material)
                with ui.element("tr").classes("left-out" if material in excluded else ""):
                    with ui.element("td"):
                        box = ui.checkbox(value=material not in excluded, on_change=partial(toggle, material))
                        box.props["aria-label"] = f"{say('calibration.use')}: {material}"
                    with ui.element("td"):
                        ui.label(material)
                    for name in _NUMBERS:
                        with ui.element("td"):
                            ui.label("–" if row is None else _number(row, name))
                    with ui.element("td"):
                        if material in excluded:
                            ui.label(excluded[material].reason)
                        elif row is not None and row.suspicious:
                            frame.verdict(say("calibration.suspicious"), "doubtful", "!")


def _number(row: Any, name: str) -> str:
    value = str(getattr(row, name))
    return f"{value} ± {getattr(row, name + '_u')}" if name in ("certified", "found") else value
