"""Tables of wavelength-dispersive spectrometers: Rigaku ZSX, Bruker SPECTRAplus, and a generic intensity table.

Contents become results of another method, intensities line intensities; which of the two a column holds is said
by its unit or its name, and a column that says neither is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from xrfree.errors import DomainError
from xrfree.intensities import CountedPosition, IntensityKind, LineIntensities, LineIntensity
from xrfree.readers._elements import is_component, is_element
from xrfree.readers._format import SpectrumBytes
from xrfree.readers._table import Row, TableFormat, is_unit, per_kg_kg, reported, rows_of
from xrfree.readers._text import first_line, head_text, listed, number, shown
from xrfree.reported import ReportedResults, ReportedValue

_RATE_UNITS = {"kcps": 1000.0, "cps": 1.0, "counts/s": 1.0}
_INT_COLUMN = re.compile(r"(\S+) \(Int\)")
_UNIT_COLUMN = re.compile(r"(\S+) \(([^)]+)\)")
_CELL_WITH_UNIT = re.compile(r"([-+0-9.,]+) ?([A-Za-z%]+.*)")
_ZSX_FIRST_VALUE = 5
_ELEMENT = re.compile(r"([A-Z][a-z]?)(?![a-z])")


# --- Rigaku ZSX ---------------------------------------------------------------------------------------------


def _zsx_rows(file: SpectrumBytes) -> tuple[Row, Row, list[Row]]:
    """Names, units, and the rows of specimens; rows of statistics begin with a word."""
    rows = rows_of(file, ",")
    if len(rows) < 2:
        raise rows[0].bad("one row only, expected names, units and specimens")
    return rows[0], rows[1], [row for row in rows[2:] if row.cells[0].isdigit()]


def _is_zsx(head: bytes) -> bool:
    if not head.lstrip().startswith(b'"","","","",""'):
        return False
    lines = head_text(head).lstrip().split("\n")
    if len(lines) < 2:
        return False
    units = [cell.strip().strip('"') for cell in lines[1].split(",")]
    return any(is_unit(unit) or unit.lower() in _RATE_UNITS for unit in units[_ZSX_FIRST_VALUE:])


def _zsx_columns(names: Row) -> list[int]:
    """Columns with a name; the one behind each holds its flag."""
    return [i for i in range(_ZSX_FIRST_VALUE, len(names.cells)) if names.cells[i]]


def _zsx_metadata(row: Row) -> dict[str, str]:
    said = {"Number": row.cell(0), "Date": row.cell(2), "Column 4": row.cell(3), "Column 5": row.cell(4)}
    return {key: value for key, value in said.items() if value}


def _zsx_results(file: SpectrumBytes) -> Iterator[ReportedResults]:
    names, units, rows = _zsx_rows(file)
    for row in rows:
        values: dict[str, ReportedValue] = {}
        metadata = _zsx_metadata(row)
        for column in _zsx_columns(names):
            name, unit, value = names.cell(column), units.cell(column), row.number(column)
            if value is None or unit.lower() in _RATE_UNITS:
                continue
            content = value / per_kg_kg(row, unit)
            values[name] = reported(row, name, row.cell(column), content, uncertainty=None, limit=None)
            if row.cell(column + 1):
                metadata[f"{name} flag"] = row.cell(column + 1)
        yield ReportedResults(
            specimen=row.cell(1) or f"line {row.line}",
            method="Rigaku ZSX",
            values=values,
            metadata=metadata,
            sources=(file.source,),
        )


def _zsx_intensities(file: SpectrumBytes) -> Iterator[LineIntensities]:
    names, units, rows = _zsx_rows(file)
    rated = [column for column in _zsx_columns(names) if units.cell(column).lower() in _RATE_UNITS]
    if not rated:
        raise units.bad("no column is in cps or kcps: this table holds contents; read it with read_results")
    for row in rows:
        found = []
        for column in rated:
            value = row.number(column)
            if value is not None:
                rate = value * _RATE_UNITS[units.cell(column).lower()]
                found.append(_line(row, names.cell(column), rate, flag=row.cell(column + 1)))
        yield _set(file, row, row.cell(1) or f"line {row.line}", found, _zsx_metadata(row))


def _line(row: Row, name: str, rate_per_s: float, *, flag: str = "") -> LineIntensity:
    """A line of which only the name and the rate are stated."""
    element = _element(row, name)
    try:
        return LineIntensity(
            line=name, element=element, kind=IntensityKind.NOT_STATED, rate_per_s=rate_per_s, flag=flag
        )
    except DomainError as error:
        raise row.bad(str(error)) from error


def _element(row: Row, name: str) -> str:
    match = _ELEMENT.match(name)
    if match is None or not is_element(match[1]):
        raise row.bad(f"the line {shown(name)} does not begin with the symbol of an element")
    return match[1]


def _set(
    file: SpectrumBytes, row: Row, specimen: str, lines: list[LineIntensity], metadata: dict[str, str]
) -> LineIntensities:
    named = {line.line: line for line in lines}
    if len(named) != len(lines):
        raise row.bad(f"a line stands twice in the table of {specimen}")
    try:
        return LineIntensities(specimen=specimen, lines=named, metadata=metadata, sources=(file.source,))
    except DomainError as error:
        raise row.bad(str(error)) from error


# --- Bruker SPECTRAplus -------------------------------------------------------------------------------------


def _is_spectraplus(head: bytes) -> bool:
    names = first_line(head).split("\t")
    return names[0].strip() == "Sample" and any(_INT_COLUMN.fullmatch(name.strip()) for name in names)


def _spectraplus_rows(file: SpectrumBytes) -> tuple[Row, list[Row]]:
    """Names and one row per specimen; blocks that list a specimen again with the same cells are left out."""
    rows = rows_of(file, "\t")
    seen: set[tuple[str, ...]] = set()
    kept = []
    for row in rows[1:]:
        key = tuple(row.cells)
        if row.cells[0] not in {"", "Sample"} and key not in seen:
            seen.add(key)
            kept.append(row)
    return rows[0], kept


def _spectraplus_results(file: SpectrumBytes) -> Iterator[ReportedResults]:
    names, rows = _spectraplus_rows(file)
    for row in rows:
        values: dict[str, ReportedValue] = {}
        for column, name in enumerate(names.cells):
            component, unit = _component(name)
            text = row.cell(column)
            if component and text:
                value, divisor = _content(row, component, text, unit)
                values[component] = reported(row, component, text, value / divisor, uncertainty=None, limit=None)
        yield ReportedResults(
            specimen=row.cell(0),
            method="Bruker SPECTRAplus",
            values=values,
            metadata=_spectraplus_metadata(names, row),
            sources=(file.source,),
        )


def _component(name: str) -> tuple[str, str]:
    """Component of a column, with the unit in its name: ("Al", "PPM") of "Al (PPM)"; none for other columns."""
    match = _UNIT_COLUMN.fullmatch(name)
    component, unit = (match[1], match[2]) if match is not None else (name, "")
    return (component, unit) if unit != "Int" and is_component(component) else ("", "")


def _content(row: Row, component: str, text: str, unit: str) -> tuple[float, float]:
    """Value, and how many of its units make 1 kg/kg; the unit stands in the name of the column, or else in the cell."""
    match = _CELL_WITH_UNIT.fullmatch(text)
    if match is not None:
        text, unit = match[1], match[2]
    value = number(text.replace(",", "."))
    if value is None:
        raise row.bad(f"{component} is {shown(text)}, expected a number")
    if not unit:
        raise row.bad(f"{component} is {shown(text)} without a unit, in its column or in the cell")
    return value, per_kg_kg(row, unit)


def _spectraplus_metadata(names: Row, row: Row) -> dict[str, str]:
    return {"Date": row.cell(1)} if names.cell(1) == "Date" and row.cell(1) else {}


def _spectraplus_intensities(file: SpectrumBytes) -> Iterator[LineIntensities]:
    """Columns `X (Int)` are in kcps."""
    names, rows = _spectraplus_rows(file)
    for row in rows:
        found = []
        for column, name in enumerate(names.cells):
            match = _INT_COLUMN.fullmatch(name)
            rate = row.number(column, comma=True) if match is not None else None
            if match is not None and rate is not None:
                found.append(_line(row, match[1], 1000.0 * rate))
        yield _set(file, row, row.cell(0), found, _spectraplus_metadata(names, row))


# --- generic table ------------------------------------------------------------------------------------------


_ROLES = ("peak", "background", "overlap")
_NEEDED = ("specimen", "line")
_RATES = {"rate_per_s": 1.0, "rate_cps": 1.0, "rate_kcps": 1000.0}


def _is_generic(head: bytes) -> bool:
    line = first_line(head).lower().replace('"', "")
    if not all(name in line for name in _NEEDED):
        return False
    names = {name.strip() for name in re.split(r"[,;\t]", line)}
    return set(_NEEDED) <= names and not names.isdisjoint(_RATES)


def _generic(file: SpectrumBytes) -> Iterator[LineIntensities]:
    """A row per counted position: specimen, line, rate_per_s (or rate_kcps), and what else is known.

    Further columns: group ("Ce L"), kind (gross, net), counting_time_s, two_theta_deg, role (peak, background,
    overlap), position (name of a background or overlap), flag; any other column is kept as metadata of the specimen.
    """
    separator = max(",;\t", key=first_line(file.content[:4096]).count)
    rows = rows_of(file, separator)
    header = {name.lower(): i for i, name in enumerate(rows[0].cells)}
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise rows[0].bad(f"there is no column {missing[0]}")
    comma = separator == ";"
    by_specimen: dict[str, list[Row]] = {}
    for row in rows[1:]:
        specimen = row.cell(header["specimen"])
        if not specimen:
            raise row.bad("no specimen is named")
        by_specimen.setdefault(specimen, []).append(row)
    for specimen, own in by_specimen.items():
        lines = _generic_lines(own, header, comma=comma)
        yield _set(file, own[0], specimen, lines, _generic_metadata(own, header))


def _generic_metadata(rows: list[Row], header: dict[str, int]) -> dict[str, str]:
    known = {*_NEEDED, *_RATES, "group", "kind", "counting_time_s", "two_theta_deg", "role", "position", "flag"}
    said: dict[str, list[str]] = {}
    for name, column in header.items():
        if name and name not in known:
            said[name] = list(dict.fromkeys(row.cell(column) for row in rows if row.cell(column)))
    return {name: "\n".join(values) for name, values in said.items() if values}


def _generic_lines(rows: list[Row], header: dict[str, int], *, comma: bool) -> list[LineIntensity]:
    positions: dict[tuple[str, str], list[CountedPosition]] = {}
    peaks: list[Row] = []
    for row in rows:
        role = _cell(row, header, "role") or "peak"
        if role not in _ROLES:
            raise row.bad(f"the role {shown(role)}, expected peak, background or overlap")
        if role == "peak":
            peaks.append(row)
        else:
            positions.setdefault((row.cell(header["line"]), role), []).append(_position(row, header, comma=comma))
    lines = [_peak(row, header, positions, comma=comma) for row in peaks]
    orphans = {line for line, _ in positions} - {line.line for line in lines}
    if orphans:
        raise rows[0].bad(f"positions are listed for the lines {listed(sorted(orphans))}, which have no peak")
    return lines


def _cell(row: Row, header: dict[str, int], name: str) -> str:
    return row.cell(header[name]) if name in header else ""


def _rate(row: Row, header: dict[str, int], *, comma: bool) -> float:
    for name, factor in _RATES.items():
        value = row.number(header[name], comma=comma) if name in header else None
        if value is not None:
            return factor * value
    raise row.bad("no rate is stated")


def _optional(row: Row, header: dict[str, int], name: str, *, comma: bool) -> float | None:
    return row.number(header[name], comma=comma) if name in header else None


def _position(row: Row, header: dict[str, int], *, comma: bool) -> CountedPosition:
    angle = _optional(row, header, "two_theta_deg", comma=comma)
    try:
        return CountedPosition(
            name=_cell(row, header, "position") or f"line {row.line}",
            rate_per_s=_rate(row, header, comma=comma),
            counting_time_s=_optional(row, header, "counting_time_s", comma=comma),
            two_theta_rad=None if angle is None else math.radians(angle),
        )
    except DomainError as error:
        raise row.bad(str(error)) from error


def _peak(
    row: Row, header: dict[str, int], positions: dict[tuple[str, str], list[CountedPosition]], *, comma: bool
) -> LineIntensity:
    name, kind = row.cell(header["line"]), _cell(row, header, "kind").lower()
    if kind not in {"", *(known.value for known in IntensityKind)}:
        raise row.bad(f"the kind {shown(kind)}, expected gross or net")
    angle = _optional(row, header, "two_theta_deg", comma=comma)
    try:
        return LineIntensity(
            line=name,
            element=_element(row, name),
            group=_cell(row, header, "group") or None,
            kind=IntensityKind(kind) if kind else IntensityKind.NOT_STATED,
            rate_per_s=_rate(row, header, comma=comma),
            counting_time_s=_optional(row, header, "counting_time_s", comma=comma),
            two_theta_rad=None if angle is None else math.radians(angle),
            background=tuple(positions.get((name, "background"), ())),
            overlaps=tuple(positions.get((name, "overlap"), ())),
            flag=_cell(row, header, "flag"),
        )
    except DomainError as error:
        raise row.bad(str(error)) from error


TABLES = (
    TableFormat(name="Rigaku ZSX", recognises=_is_zsx, results=_zsx_results, intensities=_zsx_intensities),
    TableFormat(
        name="Bruker SPECTRAplus",
        recognises=_is_spectraplus,
        results=_spectraplus_results,
        intensities=_spectraplus_intensities,
    ),
    TableFormat(name="intensity table", recognises=_is_generic, intensities=_generic),
)
