"""How our documents are laid out as TOML: a headed section per table, a line per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w


def document_text(data: Mapping[str, Any], *, comment: str = "") -> str:
    """TOML text of a document: comment, plain keys, then one section per table; numbers by `repr`."""
    head = [f"# {line}".rstrip() for line in comment.splitlines()]
    blocks = ["\n".join(head)] if head else []
    return "\n\n".join([*blocks, *_sections(data, ())]) + "\n"


def _sections(table: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """Text of one table and of the tables inside it, each with its heading."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    heading = [f"[{'.'.join(map(_key, names))}]"] if names and (lines or not inner) else []
    if heading or lines:
        yield "\n".join([*heading, *lines])
    for key, value in inner.items():
        yield from _sections(value, (*names, key))


def _value(value: object) -> str:
    if isinstance(value, list) and any(isinstance(item, list | Mapping) for item in value):
        return "".join(["[\n", *(f"    {_inline(item)},\n" for item in value), "]"])
    return _inline(value)


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _key(key: str) -> str:
    return tomli_w.dumps({key: 0}).rpartition(" = ")[0]
