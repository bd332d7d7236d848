"""EMSA/MAS spectral data files, ISO 22029: lines `#KEY : value`, `#SPECTRUM`, numbers, `#ENDOFDATA`.

A key may carry its unit (`#LIVETIME  -s`), makers add keys with `##`, keys repeat. DATATYPE says what the
numbers are: Y counts, XY pairs of energy and counts, YY one count per detector. NCOLUMNS tells how lines
are broken and nothing else, so it is not used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale, Statement, assemble, condition_name, with_own_condition
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single, stated_integer
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, number, shown
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_SPECTRUM = re.compile(r"^#SPECTRUM(?![A-Za-z0-9]).*(?:\n|\Z)", re.MULTILINE)
_END = re.compile(r"^#ENDOFDATA(?![A-Za-z0-9]).*(?:\n|\Z)", re.MULTILINE)
_STANDARD_KEY = re.compile(r"([A-Z]+)(?:[ -]+([A-Za-z]*))?")
_SHORT_UNITS = {"seconds": "s", "second": "s"}
_LONGEST_VALUE = 100  # a number and its unit
_VALUE_UNIT = re.compile(r"(\S+)(?: *([A-Za-z]+))?")
_OTHER_SIGNALS = {
    "ELS": "electron energy loss",
    "EELS": "electron energy loss",
    "WDS": "wavelength dispersive X-ray",
    "WLS": "wavelength dispersive X-ray",
    "AES": "Auger electron",
    "PES": "photoelectron",
    "XPS": "photoelectron",
    "CLS": "cathodoluminescence",
}
_UNIT_KEV = {"kev": 1.0, "ev": 1e-3}
# The X column repeats OFFSET + XPERCHAN i, printed with a few digits.
_X_TOLERANCE_CHANNELS = 0.05


@dataclass(frozen=True, slots=True)
class _File:
    """Parts of a file: header, the same by standard names, numbers, whether `#ENDOFDATA` closes them."""

    path: Path
    items: tuple[HeaderItem, ...]
    names: dict[str, list[HeaderItem]]
    numbers: NumberBlock
    closed: bool

    def value(self, key: str) -> HeaderItem | None:
        """The item of a standard key, whatever unit the key carries; None where its value is empty."""
        found = single(self.path, self.names.get(key, ()))
        return found if found is not None and found.value else None

    def required(self, key: str) -> HeaderItem:
        """The item of a key that every file of this format has."""
        item = self.value(key)
        if item is None:
            raise SpectrumFileError(
                self.path,
                found=f"the key #{key} is missing or empty",
                remedy=f"{EXPORT_AGAIN}, or add the line",
            )
        return item


def recognises(head: bytes) -> bool:
    """Whether the first line says that this is an EMSA/MAS file."""
    line = first_line(head).upper()
    return line.startswith("#FORMAT") and "EMSA" in line


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an EMSA/MAS file; one spectrum per detector."""
    parts = _split(file.path, decode(file.path, file.content))
    _refuse_other_signal(parts)
    energies, counts = _points(parts)
    statements = [
        _statement(parts, counts[:, detector], energies, detector, counts.shape[1])
        for detector in range(counts.shape[1])
    ]
    return assemble(file, statements, profile)


def _split(path: Path, text: str) -> _File:
    start = _SPECTRUM.search(text)
    if start is None:
        raise SpectrumFileError(
            path,
            place=f"line {text.count(chr(10)) + 1}",
            found="the file ends without a line #SPECTRUM",
            remedy=f"The file is cut off, or holds a configuration only: {EXPORT_AGAIN.lower()}",
        )
    end = _END.search(text, start.end())
    items = _items(path, text[: start.start()], 1)
    first_line = text.count("\n", 0, start.end()) + 1
    numbers = text[start.end() : end.start() if end is not None else len(text)]
    if end is not None:
        items += _items(path, text[end.end() :], first_line + numbers.count("\n") + 1)
    block = NumberBlock(path=path, text=numbers, first_line=first_line)
    return _File(path, tuple(items), _by_name(items), block, closed=end is not None)


