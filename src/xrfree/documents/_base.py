"""What all documents share: reading, checking, identity, writing.

A document is TOML with a first key like `schema = "xrfree/certificate/1"`. Its identity is the hash of its
canonical content, so comments, order of keys and line ends do not change it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from xrfree.errors import DocumentError, DomainError


class Document(BaseModel):
    """Base of all document models: exact types, no unknown keys, no NaN, never changed after reading.

    A model declares its schema as `schema_name: Literal["xrfree/certificate/1"] = Field(alias="schema")`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


DocumentModel = TypeVar("DocumentModel", bound=BaseModel)


def read_text(path: Path) -> str:
    """Text of a document; byte order mark dropped, line ends unified."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DocumentError(
            path, found="there is no such file", remedy=f"It was looked for in {path.parent.resolve()}"
        ) from None
    except UnicodeDecodeError as problem:
        raise DocumentError(
            path,
            place=f"byte {problem.start}",
            found="is not UTF-8 text",
            remedy="Save the document as UTF-8",
        ) from problem
    except OSError as problem:
        raise DocumentError(
            path, found=f"cannot be read: {problem.strerror}", remedy="Check the path and the permissions"
        ) from problem


def load_toml(path: Path | str) -> dict[str, Any]:
    """Content of a TOML file as plain data."""
    path = Path(path)
    text = read_text(path)
    try:
        data = tomllib.loads(text)
        canonical_json(data)  # dotted keys nest without brackets; what has no canonical text has no identity
    except RecursionError:
        found, remedy = "holds brackets within brackets without end", "Correct the document"
    except tomllib.TOMLDecodeError as problem:
        found, remedy = f"is not valid TOML: {problem}", "Correct the line named here"
    except ValueError as problem:  # what tomllib lets pass: an integer of more digits than Python reads
        found, remedy = f"is not valid TOML: {problem}", "Correct the document"
    else:
        return data
    raise DocumentError(path, found=found, remedy=remedy)


def canonical_json(data: Mapping[str, Any]) -> str:
    """Canonical text of a document: JSON, keys sorted, no white space, floats by `repr`, ISO 8601 dates."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_date_text)


def _date_text(value: object) -> str:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise DomainError(f"a document cannot hold {value!r} of type {type(value).__name__}")


def document_sha256(data: Mapping[str, Any]) -> str:
    """Identity of a document: SHA-256 (hex) over its canonical JSON in UTF-8."""
    return hashlib.sha256(canonical_json(data).encode("utf-8")).hexdigest()


def validate(model: type[DocumentModel], data: Mapping[str, Any], path: Path | str) -> DocumentModel:
    """Document checked against its model.

    Parameters
    ----------
    model : the pydantic model, usually a subclass of `Document`.
    data : plain data, as `load_toml` returns it.
    path : where the data came from, for the message of a `DocumentError`.
    """
    try:
        # By way of JSON: there an array may become a tuple, and text a date or an enum, with strict types.
        return model.model_validate_json(canonical_json(data))
    except ValidationError as problem:
        raise _document_error(problem, path) from problem


def _document_error(problem: ValidationError, path: Path | str) -> DocumentError:
    details = problem.errors(include_url=False)
    first, others = details[0], len(details) - 1
    more = f" ({others} more like this)" if others else ""
    return DocumentError(
        path,
        place=place_in_document(first["loc"]),
        found=_finding(first["type"], first["msg"], first["input"]) + more,
        remedy="Correct the document",
    )


def _finding(kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a key of this document"
    shown = repr(value)
    return f"is {shown if len(shown) <= 60 else shown[:57] + '...'}: {message[:1].lower()}{message[1:]}"


def place_in_document(location: tuple[str | int, ...]) -> str:
    """Path inside a document, e.g. `values[3].mass_fraction`; positions count from 0."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def write_toml(path: Path | str, data: Mapping[str, Any], *, comment: str = "") -> None:
    """Write a document (UTF-8, line feeds); see `toml_text`."""
    Path(path).write_text(toml_text(data, comment=comment), encoding="utf-8", newline="\n")


def toml_text(data: Mapping[str, Any], *, comment: str = "") -> str:
    """TOML text of a document: comment, plain keys, tables of rows with one line per row, nested tables.

    A table of rows is a top-level list of mappings that hold plain values only.
    """
    rows = {key: value for key, value in data.items() if _is_rows(value)}
    plain = {key: value for key, value in data.items() if key not in rows and not _holds_table(value)}
    nested = {key: value for key, value in data.items() if key not in rows and key not in plain}
    parts = [
        "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines()),
        tomli_w.dumps(plain),
        *(_rows_text(key, value) for key, value in rows.items()),
        tomli_w.dumps(nested),
    ]
    return "\n".join(part for part in parts if part)


def _holds_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(map(_holds_table, value)))


def _is_rows(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, Mapping) and not _holds_list(row.values()) for row in value)
    )


def _holds_list(values: Any) -> bool:
    return any(isinstance(value, Mapping | list | tuple) for value in values)


def _rows_text(key: str, rows: list[Mapping[str, Any]]) -> str:
    lines = [", ".join(tomli_w.dumps({k: v}).strip() for k, v in row.items()) for row in rows]
    name = tomli_w.dumps({key: 0}).partition(" = ")[0]
    return "".join([f"{name} = [\n", *(f"    {{ {line} }},\n" for line in lines), "]\n"])
