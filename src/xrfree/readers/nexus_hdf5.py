"""Our own files: many spectra in one HDF5 file, laid out as NeXus.

/entry              NXentry, attribute schema = "xrfree/spectra/1"
/entry/spectra      NXdata, signal "counts", one row per spectrum
    counts          (n_spectra, n_channels) uint32, int64 where a channel needs it
    live_time_s real_time_s energy_zero_kev energy_gain_kev energy_quadratic_kev
    measurement     number of the measurement a row belongs to, in order
    specimen condition anode filter atmosphere     text, empty where not stated
    tube_voltage_kv tube_current_ua                NaN where not stated
    metadata sources                               JSON text

The first 512 bytes (the user block of HDF5, which other programs skip) hold the schema, a CRC-32 of the rest
and its length. They are checked before the HDF5 library sees the file: on damaged files it may loop for ever.
Files are written under another name and renamed when complete. Nothing outside the file is followed: no
external or soft links, no virtual datasets.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from xrfree.errors import DomainError, SpectrumFileError, UnknownFormatError
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.spectrum import (
    MAX_CHANNELS,
    EnergyScale,
    ExcitationCondition,
    Measurement,
    SourceFile,
    Spectrum,
)

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

SCHEMA = "xrfree/spectra/1"
_MAGIC = b"\x89HDF\r\n\x1a\n"
_MARK_BYTES = 512
_MARK = re.compile(SCHEMA.encode() + rb" crc32 ([0-9a-f]{8}) bytes ([0-9]{1,15}) *\n")
_GROUP = "spectra"
_NUMBERS = (
    "live_time_s",
    "real_time_s",
    "energy_zero_kev",
    "energy_gain_kev",
    "energy_quadratic_kev",
    "tube_voltage_kv",
    "tube_current_ua",
)
_TEXTS = ("specimen", "condition", "anode", "filter", "atmosphere", "metadata", "sources")
_ALL = ("counts", "measurement", *_NUMBERS, *_TEXTS)
# The filters that HDF5 always brings. Others would load plug-ins.
_KNOWN_FILTERS = {1, 2}  # deflate, shuffle
_CHUNK_VALUES = 2**16
_BATCH_VALUES = 2**18
_CHUNK_CACHE_BYTES = 2**16
_LARGEST_CHUNK = 2**24
_COMPRESSION_LEVEL = 2
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One spectrum with the measurement it belongs to."""

    measurement: int
    specimen: str
    spectrum: Spectrum
    sources: tuple[SourceFile, ...]


def recognises(head: bytes) -> bool:
    """Whether the first line is the mark of our files."""
    return head.startswith(SCHEMA.partition("/")[0].encode() + b"/spectra/")


