"""Flow sheet documents: TOML -> FlowSheet, lots and source patterns.

    schema = "xrfree/flowsheet/1"
    name = "Plant, week 12"
    components = ["Fe", "La", "Ce", "Nb"]
    mass_unit = "t"
    changes_mass = ["furnace"]

    [[streams]]
    name = "ore"
    to = "flotation"
    stage = "ore"
    mass = 12500.0
    mass_uncertainty = 60.0
    moisture = 0.082
    moisture_uncertainty = 0.004
    contents = { Fe = 0.312, Ce = 0.021 }
    contents_uncertainty = { Fe = 0.002, Ce = 0.0004 }

    [[streams]]
    name = "concentrate"
    from = "flotation"
    specimens = ["C-17", "C-18"]

    [[lots]]
    name = "L-2025-031"
    stage = "ore"
    mass = 320.0
    ...
    made_of = [{ lot = "L-2025-030", mass = 320.0 }]
    custody = [{ party = "Mine", location = "pit 4", since = "2025-03-02", event = "loaded" }]
    declared_source = "Bayan Obo"

    [[sources]]
    name = "Bayan Obo"
    components = ["La", "Ce", "Nd"]
    lots = [{ contents = { La = 0.012, Ce = 0.022, Nd = 0.007 } }, ...]

`from` and `to` that are missing are the outside. Uncertainties are standard uncertainties in the unit of the quantity.
Contents come from the document, or from the assays of the named specimens (their mean, with full covariance), which the
caller provides. Contents refer to the dry mass.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from xrfree.assay import Assay
from xrfree.documents._base import Document, load_toml, validate
from xrfree.documents._parts import Element, NotNegative, Positive, identity, refused
from xrfree.errors import DocumentError, DomainError
from xrfree.flow.lots import Custody, Lot, Part, SourcePattern, check_lots
from xrfree.flow.sheet import NO_CONTENTS, OUTSIDE, Contents, FlowSheet, Measured, Stage, Stream

KILOGRAMS = {"kg": 1.0, "t": 1000.0}
_Text = Annotated[str, Field(min_length=1)]


class _WithContents(Document):
    """What streams and lots have in common."""

    name: _Text
    stage: Stage = Stage.OTHER
    mass: NotNegative | None = None
    mass_uncertainty: NotNegative | None = None
    moisture: Annotated[float, Field(ge=0, lt=1)] | None = None
    moisture_uncertainty: NotNegative | None = None
    contents: dict[Element, NotNegative] = Field(default_factory=dict)
    contents_uncertainty: dict[Element, NotNegative] = Field(default_factory=dict)
    specimens: tuple[_Text, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> _WithContents:
        for quantity in ("mass", "moisture"):
            value, u = getattr(self, quantity), getattr(self, f"{quantity}_uncertainty")
            if (value is None) != (u is None):
                raise refused(f"expected {quantity} and {quantity}_uncertainty together")
        if set(self.contents) != set(self.contents_uncertainty):
            raise refused("expected contents and contents_uncertainty of the same components")
        if self.contents and self.specimens:
            raise refused("expected contents or specimens, not both")
        return self


class StreamDocument(_WithContents):
    """A stream, as a document writes it."""

    source: str = Field(default=OUTSIDE, alias="from")
    target: str = Field(default=OUTSIDE, alias="to")


class PartDocument(Document):
    """A part of a lot, as a document writes it."""

    lot: _Text
    mass: Positive


class CustodyDocument(Document):
    """One holder of a lot, as a document writes it."""

    party: _Text
    location: _Text
    since: dt.date | dt.datetime | str
    event: str = ""


class LotDocument(_WithContents):
    """A lot, as a document writes it."""

    mass: NotNegative
    made_of: tuple[PartDocument, ...] = ()
    step: str = ""
    custody: tuple[CustodyDocument, ...] = ()
    declared_source: str = ""


class KnownLotDocument(Document):
    """A lot that is known to come from a source, as a document writes it."""

    contents: Annotated[dict[Element, Positive], Field(min_length=2)]


class SourceDocument(Document):
    """A source with the lots that are known to come from it, as a document writes it."""

    name: _Text
    components: Annotated[tuple[Element, ...], Field(min_length=2)]
    lots: tuple[KnownLotDocument, ...]


class FlowSheetDocument(Document):
    """Streams, lots and sources, as a document writes them."""

    schema_name: Literal["xrfree/flowsheet/1"] = Field(alias="schema")
    name: _Text
    components: Annotated[tuple[Element, ...], Field(min_length=1)]
    mass_unit: Literal["kg", "t"] = "kg"
    changes_mass: tuple[str, ...] = ()
    common_relative: dict[Element, NotNegative] = Field(default_factory=dict)
    streams: tuple[StreamDocument, ...] = ()
    lots: tuple[LotDocument, ...] = ()
    sources: tuple[SourceDocument, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlowDocument:
    """What a flow sheet document says; sheet is None where it lists lots only."""

    name: str
    components: tuple[str, ...]
    sheet: FlowSheet | None
    lots: Mapping[str, Lot]
    sources: Mapping[str, SourcePattern]
    mass_unit: str
    sha256: str


def load_flowsheet(path: Path | str, assays: Mapping[str, Sequence[Assay]] | None = None) -> FlowDocument:
    """Flow sheet, lots and sources of a TOML document.

    assays : by specimen, for streams and lots that name specimens instead of contents.

    Raises DocumentError with the place in the document that is wrong.
    """
    path = Path(path)
    document = validate(FlowSheetDocument, load_toml(path), path)
    unit = KILOGRAMS[document.mass_unit]
    try:
        return FlowDocument(
            name=document.name,
            components=document.components,
            sheet=_sheet(document, unit, assays or {}) if document.streams else None,
            lots=check_lots(_lot(lot, document, unit, assays or {}) for lot in document.lots),
            sources={source.name: _source(source) for source in document.sources},
            mass_unit=document.mass_unit,
            sha256=identity(document),
        )
    except DomainError as error:
        raise DocumentError(path, found=str(error), remedy="Correct the document") from error


def specimens_of(path: Path | str) -> tuple[str, ...]:
    """Specimens whose assays a flow sheet document needs."""
    path = Path(path)
    document = validate(FlowSheetDocument, load_toml(path), path)
    return tuple(dict.fromkeys(name for item in (*document.streams, *document.lots) for name in item.specimens))


def _sheet(document: FlowSheetDocument, unit: float, assays: Mapping[str, Sequence[Assay]]) -> FlowSheet:
    streams = [
        Stream(
            name=stream.name,
            source=stream.source,
            target=stream.target,
            stage=stream.stage,
            wet_mass=_measured(stream.mass, stream.mass_uncertainty, unit),
            moisture=_measured(stream.moisture, stream.moisture_uncertainty, 1.0),
            contents=_contents(stream, document.components, assays),
        )
        for stream in document.streams
    ]
    return FlowSheet(
        name=document.name,
        components=document.components,
        streams=tuple(streams),
        changes_mass=frozenset(document.changes_mass),
        common_relative=document.common_relative,
    )


def _lot(lot: LotDocument, document: FlowSheetDocument, unit: float, assays: Mapping[str, Sequence[Assay]]) -> Lot:
    mass = _measured(lot.mass, lot.mass_uncertainty, unit)
    return Lot(
        name=lot.name,
        stage=lot.stage,
        wet_mass=mass if mass is not None else Measured(value=0.0, standard_uncertainty=0.0),
        moisture=_measured(lot.moisture, lot.moisture_uncertainty, 1.0),
        contents=_contents(lot, document.components, assays),
        made_of=tuple(Part(lot=part.lot, wet_mass_kg=part.mass * unit) for part in lot.made_of),
        step=lot.step,
        custody=tuple(
            Custody(party=c.party, location=c.location, since=_time(c.since), event=c.event) for c in lot.custody
        ),
        declared_source=lot.declared_source,
        specimens=lot.specimens,
    )


def _time(value: dt.date | dt.datetime | str) -> str:
    return value if isinstance(value, str) else value.isoformat()


def _measured(value: float | None, u: float | None, unit: float) -> Measured | None:
    if value is None or u is None:
        return None
    return Measured(value=value * unit, standard_uncertainty=u * unit)


def _contents(item: _WithContents, components: Sequence[str], assays: Mapping[str, Sequence[Assay]]) -> Contents:
    if not item.specimens:
        names = tuple(item.contents)
        u = np.array([item.contents_uncertainty[name] for name in names])
        return Contents(
            components=names,
            mass_fraction=np.array([item.contents[name] for name in names]),
            covariance=np.diag(u**2) if names else np.empty((0, 0)),
        )
    found = [assay for name in item.specimens for assay in assays.get(name, ())]
    missing = [name for name in item.specimens if not assays.get(name)]
    if missing:
        raise DomainError(f"{item.name}: no assay of {', '.join(missing)}; give the ledger that holds it (--ledger)")
    return mean_contents(found, components)


def mean_contents(assays: Sequence[Assay], components: Sequence[str]) -> Contents:
    """Mean of several assays of the same material, for those components that all of them have.

    What is found in the counts differs from assay to assay, all else (calibration, specimen kind) is shared by them:
    V = Σ C_k / n² + Σ (V_k - C_k) / n,  C_k the parts of V_k that `budget` calls counting and background.
    """
    if not assays:
        return NO_CONTENTS
    names = tuple(c for c in components if all(c in assay.components for assay in assays))
    n = len(assays)
    mean, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    for assay in assays:
        own = [assay.components.index(c) for c in names]
        whole = assay.covariance[np.ix_(own, own)]
        nothing = np.zeros(len(assay.components))
        varying = [np.asarray(assay.budget.get(part, nothing))[own] ** 2 for part in ("counting", "background")]
        counting = np.diag(varying[0] + varying[1])
        mean += assay.mass_fraction[own] / n
        covariance += counting / n**2 + (whole - counting) / n
    return Contents(components=names, mass_fraction=mean, covariance=covariance)


def _source(source: SourceDocument) -> SourcePattern:
    lots = []
    for lot in source.lots:
        names = tuple(lot.contents)
        values = np.array([lot.contents[name] for name in names])
        lots.append(Contents(components=names, mass_fraction=values, covariance=np.zeros((len(names), len(names)))))
    return SourcePattern.of(source.name, lots, source.components)
