"""Where the spectra of a foreign HDF5 file are, and what belongs to them: the part that the HDF5 library works in.

It runs in a process of its own (`_library_helper`), because on damaged files the library may loop for ever or crash.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale, straight_scale
from xrfree.spectrum import MAX_CHANNELS

_MAPS = "MAPS_RAW"
_MAPS_DETECTORS = "abcdefgh"
_KNOWN_FILTERS = {1, 2, 3}  # deflate, shuffle, checksum: the ones that HDF5 always brings
# Read once and turned around once, so many bytes stay below what a file may make its reader reserve.
_MOST_BYTES = 80 * 2**20
# Each becomes a whole number of eight bytes.
_MOST_VALUES = 2**25
# Deflate packs at most 1032 bytes into one.
_MOST_PACKED = 1032
# So far it is believed up to this many values; maps of counts are packed 5 to 50 times.
_FEW_VALUES = 10 * 2**20
_USUALLY_PACKED = 64
_MOST_OBJECTS = 5_000
_DEEPEST = 12
_LIVE, _REAL = ("live_time", "livetime", "LiveTime"), ("real_time", "elapsed_time", "realtime", "RealTime")
_ENERGY = ("energy", "channel_energy", "Energy")
_UNIT_S = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_UNIT_KEV = {"kev": 1.0, "ev": 1e-3}
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset of spectra, channels last: shape (..., n_channels), and what belongs to all of its points."""

    place: str
    counts: NDArray[Any]
    live_s: NDArray[np.float64] | None
    real_s: NDArray[np.float64] | None
    scale: StatedScale | None
    metadata: dict[str, str]


def find_spectra(path: Path, content: bytes, wanted: str | None) -> list[Found]:
    """The spectra of a file: of one dataset, or of all detectors of a MAPS file.

    wanted : path of the dataset; None where the file has to say it.
    """
    import h5py

    with _own_errors(path):
        opened = h5py.File(io.BytesIO(content), "r")
    with opened, _own_errors(path):
        return _found(path, opened, wanted)


def _found(path: Path, opened: Any, wanted: str | None) -> list[Found]:
    if wanted is None and _own(opened, _MAPS) is not None:
        return _maps(path, _own(opened, _MAPS))
    if wanted is not None:
        dataset, parents = _by_name(path, opened, wanted)
        return [_nexus(path, dataset, parents)]
    candidates = _candidates(opened)
    if len(candidates) != 1:
        names = ", ".join(dataset.name for dataset, _ in candidates[:8])
        what = (
            f"{len(candidates)} datasets may be spectra: {names}" if candidates else "no dataset looks like a spectrum"
        )
        raise SpectrumFileError(
            path,
            found=f"this HDF5 file does not say which dataset holds its spectra ({what})",
            remedy='Read it with a profile that has dataset = "/entry/..." and the energy scale and live time that '
            "the file does not state",
        )
    return [_nexus(path, *candidates[0])]


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    """Whatever h5py objects to is a property of the file."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
        if isinstance(error, SpectrumFileError):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpectrumFileError(
            path, found=f"damaged or incomplete HDF5 file ({reason})", remedy="Copy the file again"
        ) from error


def _refused(path: Path, place: str, found: str) -> SpectrumFileError:
    return SpectrumFileError(
        path, place=place, found=found, remedy='Name another dataset in a profile: dataset = "/entry/..."'
    )


# --- finding ------------------------------------------------------------------------------------------------


def _own(group: Any, name: str) -> Any:
    """A member that lies in this file, None otherwise; soft links inside the file are followed once."""
    import h5py

    if not isinstance(group, h5py.Group):
        return None
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.SoftLink):
        target = link.path if link.path.startswith("/") else f"{group.name}/{link.path}"
        return _followed(group.file, target)
    return group[name] if isinstance(link, h5py.HardLink) else None


def _dataset(group: Any, name: str) -> Any:
    """A member that lies in this file and is a dataset with a shape, None otherwise."""
    import h5py

    member = _own(group, name)
    return member if isinstance(member, h5py.Dataset) and member.shape is not None else None


def _followed(root: Any, path: str) -> Any:
    """What a path leads to over hard links alone."""
    import h5py

    node = root
    for name in [part for part in path.split("/") if part][:_DEEPEST]:
        is_group = isinstance(node, h5py.Group)
        link = node.get(name, getlink=True) if is_group else None
        if not isinstance(link, h5py.HardLink):
            return None
        node = node[name]
    return node


def _by_name(path: Path, opened: Any, wanted: str) -> tuple[Any, list[Any]]:
    import h5py

    parents, node = [opened], opened
    for name in [part for part in wanted.split("/") if part]:
        node = _own(node, name)
        if node is None:
            raise _refused(path, wanted, f"there is no {name!r} in this file, or it lies outside of it")
        parents.append(node)
    if not isinstance(node, h5py.Dataset):
        raise _refused(path, wanted, "is a group, not a dataset")
    return node, parents[-2::-1]


def _candidates(opened: Any) -> list[tuple[Any, list[Any]]]:
    """Signals of NXdata, `data` or `counts` of detectors, and PyMca's `data` beside `info`, that look like spectra."""
    found: dict[int, tuple[Any, list[Any]]] = {}
    for group, parents in _groups(opened):
        dataset = _signal(group)
        if dataset is not None and _looks_like_spectra(group, dataset):
            found.setdefault(hash(dataset.id), (dataset, [group, *parents]))
    default = [pair for pair in found.values() if _is_default(pair[1])]
    return default if len(default) == 1 else list(found.values())


