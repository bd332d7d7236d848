"""What documents of instruments, methods and calibrations share: kinds of fields, identity, reading, writing.

A field that names an element, a formula or a line group is checked where it stands, so that an error names
that place. The order of keys is no part of a document's identity, and nothing read from it depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from xrfree.atomic import atomic_number, emission_lines, line_group_shells, parse_formula
from xrfree.documents._base import DocumentModel, document_sha256, load_toml, validate
from xrfree.documents._layout import document_text
from xrfree.errors import DocumentError, DomainError

_FORMULA = re.compile(r"[A-Za-z0-9().]{1,100}")
_ELEMENT = re.compile(r"[A-Z][a-z]?")
_LINE_GROUP = re.compile(r"([A-Z][a-z]?) ([KLM])")
_LINE_CLUSTER = re.compile(r"([A-Z][a-z]?) (K|L[1-3]|M[1-5])-([LMNOP])(?:[1-7](?:,[1-7])*)?")
_ROUNDING = 1e-9
"""By how much a correlation may exceed 1, and the halves of a covariance matrix differ, after rounding."""


def refused(reason: str) -> PydanticCustomError:
    """An error for a validator to raise; the message of the `DocumentError` adds the place and the value."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason})


def _checked_name(text: str) -> str:
    if not text.strip() or "/" in text or not text.isprintable():
        raise refused("expected a name: printable text without '/'")
    return text


def _checked_element(symbol: str) -> str:
    if not _ELEMENT.fullmatch(symbol):
        raise refused("expected the symbol of an element, such as 'La'")
    return _ask_tables(symbol, atomic_number)


def check_formula(formula: str) -> None:
    """Refuse (DomainError) what is not a chemical formula; the tables would end reading at a zero byte."""
    if not _FORMULA.fullmatch(formula):
        raise DomainError(f"{formula!r} is not a chemical formula such as 'Fe2O3' or 'CaF2'")
    parse_formula(formula)


def _checked_formula(formula: str) -> str:
    return _ask_tables(formula, check_formula)


def _ask_tables(text: str, look_up: Callable[[str], object]) -> str:
    try:
        look_up(text)
    except DomainError as problem:
        raise refused(str(problem)) from problem
    return text


def _checked_group(group: str) -> str:
    found = _LINE_GROUP.fullmatch(group)
    if found is None:
        raise refused("expected an element and its series K, L or M, such as 'La L'")
    element = _checked_element(found[1])
    if not any(emission_lines(element, shell) for shell in line_group_shells(found[2])):
        raise refused(f"the tables have no {found[2]} line of {element}")
    return group


def _checked_cluster(cluster: str) -> str:
    found = _LINE_CLUSTER.fullmatch(cluster)
    if found is None:
        raise refused("expected an element and lines of one subshell, such as 'La L2-M4,5'")
    element, shell, outer = found.groups()
    levels = [line.transition.partition("-")[2] for line in emission_lines(_checked_element(element), shell)]
    if not any(level.startswith(outer) for level in levels):
        raise refused(f"the tables have no such line of {element}")
    return cluster


def _checked_lines(lines: str) -> str:
    """A whole subshell, or a cluster of its lines."""
    if "-" in lines:
        return _checked_cluster(lines)
    element, _, shell = lines.partition(" ")
    if shell not in {s for series in "KLM" for s in line_group_shells(series)}:
        raise refused("expected an element and a subshell or lines of one, such as 'Pr L2' or 'Pr L2-M4,5'")
    if not emission_lines(_checked_element(element), shell):
        raise refused(f"the tables have no line of {element} {shell}")
    return lines


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, AfterValidator(_checked_name)]
Element = Annotated[str, AfterValidator(_checked_element)]
Formula = Annotated[str, AfterValidator(_checked_formula)]
LineGroupName = Annotated[str, AfterValidator(_checked_group)]
LineClusterName = Annotated[str, AfterValidator(_checked_cluster)]
LinesName = Annotated[str, AfterValidator(_checked_lines)]
Sha256 = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


