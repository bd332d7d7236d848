"""Instrument documents: TOML <-> Instrument.

    schema = "xrfree/instrument/1"
    name = "Bench"

    [detector]
    crystal = "Si"
    thickness_um = 450.0
    windows = [{ formula = "Be", thickness_um = 8.0 }]

    [conditions.low]
    incidence_deg = 45.0
    take_off_deg = 45.0
    energy_zero_kev = 0.0
    energy_gain_kev = 0.01
    filters = [{ formula = "Al", thickness_um = 20.0 }]
    path = [{ gas = "air", length_cm = 2.0 }]

    [conditions.low.tube]
    anode = "Rh"
    voltage_kv = 15.0
    window = [{ formula = "Be", thickness_um = 125.0 }]
    electron_incidence_deg = 90.0
    take_off_deg = 25.0

    [conditions.low.response]
    noise_kev = 0.03
    fano = 0.117

Angles are from the surface. The path is what lies between tube and specimen, and again between specimen and
detector. An angle may be written in radians, and the detector's thickness in cm (`_rad` and `thickness_cm` in
the place of `_deg` and `thickness_um`): so a number is kept that has no exact equal in the other unit. A
tube whose spectrum is known otherwise (photons behind its window, any unit) states it and no window:

    [conditions.low.tube.spectrum]
    energy_kev = [1.0, 2.0, 5.0, 15.0]
    flux = [2.1e9, 8.0e9, 5.5e9, 0.0]
    line_series = ["L3-M"]
    line_energy_kev = [2.697]
    line_flux = [4.0e9]

A calibrated instrument also has `tables` and two more sections; a scale belongs to a condition, or to one line
group under it:

    [log_scale]
    low = -20.1
    "low/La L" = -20.15

    [line_ratios]
    clusters = ["La L2-M4,5", "La L3-N4,5"]
    deviation = [0.012, -0.004]
    covariance = [
        [1.6e-05],
        [2.0e-06, 9.0e-06],
    ]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from xrfree.documents._base import Document, place_in_document, validate
from xrfree.documents._layers import (
    UM_PER_CM,
    LayerDocument,
    PathLayerDocument,
    absorber,
    absorber_data,
    path_absorbers,
)
from xrfree.documents._parts import (
    CovarianceRows,
    Element,
    LineClusterName,
    LineGroupName,
    Name,
    NotNegative,
    Positive,
    covariance_matrix,
    covariance_rows,
    exact_in_unit,
    exactly_one,
    identity,
    read_document,
    refused,
    section,
    write_document,
)
from xrfree.errors import DomainError
from xrfree.instrument import (
    NO_LINE_RATIOS,
    Absorber,
    Detector,
    Instrument,
    InstrumentCondition,
    LineRatios,
    Response,
    Tube,
    TubeSpectrum,
)

SCHEMA = "xrfree/instrument/1"

Degrees = Annotated[float, Field(gt=0, le=90)]

_SCALE_PARTS = TypeAdapter(tuple[Name] | tuple[Name, LineGroupName])


def _checked_scale(key: str) -> str:
    try:
        _SCALE_PARTS.validate_python(tuple(key.split("/")))
    except ValidationError as problem:
        raise refused("expected a condition, or condition/line group such as 'low/La L'") from problem
    return key


ScaleKey = Annotated[str, AfterValidator(_checked_scale)]


class DetectorDocument(Document):
    """The detector, as a document writes it."""

    crystal: Literal["Si", "Ge", "CdTe"]
    thickness_um: Positive | None = None
    thickness_cm: Positive | None = None
    windows: tuple[LayerDocument, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> DetectorDocument:
        exactly_one(self, "thickness_um", "thickness_cm")
        return self


class TubeSpectrumDocument(Document):
    """What leaves the tube's window, in the place of the formulas; see `xrfree.instrument.TubeSpectrum`."""

    energy_kev: tuple[Positive, ...]
    flux: tuple[NotNegative, ...]
    line_series: tuple[str, ...] = ()
    line_energy_kev: tuple[Positive, ...] = ()
    line_flux: tuple[NotNegative, ...] = ()


