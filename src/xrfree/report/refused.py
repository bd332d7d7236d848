"""Inputs that were not assayed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xrfree.errors import InputFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An input that was not assayed.

    path : the file, as it was given; specimen : its name, empty where it is not known.
    reason : one line. details : a traceback, for faults of xrfree itself.
    remedy : what to do about it, where that is more than the reason says.
    """

    path: str
    specimen: str
    reason: str
    details: str = ""
    remedy: str = ""


def one_line(error: Exception, path: Path | None = None) -> str:
    """Message of an error on one line; without the name of its file where that is `path`."""
    text = " ".join(str(error).split()) or type(error).__name__
    if path is not None and isinstance(error, InputFileError) and error.path == path:
        text = text.removeprefix(path.name).lstrip(": ")
    return text
