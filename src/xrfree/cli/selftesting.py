"""`xrfree selftest`: known answers on this machine, and a record of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.table import Table

from xrfree.cli import OK, REFUSED, console
from xrfree.report.files import write_text
from xrfree.selftest import record, run_cases


def run(out: Path | None) -> int:
    """Run all cases; exit code 2 where one fails."""
    console.compile_kernels()
    start = time.perf_counter()
    with console.progress("testing") as progress:
        outcomes = run_cases(progress=progress)
    table = Table(title="Known answers", title_justify="left")
    for heading in ("case", "source of the answer", "worst deviation / allowed", "outcome"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        worst = f"{outcome.worst:.2g}" if outcome.error == "" else outcome.error
        table.add_row(outcome.name, outcome.source, worst, "pass" if outcome.passed else "FAIL")
    console.show(table)
    told = record(outcomes, seconds=time.perf_counter() - start)
    failed = sum(not outcome.passed for outcome in outcomes)
    console.say(f"{len(outcomes) - failed} of {len(outcomes)} cases passed in {told['seconds']:.0f} s.")
    if out is not None:
        write_text(out, json.dumps(told, indent=1, sort_keys=True) + "\n")
        console.say(f"Record: {out.resolve()}")
    return REFUSED if failed else OK
