"""`xrfree watch`: assay what a spectrometer writes into a folder."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from xrfree.batch.assaying import Tally, record_batch
from xrfree.batch.inputs import sorted_refusals
from xrfree.batch.watching import FolderWatch, News
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.assaying import (
    Desk,
    Request,
    in_order_of_names,
    load_request,
    open_ledger,
    prepare_desk,
    show_results,
    write_results,
)
from xrfree.readers import load_profile
from xrfree.report.page import MOST_PLOTTED

WRITING_SHARE = 0.05
"""Part of the time that may be spent on writing tables and pages again while more comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Seconds: between two looks, until a file is complete, until a specimen is; 0 for `until_idle` is for ever."""

    every_s: float = 2.0
    settle_s: float = 5.0
    patience_s: float = 600.0
    until_idle_s: float = 0.0


def run(request: Request, rhythm: Rhythm) -> int:
    """Assay whatever comes into the folder, until interrupted."""
    documents = load_request(request)
    console.compile_kernels()
    with open_ledger(request) as ledger:
        desk = prepare_desk(request, documents, ledger, most=request.jobs or 1)
        watch = FolderWatch(
            request.paths[0],
            documents.method,
            settle_s=rhythm.settle_s,
            patience_s=rhythm.patience_s,
            exclude=[*request.documents, request.profile, request.out],
            profile=None if request.profile is None else load_profile(request.profile),
        )
        console.note(f"Watching {watch.folder}; end with Ctrl+C.")
        session = _Session(request, desk)
        try:
            session.watch(watch, rhythm)
        except KeyboardInterrupt:
            console.note("Stopped. Everything that was assayed is recorded.")
        session.write()
        show_results(request, desk, session.tally, in_order_of_names(session.tally))
    return REFUSED if session.tally.refusals else OK


class _Session:
    """What came so far, and when it was last written."""

    def __init__(self, request: Request, desk: Desk) -> None:
        self.tally = Tally()
        # One by one: a result must not depend on what happened to come with it.
        self._request, self._desk = request, replace(desk, task=replace(desk.task, together=None))
        self._written, self._writing_s, self._unwritten = time.monotonic(), 0.0, False

    def watch(self, watch: FolderWatch, rhythm: Rhythm) -> None:
        """Look again and again, until nothing has come for the time of the rhythm."""
        idle_since = time.monotonic()
        while True:
            news = watch.look()
            if news != News():
                self.take(news)
                told = f"{len(self.tally.numbers)} assayed, {len(self.tally.refusals)} refused, {watch.waiting} waiting"
                console.note(told)
            if news != News() or watch.waiting:
                idle_since = time.monotonic()
            if self._unwritten and time.monotonic() - self._written > self._writing_s / WRITING_SHARE:
                self.write()
            if rhythm.until_idle_s and time.monotonic() - idle_since >= rhythm.until_idle_s:
                return
            time.sleep(rhythm.every_s)

    def take(self, news: News) -> None:
        """Assay and record what came."""
        room = MOST_PLOTTED - len(self.tally.numbers)
        drawn = frozenset(arrival.specimen for arrival in news.arrivals[: max(0, room)])
        desk = self._desk
        found = record_batch(
            news.arrivals,
            desk.task,
            desk.book,
            desk.crew,
            refusals=news.refusals,
            curves=desk.curves,
            drawn=drawn,
        )
        self._unwritten = True
        self.tally.numbers.update(found.numbers)
        self.tally.recognised += found.recognised
        # What is assayed now, or refused anew, is no longer refused as before.
        again = {r.path for r in found.refusals} | {str(path) for arrival in news.arrivals for path in arrival.paths}
        kept = [r for r in self.tally.refusals if r.path not in again]
        self.tally.refusals = list(sorted_refusals([*kept, *found.refusals]))

    def write(self) -> None:
        """Write all outputs."""
        start = time.monotonic()
        write_results(self._request, self._desk, self.tally, in_order_of_names(self.tally))
        self._written = time.monotonic()
        self._writing_s, self._unwritten = self._written - start, False