def _items(path: Path, text: str, first_line: int) -> list[HeaderItem]:
    lines = enumerate(text.split("\n"), first_line)
    return [_item(path, line, line_number) for line_number, line in lines if line.strip()]


def _by_name(items: list[HeaderItem]) -> dict[str, list[HeaderItem]]:
    names: dict[str, list[HeaderItem]] = {}
    for item in items:
        names.setdefault(_name_and_unit(item.key)[0], []).append(item)
    return names


def _item(path: Path, line: str, line_number: int) -> HeaderItem:
    key, colon, value = line.partition(":")
    if not line.startswith("#") or not colon:
        raise SpectrumFileError(
            path,
            place=f"line {line_number}",
            found=f"{shown(line)} is not of the form '#KEY : value'",
            remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}",
        )
    return HeaderItem(" ".join(key.removeprefix("#").split()), value.strip(), line_number)


def _name_and_unit(key: str) -> tuple[str, str]:
    """Name and unit of a key: ("LIVETIME", "s") of "LIVETIME -s"; makers' keys keep their mark "#"."""
    match = _STANDARD_KEY.fullmatch(key.upper())
    return (match[1], match[2] or "") if match is not None and not key.startswith("#") else (key, "")


def _refuse_other_signal(parts: _File) -> None:
    """Refuse what is not an energy-dispersive spectrum of X-rays."""
    signal = parts.value("SIGNALTYPE")
    units = parts.value("XUNITS")
    reason, item = None, signal
    if signal is not None:
        reason = _OTHER_SIGNALS.get(signal.value.upper())
    if reason is None and units is not None and "loss" in units.value.lower():
        reason, item = "energy loss", units
    if reason is not None and item is not None:
        raise SpectrumFileError(
            parts.path,
            place=item.place,
            found=f"{item.key} is {item.value}: this is an {reason} spectrum, not an energy-dispersive X-ray spectrum",
            remedy="Remove the file from the batch",
        )
    rate = parts.value("YUNITS")
    if rate is not None and re.search(r"cps|/ ?s|per s|rate", rate.value.lower()):
        raise SpectrumFileError(
            parts.path,
            place=rate.place,
            found=f"YUNITS is {shown(rate.value)}: a rate, not counts",
            remedy=f"{EXPORT_AGAIN} as counts",
        )