def read_many(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Iterator[Measurement]:
    """All measurements in a file; `read_stack` reads large files without having them in memory."""
    if profile is not None:
        raise SpectrumFileError(
            file.path,
            found="an HDF5 file of xrfree states everything that a profile could add",
            remedy="Read it without a profile",
        )
    stream = io.BytesIO(file.content)
    _checked_sha256(file.path, stream)
    yield from _stream(file.path, stream, file.source)


def read_stack(path: Path | str) -> Iterator[Measurement]:
    """All measurements of a file in order, a batch of rows in memory at a time."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            digest = _checked_sha256(path, stream)
    except OSError as error:
        raise SpectrumFileError(
            path, found=f"cannot be read ({error.strerror or error})", remedy="Check name and permissions"
        ) from error
    return _stream(path, path, SourceFile(path=str(path), sha256=digest))


def stack_names(path: Path | str) -> list[tuple[str, tuple[str, ...]]]:
    """Specimen and names of the conditions of each measurement of a file, without reading its counts."""
    import h5py

    path = Path(path)
    with _own_errors(path), h5py.File(path, "r", locking=False) as opened:
        columns = _columns(path, opened)
        _shape(path, columns)
        numbers = columns["measurement"][:].tolist()
        specimens, conditions = (columns[name].asstr()[:].tolist() for name in ("specimen", "condition"))
    found: list[tuple[str, tuple[str, ...]]] = []
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # a hundred thousand measurements have few different ones
    last: int | None = None
    for number, specimen, condition in zip(numbers, specimens, conditions, strict=True):
        first, before = found.pop() if number == last else (specimen, ())
        own = (*before, condition)
        found.append((first, shared.setdefault(own, own)))
        last = number
    return found


def write_hdf5(path: Path | str, measurements: Iterable[Measurement]) -> None:
    """Write measurements to a new file, row by row as they come; an existing file is replaced at the end.

    All spectra need the same number of channels; energy scales and times may differ.
    """
    import h5py

    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with h5py.File(partial, "w", userblock_size=_MARK_BYTES) as opened:
            _write_rows(opened, _rows(measurements))
        _mark(partial)
        partial.replace(path)
    except OSError as error:
        raise SpectrumFileError(
            path,
            found=f"cannot be written ({error.strerror or error})",
            remedy="Check the folder and its free space",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _checked_sha256(path: Path, stream: IO[bytes]) -> str:
    """Digest of a whole file of ours; an error if it is not ours, or not as it was written."""
    mark = stream.read(_MARK_BYTES)
    match = _MARK.fullmatch(mark)
    if match is None:
        raise _foreign(path, mark)
    sha, crc, size = hashlib.sha256(mark), 0, 0
    while block := stream.read(_BLOCK_BYTES):
        sha.update(block)
        crc = zlib.crc32(block, crc)
        size += len(block)
    if (crc, size) != (int(match[1], 16), int(match[2])):
        what = "cut off" if size < int(match[2]) else "damaged"
        raise SpectrumFileError(
            path,
            found=f"the file is {what}: its checksum does not match ({size} bytes, expected {int(match[2])})",
            remedy="Copy the file again, or write it again from the spectra it was made of",
        )
    return sha.hexdigest()


def _foreign(path: Path, mark: bytes) -> UnknownFormatError:
    what = "an HDF5 file, but not one" if mark.startswith(_MAGIC) else "not an HDF5 file"
    return UnknownFormatError(
        path,
        found=f'is {what} of xrfree (its first line is not "{SCHEMA} ...")',
        remedy="Read text files with read_measurement; write spectra of other HDF5 files with write_hdf5",
    )


def _mark(path: Path) -> None:
    """Write schema, checksum and length into the user block of a complete file."""
    crc, size = 0, 0
    with path.open("r+b") as stream:
        stream.seek(_MARK_BYTES)
        while block := stream.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
            size += len(block)
        stream.seek(0)
        stream.write(f"{SCHEMA} crc32 {crc:08x} bytes {size}".encode().ljust(_MARK_BYTES - 1) + b"\n")


# --- writing ------------------------------------------------------------------------------------------------


def _rows(measurements: Iterable[Measurement]) -> Iterator[_Row]:
    for number, measurement in enumerate(measurements):
        for spectrum in measurement.spectra.values():
            yield _Row(
                measurement=number,
                specimen=measurement.specimen,
                spectrum=spectrum,
                sources=measurement.sources,
            )


def _write_rows(opened: Any, rows: Iterator[_Row]) -> None:
    first = next(rows, None)
    if first is None:
        raise DomainError("an HDF5 file needs at least one measurement")
    n_channels = first.spectrum.n_channels
    group = _new_group(opened, n_channels)
    n_batch = max(1, _BATCH_VALUES // n_channels)
    batch = [first]
    for row in rows:
        if row.spectrum.n_channels != n_channels:
            raise DomainError(
                f"{row.specimen}, {row.spectrum.condition.name}: {row.spectrum.n_channels} channels, but the "
                f"spectra before have {n_channels}; write spectra of each length to their own file"
            )
        if len(batch) == n_batch:
            _append(group, batch)
            batch = []
        batch.append(row)
    _append(group, batch)


def _new_group(opened: Any, n_channels: int) -> Any:
    import h5py

    opened.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "xrfree"})
    entry = opened.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": _GROUP, "schema": SCHEMA})
    group = entry.create_group(_GROUP)
    group.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": [".", "channel"]})
    n_rows = max(1, _CHUNK_VALUES // n_channels)
    packed = {
        "shuffle": True,
        "compression": "gzip",
        "compression_opts": _COMPRESSION_LEVEL,
    }
    group.create_dataset(
        "counts",
        shape=(0, n_channels),
        maxshape=(None, n_channels),
        chunks=(n_rows, n_channels),
        dtype="u4",
        **packed,
    )
    column = {"shape": (0,), "maxshape": (None,), "chunks": (256,)}
    group.create_dataset("measurement", dtype="i8", **column, **packed)
    for name in _NUMBERS:
        group.create_dataset(name, dtype="f8", **column, **packed)
    for name in _TEXTS:
        group.create_dataset(name, dtype=h5py.string_dtype("utf-8"), **column)
    return group


def _append(group: Any, batch: Sequence[_Row]) -> None:
    if group["counts"].dtype.itemsize == 4 and max(int(row.spectrum.counts.max()) for row in batch) >= 2**32:
        _widen(group)
    start = group["counts"].shape[0]
    stop = start + len(batch)
    columns: dict[str, list[Any]] = {name: [] for name in _ALL}
    for row in batch:
        for name, value in _fields(row).items():
            columns[name].append(value)
    for name, values in columns.items():
        group[name].resize(stop, axis=0)
        group[name][start:stop] = np.array(values, dtype=object) if name in _TEXTS else np.array(values)


def _widen(group: Any) -> None:
    """Store the counts as int64 from now on: one channel holds more than 32 bits can."""
    narrow = group["counts"]
    group.move("counts", "narrow")
    group.create_dataset(
        "counts",
        shape=narrow.shape,
        maxshape=narrow.maxshape,
        chunks=narrow.chunks,
        dtype="i8",
        shuffle=True,
        compression="gzip",
        compression_opts=_COMPRESSION_LEVEL,
    )
    step = max(1, _BATCH_VALUES // narrow.shape[1])
    for start in range(0, narrow.shape[0], step):
        group["counts"][start : start + step] = narrow[start : start + step]
    del group["narrow"]


def _fields(row: _Row) -> dict[str, Any]:
    """What one row holds under which name."""
    spectrum, condition = row.spectrum, row.spectrum.condition
    return {
        "counts": spectrum.counts,
        "measurement": row.measurement,
        "live_time_s": spectrum.live_time_s,
        "real_time_s": spectrum.real_time_s,
        "energy_zero_kev": spectrum.energy_scale.zero_kev,
        "energy_gain_kev": spectrum.energy_scale.gain_kev,
        "energy_quadratic_kev": spectrum.energy_scale.quadratic_kev,
        "tube_voltage_kv": _number_or_nan(condition.tube_voltage_kv),
        "tube_current_ua": _number_or_nan(condition.tube_current_ua),
        "specimen": row.specimen,
        "condition": condition.name,
        "anode": condition.anode or "",
        "filter": condition.filter or "",
        "atmosphere": condition.atmosphere or "",
        "metadata": json.dumps(dict(spectrum.metadata), ensure_ascii=False),
        "sources": json.dumps([[source.path, source.sha256] for source in row.sources], ensure_ascii=False),
    }


def _number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value


# --- reading ------------------------------------------------------------------------------------------------


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    """Whatever h5py, JSON or our nouns object to is a property of the file."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpectrumFileError(
            path,
            found=f"damaged or incomplete HDF5 file ({reason})",
            remedy="Copy the file again, or write it again from the spectra it was made of",
        ) from error


