"""Worklists of a laboratory information system: CSV, XLSX or JSON -> what is to be assayed for whom.

Columns (of a table) or keys (of a JSON list of objects): sample, and optionally files (expected files, several
separated by ";" or spaces), order, customer, description, condition, received, sampled, sampling_plan. Others are not
looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from xrfree.documents._base import read_text
from xrfree.documents._tables import table_cells
from xrfree.errors import DocumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One sample that somebody expects a result of; empty where the worklist does not say.

    files : names of the spectrum files that are expected of it.
    """

    sample: str
    files: tuple[str, ...] = ()
    order: str = ""
    customer: str = ""
    description: str = ""
    condition: str = ""
    received: str = ""
    sampled: str = ""
    sampling_plan: str = ""


_COLUMNS = tuple(field.name for field in fields(WorkItem))


def load_worklist(path: Path | str) -> dict[str, WorkItem]:
    """Items of a worklist by sample, in its order."""
    path = Path(path)
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _table_rows(path)
    items: dict[str, WorkItem] = {}
    for place, row in rows:
        sample = row.get("sample", "").strip()
        if not sample:
            raise DocumentError(path, place=place, found="names no sample", remedy="Fill the column sample")
        if sample in items:
            raise DocumentError(path, place=place, found=f"names {sample!r} again", remedy="Name each sample once")
        texts = {name: row.get(name, "").strip() for name in _COLUMNS if name not in ("sample", "files")}
        files = tuple(part for part in re.split(r"[;\s]+", row.get("files", "")) if part)
        items[sample] = WorkItem(sample=sample, files=files, **texts)
    if not items:
        raise DocumentError(path, found="holds no sample", remedy="Export the worklist again")
    return items


def sample_names(path: Path | str, items: Mapping[str, WorkItem]) -> dict[str, str]:
    """Sample by the name of its expected file."""
    found: dict[str, str] = {}
    for item in items.values():
        for name in item.files:
            if found.setdefault(name, item.sample) != item.sample:
                raise DocumentError(
                    path, found=f"expects {name} of {found[name]} and of {item.sample}", remedy="Correct the worklist"
                )
    return found


def _table_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    rows = table_cells(path)
    header = next(rows, None)
    names = [name.lower() for name in header[1]] if header else []
    if "sample" not in names:
        raise DocumentError(path, found="has no column sample", remedy="Name the column of the sample ids so")
    for line, cells in rows:
        yield f"line {line}", dict(zip(names, cells, strict=False))


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as problem:
        raise DocumentError(path, found=f"is not JSON: {problem}", remedy="Export the worklist again") from problem
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DocumentError(path, found="is not a list of objects", remedy="Export the worklist again")
    for i, row in enumerate(data):
        yield f"[{i}]", {str(key).lower(): _text(value) for key, value in row.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ";".join(map(str, value)) if isinstance(value, list) else str(value)
