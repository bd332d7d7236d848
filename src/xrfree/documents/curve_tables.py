"""Tables around calibration curves: standards to leave out, and readings of drift monitors.

Exclusions: material, curve, reason, by, at. `curve` is an analyte, or empty for all curves; `reason` must be given.
Monitors: line, monitor, reference_per_s, reference_uncertainty_per_s, now_per_s, now_uncertainty_per_s.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xrfree.calibration import ExcludedStandard
from xrfree.documents._tables import table_cells
from xrfree.errors import DocumentError, DomainError
from xrfree.line_method import MonitorReading

EXCLUSION_COLUMNS = ("material", "curve", "reason", "by", "at")
_RATES = ("reference_per_s", "reference_uncertainty_per_s", "now_per_s", "now_uncertainty_per_s")
_MONITORS = ("line", "monitor", *_RATES)


def load_exclusions(path: Path | str) -> tuple[ExcludedStandard, ...]:
    """Standards that a table (.csv, .xlsx) leaves out, each with its reason."""
    path = Path(path)
    found = []
    for place, row in _rows(path, EXCLUSION_COLUMNS):
        try:
            found.append(ExcludedStandard(**row))
        except DomainError as problem:
            raise DocumentError(path, place=place, found=str(problem), remedy="Fill in the cell reason") from problem
    return tuple(found)


def load_monitors(path: Path | str) -> dict[str, tuple[MonitorReading, ...]]:
    """Readings of drift monitors by line."""
    path = Path(path)
    found: dict[str, tuple[MonitorReading, ...]] = {}
    for place, row in _rows(path, _MONITORS):
        try:
            reading = MonitorReading(**{name: float(row[name]) for name in _RATES})
        except ValueError as problem:  # no number, or a DomainError
            raise DocumentError(path, place=place, found=str(problem), remedy="Give rates in 1/s") from problem
        found[row["line"]] = (*found.get(row["line"], ()), reading)
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    rows = table_cells(path)
    _, header = next(rows, (1, []))
    if tuple(header) != columns:
        raise DocumentError(
            path, place="line 1", found=f"the columns are {', '.join(header)}", remedy=f"Expected {', '.join(columns)}"
        )
    for line, cells in rows:
        if len(cells) != len(columns):
            raise DocumentError(
                path,
                place=f"line {line}",
                found=f"{len(cells)} cells, expected {len(columns)}",
                remedy="Correct the row",
            )
        yield f"line {line}", dict(zip(columns, cells, strict=True))
