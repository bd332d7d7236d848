"""ESRF SPEC files: scans `#S`, spectra `@A` whose lines end in a backslash, times `#@CTIME`, scale `#@CALIB`.

A scan with spectra is a measurement; each of its spectra is one condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, head_text, number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_SCAN = re.compile(r"^#S +[0-9]+", re.MULTILINE)
_START = re.compile(r"#[FSDE] ")
_CONTROL = re.compile(r"#(@?[A-Za-z]+[0-9]*)\s*(.*)")


@dataclass(slots=True)
class _Scan:
    """Header lines of a scan, and its spectra with the numbers of their lines."""

    title: str
    items: list[HeaderItem] = field(default_factory=list)
    spectra: list[NumberBlock] = field(default_factory=list)

    def numbers(self, path: Path, key: str) -> tuple[list[float], str] | None:
        """Numbers behind a key, which stands in a scan once."""
        found = [item for item in self.items if item.key == key]
        if not found:
            return None
        values = [number(token) for token in found[-1].value.split()]
        if None in values or not values:
            raise _bad(path, found[-1].line, f"#{key} is {shown(found[-1].value)}, expected numbers")
        return [value for value in values if value is not None], found[-1].place


def recognises(head: bytes) -> bool:
    """Whether the file starts like a SPEC file, and a scan follows."""
    text = head_text(head)
    return _START.match(text.lstrip()) is not None and _SCAN.search(text) is not None


def read_many(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Iterator[Measurement]:
    """One measurement per scan that holds spectra."""
    scans = [scan for scan in _scans(file.path, decode(file.path, file.content)) if scan.spectra]
    if not scans:
        raise SpectrumFileError(
            file.path, found="no scan holds a spectrum (a line that starts with @A)", remedy=EXPORT_AGAIN
        )
    for scan in scans:
        statements = [_statement(file.path, scan, i) for i in range(len(scan.spectra))]
        yield assemble(file, statements, profile)


def _scans(path: Path, text: str) -> list[_Scan]:
    scans: list[_Scan] = []
    shared: list[HeaderItem] = []
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith("#S "):
            scans.append(_Scan(line[3:].strip(), items=list(shared)))
        elif line.startswith("#") and (match := _CONTROL.match(line)) is not None:
            (scans[-1].items if scans else shared).append(HeaderItem(match[1], match[2].strip(), i + 1))
        elif line.startswith("@A"):
            block, i = _spectrum(path, lines, i)
            if not scans:
                raise _bad(path, i + 1, "a spectrum before the first scan")
            scans[-1].spectra.append(block)
        i += 1
    return scans


def _spectrum(path: Path, lines: list[str], start: int) -> tuple[NumberBlock, int]:
    """Numbers behind @A; a line that ends in a backslash goes on in the next one."""
    end = start
    while lines[end].rstrip().endswith("\\"):
        end += 1
        if end == len(lines):
            raise _bad(path, end, "the file ends in the middle of a spectrum")
    text = "\n".join(line.rstrip().removesuffix("\\") for line in lines[start : end + 1])
    return NumberBlock(path=path, text=text.removeprefix("@A"), first_line=start + 1), end


def _bad(path: Path, line: int, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=f"line {line}", found=found, remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}"
    )


def _statement(path: Path, scan: _Scan, index: int) -> Statement:
    block = scan.spectra[index]
    counts = block.flat()
    times, calibration = scan.numbers(path, "@CTIME"), scan.numbers(path, "@CALIB")
    first = _first_channel(path, scan, counts)
    return Statement(
        counts=counts,
        place_of=lambda channel: f"line {block.line_of_number(channel)}",
        live_time_s=None if times is None or len(times[0]) < 2 else Stated(times[0][1], "#@CTIME live", times[1]),
        real_time_s=None if times is None or len(times[0]) < 3 else Stated(times[0][2], "#@CTIME elapsed", times[1]),
        scale=_scale(calibration, first),
        no_scale="there is no #@CALIB, or its gain is 0",
        specimen=" ".join(scan.title.split()) or None,
        label=f"spectrum {index + 1}",
        metadata=metadata_of(scan.items),
    )


def _first_channel(path: Path, scan: _Scan, counts: NDArray[np.float64]) -> int:
    """Number of the first channel out of #@CHANN (channels, first, last, reduction)."""
    stated = scan.numbers(path, "@CHANN")
    if stated is None:
        return 0
    values, place = stated
    reduced = len(values) > 3 and values[3] > 1
    if int(values[0]) != counts.size or reduced:
        raise SpectrumFileError(
            path,
            place=place,
            found=f"#@CHANN is {' '.join(f'{v:g}' for v in values)}, but {counts.size} counts follow",
            remedy="Write the spectrum again with all channels, none of them summed",
        )
    return int(values[1]) if len(values) > 1 else 0


def _scale(calibration: tuple[list[float], str] | None, first: int) -> StatedScale | None:
    """#@CALIB zero, gain and quadratic term belong to the number of the channel."""
    if calibration is None or len(calibration[0]) < 2 or calibration[0][1] == 0:
        return None
    zero, gain, quadratic = (*calibration[0], 0.0)[:3]
    return StatedScale(
        zero_kev=zero + gain * first + quadratic * first * first,
        gain_kev=gain + 2.0 * quadratic * first,
        quadratic_kev=quadratic,
        place=calibration[1],
    )


FORMAT = SpectrumFormat(name="ESRF SPEC", suffixes=(".spec",), recognises=recognises, read_many=read_many)
