"""Plans of a method validation: TOML -> data and criteria.

    schema = "xrfree/validation-plan/1"
    title = "Validation of La, Ce, Pr, Nd, Sm, Nb in iron ore"
    laboratory = "..."
    purpose = "Rare earths in lateritic ores, 0.05 to 5 %"
    results = ["day1", "day2"]            # folders of `xrfree assay`, or their assays.json
    measurements = "measurements.csv"     # specimen, purpose, material, series, interferent, content
    certificates = "certificates.csv"

    [[criteria]]
    name = "trueness"
    kind = "trueness"
    limits = { highest_en = 1.0, fewest_materials = 3 }

Paths are seen from the plan's folder. Kinds, and the limits each has where a plan names none, are those of
`xrfree.quality.validation`. Another method's results stand in a table with the columns specimen, component,
mass_fraction, standard_uncertainty (kg/kg).
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from xrfree.documents._base import Document, read_text
from xrfree.documents._parts import Element, Name, NotNegative, identity, read_document, refused
from xrfree.documents.certificates import load_certificates
from xrfree.documents.results import Results, StoredAssay, load_results
from xrfree.errors import DocumentError
from xrfree.quality.validation import (
    USUAL_DEVIATIONS,
    USUAL_INTERFERENTS,
    USUAL_LIMITS,
    Criterion,
    Data,
    Measured,
    Value,
)

PURPOSES = ("trueness", "precision", "blank", "interference", "robustness")
_COLUMNS = ("specimen", "purpose", "material", "series", "interferent", "content")
_OTHER_COLUMNS = ("specimen", "component", "mass_fraction", "standard_uncertainty")

Kind = Literal["trueness", "precision", "linearity", "limits", "selectivity", "robustness", "uncertainty", "comparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan with everything it names, read: data, criteria, and the digest of each file."""

    title: str
    laboratory: str
    purpose: str
    sha256: str
    data: Data
    criteria: tuple[Criterion, ...]
    files: tuple[tuple[str, str], ...]
    recipes: tuple[Mapping[str, str], ...]


class CriterionDocument(Document):
    """One criterion, as a document writes it."""

    name: Name
    kind: Kind
    components: tuple[Element, ...] = ()
    limits: dict[str, NotNegative] = Field(default_factory=dict)
    wanted: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _known_limits(self) -> CriterionDocument:
        unknown = [name for name in self.limits if name not in USUAL_LIMITS[self.kind]]
        if unknown:
            known = ", ".join(USUAL_LIMITS[self.kind])
            raise refused(f"{self.kind} has no limit called {unknown[0]}; it has {known}")
        return self


class PlanDocument(Document):
    """A plan, as a document writes it."""

    schema_name: Literal["xrfree/validation-plan/1"] = Field(alias="schema")
    title: Annotated[str, Field(min_length=1)]
    laboratory: str = ""
    purpose: Annotated[str, Field(min_length=1)]
    results: tuple[str, ...] = ()
    measurements: Annotated[str, Field(min_length=1)]
    certificates: str | None = None
    other_method: str | None = None
    analytes: Annotated[tuple[Element, ...], Field(min_length=1)]
    varying_parts: tuple[str, ...] = ("counting", "background", "misfit")
    criteria: Annotated[tuple[CriterionDocument, ...], Field(min_length=1)]


def load_plan(path: Path | str) -> Plan:
    """Plan of a TOML document with all data that exist already; results that do not exist yet are no error."""
    path = Path(path)
    document = read_document(PlanDocument, path)
    folder = path.parent
    results = [load_results(folder / place) for place in document.results if _exists(folder / place)]
    files = [*((str(r.path), r.sha256) for r in results)]
    table, certificates, other = (
        None if name is None else folder / name
        for name in (document.measurements, document.certificates, document.other_method)
    )
    files += [(str(p), _digest(p)) for p in (table, certificates, other) if p is not None and p.is_file()]
    assays = _assays(results, path)
    k = max((assay.coverage_factor for assay in assays.values()), default=2.0)
    data = Data(
        measured=tuple(_measured(table, assays, document.varying_parts)) if table is not None else (),
        references={} if certificates is None else _references(certificates, k),
        other_method={} if other is None else _other_method(other),
        coverage_factor=k,
    )
    return Plan(
        title=document.title,
        laboratory=document.laboratory,
        purpose=document.purpose,
        sha256=identity(document),
        data=data,
        criteria=tuple(_criterion(c, document.analytes) for c in document.criteria),
        files=tuple(files),
        recipes=_recipes(assays),
    )


