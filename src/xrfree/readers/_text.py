"""Text of spectrum files: decoding, strict numbers, blocks of numbers that know their lines."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError

EXPORT_AGAIN = "Export the spectrum again from the instrument software"

# A text that is valid Windows-1252 has few letters outside ASCII; a compressed or binary file has many.
_MOST_NON_ASCII = 0.1

_FIRST_LINE_BYTES = 512

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PLAIN_BYTES = bytes([9, 10, 12, 13, *range(32, 127)])
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Patterns of the readers find out in linear time that a text does not fit, however long it is.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = b"0123456789"
_ZERO = np.uint8(ord("0"))
_NUMERIC_BYTES = _DIGITS + b".+-eE \n"
# A whole number of so many digits is exact in a float.
_EXACT_DIGITS = 15


def number(token: str) -> float | None:
    """The value of a decimal number; None for anything else ("nan", "0x10", "1_000", "1e999" included)."""
    if _NUMBER.fullmatch(token) is None:
        return None
    value = float(token)
    return value if abs(value) != float("inf") else None


def shown(text: str) -> str:
    """A piece of a file as it appears in a message: quoted, one line, not longer than 40 characters."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def listed(names: Sequence[str]) -> str:
    """Names as they appear in a message: the first six, none of them longer than 40 characters."""
    first = [name if len(name) <= 40 else f"{name[:37]}..." for name in names[:6]]
    return ", ".join(first) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def decode(path: Path, content: bytes) -> str:
    """Text of a file with line ends as LF: byte order mark, then UTF-8, then Windows-1252 where plausible."""
    text = content.decode("ascii") if _is_plain(content) else _decode_other(path, content)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


@lru_cache(maxsize=8)
def head_text(head: bytes) -> str:
    """First part of a file as text, for recognition only; a character cut at the end is dropped."""
    encoding = _marked_encoding(head) or "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")


@lru_cache(maxsize=8)
def first_line(head: bytes) -> str:
    """First line of a file that is not blank, without surrounding blanks."""
    return head_text(head[:_FIRST_LINE_BYTES]).lstrip().split("\n", 1)[0].rstrip()


def _is_plain(content: bytes) -> bool:
    return not content.translate(None, _PLAIN_BYTES)


def _marked_encoding(content: bytes) -> str | None:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), None)


def _decode_other(path: Path, content: bytes) -> str:
    content = content.removesuffix(b"\x1a")
    marked = _marked_encoding(content)
    if marked is None and b"\0" in content:
        raise _binary(path, content.count(b"\n", 0, content.index(b"\0")) + 1)
    try:
        text = content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked is not None:
            raise _wrongly_marked(path, marked, error) from error
        text = _decode_windows(path, content, error)
    control = _CONTROL.search(text)
    if control:
        raise _binary(path, text.count("\n", 0, control.start()) + 1)
    return text


def _decode_windows(path: Path, content: bytes, utf8_error: UnicodeDecodeError) -> str:
    line = content.count(b"\n", 0, utf8_error.start) + 1
    if sum(byte >= 0x80 for byte in content) > _MOST_NON_ASCII * len(content):
        raise _binary(path, line) from utf8_error
    try:
        return content.decode("windows-1252")
    except UnicodeDecodeError as error:
        raise SpectrumFileError(
            path,
            place=f"line {line}",
            found=f"byte 0x{content[error.start]:02x} belongs neither to UTF-8 nor to Windows-1252 text",
            remedy="Save the file as UTF-8",
        ) from error


def _wrongly_marked(path: Path, encoding: str, error: UnicodeDecodeError) -> SpectrumFileError:
    return SpectrumFileError(
        path,
        place=f"byte {error.start}",
        found=f"the file is marked as {encoding.upper()}, but is not valid from here on",
        remedy=f"{EXPORT_AGAIN}, or save it as UTF-8",
    )


