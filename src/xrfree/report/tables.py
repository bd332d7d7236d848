"""Results for other programs: CSV and JSON in kg/kg with all digits. Columns are only ever added."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.assay import Assay
from xrfree.report.files import replacing, write_text
from xrfree.report.refused import Refusal

ASSAY_COLUMNS = (
    "specimen",
    "component",
    "mass_fraction",
    "standard_uncertainty",
    "expanded_uncertainty",
    "coverage_factor",
    "decision_limit",
    "detection_limit",
    "verdict",
    "reason",
    "source_sha256",
    "method_sha256",
    "calibration_sha256",
    "software_version",
    "calibration_status",
)
REFUSED_COLUMNS = ("path", "specimen", "reason", "remedy")
JSON_SCHEMA = "xrfree/assays/1"


MOST_IN_JSON = 10_000
"""Specimens up to which assays.json is written: it needs some 70 kB for each."""


def write_refused_csv(path: Path, refusals: Iterable[Refusal]) -> None:
    """One row per refused input: the quarantine list, for people with spreadsheets."""
    rows = ([safe_cell(text) for text in (r.path, r.specimen, r.reason, r.remedy)] for r in refusals)
    write_text(path, csv_text(REFUSED_COLUMNS, rows))


def write_tables(
    folder: Path,
    assays: Iterable[Assay],
    refusals: Iterable[Refusal] = (),
    *,
    json_too: bool = True,
    gates: Mapping[str, Any] | None = None,
    roles: Mapping[str, str] | None = None,
) -> None:
    """Write assays.csv and assays.json, one assay after the other as they come.

    assays.csv : one row per specimen and component, analytes first; several source digests are separated by spaces.
    assays.json : all results with covariance, budget, areas and recipe; not written, and an old one removed, if not
        `json_too`.
    gates : findings of the batch's gates as plain data; None where the method has no gates.
    roles : by specimen, what the list of specimens says it is for; in assays.json only.
    """
    with ExitStack() as stack:
        table = _opened(stack, folder / "assays.csv")
        document = _opened(stack, folder / "assays.json") if json_too else None
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(ASSAY_COLUMNS)
        if document is not None:
            document.write(f'{{"schema": {_json(JSON_SCHEMA)}, "assays": [')
        for i, assay in enumerate(assays):
            rows.writerows(assay_rows(assay))
            if document is not None:
                # One line per assay: complete, and yet a person can look at it.
                document.write((",\n" if i else "\n") + _json(assay_document(assay)))
        if document is not None:
            refused = [{"path": r.path, "specimen": r.specimen, "reason": r.reason} for r in refusals]
            told = "" if gates is None else f', "gates": {_json(gates)}'
            told += f', "roles": {_json(dict(roles))}' if roles else ""
            document.write(f'\n], "refused": {_json(refused)}{told}}}\n')
    if not json_too:
        (folder / "assays.json").unlink(missing_ok=True)


def _opened(stack: ExitStack, path: Path) -> TextIO:
    partial = stack.enter_context(replacing(path))
    return stack.enter_context(partial.open("w", encoding="utf-8", errors="backslashreplace", newline=""))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV with line feeds. Cells are verbatim: a name that looks like a formula stays that name."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def assay_rows(assay: Assay) -> list[tuple[str, ...]]:
    """Rows of one assay in the order of `ASSAY_COLUMNS`."""
    recipe = assay.recipe
    origin = (
        " ".join(recipe.source_sha256),
        recipe.method_sha256,
        recipe.calibration_sha256,
        recipe.software_version,
        recipe.calibration_status,
    )
    columns = (
        assay.components,
        _digits(assay.mass_fraction),
        _digits(assay.standard_uncertainty),
        _digits(assay.expanded_uncertainty),
        [repr(float(assay.coverage_factor))] * len(assay.components),
        _digits(assay.decision_limit),
        _digits(assay.detection_limit),
        map(str, assay.verdicts),
        assay.reasons,
    )
    return [(assay.specimen, *cells, *origin) for cells in zip(*columns, strict=True)]


# Spreadsheets take the wide forms of East Asian keyboards for the same signs.
_WIDE = ("\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH COMMERCIAL AT}")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH HYPHEN-MINUS}", *_WIDE)


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows and never computes: what looks like a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def _digits(values: NDArray[np.float64]) -> list[str]:
    """All digits of each."""
    return list(map(repr, values.tolist()))


def assay_document(assay: Assay) -> dict[str, Any]:
    """An assay as plain data, kg/kg."""
    composition, recipe = assay.composition, assay.recipe
    return {
        "specimen": assay.specimen,
        "basis": assay.basis,
        "components": list(assay.components),
        "analytes": list(assay.analytes),
        "mass_fraction": assay.mass_fraction.tolist(),
        "standard_uncertainty": assay.standard_uncertainty.tolist(),
        "expanded_uncertainty": assay.expanded_uncertainty.tolist(),
        "coverage_factor": float(assay.coverage_factor),
        "covariance": assay.covariance.tolist(),
        "budget": {name: _numbers(u) for name, u in assay.budget.items()},
        "decision_limit": assay.decision_limit.tolist(),
        "detection_limit": assay.detection_limit.tolist(),
        "quantification_limit": _numbers(assay.quantification_limit),
        "verdicts": [str(verdict) for verdict in assay.verdicts],
        "reasons": list(assay.reasons),
        "composition": dict(zip(composition.elements, composition.mass_fraction.tolist(), strict=True)),
        "areas": [_areas_document(areas) for areas in assay.areas],
        "iterations": int(assay.iterations),
        "recipe": {
            "sources": [
                {"path": path, "sha256": sha} for path, sha in zip(recipe.sources, recipe.source_sha256, strict=True)
            ],
            "method": recipe.method,
            "method_sha256": recipe.method_sha256,
            "instrument": recipe.instrument,
            "instrument_sha256": recipe.instrument_sha256,
            "calibration": recipe.calibration,
            "calibration_sha256": recipe.calibration_sha256,
            "tables": recipe.tables,
            "software_version": recipe.software_version,
            "block": recipe.block,
            "calibration_status": recipe.calibration_status,
        },
    }


def _areas_document(areas: NetAreas) -> dict[str, Any]:
    return {
        "condition": areas.condition,
        "region": areas.region,
        "groups": list(areas.groups),
        "area": areas.area.tolist(),
        "covariance": areas.covariance.tolist(),
        "counting_covariance": areas.counting_covariance.tolist(),
        "response_covariance": areas.response_covariance.tolist(),
        "variance_at_zero": areas.variance_at_zero.tolist(),
        "live_time_s": float(areas.live_time_s),
        "survival": _number(areas.survival),
        "reduced_deviance": _number(areas.reduced_deviance),
        "verdict": str(areas.verdict),
        "reason": areas.reason,
        "parameters": _parameters(areas.parameters),
    }


def _parameters(parameters: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, float | None]]:
    return {
        name: {"value": _number(value), "standard_uncertainty": _number(u)} for name, (value, u) in parameters.items()
    }


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    """JSON has no NaN; a number that is none is null."""
    return float(value) if math.isfinite(value) else None
