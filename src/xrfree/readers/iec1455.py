"""IEC 1455 .iec: lines of fixed columns, each behind `A004`.

Line 2 holds the times and the number of channels, line 4 the energy scale; from line 59 on, each line holds a
channel number in six columns and five counts in ten columns each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.readers._text import EXPORT_AGAIN, decode, number, shown
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_PREFIX = "A004"
_FIRST_COUNTS = 58
_PER_LINE = 5
_TEXT_LINES = slice(5, 10)


def recognises(head: bytes) -> bool:
    """Whether the first two lines start with A004."""
    lines = head[:400].split(b"\n")
    return len(lines) > 2 and all(line.startswith(_PREFIX.encode()) for line in lines[:2])


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .iec file."""
    path = file.path
    lines = decode(path, file.content).rstrip("\n").split("\n")
    if len(lines) <= _FIRST_COUNTS or any(line[:4] != _PREFIX for line in lines):
        wrong = next((i for i, line in enumerate(lines) if line[:4] != _PREFIX), len(lines) - 1)
        raise _bad(path, wrong, f"{shown(lines[wrong])}, expected lines that start with A004, 59 or more")
    live, real, n_channels = (_field(path, lines, 1, 4 + a, 4 + b) for a, b in ((0, 12), (12, 24), (24, 30)))
    counts = _counts(path, lines)
    stated = 0 if n_channels is None else int(n_channels.value)
    refuse_length(path, place="line 2", found=counts.size, stated=stated, key="the number of channels")
    statement = Statement(
        counts=counts,
        place_of=lambda channel: f"line {_FIRST_COUNTS + 1 + channel // _PER_LINE}",
        live_time_s=live,
        real_time_s=real,
        scale=_scale(path, lines),
        no_scale="the energy scale holds only zeros: the spectrum was never calibrated",
        metadata=_metadata(lines),
    )
    return assemble(file, [statement], profile)


def _field(path: Path, lines: Sequence[str], line: int, start: int, stop: int) -> Stated | None:
    text = lines[line][start:stop].strip()
    if not text:
        return None
    value = number(text)
    if value is None:
        raise _bad(path, line, f"{shown(text)} in columns {start + 1} to {stop}, expected a number")
    return Stated(value, f"columns {start + 1} to {stop}", f"line {line + 1}")


def _bad(path: Path, line: int, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=f"line {line + 1}", found=found, remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}"
    )


def _scale(path: Path, lines: Sequence[str]) -> StatedScale | None:
    fields = [_field(path, lines, 3, 4 + 15 * i, 19 + 15 * i) for i in range(4)]
    zero, gain, quadratic, cubic = (0.0 if field is None else field.value for field in fields)
    if zero == gain == quadratic == cubic == 0:
        return None
    if cubic:
        raise _bad(path, 3, f"a cubic energy scale (coefficient {cubic:g}), which xrfree does not hold")
    return StatedScale(zero_kev=zero, gain_kev=gain, quadratic_kev=quadratic, place="line 4")


def _counts(path: Path, lines: Sequence[str]) -> NDArray[np.float64]:
    counts: list[float] = []
    for line in range(_FIRST_COUNTS, len(lines)):
        first = _field(path, lines, line, 4, 10)
        if first is None or first.value != len(counts):
            raise _bad(
                path, line, f"channel {shown(lines[line][4:10].strip())} where channel {len(counts)} is expected"
            )
        for i in range(_PER_LINE):
            count = _field(path, lines, line, 10 + 10 * i, 20 + 10 * i)
            if count is not None:
                counts.append(count.value)
        if len(counts) > MAX_CHANNELS:
            raise _bad(path, line, f"more than {MAX_CHANNELS} channels")
    # The last line is filled up with zeros beyond the stated number of channels.
    stated = _field(path, lines, 1, 28, 34)
    n = 0 if stated is None else int(stated.value)
    surplus = len(counts) - n
    if 0 < surplus < _PER_LINE and not any(counts[n:]):
        counts = counts[:n]
    return np.array(counts, dtype=np.float64)


def _metadata(lines: Sequence[str]) -> dict[str, str]:
    said = {
        "identity": lines[0][4:],
        "start date": lines[2][4:21],
        "reference date": lines[2][22:],
        "energy coefficients": lines[3][4:],
        "width coefficients": lines[4][4:],
        "text": "\n".join(filter(None, (line[4:].strip() for line in lines[_TEXT_LINES]))),
    }
    return {key: value.strip() for key, value in said.items() if value.strip()}


FORMAT = SpectrumFormat(name="IEC 1455", suffixes=(".iec",), recognises=recognises, read=read)
