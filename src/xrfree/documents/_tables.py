"""Rows of cells from CSV tables and Excel workbooks."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path

from xrfree.documents._base import read_text
from xrfree.errors import DocumentError

TABLE_SUFFIXES = frozenset([".csv", ".xlsx"])


def table_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of each row of a table that is not blank; of the first sheet of a workbook."""
    rows = _workbook_cells(path) if path.suffix.lower() == ".xlsx" else _csv_cells(path)
    return ((line, cells) for line, cells in rows if any(cells))


def _csv_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as problem:
        raise DocumentError(
            path,
            place=f"line {reader.line_num}",
            found=f"is not CSV: {problem}",
            remedy="Export the table again",
        ) from problem


def _workbook_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ImportError as problem:
        raise DocumentError(
            path,
            found="is an Excel workbook, and openpyxl is not installed",
            remedy="Install it (pip install 'xrfree[formats]'), or export the sheet as CSV",
        ) from problem
    if not path.is_file():
        raise DocumentError(path, found="there is no such file", remedy=f"It was looked for in {path.parent.resolve()}")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [[_cell_text(value) for value in row] for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except Exception as problem:  # whatever a damaged archive makes of itself
        raise DocumentError(
            path, found=f"is not a workbook that can be read: {problem}", remedy="Save it again as .xlsx, or as CSV"
        ) from problem
    width = max((i + 1 for row in rows for i, text in enumerate(row) if text), default=0)
    yield from enumerate((row[:width] for row in rows), start=1)


def _cell_text(value: object) -> str:
    """Text of a cell; a number with all its digits, a date in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return repr(value) if isinstance(value, float) else str(value).strip()
