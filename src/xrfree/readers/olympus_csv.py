"""Olympus/Evident DELTA and Vanta spectra CSV: a column per exposure, or a row per exposure.

Labels stand in the first cell of each row, counts in rows without one. Exposures (beams) of one test are one
measurement: a test begins where the exposure number does not rise, or the name of the test changes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.readers._text import EXPORT_AGAIN, decode, first_line, number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_FIRST_LABEL = "TestID"
_NEEDED = {_FIRST_LABEL, "ExposureNum", "Livetime", "Offset", "Slope"}
_MOST_EXPOSURES = 20_000


@dataclass(frozen=True, slots=True)
class _Exposure:
    """Labels and counts of one exposure; `column` is counted from 1."""

    labels: dict[str, str]
    counts: NDArray[np.float64]
    column: int
    first_line: int


def recognises(head: bytes) -> bool:
    """Whether the first cell is TestID."""
    return first_line(head).replace('"', "").split(",")[0].split("\t")[0].split(";")[0].strip() == _FIRST_LABEL


def read_many(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Iterator[Measurement]:
    """One measurement per test, with a spectrum per exposure."""
    exposures = _exposures(file.path, _rows(file))
    seen: dict[str, int] = {}
    for test in _tests(exposures):
        name = test[0].labels[_FIRST_LABEL]
        seen[name] = seen.get(name, 0) + 1
        again = f" ({seen[name]})" if seen[name] > 1 else ""
        yield assemble(file, [_statement(file.path, exposure, again) for exposure in test], profile)


def _rows(file: SpectrumBytes) -> list[list[str]]:
    text = decode(file.path, file.content)
    head = text.partition("\n")[0]
    separator = max("\t;,", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise _bad(file.path, 1, f"not a table of separated values ({error})") from error
    return [[cell.strip() for cell in row] for row in rows]


def _exposures(path: Path, rows: list[list[str]]) -> list[_Exposure]:
    """Exposures of a table with a column for each; a table with a row for each is turned around."""
    if set(rows[0]) >= _NEEDED:
        rows = _turned(path, rows)
    labelled = [row for row in rows if row and row[0]]
    labels = {row[0]: row[1:] for row in labelled}
    missing = sorted(_NEEDED - labels.keys())
    if missing:
        raise _bad(path, 1, f"the rows {', '.join(missing)} are missing")
    n = len(rows[0]) - 1
    if not 0 < n <= _MOST_EXPOSURES:
        raise _bad(path, 1, f"{n} exposures in a file, expected 1 to {_MOST_EXPOSURES}")
    first = next((i for i, row in enumerate(rows) if row and not row[0]), len(rows))
    table = _counts(path, rows, first, n)
    return [
        _Exposure(
            {key: values[i] if i < len(values) else "" for key, values in labels.items()}, table[i], i + 2, first + 1
        )
        for i in range(n)
    ]


def _turned(path: Path, rows: list[list[str]]) -> list[list[str]]:
    """A table with a row per exposure as one with a column per exposure; channels lose their names."""
    names = rows[0]
    width = len(names)
    for line, row in enumerate(rows, 1):
        if any(row) and len(row) != width:
            raise _bad(path, line, f"{len(row)} columns, expected {width}")
    body = [row for row in rows if any(row)]
    return [
        ["" if number(name) is not None or not name else name, *(row[i] for row in body[1:])]
        for i, name in enumerate(names)
    ]


def _counts(path: Path, rows: list[list[str]], first: int, n: int) -> NDArray[np.float64]:
    """Counts of all exposures, shape (n, n_channels)."""
    found = []
    for line, row in enumerate(rows[first:], first + 1):
        if not any(row):
            continue
        values = [number(cell) for cell in row[1 : n + 1]]
        if row[0] or len(values) != n or None in values:
            raise _bad(path, line, f"{shown(','.join(row))}, expected the counts of {n} exposures")
        found.append(values)
    if not found:
        raise _bad(path, len(rows), "there are no counts")
    return np.array(found, dtype=np.float64).T


def _bad(path: Path, line: int, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=f"line {line}", found=found, remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}"
    )


def _tests(exposures: Sequence[_Exposure]) -> Iterator[list[_Exposure]]:
    test: list[_Exposure] = []
    for exposure in exposures:
        if test and not _follows(test[-1], exposure):
            yield test
            test = []
        test.append(exposure)
    yield test


def _follows(before: _Exposure, after: _Exposure) -> bool:
    numbers = [number(exposure.labels["ExposureNum"]) for exposure in (before, after)]
    rises = None not in numbers and numbers[0] < numbers[1]  # type: ignore[operator]
    return rises and before.labels[_FIRST_LABEL] == after.labels[_FIRST_LABEL]


def _statement(path: Path, exposure: _Exposure, again: str) -> Statement:
    def stated(key: str) -> Stated | None:
        text = exposure.labels.get(key, "")
        if not text:
            return None
        value = number(text)
        if value is None:
            raise SpectrumFileError(
                path,
                place=f"column {exposure.column}",
                found=f"{key} is {shown(text)}, expected a number",
                remedy=EXPORT_AGAIN,
            )
        return Stated(value, key, f"column {exposure.column}")

    n_channels = stated("NumData")
    if n_channels is not None:
        refuse_length(
            path,
            place=n_channels.place,
            found=exposure.counts.size,
            stated=int(n_channels.value),
            key="NumData",
        )
    zero, gain = stated("Offset"), stated("Slope")
    calibrated = zero is not None and gain is not None and gain.value != 0
    position = exposure.labels.get("FilterPosition", "")
    return Statement(
        counts=exposure.counts,
        place_of=lambda channel: f"line {exposure.first_line + channel} column {exposure.column}",
        live_time_s=stated("Livetime"),
        real_time_s=stated("Realtime"),
        scale=StatedScale(zero_kev=zero.value, gain_kev=gain.value, place=gain.place)
        if calibrated and zero is not None and gain is not None
        else None,
        no_scale="Offset or Slope is missing, or Slope is 0",
        specimen=exposure.labels[_FIRST_LABEL] + again or None,
        label=f"exposure {exposure.labels['ExposureNum']}",
        tube_voltage_kv=stated("TubeVoltageSet") or stated("TubeVoltageMon"),
        tube_current_ua=stated("TubeCurrentSet") or stated("TubeCurrentMon"),
        filter=f"position {position}" if position else None,
        metadata=exposure.labels,
    )


FORMAT = SpectrumFormat(name="Olympus spectra CSV", suffixes=(), recognises=recognises, read_many=read_many)
