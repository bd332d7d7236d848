"""Calibration documents: TOML <-> Calibration.

    schema = "xrfree/calibration/1"
    name = "Bench, May"
    tables = "xraylib 4.1.5"
    instrument_sha256 = "..."
    method_sha256 = "..."
    created = "2025-05-02T09:30:00+00:00"
    software_version = "0.1.0"
    sensitivities = [
        { group = "low/band/La L", log_sensitivity = 7.1, blank = 3e-6, blank_uncertainty = 2e-6,
          blank_correlation = 0.1, relative_scatter = 0.004, absolute_scatter = 2e-6 },
    ]
    covariance = [
        [1.6e-05],
    ]
    points = [
        { material = "P01", group = "low/band/La L", certified = 0.01, certified_uncertainty = 5e-05,
          found = 0.0101, found_uncertainty = 4e-05 },
    ]

A group is named by condition, region and line group. `covariance` is that of log_sensitivity, by the rows of
its lower triangle; `blank_correlation` is that of a group's blank with its own log_sensitivity.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from xrfree.calibration import Calibration, StandardPoint
from xrfree.documents._base import Document, validate
from xrfree.documents._parts import (
    CovarianceRows,
    LineGroupName,
    Name,
    NotNegative,
    Sha256,
    covariance_matrix,
    covariance_rows,
    identity,
    read_document,
    refused,
    section,
    write_document,
)

SCHEMA = "xrfree/calibration/1"

_COLUMNS = (
    "log_sensitivity",
    "blank",
    "blank_uncertainty",
    "blank_correlation",
    "relative_scatter",
    "absolute_scatter",
)
"""Numbers of one line group, one per row of `sensitivities`."""

_KEY_PARTS = TypeAdapter(tuple[Name, Name, LineGroupName])


def _checked_key(key: str) -> str:
    try:
        _KEY_PARTS.validate_python(tuple(key.split("/")))
    except ValidationError as problem:
        raise refused("expected condition/region/line group, such as 'low/band/La L'") from problem
    return key


GroupKey = Annotated[str, AfterValidator(_checked_key)]


class SensitivityDocument(Document):
    """Sensitivity of one line group, as a document writes it."""

    group: GroupKey
    log_sensitivity: float
    blank: float
    blank_uncertainty: NotNegative
    blank_correlation: Annotated[float, Field(ge=-1, le=1)]
    relative_scatter: NotNegative
    absolute_scatter: NotNegative


class StandardPointDocument(Document):
    """One reference material in one regression, as a document writes it."""

    material: Annotated[str, Field(min_length=1)]
    group: GroupKey
    certified: float
    certified_uncertainty: NotNegative
    found: float
    found_uncertainty: NotNegative


class CalibrationDocument(Document):
    """A calibration, as a document writes it."""

    schema_name: Literal["xrfree/calibration/1"] = Field(alias="schema")
    name: str
    tables: str
    instrument_sha256: Sha256
    method_sha256: Sha256
    created: str
    software_version: str
    sensitivities: tuple[SensitivityDocument, ...]
    covariance: CovarianceRows
    points: tuple[StandardPointDocument, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> CalibrationDocument:
        groups = [row.group for row in self.sensitivities]
        if len(set(groups)) != len(groups):
            raise refused("sensitivities names a group twice")
        if len(self.covariance) != len(groups):
            raise refused(f"{len(groups)} sensitivities have {len(self.covariance)} rows of covariance")
        return self


def load_calibration(path: Path | str) -> Calibration:
    """Calibration of a TOML document."""
    path = Path(path)
    document = read_document(CalibrationDocument, path)
    rows = document.sensitivities
    with section(path, "sensitivities"):
        return Calibration(
            name=document.name,
            groups=tuple(row.group for row in rows),
            covariance=covariance_matrix(document.covariance),
            **{key: np.array([getattr(row, key) for row in rows]) for key in _COLUMNS},
            points=tuple(StandardPoint(**point.model_dump()) for point in document.points),
            tables=document.tables,
            instrument_sha256=document.instrument_sha256,
            method_sha256=document.method_sha256,
            created=document.created,
            software_version=document.software_version,
            sha256=identity(document),
        )


def write_calibration(path: Path | str, calibration: Calibration, *, comment: str = "") -> None:
    """Write a calibration as a TOML document that `load_calibration` reads back unchanged."""
    write_document(CalibrationDocument, path, calibration_data(calibration), comment)


def calibration_sha256(calibration: Calibration) -> str:
    """Identity that a calibration has once it is written."""
    return identity(validate(CalibrationDocument, calibration_data(calibration), f"{calibration.name}.toml"))


def calibration_data(calibration: Calibration) -> dict[str, Any]:
    """Plain data of a calibration document."""
    head = ("name", "tables", "instrument_sha256", "method_sha256", "created", "software_version")
    return {
        "schema": SCHEMA,
        **{key: getattr(calibration, key) for key in head},
        "sensitivities": [
            {"group": group, **{key: float(getattr(calibration, key)[i]) for key in _COLUMNS}}
            for i, group in enumerate(calibration.groups)
        ],
        "covariance": covariance_rows(calibration.covariance),
        "points": [_point_data(point) for point in calibration.points],
    }


def _point_data(point: StandardPoint) -> dict[str, Any]:
    return {key: v if isinstance(v, str) else float(v) for key, v in asdict(point).items()}
