"""Methods for line intensities: TOML -> LineMethod.

    schema = "xrfree/line-method/1"
    name = "Rare earths in iron ore, fused bead, WDXRF"

    [excitation]
    instrument = "../instruments/wd.toml"
    condition = "wd"
    base = { Li2B4O7 = 0.35, LiBO2 = 0.65 }

    [lines.La-LA1]
    element = "La"
    transitions = ["L3-M5", "L3-M4"]
    dead_time_s = 2.5e-7
    background = "interpolated"

    [[curves]]
    analyte = "La"
    line = "La-LA1"
    model = "theoretical influence coefficients"
    overlaps = ["Ba-LA1"]

`lines` are named as the intensity table names them. `background` is "interpolated", "none", or weights of positions.
`instrument` is a path as seen from the method's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from xrfree.calibration import CurveModel, ModelKind
from xrfree.documents._base import Document
from xrfree.documents._parts import (
    Element,
    Formula,
    Name,
    NotNegative,
    Positive,
    identity,
    read_document,
    refused,
    section,
)
from xrfree.documents.conformity import ConformityDocument
from xrfree.errors import DocumentError
from xrfree.intensities import IntensityKind
from xrfree.line_method import Excitation, KnownOverlap, LineCorrection, LineMethod, MeasuredLine

SCHEMA = "xrfree/line-method/1"


class OverlapDocument(Document):
    """An overlap of known ratio, as a document writes it."""

    line: Annotated[str, Field(min_length=1)]
    ratio: float
    ratio_uncertainty: NotNegative


class LineDocument(Document):
    """One line, as a document writes it."""

    element: Element
    transitions: tuple[str, ...] = ()
    dead_time_s: NotNegative = 0.0
    dead_time_uncertainty_s: NotNegative = 0.0
    background: Literal["interpolated", "none"] | dict[str, float] = "none"
    overlaps: tuple[OverlapDocument, ...] = ()
    kind: IntensityKind | None = None
    background_rate_per_s: NotNegative | None = None
    counting_time_s: Positive | None = None


class ModelDocument(Document):
    """One curve, as a document writes it."""

    analyte: Element
    line: Annotated[str, Field(min_length=1)]
    model: ModelKind
    constant: bool = True
    overlaps: tuple[str, ...] = ()
    influencing_elements: tuple[Element, ...] = ()
    influencing_lines: tuple[str, ...] = ()
    compton_line: str = ""


class ExcitationDocument(Document):
    """What theory needs, as a document writes it."""

    instrument: Annotated[str, Field(min_length=1)]
    condition: Name
    base: Annotated[dict[Formula, Positive], Field(min_length=1)]


class LineMethodDocument(Document):
    """A procedure for line intensities, as a document writes it."""

    schema_name: Literal["xrfree/line-method/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    coverage_factor: Positive = 2.0
    false_positive_risk: Annotated[float, Field(gt=0, lt=1)] = 0.05
    excitation: ExcitationDocument | None = None
    lines: Annotated[dict[str, LineDocument], Field(min_length=1)]
    curves: Annotated[tuple[ModelDocument, ...], Field(min_length=1)]
    conformity: ConformityDocument | None = None

    @model_validator(mode="after")
    def _named(self) -> LineMethodDocument:
        for name in self.lines:
            if not name.strip() or not name.isprintable():
                raise refused("a line needs a name, as the intensity table has it")
        return self


def load_line_method(path: Path | str) -> LineMethod:
    """Method of a TOML document; its identity does not depend on where the instrument's document lies."""
    path = Path(path)
    document = read_document(LineMethodDocument, path)
    excitation = document.excitation
    with section(path, "lines"):
        lines = {name: _line(line) for name, line in document.lines.items()}
    with section(path, "curves"):
        models = tuple(_model(curve) for curve in document.curves)
        return LineMethod(
            name=document.name,
            lines=lines,
            models=models,
            excitation=None if excitation is None else Excitation(condition=excitation.condition, base=excitation.base),
            coverage_factor=document.coverage_factor,
            false_positive_risk=document.false_positive_risk,
            sha256=identity(document, without=frozenset(["conformity"])),
        )


def line_method_instrument_path(path: Path | str) -> Path:
    """Path of the instrument document that a method for line intensities names."""
    path = Path(path)
    excitation = read_document(LineMethodDocument, path).excitation
    if excitation is None:
        raise DocumentError(
            path,
            place="excitation",
            found="is missing",
            remedy="Name instrument, condition and base: this needs theory",
        )
    return path.parent / excitation.instrument


def _line(document: LineDocument) -> MeasuredLine:
    background: Any = {"interpolated": None, "none": {}}
    weights = document.background if isinstance(document.background, dict) else background[document.background]
    return MeasuredLine(
        element=document.element,
        transitions=document.transitions,
        correction=LineCorrection(
            dead_time_s=document.dead_time_s,
            dead_time_uncertainty_s=document.dead_time_uncertainty_s,
            background=weights,
            overlaps=tuple(KnownOverlap(**overlap.model_dump()) for overlap in document.overlaps),
            kind=document.kind,
            background_rate_per_s=document.background_rate_per_s,
            counting_time_s=document.counting_time_s,
        ),
    )


def _model(document: ModelDocument) -> CurveModel:
    fields = document.model_dump(exclude={"model"})
    return CurveModel(kind=document.model, **fields)
