"""Certificates of reference materials: TOML documents, CSV tables and Excel workbooks <-> ReferenceMaterial.

A certificate document:

    schema = "xrfree/certificate/1"
    name = "OREAS 460"
    basis = "dry"
    values = [
        { component = "Ce", mass_fraction = 0.0018, between_laboratory_sd = 7e-05, assigned_by = "fusion" },
        { component = "SiO2", mass_fraction = 0.498, expanded_uncertainty = 0.004, coverage_factor = 2.0 },
    ]

`basis`, `kind` and `assigned_by` may stand at the top, for all values, or in a value, for that one. `basis`
must stand somewhere; the others are "certified" and "not stated" where nothing is said. `error_sources` says
which errors the values have in common, as for mixtures made by weighing (`xrfree.documents.weighing`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from xrfree.documents._base import Document, load_toml, validate, write_toml
from xrfree.documents._tables import TABLE_SUFFIXES, table_cells
from xrfree.documents.weighing import SCHEMA as WEIGHING_SCHEMA
from xrfree.documents.weighing import load_weighing
from xrfree.errors import DocumentError, DomainError
from xrfree.reference import Assignment, Basis, ErrorSource, ReferenceMaterial, ReferenceValue, ValueKind

SCHEMA = "xrfree/certificate/1"

_REQUIRED_COLUMNS = ("specimen", "component", "mass_fraction", "basis")
_NUMBER_COLUMNS = ("mass_fraction", "expanded_uncertainty", "coverage_factor", "between_laboratory_sd")
_TEXT_COLUMNS = ("kind", "assigned_by")
_HEAD_COLUMNS = ("matrix", "certificate", "date", "source")
_COLUMNS = frozenset({*_REQUIRED_COLUMNS, *_NUMBER_COLUMNS, *_TEXT_COLUMNS, *_HEAD_COLUMNS, "unit"})
_UNITS = {
    "": 1.0,
    "kg/kg": 1.0,
    "%": 1e2,
    "wt%": 1e2,
    "g/kg": 1e3,
    "mg/kg": 1e6,
    "ug/g": 1e6,
    "ppm": 1e6,
}


class CertificateValueDocument(Document):
    """One reference value, as a document writes it."""

    component: str
    mass_fraction: float
    expanded_uncertainty: float | None = None
    coverage_factor: float | None = None
    between_laboratory_sd: float | None = None
    kind: ValueKind | None = None
    assigned_by: Assignment | None = None
    basis: Basis | None = None


class ErrorSourceDocument(Document):
    """Effect of one independent error on one value, as a document writes it."""

    source: Annotated[str, Field(min_length=1)]
    component: str
    effect: float


class CertificateDocument(Document):
    """One reference material, as a document writes it."""

    schema_name: Literal["xrfree/certificate/1"] = Field(alias="schema")
    name: str
    matrix: str = ""
    certificate: str = ""
    date: dt.date | None = None
    source: str = ""
    kind: ValueKind = ValueKind.CERTIFIED
    assigned_by: Assignment = Assignment.NOT_STATED
    basis: Basis | None = None
    values: tuple[CertificateValueDocument, ...]
    error_sources: tuple[ErrorSourceDocument, ...] = ()


def load_certificates(path: Path | str) -> tuple[ReferenceMaterial, ...]:
    """Reference materials of a TOML document, of a folder of them, or of a table (CSV, or the first sheet of .xlsx).

    A document may be a certificate or a weighing record. The columns of a table are specimen, component,
    mass_fraction, basis, and optionally expanded_uncertainty, coverage_factor, between_laboratory_sd, unit (of these
    three numbers; kg/kg where nothing is said), kind, assigned_by, and matrix, certificate, date, source of the
    material.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _load_table(path)
    return _load_document(path)


def _load_document(path: Path) -> tuple[ReferenceMaterial, ...]:
    """Materials of one document: a certificate describes one, a weighing record as many as were mixed."""
    if load_toml(path).get("schema") == WEIGHING_SCHEMA:
        return load_weighing(path)
    return (load_certificate(path),)


def load_certificate(path: Path | str) -> ReferenceMaterial:
    """Reference material of one TOML document."""
    path = Path(path)
    document = validate(CertificateDocument, load_toml(path), path)
    values = tuple(_value(document, i, path) for i in range(len(document.values)))
    return _material(
        path,
        "",
        name=document.name,
        values=values,
        matrix=document.matrix,
        certificate=document.certificate,
        date=document.date,
        source=document.source,
        error_sources=_error_sources(document),
    )