def covariance_matrix(rows: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    """Covariance matrix of the rows of its lower triangle, or of full rows where rounding made it uneven."""
    n = len(rows)
    matrix = np.zeros((n, n))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    full = n > 0 and len(rows[0]) == n
    return matrix if full else np.tril(matrix) + np.tril(matrix, -1).T


def covariance_rows(matrix: NDArray[np.float64]) -> list[list[float]]:
    """Rows that `covariance_matrix` reads back unchanged."""
    even = bool(np.array_equal(matrix, matrix.T))
    return [[float(v) for v in (row[: i + 1] if even else row)] for i, row in enumerate(matrix)]


def _checked_covariance(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    n, lengths = len(rows), [len(row) for row in rows]
    if lengths not in ([*range(1, n + 1)], [n] * n):
        raise refused("expected the lower triangle of a matrix, that is rows of 1, 2, 3 ... numbers")
    matrix = covariance_matrix(rows)
    variance = np.diag(matrix)
    if np.any(variance < 0.0):
        raise refused(f"variance {int(np.argmax(variance < 0.0))} on the diagonal is below 0")
    limit = np.outer(np.sqrt(variance), np.sqrt(variance))
    with np.errstate(over="ignore"):
        beyond = np.abs(matrix) > limit * (1.0 + _ROUNDING)
        beyond |= np.abs(matrix - matrix.T) > limit * _ROUNDING
    np.fill_diagonal(beyond, val=False)
    if beyond.any():
        i, j = np.argwhere(beyond)[0]
        raise refused(f"the number in row {i}, column {j} is no covariance: uneven, or a correlation above 1")
    return rows


CovarianceRows = Annotated[tuple[tuple[float, ...], ...], AfterValidator(_checked_covariance)]


def exactly_one(document: BaseModel, *keys: str) -> None:
    """Refuse a table that has none, or more than one, of keys that say the same thing."""
    if sum(getattr(document, key) is not None for key in keys) != 1:
        raise refused(f"expected exactly one of the keys {' and '.join(keys)}")


def exact_in_unit(value: float, near: float, back: Callable[[float], float], *, digits: int = 17) -> float | None:
    """Shortest number in another unit that reads back as exactly `value`; None where there is none.

    near : the value in the other unit, to within rounding; back : from the other unit.
    digits : how many the number may have.
    """
    rounded = [float(f"{near:.{n}g}") for n in range(1, digits + 1)]
    neighbours = [float(np.nextafter(near, to)) for to in (-np.inf, np.inf)] if digits >= 17 else []
    return next((number for number in (*rounded, *neighbours) if back(number) == value), None)


@contextmanager
def section(path: Path | str, place: str) -> Iterator[None]:
    """Turn what a noun objects to into an error of the document's section that it concerns."""
    try:
        yield
    except DomainError as problem:
        raise DocumentError(path, place=place, found=str(problem), remedy="Correct the document") from problem


def read_document(model: type[DocumentModel], path: Path) -> DocumentModel:
    """Document of a TOML file, checked against its model."""
    return validate(model, load_toml(path), path)


def identity(document: BaseModel, *, without: frozenset[str] = frozenset()) -> str:
    """SHA-256 (hex) of what a document says: 15 and 15.0 are the same, and so are all orders of keys."""
    return document_sha256(document.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(without)))


def write_document(model: type[BaseModel], path: Path | str, data: dict[str, Any], comment: str) -> None:
    """Write a document, unless its own reader would refuse it."""
    validate(model, data, path)
    try:
        Path(path).write_text(document_text(data, comment=comment), encoding="utf-8", newline="\n")
    except OSError as problem:
        raise DocumentError(
            path,
            found=f"cannot be written: {problem.strerror}",
            remedy="Check the folder and the permissions",
        ) from problem
