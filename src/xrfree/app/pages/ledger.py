"""The ledger: what is recorded, whether it is as it was written, and the story of a result."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request
from nicegui import ui

from xrfree.app import commands
from xrfree.app.pages import frame
from xrfree.app.pages.frame import Bench
from xrfree.app.texts import Texts
from xrfree.ledger.records import Record
from xrfree.ledger.store import Ledger

_MOST = 500
_COLUMNS = ("number", "created", "kind", "subject", "actor", "digest")


def register(bench: Bench) -> None:
    """Make the page known."""

    @ui.page("/ledger", response_timeout=frame.PATIENCE_S)
    async def ledger_page(request: Request, record: str = "") -> None:
        place = bench.settings.ledger_place
        total, records = await asyncio.to_thread(_latest, place)
        with frame.frame(request, "ledger", frame.texts_of(request)("ledger.heading")) as say:
            frame.text(say("ledger.place", place=place if "://" not in place else place.rpartition("@")[2]))
            if not total:
                frame.text(say("ledger.none"))
                return
            _verification(place, say)
            if record.isascii() and record.isdigit() and len(record) < 16:
                frame.title(say("ledger.story", record=record))
                _, told = await asyncio.to_thread(commands.run, ["ledger", "show", record, "--ledger", place])
                frame.literal(told).props('id="story"')
            frame.title(say("ledger.latest", n=len(records), total=total))
            columns = [(name, say(f"ledger.{name}")) for name in _COLUMNS]
            frame.table(columns, [_row(say, one) for one in records], key="key", page=20, name=say("ledger.heading"))


def _latest(place: str) -> tuple[int, list[Record]]:
    with Ledger(place) as ledger:
        total, _ = ledger.head()
        numbers = list(range(total, max(0, total - _MOST), -1))
        return total, list(ledger.records(numbers=numbers))


def _row(say: Texts, record: Record) -> dict[str, Any]:
    number: dict[str, Any] = {"t": str(record.seq), "n": record.seq}
    if record.kind == "result":
        number["href"] = f"/ledger?record={record.seq}"
    return {
        "key": record.seq,
        "number": number,
        "created": record.created[:19].replace("T", " "),
        "kind": say.known("record", record.kind),
        "subject": record.subject,
        "actor": record.actor,
        "digest": record.digest[:16],
    }


def _verification(place: str, say: Texts) -> None:
    async def verify() -> None:
        button.disable()
        answer.clear()
        with answer:
            ui.label(say("ledger.verifying"))
        code, told = await asyncio.to_thread(commands.run, ["ledger", "verify", place])
        answer.clear()
        with answer:
            if code == 0:
                frame.verdict(say("ledger.whole"), "detected", "✓")
            else:
                frame.verdict(say("ledger.broken"), "doubtful", "!")
            frame.literal(told)
        button.enable()

    button = ui.button(say("ledger.verify"), on_click=verify).props('id="verify" no-caps')
    answer = ui.element("section").props('id="verification" aria-live="polite"')
