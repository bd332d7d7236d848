"""What a person at the terminal sees: results on stdout; progress, refusals and complaints on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from xrfree.batch.assaying import Tally
from xrfree.batch.inputs import Progress as Callback
from xrfree.report.refused import Refusal
from xrfree.report.terminal import printable

WIDTH_OF_A_FILE = 160


def results() -> Console:
    """Console for results; wide where nobody's window limits it."""
    return Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE, highlight=False, markup=False
    )


def show(table: Any) -> None:
    """Print a table of results."""
    results().print(table)


def say(text: str = "") -> None:
    """Print a line of results as it is, or a drawing of several."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a line that is not a result."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def note_refusals(refusals: Iterable[Refusal]) -> None:
    """One line for each refused file."""
    for refusal in refusals:
        note(f"refused: {refusal.path}: {refusal.reason}")


@contextmanager
def progress(what: str) -> Iterator[Callback | None]:
    """A progress bar, where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def tally(what: str, total: int | None) -> Iterator[Callable[[Tally], None] | None]:
    """Bar with the estimated time and a live count of what was refused, where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[refused]} refused"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, refused=0)
        yield lambda found: bar.update(task, completed=found.done, refused=len(found.refusals))


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A sign of life during work of unknown length."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(what):
        yield


def compile_kernels() -> None:
    """Compile the numerical kernels if this has never been done here, and say so: it takes longer than expected."""
    from xrfree.kernels import first_run

    if first_run.is_needed():
        note("First run: compiling the numerical kernels, once; this takes up to a minute.")
        first_run.compile_all()
