"""Shimadzu EDX CSV: every line one quoted text; a header, a table of conditions, and a block per channel.

A block with no points shares the spectrum of the block before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of
from xrfree.readers._text import EXPORT_AGAIN, decode, head_text, listed, number, shown
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_MARK = re.compile(r'^"?(?:Mesurement|Measurement) Condition|^"?Channel_info_start', re.MULTILINE)
_KEY_VALUE = re.compile(r"([A-Za-z][A-Za-z \t]*):\s*(.*)")
_PAIR = re.compile(r"(?<![A-Za-z.])([A-Za-z][A-Za-z.]*)\s*:\s*(.*?)(?=\s\s[A-Z]|$)")
_RANGE = re.compile(r"([-+0-9.eE]+) - ([-+0-9.eE]+)")
_CONDITION = re.compile(
    r"(?P<channel>\S+)\s+(?P<anode>[A-Z][a-z]?)\s+(?P<kv>[0-9.]+)\s+(?P<ua>[0-9.]+)(?:-Auto|-Fix)?\s+"
    r"(?P<filter>\S+)\s+(?P<acquired>[0-9.]+ *- *[0-9.]+)\s+(?P<analysed>[0-9.]+ *- *[0-9.]+)\s+"
    r"(?P<kind>Live|Real) *- *(?P<time>[0-9.]+)\s+(?P<dead>[0-9.]+)"
)
_NO_FILTER = {"-", "----", "Open", "None"}


@dataclass(frozen=True, slots=True)
class _Block:
    """One `Channel_info` block: its header, and the numbers under it."""

    name: str
    header: dict[str, HeaderItem]
    counts: list[float]
    line: int
    also: list[str]


def recognises(head: bytes) -> bool:
    """Whether the first line is a quoted key and value, and the title of the table of conditions follows."""
    text = head_text(head)
    return text.lstrip().startswith('"') and _MARK.search(text) is not None


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a file; one spectrum per block that has points."""
    path = file.path
    lines = [line.strip().rstrip(",").strip('"').rstrip() for line in decode(path, file.content).split("\n")]
    start = next((i for i, line in enumerate(lines) if line == "Channel_info_start"), len(lines))
    items = _items(lines[:start])
    rows = {m["channel"]: (m, i) for i, line in enumerate(lines[:start], 1) if (m := _CONDITION.match(line))}
    blocks = _blocks(path, lines, start)
    if not blocks:
        raise SpectrumFileError(path, found="there is no block Channel_info_start with points", remedy=EXPORT_AGAIN)
    missing = rows.keys() - {name for block in blocks for name in (block.name, *block.also)}
    if missing:
        raise _bad(path, len(lines), f"the conditions name {listed(sorted(missing))}, but no block holds a spectrum")
    specimen = next((item.value for item in items if item.key == "Sample" and item.value), None)
    statements = [_statement(path, block, rows, items, specimen) for block in blocks]
    return assemble(file, statements, profile)


def _items(lines: list[str]) -> list[HeaderItem]:
    """`key : value` lines; a line with several pairs is split, a row of the table kept under its channel."""
    items = []
    for line_number, line in enumerate(lines, 1):
        row = _CONDITION.match(line)
        pairs = _PAIR.findall(line)
        match = _KEY_VALUE.fullmatch(line)
        if row is not None:
            items.append(HeaderItem(f"condition {row['channel']}", " ".join(line.split()), line_number))
        elif len(pairs) > 1 and line.count(" : ") > 1:
            items += [HeaderItem(key, value.strip(), line_number) for key, value in pairs]
        elif match is not None:
            items.append(HeaderItem(match[1].strip(), match[2], line_number))
    return items


def _blocks(path: Path, lines: list[str], start: int) -> list[_Block]:
    blocks: list[_Block] = []
    header: dict[str, HeaderItem] | None = None
    for line_number, line in enumerate(lines[start:], start + 1):
        if line == "Channel_info_start":
            header = {}
        elif line == "Channel_info_end" and header is not None:
            _begin(path, blocks, header, line_number)
            header = None
        elif header is not None:
            key, _, value = line.partition(":")
            header[key.strip()] = HeaderItem(key.strip(), value.strip(), line_number)
        elif line and not line.lower().startswith("total"):
            count = number(line)
            if count is None or not blocks:
                raise _bad(path, line_number, f"{shown(line)}, expected counts")
            blocks[-1].counts.append(count)
            if len(blocks[-1].counts) > MAX_CHANNELS:
                raise _bad(path, line_number, f"more than {MAX_CHANNELS} channels")
    return blocks


def _begin(path: Path, blocks: list[_Block], header: dict[str, HeaderItem], line: int) -> None:
    """A new block, or one more name for the block before where there are no points."""
    name = header["Channel"].value if "Channel" in header else ""
    points = number(header["Points"].value) if "Points" in header else None
    if not name or points is None:
        raise _bad(path, line, "a block without Channel and Points")
    if points > 0:
        blocks.append(_Block(name, header, [], line + 1, []))
    elif blocks:
        blocks[-1].also.append(name)


def _bad(path: Path, line: int, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=f"line {line}", found=found, remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}"
    )


def _statement(
    path: Path,
    block: _Block,
    rows: dict[str, tuple[re.Match[str], int]],
    items: list[HeaderItem],
    specimen: str | None,
) -> Statement:
    points = block.header["Points"]
    refuse_length(
        path, place=points.place, found=len(block.counts), stated=int(number(points.value) or 0), key="Points"
    )
    row, line = rows.get(block.name, (None, 0))
    place = f"line {line}"
    metadata = metadata_of(items) | {f"Channel_info {key}": item.value for key, item in block.header.items()}
    if block.also:
        metadata["channels that share this spectrum"] = " ".join(block.also)
    shown_filter = None if row is None else "none" if row["filter"] in _NO_FILTER else row["filter"]
    return Statement(
        counts=np.array(block.counts, dtype=np.float64),
        place_of=lambda channel: f"line {block.line + channel}",
        live_time_s=_row_number(row, "time", place) if row is not None and row["kind"] == "Live" else None,
        real_time_s=_row_number(row, "time", place) if row is not None and row["kind"] == "Real" else None,
        scale=_scale(path, block),
        specimen=specimen,
        label=f"channel {block.name}",
        anode=None if row is None else row["anode"],
        tube_voltage_kv=_row_number(row, "kv", place),
        tube_current_ua=_row_number(row, "ua", place),
        filter=shown_filter,
        atmosphere=next((item.value for item in items if item.key == "Atmosphere"), None),
        metadata=metadata,
    )


def _row_number(row: re.Match[str] | None, key: str, place: str) -> Stated | None:
    value = None if row is None else number(row[key])
    return None if value is None else Stated(value, key, place)


def _scale(path: Path, block: _Block) -> StatedScale | None:
    """Step is keV per channel, and the range begins with channel 0."""
    step, extent = block.header.get("Step"), block.header.get("Range")
    if step is None or extent is None:
        return None
    gain, ends = number(step.value), _RANGE.fullmatch(extent.value)
    if gain is None or ends is None:
        return None
    zero, top = number(ends[1]), number(ends[2])
    if zero is None or top is None:
        return None
    span = gain * len(block.counts)
    if abs(top - zero - span) > abs(gain):
        raise _bad(path, step.line, f"Step times Points is {span:g} keV, but the range is {shown(extent.value)}")
    return StatedScale(zero_kev=zero, gain_kev=gain, place=step.place)


FORMAT = SpectrumFormat(name="Shimadzu EDX CSV", suffixes=(), recognises=recognises, read=read)
