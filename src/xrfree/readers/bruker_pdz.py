"""Bruker PDZ of handheld spectrometers (S1 TITAN, Tracer 5, CTX): records of type, length and payload.

Version 25: one spectrum record per phase, in no fixed order. Version 24 (Tracer III): one block; its published
layouts name no energy of channel 0, so that a profile has to give the energy scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._binary import Binary
from xrfree.readers._elements import symbol
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_START_25 = b"\x19\x00\x0e\x00\x00\x00p\x00d\x00z\x002\x005\x00"
_START_24 = b"\x01\x01"
_HEADER_24_BYTES = 358
_LONGEST_TEXT = 4096
_KINDS_OF_INSTRUMENT = {1: "XRF"}
_INSTRUMENT, _SUMMARY, _SPECTRUM, _RESULTS, _RESULT, _USER_FIELDS = 1, 2, 3, 5, 6, 9
_FILTER_LAYERS, _HEADER, _PLACE, _MISCELLANEOUS = 11, 25, 138, 139


@dataclass(frozen=True, slots=True)
class _Record:
    """Type and payload of one record."""

    kind: int
    payload: Binary


class _Cursor:
    """Fields of a record one after the other."""

    def __init__(self, payload: Binary) -> None:
        self.payload = payload
        self.offset = 0

    def integer(self, kind: str) -> int:
        value = self.payload.integer(kind, self.offset)
        self.offset += {"B": 1, "h": 2, "H": 2, "i": 4, "I": 4}[kind]
        return value

    def shown(self, kind: str = "f") -> str:
        value = self.payload.shown(kind, self.offset)
        self.offset += {"f": 4, "d": 8}[kind]
        return value

    def text(self) -> str:
        n = self.integer("I")
        if n > _LONGEST_TEXT:
            raise self.payload.damaged(self.offset - 4, f"a text of {n} characters is stated")
        found = self.payload.text(self.offset, 2 * n, "utf-16-le")
        self.offset += 2 * n
        return found


def recognises(head: bytes) -> bool:
    """Whether the file starts with the header of version 25, or with the number of version 24."""
    return head.startswith(_START_25) or _is_version_24(head)


def _is_version_24(head: bytes) -> bool:
    """257, then the version as a small number, then a plausible number of channels."""
    if not head.startswith(_START_24) or len(head) < _HEADER_24_BYTES:
        return False
    version, n_channels = int.from_bytes(head[2:6], "little"), int.from_bytes(head[6:8], "little")
    return 0 < version < 1000 and n_channels in {512, 1024, 2048, 4096, 8192}


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a PDZ file: one spectrum per phase."""
    content = Binary(file.path, file.content)
    if file.content.startswith(_START_24):
        return assemble(file, [_version_24(content)], profile)
    records = list(_records(content))
    instrument = content.integer("I", 16)
    if instrument not in _KINDS_OF_INSTRUMENT:
        raise SpectrumFileError(
            file.path,
            place="byte 16",
            found=f"the kind of instrument is {instrument}, expected 1 (X-ray fluorescence)",
            remedy="Remove the file from the batch",
        )
    metadata = _metadata(records)
    spectra = [record.payload for record in records if record.kind == _SPECTRUM]
    if not spectra:
        raise SpectrumFileError(file.path, found="holds no spectrum record", remedy="Export the file with its spectra")
    layers = dict(_more_layers(record.payload) for record in records if record.kind == _FILTER_LAYERS)
    return assemble(file, [_phase(payload, metadata, layers) for payload in spectra], profile)


def _records(content: Binary) -> Iterator[_Record]:
    offset = 0
    size = len(content.content)
    while offset < size and (size - offset >= 6 or content.content[offset:].strip(b"\0")):
        kind, length = content.integer("H", offset), content.integer("I", offset + 2)
        yield _Record(kind, content.part(offset + 6, length))
        offset += 6 + length


def _phase(payload: Binary, metadata: dict[str, str], layers: dict[int, list[tuple[int, int]]]) -> Statement:
    """One spectrum record; its fields are not aligned."""
    n_channels, name_length = payload.integer("h", 104), payload.integer("I", 110)
    if not 0 < n_channels <= MAX_CHANNELS or name_length > _LONGEST_TEXT:
        raise payload.damaged(104, f"{n_channels} channels, and a name of {name_length} characters, are stated")
    first_count = 116 + 2 * name_length
    phase = payload.integer("I", 0)
    counts = payload.counts("u4", first_count, n_channels)
    zero_ev, gain_ev = payload.real("f", 80), payload.real("f", 74)
    return Statement(
        counts=counts,
        place_of=lambda channel: payload.place(first_count + 4 * channel),
        live_time_s=payload.stated("f", 36, "live time"),
        real_time_s=_real_time(payload),
        scale=StatedScale(zero_kev=zero_ev / 1000.0, gain_kev=gain_ev / 1000.0, place=payload.place(74)),
        specimen=_specimen(metadata),
        label=f"phase {phase}",
        anode=metadata.get("anode"),
        tube_voltage_kv=_where_measured(payload.stated("f", 40, "tube voltage")),
        tube_current_ua=_where_measured(payload.stated("f", 44, "tube current")),
        filter=_filter(payload, layers.get(phase, [])),
        metadata=metadata | _phase_metadata(payload, name_length),
    )