class TubeDocument(Document):
    """The X-ray tube under one condition, as a document writes it."""

    anode: Element
    voltage_kv: Annotated[float, Field(ge=4, le=100)]
    window: tuple[LayerDocument, ...] = ()
    electron_incidence_deg: Degrees | None = None
    electron_incidence_rad: Positive | None = None
    take_off_deg: Degrees | None = None
    take_off_rad: Positive | None = None
    spectrum: TubeSpectrumDocument | None = None

    @model_validator(mode="after")
    def _complete(self) -> TubeDocument:
        exactly_one(self, "electron_incidence_deg", "electron_incidence_rad")
        exactly_one(self, "take_off_deg", "take_off_rad")
        return self


class ResponseDocument(Document):
    """How the detector answers, as a document writes it; see `xrfree.instrument.Response`."""

    noise_kev: Positive
    fano: Positive
    width_factor_k: Positive | None = None
    width_factor_l: Positive | None = None
    wing_reach: Positive | None = None
    tail_log_share: float | None = None
    tail_fall: float | None = None
    tail_rest: float | None = None
    tail_scale_kev: Positive | None = None
    tail_growth: float | None = None
    shelf_log_share: float | None = None
    escape_scale: NotNegative | None = None
    escape_relative_uncertainty: NotNegative | None = None
    pulse_pair_time_s: NotNegative | None = None
    pile_up_relative_uncertainty: NotNegative | None = None


class ConditionDocument(Document):
    """One excitation condition, as a document writes it."""

    tube: TubeDocument
    filters: tuple[LayerDocument, ...] = ()
    path: tuple[PathLayerDocument, ...] = ()
    incidence_deg: Degrees | None = None
    incidence_rad: Positive | None = None
    take_off_deg: Degrees | None = None
    take_off_rad: Positive | None = None
    energy_zero_kev: float
    energy_gain_kev: Positive
    response: ResponseDocument

    @model_validator(mode="after")
    def _complete(self) -> ConditionDocument:
        exactly_one(self, "incidence_deg", "incidence_rad")
        exactly_one(self, "take_off_deg", "take_off_rad")
        return self


class LineRatiosDocument(Document):
    """Corrections to tabulated line strengths; covariance by the rows of its lower triangle."""

    clusters: tuple[LineClusterName, ...]
    deviation: tuple[Annotated[float, Field(gt=-1)], ...]
    covariance: CovarianceRows

    @model_validator(mode="after")
    def _complete(self) -> LineRatiosDocument:
        n = len(self.clusters)
        if len(set(self.clusters)) != n:
            raise refused("clusters names some lines twice")
        if (len(self.deviation), len(self.covariance)) != (n, n):
            raise refused(f"{n} clusters need as many numbers in deviation and rows in covariance")
        return self


