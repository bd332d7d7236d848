"""Delimited text of any origin: a header, perhaps names of columns, then one line per channel.

Header lines are `# key: value`, `key: value`, `key = value` or two fields; all are kept. Keys that are
understood (see `_statement`) carry their unit in the name, because a number without unit states nothing.
What cannot be known from the text (which column, which decimal sign) is asked for in a profile, never
guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale, Statement, assemble, refuse_length, straight_scale, with_own_condition
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import HeaderItem, Stated, metadata_of, single, stated_integer, stated_number
from xrfree.readers._text import EXPORT_AGAIN, NumberBlock, decode, head_text, listed, number, split_fields
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "whitespace": None}
_COUNTS_NAMES = {"counts", "count"}
_CHANNEL_NAMES = {"channel", "channels", "ch", "chan", "channel_number", "channel_no"}
_ENERGY_NAMES = {"energy_kev": "keV", "e_kev": "keV", "energy_ev": "eV", "e_ev": "eV"}
_UNIT_KEV = {"keV": 1.0, "eV": 1e-3}
# Lines by which other formats are known; a file that has one and is not that format is damaged.
_FOREIGN = re.compile(r"^(?:#SPECTRUM\b|#NPOINTS\b|\$[A-Z_]+:|<<.+>>)", re.MULTILINE)
# A comma that cannot be a thousands separator: not exactly three digits behind it, or a zero before it.
_DECIMAL_COMMA = re.compile(r",[0-9]{0,2}(?![0-9])|,[0-9]{4}|(?<![0-9])0+,")
_KEY_VALUE = re.compile(r"([^:=]*[^:=\s])\s*[:=]\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How the lines of a file are split.

    separator : one character, None for blanks; comma : whether the decimal sign is a comma.
    """

    separator: str | None
    comma: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The parts of a file.

    items : the header; keys : the same by their normal names.
    names : of the columns, empty where the file has none; body : the lines of numbers, decimal sign a point.
    """

    path: Path
    items: tuple[HeaderItem, ...]
    keys: dict[str, list[HeaderItem]]
    names: tuple[str, ...]
    n_columns: int
    layout: _Layout
    body: NumberBlock

    @property
    def first_row(self) -> list[str]:
        """Fields of the first line of numbers."""
        return split_fields(next(self.body.rows())[1], self.layout.separator)

    def columns(self, *indices: int) -> NDArray[np.float64]:
        """Some columns as numbers, shape (n_rows, len(indices))."""
        return self.body.table(self.layout.separator, indices, self.n_columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roles:
    """Which column is what; None where there is no such column."""

    counts: int
    energy: int | None
    channel: int | None


def recognises(head: bytes) -> bool:
    """Whether a line of numbers follows after at most a header, and no other format shows."""
    text = head_text(head)
    starts = (start for _, start, line in _lines(text) if _is_numeric_row(line))
    start = next(starts, None)
    return start is not None and "\0" not in text and _FOREIGN.search(text, 0, start) is None


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in a delimited text file."""
    table = _split(file.path, decode(file.path, file.content), profile)
    roles = _roles(table, profile)
    wanted = [roles.counts, *(column for column in (roles.energy, roles.channel) if column is not None)]
    values = table.columns(*wanted)
    _refuse_other_length(table, len(values))
    first_channel = _first_channel(table, roles, values)
    scale = _header_scale(table, first_channel, profile)
    if roles.energy is not None:
        scale = _column_scale(table, roles, values[:, 1], scale, profile)
    return assemble(file, [_statement(table, values[:, 0], scale)], profile)


