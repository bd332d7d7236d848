"""ORTEC and IAEA .spe (also QXAS/AXIL): blocks of lines, each under a line `$NAME:`.

`$MCA_CAL:` is the energy scale; `$ENER_FIT:` is often the same, rounded. A block of zeros means that nobody
calibrated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, first_line, number, shown
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_BLOCK = re.compile(r"\$([A-Za-z0-9_]+):(.*)")
_NO_NAME = "No sample description was entered."
# ENER_FIT is printed with as few as four significant digits.
_ROUNDING = 0.005
_UNIT_KEV = {"": 1.0, "kev": 1.0, "ev": 1e-3}


@dataclass(frozen=True, slots=True)
class _Block:
    """Name and lines of a block; `line` is the number of its first line after the name."""

    name: str
    text: str
    line: int

    @property
    def place(self) -> str:
        return f"line {self.line}"


def recognises(head: bytes) -> bool:
    """Whether the first line is the name of a block."""
    return _BLOCK.fullmatch(first_line(head)) is not None


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .spe file."""
    path = file.path
    blocks = _blocks(path, decode(path, file.content))
    data = _single(path, blocks, "DATA")
    if data is None:
        raise SpectrumFileError(
            path,
            found="there is no $DATA: block",
            remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}",
        )
    first, numbers, counts = _counts(path, data)
    live, real = _times(path, _single(path, blocks, "MEAS_TIM"))
    scale, no_scale = _scale(path, blocks, first, counts.size)
    statement = Statement(
        counts=counts,
        place_of=lambda channel: f"line {numbers.line_of_number(channel)}",
        live_time_s=live,
        real_time_s=real,
        scale=scale,
        no_scale=no_scale,
        specimen=_specimen(_single(path, blocks, "SPEC_ID")),
        metadata=_metadata(blocks),
    )
    return assemble(file, [statement], profile)


def _blocks(path: Path, text: str) -> list[_Block]:
    blocks: list[_Block] = []
    name, start, lines = "", 1, list[str]()
    for line_number, line in enumerate(text.split("\n"), 1):
        match = _BLOCK.fullmatch(line.rstrip()) if line.startswith("$") else None
        if match is None:
            lines.append(line)
            continue
        _add(path, blocks, name, lines, start)
        name, rest = match[1].upper(), match[2].strip()
        # A value may stand on the line of the name.
        lines, start = ([rest], line_number) if rest else ([], line_number + 1)
    _add(path, blocks, name, lines, start)
    return blocks


def _add(path: Path, blocks: list[_Block], name: str, lines: list[str], start: int) -> None:
    if name:
        blocks.append(_Block(name, "\n".join(lines), start))
    elif any(line.strip() for line in lines):
        raise SpectrumFileError(
            path,
            place="line 1",
            found=f"starts with {shown(lines[0])}, expected the name of a block such as $SPEC_ID:",
            remedy=f"{EXPORT_AGAIN} as ORTEC or IAEA .spe",
        )


def _single(path: Path, blocks: list[_Block], name: str) -> _Block | None:
    found = [block for block in blocks if block.name == name]
    for block in found[1:]:
        if block.text.split() != found[0].text.split():
            raise SpectrumFileError(
                path,
                place=block.place,
                found=f"a second ${name}: block that differs from the one at line {found[0].line}",
                remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}, one spectrum per file",
            )
    return found[0] if found else None


def _metadata(blocks: list[_Block]) -> dict[str, str]:
    return metadata_of(
        HeaderItem(block.name, block.text.strip(), block.line) for block in blocks if block.name != "DATA"
    )


def _specimen(block: _Block | None) -> str | None:
    lines = block.text.strip().split("\n") if block is not None else []
    name = lines[0].strip() if lines else ""
    return name if name and name != _NO_NAME else None


def _counts(path: Path, data: _Block) -> tuple[int, NumberBlock, NDArray[np.float64]]:
    """Number of the first channel, the block of numbers, and the counts."""
    head, _, rest = data.text.partition("\n")
    limits = [number(token) for token in head.split()]
    if len(limits) != 2 or any(limit is None or limit < 0 or limit % 1 for limit in limits):
        raise _bad_data(path, data, f"$DATA: starts with {shown(head)}, expected the first and the last channel")
    first, last = (int(limit) for limit in limits if limit is not None)
    if not first <= last < first + MAX_CHANNELS or last > 2 * MAX_CHANNELS:
        raise _bad_data(path, data, f"$DATA: says channels {first} to {last}")
    numbers = NumberBlock(path=path, text=rest, first_line=data.line + 1)
    counts = numbers.flat()
    if counts.size != last - first + 1:
        raise _bad_data(path, data, f"$DATA: says channels {first} to {last}, but {counts.size} counts follow")
    return first, numbers, counts


