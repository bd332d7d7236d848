"""Which files are spectra, and which spectra belong to one specimen."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from xrfree.batch.faults import UnexpectedError, foreseen
from xrfree.errors import XrfreeError
from xrfree.readers import FORMATS, read_measurements, read_stack
from xrfree.report.refused import Refusal, one_line
from xrfree.spectrum import Measurement, SourceFile, Spectrum

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""

# What lies in folders of spectra without being one.
_OTHER_SUFFIXES = frozenset(
    {".toml", ".json", ".md", ".html", ".htm", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".gz", ".zip"}
    | {".docx", ".xlsx", ".xls", ".ods", ".py", ".ipynb", ".log", ".db"}
)
_TABLE_MARKS = frozenset({"component", "role", "form", "reason"})
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Measurements in the order of their names, and the files that could not be used.

    files : the files of each measurement, by the name of its specimen.
    """

    measurements: tuple[Measurement, ...]
    files: Mapping[str, tuple[Path, ...]]
    refusals: tuple[Refusal, ...] = ()

    def refused(self, specimen: str, error: Exception) -> list[Refusal]:
        """A measurement that cannot be used: one refusal for each of its files."""
        return [refusal(path, specimen, error) for path in self.files[specimen]]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A measurement, or a part of one, as it stood in one file."""

    path: Path
    measurement: Measurement


def read_inputs(
    files: Sequence[Path], *, profile: ReaderProfile | None = None, progress: Progress | None = None
) -> Inputs:
    """Read all files and put the spectra of one specimen together.

    A file with the same content as an earlier one is refused, and so are all files that hold a spectrum of
    one specimen under one condition: which of them is right, nobody can know here.
    """
    pieces: list[_Piece] = []
    refusals: list[Refusal] = []
    known: dict[tuple[str, ...], Path] = {}
    for done, path in enumerate(files, start=1):
        try:
            found = read_file(path, profile)
            _refuse_copy(path, found, known)
            pieces += [_Piece(path=path, measurement=measurement) for measurement in found]
        except Exception as error:  # nothing stops a batch
            refusals.append(refusal(path, "", error))
        if progress is not None:
            progress(done, len(files))
    return _grouped(pieces, refusals)


def read_file(path: Path, profile: ReaderProfile | None = None) -> list[Measurement]:
    """The measurements in a file: one, or several in a stack of ours and in exports of many tests."""
    if profile is None and _is_stack(path):
        return list(read_stack(path))
    return list(read_measurements(path, profile=profile))


def _is_stack(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return FORMATS[0].recognises(stream.read(_HEAD_BYTES))
    except (OSError, ValueError):
        return False


def _refuse_copy(path: Path, found: Sequence[Measurement], known: dict[tuple[str, ...], Path]) -> None:
    content = tuple(source.sha256 for measurement in found for source in measurement.sources)
    earlier = known.setdefault(content, path)
    if content and earlier is not path:
        raise XrfreeError(f"has the same content as {earlier}, which is used. Remove one of them.")


def _grouped(pieces: Iterable[_Piece], refusals: Iterable[Refusal]) -> Inputs:
    by_specimen: dict[str, list[_Piece]] = {}
    for piece in pieces:
        by_specimen.setdefault(piece.measurement.specimen, []).append(piece)
    measurements: list[Measurement] = []
    files: dict[str, tuple[Path, ...]] = {}
    refused = list(refusals)
    for specimen in sorted(by_specimen, key=natural_order):
        usable, conflicts = _without_conflicts(specimen, by_specimen[specimen])
        refused += conflicts
        if usable:
            measurements.append(_merged(specimen, usable))
            files[specimen] = tuple(dict.fromkeys(piece.path for piece in usable))
    return Inputs(measurements=tuple(measurements), files=MappingProxyType(files), refusals=sorted_refusals(refused))


def _without_conflicts(specimen: str, pieces: Sequence[_Piece]) -> tuple[list[_Piece], list[Refusal]]:
    """The files of a specimen, and refusals of those that claim the same condition."""
    claims = Counter(condition for piece in pieces for condition in piece.measurement.spectra)
    usable, refusals = [], []
    for piece in pieces:
        twice = [condition for condition in piece.measurement.spectra if claims[condition] > 1]
        if twice:
            refusals.append(_conflict(specimen, piece, pieces, twice[0]))
        else:
            usable.append(piece)
    return usable, refusals


def _merged(specimen: str, pieces: Sequence[_Piece]) -> Measurement:
    spectra: dict[str, Spectrum] = {}
    sources: list[SourceFile] = []
    for piece in pieces:
        spectra.update(piece.measurement.spectra)
        sources += piece.measurement.sources
    return Measurement(specimen=specimen, spectra=spectra, sources=tuple(sources))


def _conflict(specimen: str, piece: _Piece, pieces: Sequence[_Piece], condition: str) -> Refusal:
    others = [str(p.path) for p in pieces if p is not piece and condition in p.measurement.spectra]
    reason = (
        f"specimen {specimen!r} has another spectrum of the condition {condition!r} in {', '.join(others)}. "
        "Keep one of them, or give repeated measurements names of their own."
    )
    return Refusal(path=str(piece.path), specimen=specimen, reason=reason)


def refusal(path: Path, specimen: str, error: Exception) -> Refusal:
    """An error as the refusal of a file."""
    known = foreseen(error)
    details = known.details if isinstance(known, UnexpectedError) else ""
    return Refusal(path=str(path), specimen=specimen, reason=one_line(known, path), details=details)


def sorted_refusals(refusals: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Refusals by file, then by specimen."""
    return tuple(sorted(refusals, key=lambda r: (natural_order(r.path), natural_order(r.specimen))))
