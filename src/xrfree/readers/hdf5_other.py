"""HDF5 files of others: MAPS of beamlines, and NeXus (NXdata, NXdetector, NXmca, NXxrf, NXfluo, PyMca's layout).

Spectra are found by what the file says (`default`, NX_class, `signal`), or named by the key `dataset` of a profile.
The channel axis is the last one, in MAPS files the first one. Every other point is a measurement of its own.
Nothing outside the file is followed, no filter plug-in is loaded, nothing is read before its size is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import Statement, assemble
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers._hdf5_search import Found
    from xrfree.readers.profile import ReaderProfile

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MOST_SPECTRA = 100_000


def recognises(head: bytes) -> bool:
    """Whether the file is HDF5."""
    return head.startswith(_MAGIC)


def read_many(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Iterator[Measurement]:
    """One measurement per point of a map or scan; detectors of a point are its conditions."""
    from xrfree.readers._library_helper import find_spectra_guarded

    found = find_spectra_guarded(file.path, file.content, None if profile is None else profile.dataset)
    shape = found[0].counts.shape[:-1]
    if not 0 < math.prod(shape) <= _MOST_SPECTRA or any(each.counts.shape[:-1] != shape for each in found):
        raise SpectrumFileError(
            file.path,
            place=found[0].place,
            found=f"the spectra have the shapes {[each.counts.shape for each in found]}",
            remedy='Name another dataset in a profile: dataset = "/entry/..."',
        )
    for index in np.ndindex(shape):
        yield assemble(file, [_statement(file.path, each, index, len(found)) for each in found], profile)


def _statement(path: Path, found: Found, index: tuple[int, ...], n_detectors: int) -> Statement:
    at = "" if not index else f" [{', '.join(map(str, index))}]"
    detector = found.place.rsplit("_", 1)[-1]
    name = next((value for key, value in found.metadata.items() if key.endswith(("/sample/name", "/title"))), "")
    return Statement(
        counts=np.asarray(found.counts[index], dtype=np.float64),
        place_of=lambda channel: f"{found.place}{at} channel {channel}",
        live_time_s=_stated(found.live_s, index, "live time", found.place),
        real_time_s=_stated(found.real_s, index, "real time", found.place),
        scale=found.scale,
        no_scale=f"{found.place} states no energy scale",
        specimen=f"{name or path.stem}{at}",
        label=f"detector {detector}" if n_detectors > 1 else "",
        metadata=found.metadata | {"dataset": found.place, "index": at.strip()},
    )


def _stated(times: NDArray[np.float64] | None, index: tuple[int, ...], key: str, place: str) -> Stated | None:
    if times is None or not math.isfinite(float(times[index])):
        return None
    return Stated(float(times[index]), key, place)


FORMAT = SpectrumFormat(name="NeXus/MAPS HDF5", suffixes=(), recognises=recognises, read_many=read_many)