def _statement(table: _Table, counts: NDArray[np.float64], scale: StatedScale | None) -> Statement:
    _refuse_other_total(table, counts)
    said = Statement(
        counts=counts,
        place_of=lambda channel: f"line {table.body.line_of_row(channel)}",
        live_time_s=_number(table, "live_time_s", "livetime_s", expected="seconds > 0"),
        real_time_s=_number(table, "real_time_s", "realtime_s", expected="seconds > 0"),
        scale=scale,
        specimen=_text(table, "specimen"),
        condition=_text(table, "condition"),
        anode=_text(table, "tube_anode", "anode"),
        tube_voltage_kv=_number(table, "tube_kv", "tube_voltage_kv", expected="kV > 0"),
        tube_current_ua=_number(table, "tube_ua", "tube_current_ua", expected="µA > 0"),
        filter=_text(table, "filter"),
        atmosphere=_text(table, "atmosphere"),
        metadata=metadata_of(table.items),
    )
    return with_own_condition(said, table.items)


# --- lines --------------------------------------------------------------------------------------------------


def _split(path: Path, text: str, profile: ReaderProfile | None) -> _Table:
    header, start = _header(path, text, profile)
    body = text[start:]
    line = text.count("\n", 0, start) + 1
    first_row = body.partition("\n")[0]
    layout = _layout(path, first_row, body, line, profile)
    n_columns = len(split_fields(first_row, layout.separator))
    names, header = _column_names(header, layout, n_columns)
    if layout.comma:
        body = body.replace(",", ".")
    block = NumberBlock(path=path, text=body, first_line=line)
    comments = [*header, *_comments(body, line)]
    items = tuple(_item(number, text, layout) for number, text in comments)
    return _Table(
        path=path,
        items=items,
        keys=_by_normal_key(items),
        names=names,
        n_columns=n_columns,
        layout=layout,
        body=block,
    )


def _by_normal_key(items: tuple[HeaderItem, ...]) -> dict[str, list[HeaderItem]]:
    keys: dict[str, list[HeaderItem]] = {}
    for item in items:
        keys.setdefault(_normal(item.key), []).append(item)
    return keys


def _header(path: Path, text: str, profile: ReaderProfile | None) -> tuple[list[tuple[int, str]], int]:
    """Lines before the numbers, each with its number, and where the numbers start."""
    skip = profile.skip_lines if profile is not None else None
    header = list[tuple[int, str]]()
    for number_of_line, start, line in _lines(text):
        if number_of_line <= (skip or 0):
            continue
        if _is_numeric_row(line) or (skip is not None and _starts_with_number(line)):
            return header, start
        if line.strip():
            header.append((number_of_line, line))
    raise SpectrumFileError(
        path,
        found="there is no line of numbers",
        remedy=f"{EXPORT_AGAIN} as text with one line per channel",
    )