def _real_time(payload: Binary) -> Stated:
    """Packet time, which is live + dead + reset time; their sum where the packet time is not filled in."""
    packet, dead, reset, live = (payload.stated("f", offset, key) for offset, key in _TIMES)
    if packet.value > 0:
        return packet
    return Stated(live.value + dead.value + reset.value, "live + dead + reset time", live.place)


def _where_measured(stated: Stated) -> Stated | None:
    """A faulty tube supply reports zero: then the file does not say what the tube did."""
    return stated if stated.value > 0 else None


def _specimen(metadata: dict[str, str]) -> str | None:
    """Name of the specimen among the fields of the user; None lets the name of the file stand."""
    fields = {key.removeprefix("user field ").lower(): value for key, value in metadata.items() if value}
    return next((fields[key] for key in ("sample id", "sample", "sample name", "sampleid") if key in fields), None)


def _filter(payload: Binary, more: list[tuple[int, int]]) -> str:
    """Layers as "Ti 25 + Al 300" with the thickness in µm; "none" without any."""
    layers = [(payload.integer("h", offset), payload.integer("h", offset + 2)) for offset in (48, 52, 56)]
    return " + ".join(f"{symbol(z)} {thickness}" for z, thickness in [*layers, *more] if z > 0) or "none"


def _more_layers(payload: Binary) -> tuple[int, list[tuple[int, int]]]:
    """Phase, and its filter layers beyond the third: atomic number and thickness in µm."""
    cursor = _Cursor(payload)
    phase, n = cursor.integer("H"), cursor.integer("H")
    if not n:
        return phase, []
    elements = [cursor.integer("H") for _ in range(n)]
    return phase, [(z, cursor.integer("I")) for z in elements]


_TIMES = ((24, "packet time"), (28, "dead time"), (32, "reset time"), (36, "live time"))
_PHASE_FIELDS = (
    ("phase number", "I", 0),
    ("raw counts", "I", 4),
    ("valid counts", "I", 8),
    ("valid counts in range", "I", 12),
    ("reset counts", "I", 16),
    ("time since trigger (s)", "f", 20),
    ("packet time (s)", "f", 24),
    ("dead time (s)", "f", 28),
    ("reset time (s)", "f", 32),
    ("live time (s)", "f", 36),
    ("tube voltage (kV)", "f", 40),
    ("tube current (uA)", "f", 44),
    ("filter wheel position", "h", 60),
    ("detector temperature (C)", "f", 62),
    ("ambient temperature (F)", "f", 66),
    ("vacuum", "i", 70),
    ("eV per channel", "f", 74),
    ("gain drift algorithm", "h", 78),
    ("channel start (eV)", "f", 80),
    ("atmospheric pressure", "f", 100),
    ("nose temperature", "h", 106),
    ("environment", "h", 108),
)


def _phase_metadata(payload: Binary, name_length: int) -> dict[str, str]:
    said = {key: payload.shown(kind, offset) for key, kind, offset in _PHASE_FIELDS}
    said["acquisition date and time"] = _system_time(payload, 84)
    said["illumination"] = payload.text(114, 2 * name_length, "utf-16-le")
    said["normal packet start"] = payload.shown("h", 114 + 2 * name_length)
    return said


def _system_time(payload: Binary, offset: int) -> str:
    """A SYSTEMTIME as "2023-05-04 13:14:15.016"; the file names no time zone."""
    year, month, _, day, hour, minute, second, ms = (payload.integer("H", offset + 2 * i) for i in range(8))
    return f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}.{ms:03d}"


def _metadata(records: list[_Record]) -> dict[str, str]:
    """What the records beside the spectra say; records of unknown type are counted."""
    said: dict[str, str] = {}
    unread: Counter[int] = Counter()
    for record in records:
        if record.kind in _READ:
            try:
                said |= _READ[record.kind](_Cursor(record.payload))
            except SpectrumFileError as error:  # a record of another layout is no reason to refuse the spectra
                said[f"record type {record.kind}"] = f"not understood: {error.found}"
        elif record.kind not in {_SPECTRUM, _HEADER, _FILTER_LAYERS}:
            unread[record.kind] += len(record.payload.content)
    return said | {f"record type {kind}": f"{size} bytes, not read" for kind, size in unread.items()}