def _groups(opened: Any) -> Iterator[tuple[Any, list[Any]]]:
    """All groups over hard links, each with its parents, nearest first; a group is visited once."""
    import h5py

    seen: set[int] = set()
    stack: list[tuple[Any, list[Any]]] = [(opened, [])]
    while stack and len(seen) < _MOST_OBJECTS:
        group, parents = stack.pop()
        seen.add(hash(group.id))
        yield group, parents
        if len(parents) >= _DEEPEST:
            continue
        for name in list(group)[:_MOST_OBJECTS]:
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                child = group[name]
                if isinstance(child, h5py.Group) and hash(child.id) not in seen:
                    stack.append((child, [group, *parents]))


def _signal(group: Any) -> Any:
    name = _text(group.attrs.get("signal"))
    if not name:
        kind = _text(group.attrs.get("NX_class"))
        is_detector = kind in {"NXdetector", "NXdata", "NXmca", "NXxrf", "NXfluo"} or _own(group, "info") is not None
        name = next((n for n in ("counts", "data", "spectrum") if is_detector and _own(group, n) is not None), "")
    return _dataset(group, name) if name else None


def _looks_like_spectra(group: Any, dataset: Any) -> bool:
    """Whole or real numbers, with enough channels, and an energy, a calibration or a live time beside them."""
    if dataset.dtype.kind not in "iuf" or not dataset.shape or not 16 <= dataset.shape[-1] <= MAX_CHANNELS:
        return False
    context = [group, _own(group, "info")]
    named = any(_member(context, names) is not None for names in (_ENERGY, _LIVE, ("calibration",)))
    return named or _text(group.attrs.get("interpretation")) == "spectrum"


def _is_default(parents: list[Any]) -> bool:
    """Whether every group above names the next one as its default."""
    chain = list(reversed(parents))
    return all(_text(above.attrs.get("default")) == below.name.rsplit("/", 1)[-1] for above, below in pairwise(chain))


