"""GSECARS/EPICS MCA text (VERSION 3): `KEY: value` lines with one value per detector, then one line per channel.

Each detector has its own times and its own energy scale, so each is a spectrum of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single, stated_integer
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_LINE = re.compile(r"([A-Z][A-Z0-9_]*):(.*)")
_ENVIRONMENT = re.compile(r'([^=]+)="([^"]*)"(?:\s*\((.*)\))?')
_MOST_DETECTORS = 256


def recognises(head: bytes) -> bool:
    """Whether the file starts with its version, and the number of detectors or a date follows."""
    return first_line(head).startswith("VERSION:") and re.search(rb"\n(?:ELEMENTS|DATE|CHANNELS):", head) is not None


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a file; one spectrum per detector."""
    path = file.path
    items, block = _split(path, decode(path, file.content))
    n_detectors = stated_integer(path, _one(path, items, "ELEMENTS"), expected="the number of detectors") or 1
    if n_detectors > _MOST_DETECTORS:
        raise SpectrumFileError(
            path, found=f"ELEMENTS is {n_detectors}, expected at most {_MOST_DETECTORS}", remedy=EXPORT_AGAIN
        )
    counts = block.table(None, range(n_detectors), n_detectors)
    channels = _one(path, items, "CHANNELS")
    stated = stated_integer(path, channels, expected="the number of channels")
    if channels is not None and stated is not None:
        refuse_length(path, place=channels.place, found=len(counts), stated=stated, key="CHANNELS")
    metadata = _metadata(items)
    statements = [
        Statement(
            counts=counts[:, detector],
            place_of=lambda channel: f"line {block.line_of_row(channel)}",
            live_time_s=_value(path, items, "LIVE_TIME", detector, n_detectors),
            real_time_s=_value(path, items, "REAL_TIME", detector, n_detectors),
            scale=_scale(path, items, detector, n_detectors),
            no_scale="CAL_SLOPE is missing or 0",
            label=f"detector {detector + 1}",
            metadata=metadata,
        )
        for detector in range(n_detectors)
    ]
    return assemble(file, statements, profile)


def _split(path: Path, text: str) -> tuple[list[HeaderItem], NumberBlock]:
    items: list[HeaderItem] = []
    lines = text.split("\n")
    for line_number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.strip())
        if match is not None and match[1] == "DATA":
            return items, NumberBlock(path=path, text="\n".join(lines[line_number:]), first_line=line_number + 1)
        if match is not None:
            items.append(HeaderItem(match[1], match[2].strip(), line_number))
        elif line.strip():
            raise SpectrumFileError(
                path,
                place=f"line {line_number}",
                found=f"{shown(line)} is not of the form 'KEY: value'",
                remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}",
            )
    raise SpectrumFileError(
        path,
        place=f"line {len(lines)}",
        found="the file ends without a line DATA:",
        remedy=f"The file is cut off: copy it again, or {EXPORT_AGAIN.lower()}",
    )


def _one(path: Path, items: list[HeaderItem], key: str) -> HeaderItem | None:
    return single(path, [item for item in items if item.key == key])


def _value(path: Path, items: list[HeaderItem], key: str, detector: int, n_detectors: int) -> Stated | None:
    """Value of one detector out of a line with one value for each."""
    item = _one(path, items, key)
    if item is None or not item.value:
        return None
    values = [number(token) for token in item.value.split()]
    if len(values) != n_detectors or None in values:
        raise SpectrumFileError(
            path,
            place=item.place,
            found=f"{key} is {shown(item.value)}, expected {n_detectors} numbers, one per detector",
            remedy=EXPORT_AGAIN,
        )
    return Stated(values[detector] or 0.0, key, item.place)


def _scale(path: Path, items: list[HeaderItem], detector: int, n_detectors: int) -> StatedScale | None:
    zero, gain, quadratic = (
        _value(path, items, key, detector, n_detectors) for key in ("CAL_OFFSET", "CAL_SLOPE", "CAL_QUAD")
    )
    if zero is None or gain is None or gain.value == 0:
        return None
    return StatedScale(
        zero_kev=zero.value,
        gain_kev=gain.value,
        quadratic_kev=0.0 if quadratic is None else quadratic.value,
        place=gain.place,
    )


def _metadata(items: list[HeaderItem]) -> dict[str, str]:
    """All lines; the ones of the environment under the name of their process variable."""
    named = []
    for item in items:
        match = _ENVIRONMENT.fullmatch(item.value) if item.key == "ENVIRONMENT" else None
        if match is None:
            named.append(item)
        else:
            note = f" ({match[3]})" if match[3] else ""
            named.append(HeaderItem(f"ENVIRONMENT {match[1]}", f"{match[2]}{note}", item.line))
    return metadata_of(named)


FORMAT = SpectrumFormat(name="GSECARS/EPICS MCA", suffixes=(".xrf",), recognises=recognises, read=read)
