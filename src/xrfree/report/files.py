"""Output files appear complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xrfree.errors import XrfreeError


def prepare_folder(folder: Path) -> None:
    """Create a folder for results and make sure that it can be written, before hours of work depend on it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8, line feeds) under another name, then rename it."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under another name in the same folder, then rename it."""
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` for somebody else to write to; what stands there in the end becomes `path`."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> XrfreeError:
    reason = error.strerror or type(error).__name__
    return XrfreeError(f"{path} cannot be written ({reason}). Choose another place, or check permissions and space.")


@contextmanager
def closing_fonts(pdf: Any) -> Iterator[None]:
    """Close the font files that a PDF of fpdf2 keeps open, whatever becomes of it."""
    try:
        yield
    finally:
        for face in pdf.fonts.values():
            face.ttfont.close()