def _stream(path: Path, target: Path | io.BytesIO, source: SourceFile) -> Iterator[Measurement]:
    """Measurements of an opened file, each complete: rows of one measurement may lie in two batches."""
    import h5py

    with _own_errors(path):
        # Every chunk is read once: the library need not keep a megabyte of each of our columns.
        unlocked = {"locking": False} if isinstance(target, Path) else {}
        opened = h5py.File(target, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES, **unlocked)
    with opened:
        batches = _batches(path, opened, source)
        pending: list[_Row] = []
        while True:
            with _own_errors(path):
                batch = next(batches, None)
            if batch is None:
                break
            for row in batch:
                if pending and row.measurement != pending[0].measurement:
                    yield _measurement(path, pending)
                    pending = []
                pending.append(row)
        if pending:
            yield _measurement(path, pending)


def _measurement(path: Path, rows: list[_Row]) -> Measurement:
    spectra = {row.spectrum.condition.name: row.spectrum for row in rows}
    if len(spectra) != len(rows) or len({row.specimen for row in rows}) != 1:
        raise SpectrumFileError(
            path,
            place=f"measurement {rows[0].measurement}",
            found="its rows name two specimens, or one condition twice",
            remedy="Write the file again from the spectra it was made of",
        )
    try:
        return Measurement(specimen=rows[0].specimen, spectra=spectra, sources=rows[0].sources)
    except DomainError as error:
        raise SpectrumFileError(
            path,
            place=f"measurement {rows[0].measurement}",
            found=str(error),
            remedy="Write the file again from the spectra it was made of",
        ) from error