def _binary(path: Path, line: int) -> SpectrumFileError:
    return SpectrumFileError(
        path,
        place=f"line {line}",
        found="holds bytes that no text has (binary data, a damaged file, or UTF-16 without byte order mark)",
        remedy=f"{EXPORT_AGAIN} as text, in UTF-8",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBlock:
    """Consecutive lines of a file that hold numbers.

    text : the lines; first_line : number of the first one, counted from 1.
    """

    path: Path
    text: str
    first_line: int

    def flat(self, *, commas: bool = False) -> NDArray[np.float64]:
        """All numbers in reading order, however many stand in a line; commas may separate them."""
        text = self.text.replace(",", " ") if commas else self.text
        text = text.replace("\t", " ")
        fast = _load([text.replace("\n", " ")], None) if _is_numeric(text, b"") else None
        return self._flat_by_line(commas=commas) if fast is None else fast.ravel()

    def line_of_number(self, index: int, *, commas: bool = False) -> int:
        """Line in which a number of `flat` stands."""
        for line, tokens in self._tokens(commas=commas):
            if index < len(tokens):
                return line
            index -= len(tokens)
        return self.first_line

    def table(self, separator: str | None, columns: Sequence[int], n_columns: int) -> NDArray[np.float64]:
        """Some columns of a table in which every line has `n_columns` fields; shape (n_rows, len(columns)).

        separator : one character, or None for blanks.
        """
        fast = None if separator is None and n_columns > 1 else _whole_numbers(self.text, separator or " ", n_columns)
        if fast is None and _is_numeric(self.text, _bytes(separator)):
            fast = _load(io.StringIO(self.text), separator)
        if fast is None or fast.shape[1] != n_columns:
            return self._table_by_line(separator, columns, n_columns)
        return fast[:, list(columns)]

    def line_of_row(self, index: int) -> int:
        """Line in which a row of `table` stands."""
        for row, (line, _) in enumerate(self.rows()):
            if row == index:
                return line
        return self.first_line

    def rows(self) -> Iterator[tuple[int, str]]:
        """Line number and text of every line that is neither blank nor a comment."""
        for line, text in enumerate(self.text.split("\n"), self.first_line):
            if text.strip() and not text.lstrip().startswith("#"):
                yield line, text

    def _tokens(self, *, commas: bool) -> Iterator[tuple[int, list[str]]]:
        for line, text in enumerate(self.text.split("\n"), self.first_line):
            yield line, (text.replace(",", " ") if commas else text).split()

    def _flat_by_line(self, *, commas: bool) -> NDArray[np.float64]:
        values = [self._value(line, token) for line, row in self._tokens(commas=commas) for token in row]
        return np.array(values, dtype=np.float64)

    def _table_by_line(self, separator: str | None, columns: Sequence[int], n_columns: int) -> NDArray[np.float64]:
        values = []
        for line, text in self.rows():
            fields = split_fields(text, separator)
            if len(fields) != n_columns:
                raise SpectrumFileError(
                    self.path,
                    place=f"line {line}",
                    found=f"{len(fields)} columns, expected {n_columns} as in the lines before",
                    remedy=f"The file is cut off or edited: {EXPORT_AGAIN.lower()}",
                )
            values.append([self._value(line, fields[column]) for column in columns])
        return np.array(values, dtype=np.float64).reshape(-1, len(columns))

    def _value(self, line: int, token: str) -> float:
        value = number(token)
        if value is None:
            raise SpectrumFileError(
                self.path,
                place=f"line {line}",
                found=f"{shown(token)} is not a number",
                remedy=f"{EXPORT_AGAIN}, or repair the line",
            )
        return value


def split_fields(line: str, separator: str | None) -> list[str]:
    """Fields of a line without blanks and quotes around them; one empty field at the end is dropped."""
    if separator is None:
        return line.split()
    fields = [field.strip().strip('"').strip() for field in line.split(separator)]
    return fields[:-1] if len(fields) > 1 and not fields[-1] else fields


def _bytes(separator: str | None) -> bytes:
    return b"\t" if separator is None else separator.encode()


def _is_numeric(text: str, separators: bytes) -> bool:
    """Whether only characters of plain decimal numbers occur, and any at all."""
    if not text.isascii() or not text.strip():
        return False
    return not text.encode("ascii").translate(None, _NUMERIC_BYTES + separators)


def _whole_numbers(text: str, separator: str, n_columns: int) -> NDArray[np.float64] | None:
    """Fastest path: a table of whole numbers alone, every field filled; None for any other."""
    if not text or not text.isascii() or text.encode("ascii").translate(None, _DIGITS + separator.encode() + b"\n"):
        return None
    raw = np.frombuffer((text if text.endswith("\n") else text + "\n").encode("ascii"), dtype=np.uint8)
    ends = np.flatnonzero(raw - _ZERO > 9)  # unsigned: what stands below "0" becomes large
    lengths = np.diff(ends, prepend=-1) - 1
    if ends.size % n_columns or lengths.min() < 1 or lengths.max() > _EXACT_DIGITS:
        return None
    newline = (raw[ends] == ord("\n")).reshape(-1, n_columns)
    if newline[:, :-1].any() or not newline[:, -1].all():
        return None
    values = np.fromstring(text.replace("\n", separator), dtype=np.int64, sep=separator)
    return values.astype(np.float64).reshape(-1, n_columns) if values.size == ends.size else None


def _load(lines: list[str] | io.StringIO, separator: str | None) -> NDArray[np.float64] | None:
    """Fast path of a table; None where the line-by-line path has to find out what is wrong."""
    try:
        values = np.loadtxt(lines, delimiter=separator, comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
