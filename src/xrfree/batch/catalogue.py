"""Which measurements a batch has, found in a first pass; read for good one after the other in a second.

The first pass keeps names and digests, and the counts of text files only as long as they are few: a batch of any
size needs a bounded memory.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from xrfree.batch.inputs import Progress, is_stack, natural_order, read_file, refusal, sorted_refusals
from xrfree.batch.memory import give_back
from xrfree.batch.workers import packed
from xrfree.errors import SpectrumFileError, XrfreeError
from xrfree.readers import read_stack, stack_names
from xrfree.report.refused import Refusal
from xrfree.spectrum import Measurement, SourceFile, Spectrum

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

MOST_KEPT = 2**25
"""Bytes of measurements that are kept from the first pass; the files of others are read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A measurement, or a part of one, as it stands in one file.

    place : its number inside a text file; 0 in a stack. sha256 : of its sources; empty in a stack, which is checked as
        a whole.
    """

    path: Path
    place: int
    conditions: tuple[str, ...]
    sha256: tuple[str, ...] = ()
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A measurement with the files it came from, or the error that came instead."""

    specimen: str
    paths: tuple[Path, ...]
    measurement: Measurement | XrfreeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Pieces of each specimen in the order of the names, and the files that could not be used.

    stacks : names of the measurements in each stack, in its order, also of those that cannot be used.
    names : specimens that somebody else says files are of, by name of the file.
    kept : measurements of the first pass, packed, by piece. recent : the file that was read last, for those with many
        tests.
    """

    specimens: Mapping[str, tuple[Piece, ...]]
    refusals: tuple[Refusal, ...]
    stacks: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    profile: ReaderProfile | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[tuple[Path, int], bytes] = field(default_factory=dict)
    recent: dict[Path, list[Measurement]] = field(default_factory=dict)

    def arrivals(self) -> Iterator[Arrival]:
        """All measurements: those of text files in the order of their names, those of stacks as they lie there."""
        for specimen, pieces in self.specimens.items():
            if not any(piece.stacked for piece in pieces):
                yield self._arrival(specimen, pieces, {})
        waiting: dict[str, dict[Piece, Measurement]] = {}
        for path, names in self.stacks.items():
            yield from self._stacked(path, names, waiting)

    def _stacked(
        self, path: Path, names: Sequence[str], waiting: dict[str, dict[Piece, Measurement]]
    ) -> Iterator[Arrival]:
        """Measurements of a stack; those that have parts elsewhere wait for their last part."""
        done = 0
        try:
            for specimen, measurement in zip(names, read_stack(path), strict=False):
                if measurement.specimen != specimen:
                    raise _changed(path)
                done += 1
                piece = Piece(path=path, place=0, conditions=tuple(measurement.spectra), stacked=True)
                pieces = self.specimens.get(specimen, ())
                if piece in pieces:
                    waiting.setdefault(specimen, {})[piece] = measurement
                    if len(waiting[specimen]) == sum(p.stacked for p in pieces):
                        yield self._arrival(specimen, pieces, waiting.pop(specimen))
            if done < len(names):
                raise _changed(path)
        except XrfreeError as error:
            for specimen in dict.fromkeys(names[done:]):
                if any(piece.path == path for piece in self.specimens.get(specimen, ())):
                    yield Arrival(specimen=specimen, paths=(path,), measurement=error)

    def _loaded(self, piece: Piece) -> Measurement:
        kept = self.kept.get((piece.path, piece.place))
        if kept is not None:
            measurement: Measurement = pickle.loads(kept)
            return measurement
        if piece.path not in self.recent:
            self.recent.clear()
            self.recent[piece.path] = _read(piece.path, self.profile, self.names)
        measurements = self.recent[piece.path]
        found = measurements[piece.place] if piece.place < len(measurements) else None
        if found is None or tuple(source.sha256 for source in found.sources) != piece.sha256:
            raise _changed(piece.path)
        return found

    def _arrival(self, specimen: str, pieces: Sequence[Piece], stacked: Mapping[Piece, Measurement]) -> Arrival:
        paths = tuple(dict.fromkeys(piece.path for piece in pieces))
        try:
            parts = [stacked[piece] if piece.stacked else self._loaded(piece) for piece in pieces]
            return Arrival(specimen=specimen, paths=paths, measurement=_merged(specimen, parts))
        except XrfreeError as error:
            return Arrival(specimen=specimen, paths=paths, measurement=error)


def _changed(path: Path) -> SpectrumFileError:
    return SpectrumFileError(
        path,
        found="the file changed while the batch was running",
        remedy="Run the same command again when the file is complete",
    )


def _merged(specimen: str, parts: Sequence[Measurement]) -> Measurement:
    spectra: dict[str, Spectrum] = {}
    sources: list[SourceFile] = []
    for part in parts:
        spectra.update(part.spectra)
        sources += part.sources
    return Measurement(specimen=specimen, spectra=spectra, sources=tuple(sources))


def catalogue(
    files: Sequence[Path],
    *,
    profile: ReaderProfile | None = None,
    names: Mapping[str, str] | None = None,
    known: dict[tuple[str, ...], Path] | None = None,
    progress: Progress | None = None,
) -> Catalogue:
    """Look through all files: which specimens there are, and what cannot be used.

    names : specimens by the names of their files, where a worklist says so; else the files themselves say.
    known : files by their digests, of earlier catalogues; those of this one are added.

    A file with the same content as an earlier one is refused, and so are all files that hold a spectrum of one
    specimen under one condition: which of them is right, nobody can know here.
    """
    found: dict[str, tuple[Piece, ...]] = {}
    stacks: dict[Path, Sequence[str]] = {}
    shared: dict[tuple[Piece, ...], tuple[Piece, ...]] = {}
    kept: dict[tuple[Path, int], bytes] = {}
    refusals: list[Refusal] = []
    known = {} if known is None else known
    room = MOST_KEPT
    for done, path in enumerate(files, start=1):
        try:
            pieces = _pieces(path, profile, names or {}, known)
            if pieces and pieces[0][1].stacked:
                stacks[path] = [specimen for specimen, _, _ in pieces]
            for specimen, piece, measurement in pieces:
                own = (*found.get(specimen, ()), piece)
                found[specimen] = shared.setdefault(own, own) if piece.stacked else own
                if measurement is not None and room > 0:
                    kept[path, piece.place] = packed(measurement)
                    room -= len(kept[path, piece.place])
        except Exception as error:  # nothing stops a batch
            refusals.append(refusal(path, "", error))
        if progress is not None:
            progress(done, len(files))
    usable, conflicts = _without_conflicts(found)
    give_back()
    return Catalogue(
        specimens=usable,
        refusals=sorted_refusals([*refusals, *conflicts]),
        stacks=stacks,
        profile=profile,
        names=names or {},
        kept=kept,
    )


def _read(path: Path, profile: ReaderProfile | None, names: Mapping[str, str]) -> list[Measurement]:
    """Measurements of a file, the only one under the name of the worklist."""
    found = read_file(path, profile)
    if path.name in names and len(found) == 1:
        return [replace(found[0], specimen=names[path.name])]
    return found


def _pieces(
    path: Path, profile: ReaderProfile | None, names: Mapping[str, str], known: dict[tuple[str, ...], Path]
) -> list[tuple[str, Piece, Measurement | None]]:
    if profile is None and is_stack(path):
        listed = stack_names(path)
        shared = {c: Piece(path=path, place=0, conditions=c, stacked=True) for c in {c for _, c in listed}}
        return [(specimen, shared[conditions], None) for specimen, conditions in listed]
    measurements = _read(path, profile, names)
    _refuse_copy(path, measurements, known)
    return [
        (
            measurement.specimen,
            Piece(
                path=path,
                place=i,
                conditions=tuple(measurement.spectra),
                sha256=tuple(source.sha256 for source in measurement.sources),
            ),
            measurement,
        )
        for i, measurement in enumerate(measurements)
    ]


def _without_conflicts(found: Mapping[str, tuple[Piece, ...]]) -> tuple[dict[str, tuple[Piece, ...]], list[Refusal]]:
    """The pieces of each specimen in order, and refusals of those that claim the same condition."""
    usable: dict[str, tuple[Piece, ...]] = {}
    refusals: list[Refusal] = []
    for specimen in sorted(found, key=natural_order):
        pieces = found[specimen]
        claims = Counter(condition for piece in pieces for condition in piece.conditions)
        bad = [piece for piece in pieces if any(claims[condition] > 1 for condition in piece.conditions)]
        refusals += [
            _conflict(specimen, piece, (*pieces[:k], *pieces[k + 1 :]), claims)
            for k, piece in enumerate(pieces)
            if piece in bad
        ]
        if good := tuple(piece for piece in pieces if piece not in bad) if bad else pieces:
            usable[specimen] = good
    return usable, refusals


def _conflict(specimen: str, piece: Piece, others: Iterable[Piece], claims: Mapping[str, int]) -> Refusal:
    condition = next(c for c in piece.conditions if claims[c] > 1)
    paths = [other.path for other in others if condition in other.conditions]
    reason = (
        f"specimen {specimen!r} has another spectrum of the condition {condition!r} in {', '.join(map(str, paths))}. "
        "Keep one of them, or give repeated measurements names of their own."
    )
    return Refusal(path=str(piece.path), specimen=specimen, reason=reason)


def _refuse_copy(path: Path, found: Sequence[Measurement], known: dict[tuple[str, ...], Path]) -> None:
    content = tuple(source.sha256 for measurement in found for source in measurement.sources)
    earlier = known.setdefault(content, path)
    if content and earlier != path:
        raise XrfreeError(f"has the same content as {earlier}, which is used. Remove one of them.")


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


def read_inputs(
    files: Sequence[Path], *, profile: ReaderProfile | None = None, progress: Progress | None = None
) -> Inputs:
    """Read all files into memory, the spectra of one specimen put together; refused as in `catalogue`."""
    listed = catalogue(files, profile=profile, progress=progress)
    measurements: dict[str, Measurement] = {}
    places: dict[str, tuple[Path, ...]] = {}
    refusals = list(listed.refusals)
    for arrival in listed.arrivals():
        if isinstance(arrival.measurement, Measurement):
            measurements[arrival.specimen], places[arrival.specimen] = arrival.measurement, arrival.paths
        else:
            refusals += [refusal(path, arrival.specimen, arrival.measurement) for path in arrival.paths]
    return Inputs(
        measurements=tuple(measurements[name] for name in listed.specimens if name in measurements),
        files=MappingProxyType(places),
        refusals=sorted_refusals(refusals),
    )