def _error_sources(document: CertificateDocument) -> tuple[ErrorSource, ...]:
    effects: dict[str, dict[str, float]] = {}
    for row in document.error_sources:
        effects.setdefault(row.source, {})[row.component] = row.effect
    return tuple(ErrorSource(name=name, effect=effect) for name, effect in effects.items())


def save_certificate(material: ReferenceMaterial, path: Path | str, *, comment: str = "") -> None:
    """Write a reference material as a TOML document that `load_certificate` reads back unchanged."""
    write_toml(path, certificate_data(material), comment=comment)


def certificate_data(material: ReferenceMaterial) -> dict[str, Any]:
    """Plain data of a certificate document; what all values have in common stands at the top."""
    shared = {key: _common(getattr(v, key) for v in material.values) for key in ("kind", "assigned_by", "basis")}
    head: dict[str, Any] = {"schema": SCHEMA, "name": material.name}
    head |= {key: getattr(material, key) for key in ("matrix", "certificate", "date", "source")}
    head |= shared
    head["values"] = [
        {key: value for key, value in _value_data(v).items() if shared.get(key) is None} for v in material.values
    ]
    head["error_sources"] = [
        {"source": source.name, "component": component, "effect": effect}
        for source in material.error_sources
        for component, effect in source.effect.items()
    ] or None
    return {key: value for key, value in head.items() if value not in (None, "")}


def _common(texts: Iterable[str]) -> str | None:
    found = {str(text) for text in texts}
    return found.pop() if len(found) == 1 else None


def _value_data(value: ReferenceValue) -> dict[str, Any]:
    data: dict[str, Any] = {"component": value.component}
    data |= {key: getattr(value, key) for key in _NUMBER_COLUMNS if getattr(value, key) is not None}
    return data | {key: str(getattr(value, key)) for key in (*_TEXT_COLUMNS, "basis")}


def _value(document: CertificateDocument, index: int, path: Path) -> ReferenceValue:
    written = document.values[index]
    place = f"values[{index}]"
    basis = written.basis or document.basis
    if basis is None:
        raise DocumentError(
            path,
            place=f"{place}.basis",
            found="is missing, and there is none at the top for all values",
            remedy=f"Add basis = one of {_choices(Basis)}",
        )
    try:
        return ReferenceValue(
            component=written.component,
            mass_fraction=written.mass_fraction,
            expanded_uncertainty=written.expanded_uncertainty,
            coverage_factor=written.coverage_factor,
            between_laboratory_sd=written.between_laboratory_sd,
            kind=written.kind or document.kind,
            assigned_by=written.assigned_by or document.assigned_by,
            basis=basis,
        )
    except DomainError as problem:
        raise DocumentError(path, place=place, found=str(problem), remedy="Compare with the certificate") from problem


def _choices(options: Iterable[str]) -> str:
    return ", ".join(f'"{option}"' for option in options)


def _material(path: Path, place: str, **fields: Any) -> ReferenceMaterial:
    try:
        return ReferenceMaterial(**fields)
    except DomainError as problem:
        raise DocumentError(path, place=place, found=str(problem), remedy="Compare with the certificate") from problem


def _load_folder(folder: Path) -> tuple[ReferenceMaterial, ...]:
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise DocumentError(
            folder,
            found="holds no certificate (*.toml)",
            remedy="Name a folder of certificates, one document, or a CSV table",
        )
    first_seen: dict[str, Path] = {}
    materials = []
    for path in paths:
        for material in _load_document(path):
            if material.name in first_seen:
                raise DocumentError(
                    path,
                    place="name",
                    found=f"{material.name} is already described by {first_seen[material.name].name}",
                    remedy="Keep one certificate of each material",
                )
            first_seen[material.name] = path
            materials.append(material)
    return tuple(materials)


def _load_table(path: Path) -> tuple[ReferenceMaterial, ...]:
    values: dict[str, list[ReferenceValue]] = {}
    heads: dict[str, dict[str, str]] = {}
    for place, row in _table_rows(path):
        name = row["specimen"]
        values.setdefault(name, []).append(_row_value(row, path, place))
        _agreed_head(heads.setdefault(name, {}), row, path, place)
    if not values:
        raise DocumentError(path, found="holds no value below its header", remedy="Add one row per value")
    return tuple(
        _material(path, "", name=name, values=tuple(found), **_head(heads[name], path, name))
        for name, found in values.items()
    )


