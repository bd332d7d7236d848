"""`xrfree validate`: measured data against a plan, as a dossier to sign."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from rich.table import Table

from xrfree.cli import OK, REFUSED, console
from xrfree.documents.plan import load_plan
from xrfree.quality.validation import Judgement, evaluate
from xrfree.report.dossier import dossier_html, overall, write_pdf
from xrfree.report.files import prepare_folder, write_text
from xrfree.report.terminal import printable


def run(plan: Path, *, out: Path, pdf: bool) -> int:
    """Evaluate a plan; exit code 2 while a criterion fails or measurements are missing."""
    stated = load_plan(plan)
    prepare_folder(out)
    evaluated = [evaluate(criterion, stated.data) for criterion in stated.criteria]
    created = dt.datetime.now().astimezone()
    page = out / "dossier.html"
    write_text(page, dossier_html(stated, evaluated, created=created))
    table = Table(title=printable(stated.title), title_justify="left")
    for heading in ("criterion", "kind", "outcomes", "failed", "missing", "verdict"):
        table.add_column(heading)
    for e in evaluated:
        failed = sum(o.judgement is Judgement.FAIL for o in e.outcomes)
        row = (e.criterion.name, e.criterion.kind, len(e.outcomes), failed, len(e.missing), e.judgement)
        table.add_row(*map(str, row))
    console.show(table)
    for e in evaluated:
        for missing in e.missing:
            console.say(f"to be measured for {e.criterion.name}: {missing}")
    console.say(f"Overall: {overall(evaluated)}. Dossier: {page.resolve()}")
    if pdf:
        write_pdf(out / "dossier.pdf", stated, evaluated, created=created)
        console.say(f"PDF: {(out / 'dossier.pdf').resolve()}")
    return OK if overall(evaluated) is Judgement.PASS else REFUSED
