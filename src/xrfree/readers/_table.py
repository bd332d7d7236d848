"""Tables with a row per specimen: rows of cells, numbers with a decimal point or comma, units, limits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xrfree.errors import DomainError, SpectrumFileError
from xrfree.intensities import LineIntensities
from xrfree.readers._format import SpectrumBytes
from xrfree.readers._text import EXPORT_AGAIN, decode, number, shown
from xrfree.reported import ReportedResults, ReportedValue

# Cells of a file of 256 MB would fill the memory; no table of results has so many.
_MOST_CELLS = 4_000_000
# How many of a unit make 1 kg/kg.
_PER_KG_KG = {
    "ppm": 1e6,
    "mg/kg": 1e6,
    "ppb": 1e9,
    "%": 1e2,
    "wt%": 1e2,
    "wt.%": 1e2,
    "mass%": 1e2,
    "pct": 1e2,
    "kg/kg": 1.0,
}
_CENSORED = {"<lod", "<", "nd", "n.d.", "<dl", "<loq"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """A kind of table; `results` or `intensities` turns its bytes into nouns.

    name : for people; recognises : whether the first 4096 bytes look like it.
    """

    name: str
    recognises: Callable[[bytes], bool]
    results: Callable[[SpectrumBytes], Iterator[ReportedResults]] | None = None
    intensities: Callable[[SpectrumBytes], Iterator[LineIntensities]] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a line, without blanks and quotes, and the number of the line."""

    path: Path
    cells: list[str]
    line: int

    def cell(self, column: int) -> str:
        """A cell; empty beyond the end of the line."""
        return self.cells[column] if column < len(self.cells) else ""

    def number(self, column: int, *, comma: bool = False) -> float | None:
        """Number of a cell, None for an empty one; an error for anything else."""
        text = self.cell(column)
        if not text or text in {"NA", "N/A"}:
            return None
        value = number(text.replace(",", ".") if comma else text)
        if value is None:
            raise self.bad(f"{shown(text)} in column {column + 1}, expected a number")
        return value

    def bad(self, found: str) -> SpectrumFileError:
        """An error about this line."""
        return bad_line(self.path, self.line, found)


def bad_line(path: Path, line: int, found: str) -> SpectrumFileError:
    """An error about a line of a table."""
    return SpectrumFileError(
        path, place=f"line {line}", found=found, remedy=f"{EXPORT_AGAIN}, or repair the line; nothing is guessed"
    )


def rows_of(file: SpectrumBytes, separator: str) -> list[Row]:
    """All lines of a table that are not blank."""
    text = decode(file.path, file.content)
    if text.count(separator) > _MOST_CELLS:
        raise SpectrumFileError(file.path, found=f"more than {_MOST_CELLS} cells", remedy="Split the file")
    try:
        cells = list(csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise SpectrumFileError(
            file.path, found=f"not a table of separated values ({error})", remedy=EXPORT_AGAIN
        ) from error
    rows = (Row(file.path, [cell.strip() for cell in row], line) for line, row in enumerate(cells, 1))
    filled = [row for row in rows if any(row.cells)]
    if not filled:
        raise SpectrumFileError(file.path, found="all cells are empty", remedy=EXPORT_AGAIN)
    return filled


def per_kg_kg(row: Row, unit: str) -> float:
    """How many of a unit of contents make 1 kg/kg; an error for a unit that is none."""
    divisor = _PER_KG_KG.get(unit.replace(" ", "").lower())
    if divisor is None:
        raise row.bad(f"the unit {shown(unit)}, expected one of {', '.join(_PER_KG_KG)}")
    return divisor


def is_unit(text: str) -> bool:
    """Whether a text is a unit of contents."""
    return text.replace(" ", "").lower() in _PER_KG_KG


def is_censored(text: str) -> bool:
    """Whether a cell says that nothing was detected."""
    return text.replace(" ", "").lower() in _CENSORED


def reported(
    row: Row, component: str, text: str, value: float | None, *, uncertainty: float | None, limit: float | None
) -> ReportedValue:
    """A value in kg/kg; an uncertainty or a limit of zero means that none is given, a content of zero: not detected."""
    value = value or None
    try:
        return ReportedValue(
            component=component,
            mass_fraction=value,
            standard_uncertainty=uncertainty if uncertainty and value is not None else None,
            detection_limit=limit or None,
            text=text,
        )
    except DomainError as error:
        raise row.bad(str(error)) from error
