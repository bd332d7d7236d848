"""ORTEC .chn: a header of 32 bytes, counts, and a trailer with the energy scale, which may be missing.

The layout is published (ORTEC software file structure manual); it was not checked on a file of an instrument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._binary import Binary
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_MARK = b"\xff\xff"
_HEADER_BYTES, _TRAILER_BYTES = 32, 512
_TICK_S = 0.02
_WITH_QUADRATIC, _STRAIGHT = -102, -101
_MONTHS = b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()


def recognises(head: bytes) -> bool:
    """Whether the file starts with -1, and a date such as 17SEP121 stands in its header."""
    if len(head) < _HEADER_BYTES or not head.startswith(_MARK):
        return False
    date, time = head[16:24], head[24:28]
    return date[2:5].upper() in _MONTHS and date[:2].strip().isdigit() and time.isdigit()


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a .chn file."""
    content = Binary(file.path, file.content)
    first, n_channels = content.integer("h", 28), content.integer("H", 30)
    if not 0 < n_channels <= MAX_CHANNELS or first < 0:
        raise content.damaged(28, f"{n_channels} channels from channel {first} on are stated")
    trailer = _HEADER_BYTES + 4 * n_channels
    has_trailer = len(file.content) >= trailer + _TRAILER_BYTES
    scale = _scale(content, trailer, first) if has_trailer else None
    statement = Statement(
        counts=content.counts("i4", _HEADER_BYTES, n_channels),
        place_of=lambda channel: content.place(_HEADER_BYTES + 4 * channel),
        live_time_s=_seconds(content, 12, "live time"),
        real_time_s=_seconds(content, 8, "real time"),
        scale=scale,
        no_scale="the energy scale holds only zeros" if has_trailer else "the file ends before its energy scale",
        specimen=(_pascal(content, trailer + 320) or None) if has_trailer else None,
        metadata=_metadata(content, trailer if has_trailer else None),
    )
    return assemble(file, [statement], profile)


def _seconds(content: Binary, offset: int, key: str) -> Stated:
    """Times are in units of 20 ms."""
    return Stated(_TICK_S * content.integer("i", offset), key, content.place(offset))


def _scale(content: Binary, trailer: int, first: int) -> StatedScale | None:
    kind = content.integer("h", trailer)
    if kind not in {_WITH_QUADRATIC, _STRAIGHT}:
        raise content.damaged(trailer, f"the trailer starts with {kind}, expected -102 or -101")
    zero, gain = content.real("f", trailer + 4), content.real("f", trailer + 8)
    quadratic = content.real("f", trailer + 12) if kind == _WITH_QUADRATIC else 0.0
    if zero == gain == quadratic == 0:
        return None
    return StatedScale(
        zero_kev=zero + gain * first + quadratic * first * first,
        gain_kev=gain + 2.0 * quadratic * first,
        quadratic_kev=quadratic,
        place=content.place(trailer + 4),
    )


def _pascal(content: Binary, offset: int) -> str:
    """A text of up to 63 characters after its length."""
    return content.text(offset + 1, min(content.integer("B", offset), 63))


def _metadata(content: Binary, trailer: int | None) -> dict[str, str]:
    said = {
        "MCA number": content.shown("h", 2),
        "segment": content.shown("h", 4),
        "start date": content.text(16, 8),
        "start time": content.text(24, 4),
        "start seconds": content.text(6, 2),
        "first channel": content.shown("h", 28),
    }
    if trailer is not None:
        said["detector"] = _pascal(content, trailer + 256)
        said["sample"] = _pascal(content, trailer + 320)
        said["peak width coefficients"] = " ".join(content.shown("f", trailer + 16 + 4 * i) for i in range(3))
    return {key: value for key, value in said.items() if value}


FORMAT = SpectrumFormat(name="ORTEC CHN", suffixes=(".chn",), recognises=recognises, read=read)