def _batches(path: Path, opened: Any, source: SourceFile) -> Iterator[list[_Row]]:
    columns = _columns(path, opened)
    n_spectra, n_channels = _shape(path, columns)
    n_batch = max(1, _BATCH_VALUES // n_channels)
    for start in range(0, n_spectra, n_batch):
        stop = min(n_spectra, start + n_batch)
        values = {name: (column.asstr() if name in _TEXTS else column)[start:stop] for name, column in columns.items()}
        lists = [column if name == "counts" else column.tolist() for name, column in values.items()]
        rows = (dict(zip(values, cells, strict=True)) for cells in zip(*lists, strict=True))
        yield [_row(path, row, start + i, source) for i, row in enumerate(rows)]


def _columns(path: Path, opened: Any) -> dict[str, Any]:
    """The datasets of our layout."""
    entry = _own_link(path, opened, "entry")
    group = _own_link(path, entry, _GROUP)
    columns = {name: _own_link(path, group, name) for name in _ALL}
    for name, column in columns.items():
        _refuse_foreign_storage(path, name, column)
    return columns


def _own_link(path: Path, group: Any, name: str) -> Any:
    """A member of a group that lies in this file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise SpectrumFileError(
            path,
            place=name,
            found="missing, or a link to another place or file, which is not followed",
            remedy="Write the file again with write_hdf5",
        )
    return group[name]


def _refuse_foreign_storage(path: Path, name: str, column: Any) -> None:
    """Refuse data outside the file, plug-in filters, foreign types, chunks that would fill the memory."""
    import h5py

    ours = isinstance(column, h5py.Dataset) and not column.is_virtual and not column.external
    if ours:
        kind = "T" if h5py.check_string_dtype(column.dtype) is not None else column.dtype.kind
        allowed = "T" if name in _TEXTS else "f" if name in _NUMBERS else "iu"
        ours = kind in allowed and _filters(column) <= _KNOWN_FILTERS
        ours = ours and math.prod(column.chunks or (1,)) <= _LARGEST_CHUNK
    if not ours:
        raise SpectrumFileError(
            path,
            place=name,
            found="is not stored as xrfree stores it",
            remedy="Write the file again with write_hdf5",
        )


def _filters(column: Any) -> set[int]:
    """Codes of the filters that the chunks of a dataset went through."""
    properties = column.id.get_create_plist()
    return {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}


def _shape(path: Path, columns: dict[str, Any]) -> tuple[int, int]:
    """Numbers of spectra and channels, the same in every dataset."""
    counts = columns["counts"]
    if counts.ndim != 2:
        raise SpectrumFileError(
            path, place="counts", found=f"{counts.ndim} dimensions, expected 2", remedy="Write the file again"
        )
    n_spectra, n_channels = counts.shape
    for name, column in columns.items():
        if name != "counts" and column.shape != (n_spectra,):
            raise SpectrumFileError(
                path,
                place=name,
                found=f"has the shape {column.shape} for {n_spectra} spectra",
                remedy="The file was not completed: write it again",
            )
    if not 0 < n_channels <= MAX_CHANNELS:
        raise SpectrumFileError(
            path,
            place="counts",
            found=f"{n_channels} channels, expected 1 to {MAX_CHANNELS}",
            remedy="Write the file again",
        )
    return n_spectra, n_channels


def _row(path: Path, values: dict[str, Any], index: int, source: SourceFile) -> _Row:
    try:
        spectrum = _spectrum(values)
        sources = _sources(values["sources"])
    except (DomainError, ValueError, TypeError, RecursionError) as error:
        raise SpectrumFileError(
            path,
            place=f"row {index}",
            found=str(error),
            remedy="Write the file again from the spectra it was made of",
        ) from error
    return _Row(
        measurement=int(values["measurement"]),
        specimen=values["specimen"],
        spectrum=spectrum,
        sources=(source, *sources),
    )


def _spectrum(values: dict[str, Any]) -> Spectrum:
    return Spectrum(
        counts=values["counts"],
        live_time_s=values["live_time_s"],
        real_time_s=values["real_time_s"],
        energy_scale=_scale(values["energy_zero_kev"], values["energy_gain_kev"], values["energy_quadratic_kev"]),
        condition=_condition(
            values["condition"],
            values["anode"],
            str(values["tube_voltage_kv"]),
            str(values["tube_current_ua"]),
            values["filter"],
            values["atmosphere"],
        ),
        metadata=_metadata(values["metadata"]),
    )


# Most rows of a stack repeat what the rows before say: each scale, condition and text is understood once.


@lru_cache(maxsize=256)
def _metadata(text: str) -> Mapping[str, str]:
    metadata = json.loads(text)
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DomainError("metadata is not a JSON object of texts")
    return MappingProxyType(metadata)


@lru_cache(maxsize=256)
def _sources(text: str) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(path=str(name), sha256=str(sha)) for name, sha in json.loads(text))


@lru_cache(maxsize=256)
def _scale(zero_kev: float, gain_kev: float, quadratic_kev: float) -> EnergyScale:
    return EnergyScale(zero_kev=zero_kev, gain_kev=gain_kev, quadratic_kev=quadratic_kev)


@lru_cache(maxsize=256)
def _condition(
    name: str, anode: str, voltage_kv: str, current_ua: str, filter_name: str, atmosphere: str
) -> ExcitationCondition:
    """A condition; its numbers come as text, because not-a-number never equals itself in a cache."""
    return ExcitationCondition(
        name=name,
        anode=anode or None,
        tube_voltage_kv=_number_or_none(float(voltage_kv)),
        tube_current_ua=_number_or_none(float(current_ua)),
        filter=filter_name or None,
        atmosphere=atmosphere or None,
    )


def _number_or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


FORMAT = SpectrumFormat(
    name="xrfree HDF5", suffixes=(".h5", ".hdf5", ".nxs", ".nx5"), recognises=recognises, read_many=read_many
)