def _starts_with_number(line: str) -> bool:
    """Whether a line begins with a number; below skipped lines, other columns may hold text."""
    token = re.split(r"[\s;,]", line.strip(), maxsplit=1)[0]
    return number(token) is not None


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Number, offset and text of each line."""
    start, number_of_line = 0, 1
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield number_of_line, start, text[start:end]
        start, number_of_line = end + 1, number_of_line + 1


def _comments(body: str, first_line: int) -> list[tuple[int, str]]:
    """Comment lines between or below the numbers."""
    if "#" not in body:
        return []
    lines = enumerate(body.split("\n"), first_line)
    return [(number_of_line, line) for number_of_line, line in lines if line.lstrip().startswith("#")]


def _is_numeric_row(line: str) -> bool:
    """Whether a line consists of numbers, whatever separates them."""
    if not line or line.isspace() or line.lstrip().startswith("#"):
        return False
    fields = [field for field in re.split(r"[\s;,]+", line.replace('"', " ").strip()) if field]
    return bool(fields) and all(number(field) is not None for field in fields)


# --- separator and decimal sign -----------------------------------------------------------------------------


def _layout(path: Path, row: str, body: str, line: int, profile: ReaderProfile | None) -> _Layout:
    given = profile.separator if profile is not None else None
    separator = _SEPARATORS[given] if given is not None else _sniffed_separator(row, profile)
    if separator == "," or "," not in body:
        return _Layout(separator=separator, comma=False)
    _refuse_ambiguous_comma(path, body, line, profile)
    return _Layout(separator=separator, comma=True)


def _sniffed_separator(row: str, profile: ReaderProfile | None) -> str | None:
    for separator in ("\t", ";"):
        if separator in row.strip():
            return separator
    if profile is not None and profile.decimal == "comma":
        return None
    fields = split_fields(row, ",")
    blanks_inside = any(len(field.split()) > 1 for field in fields)
    return "," if len(fields) > 1 and not blanks_inside else None


def _refuse_ambiguous_comma(path: Path, body: str, line: int, profile: ReaderProfile | None) -> None:
    """In "12,345" the comma may mark thousands; one number in which it cannot settles the file."""
    said = profile.decimal if profile is not None else None
    numbers = body.partition("#")[0]
    if said == "comma" or (said is None and _DECIMAL_COMMA.search(numbers) and "." not in numbers):
        return
    place = line + body.count("\n", 0, body.index(","))
    raise SpectrumFileError(
        path,
        place=f"line {place}",
        found="the comma in the numbers may be a decimal sign or mark thousands",
        remedy='Export without thousands separators, or read with a profile that has decimal = "comma"',
    )


# --- header -------------------------------------------------------------------------------------------------


def _column_names(
    header: list[tuple[int, str]], layout: _Layout, n_columns: int
) -> tuple[tuple[str, ...], list[tuple[int, str]]]:
    """Names of the columns out of the last header line, if that is what it holds, and the other lines."""
    if not header:
        return (), header
    line = header[-1][1].strip()
    fields = split_fields(line.lstrip("#").strip(), layout.separator)
    is_key = line.startswith("#") and _KEY_VALUE.fullmatch(line) is not None
    if is_key or len(fields) != n_columns or not all(fields) or any(number(field) is not None for field in fields):
        return (), header
    if n_columns == 1 and _normal(fields[0]) not in _COUNTS_NAMES:
        return (), header
    return tuple(fields), header[:-1]


def _item(line: int, text: str, layout: _Layout) -> HeaderItem:
    text = text.strip().lstrip("#").strip()
    match = _KEY_VALUE.fullmatch(text)
    if match is not None:
        return HeaderItem(match[1].strip().strip('"'), match[2].strip().strip('"'), line)
    fields = split_fields(text, layout.separator) if layout.separator is not None else []
    if len(fields) == 2:
        return HeaderItem(fields[0], fields[1], line)
    return HeaderItem("comment", text, line)


def _normal(key: str) -> str:
    """A name as it is compared: "Live time (s)" is "live_time_s"."""
    return re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_")


def _stated_item(table: _Table, *keys: str) -> HeaderItem | None:
    found = single(table.path, [item for key in keys for item in table.keys.get(key, ())])
    return found if found is not None and found.value else None


def _text(table: _Table, *keys: str) -> str | None:
    item = _stated_item(table, *keys)
    return None if item is None else item.value


def _number(table: _Table, *keys: str, expected: str) -> Stated | None:
    item = _stated_item(table, *keys)
    if item is not None and table.layout.comma:
        item = HeaderItem(item.key, item.value.replace(",", "."), item.line)
    return stated_number(table.path, item, expected=expected)


def _refuse_other_length(table: _Table, n_rows: int) -> None:
    item = _stated_item(table, "channels", "n_channels", "number_of_channels")
    stated = stated_integer(table.path, item, expected="the number of channels")
    if item is not None and stated is not None:
        refuse_length(table.path, place=item.place, found=n_rows, stated=stated, key=item.key)


def _refuse_other_total(table: _Table, counts: NDArray[np.float64]) -> None:
    item = _stated_item(table, "total_counts")
    stated = stated_integer(table.path, item, expected="a number of counts")
    if item is not None and stated is not None and float(counts.sum()) != stated:
        raise SpectrumFileError(
            table.path,
            place=item.place,
            found=f"{item.key} is {stated}, but the channels add up to {counts.sum():.12g}",
            remedy=f"The file is damaged or edited: {EXPORT_AGAIN.lower()}",
        )


# --- columns ------------------------------------------------------------------------------------------------


def _roles(table: _Table, profile: ReaderProfile | None) -> _Roles:
    counts = _named(table, "counts_column", profile, _COUNTS_NAMES)
    energy = _named(table, "energy_column", profile, set(_ENERGY_NAMES))
    channel = _named(table, "channel_column", profile, _CHANNEL_NAMES)
    if counts is None and not table.names:
        counts, channel = _roles_without_names(table, channel)
    if counts is None:
        _ask_for_counts(table)
    return _Roles(counts=counts, energy=energy, channel=channel)


def _ask_for_counts(table: _Table) -> NoReturn:
    what = f"named {listed(table.names)}" if table.names else "without names"
    line = next(table.body.rows())[0]
    raise SpectrumFileError(
        table.path,
        place=f"line {line}",
        found=f"{table.n_columns} columns {what}, and which one holds the counts cannot be known",
        remedy='Read it with a profile, a TOML file with schema = "xrfree/profile/1" and counts_column = ... '
        "(its name, or its number from 1)",
    )


def _roles_without_names(table: _Table, channel: int | None) -> tuple[int | None, int | None]:
    """One column holds counts; of two, the first may number the channels."""
    if table.n_columns == 1:
        return 0, None
    if table.n_columns == 2 and channel is None:
        numbers = table.columns(0)[:, 0]
        if numbers[0] in (0.0, 1.0) and len(numbers) > 2 and (np.diff(numbers) == 1.0).all():
            return 1, 0
    return None, channel


def _named(table: _Table, key: str, profile: ReaderProfile | None, known: set[str]) -> int | None:
    given = getattr(profile, key) if profile is not None else None
    if isinstance(given, int):
        return _checked_index(table, key, given)
    wanted = known if given is None else {_normal(given)}
    found = [i for i, name in enumerate(table.names) if _normal(name) in wanted]
    if len(found) == 1 or (not found and given is None):
        return found[0] if found else None
    raise SpectrumFileError(
        table.path,
        found=f"{len(found)} columns match {key} ({', '.join(sorted(wanted))}); the names are "
        f"{listed(table.names) or 'not given'}",
        remedy=f"Give {key} in the profile as the number of the column, counted from 1",
    )


def _checked_index(table: _Table, key: str, given: int) -> int:
    if given > table.n_columns:
        raise SpectrumFileError(
            table.path,
            found=f"the profile says {key} = {given}, but there are {table.n_columns} columns",
            remedy="Correct the profile, or its separator",
        )
    return given - 1


def _first_channel(table: _Table, roles: _Roles, values: NDArray[np.float64]) -> int:
    """Number of the first channel; the channel column must count on from there without a gap."""
    if roles.channel is None:
        return 0
    channels = values[:, -1]
    if not 0 <= channels[0] < 2.0**31 or channels[0] % 1:
        wrong = 0
    else:
        away = np.flatnonzero(channels != channels[0] + np.arange(channels.size))
        if not away.size:
            return int(channels[0])
        wrong = int(away[0])
    raise SpectrumFileError(
        table.path,
        place=f"line {table.body.line_of_row(wrong)}",
        found=f"channel {channels[wrong]:.12g}"
        + (f" follows channel {channels[wrong - 1]:.12g}" if wrong else " is not a channel number"),
        remedy=f"Lines are missing or out of order: {EXPORT_AGAIN.lower()}",
    )


# --- energy -------------------------------------------------------------------------------------------------


def _header_scale(table: _Table, first_channel: int, profile: ReaderProfile | None) -> StatedScale | None:
    """Energy scale of the header; energy_zero_kev is the energy of channel 0."""
    zero = _number(table, "energy_zero_kev", "energy_offset_kev", expected="keV")
    gain = _number(table, "energy_gain_kev", "energy_gain_kev_per_channel", expected="keV per channel > 0")
    if zero is None and gain is None:
        return None
    if zero is None or gain is None:
        known = zero or gain
        raise UncalibratedError(
            table.path,
            place=known.place if known else "",
            found="of energy_zero_kev and energy_gain_kev only one is stated",
            remedy="Add the other one to the header",
        )
    if gain.value == 0:
        return None
    if first_channel and not (profile is not None and "energy_scale" in profile.replaces):
        raise UncalibratedError(
            table.path,
            place=f"line {next(table.body.rows())[0]}",
            found=f"channels are numbered from {first_channel}, so whether energy_zero_kev is the "
            "energy of channel 0 or of "
            "the first one is not known",
            remedy="Number the channels from 0, or give the energy of the first channel in a profile with "
            'replaces = ["energy_scale"]',
        )
    quadratic = _number(table, "energy_quadratic_kev", expected="keV per channel squared")
    return StatedScale(
        zero_kev=zero.value,
        gain_kev=gain.value,
        quadratic_kev=0.0 if quadratic is None else quadratic.value,
        place=gain.place,
    )


def _column_scale(
    table: _Table,
    roles: _Roles,
    energies: NDArray[np.float64],
    header: StatedScale | None,
    profile: ReaderProfile | None,
) -> StatedScale:
    """Straight line through the energy column, which must agree with the header."""
    unit_kev = _UNIT_KEV[_energy_unit(table, roles, profile)]
    line = next(table.body.rows())[0]
    tolerance_kev = _printed_step(table, roles.energy or 0) * unit_kev
    scale = straight_scale(table.path, energies * unit_kev, tolerance_kev=tolerance_kev, place=f"line {line}")
    if header is not None:
        _refuse_other_scale(table, header, scale, energies.size, tolerance_kev)
    return scale if header is None else header


def _energy_unit(table: _Table, roles: _Roles, profile: ReaderProfile | None) -> str:
    name = _normal(table.names[roles.energy]) if table.names and roles.energy is not None else ""
    stated = _ENERGY_NAMES.get(name)
    given = profile.energy_unit if profile is not None else None
    if stated is not None and given is not None and stated != given:
        raise SpectrumFileError(
            table.path,
            found=f"the energy column is in {stated}, but the profile says energy_unit = {given!r}",
            remedy="Correct the profile",
        )
    unit = stated or given
    if unit is None:
        raise UncalibratedError(
            table.path,
            found=f"the unit of the energy column {name!r} is not stated",
            remedy='Give energy_unit = "keV" or "eV" in the profile',
        )
    return unit


def _printed_step(table: _Table, column: int) -> float:
    """One unit of the last printed digit of the energies: the coarser of the first and the last lines."""
    rows = [line for _, line in table.body.rows()]
    return max(_finest(table, rows[:20], column), _finest(table, rows[-20:], column))


def _finest(table: _Table, rows: list[str], column: int) -> float:
    exponents = []
    for row in rows:
        exponent = Decimal(split_fields(row, table.layout.separator)[column]).as_tuple().exponent
        exponents.append(exponent if isinstance(exponent, int) else 0)
    return 10.0 ** max(min(exponents), -300)


def _refuse_other_scale(
    table: _Table, header: StatedScale, column: StatedScale, n_channels: int, tolerance_kev: float
) -> None:
    last = n_channels - 1.0
    ends = (0.0, last)
    apart = max(abs(header.zero_kev - column.zero_kev + (header.gain_kev - column.gain_kev) * i) for i in ends)
    if not apart <= tolerance_kev + 0.01 * abs(header.gain_kev):
        raise SpectrumFileError(
            table.path,
            place=header.place,
            found=f"the header ends the energy scale at {header.zero_kev + header.gain_kev * last:g} "
            "keV, the energy column "
            f"at {column.zero_kev + column.gain_kev * last:g} keV",
            remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
        )


FORMAT = SpectrumFormat(
    name="delimited text",
    suffixes=(".csv", ".txt", ".tsv", ".dat", ".asc", ".xy"),
    recognises=recognises,
    read=read,
)
