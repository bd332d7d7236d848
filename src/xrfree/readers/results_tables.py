"""Results tables of other programs: Olympus/Evident Vanta, Niton, PANalytical Epsilon, Bruker S1.

"Not detected" is a censored value with its limit, never zero; errors become one standard deviation; an error of
zero means that none is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from xrfree.readers._elements import is_component
from xrfree.readers._format import SpectrumBytes
from xrfree.readers._table import Row, TableFormat, is_censored, per_kg_kg, reported, rows_of
from xrfree.readers._text import first_line, head_text
from xrfree.reported import ReportedResults, ReportedValue

_VANTA_NAMES = ("Test Label", "info", "Sample ID")
_S1_ERROR = re.compile(r"(\S+) Err(?:or)?(?: ?\(?[123]s\)?)?")


def _separator(line: str) -> str:
    return max(",\t;", key=line.count)


def _vanta_header(head: bytes) -> str:
    lines = [line for line in head_text(head).split("\n")[:3] if line.strip() and not line.startswith("sep=")]
    return lines[0] if lines else ""


def _is_vanta(head: bytes) -> bool:
    if b"C\0o\0n\0c" not in head and b"Concentration" not in head:
        return False
    header = _vanta_header(head)
    return "Concentration" in header and "Error 1s" in header


def _vanta(file: SpectrumBytes) -> Iterator[ReportedResults]:
    """A row per reading; five or seven columns per element. Concentration 0 stands for: not detected."""
    separator = _separator(_vanta_header(file.content[:4096]))
    lines = rows_of(file, separator)
    rows = [row for row in lines if not row.cells[0].startswith("sep=")]
    if not rows:
        raise lines[0].bad("there is no line with the names of the columns")
    header = {name: i for i, name in enumerate(rows[0].cells)}
    elements = [name.removesuffix(" Concentration") for name in header if name.endswith(" Concentration")]
    own = {f"{element} {what}" for element in elements for what in ("Concentration", "Error 1s")}
    for row in rows[1:]:
        values = {}
        divisor = None
        for element in elements:
            text = row.cell(header[f"{element} Concentration"])
            if text:
                divisor = divisor or per_kg_kg(row, row.cell(header["Units"]) if "Units" in header else "")
                error = row.number(header[f"{element} Error 1s"]) if f"{element} Error 1s" in header else None
                values[element] = _vanta_value(row, element, text, error, divisor, header[f"{element} Concentration"])
        metadata = {name: row.cell(i) for name, i in header.items() if row.cell(i) and name not in own}
        specimen = next((metadata[name] for name in _VANTA_NAMES if name in metadata), f"reading at line {row.line}")
        yield _results(file, specimen, f"Vanta {metadata.get('Method Name', '')}", values, metadata)


def _vanta_value(row: Row, element: str, text: str, error: float | None, divisor: float, column: int) -> ReportedValue:
    value = None if is_censored(text) else row.number(column)
    spread = None if error is None else error / divisor
    if value is None or value == 0:
        return reported(row, element, text, None, uncertainty=None, limit=spread)
    return reported(row, element, text, value / divisor, uncertainty=spread, limit=None)


def _results(
    file: SpectrumBytes, specimen: str, method: str, values: dict[str, ReportedValue], metadata: dict[str, str]
) -> ReportedResults:
    return ReportedResults(
        specimen=specimen,
        method=method.strip(),
        values=values,
        metadata={key: value for key, value in metadata.items() if value},
        sources=(file.source,),
    )


def _is_niton(head: bytes) -> bool:
    line = first_line(head)
    text = head_text(head).split("\n", 1)[0]
    return line.startswith(('"Index";"Reading', "Index;Reading", '"Index","Reading')) and ".Error" in text


def _niton(file: SpectrumBytes) -> Iterator[ReportedResults]:
    """Columns X and X.Error; the multiple of the standard deviation stands in Sigma.Value."""
    separator = _separator(file.content[:200].decode("latin-1"))
    rows = rows_of(file, separator)
    header = {name: i for i, name in enumerate(rows[0].cells)}
    comma = separator == ";"
    components = [name for name in header if f"{name}.Error" in header and is_component(name)]
    own = {column for name in components for column in (name, f"{name}.Error")}
    for row in rows[1:]:
        missing = [name for name in ("Units", "Sigma.Value") if name not in header]
        if missing:
            raise row.bad(f"there is no column {missing[0]}")
        divisor = per_kg_kg(row, row.cell(header["Units"]))
        sigma = row.number(header["Sigma.Value"], comma=comma)
        if sigma is None or sigma <= 0:
            raise row.bad("Sigma.Value is empty or 0, so that the errors have no meaning")
        values = {}
        for name in components:
            text = row.cell(header[name])
            if not text or text == "NA":
                continue
            error = row.number(header[f"{name}.Error"], comma=comma)
            if is_censored(text):
                limit = None if error is None else error / divisor
                values[name] = reported(row, name, text, None, uncertainty=None, limit=limit)
            else:
                value = row.number(header[name], comma=comma) or 0.0
                spread = None if error is None else error / divisor / sigma
                values[name] = reported(row, name, text, value / divisor, uncertainty=spread, limit=None)
        metadata = {n: row.cell(i) for n, i in header.items() if n not in own and row.cell(i) not in {"", "NA"}}
        specimen = metadata.get("SAMPLE") or f"reading at line {row.line}"
        yield _results(file, specimen, f"Niton {metadata.get('Type', '')}", values, metadata)


def _is_epsilon(head: bytes) -> bool:
    text = head_text(head)
    lines = text.split("\n")[:6] if "Iraw" in text else []
    return any(line.split("\t")[0].strip() == "Nr" and "Iraw" in line and "Inet" in line for line in lines)


def _epsilon(file: SpectrumBytes) -> Iterator[ReportedResults]:
    """Row 1 names an element over its first cell of four: Iraw, Inet, C, Unit. Rows of means are left out."""
    rows = rows_of(file, "\t")
    title = next((i for i, row in enumerate(rows) if row.cells[0] == "Nr" and "Iraw" in row.cells), None)
    if not title:
        raise rows[0].bad("there is no line 'Nr ... Iraw ...' under a line with the names of the elements")
    above, header = rows[title - 1], rows[title]
    first = header.cells.index("Iraw")
    for row in rows[title + 1 :]:
        if not row.cells[0].isdigit() or row.cell(2).startswith(("Ave of", "SDev of")):
            continue
        metadata = {name: row.cell(i) for i, name in enumerate(header.cells[:first])}
        values = {}
        for column in range(first, len(header.cells), 4):
            element, text = above.cell(column), row.cell(column + 2)
            if not element or not text:
                continue
            divisor = per_kg_kg(row, row.cell(column + 3))
            value = row.number(column + 2)
            values[element] = reported(
                row, element, text, None if value is None else value / divisor, uncertainty=None, limit=None
            )
            metadata |= {f"{element} Iraw": row.cell(column), f"{element} Inet": row.cell(column + 1)}
        specimen = metadata.get("Ident") or f"reading at line {row.line}"
        yield _results(file, specimen, "PANalytical Epsilon", values, metadata)


def _is_s1(head: bytes) -> bool:
    line = first_line(head)
    names = line.replace('"', "").split(_separator(line)) if " Err" in line else []
    pairs = sum(1 for a, b in pairwise(names) if b.strip() == f"{a.strip()} Err")
    return pairs >= 2


def _s1(file: SpectrumBytes) -> Iterator[ReportedResults]:
    """Pairs X and X Err; columns without a name repeat values as oxides and are left out.

    The unit stands in a column Units, or nowhere: then the table is refused. The multiple of the error stands in a
    column Error Multiplier, or is not known: then no uncertainty is taken over.
    """
    rows = rows_of(file, _separator(first_line(file.content[:4096])))
    header = {name: i for i, name in enumerate(rows[0].cells) if name}
    components = [name for name in header if f"{name} Err" in header and is_component(name)]
    own = {column for name in components for column in (name, f"{name} Err")}
    unit_column = next((header[name] for name in ("Units", "Unit") if name in header), None)
    sigma_column = next((header[n] for n in ("Error Multiplier", "ErrorMultiplier", "Sigma") if n in header), None)
    for row in rows[1:]:
        if unit_column is None:
            raise row.bad("there is no column Units, so that the contents have no unit")
        divisor = per_kg_kg(row, row.cell(unit_column))
        sigma = row.number(sigma_column) if sigma_column is not None else None
        values = {}
        for name in components:
            text = row.cell(header[name])
            if not text:
                continue
            error = row.number(header[f"{name} Err"])
            value = None if is_censored(text) else row.number(header[name])
            censored = value is None or value == 0
            values[name] = reported(
                row,
                name,
                text,
                None if censored else (value or 0.0) / divisor,
                uncertainty=error / divisor / sigma if error is not None and sigma else None,
                limit=error / divisor if censored and error is not None else None,
            )
        metadata = {name: row.cell(i) for name, i in header.items() if name not in own}
        specimen = next((metadata[k] for k in ("Sample ID", "SampleID", "Name", "File #") if metadata.get(k)), "")
        yield _results(file, specimen or f"reading at line {row.line}", "Bruker S1", values, metadata)


TABLES = (
    TableFormat(name="Olympus Vanta results", recognises=_is_vanta, results=_vanta),
    TableFormat(name="Niton results", recognises=_is_niton, results=_niton),
    TableFormat(name="PANalytical Epsilon report", recognises=_is_epsilon, results=_epsilon),
    TableFormat(name="Bruker S1 results", recognises=_is_s1, results=_s1),
)