class InstrumentDocument(Document):
    """A spectrometer, as a document writes it."""

    schema_name: Literal["xrfree/instrument/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    tables: str = ""
    detector: DetectorDocument
    conditions: Annotated[dict[Name, ConditionDocument], Field(min_length=1)]
    log_scale: dict[ScaleKey, float] = Field(default_factory=dict)
    line_ratios: LineRatiosDocument | None = None

    @model_validator(mode="after")
    def _scales_belong(self) -> InstrumentDocument:
        for key in self.log_scale:
            condition = key.partition("/")[0]
            if condition not in self.conditions:
                raise refused(f"log_scale names '{key}', but there is no condition '{condition}'")
        return self


def load_instrument(path: Path | str) -> Instrument:
    """Instrument of a TOML document; its conditions in the order of their names."""
    path = Path(path)
    document = read_document(InstrumentDocument, path)
    conditions = {name: _condition(name, c, path) for name, c in document.conditions.items()}
    responses = {name: _response(name, c.response, path) for name, c in document.conditions.items()}
    with section(path, "line_ratios"):
        ratios = NO_LINE_RATIOS if document.line_ratios is None else _line_ratios(document.line_ratios)
    with section(path, "detector"):
        detector = _detector(document.detector)
    with section(path, ""):
        return Instrument(
            name=document.name,
            conditions=conditions,
            detector=detector,
            responses=responses,
            line_ratios=ratios,
            log_scale=document.log_scale,
            tables=document.tables,
            sha256=identity(document),
        )


def _detector(document: DetectorDocument) -> Detector:
    return Detector(
        crystal=document.crystal,
        thickness_cm=_either(document.thickness_um, _cm, document.thickness_cm),
        windows=tuple(map(absorber, document.windows)),
    )


def _either(given: float | None, convert: Callable[[float], float], inside: float | None) -> float:
    """A quantity written in a document's unit, converted, or in the unit used inside."""
    value = inside if given is None else convert(given)
    if value is None:  # a document that passed its check has one of the two
        raise DomainError("a quantity is given in neither of its units")
    return value


def _cm(um: float) -> float:
    return um / UM_PER_CM


def _condition(name: str, document: ConditionDocument, path: Path) -> InstrumentCondition:
    place = ("conditions", name)
    with section(path, place_in_document((*place, "tube"))):
        tube = _tube(document.tube)
    with section(path, place_in_document((*place, "filters"))):
        filters = tuple(map(absorber, document.filters))
    with section(path, place_in_document((*place, "path"))):
        gas = tuple(layer for entry in document.path for layer in path_absorbers(entry))
    with section(path, place_in_document(place)):
        return InstrumentCondition(
            name=name,
            tube=tube,
            filters=filters,
            path=gas,
            incidence_angle_rad=_either(document.incidence_deg, math.radians, document.incidence_rad),
            take_off_angle_rad=_either(document.take_off_deg, math.radians, document.take_off_rad),
            energy_zero_kev=document.energy_zero_kev,
            energy_gain_kev=document.energy_gain_kev,
        )


def _tube(document: TubeDocument) -> Tube:
    return Tube(
        anode=document.anode,
        voltage_kv=document.voltage_kv,
        window=tuple(map(absorber, document.window)),
        electron_incidence_rad=_either(document.electron_incidence_deg, math.radians, document.electron_incidence_rad),
        take_off_angle_rad=_either(document.take_off_deg, math.radians, document.take_off_rad),
        spectrum=None if document.spectrum is None else _tube_spectrum(document.spectrum),
    )


def _tube_spectrum(document: TubeSpectrumDocument) -> TubeSpectrum:
    return TubeSpectrum(
        energy_kev=np.array(document.energy_kev),
        flux=np.array(document.flux),
        line_series=document.line_series,
        line_energy_kev=np.array(document.line_energy_kev),
        line_flux=np.array(document.line_flux),
    )


def _response(name: str, document: ResponseDocument, path: Path) -> Response:
    with section(path, place_in_document(("conditions", name, "response"))):
        return Response(**document.model_dump(exclude_none=True))


def _line_ratios(document: LineRatiosDocument) -> LineRatios:
    return LineRatios(
        clusters=tuple(map(_cluster, document.clusters)),
        deviation=np.array(document.deviation),
        covariance=covariance_matrix(document.covariance),
    )


def _cluster(text: str) -> tuple[str, str]:
    """Line group and cluster: "La L2-M4,5" -> ("La L", "L2-M4,5")."""
    element, _, cluster = text.partition(" ")
    return f"{element} {cluster[0]}", cluster


def _cluster_data(group: str, cluster: str) -> str:
    text = f"{group.partition(' ')[0]} {cluster}"
    if not cluster or _cluster(text) != (group, cluster):
        raise DomainError(f"'{cluster}' is no part of the line group '{group}'")
    return text


def write_instrument(path: Path | str, instrument: Instrument, *, comment: str = "") -> None:
    """Write an instrument as a TOML document that `load_instrument` reads back with the same numbers."""
    write_document(InstrumentDocument, path, instrument_data(instrument), comment)


def instrument_sha256(instrument: Instrument) -> str:
    """Identity that an instrument has once it is written."""
    return identity(validate(InstrumentDocument, instrument_data(instrument), f"{instrument.name}.toml"))


def instrument_data(instrument: Instrument) -> dict[str, Any]:
    """Plain data of an instrument document.

    Raises DomainError for a condition that goes by two names.
    """
    misnamed = [key for key, condition in instrument.conditions.items() if condition.name != key]
    scaled = {key.partition("/")[0] for key in instrument.log_scale}
    misnamed += sorted({*instrument.responses, *scaled} - set(instrument.conditions))
    if misnamed:
        raise DomainError(f"instrument {instrument.name} knows no condition by the name of {misnamed[0]}")
    data: dict[str, Any] = {"schema": SCHEMA, "name": instrument.name}
    if instrument.tables:
        data["tables"] = instrument.tables
    data["detector"] = _detector_data(instrument.detector)
    data["conditions"] = {
        name: _condition_data(condition, instrument.responses[name])
        for name, condition in instrument.conditions.items()
    }
    if instrument.log_scale:
        data["log_scale"] = {key: float(value) for key, value in instrument.log_scale.items()}
    if instrument.line_ratios.clusters:
        data["line_ratios"] = _line_ratios_data(instrument.line_ratios)
    return data


def _angle_data(name: str, value: float) -> dict[str, float]:
    degrees = exact_in_unit(value, math.degrees(value), math.radians)
    return {f"{name}_rad": float(value)} if degrees is None or degrees > 90.0 else {f"{name}_deg": degrees}


def _layers_data(key: str, layers: Iterable[Absorber]) -> dict[str, Any]:
    rows = [absorber_data(layer) for layer in layers]
    return {key: rows} if rows else {}


def _detector_data(detector: Detector) -> dict[str, Any]:
    cm = float(detector.thickness_cm)
    um = exact_in_unit(cm, cm * UM_PER_CM, _cm)
    written = {"thickness_cm": cm} if um is None else {"thickness_um": um}
    return {"crystal": detector.crystal, **written, **_layers_data("windows", detector.windows)}


def _condition_data(condition: InstrumentCondition, response: Response) -> dict[str, Any]:
    return {
        **_angle_data("incidence", condition.incidence_angle_rad),
        **_angle_data("take_off", condition.take_off_angle_rad),
        "energy_zero_kev": float(condition.energy_zero_kev),
        "energy_gain_kev": float(condition.energy_gain_kev),
        **_layers_data("filters", condition.filters),
        **_layers_data("path", condition.path),
        "tube": _tube_data(condition.tube),
        "response": {key: _plain(value) for key, value in asdict(response).items()},
    }


def _plain(value: float | tuple[float, ...]) -> float | list[float]:
    return [float(v) for v in value] if isinstance(value, tuple) else float(value)


def _tube_data(tube: Tube) -> dict[str, Any]:
    return {
        "anode": tube.anode,
        "voltage_kv": float(tube.voltage_kv),
        **_layers_data("window", tube.window),
        **_angle_data("electron_incidence", tube.electron_incidence_rad),
        **_angle_data("take_off", tube.take_off_angle_rad),
        **({} if tube.spectrum is None else {"spectrum": _tube_spectrum_data(tube.spectrum)}),
    }


def _tube_spectrum_data(spectrum: TubeSpectrum) -> dict[str, Any]:
    numbers = ("energy_kev", "flux", "line_energy_kev", "line_flux")
    return {"line_series": list(spectrum.line_series), **{name: getattr(spectrum, name).tolist() for name in numbers}}


def _line_ratios_data(ratios: LineRatios) -> dict[str, Any]:
    return {
        "clusters": [_cluster_data(group, cluster) for group, cluster in ratios.clusters],
        "deviation": ratios.deviation.tolist(),
        "covariance": covariance_rows(ratios.covariance),
    }