def _agreed_head(head: dict[str, str], row: Mapping[str, str], path: Path, place: str) -> None:
    """Add what a row says of its material; rows must not contradict one another."""
    for key in _HEAD_COLUMNS:
        text = row.get(key, "")
        if text and head.setdefault(key, text) != text:
            raise DocumentError(
                path,
                place=f"{place}, {key}",
                found=f"is {text!r}, and {head[key]!r} in an earlier row of {row['specimen']}",
                remedy="Correct one of them",
            )


def _head(texts: Mapping[str, str], path: Path, name: str) -> dict[str, Any]:
    try:
        date = dt.date.fromisoformat(texts["date"]) if "date" in texts else None
    except ValueError as problem:
        raise DocumentError(
            path, place=f"{name}, date", found=f"is {texts['date']!r}", remedy="Write dates as 2025-12-31"
        ) from problem
    return {**texts, "source": texts.get("source", path.name), "date": date}


def _table_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and cells of each row below the header; blank lines are skipped."""
    rows = table_cells(path)
    _, first = next(rows, (1, []))
    header = _checked_header(first, path)
    for line, cells in rows:
        place = f"line {line}"
        if len(cells) != len(header):
            raise DocumentError(
                path,
                place=place,
                found=f"{len(cells)} cells, expected {len(header)}",
                remedy='Put cells that hold a comma into "quotation marks"',
            )
        yield place, dict(zip(header, cells, strict=True))


def _checked_header(cells: list[str], path: Path) -> list[str]:
    header = [cell.strip() for cell in cells]
    missing = [name for name in _REQUIRED_COLUMNS if name not in header]
    unknown = [name for name in header if name not in _COLUMNS]
    for complaint, names in (("column missing", missing), ("unknown column", unknown)):
        if names:
            raise DocumentError(
                path,
                place="line 1",
                found=f"{complaint}: {', '.join(map(repr, names))}",
                remedy=f"A certificate table has the columns {', '.join(sorted(_COLUMNS))}",
            )
    if len(set(header)) != len(header):
        raise DocumentError(path, place="line 1", found="a column stands twice", remedy="Keep one of them")
    return header


def _row_value(row: Mapping[str, str], path: Path, place: str) -> ReferenceValue:
    per_kg = _units_per_kg(row.get("unit", ""), path, place)
    numbers = {name: _number(row.get(name, ""), name, path, place) for name in _NUMBER_COLUMNS}
    numbers |= {k: v / per_kg for k, v in numbers.items() if v is not None and k != "coverage_factor"}
    mass_fraction = numbers.pop("mass_fraction")
    if mass_fraction is None:
        raise DocumentError(
            path, place=f"{place}, mass_fraction", found="is empty", remedy="Give a value, or drop the row"
        )
    try:
        return ReferenceValue(
            component=row["component"],
            mass_fraction=mass_fraction,
            **numbers,
            kind=ValueKind(row.get("kind") or ValueKind.CERTIFIED),
            assigned_by=Assignment(row.get("assigned_by") or Assignment.NOT_STATED),
            basis=_basis(row["basis"]),
        )
    except ValueError as problem:  # a DomainError, or a word that is not one of an enumeration's
        raise DocumentError(path, place=place, found=str(problem), remedy="Compare with the certificate") from problem


def _units_per_kg(text: str, path: Path, place: str) -> float:
    if text not in _UNITS:
        raise DocumentError(
            path,
            place=f"{place}, unit",
            found=f"is {text!r}",
            remedy=f"Write one of {_choices(u for u in _UNITS if u)}",
        )
    return _UNITS[text]


def _basis(text: str) -> Basis:
    """Basis of a table row: "ore, dry" says which material, and is dry."""
    return Basis.DRY if text == "ore, dry" else Basis(text)


def _number(text: str, column: str, path: Path, place: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as problem:
        raise DocumentError(
            path,
            place=f"{place}, {column}",
            found=f"is {text!r}, expected a number with a decimal point",
            remedy="Correct the cell",
        ) from problem