def _bad_data(path: Path, data: _Block, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path,
        place=data.place,
        found=found,
        remedy=f"The file is cut off or edited: copy it again, or {EXPORT_AGAIN.lower()}",
    )


def _times(path: Path, block: _Block | None) -> tuple[Stated | None, Stated | None]:
    if block is None or not block.text.strip():
        return None, None
    times = [number(token) for token in block.text.split()]
    if len(times) != 2 or times[0] is None or times[1] is None:
        raise SpectrumFileError(
            path,
            place=block.place,
            found=f"$MEAS_TIM: is {shown(block.text.strip())}, expected live and real time in seconds",
            remedy=f"{EXPORT_AGAIN}, or repair the line",
        )
    live, real = times[0], times[1]
    return Stated(live, "$MEAS_TIM: live", block.place), Stated(real, "$MEAS_TIM: real", block.place)


def _scale(path: Path, blocks: list[_Block], first: int, n_channels: int) -> tuple[StatedScale | None, str]:
    """Energy scale of the channels in the file, or the reason why there is none."""
    calibration = _single(path, blocks, "MCA_CAL")
    fit = _single(path, blocks, "ENER_FIT")
    if calibration is None and fit is None:
        return None, "no energy scale is stated (no $MCA_CAL: and no $ENER_FIT: block)"
    exact = _calibration_coefficients(path, calibration) if calibration is not None else None
    rounded = _fit_coefficients(path, fit) if fit is not None else None
    if exact is not None and rounded is not None and fit is not None:
        _refuse_other_fit(path, fit, exact, rounded, n_channels)
    chosen, block = (exact, calibration) if exact is not None else (rounded, fit)
    if chosen is None or block is None:
        return None, "the energy scale holds only zeros: the spectrum was never calibrated"
    return _from_first_channel(chosen, first, block.place), ""


def _from_first_channel(coefficients: tuple[float, float, float], first: int, place: str) -> StatedScale:
    zero, gain, quadratic = coefficients
    return StatedScale(
        zero_kev=zero + gain * first + quadratic * first * first,
        gain_kev=gain + 2.0 * quadratic * first,
        quadratic_kev=quadratic,
        place=place,
    )


def _calibration_coefficients(path: Path, block: _Block) -> tuple[float, float, float] | None:
    """Coefficients of $MCA_CAL: (how many, the numbers, perhaps the unit); None if all are zero."""
    tokens = block.text.split()
    unit = tokens.pop() if tokens and number(tokens[-1]) is None else ""
    values = [number(token) for token in tokens]
    if len(values) < 3 or values[0] != len(values) - 1 or unit.lower() not in _UNIT_KEV:
        raise _bad_scale(path, block, "the number of coefficients, then as many numbers, then perhaps keV")
    return _coefficients(path, block, values[1:], _UNIT_KEV[unit.lower()])


def _fit_coefficients(path: Path, block: _Block) -> tuple[float, float, float] | None:
    """Coefficients of $ENER_FIT:; None if all are zero."""
    values = [number(token) for token in block.text.split()]
    if len(values) < 2:
        raise _bad_scale(path, block, "two or three coefficients in keV")
    return _coefficients(path, block, values, 1.0)


def _coefficients(
    path: Path, block: _Block, values: list[float | None], unit_kev: float
) -> tuple[float, float, float] | None:
    known = [value * unit_kev for value in values if value is not None]
    if len(known) != len(values) or any(known[3:]):
        raise _bad_scale(path, block, "numbers, and none but zeros beyond the quadratic coefficient")
    zero, gain, quadratic = (*known, 0.0)[:3]
    return (zero, gain, quadratic) if any(known) else None


def _bad_scale(path: Path, block: _Block, expected: str) -> SpectrumFileError:
    return SpectrumFileError(
        path,
        place=block.place,
        found=f"${block.name}: is {shown(block.text.strip())}, expected {expected}",
        remedy=f"{EXPORT_AGAIN}, or repair the line",
    )


def _refuse_other_fit(
    path: Path,
    fit: _Block,
    exact: tuple[float, float, float],
    rounded: tuple[float, float, float],
    n_channels: int,
) -> None:
    """Refuse two scales that part by more than rounding; the rounded one may lack the quadratic term."""
    last = n_channels - 1.0
    top = exact[0] + exact[1] * last + exact[2] * last * last
    other = rounded[0] + rounded[1] * last + rounded[2] * last * last
    if not abs(top - other) <= _ROUNDING * abs(top) + abs(exact[2]) * last * last:
        raise SpectrumFileError(
            path,
            place=fit.place,
            found=f"$ENER_FIT: ends at {other:g} keV, but $MCA_CAL: at {top:g} keV",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )


FORMAT = SpectrumFormat(name="ORTEC/IAEA SPE", suffixes=(".spe",), recognises=recognises, read=read)
