"""Method documents: TOML -> Method.

    schema = "xrfree/method/1"
    name = "Rare earths in iron ore"
    instrument = "../instruments/bench.toml"
    analytes = ["La", "Ce"]

    [[regions]]
    name = "band"
    condition = "low"
    ranges_kev = [[3.5, 7.15], [7.45, 11.5]]
    quantified = ["La L", "Ce L", "Fe K"]
    accompanying = ["Zn K"]

    [conditions.low]
    names = ["low"]
    tube_voltage_kv = 15.0

    [unseen]
    loss_on_ignition = { CO2 = 0.7, H2O = 0.3 }

A region may say more (`xrfree.method.Region`):

    background = "scattered"        # or "polynomial", or "snip" where no lines overlap
    background_terms = 8
    floor = true                    # an even floor beside the background
    non_negative = true
    [regions.ratios]                # after the keys of its region
    "Pr L2" = "free"                # or "fixed", "tied", or other lines whose factor these share
    "Nd L2" = "Pr L2"

`instrument` is a path as seen from the method's folder. An element that `unseen.oxides` does not name is
bound as its usual oxide (`xrfree.composition.USUAL_OXIDES`). A section `specimen` says what a specimen is
when no list of specimens says otherwise. `second_person_release = true`: in the ledger, results are released by
somebody else than who recorded them. Tables `gates` say what a batch must pass (`xrfree.documents.gates`); they
change no result, and no part of the identity that calibrations refer to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from xrfree.composition import USUAL_OXIDES
from xrfree.documents._base import Document, place_in_document
from xrfree.documents._parts import (
    Element,
    Formula,
    LineGroupName,
    LinesName,
    Name,
    NotNegative,
    Positive,
    check_formula,
    identity,
    read_document,
    refused,
    section,
)
from xrfree.documents.conformity import ConformityDocument
from xrfree.documents.gates import GateDocument, gates_of
from xrfree.errors import DocumentError, DomainError
from xrfree.method import (
    Background,
    ConditionMatch,
    LaboratoryUncertainty,
    Method,
    Region,
    UnseenRule,
    split_group,
)
from xrfree.specimen import Fusion, Specimen, SpecimenForm

SCHEMA = "xrfree/method/1"


def _checked_path(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise refused("expected the path of an instrument document, seen from the folder of the method")
    return text


def _checked_remainder(text: str) -> str:
    if text != "F-O":
        try:
            check_formula(text)
        except DomainError as problem:
            raise refused(f"{problem}, nor 'F-O'") from problem
    return text


class RegionDocument(Document):
    """A part of a spectrum that is fitted by itself, as a document writes it."""

    name: Name
    condition: Name
    ranges_kev: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)]
    quantified: tuple[LineGroupName, ...]
    accompanying: tuple[LineGroupName, ...] = ()
    background: Background = Background.SCATTERED
    background_terms: Annotated[int, Field(ge=1, le=16)] = 3
    floor: bool = False
    ratios: dict[LinesName, str] = Field(default_factory=dict)
    non_negative: bool = False
    calibration_ranges_kev: tuple[tuple[Positive, Positive], ...] = ()


class ConditionMatchDocument(Document):
    """How a file's spectrum is recognised, as a document writes it."""

    names: tuple[str, ...] = ()
    tube_voltage_kv: Positive | None = None
    filter: str | None = None

    @model_validator(mode="after")
    def _recognisable(self) -> ConditionMatchDocument:
        if not self.names and self.tube_voltage_kv is None and self.filter is None:
            raise refused("expected names, tube_voltage_kv or filter to recognise a spectrum by")
        return self


class UnseenDocument(Document):
    """What stands for the elements that no line shows, as a document writes it."""

    oxides: dict[Element, Formula] = Field(default_factory=dict)
    loss_on_ignition: dict[Formula, NotNegative]
    remainder: Annotated[str, AfterValidator(_checked_remainder)] = "F-O"


class FusionDocument(Document):
    """Weighing record of a fused bead, as a document writes it; flux by formula and mass."""

    flux: Annotated[dict[Formula, Positive], Field(min_length=1)]
    sample_g: Positive
    flux_g: Positive
    ignited_mass_per_g_sample: Positive


class SpecimenDocument(Document):
    """What a specimen is when no list says otherwise, as a document writes it."""

    form: SpecimenForm
    density_g_cm3: Positive
    thickness_cm: Positive
    loss_on_ignition: float | None = None
    fusion: FusionDocument | None = None


class UncertaintyDocument(Document):
    """What the laboratory knows of its own work, as a document writes it: standard uncertainties."""

    preparation: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    drift: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    loss_on_ignition: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    dilution: Annotated[float, Field(ge=0, lt=0.5)] = 0.0


