"""ORTEC binary .Spc: records of 128 bytes, numbered from 1; the first one says where the others are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._binary import Binary
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_RECORD = 128
_INTEGER, _REAL = 1, 5
_ACQUISITION, _SAMPLE, _DETECTOR, _CALIBRATION, _FIRST, _N_RECORDS, _CHANNELS = 4, 5, 6, 17, 30, 31, 32


def recognises(head: bytes) -> bool:
    """Whether word 0 is 1, word 1 names a kind of spectrum, and the spectrum records hold the channels."""
    if len(head) < _RECORD or head[:2] != b"\x01\x00" or head[2:4] not in {b"\x01\x00", b"\x05\x00"}:
        return False
    words = np.frombuffer(head, "<u2", 64).tolist()
    return bool(words[_FIRST] > 1 and words[_CHANNELS] > 0 and words[_N_RECORDS] * 32 >= words[_CHANNELS])


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .Spc file."""
    content = Binary(file.path, file.content)
    first = _record(content, _FIRST)
    counts = _counts(content, first)
    statement = Statement(
        counts=counts,
        place_of=lambda channel: content.place(first + 4 * channel),
        live_time_s=content.stated("f", 94, "live time"),
        real_time_s=content.stated("f", 90, "real time"),
        scale=_scale(content),
        no_scale="the energy scale holds only zeros, or there is no calibration record",
        specimen=_text(content, _SAMPLE, _RECORD) or None,
        metadata=_metadata(content),
    )
    return assemble(file, [statement], profile)


def _record(content: Binary, word: int) -> int:
    """Offset of the record whose number stands in a word of record 1; 0 where there is none."""
    number = content.integer("H", 2 * word)
    return (number - 1) * _RECORD if number > 1 else 0


def _counts(content: Binary, first: int) -> NDArray[np.float64]:
    n_channels = content.integer("H", 2 * _CHANNELS)
    if not 0 < n_channels <= MAX_CHANNELS:
        raise content.damaged(2 * _CHANNELS, f"{n_channels} channels are stated")
    kind = content.integer("H", 2)
    return content.counts("u4" if kind == _INTEGER else "f4", first, n_channels)


def _scale(content: Binary) -> StatedScale | None:
    record = _record(content, _CALIBRATION)
    if not record:
        return None
    zero, gain, quadratic = (content.real("f", record + 20 + 4 * i) for i in range(3))
    if zero == gain == quadratic == 0:
        return None
    return StatedScale(zero_kev=zero, gain_kev=gain, quadratic_kev=quadratic, place=content.place(record + 20))


def _text(content: Binary, word: int, length: int) -> str:
    record = _record(content, word)
    return content.text(record, length) if record else ""


def _metadata(content: Binary) -> dict[str, str]:
    said = {
        "sample description": _text(content, _SAMPLE, _RECORD),
        "detector description": _text(content, _DETECTOR, _RECORD),
    }
    acquisition = _record(content, _ACQUISITION)
    if acquisition:
        said["acquisition file"] = content.text(acquisition, 16)
        said["acquisition date"] = content.text(acquisition + 16, 12)
        said["acquisition time"] = content.text(acquisition + 28, 10)
    calibration = _record(content, _CALIBRATION)
    if calibration:
        said["peak width coefficients"] = " ".join(content.shown("f", calibration + 32 + 4 * i) for i in range(3))
    return {key: value for key, value in said.items() if value}


FORMAT = SpectrumFormat(name="ORTEC SPC", suffixes=(".spc",), recognises=recognises, read=read)
