"""Which files are spectra, what is in them, and why one is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.batch.faults import UnexpectedError, foreseen
from xrfree.errors import DomainError, FitError, InputFileError, NotConvergedError, XrfreeError
from xrfree.readers import FORMATS, read_measurements, read_stack
from xrfree.report.refused import Refusal, one_line
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""

# What lies in folders of spectra without being one.
_OTHER_SUFFIXES = frozenset(
    {".toml", ".json", ".md", ".html", ".htm", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".gz", ".zip"}
    | {".docx", ".xlsx", ".xls", ".ods", ".py", ".ipynb", ".log", ".db"}
    | {".sqlite", ".sqlite-wal", ".sqlite-shm", ".npz", ".partial", ".tmp", ".part", ".crdownload"}
)
_TABLE_MARKS = frozenset({"component", "role", "form", "reason"})
_HEAD_BYTES = 512
_REMEDIES: tuple[tuple[type[XrfreeError], str], ...] = (
    (UnexpectedError, "Report the fault, with the output of --debug; the file itself may be good."),
    (FitError, "Look at the spectrum (xrfree inspect); measure the specimen again, longer if it shows few counts."),
    (
        NotConvergedError,
        "Check form, thickness and fusion record of the specimen, and the condition it was measured in.",
    ),
    (DomainError, "Correct the quantity that the reason names, in the file or in the list of specimens."),
)
_REMEDY = "Do what the reason says, then run the same command again."


def find_inputs(paths: Iterable[Path | str], *, exclude: Iterable[Path | str | None] = ()) -> tuple[Path, ...]:
    """Spectrum files among `paths` and, recursively, in the folders among them; sorted, each once.

    exclude : documents of the same command, which may lie among the spectra; None is skipped.

    In a folder, hidden files, files with suffixes of documents and tables of ours (specimen lists,
    certificates, results) are no spectra. A file that is named itself is always taken, even if it is missing:
    its reader then says so.
    """
    excluded = {Path(path).resolve() for path in exclude if path is not None}
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        for file in _files_in(path) if path.is_dir() else [path]:
            resolved = file.resolve()
            if resolved not in excluded:
                found.setdefault(resolved, file)
    return tuple(sorted(found.values(), key=lambda path: natural_order(str(path))))


def _files_in(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() not in _OTHER_SUFFIXES and not _is_own_table(path):
                yield path


def _is_own_table(path: Path) -> bool:
    """Whether a CSV file starts with the header of a specimen list, of certificates, or of results."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open(encoding="utf-8-sig") as stream:
            cells = {cell.strip().strip('"').lower() for cell in stream.readline(2000).split(",")}
    except (OSError, UnicodeDecodeError):
        return False
    return "specimen" in cells and not cells.isdisjoint(_TABLE_MARKS)


def natural_order(text: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Key that sorts P2 before P10, and never finds two different texts equal."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((0, int(p)) if p.isascii() and p.isdigit() else (1, p) for p in parts if p), text


def read_file(path: Path, profile: ReaderProfile | None = None) -> list[Measurement]:
    """The measurements in a file: one, or several in a stack of ours and in exports of many tests."""
    if profile is None and is_stack(path):
        return list(read_stack(path))
    return list(read_measurements(path, profile=profile))


def is_stack(path: Path) -> bool:
    """Whether a file is a stack of ours, or at least looks like one."""
    try:
        with path.open("rb") as stream:
            return FORMATS[0].recognises(stream.read(_HEAD_BYTES))
    except (OSError, ValueError):
        return False


def refusal(path: Path, specimen: str, error: Exception) -> Refusal:
    """An error as the refusal of a file."""
    known = foreseen(error)
    details = known.details if isinstance(known, UnexpectedError) else ""
    return Refusal(
        path=str(path), specimen=specimen, reason=one_line(known, path), details=details, remedy=_remedy(known)
    )


def _remedy(error: XrfreeError) -> str:
    """What to do about a refused file."""
    if isinstance(error, InputFileError):
        return f"{error.remedy.rstrip('.')}."
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            return remedy
    return _REMEDY


def sorted_refusals(refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Refusals by file, then by specimen."""
    return tuple(sorted(refusals, key=lambda r: (natural_order(r.path), natural_order(r.specimen))))
