"""Bruker .bcf element maps, through rosettasciio (`pip install "xrfree[formats]"`): the sum over all pixels.

The format keeps no live time (so says the library's documentation): a profile has to give it. Counts, number of
channels and energy scale go through the same checks as those of every other format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xrfree.errors import SpectrumFileError
from xrfree.readers._assembly import Statement, assemble
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._header import Stated
from xrfree.readers._text import number, shown
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_MAGIC = b"AAMVHFSS"


def recognises(head: bytes) -> bool:
    """Whether the file is one of the maker's file systems."""
    return head.startswith(_MAGIC)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The sum spectrum of a map."""
    from xrfree.readers._library_helper import sums_of_maps_guarded

    found = sums_of_maps_guarded(file.path, file.content)
    if len(found) != 1:
        raise SpectrumFileError(
            file.path, found=f"holds {len(found)} maps of spectra, expected one", remedy="Export one map per file"
        )
    (whole,) = found
    statement = Statement(
        counts=whole.counts.astype(np.float64),
        place_of=lambda channel: f"channel {channel} of {whole.place}",
        scale=whole.scale,
        tube_voltage_kv=_voltage(file.path, whole.metadata),
        metadata=whole.metadata,
    )
    return assemble(file, [statement], profile)


def _voltage(path: Path, said: dict[str, str]) -> Stated | None:
    """Tube voltage of the header of an X-ray instrument; a microscope's beam is no tube."""
    for key, value in said.items():
        if key.endswith(("Xrf Header/Voltage", "TRTXrfHeader/Voltage")):
            volts = number(value)
            if volts is None:
                raise SpectrumFileError(
                    path, place=key, found=f"the voltage is {shown(value)}, expected a number", remedy="Export it again"
                )
            return Stated(volts, key, key)
    return None


FORMAT = SpectrumFormat(name="Bruker BCF", suffixes=(".bcf",), recognises=recognises, read=read)
