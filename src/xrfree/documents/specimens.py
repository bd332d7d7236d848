"""Lists of specimens: a CSV table -> what each specimen is.

The columns are specimen, form, density_g_cm3, thickness_cm, and optionally role, sample (of which the specimen is a
preparation; specimens of one sample are duplicates), loss_on_ignition, formula
(of a pure compound, or formulas and mass shares of a mixture: "Fe2O3:0.8 SiO2:0.2"), flux, sample_g, flux_g,
ignited_mass_per_g_sample (of a fused bead) and conditions (not looked at). The delimiter is a comma, a
semicolon or a tab; a decimal comma is understood unless the delimiter is one.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xrfree.documents._base import read_text
from xrfree.documents._parts import check_formula
from xrfree.errors import DocumentError, DomainError
from xrfree.specimen import Fusion, Specimen, SpecimenForm

_REQUIRED_COLUMNS = ("specimen", "form", "density_g_cm3", "thickness_cm")
_FUSION_COLUMNS = ("flux", "sample_g", "flux_g", "ignited_mass_per_g_sample")
_COLUMNS = (*_REQUIRED_COLUMNS, "role", "sample", "loss_on_ignition", "formula", *_FUSION_COLUMNS, "conditions")
_DELIMITERS = (",", ";", "\t")
_SHARES_ROUNDING = 1e-6
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecimenEntry:
    """One row of a list of specimens.

    role : what the list says it is for ("standard", "unknown" ...); empty where it does not say.
    sample : what it is a preparation of; empty where the list does not say.
    contents : mass share of each formula it is made of, summing to 1; empty where nobody says.
    """

    role: str
    specimen: Specimen
    contents: Mapping[str, float] = field(default_factory=dict)
    sample: str = ""


def roles_of(entries: Mapping[str, SpecimenEntry] | None) -> dict[str, str]:
    """Roles of the specimens whose entries state one, by name; none without a list."""
    return {name: entry.role for name, entry in (entries or {}).items() if entry.role}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Cells of one row by column, and where they stand."""

    path: Path
    line: int
    cells: Mapping[str, str]
    decimal_comma: bool

    def error(self, column: str, found: str, remedy: str) -> DocumentError:
        place = f"line {self.line}, {column}" if column else f"line {self.line}"
        return DocumentError(self.path, place=place, found=found, remedy=remedy)

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def number(self, column: str) -> float | None:
        text = self.text(column)
        return self.as_number(text, column) if text else None

    def needed(self, column: str) -> float:
        value = self.number(column)
        if value is None:
            raise self.error(column, "is empty", "Give a number above 0")
        return value

    def as_number(self, text: str, column: str) -> float:
        pointed = text.replace(",", ".") if self.decimal_comma else text
        if not _NUMBER.fullmatch(pointed) or math.isinf(float(pointed)):
            point = "point or comma" if self.decimal_comma else "point"
            found = f"is {text!r}, expected a number with a decimal {point}"
            raise self.error(column, found, "Correct the cell")
        return float(pointed)


def load_specimens(path: Path | str) -> dict[str, SpecimenEntry]:
    """Specimens of a CSV table by their names, in the table's order.

    Raises DocumentError with the line and column that are wrong.
    """
    path = Path(path)
    entries: dict[str, SpecimenEntry] = {}
    lines: dict[str, int] = {}
    for row in _rows(path):
        name = row.text("specimen")
        if not name or not name.isprintable():
            raise row.error("specimen", f"is {name!r}, expected a name", "Give the specimen a name")
        if name in entries:
            raise row.error(
                "specimen", f"'{name}' already stands in line {lines[name]}", "Keep one row of each specimen"
            )
        entries[name], lines[name] = _entry(row), row.line
    if not entries:
        raise DocumentError(path, found="holds no specimen below its header", remedy="Add one row per specimen")
    return entries


def _rows(path: Path) -> Iterator[_Row]:
    """Rows below the header that are not blank."""
    text = read_text(path)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        header = _checked_header([cell.strip() for cell in next(reader, [])], path)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise DocumentError(
                    path,
                    place=f"line {reader.line_num}",
                    found=f"{len(cells)} cells, expected {len(header)}",
                    remedy='Put cells that hold the delimiter into "quotation marks"',
                )
            named = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            yield _Row(path=path, line=reader.line_num, cells=named, decimal_comma=delimiter != ",")
    except csv.Error as problem:
        raise DocumentError(
            path,
            place=f"line {reader.line_num}",
            found=f"is not CSV: {problem}",
            remedy="Export the table again",
        ) from problem


