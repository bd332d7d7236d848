"""Header lines of spectrum files: keys that are kept, and numbers that are checked where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xrfree.errors import SpectrumFileError
from xrfree.readers._text import EXPORT_AGAIN, number, shown


@dataclass(frozen=True, slots=True)
class HeaderItem:
    """One line of a header: key and value as written, and the number of the line, counted from 1."""

    key: str
    value: str
    line: int

    @property
    def place(self) -> str:
        """The line, as it appears in a message."""
        return f"line {self.line}"


@dataclass(frozen=True, slots=True)
class Stated:
    """A number that a file states, under which key, and where."""

    value: float
    key: str
    place: str


@dataclass(frozen=True, slots=True)
class OwnLines:
    """What our own writers put into files of others: condition as texts and numbers, metadata by the vendor's keys."""

    condition: dict[str, str | float]
    metadata: dict[str, str]


def own_lines(items: Iterable[HeaderItem]) -> OwnLines:
    """Lines of JSON that `text_writers` has written; a line that is not such JSON says nothing here."""
    condition: dict[str, str | float] = {}
    metadata: dict[str, str] = {}
    for item in items:
        kind = item.key.lstrip("#").upper()
        if kind in {"XRFREE.CONDITION", "XRFREE.METADATA"}:
            try:
                said = json.loads(item.value)
            except (ValueError, RecursionError):
                continue
            if kind == "XRFREE.CONDITION" and isinstance(said, dict):
                condition = {key: value for key, value in said.items() if isinstance(value, str | float | int)}
            elif isinstance(said, list) and len(said) == 2 and all(isinstance(part, str) for part in said):
                metadata[said[0]] = said[1]
    return OwnLines(condition, metadata)


def metadata_of(items: Iterable[HeaderItem]) -> dict[str, str]:
    """All keys of a header; the values of a repeated key are joined by line breaks."""
    metadata: dict[str, str] = {}
    items = list(items)
    for item in items:
        if item.key.lstrip("#").upper() == "XRFREE.METADATA":
            continue
        metadata[item.key] = f"{metadata[item.key]}\n{item.value}" if item.key in metadata else item.value
    return metadata | own_lines(items).metadata


def single(path: Path, items: Iterable[HeaderItem]) -> HeaderItem | None:
    """The item of a key that may stand in a file once, or several times with one value."""
    found = list(items)
    for item in found[1:]:
        if item.value != found[0].value:
            raise SpectrumFileError(
                path,
                place=item.place,
                found=f"{item.key} is {shown(item.value)}, but {shown(found[0].value)} in line {found[0].line}",
                remedy=f"The file contradicts itself: {EXPORT_AGAIN.lower()}",
            )
    return found[0] if found else None


def stated_number(path: Path, item: HeaderItem | None, *, expected: str) -> Stated | None:
    """The number in a header item; None without an item, an error without a number.

    expected : for the message, e.g. "seconds > 0".
    """
    if item is None:
        return None
    value = number(item.value.strip())
    if value is None:
        raise SpectrumFileError(
            path,
            place=item.place,
            found=f"{item.key} is {shown(item.value)}, expected {expected}",
            remedy=f"{EXPORT_AGAIN}, or repair the line",
        )
    return Stated(value, item.key, item.place)


def stated_integer(path: Path, item: HeaderItem | None, *, expected: str) -> int | None:
    """The whole number, zero or more, in a header item ("4096." is one); None without an item."""
    stated = stated_number(path, item, expected=expected)
    if stated is None:
        return None
    if stated.value < 0 or stated.value != int(stated.value):
        raise SpectrumFileError(
            path,
            place=stated.place,
            found=f"{stated.key} is {stated.value:g}, expected {expected}",
            remedy=f"{EXPORT_AGAIN}, or repair the line",
        )
    return int(stated.value)