def _text(value: object) -> str:
    """Text of an attribute, which may be bytes, or an array of one text."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace").strip("\0 ")
    return value.strip() if isinstance(value, str) else ""


# --- reading ------------------------------------------------------------------------------------------------


def _values(path: Path, dataset: Any) -> NDArray[Any]:
    """A dataset as a whole, after its size, storage and filters are known to be harmless."""
    import h5py

    place = str(dataset.name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iuf":
        raise _refused(path, place, "does not hold numbers")
    if dataset.is_virtual or dataset.external:
        raise _refused(path, place, "lies in another file, which is not followed")
    _refuse_size(path, place, [dataset])
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise _refused(path, place, f"is packed with a filter that is not read (HDF5 filter {max(filters)})")
    with np.errstate(all="ignore"):  # a damaged type of number may hold anything
        values = np.asarray(dataset[()])
        usual = values.dtype.kind != "f" or values.dtype.itemsize in {4, 8}
        return values if usual else values.astype(np.float64)


def _refuse_size(path: Path, place: str, datasets: list[Any]) -> None:
    """Refuse what would fill the memory: by its size, and by what is stored of it."""
    values = sum(math.prod(dataset.shape) for dataset in datasets)
    whole = sum(math.prod(dataset.shape) * int(dataset.dtype.itemsize) for dataset in datasets)
    stored = sum(int(dataset.id.get_storage_size()) for dataset in datasets)
    chunk = max(math.prod(dataset.chunks or (1,)) * int(dataset.dtype.itemsize) for dataset in datasets)
    shape = " and ".join(str(dataset.shape) for dataset in datasets)
    if whole > (_MOST_PACKED if values <= _FEW_VALUES else _USUALLY_PACKED) * stored:
        raise _refused(path, place, f"has the shape {shape}, more than its {stored} stored bytes can hold")
    if max(whole, chunk) > _MOST_BYTES or values > _MOST_VALUES:
        raise _refused(path, place, f"has the shape {shape}, more than {_MOST_BYTES // 2**20} MB")


def _maps(path: Path, group: Any) -> list[Found]:
    """data_a ... (channel, y, x) of each detector, livetime and realtime (detector, y, x)."""
    datasets = {letter: _dataset(group, f"data_{letter}") for letter in _MAPS_DETECTORS}
    datasets = {letter: dataset for letter, dataset in datasets.items() if dataset is not None}
    if not datasets:
        raise _refused(path, _MAPS, "there is no dataset data_a")
    _refuse_size(path, _MAPS, list(datasets.values()))
    live, real = (_dataset(group, name) for name in ("livetime", "realtime"))
    live_s, real_s = (None if each is None else _values(path, each).astype(np.float64) for each in (live, real))
    found = []
    for number, dataset in enumerate(datasets.values()):
        if len(dataset.shape) != 3 or not 0 < dataset.shape[0] <= MAX_CHANNELS:
            raise _refused(path, dataset.name, f"has the shape {dataset.shape}, expected (channel, y, x)")
        counts = np.moveaxis(_values(path, dataset), 0, -1)
        times = [each[number] if each is not None and number < len(each) else None for each in (live_s, real_s)]
        found.append(Found(str(dataset.name), counts, times[0], times[1], None, {}))
    return found


def _nexus(path: Path, dataset: Any, parents: list[Any]) -> Found:
    counts = _values(path, dataset)
    if counts.ndim == 0 or not 0 < counts.shape[-1] <= MAX_CHANNELS:
        raise _refused(path, dataset.name, f"has the shape {counts.shape}, expected channels on the last axis")
    context = [each for parent in parents[:2] for each in (parent, _own(parent, "info")) if each is not None]
    points = counts.shape[:-1]
    return Found(
        place=str(dataset.name),
        counts=counts,
        live_s=_times(path, _member(context, _LIVE), points),
        real_s=_times(path, _member(context, _REAL), points),
        scale=_scale(path, dataset, context, counts.shape[-1]),
        metadata=_metadata(parents),
    )


def _member(context: list[Any], names: tuple[str, ...]) -> Any:
    """The first dataset of one of the names."""
    members = (_dataset(group, name) for group in context if group is not None for name in names)
    return next((member for member in members if member is not None), None)


def _times(path: Path, dataset: Any, points: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Seconds for every point; one number is for all of them. A time without unit is taken to state nothing."""
    if dataset is None:
        return None
    unit = _UNIT_S.get(_text(dataset.attrs.get("units")).lower())
    if unit is None:
        return None
    if math.prod(dataset.shape) != 1 and dataset.shape != points:
        raise _refused(path, dataset.name, f"has the shape {dataset.shape} for spectra of the shape {points}")
    values = _values(path, dataset).astype(np.float64) * unit
    return values if values.shape == points else np.full(points, values.reshape(-1)[0])


def _scale(path: Path, dataset: Any, context: list[Any], n_channels: int) -> StatedScale | None:
    calibration = _member(context, ("calibration",))
    energy = _energy_axis(dataset, context, n_channels)
    if energy is not None:
        unit = _UNIT_KEV.get(_text(energy.attrs.get("units")).lower())
        if unit is None:
            raise UncalibratedError(
                path,
                place=str(energy.name),
                found="the energies have no unit (attribute units: keV or eV)",
                remedy="Give the energy scale in a profile, with the key dataset",
            )
        values = _values(path, energy).astype(np.float64) * unit
        return straight_scale(
            path, values, tolerance_kev=1e-3 * float(np.ptp(values)) / n_channels, place=str(energy.name)
        )
    if calibration is None or not 2 <= math.prod(calibration.shape) <= 3:
        return None
    numbers = _values(path, calibration).astype(np.float64).reshape(-1)
    if not np.isfinite(numbers).all() or numbers[1] == 0:
        return None
    zero, gain, quadratic = (*numbers.tolist(), 0.0)[:3]
    return StatedScale(zero_kev=zero, gain_kev=gain, quadratic_kev=quadratic, place=str(calibration.name))


def _energy_axis(dataset: Any, context: list[Any], n_channels: int) -> Any:
    """The axis of the channels, as the attribute axes names it, or a member called energy."""
    axes = context[0].attrs.get("axes") if context else None
    names = [_text(axis) for axis in np.atleast_1d(axes)] if axes is not None else []
    last = names[-1] if len(names) == len(dataset.shape) and names[-1] not in {"", "."} else ""
    axis = _member(context, (last, *_ENERGY) if last and last not in {"channel", "channels"} else _ENERGY)
    return axis if axis is not None and axis.shape == (n_channels,) else None


def _metadata(parents: list[Any]) -> dict[str, str]:
    """Texts and single numbers beside the spectra, one level deep, under their paths."""
    import h5py

    said: dict[str, str] = {}
    for group in parents[:3]:
        for name in list(group)[:200]:
            member = _own(group, name)
            if not isinstance(member, h5py.Dataset) or member.size != 1 or member.dtype.kind not in "iufSO":
                continue
            value = member[()]
            text = _text(value) if member.dtype.kind in "SO" else str(np.asarray(value).reshape(-1)[0])
            unit = _text(member.attrs.get("units"))
            if text and len(text) <= _LONGEST_TEXT:
                said[str(member.name)] = f"{text} {unit}".strip()
    return said
