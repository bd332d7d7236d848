"""Certificates with the items of ISO/IEC 17025:2017, 7.8.2.1, as a page and as PDF.

What the laboratory, the worklist and the ledger do not say stands there as "not stated": an item is never left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrfree.assay import Assay, Verdict
from xrfree.composition import USUAL_OXIDES, element_fraction
from xrfree.errors import XrfreeError
from xrfree.report.files import closing_fonts, replacing, write_text
from xrfree.report.page import page_template
from xrfree.report.rounding import display_unit, rounded, rounded_alone

NOT_STATED = "not stated"
RARE_EARTHS = ("La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Y")
REST = "rare earths that are not named were not determined."
ONLY_ITEMS = "The results relate only to the items tested."
WHOLE = "This certificate may be reproduced in full only, unless the laboratory agrees in writing."
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The laboratory (items b and c)."""

    name: str
    address: str
    place: str
    remarks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedItem:
    """One specimen with what is known of it (items e to i, k, n to p).

    amendments : reason of each; authorised_by : empty for a result that is not released. performed : when.
    """

    assay: Assay
    customer: str = ""
    description: str = ""
    condition: str = ""
    received: str = ""
    sampled: str = ""
    sampling_plan: str = ""
    performed: str = ""
    authorised_by: str = ""
    authorised_at: str = ""
    amendments: tuple[str, ...] = ()
    record: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate ready to be written.

    number : unique; anchor : number and digest of the ledger's record of this certificate.
    """

    number: str
    issued: dt.date
    issuer: Issuer
    items: tuple[CertifiedItem, ...]
    anchor: str

    @property
    def draft(self) -> bool:
        """Whether a result on it is not released."""
        return not all(item.authorised_by for item in self.items)


def total_rare_earth_oxides(assay: Assay) -> tuple[tuple[str, ...], float, float]:
    """Elements, sum of the mass fractions of their oxides (kg/kg), and its standard uncertainty with all covariances.

    TREO = Σ w_i / f_i,  u² = gᵀ C g,  g_i = 1/f_i, f_i share of the element in its oxide
    """
    own = [i for i, c in enumerate(assay.components) if c in RARE_EARTHS]
    elements = tuple(assay.components[i] for i in own)
    g = np.array([1.0 / element_fraction(USUAL_OXIDES[e], e) for e in elements])
    total = float(g @ assay.mass_fraction[own]) if own else 0.0
    variance = float(g @ assay.covariance[np.ix_(own, own)] @ g) if own else 0.0
    return elements, total, float(np.sqrt(max(variance, 0.0)))


def write_certificate_html(path: Path, certificate: Certificate) -> None:
    """Write the page."""
    facts, items = _facts(certificate), [_item(item) for item in certificate.items]
    page = page_template("certificate.html.j2").render(
        title=_title(certificate), facts=facts, items=items, closing=_closing(certificate), end=_end(certificate)
    )
    write_text(path, page)


def write_certificate_pdf(path: Path, certificate: Certificate, *, font: Path | None = None) -> None:
    """Write the PDF; needs the extra `pdf`.

    font : a TrueType font for scripts that the one of matplotlib does not have.

    Raises XrfreeError when the font lacks a character: a certificate with gaps is none.
    """
    try:
        import fpdf
    except ImportError as error:
        raise XrfreeError('PDF needs the package fpdf2. Install it: pip install "xrfree[pdf]"') from error
    pdf = _document(fpdf, certificate, font)
    with closing_fonts(pdf):
        _heading(pdf, _title(certificate), 16)
        _pairs(pdf, _facts(certificate))
        for item in certificate.items:
            told = _item(item)
            _heading(pdf, told["name"], 12)
            _pairs(pdf, told["facts"])
            _table(pdf, told["rows"])
            pdf.multi_cell(0, 5, told["total"], new_x="LMARGIN", new_y="NEXT")
            pdf.ln(2)
        for line in (*_closing(certificate), _end(certificate)):
            pdf.multi_cell(0, 5, line, new_x="LMARGIN", new_y="NEXT")
        lacking = sorted({chr(code) for face in pdf.fonts.values() for code in _missing(face)})
        if lacking:
            raise XrfreeError(
                f"{path.name}: the font has no character {' '.join(lacking[:10])}. Give one that has it with --font, "
                "or print the page instead (--no-pdf)."
            )
        with replacing(path) as partial:
            pdf.output(str(partial))


def _missing(face: Any) -> list[int]:
    """Code points that were asked of a font in vain."""
    return [ord(c) if isinstance(c, str) else int(c) for c in getattr(face, "missing_glyphs", ())]


def _title(certificate: Certificate) -> str:
    return "Draft of a certificate of analysis (not released)" if certificate.draft else "Certificate of analysis"


def _end(certificate: Certificate) -> str:
    return f"End of certificate {certificate.number}"


def _facts(certificate: Certificate) -> list[tuple[str, str]]:
    issuer = certificate.issuer
    customers = dict.fromkeys(item.customer or NOT_STATED for item in certificate.items)
    facts = [
        ("Number", certificate.number),
        ("Laboratory", f"{issuer.name}, {issuer.address}"),
        ("Place of the work", issuer.place),
        ("Customer", "; ".join(customers)),
        ("Date of issue", certificate.issued.isoformat()),
        ("Record", certificate.anchor),
    ]
    return [*facts, ("Remarks", issuer.remarks)] if issuer.remarks else facts


def _item(item: CertifiedItem) -> dict[str, Any]:
    assay, recipe = item.assay, item.assay.recipe
    digest = f" (sha256 {recipe.calibration_sha256[:16]})" if recipe.calibration_sha256 else ""
    caveat = recipe.calibration_caveat
    facts = [
        ("Item", item.description or NOT_STATED),
        ("Condition", item.condition or NOT_STATED),
        ("Received", item.received or NOT_STATED),
        ("Sampled", item.sampled or NOT_STATED),
        ("Sampling plan", item.sampling_plan or "sampling was not done by the laboratory, or is not stated"),
        ("Tested", item.performed or NOT_STATED),
        ("Method", f"X-ray fluorescence, {recipe.method} (sha256 {recipe.method_sha256[:16]})"),
        ("Calibration", recipe.calibration + digest + (f", {caveat}" if caveat else "")),
        ("Basis", assay.basis),
        ("Deviations from the method", "; ".join([*_deviations(assay), *([caveat] if caveat else [])]) or "none"),
        ("External results", "none"),
        ("Authorised by", f"{item.authorised_by}, {item.authorised_at}" if item.authorised_by else "not released"),
        ("Record of the result", f"{item.record}:{item.digest}"),
    ]
    if item.amendments:
        facts.insert(0, ("Amended", "; ".join(item.amendments)))
    return {"name": assay.specimen, "facts": facts, "rows": _rows(assay), "total": _total(assay)}


def _deviations(assay: Assay) -> list[str]:
    """Reasons of what is doubtful, and of what was found with a warning."""
    judged = zip(assay.components, assay.verdicts, assay.reasons, strict=True)
    return [f"{c}: {reason}" for c, verdict, reason in judged if reason and verdict is not Verdict.NOT_DETECTED]


def _rows(assay: Assay) -> list[tuple[str, ...]]:
    """Component, result, U, unit, detection limit, oxide, as oxide, remark."""
    rows: list[tuple[str, ...]] = []
    for i, component in enumerate(assay.components):
        w, expanded, limit = (
            float(values[i]) for values in (assay.mass_fraction, assay.expanded_uncertainty, assay.detection_limit)
        )
        unit = display_unit([w])
        value, u = rounded(w, expanded, unit)
        oxide = USUAL_OXIDES.get(component, "")
        share = element_fraction(oxide, component) if oxide else 1.0
        as_oxide = rounded(w / share, expanded / share, unit)[0] if oxide else ""
        remark = "" if assay.verdicts[i] is Verdict.DETECTED else str(assay.verdicts[i])
        limit_text = rounded_alone(limit, unit)
        rows.append((component, value, u, unit.sign, limit_text, oxide.translate(_SUBSCRIPTS), as_oxide, remark))
    return rows


HEADER = ("Component", "Result", "± U", "Unit", "Detection limit", "Oxide", "As oxide", "Remark")


def _total(assay: Assay) -> str:
    elements, total, u = total_rare_earth_oxides(assay)
    if not elements:
        return "No rare earth was determined."
    k = assay.coverage_factor
    unit = display_unit([total])
    value, expanded = rounded(total, k * u, unit)
    oxides = ", ".join(USUAL_OXIDES[e].translate(_SUBSCRIPTS) for e in elements)
    return f"Total rare-earth oxides ({oxides}): {value} ± {expanded} {unit.sign} (k = {k:g}); " + REST


def _closing(certificate: Certificate) -> list[str]:
    factors = ", ".join(sorted({f"{item.assay.coverage_factor:g}" for item in certificate.items}))
    return [
        f"Results are mass fractions of the elements; U is the expanded uncertainty (coverage factor k = {factors}). "
        "Oxides are calculated from the elements by the formulas given.",
        ONLY_ITEMS,
        WHOLE,
    ]


def _document(fpdf: Any, certificate: Certificate, font: Path | None) -> Any:
    from matplotlib import get_data_path

    class Document(fpdf.FPDF):  # type: ignore[misc]
        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("text", size=7)
            self.cell(0, 6, f"Certificate {certificate.number}, page {self.page_no()} of {{nb}}", align="C")

    pdf = Document(format="A4")
    fonts = Path(get_data_path()) / "fonts" / "ttf"
    pdf.add_font("text", "", str(font or fonts / "DejaVuSans.ttf"))
    pdf.add_font("text", "B", str(font or fonts / "DejaVuSans-Bold.ttf"))
    pdf.set_title(f"{_title(certificate)} {certificate.number}")
    # The same content makes the same file.
    pdf.set_creation_date(dt.datetime.combine(certificate.issued, dt.time(), dt.UTC))
    pdf.set_auto_page_break(auto=True, margin=16)
    pdf.add_page()
    pdf.set_font("text", size=8)
    return pdf


def _heading(pdf: Any, text: str, size: int) -> None:
    pdf.set_font("text", "B", size)
    pdf.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("text", size=8)
    pdf.ln(1)


def _pairs(pdf: Any, pairs: Sequence[tuple[str, str]]) -> None:
    with pdf.table(
        col_widths=(1, 3), first_row_as_headings=False, borders_layout="HORIZONTAL_LINES", line_height=4.5
    ) as table:
        for pair in pairs:
            table.row(pair)
    pdf.ln(2)


def _table(pdf: Any, rows: Sequence[tuple[str, ...]]) -> None:
    alignment = ("LEFT", "RIGHT", "RIGHT", "LEFT", "RIGHT", "LEFT", "RIGHT", "LEFT")
    with pdf.table(text_align=alignment, borders_layout="HORIZONTAL_LINES", line_height=4.5) as table:
        for row in (HEADER, *rows):
            table.row(row)
    pdf.ln(1)
