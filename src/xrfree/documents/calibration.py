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

Optional: `regions` (what the standards taught about line ratios, background and resolution), `curves` of line
intensities, `validity` (ranges of the standards), `exclusions` (standards left out, with reasons), and `history`
(draft -> approved -> superseded: who, when, why, and of which content). The history is no part of the identity: an
approved calibration is the same calibration. A document that was changed after its last change of status is refused.

A group is named by condition, region and line group. `covariance` is that of log_sensitivity, by the rows of
its lower triangle; `blank_correlation` is that of a group's blank with its own log_sensitivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from xrfree.calibration import (
    Calibration,
    CalibrationCurve,
    CalibrationStatus,
    ContentRange,
    CurveModel,
    ExcludedStandard,
    ModelKind,
    RegionKnowledge,
    StandardPoint,
    StatusChange,
    Validity,
)
from xrfree.documents._base import Document, validate
from xrfree.documents._parts import (
    CovarianceRows,
    Element,
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
from xrfree.errors import DocumentError

SCHEMA = "xrfree/calibration/1"

WITHOUT_IDENTITY = frozenset(["history"])

_MODEL_KEYS = tuple(field.name for field in fields(CurveModel))
_CURVE_NUMBERS = ("scatter", "scatter_floor", "chi_square", "n_standards", "leave_one_out_rms")

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


class RegionKnowledgeDocument(Document):
    """What the standards taught about the fit of one region, as a document writes it.

    Ratios as "La L:L2-M4,5"; the deviation of "Ti K:shift" is a move of Ti Kα in tenths of an eV.
    """

    region: Annotated[str, Field(min_length=3)]
    ratios: tuple[str, ...] = ()
    ratio_deviation: tuple[float, ...] = ()
    ratio_covariance: CovarianceRows = ()
    shapes: tuple[str, ...] = ()
    shape_mean: tuple[float, ...] = ()
    shape_covariance: CovarianceRows = ()


class CurveDocument(Document):
    """A curve of line intensities, as a document writes it."""

    analyte: Element
    line: Annotated[str, Field(min_length=1)]
    kind: ModelKind
    constant: bool = True
    overlaps: tuple[str, ...] = ()
    influencing_elements: tuple[Element, ...] = ()
    influencing_lines: tuple[str, ...] = ()
    compton_line: str = ""
    alphas: dict[Element, float] = Field(default_factory=dict)
    coefficients: tuple[float, ...]
    covariance: CovarianceRows
    scatter: NotNegative
    scatter_floor: NotNegative
    chi_square: NotNegative
    n_standards: Annotated[int, Field(ge=1)]
    leave_one_out_rms: NotNegative


class RangeDocument(Document):
    """Contents of one element between which a calibration holds, as a document writes them."""

    element: Element
    low: float
    high: float
    by: str = ""
    at: str = ""
    why: str = ""


class ExclusionDocument(Document):
    """A standard that was left out, as a document writes it."""

    material: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    by: str = ""
    at: str = ""
    curve: str = ""


class StatusChangeDocument(Document):
    """A step in the life of a calibration, as a document writes it."""

    status: CalibrationStatus
    by: Annotated[str, Field(min_length=1)]
    at: Annotated[str, Field(min_length=1)]
    why: Annotated[str, Field(min_length=1)]
    sha256: Sha256 = ""


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
    regions: tuple[RegionKnowledgeDocument, ...] = ()
    curves: tuple[CurveDocument, ...] = ()
    validity: tuple[RangeDocument, ...] = ()
    exclusions: tuple[ExclusionDocument, ...] = ()
    history: tuple[StatusChangeDocument, ...] = ()

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
    sha256 = identity(document, without=WITHOUT_IDENTITY)
    _check_unchanged(path, document.history, sha256)
    with section(path, "regions"):
        regions = tuple(_region(region) for region in document.regions)
    with section(path, "validity"):
        validity = Validity(ranges=tuple(ContentRange(**span.model_dump()) for span in document.validity))
    with section(path, "sensitivities"):
        return Calibration(
            name=document.name,
            groups=tuple(row.group for row in rows),
            covariance=covariance_matrix(document.covariance),
            log_sensitivity=np.array([row.log_sensitivity for row in rows]),
            blank=np.array([row.blank for row in rows]),
            blank_uncertainty=np.array([row.blank_uncertainty for row in rows]),
            blank_correlation=np.array([row.blank_correlation for row in rows]),
            relative_scatter=np.array([row.relative_scatter for row in rows]),
            absolute_scatter=np.array([row.absolute_scatter for row in rows]),
            points=tuple(StandardPoint(**point.model_dump()) for point in document.points),
            tables=document.tables,
            instrument_sha256=document.instrument_sha256,
            method_sha256=document.method_sha256,
            created=document.created,
            software_version=document.software_version,
            sha256=sha256,
            regions=regions,
            curves=tuple(_curve(curve) for curve in document.curves),
            validity=validity,
            exclusions=tuple(ExcludedStandard(**exclusion.model_dump()) for exclusion in document.exclusions),
            history=tuple(StatusChange(**change.model_dump()) for change in document.history),
        )


def _check_unchanged(path: Path, history: Sequence[StatusChangeDocument], sha256: str) -> None:
    """Refuse a document whose content is not what its last change of status was about."""
    if history and history[-1].sha256 not in ("", sha256):
        last = history[-1]
        raise DocumentError(
            path,
            place=f"history[{len(history) - 1}]",
            found=f"says {last.status} by {last.by} at {last.at}, but the document was changed since",
            remedy="Restore the document, or empty its history and have it approved again",
        )


def _region(document: RegionKnowledgeDocument) -> RegionKnowledge:
    ratios = [name.partition(":") for name in document.ratios]
    return RegionKnowledge(
        region=document.region,
        ratios=tuple((group, cluster) for group, _, cluster in ratios),
        ratio_deviation=np.array(document.ratio_deviation),
        ratio_covariance=covariance_matrix(document.ratio_covariance),
        shapes=document.shapes,
        shape_mean=np.array(document.shape_mean),
        shape_covariance=covariance_matrix(document.shape_covariance),
    )


def _curve(document: CurveDocument) -> CalibrationCurve:
    model = CurveModel(**{key: getattr(document, key) for key in _MODEL_KEYS})
    return CalibrationCurve(
        model=model,
        coefficients=np.array(document.coefficients),
        covariance=covariance_matrix(document.covariance),
        **{key: getattr(document, key) for key in _CURVE_NUMBERS},
    )


def write_calibration(path: Path | str, calibration: Calibration, *, comment: str = "") -> None:
    """Write a calibration as a TOML document that `load_calibration` reads back unchanged."""
    write_document(CalibrationDocument, path, calibration_data(calibration), comment)


def calibration_sha256(calibration: Calibration) -> str:
    """Identity that a calibration has once it is written."""
    document = validate(CalibrationDocument, calibration_data(calibration), f"{calibration.name}.toml")
    return identity(document, without=WITHOUT_IDENTITY)


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
        **{key: rows for key, rows in _optional_data(calibration).items() if rows},
    }


