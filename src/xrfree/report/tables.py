"""Results for other programs: CSV and JSON in kg/kg with all digits. Columns are only ever added."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.assay import Assay
from xrfree.report.files import write_text
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
)
REFUSED_COLUMNS = ("path", "specimen", "reason")
JSON_SCHEMA = "xrfree/assays/1"


def write_assays_csv(path: Path, assays: Iterable[Assay]) -> None:
    """One row per specimen and component, analytes first; several source digests are separated by spaces."""
    write_text(path, csv_text(ASSAY_COLUMNS, (row for assay in assays for row in assay_rows(assay))))


def write_refused_csv(path: Path, refusals: Iterable[Refusal]) -> None:
    """One row per refused input."""
    write_text(path, csv_text(REFUSED_COLUMNS, ((r.path, r.specimen, r.reason) for r in refusals)))


def write_assays_json(path: Path, assays: Iterable[Assay], refusals: Iterable[Refusal] = ()) -> None:
    """All results with covariance, budget, areas and recipe."""
    refused = [{"path": r.path, "specimen": r.specimen, "reason": r.reason} for r in refusals]
    # One line per assay: complete, and yet a person can look at it.
    lines = ",\n".join(_json(assay_document(assay)) for assay in assays)
    write_text(
        path,
        f'{{"schema": {_json(JSON_SCHEMA)}, "assays": [\n{lines}\n], "refused": {_json(refused)}}}\n',
    )


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
    u, expanded = assay.standard_uncertainty, assay.expanded_uncertainty
    recipe = assay.recipe
    return [
        (
            assay.specimen,
            component,
            _digits(assay.mass_fraction[i]),
            _digits(u[i]),
            _digits(expanded[i]),
            _digits(assay.coverage_factor),
            _digits(assay.decision_limit[i]),
            _digits(assay.detection_limit[i]),
            str(assay.verdicts[i]),
            assay.reasons[i],
            " ".join(recipe.source_sha256),
            recipe.method_sha256,
            recipe.calibration_sha256,
            recipe.software_version,
        )
        for i, component in enumerate(assay.components)
    ]


def _digits(value: float) -> str:
    return repr(float(value))


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
        },
    }


def _areas_document(areas: NetAreas) -> dict[str, Any]:
    return {
        "condition": areas.condition,
        "region": areas.region,
        "groups": list(areas.groups),
        "area": areas.area.tolist(),
        "covariance": areas.covariance.tolist(),
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
