"""Text exports of Bruker: spectra of ESPRIT, SPECTRA and ARTAX, and CSV of the handheld spectrometers.

ESPRIT and ARTAX write `Key: value` lines (times in ms, energies in eV), then `Energy Counts` and a line per channel.
The handheld CSV has `key,value` lines, then channels; only what names its unit is taken for a physical quantity.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_DESKTOP, _HANDHELD = "Bruker Nano", "Bruker AXS"
_TITLE = re.compile(r"^\s*(?:Energy\b.*\bCounts|Energie\b.*\bImpulse)\b", re.IGNORECASE)
_CSV_TITLE = re.compile(r'^"?(?:Channel#?|Spectrum:?)"?\s*(?:,.*)?$', re.IGNORECASE)
_ROW = re.compile(r'^"?[0-9]+"?,"?[0-9.eE+-]+"?(?:,.*)?$')


def recognises(head: bytes) -> bool:
    """Whether the first line names the maker."""
    line = first_line(head).strip('"')
    return line.startswith((_DESKTOP, _HANDHELD)) or ("KTI" in line and "Spectrum" in line)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a text export."""
    text = decode(file.path, file.content)
    desktop = text.lstrip().startswith(_DESKTOP)
    return assemble(file, [(_desktop if desktop else _handheld)(file.path, text.split("\n"))], profile)


def _desktop(path: Path, lines: list[str]) -> Statement:
    start = next((i for i, line in enumerate(lines) if _TITLE.match(line)), None)
    if start is None:
        raise _bad(path, len(lines), "the file ends without a line 'Energy Counts'")
    items = _items(lines[:start], ":")
    decimal_comma = any("," in line for line in lines[start + 1 : start + 50])
    body = "\n".join(lines[start + 1 :])
    block = NumberBlock(path=path, text=body.replace(",", ".") if decimal_comma else body, first_line=start + 2)
    width = len(next(block.rows(), (0, "0 0"))[1].split())
    if width != 2:
        raise _bad(path, start + 2, f"{width} columns, expected energy and counts")
    table = block.table(None, range(width), width)
    _refuse_other_length(path, items, "Channels", table[:, 1])
    return Statement(
        counts=table[:, 1],
        place_of=lambda channel: f"line {block.line_of_row(channel)}",
        live_time_s=_scaled(path, items, ("Life time", "Live time"), 1e-3),
        real_time_s=_scaled(path, items, ("Real time",), 1e-3),
        scale=_desktop_scale(path, items, table[:, 0]),
        no_scale="Calibration, lin. and Calibration, abs. are missing",
        tube_voltage_kv=_scaled(path, items, ("High voltage", "Tube voltage"), 1.0),
        metadata=metadata_of(items),
    )


def _items(lines: list[str], separator: str) -> list[HeaderItem]:
    items = []
    for line_number, line in enumerate(lines, 1):
        key, found, value = line.strip().partition(separator)
        if found and key.strip():
            items.append(HeaderItem(key.strip().strip('"').rstrip(":"), value.strip().strip('"'), line_number))
        elif line.strip():
            items.append(HeaderItem("comment", line.strip(), line_number))
    return items


def _item(path: Path, items: list[HeaderItem], *keys: str) -> HeaderItem | None:
    wanted = {key.lower() for key in keys}
    return single(path, [item for item in items if item.key.lower() in wanted])


def _scaled(path: Path, items: list[HeaderItem], keys: tuple[str, ...], factor: float) -> Stated | None:
    """Number of a key times a factor; None where no key is there or its value is empty."""
    item = _item(path, items, *keys)
    if item is None or not item.value:
        return None
    value = number(item.value.split()[0].replace(",", "."))
    if value is None:
        raise _bad(path, item.line, f"{item.key} is {shown(item.value)}, expected a number")
    return Stated(value * factor, item.key, item.place)


def _bad(path: Path, line: int, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=f"line {line}", found=found, remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}"
    )


def _refuse_other_length(path: Path, items: list[HeaderItem], key: str, counts: NDArray[np.float64]) -> None:
    stated = _scaled(path, items, (key,), 1.0)
    if stated is not None:
        refuse_length(path, place=stated.place, found=counts.size, stated=int(stated.value), key=key)


def _desktop_scale(path: Path, items: list[HeaderItem], energies: NDArray[np.float64]) -> StatedScale | None:
    """Scale out of the header, in eV, which the energy column (keV) has to repeat within a channel."""
    gain = _scaled(path, items, ("Calibration, lin.",), 1e-3)
    zero = _scaled(path, items, ("Calibration, abs.",), 1e-3)
    if gain is None or zero is None or gain.value == 0:
        return None
    last = energies.size - 1
    apart = max(abs(energies[0] - zero.value), abs(energies[last] - zero.value - gain.value * last))
    if not apart <= abs(gain.value):
        raise SpectrumFileError(
            path,
            place=gain.place,
            found=f"the energies run from {energies[0]:g} to {energies[last]:g} keV, but the calibration says "
            f"{zero.value:g} keV and {gain.value:g} keV per channel",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )
    return StatedScale(zero_kev=zero.value, gain_kev=gain.value, place=gain.place)


def _handheld(path: Path, lines: list[str]) -> Statement:
    start = next((i for i, line in enumerate(lines) if _CSV_TITLE.match(line.strip())), None)
    if start is None:
        start = next((i - 1 for i, line in enumerate(lines) if _ROW.match(line.strip())), None)
    if start is None:
        raise _bad(path, len(lines), "there is no line 'Channel#' or 'Spectrum:' before the counts")
    items = _items(lines[: start + 1], ",")
    rows = [line.replace('"', "").strip().rstrip(",") for line in lines[start + 1 :]]
    end = next((i for i, row in enumerate(rows) if not row), len(rows))
    block = NumberBlock(path=path, text="\n".join(rows[:end]), first_line=start + 2)
    width = len(next(block.rows(), (0, "0"))[1].split(","))
    if width > 2:
        raise _bad(
            path,
            start + 2,
            f"{width} columns: one of them holds counts that the maker has corrected, and which one is not stated",
        )
    counts = block.table(",", (width - 1,), width)[:, 0]
    return Statement(
        counts=counts,
        place_of=lambda channel: f"line {block.line_of_row(channel)}",
        live_time_s=_scaled(path, items, ("Live Time", "LiveTimeInSeconds"), 1.0),
        real_time_s=_scaled(path, items, ("Duration Time", "TotalElapsedTimeInSeconds"), 1.0),
        scale=_handheld_scale(path, items),
        no_scale="eVPerChannel or StartingKeV is missing, or 0 per channel",
        metadata=metadata_of(items),
    )


def _handheld_scale(path: Path, items: list[HeaderItem]) -> StatedScale | None:
    gain = _scaled(path, items, ("eVPerChannel", "eV per channel"), 1e-3)
    zero = _scaled(path, items, ("StartingKeV",), 1.0)
    if gain is None or zero is None or gain.value == 0:
        return None
    return StatedScale(zero_kev=zero.value, gain_kev=gain.value, place=gain.place)


FORMAT = SpectrumFormat(name="Bruker text", suffixes=(), recognises=recognises, read=read)
