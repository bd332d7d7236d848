"""Results for a laboratory information system: one row per sample and component, rounded by nobody."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from xrfree.errors import XrfreeError
from xrfree.report.files import replacing, write_text
from xrfree.report.tables import csv_text, safe_cell

UNITS = {"kg/kg": 1.0, "%": 100.0, "mg/kg": 1e6}
SCHEMA = "xrfree/results/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One result; None where there is no number.

    flag : empty, "not detected", "doubtful", "refused" or "missing". released : by whom and when, empty if not.
    record, digest : of the result in the ledger. calibration_status : "draft" where nobody had approved it, and so on.
    """

    sample: str
    order: str
    component: str
    result: float | None
    unit: str
    expanded_uncertainty: float | None
    coverage_factor: float | None
    decision_limit: float | None
    detection_limit: float | None
    flag: str
    reason: str
    method: str
    released: str
    amended: bool
    record: int | None
    digest: str
    calibration_status: str


COLUMNS = tuple(field.name for field in fields(ResultRow))


def write_results_file(path: Path, rows: Sequence[ResultRow]) -> None:
    """Write results as the suffix says: .csv, .xlsx or .json; no cell is ever computed by a spreadsheet."""
    writers = {".csv": _write_csv, ".xlsx": _write_xlsx, ".json": _write_json}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise XrfreeError(f"{path.name}: results are written as {', '.join(writers)}. Choose one of these suffixes.")
    writer(path, rows)


def _cells(row: ResultRow) -> Iterable[object]:
    return (getattr(row, name) for name in COLUMNS)


def _write_csv(path: Path, rows: Sequence[ResultRow]) -> None:
    lines = ([_csv_cell(value) for value in _cells(row)] for row in rows)
    write_text(path, csv_text(COLUMNS, lines))


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    return safe_cell(value) if isinstance(value, str) else repr(value)


def _write_json(path: Path, rows: Sequence[ResultRow]) -> None:
    data = {"schema": SCHEMA, "results": [asdict(row) for row in rows]}
    write_text(path, json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def _write_xlsx(path: Path, rows: Sequence[ResultRow]) -> None:
    import xlsxwriter

    with replacing(path) as partial:
        # Text from outside must not become formulas or links.
        options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        book = xlsxwriter.Workbook(str(partial), options)
        sheet = book.add_worksheet("results")
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(COLUMNS):
            sheet.write_string(0, column, name)
        for line, row in enumerate(rows, start=1):
            for column, value in enumerate(_cells(row)):
                if isinstance(value, str):
                    sheet.write_string(line, column, value)
                elif isinstance(value, bool):
                    sheet.write_boolean(line, column, value)
                elif isinstance(value, int | float):
                    sheet.write_number(line, column, value)
        book.close()
