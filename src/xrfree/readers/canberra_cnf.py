"""Canberra CAM .cnf: blocks of 512 bytes under a directory of sections.

Real numbers are PDP-11 floats, times are counted in 100 ns, some of them bitwise inverted and at odd places.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._binary import Binary
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_DIRECTORY, _ENTRY_BYTES, _MOST_ENTRIES = 0x70, 0x30, 64
_ACQUISITION, _SAMPLE, _SPECTRUM = 0x00012000, 0x00012001, 0x00012005
_SECTIONS = range(0x00012000, 0x00012040)
_TICK_S = 1e-7
_ALL_BITS = 2**64 - 1
# Day 0 of the clock (the modified Julian date); a naive time, because the file names no zone.
_EPOCH = datetime(1858, 11, 17)  # noqa: DTZ001
_UNIT_KEV = {"": 1.0, "kev": 1.0, "ev": 1e-3}


def recognises(head: bytes) -> bool:
    """Whether the first two entries of the directory name sections of this format."""
    if len(head) < _DIRECTORY + 2 * _ENTRY_BYTES:
        return False
    kinds = (int.from_bytes(head[o : o + 4], "little") for o in (_DIRECTORY, _DIRECTORY + _ENTRY_BYTES))
    return all(kind in _SECTIONS for kind in kinds)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a .cnf file."""
    content = Binary(file.path, file.content)
    sections = _sections(content)
    for kind, name in ((_ACQUISITION, "acquisition parameters"), (_SPECTRUM, "spectrum")):
        if kind not in sections:
            raise SpectrumFileError(
                file.path, found=f"there is no section with the {name}", remedy="Copy the file again"
            )
    parameters, spectrum = sections[_ACQUISITION], sections[_SPECTRUM] + 0x200
    n_channels = 256 * content.integer("B", parameters + 0xBA)
    times = parameters + 0x30 + content.integer("H", parameters + 0x24)
    scale = parameters + 0x30 + content.integer("H", parameters + 0x22)
    title = content.text(sections[_SAMPLE] + 0x30, 64) if _SAMPLE in sections else ""
    statement = Statement(
        counts=content.counts("u4", spectrum, n_channels),
        place_of=lambda channel: content.place(spectrum + 4 * channel),
        live_time_s=_duration(content, times + 17, "live time"),
        real_time_s=_duration(content, times + 9, "real time"),
        scale=_scale(content, scale),
        no_scale="the energy scale holds only zeros",
        specimen=title or None,
        metadata={"title": title, "acquisition start": _start(content, times + 1)},
    )
    return assemble(file, [statement], profile)


def _sections(content: Binary) -> dict[int, int]:
    """Section -> offset; of several sections of one kind the first counts."""
    found: dict[int, int] = {}
    for i in range(_MOST_ENTRIES):
        offset = _DIRECTORY + i * _ENTRY_BYTES
        kind = content.integer("I", offset)
        if kind not in _SECTIONS:
            break
        found.setdefault(kind, content.integer("I", offset + 0x0A))
    return found


def _duration(content: Binary, offset: int, key: str) -> Stated:
    ticks = content.integer("Q", offset) ^ _ALL_BITS
    return Stated(ticks * _TICK_S, key, content.place(offset))


def _start(content: Binary, offset: int) -> str:
    ticks = content.integer("Q", offset)
    try:
        return (_EPOCH + timedelta(microseconds=ticks // 10)).isoformat(sep=" ")
    except OverflowError:
        return f"{ticks} ticks of 100 ns since 1858-11-17"


def _scale(content: Binary, offset: int) -> StatedScale | None:
    zero, gain, quadratic = (_pdp11(content, offset + at) for at in (0x44, 0x48, 0x4C))
    if zero == gain == quadratic == 0:
        return None
    unit = content.text(offset + 0x5C, 8).lower()
    if unit not in _UNIT_KEV:
        raise content.damaged(offset + 0x5C, f"the unit of the energy scale is {unit!r}, expected keV")
    factor = _UNIT_KEV[unit]
    return StatedScale(
        zero_kev=factor * zero,
        gain_kev=factor * gain,
        quadratic_kev=factor * quadratic,
        place=content.place(offset + 0x44),
    )


def _pdp11(content: Binary, offset: int) -> float:
    """Value of a PDP-11 float: its words swapped make an IEEE float four times as large."""
    low, high = content.integer("H", offset), content.integer("H", offset + 2)
    value = float(struct.unpack("<f", struct.pack("<HH", high, low))[0]) / 4.0
    if value - value != 0.0:
        raise content.damaged(offset, f"the number there is {value}")
    return value


FORMAT = SpectrumFormat(name="Canberra CNF", suffixes=(".cnf",), recognises=recognises, read=read)
