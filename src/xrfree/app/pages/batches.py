"""The first page: upload spectra, and see what became of those that came before."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request
from nicegui import ui

from xrfree.app.commands import HELD, REFUSED
from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.settings import MEGABYTE
from xrfree.app.texts import Texts
from xrfree.app.uploads import FIELD
from xrfree.app.workspace import Batch


def register(bench: Bench) -> None:
    """Make the page known."""

    @ui.page("/", response_timeout=frame.PATIENCE_S)
    async def batches(request: Request) -> None:
        rows = await asyncio.to_thread(_rows, bench, frame.texts_of(request))
        with frame.frame(request, "batches", frame.texts_of(request)("batches.heading")) as say:
            _form(bench, say)
            frame.title(say("site.batches"))
            if not rows:
                frame.text(say("batches.none"))
                return
            columns = [(name, say(f"batches.{name}")) for name in ("name", "created", "state", "files")]
            frame.table(columns, rows, key="key", page=20, name=say("site.batches"))


def _rows(bench: Bench, say: Texts) -> list[dict[str, Any]]:
    rows = []
    for batch in bench.workspace.batches():
        order = batch.order()
        rows.append(
            {
                "key": batch.key,
                "name": {"t": order.name, "href": f"/batches/{batch.key}"},
                "created": order.created.replace("T", " ")[:19],
                "state": say(f"state.{state_of(bench, batch)}"),
                "files": len(batch.files()),
            }
        )
    return rows


def state_of(bench: Bench, batch: Batch) -> str:
    """What has become of a batch: name of a text in the section "state"."""
    if bench.commands.running(batch):
        return "running"
    if not batch.order().purpose:
        return "uploaded"
    code = batch.status().exit_code
    if code is None:
        code = 0 if batch.calibration.is_file() else bench.commands.exit_code(batch)
    if code is None or code < 0 or code > HELD:
        return "stopped"
    return {0: "ended", REFUSED: "some_refused", HELD: "held"}.get(code, "failed")


def _form(bench: Bench, say: Texts) -> None:
    """A plain form: the browser sends the files by itself, and whole folders too."""
    limits = bench.settings.limits
    frame.title(say("upload.heading"))
    frame.text(say("upload.intro"))
    with ui.element("form").props('action="/upload" method="post" enctype="multipart/form-data"').classes("upload"):
        for name, attributes in (("files", "multiple"), ("folder", "multiple webkitdirectory")):
            with ui.element("label"):
                ui.label(say(f"upload.{name}"))
                ui.element("input").props(f'type="file" name="{FIELD}" {attributes} id="upload-{name}"')
        with ui.element("button").props('type="submit" id="upload-send"'):
            ui.label(say("upload.send"))
    frame.text(say("upload.limits", files=limits.most_files, megabytes=round(limits.most_bytes / MEGABYTE)))