def _instrument(cursor: _Cursor) -> dict[str, str]:
    said = {"serial number": cursor.text(), "build number": cursor.text(), "anode": symbol(cursor.integer("B"))}
    for key in ("anode take-off angle (deg)", "incidence angle (deg)", "take-off angle (deg)"):
        said[key] = str(cursor.integer("B"))
    said["tube window Be (um)"] = str(cursor.integer("h"))
    said |= {"detector": cursor.text(), "tube type": cursor.text()}
    said |= {"hardware spot (mm)": str(cursor.integer("B")), "software spot (mm)": str(cursor.integer("B"))}
    said["collimator"] = cursor.text()
    for _ in range(min(cursor.integer("I"), 64)):
        number = cursor.integer("H")
        said[f"version {number}"] = cursor.text()
    return said


def _summary(cursor: _Cursor) -> dict[str, str]:
    said = {"number of phases": str(cursor.integer("I"))}
    for key in ("raw", "valid", "valid in range", "reset"):
        said[f"assay {key} counts"] = str(cursor.integer("I"))
    for key in ("real", "packet", "dead", "reset", "live", "elapsed"):
        said[f"assay {key} time (s)"] = cursor.shown()
    return said | {"application": cursor.text(), "application part number": cursor.text(), "user": cursor.text()}


def _results_header(cursor: _Cursor) -> dict[str, str]:
    said = {"analysis mode": str(cursor.integer("I")), "analysis type": str(cursor.integer("I"))}
    said |= {"auto-calibration": str(cursor.integer("h")), "result type": str(cursor.integer("h"))}
    said["error multiplier"] = str(cursor.integer("H"))
    for key in ("calibration file", "calibration package", "package part number", "type standard set"):
        said[key] = cursor.text()
    return said


def _result(cursor: _Cursor) -> dict[str, str]:
    """The numbers as stored: whether they are percent or follow the unit byte, published layouts disagree."""
    name, z, unit = cursor.text(), cursor.integer("I"), cursor.integer("B")
    numbers = [f"{key} {cursor.shown()}" for key in ("result", "type-standard result", "error", "min", "max")]
    flags = [f"{key} {cursor.integer('h')}" for key in ("tramp", "nominal")]
    return {f"result {name}": "; ".join([f"Z {z}", f"unit byte {unit}", *numbers, *flags])}


def _user_fields(cursor: _Cursor) -> dict[str, str]:
    said = {}
    for _ in range(max(0, cursor.integer("h"))):
        name = cursor.text()
        said[f"user field {name}"] = cursor.text()
    return said


def _place(cursor: _Cursor) -> dict[str, str]:
    valid = cursor.integer("i")
    latitude, longitude, altitude = cursor.shown("d"), cursor.shown("d"), cursor.shown("f")
    return {"GPS": f"valid {valid}; latitude {latitude}; longitude {longitude}; altitude {altitude}"}


def _miscellaneous(cursor: _Cursor) -> dict[str, str]:
    return {
        "standard deviations shown": str(cursor.integer("i")),
        "active calibration": cursor.text(),
        "sample id": cursor.text(),
    }


_READ = {
    _INSTRUMENT: _instrument,
    _SUMMARY: _summary,
    _RESULTS: _results_header,
    _RESULT: _result,
    _USER_FIELDS: _user_fields,
    _PLACE: _place,
    _MISCELLANEOUS: _miscellaneous,
}


def _version_24(content: Binary) -> Statement:
    """The one spectrum of version 24. Offsets published twice, independently; not checked on a file."""
    n_channels = content.integer("h", 6)
    gain_ev = content.real("d", 50)
    return Statement(
        counts=content.counts("i4", _HEADER_24_BYTES, n_channels),
        place_of=lambda channel: content.place(_HEADER_24_BYTES + 4 * channel),
        live_time_s=content.stated("f", 354, "live time"),
        real_time_s=content.stated("f", 342, "real time"),
        no_scale=f"PDZ version 24: the energy of channel 0 is not in the file as far as its layout is known "
        f"({gain_ev:g} eV per channel is)",
        tube_voltage_kv=content.stated("f", 162, "tube voltage"),
        tube_current_ua=content.stated("f", 166, "tube current"),
        metadata={"version": str(content.integer("i", 2)), "eV per channel": f"{gain_ev:.12g}"},
    )


FORMAT = SpectrumFormat(name="Bruker PDZ", suffixes=(".pdz",), recognises=recognises, read=read)