def _delimiter(text: str) -> str:
    """The delimiter that stands most often in the header."""
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _checked_header(header: list[str], path: Path) -> list[str]:
    missing = [name for name in _REQUIRED_COLUMNS if name not in header]
    unknown = [name for name in header if name not in _COLUMNS]
    twice = [name for name in _COLUMNS if header.count(name) > 1]
    for complaint, names in (
        ("column missing", missing), ("unknown column", unknown), ("column given twice", twice),
    ):  # fmt: skip
        if names:
            raise DocumentError(
                path,
                place="line 1",
                found=f"{complaint}: {', '.join(map(repr, names))}",
                remedy=f"A list of specimens has the columns {', '.join(_COLUMNS)}",
            )
    return header


def _entry(row: _Row) -> SpecimenEntry:
    return SpecimenEntry(
        role=row.text("role"), specimen=_specimen(row), contents=_contents(row), sample=row.text("sample")
    )


def _contents(row: _Row) -> dict[str, float]:
    """Mass share of each formula of a text like "Fe2O3:0.8 SiO2:0.2"; a single formula needs no share."""
    parts = [part.partition(":") for part in row.text("formula").split()]
    contents: dict[str, float] = {}
    for formula, colon, share in parts:
        _check_formula(row, "formula", formula)
        if formula in contents:
            raise row.error("formula", f"names {formula} twice", "Correct the cell")
        contents[formula] = row.as_number(share, "formula") if colon or len(parts) > 1 else 1.0
    if contents and (min(contents.values()) <= 0.0 or abs(sum(contents.values()) - 1.0) > _SHARES_ROUNDING):
        found = f"is {row.text('formula')!r}: mass shares must be above 0 and sum to 1"
        raise row.error("formula", found, "Write it like Fe2O3:0.8 SiO2:0.2")
    return contents


def _check_formula(row: _Row, column: str, formula: str) -> None:
    try:
        check_formula(formula)
    except DomainError as problem:
        raise row.error(column, str(problem), "Correct the cell") from problem


def _specimen(row: _Row) -> Specimen:
    form = _form(row)
    numbers = {column: row.needed(column) for column in ("density_g_cm3", "thickness_cm")}
    fusion = _fusion(row, form)
    try:
        return Specimen(form=form, **numbers, loss_on_ignition=row.number("loss_on_ignition"), fusion=fusion)
    except DomainError as problem:
        raise row.error("", str(problem), "Correct the row") from problem


def _form(row: _Row) -> SpecimenForm:
    text = row.text("form")
    try:
        return SpecimenForm(text)
    except ValueError as problem:
        choices = " or ".join(f"'{form}'" for form in SpecimenForm)
        raise row.error("form", f"is {text!r}, expected {choices}", "Correct the cell") from problem


def _fusion(row: _Row, form: SpecimenForm) -> Fusion | None:
    """Weighing record; None where its columns are empty."""
    given = [column for column in _FUSION_COLUMNS if row.text(column)]
    if form is not SpecimenForm.FUSED_BEAD:
        if given:
            found = f"is {row.text(given[0])!r} for a {form}"
            raise row.error(given[0], found, "Empty the cell, or correct the form")
        return None
    if not row.text("flux"):
        raise row.error("flux", "is empty for a fused bead", "Give the flux, such as Li2B4O7:LiBO2 12:22")
    weighed = {column: row.needed(column) for column in _FUSION_COLUMNS[1:]}
    try:
        return Fusion(flux=_flux(row), **weighed)
    except DomainError as problem:
        raise row.error("", str(problem), "Correct the row") from problem


def _flux(row: _Row) -> tuple[tuple[str, float], ...]:
    """Formulas and masses of a text like "Li2B4O7:LiBO2 12:22"; a single formula needs no mass."""
    formulas_text, _, masses_text = row.text("flux").partition(" ")
    formulas = formulas_text.split(":")
    masses = masses_text.strip().split(":") if masses_text or len(formulas) > 1 else ["1"]
    if len(masses) != len(formulas):
        raise row.error(
            "flux",
            f"is {row.text('flux')!r}, with {len(formulas)} formulas and {len(masses)} masses",
            "Write it like Li2B4O7:LiBO2 12:22",
        )
    for formula in formulas:
        _check_formula(row, "flux", formula)
    return tuple((f, row.as_number(m, "flux")) for f, m in zip(formulas, masses, strict=True))
