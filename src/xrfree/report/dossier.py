"""The dossier of a validation: one page that an assessor can follow back to the data, as HTML and as PDF."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xrfree.documents.plan import Plan
from xrfree.errors import XrfreeError
from xrfree.quality.limits import DEFINITION
from xrfree.quality.validation import Evaluated, Judgement
from xrfree.report.files import closing_fonts, replacing
from xrfree.report.page import page_template, time_text

_STYLES = {Judgement.PASS: "detected", Judgement.FAIL: "doubtful", Judgement.MISSING: "not-detected"}


def overall(evaluated: Sequence[Evaluated]) -> Judgement:
    """Verdict of the whole: fail before missing before pass."""
    found = {e.judgement for e in evaluated}
    return next((j for j in (Judgement.FAIL, Judgement.MISSING) if j in found), Judgement.PASS)


def dossier_html(plan: Plan, evaluated: Sequence[Evaluated], *, created: dt.datetime) -> str:
    """Text of the dossier; everything that comes from outside is escaped. created : with a time zone."""
    return page_template("dossier.html.j2").render(
        title=plan.title,
        plan=plan,
        evaluated=evaluated,
        overall=str(overall(evaluated)),
        created=time_text(created),
        styles=_STYLES,
        definition=DEFINITION,
        statement=statement_of_fitness(overall(evaluated)),
    )


def write_pdf(path: Path, plan: Plan, evaluated: Sequence[Evaluated], *, created: dt.datetime) -> None:
    """Write the dossier as PDF. Raises XrfreeError where the optional extra `pdf` is not installed."""
    try:
        from fpdf import FPDF
    except ImportError as problem:
        raise XrfreeError(
            'a PDF needs the extra "pdf". Install it with `pip install "xrfree[pdf]"`, or print the HTML page.'
        ) from problem
    document = FPDF()
    with closing_fonts(document):
        _prepare(document)
        _heading(document, plan.title, size=16)
        _paragraph(document, f"Validation dossier. {plan.laboratory}. {time_text(created)}. Purpose: {plan.purpose}.")
        _paragraph(document, f"Plan sha256 {plan.sha256}", size=7)
        for recipe in plan.recipes:
            for name in ("method", "instrument", "calibration"):
                _paragraph(document, f"{name.capitalize()}: {recipe[name]}, sha256 {recipe[f'{name}_sha256']}", size=7)
            _paragraph(document, f"Software: xrfree {recipe['software_version']}, {recipe['tables']}", size=7)
        verdict = overall(evaluated)
        _paragraph(document, f"Overall: {verdict}.")
        _table(
            document,
            ("Criterion", "Kind", "Verdict"),
            [(e.criterion.name, e.criterion.kind, str(e.judgement)) for e in evaluated],
        )
        for e in evaluated:
            _heading(document, e.criterion.name, size=11)
            limits = "; ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in e.criterion.limits.items())
            _paragraph(document, f"Limits: {limits}.", size=8)
            rows = [(o.component, o.subject, o.statement, str(o.judgement)) for o in e.outcomes]
            _table(document, ("", "Of", "Found", "Verdict"), rows, widths=(10, 22, 98, 20))
            if e.missing:
                _paragraph(document, f"Still to be measured: {'; '.join(e.missing)}.")
        _heading(document, "Data", size=11)
        _table(document, ("File", "sha256"), plan.files, widths=(70, 100))
        _heading(document, "Statement of fitness", size=11)
        _paragraph(document, statement_of_fitness(verdict))
        _table(document, ("", "Name and signature", "Date"), [("Evaluated by", " ", " "), ("Approved by", " ", " ")])
        with replacing(path) as partial:
            document.output(str(partial))


def statement_of_fitness(verdict: Judgement) -> str:
    """The sentence that is signed."""
    if verdict is Judgement.PASS:
        return (
            "The method fulfils all criteria of the plan named above and is fit for the stated purpose within the "
            "ranges that were tested."
        )
    return (
        f"The method does not yet fulfil all criteria of the plan named above ({verdict}). It must not be stated as "
        "fit for the purpose on the grounds of this dossier."
    )


def _prepare(document: Any) -> None:
    """A4 pages with numbers, in a font that knows all characters of a laboratory."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    document.add_font("DejaVu", "", str(fonts / "DejaVuSans.ttf"))
    document.add_font("DejaVu", "B", str(fonts / "DejaVuSans-Bold.ttf"))
    document.set_auto_page_break(True, margin=15)
    document.set_margins(18, 15, 18)
    document.add_page()


def _heading(document: Any, text: str, *, size: float) -> None:
    document.set_font("DejaVu", "B", size)
    document.multi_cell(0, 0.55 * size, text, new_x="LMARGIN", new_y="NEXT")
    document.ln(1)


def _paragraph(document: Any, text: str, *, size: float = 9) -> None:
    document.set_font("DejaVu", "", size)
    document.multi_cell(0, 0.5 * size, text, new_x="LMARGIN", new_y="NEXT")
    document.ln(1)


def _table(
    document: Any, heading: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[float] | None = None
) -> None:
    if not rows:
        return
    document.set_font("DejaVu", "", 7)
    with document.table(col_widths=widths, line_height=4, text_align="LEFT") as table:
        for cells in (heading, *rows):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    document.ln(2)