def _points(parts: _File) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Energies as printed (XY only) and counts, shape (n_points, n_detectors)."""
    item = parts.required("NPOINTS")
    item = replace(item, value=_value_and_note(item.value)[0])
    n_points = stated_integer(parts.path, item, expected="the number of points")
    if not n_points or n_points > MAX_CHANNELS:
        raise SpectrumFileError(
            parts.path,
            place=item.place,
            found=f"NPOINTS is {item.value}: there is no spectrum in this file that could be read",
            remedy="Give the file with the spectrum, not one with the configuration of the instrument",
        )
    width = _numbers_per_point(parts)
    values = parts.numbers.flat(commas=True)
    _refuse_other_length(parts, item, values.size, n_points, width)
    table = values.reshape(n_points, width)
    return (table[:, 0], table[:, 1:]) if _datatype(parts) == "XY" else (None, table)


def _datatype(parts: _File) -> str:
    item = parts.required("DATATYPE")
    datatype = _value_and_note(item.value)[0].upper()
    if datatype not in {"Y", "XY", "YY"}:
        raise SpectrumFileError(
            parts.path,
            place=item.place,
            found=f"DATATYPE is {shown(item.value)}, expected Y, XY or YY",
            remedy=f"{EXPORT_AGAIN}, or repair the line",
        )
    return datatype


def _numbers_per_point(parts: _File) -> int:
    datatype = _datatype(parts)
    if datatype == "YY":
        return _value_and_note(parts.required("XPERCHAN").value)[0].count(",") + 1
    return 2 if datatype == "XY" else 1


def _refuse_other_length(parts: _File, item: HeaderItem, found: int, n_points: int, width: int) -> None:
    if found != n_points * width:
        each = "" if width == 1 else f" of {width} numbers each"
        raise SpectrumFileError(
            parts.path,
            place=item.place,
            found=f"NPOINTS is {n_points}{each}, but {found} numbers follow #SPECTRUM",
            remedy=f"The file is cut off or edited: copy it again, or {EXPORT_AGAIN.lower()}",
        )
    if not parts.closed and not parts.numbers.text.endswith("\n"):
        raise SpectrumFileError(
            parts.path,
            place=f"line {parts.numbers.first_line + parts.numbers.text.count(chr(10))}",
            found="the file ends without #ENDOFDATA in the middle of a line, so the last number may be incomplete",
            remedy="Copy the file again; where it is whole, end its last line, or add the line #ENDOFDATA",
        )


def _statement(
    parts: _File,
    counts: NDArray[np.float64],
    energies: NDArray[np.float64] | None,
    detector: int,
    n_detectors: int,
) -> Statement:
    first = 1 if energies is not None else 0
    step = n_detectors + first
    voltage = _quantity(parts, "BEAMKV", {"kv"}, 0, 1)
    if voltage is not None and voltage.value == 0:
        voltage = None  # how programs write that they do not know
    scale, no_scale = _scale(parts, detector, n_detectors)
    if scale is not None and energies is not None:
        _refuse_other_energies(parts, scale, energies)

    def place_of(channel: int) -> str:
        return f"line {parts.numbers.line_of_number(channel * step + first + detector, commas=True)}"

    said = Statement(
        counts=counts,
        place_of=place_of,
        live_time_s=_quantity(parts, "LIVETIME", {"s", "sec"}, detector, n_detectors),
        real_time_s=_quantity(parts, "REALTIME", {"s", "sec"}, detector, n_detectors),
        scale=scale,
        no_scale=no_scale,
        specimen=_title(parts),
        condition=_detector_condition(voltage, detector, n_detectors),
        tube_voltage_kv=voltage,
        metadata=metadata_of(parts.items) | _closing_note(parts),
    )
    return with_own_condition(said, parts.items)


def _closing_note(parts: _File) -> dict[str, str]:
    return {} if parts.closed else {"xrfree.ENDOFDATA": "missing; NPOINTS agrees with the number of points"}


def _title(parts: _File) -> str | None:
    return " ".join(item.value for item in parts.items if item.key.upper() == "TITLE") or None


def _detector_condition(voltage: Stated | None, detector: int, n_detectors: int) -> str | None:
    if n_detectors == 1:
        return None
    return f"{condition_name(None if voltage is None else voltage.value, None)} detector {detector + 1}"


def _quantity(parts: _File, key: str, units: set[str], detector: int, n_detectors: int) -> Stated | None:
    """Value of a key for one detector; its unit may stand in the key or behind the number."""
    item = parts.value(key)
    if item is None:
        return None
    text, note = _value_and_note(item.value)
    values = [part.strip() for part in text.split(",")]
    if len(values) not in {1, n_detectors}:
        raise _bad_quantity(parts, item, f"one number or {n_detectors}, one per detector")
    own = values[detector if len(values) > 1 else 0]
    match = _VALUE_UNIT.fullmatch(own) if len(own) <= _LONGEST_VALUE else None
    value = number(match[1]) if match is not None else None
    named = (_name_and_unit(item.key)[1], match[2] if match is not None else "", note.partition(" ")[0])
    said = {_SHORT_UNITS.get(unit.lower(), unit.lower()) for unit in named if unit}
    if value is None or not said <= units:
        raise _bad_quantity(parts, item, f"a number in {min(units)}" if units else "a number")
    return Stated(value, item.key, item.place)


def _value_and_note(text: str) -> tuple[str, str]:
    """A value, and what stands behind it after two blanks or more (PIXL writes "9.1, 9.2   seconds (one for each)")."""
    value, *note = re.split(r"\s{2,}|\t", text, maxsplit=1)
    return value, "".join(note)


def _bad_quantity(parts: _File, item: HeaderItem, expected: str) -> SpectrumFileError:
    return SpectrumFileError(
        parts.path,
        place=item.place,
        found=f"{item.key} is {shown(item.value)}, expected {expected}",
        remedy=f"{EXPORT_AGAIN}, or repair the line",
    )


def _scale(parts: _File, detector: int, n_detectors: int) -> tuple[StatedScale | None, str]:
    """Energy scale of one detector, or the reason why there is none."""
    units = parts.value("XUNITS")
    if units is None:
        return None, "XUNITS is empty or missing, so the unit of the energy scale is unknown"
    unit_kev = _unit_kev(parts.path, units)
    gain = _quantity(parts, "XPERCHAN", {"ev", "kev"}, detector, n_detectors)
    zero = _quantity(parts, "OFFSET", {"ev", "kev"}, detector, n_detectors)
    if gain is None or zero is None:
        return None, f"{'XPERCHAN' if gain is None else 'OFFSET'} is missing"
    if gain.value == 0:
        return None, "XPERCHAN is 0: the spectrum was never calibrated"
    _refuse_other_zero_channel(parts, zero.value / gain.value)
    return (
        StatedScale(zero_kev=zero.value * unit_kev, gain_kev=gain.value * unit_kev, place=gain.place),
        "",
    )


def _unit_kev(path: Path, units: HeaderItem) -> float:
    words = re.findall(r"[a-z]+", units.value.lower())
    known = [_UNIT_KEV[word] for word in words if word in _UNIT_KEV]
    if len(known) != 1:
        raise UncalibratedError(
            path,
            place=units.place,
            found=f"XUNITS is {shown(units.value)}, expected eV or keV",
            remedy=f"{EXPORT_AGAIN} with an energy axis",
        )
    return known[0]


def _refuse_other_zero_channel(parts: _File, offset_channels: float) -> None:
    """CHOFFSET is the channel of energy zero; 0 is also how programs write that they do not know."""
    stated = _quantity(parts, "CHOFFSET", set(), 0, 1) if parts.value("CHOFFSET") is not None else None
    if stated is None or stated.value == 0:
        return
    if not abs(stated.value + offset_channels) <= 1.0:
        raise SpectrumFileError(
            parts.path,
            place=stated.place,
            found=f"CHOFFSET is {stated.value:g}, but OFFSET and XPERCHAN put energy zero at channel "
            f"{-offset_channels:.1f}",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )


def _refuse_other_energies(parts: _File, scale: StatedScale, energies: Sequence[float] | NDArray[np.float64]) -> None:
    units = parts.required("XUNITS")
    printed_kev = np.asarray(energies) * _unit_kev(parts.path, units)
    expected_kev = scale.zero_kev + scale.gain_kev * np.arange(printed_kev.size)
    with np.errstate(all="ignore"):
        apart = np.abs(printed_kev - expected_kev)
    beside = np.flatnonzero(~(apart <= _X_TOLERANCE_CHANNELS * abs(scale.gain_kev)))
    if beside.size:
        first = int(beside[0])
        raise SpectrumFileError(
            parts.path,
            place=f"line {parts.numbers.line_of_number(2 * first, commas=True)}",
            found=f"the energy is {energies[first]:g} {units.value}, but OFFSET and XPERCHAN put "
            f"point {first} at "
            f"{expected_kev[first]:g} keV",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )


FORMAT = SpectrumFormat(name="EMSA/MAS", suffixes=(".msa", ".emsa", ".ems"), recognises=recognises, read=read)
