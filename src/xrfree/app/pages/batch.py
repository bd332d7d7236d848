"""One batch: choose what is to be done, watch it, look at the results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import Request
from nicegui import ui

from xrfree.app.pages import frame
from xrfree.app.pages.batches import state_of
from xrfree.app.pages.frame import Bench
from xrfree.app.results import MOST_SHOWN
from xrfree.app.shelf import Shelf
from xrfree.app.texts import Texts
from xrfree.app.workspace import ASSAY, CALIBRATE, DOWNLOADS, Batch, Order, Status
from xrfree.documents.shipped import shipped_path

_LOOK_S = 1.0
_REDRAW_S = 3.0
_PAGE = 50
_MOST_NAMES = 10
_GATE_COLUMNS = ("outcome", "gate", "kind", "reason", "specimen", "repeat")
_GATE_STYLES = {
    "hold": ("doubtful", "!"),
    "warn": ("doubtful", "!"),
    "not evaluated": ("not-detected", "–"),
    "pass": ("detected", "✓"),
}
"""Style and mark of each outcome of a gate, the worst first."""


def register(bench: Bench) -> None:
    """Make the page known."""

    @ui.page("/batches/{key}", response_timeout=frame.PATIENCE_S)
    async def batch_page(request: Request, key: str) -> None:
        batch = bench.workspace.batch(key)
        if batch is None:
            frame.missing(request)
            return
        shelf, specimens, certificates = await asyncio.gather(
            asyncio.to_thread(bench.shelf),
            asyncio.to_thread(batch.specimen_lists),
            asyncio.to_thread(batch.certificate_files),
        )
        n_files = len(batch.files())
        back = (frame.texts_of(request)("site.batches"), "/")
        with frame.frame(request, "batches", batch.order().name, back=back) as say:
            frame.text(say("batch.files", n=n_files))
            watch = _Watch(bench, batch, say)
            _Choices(bench, batch, say, shelf, specimens, certificates, started=watch.look_again)
            watch.build()
            await watch.look()
            ui.timer(_LOOK_S, watch.look)


class _Choices:
    """What is to be done with the spectra, by which documents."""

    def __init__(
        self,
        bench: Bench,
        batch: Batch,
        say: Texts,
        shelf: Shelf,
        specimens: list[Path],
        certificates: list[Path],
        *,
        started: Callable[[], None],
    ) -> None:
        self._bench, self._batch, self._say, self._shelf, self._started = bench, batch, say, shelf, started
        order = batch.order()
        documents = bench.workspace.documents
        self._all = ui.expansion(say("batch.what"), value=not order.purpose).classes("no-print").props("id=choices")
        with self._all, ui.element("div").classes("choices"):
            self._purpose = ui.radio(
                {ASSAY: say("batch.assay"), CALIBRATE: say("batch.calibrate")},
                value=order.purpose or ASSAY,
                on_change=self._show,
            ).props("inline")
            self._method = self._select("method", {p: m.name for p, m in shelf.methods.items()}, order.method)
            self._calibration = self._select("calibration", {}, order.calibration)
            self._method.on_value_change(lambda: self._offer_calibrations())
            lists: dict[Any, str] = {"": say("batch.no_specimens"), **_names(specimens, batch.spectra)}
            self._specimens = self._select("specimens", lists, order.specimens or _first(specimens))
            stated: dict[Any, str] = {
                "": say("batch.no_certificates"),
                **_names(certificates, batch.spectra),
                str(documents): say("batch.laboratory_certificates"),
                str(shipped_path("certificates")): say("batch.shipped_certificates"),
            }
            self._certificates = self._select("certificates", stated, order.certificates or _first(certificates))
            ui.button(say("batch.start"), on_click=self._start).props('id="start" no-caps')
        self._offer_calibrations(order.calibration if order.purpose == ASSAY else None)
        self._show()

    def _select(self, name: str, options: Mapping[Any, str], chosen: str) -> ui.select:
        texts = {str(key): text for key, text in options.items()}
        value = chosen if chosen in texts else next(iter(texts), None)
        made = ui.select(texts, value=value, label=self._say(f"batch.{name}"))
        return made.props(f'id="choose-{name}" outlined dense')

    def _offer_calibrations(self, chosen: str | None = None) -> None:
        """Those of the method; where nothing was chosen before, the first one, and none only if there is none."""
        method = self._shelf.methods.get(Path(self._method.value or ""))
        known = {} if method is None else self._shelf.calibrations_of(method)
        options = {str(p): f"{c.name} ({self._say.known('status', str(c.status))})" for p, c in known.items()}
        options[""] = self._say("batch.no_calibration")
        self._calibration.set_options(options, value=chosen if chosen in options else next(iter(options)))

    def _show(self) -> None:
        self._calibration.set_visibility(self._purpose.value == ASSAY)

    async def _start(self) -> None:
        bench, batch = self._bench, self._batch
        if bench.commands.running(batch):
            return
        order = self._order()
        if order is None:
            ui.notify(self._say("batch.unknown_document"), type="negative")
            return
        await asyncio.to_thread(bench.commands.start, batch, order)
        self._all.set_value(False)
        self._started()

    def _order(self) -> Order | None:
        """What was chosen, where it is one of the choices: values come from the browser."""
        selects = (self._method, self._calibration, self._specimens, self._certificates)
        if any(select.value not in select.options for select in selects) or self._purpose.value not in (
            ASSAY,
            CALIBRATE,
        ):
            return None
        calibrating = self._purpose.value == CALIBRATE
        method = Path(self._method.value)
        chosen = "" if calibrating else self._calibration.value
        return replace(
            self._batch.order(),
            purpose=self._purpose.value,
            method=str(method),
            calibration=chosen,
            instrument=str(self._shelf.instrument_of(method, Path(chosen) if chosen else None)),
            specimens=self._specimens.value,
            certificates=self._certificates.value,
            exclude="",
        )


def _names(paths: list[Path], folder: Path) -> dict[Path, str]:
    return {path: str(path.relative_to(folder)) for path in paths}


def _first(paths: list[Path]) -> str:
    return str(paths[0]) if paths else ""


class _Watch:
    """Progress and results, looked at again and again while something happens."""

    def __init__(self, bench: Bench, batch: Batch, say: Texts) -> None:
        self._bench, self._batch, self._say = bench, batch, say
        self._seen: tuple[object, ...] = ()
        self._shown: dict[str, int] = {}
        self._drawn_s = 0.0
        self._looking = False

    def build(self) -> None:
        """Make the parts of the page."""
        say, batch = self._say, self._batch
        with ui.element("section").props('aria-live="polite" id="progress"'):
            self._state = ui.label().props('id="state"')
            self._bar = ui.linear_progress(0.0, show_value=False).props("instant-feedback")
            self._message = ui.label()
        with ui.element("div").classes("side-by-side no-print"):
            self._stop = ui.button(say("batch.stop"), on_click=self._end).props('id="stop" no-caps outline')
            self._again = ui.button(say("batch.again"), on_click=self._go_on).props('id="again" no-caps')
        self._told = ui.element("div")
        self._files = ui.element("div").classes("side-by-side no-print").props('id="files"')
        with ui.element("section").props('id="results"') as self._results:
            frame.title(say("batch.results"))
            self._legend = ui.label()
            self._filter = ui.input(say("batch.filter")).props("dense outlined clearable").classes("no-print")
            self._table = frame.table([], [], key="specimen", page=_PAGE, name=say("batch.results"))
            self._filter.bind_value_to(self._table, "filter")
            self._more = ui.label()
        self._gates = ui.element("section").props('id="gates"')
        self._refused = ui.element("section").props('id="refused"')
        self._link = frame.link(say("batch.calibrated"), f"/calibrations/{batch.key}")

    def look_again(self) -> None:
        """Something was started: do not wait with the next look."""
        self._seen = ()

    async def look(self) -> None:
        """See how far it is, and show what is new; one look at a time."""
        if self._looking:
            return
        self._looking = True
        try:
            state = state_of(self._bench, self._batch)
            status = await asyncio.to_thread(self._batch.status)
            self._show_progress(state, status)
            await self._show_results(status, running=state == "running")
            if (state, status.exit_code) != self._seen:
                self._seen = (state, status.exit_code)
                await self._show_end(state)
        finally:
            self._looking = False

    def _show_progress(self, state: str, status: Status) -> None:
        say, running = self._say, state == "running"
        self._state.set_text(say(f"state.{state}"))
        self._bar.set_visibility(running)
        self._stop.set_visibility(running)
        self._again.set_visibility(state in ("stopped", "failed"))
        self._bar.set_value(status.done / status.total if status.total else 0.0)
        if not running:
            self._message.set_text(say("batch.stopped") if state == "stopped" else "")
        elif self._batch.order().purpose == CALIBRATE:
            self._message.set_text(say("batch.calibrating"))
        else:
            # What has told its end needs a moment more to be gone.
            stage = {"": "starting", "ended": "writing"}.get(status.stage, status.stage)
            numbers = {"done": status.done, "total": status.total, "refused": status.refused}
            self._message.set_text(say(f"batch.{stage}", **numbers))

    async def _show_results(self, status: Status, *, running: bool) -> None:
        loop = asyncio.get_running_loop()
        self._results.set_visibility(bool(status.records))
        if status.records == self._shown or (running and loop.time() - self._drawn_s < _REDRAW_S):
            return
        say = self._say
        found = await asyncio.to_thread(self._bench.results.table, status.records, say.known)
        for row in found.rows:
            row["specimen"] = {"t": row["specimen"], "href": f"/batches/{self._batch.key}/{row.pop('record')}"}
        columns = [("specimen", say("batch.specimen")), *found.analytes, ("fit", say("batch.fit"))]
        frame.set_columns(self._table, columns)
        self._table.rows = found.rows
        self._legend.set_text(say("batch.legend", k=found.coverage_factors))
        total = len(status.records)
        self._more.set_text(say("batch.first_shown", n=MOST_SHOWN, total=total) if total > MOST_SHOWN else "")
        self._shown, self._drawn_s = status.records, loop.time()

    async def _show_end(self, state: str) -> None:
        say, batch = self._say, self._batch
        self._told.clear()
        with self._told:
            if state == "held":
                frame.verdict(say("batch.held"), "doubtful", "!")
            if state in ("failed", "stopped") and batch.told():
                frame.title(say("batch.told"))
                frame.literal(batch.told())
        over = state in ("ended", "some_refused", "held")
        self._link.set_visibility(over and batch.calibration.is_file())
        self._files.clear()
        with self._files:
            for name in DOWNLOADS if over else ():
                if (batch.results / name).is_file():
                    words = say("batch.report") if name == "report.html" else name
                    frame.link(words, f"/batches/{batch.key}/files/{name}")
        gates = await asyncio.to_thread(batch.gates) if over else []
        self._gates.clear()
        self._gates.set_visibility(bool(gates))
        if gates:
            with self._gates:
                _findings(say, gates)
        refused = await asyncio.to_thread(batch.refusals) if over else []
        self._refused.clear()
        self._refused.set_visibility(bool(refused))
        if refused:
            with self._refused:
                _refusals(say, refused)

    async def _end(self) -> None:
        await asyncio.to_thread(self._bench.commands.stop, self._batch)

    async def _go_on(self) -> None:
        if not self._bench.commands.running(self._batch):
            await asyncio.to_thread(self._bench.commands.start, self._batch, self._batch.order())
            self.look_again()


def _findings(say: Texts, rows: list[dict[str, str]]) -> None:
    """What the gates found: first what holds the batch, then warnings, then what passed."""
    frame.title(say("batch.gate_findings"))
    columns = [(name, say(f"gate.{name}")) for name in _GATE_COLUMNS]
    order = list(_GATE_STYLES)
    shown = [
        {
            "n": i,
            "gate": row["gate"],
            "kind": say.known("gate_kind", row["kind"]),
            "outcome": _outcome(say, row["outcome"]),
            "reason": frame.sentence_cell(say, row["reason"]),
            "specimen": _first_names(row["specimen"]),
            "repeat": _first_names(row["repeat"]),
        }
        for i, row in enumerate(sorted(rows, key=lambda row: order.index(row["outcome"]))[:MOST_SHOWN])
    ]
    frame.table(columns, shown, key="n", page=20, name=say("batch.gate_findings"))


def _first_names(names: str) -> str:
    """Some of the names of a finding, and how many there are; the report has them all."""
    all_of_them = names.split("; ")
    if len(all_of_them) <= _MOST_NAMES:
        return ", ".join(all_of_them)
    return f"{', '.join(all_of_them[:_MOST_NAMES])} … ({len(all_of_them)})"


def _outcome(say: Texts, outcome: str) -> dict[str, str]:
    style, mark = _GATE_STYLES[outcome]
    return {"t": say.known("outcome", outcome), "s": style, "m": mark}


def _refusals(say: Texts, rows: list[dict[str, str]]) -> None:
    frame.title(say("batch.refused"))
    columns = [(name, say(f"batch.{name}")) for name in ("file", "specimen", "reason", "remedy")]
    shown = [
        {
            "n": i,
            "file": Path(r["path"]).name,
            "specimen": r["specimen"],
            **{name: frame.sentence_cell(say, r[name]) for name in ("reason", "remedy")},
        }
        for i, r in enumerate(rows[:MOST_SHOWN])
    ]
    frame.table(columns, shown, key="n", page=20, name=say("batch.refused"))