def _optional_data(calibration: Calibration) -> dict[str, list[dict[str, Any]]]:
    return {
        "regions": [_region_data(region) for region in calibration.regions],
        "curves": [_curve_data(curve) for curve in calibration.curves],
        "validity": [_without_empty(asdict(span)) for span in calibration.validity.ranges],
        "exclusions": [asdict(exclusion) for exclusion in calibration.exclusions],
        "history": [_without_empty({**asdict(change), "status": str(change.status)}) for change in calibration.history],
    }


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value != ""}


def _region_data(region: RegionKnowledge) -> dict[str, Any]:
    return {
        "region": region.region,
        "ratios": [f"{group}:{cluster}" for group, cluster in region.ratios],
        "ratio_deviation": region.ratio_deviation.tolist(),
        "ratio_covariance": covariance_rows(region.ratio_covariance),
        "shapes": list(region.shapes),
        "shape_mean": region.shape_mean.tolist(),
        "shape_covariance": covariance_rows(region.shape_covariance),
    }


def _curve_data(curve: CalibrationCurve) -> dict[str, Any]:
    model = {key: getattr(curve.model, key) for key in _MODEL_KEYS}
    written = {key: list(value) if isinstance(value, tuple) else value for key, value in model.items()}
    return {
        **written,
        "kind": str(curve.model.kind),
        "alphas": dict(curve.model.alphas),
        "coefficients": curve.coefficients.tolist(),
        "covariance": covariance_rows(curve.covariance),
        **{key: getattr(curve, key) for key in _CURVE_NUMBERS},
    }


def _point_data(point: StandardPoint) -> dict[str, Any]:
    return {key: v if isinstance(v, str) else float(v) for key, v in asdict(point).items()}
