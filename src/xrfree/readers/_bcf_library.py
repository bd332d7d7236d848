"""Sum spectra of Bruker maps, found by rosettasciio.

It runs in a process of its own (`_library_helper`), because the library believes what the header says of the size.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale
from xrfree.readers._hdf5_search import Found

_UNIT_KEV = {"kev": 1.0, "ev": 1e-3}
_LONGEST_TEXT = 2000


def sums_of_maps(path: Path) -> list[Found]:
    """The sum over the pixels of each map in a file; errors of the library are told as ours."""
    try:
        from rsciio.bruker import file_reader
    except ImportError as error:
        raise SpectrumFileError(
            path,
            found="is a Bruker map (.bcf), which xrfree reads through the package rosettasciio",
            remedy='Install it: pip install "xrfree[formats]"',
        ) from error
    try:
        return [_sum(path, each) for each in file_reader(str(path), select_type="spectrum_image")]
    except SpectrumFileError:
        raise
    except Exception as error:  # the library may fail in any way on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpectrumFileError(
            path, found=f"rosettasciio cannot read it ({reason})", remedy="Copy the file again"
        ) from error


def _sum(path: Path, found: dict[str, Any]) -> Found:
    data, energy = np.asarray(found["data"]), found["axes"][-1]
    unit = _UNIT_KEV.get(str(energy.get("units", "")).lower())
    if unit is None:
        raise UncalibratedError(
            path, found=f"the energy axis has the unit {energy.get('units')!r}", remedy="Export it in keV"
        )
    zero, gain = unit * float(energy["offset"]), unit * float(energy["scale"])
    if not math.isfinite(zero) or not math.isfinite(gain):
        raise UncalibratedError(path, found=f"the energy axis is {zero} + {gain} i keV", remedy="Export it again")
    pixels = math.prod(data.shape[:-1])
    return Found(
        place=f"the sum of {pixels} pixels",
        counts=data.sum(axis=tuple(range(data.ndim - 1)), dtype=np.int64),
        live_s=None,
        real_s=None,
        scale=StatedScale(zero_kev=zero, gain_kev=gain),
        metadata=_flat(found.get("original_metadata", {})) | {"xrfree.pixels": str(pixels)},
    )


def _flat(tree: Any, path: str = "") -> dict[str, str]:
    """Leaves of nested dictionaries under their paths."""
    if isinstance(tree, dict):
        said: dict[str, str] = {}
        for key, value in tree.items():
            said |= _flat(value, f"{path}/{key}" if path else str(key))
        return said
    text = str(tree)
    return {path: text} if text and len(text) <= _LONGEST_TEXT else {}
