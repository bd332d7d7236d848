"""How far a run is, in a file: for programs that started it and wait."""

from __future__ import annotations

import json
import time
from pathlib import Path

from xrfree.batch.assaying import Tally
from xrfree.report.files import write_text

SCHEMA = "xrfree/status/1"
_EVERY_S = 0.5


class StatusFile:
    """Stage, numbers and records of a run, as JSON; nothing is written where no file is given.

    stage : "reading" (files), "assaying" (specimens), "writing" or "ended"; done, total : of this stage.
    records : numbers of the results' records in the ledger, by specimen; exit_code : null before the end.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next = 0.0

    def reading(self, done: int, total: int) -> None:
        """Files are read."""
        self._tell("reading", done, total, Tally(), at_once=done == total)

    def assaying(self, tally: Tally, total: int) -> None:
        """Specimens are assayed."""
        self._tell("assaying", tally.done, total, tally, at_once=tally.done == 0)

    def writing(self, tally: Tally) -> None:
        """Tables and report are written."""
        self._tell("writing", tally.done, tally.done, tally, at_once=True)

    def ended(self, tally: Tally, exit_code: int) -> None:
        """Everything is done."""
        self._tell("ended", tally.done, tally.done, tally, at_once=True, exit_code=exit_code)

    def _tell(
        self, stage: str, done: int, total: int, tally: Tally, *, at_once: bool = False, exit_code: int | None = None
    ) -> None:
        """Write; unless it must be at once, not more often than somebody looks, nor for over a tenth of the time."""
        start = time.monotonic()
        if self._path is None or (start < self._next and not at_once):
            return
        told = {
            "schema": SCHEMA,
            "stage": stage,
            "done": done,
            "total": total,
            "refused": len(tally.refusals),
            "records": tally.numbers,
            "exit_code": exit_code,
        }
        write_text(self._path, json.dumps(told))
        end = time.monotonic()
        self._next = end + max(_EVERY_S, 10.0 * (end - start))