class MethodDocument(Document):
    """A measuring procedure, as a document writes it."""

    schema_name: Literal["xrfree/method/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    instrument: Annotated[str, AfterValidator(_checked_path)]
    analytes: Annotated[tuple[Element, ...], Field(min_length=1)]
    coverage_factor: Positive = 2.0
    false_positive_risk: Annotated[float, Field(gt=0, lt=1)] = 0.05
    ratio_sigma: NotNegative = 0.02
    second_person_release: bool = False
    specimen: SpecimenDocument | None = None
    regions: Annotated[tuple[RegionDocument, ...], Field(min_length=1)]
    conditions: dict[Name, ConditionMatchDocument]
    unseen: UnseenDocument
    uncertainty: UncertaintyDocument | None = None
    gates: tuple[GateDocument, ...] = ()
    conformity: ConformityDocument | None = None


def load_method(path: Path | str) -> Method:
    """Method of a TOML document; its identity does not depend on where the instrument's document lies.

    Raises DocumentError with the place in the document that is wrong.
    """
    path = Path(path)
    document = read_document(MethodDocument, path)
    for place, found in _contradictions(document):
        raise DocumentError(path, place=place_in_document(place), found=found, remedy="Correct one of the two places")
    regions = tuple(_region(i, region, path) for i, region in enumerate(document.regions))
    unseen = _unseen(document.unseen, path)
    specimen = None if document.specimen is None else _specimen(document.specimen, path)
    with section(path, ""):
        return Method(
            name=document.name,
            analytes=document.analytes,
            regions=regions,
            conditions={name: ConditionMatch(**c.model_dump()) for name, c in document.conditions.items()},
            unseen=unseen,
            specimen=specimen,
            coverage_factor=document.coverage_factor,
            false_positive_risk=document.false_positive_risk,
            ratio_sigma=document.ratio_sigma,
            uncertainty=LaboratoryUncertainty(**(document.uncertainty or UncertaintyDocument()).model_dump()),
            gates=gates_of(document.gates, path),
            sha256=identity(
                document, without=frozenset({"instrument", "second_person_release", "gates", "conformity"})
            ),
        )


def method_instrument_path(path: Path | str) -> Path:
    """Path of the instrument document that a method document names."""
    path = Path(path)
    return path.parent / read_document(MethodDocument, path).instrument


_Place = tuple[str | int, ...]


def _contradictions(document: MethodDocument) -> Iterator[tuple[_Place, str]]:
    """Places of a method that do not agree with others, and what is wrong there."""
    yield from _region_contradictions(document)
    yield from _quantified_contradictions(document)
    quantified = {split_group(group)[0] for region in document.regions for group in region.quantified}
    for i, analyte in enumerate(document.analytes):
        if analyte not in quantified:
            yield ("analytes", i), f"is '{analyte}', which no region quantifies"
        if analyte in document.analytes[:i]:
            yield ("analytes", i), f"is '{analyte}', which stands there already"


def _region_contradictions(document: MethodDocument) -> Iterator[tuple[_Place, str]]:
    known = ", ".join(f"'{name}'" for name in document.conditions) or "none"
    names: set[tuple[str, str]] = set()
    for i, region in enumerate(document.regions):
        if region.condition not in document.conditions:
            yield ("regions", i, "condition"), f"is '{region.condition}'; the method's conditions: {known}"
        if (region.condition, region.name) in names:
            yield ("regions", i, "name"), f"is '{region.name}', the name of an earlier region"
        names.add((region.condition, region.name))


def _quantified_contradictions(document: MethodDocument) -> Iterator[tuple[_Place, str]]:
    bound = {*USUAL_OXIDES, *document.unseen.oxides}
    seen: dict[tuple[str, str], str] = {}
    for i, region in enumerate(document.regions):
        for j, group in enumerate(region.quantified):
            place, element = ("regions", i, "quantified", j), split_group(group)[0]
            measured = element, region.condition
            if measured in seen:
                yield (
                    place,
                    f"is '{group}', but {element} is already quantified in '{region.condition}' by {seen[measured]}",
                )
            if element not in bound:
                yield place, f"is '{group}', but unseen.oxides names no oxide of {element}"
            seen[measured] = f"'{group}' of region '{region.name}'"


def _region(index: int, document: RegionDocument, path: Path) -> Region:
    with section(path, place_in_document(("regions", index))):
        fields: dict[str, Any] = document.model_dump()
        return Region(**fields | {"ratios": tuple(document.ratios.items())})


def _unseen(document: UnseenDocument, path: Path) -> UnseenRule:
    with section(path, "unseen"):
        return UnseenRule(
            oxides={**USUAL_OXIDES, **document.oxides},
            loss_on_ignition=document.loss_on_ignition,
            remainder=document.remainder,
        )


def _specimen(document: SpecimenDocument, path: Path) -> Specimen:
    with section(path, "specimen"):
        fields: dict[str, Any] = document.model_dump(exclude={"fusion"})
        return Specimen(**fields, fusion=None if document.fusion is None else _fusion(document.fusion))


def _fusion(document: FusionDocument) -> Fusion:
    fields: dict[str, Any] = document.model_dump(exclude={"flux"})
    return Fusion(**fields, flux=tuple(document.flux.items()))