def _exists(place: Path) -> bool:
    return (place / "assays.json").exists() if place.is_dir() else place.exists()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _assays(results: list[Results], path: Path) -> dict[str, StoredAssay]:
    found: dict[str, StoredAssay] = {}
    for result in results:
        for assay in result.assays:
            if assay.specimen in found:
                raise DocumentError(
                    path,
                    place="results",
                    found=f"'{assay.specimen}' has a result in two of the files",
                    remedy="Give every measurement a specimen name of its own",
                )
            found[assay.specimen] = assay
    return found


def _recipes(assays: Mapping[str, StoredAssay]) -> tuple[Mapping[str, str], ...]:
    """What the results were made with, without the spectra; one entry if all agree."""
    facts = ("method", "method_sha256", "instrument", "instrument_sha256", "calibration", "calibration_sha256")
    keys = (*facts, "tables", "software_version")
    found = dict.fromkeys(tuple((key, str(a.recipe[key])) for key in keys) for a in assays.values())
    return tuple(dict(entry) for entry in found)


def _criterion(document: CriterionDocument, analytes: tuple[str, ...]) -> Criterion:
    usual: tuple[str, ...] = {"selectivity": USUAL_INTERFERENTS, "robustness": USUAL_DEVIATIONS}.get(document.kind, ())
    return Criterion(
        name=document.name,
        kind=document.kind,
        components=document.components or analytes,
        limits={**USUAL_LIMITS[document.kind], **document.limits},
        wanted=usual if document.wanted is None else document.wanted,
    )


def _rows(path: Path, columns: tuple[str, ...], needed: int) -> list[tuple[int, dict[str, str]]]:
    """Rows of a comma-separated table with its line numbers; the first `needed` columns must be there."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    header = [name.strip() for name in reader.fieldnames or []]
    missing = [name for name in columns[:needed] if name not in header]
    unknown = [name for name in header if name not in columns]
    if missing or unknown:
        what = f"column missing: {missing[0]}" if missing else f"unknown column: {unknown[0]}"
        raise DocumentError(path, place="line 1", found=what, remedy=f"The columns are {', '.join(columns)}")
    reader.fieldnames = header
    return [
        (reader.line_num, {key: (value or "").strip() for key, value in row.items() if key is not None})
        for row in reader
    ]


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DocumentError(
            path, place=f"line {line}, {column}", found=f"is {text!r}, expected a number", remedy="Correct the cell"
        )
    return value


def _measured(path: Path, assays: Mapping[str, StoredAssay], varying: tuple[str, ...]) -> list[Measured]:
    found = []
    for line, row in _rows(path, _COLUMNS, 3):
        if row["purpose"] not in PURPOSES:
            raise DocumentError(
                path,
                place=f"line {line}, purpose",
                found=f"is {row['purpose']!r}, expected one of {', '.join(PURPOSES)}",
                remedy="Correct the cell",
            )
        content = row.get("content", "")
        assay = assays.get(row["specimen"])
        found.append(
            Measured(
                specimen=row["specimen"],
                purpose=row["purpose"],
                material=row["material"],
                series=row.get("series", ""),
                interferent=row.get("interferent", ""),
                content=_number(path, line, "content", content) if content else 0.0,
                found={} if assay is None else _found(assay, varying),
            )
        )
    return found


def _found(assay: StoredAssay, varying: tuple[str, ...]) -> dict[str, Value]:
    u = assay.standard_uncertainty
    return {
        component: Value(
            content=float(assay.mass_fraction[i]),
            u=float(u[i]),
            repeating=math.sqrt(sum(float(assay.budget[part][i]) ** 2 for part in varying if part in assay.budget)),
            decision_limit=float(assay.decision_limit[i]),
            detection_limit=float(assay.detection_limit[i]),
        )
        for i, component in enumerate(assay.components)
    }


def _references(path: Path, k: float) -> dict[str, dict[str, tuple[float, float]]]:
    """Certified contents and expanded uncertainties (of the results' coverage factor) by material and element."""
    return {
        material.name: {
            element: (value.mass_fraction, k * value.standard_uncertainty)
            for element, value in material.element_values().items()
        }
        for material in load_certificates(path)
    }


def _other_method(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for line, row in _rows(path, _OTHER_COLUMNS, 4):
        pair = tuple(_number(path, line, c, row[c]) for c in ("mass_fraction", "standard_uncertainty"))
        found.setdefault(row["specimen"], {})[row["component"]] = (pair[0], pair[1])
    return found
