"""PANalytical Epsilon .mp2 and .mps: one spectrum per file, `Key : value` lines, then the channels.

.mp2 has a table Energy, Counts, Background, Fit; .mps has one count per line. The fitted energy scale
(ZeroFit, GainFit) is the one that belongs to the counts. Background and Fit are the vendor's results and
are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single, stated_integer, stated_number
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_LAST_KEY = "NrOfChannels"
_TABLE = ("Energy (keV)", "Counts", "Background", "Fit")
# mA is printed with three decimals, uA without.
_CURRENT_ROUNDING_UA = 1.0


def recognises(head: bytes) -> bool:
    """Whether the first line states the identity of the sample."""
    key, colon, _ = first_line(head).partition(":")
    return bool(colon) and key.strip() == "SampleIdent"


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .mp2 or .mps file."""
    text = decode(file.path, file.content)
    items, body, line = _split(file.path, text)
    block, counts, energies = _channels(file.path, body, line)
    statement = _statement(file.path, items, counts, block.line_of_row)
    if energies is not None and statement.scale is not None:
        _refuse_other_energies(file.path, statement.scale, energies, line)
    return assemble(file, [statement], profile)


def _split(path: Path, text: str) -> tuple[list[HeaderItem], str, int]:
    """Header items, the text after them, and the number of its first line."""
    items = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        key, colon, value = line.partition(":")
        if colon:
            items.append(HeaderItem(key.strip(), value.strip(), number))
        elif line.strip():
            break
        if key.strip() == _LAST_KEY:
            return items, "\n".join(lines[number:]), number + 1
    raise SpectrumFileError(
        path,
        place=f"line {number}",
        found=f"the header ends without {_LAST_KEY}",
        remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}",
    )


def _channels(path: Path, body: str, line: int) -> tuple[NumberBlock, NDArray[np.float64], NDArray[np.float64] | None]:
    """The block of numbers, the counts, and the energies where there is such a column."""
    head, _, rest = body.partition("\n")
    if "\t" not in head:
        block = NumberBlock(path=path, text=body, first_line=line)
        return block, block.table(None, (0,), 1)[:, 0], None
    columns = tuple(field.strip() for field in head.split("\t") if field.strip())
    if columns[:2] != _TABLE[:2]:
        raise SpectrumFileError(
            path,
            place=f"line {line}",
            found=f"the columns are {shown(head)}, expected {', '.join(_TABLE)}",
            remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}",
        )
    block = NumberBlock(path=path, text=rest, first_line=line + 1)
    table = block.table("\t", (0, 1), len(columns))
    return block, table[:, 1], table[:, 0]


def _statement(
    path: Path, items: list[HeaderItem], counts: NDArray[np.float64], line_of_row: Callable[[int], int]
) -> Statement:
    def value(key: str) -> HeaderItem | None:
        return single(path, [item for item in items if item.key == key])

    _refuse_other_length(path, value(_LAST_KEY), counts)
    _refuse_other_total(path, value("OutputCounts"), counts)
    return Statement(
        counts=counts,
        place_of=lambda channel: f"line {line_of_row(channel)}",
        live_time_s=stated_number(path, value("LiveTime"), expected="seconds > 0"),
        real_time_s=stated_number(path, value("TrueTime"), expected="seconds > 0"),
        scale=_scale(path, value("ZeroFit"), value("GainFit")),
        no_scale="ZeroFit and GainFit are missing",
        specimen=_text(value("SampleIdent")),
        anode=_anode(value("TubeAnode")),
        tube_voltage_kv=stated_number(path, value("kV"), expected="kV > 0"),
        tube_current_ua=_current(path, value("uA"), value("mA")),
        filter=_text(value("Filter")),
        atmosphere=_text(value("Medium")),
        metadata=metadata_of(items),
    )


def _text(item: HeaderItem | None) -> str | None:
    return item.value if item is not None and item.value else None


def _anode(item: HeaderItem | None) -> str | None:
    """Element of "Ag 50"; the number after it is not the voltage."""
    return item.value.split()[0] if item is not None and item.value else None


def _scale(path: Path, zero: HeaderItem | None, gain: HeaderItem | None) -> StatedScale | None:
    zero_kev = stated_number(path, zero, expected="keV")
    gain_kev = stated_number(path, gain, expected="keV per channel > 0")
    if zero_kev is None or gain_kev is None:
        return None
    return StatedScale(zero_kev=zero_kev.value, gain_kev=gain_kev.value, place=gain_kev.place)


def _current(path: Path, micro: HeaderItem | None, milli: HeaderItem | None) -> Stated | None:
    microampere = stated_number(path, micro, expected="µA > 0")
    milliampere = stated_number(path, milli, expected="mA > 0")
    if milliampere is None:
        return microampere
    converted = Stated(1000.0 * milliampere.value, milliampere.key, milliampere.place)
    if microampere is None:
        return converted
    if abs(microampere.value - converted.value) > _CURRENT_ROUNDING_UA:
        raise SpectrumFileError(
            path,
            place=microampere.place,
            found=f"uA is {microampere.value:g}, but mA is {milliampere.value:g} ({milliampere.place})",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )
    return microampere


def _refuse_other_length(path: Path, item: HeaderItem | None, counts: NDArray[np.float64]) -> None:
    stated = stated_integer(path, item, expected="the number of channels")
    if item is not None and stated is not None:
        refuse_length(path, place=item.place, found=counts.size, stated=stated, key=_LAST_KEY)


def _refuse_other_total(path: Path, item: HeaderItem | None, counts: NDArray[np.float64]) -> None:
    """OutputCounts is the sum over all channels (it leaves out what overflowed)."""
    total = stated_integer(path, item, expected="a number of counts")
    if item is not None and total is not None and float(counts.sum()) != total:
        raise SpectrumFileError(
            path,
            place=item.place,
            found=f"OutputCounts is {total}, but the channels add up to {counts.sum():.12g}",
            remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}",
        )


def _refuse_other_energies(path: Path, scale: StatedScale, energies: NDArray[np.float64], line: int) -> None:
    """The Energy column has seven digits; 1 % of a channel is ample."""
    channel = np.arange(energies.size)
    with np.errstate(all="ignore"):
        apart = np.abs(energies - (scale.zero_kev + scale.gain_kev * channel))
    beside = np.flatnonzero(~(apart <= 0.01 * abs(scale.gain_kev)))
    if beside.size:
        first = int(beside[0])
        raise SpectrumFileError(
            path,
            place=f"line {line + 1 + first}",
            found=f"the energy is {energies[first]:g} keV, but ZeroFit and GainFit put channel {first} at "
            f"{scale.zero_kev + scale.gain_kev * first:g} keV",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )


FORMAT = SpectrumFormat(name="PANalytical Epsilon", suffixes=(".mp2", ".mps", ".asr"), recognises=recognises, read=read)
