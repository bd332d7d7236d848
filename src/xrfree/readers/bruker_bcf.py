"""Bruker .bcf element maps, through rosettasciio (`pip install "xrfree[formats]"`): the sum over all pixels.

The format keeps no live time (so says the library's documentation): a profile has to give it. Counts, number of
channels and energy scale go through the same checks as those of every other format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xrfree.errors import SpectrumFileError, UncalibratedError
from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_MAGIC = b"AAMVHFSS"
_UNIT_KEV = {"kev": 1.0, "ev": 1e-3}
_MOST_VALUES = 2**25
_LONGEST_TEXT = 2000


def recognises(head: bytes) -> bool:
    """Whether the file is one of the maker's file systems."""
    return head.startswith(_MAGIC)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The sum spectrum of a map."""
    found = _maps(file)
    if len(found) != 1:
        raise SpectrumFileError(
            file.path, found=f"holds {len(found)} maps of spectra, expected one", remedy="Export one map per file"
        )
    data, axes = np.asarray(found[0]["data"]), found[0]["axes"]
    energy = axes[-1]
    unit = _UNIT_KEV.get(str(energy.get("units", "")).lower())
    if unit is None:
        raise UncalibratedError(
            file.path, found=f"the energy axis has the unit {energy.get('units')!r}", remedy="Export it in keV"
        )
    said = _flat(found[0].get("original_metadata", {}))
    statement = Statement(
        counts=data.reshape(-1, data.shape[-1]).sum(axis=0, dtype=np.float64),
        place_of=lambda channel: f"channel {channel} of the sum of {data[..., 0].size} pixels",
        scale=StatedScale(zero_kev=unit * float(energy["offset"]), gain_kev=unit * float(energy["scale"])),
        tube_voltage_kv=_voltage(said),
        metadata=said | {"xrfree.pixels": str(data[..., 0].size)},
    )
    return assemble(file, [statement], profile)


def _maps(file: SpectrumBytes) -> list[dict[str, Any]]:
    """What the library finds in the file, with its own errors told as ours."""
    try:
        from rsciio.bruker import file_reader
    except ImportError as error:
        raise SpectrumFileError(
            file.path,
            found="is a Bruker map (.bcf), which xrfree reads through the package rosettasciio",
            remedy='Install it: pip install "xrfree[formats]"',
        ) from error
    try:
        found = file_reader(str(file.path), select_type="spectrum_image")
    except Exception as error:  # the library may fail in any way on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpectrumFileError(
            file.path, found=f"rosettasciio cannot read it ({reason})", remedy="Copy the file again"
        ) from error
    for each in found:
        if np.asarray(each["data"]).size > _MOST_VALUES:
            raise SpectrumFileError(
                file.path, found=f"a map of the shape {each['data'].shape} is too large", remedy="Export a part of it"
            )
    return list(found)


def _flat(tree: Any, path: str = "") -> dict[str, str]:
    """Leaves of nested dictionaries under their paths."""
    if isinstance(tree, dict):
        said: dict[str, str] = {}
        for key, value in tree.items():
            said |= _flat(value, f"{path}/{key}" if path else str(key))
        return said
    text = str(tree)
    return {path: text} if text and len(text) <= _LONGEST_TEXT else {}


def _voltage(said: dict[str, str]) -> Stated | None:
    """Tube voltage of the header of an X-ray instrument; a microscope's beam is no tube."""
    for key, value in said.items():
        if key.endswith("Xrf Header/Voltage") or key.endswith("TRTXrfHeader/Voltage"):
            return Stated(float(value), key, key)
    return None


FORMAT = SpectrumFormat(name="Bruker BCF", suffixes=(".bcf",), recognises=recognises, read=read)
