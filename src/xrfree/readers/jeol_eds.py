"""JEOL .EDS, one spectrum of an electron microscope: fields at fixed places, checked on one file.

Of the header only what is known is read; the tables behind the counts (elements, quantification) are not.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xrfree.readers._assembly import StatedScale, Statement, assemble
from xrfree.readers._binary import Binary
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.spectrum import MAX_CHANNELS, Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_DATE, _NAME, _USER, _DETECTOR = 10, 18, 98, 218
_GAIN, _ZERO, _STATE, _N_CHANNELS, _COUNTS = 362, 370, 378, 454, 458
# Days of a spreadsheet date; between 1970 and 2100 a file can have been written.
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001
_FIRST_DAY, _LAST_DAY = 25_569.0, 73_050.0
_FIELDS = ("Esc", "Fano", "noise (eV)", "keV per channel", "live time (s)", "real time (s)", "dead time", "rate")


def recognises(head: bytes) -> bool:
    """Whether a small number, a plausible date and a plausible number of channels stand in their places."""
    if len(head) < _COUNTS or head[1:4] != b"\0\0\0":
        return False
    (day,) = struct.unpack_from("<d", head, _DATE)
    (n_channels,) = struct.unpack_from("<i", head, _N_CHANNELS)
    (gain,) = struct.unpack_from("<d", head, _GAIN)
    return bool(_FIRST_DAY < day < _LAST_DAY and 0 < n_channels <= MAX_CHANNELS and 0 < gain < 1)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """The measurement in an .EDS file."""
    content = Binary(file.path, file.content)
    n_channels = content.integer("i", _N_CHANNELS)
    if not 0 < n_channels <= MAX_CHANNELS:
        raise content.damaged(_N_CHANNELS, f"{n_channels} channels are stated")
    statement = Statement(
        counts=content.counts("i4", _COUNTS, n_channels),
        place_of=lambda channel: content.place(_COUNTS + 4 * channel),
        live_time_s=content.stated("d", _DETECTOR + 40, "live time"),
        real_time_s=content.stated("d", _DETECTOR + 48, "real time"),
        scale=StatedScale(
            zero_kev=content.real("d", _ZERO), gain_kev=content.real("d", _GAIN), place=content.place(_GAIN)
        ),
        specimen=content.text(_NAME, 80, "shift_jis") or None,
        metadata=_metadata(content),
    )
    return assemble(file, [statement], profile)


def _metadata(content: Binary) -> dict[str, str]:
    date = _EPOCH + timedelta(days=content.real("d", _DATE))
    said = {
        "date": date.isoformat(sep=" ", timespec="seconds"),
        "name": content.text(_NAME, 80, "shift_jis"),
        "user": content.text(_USER, 32, "shift_jis"),
        "state": content.text(_STATE, 32, "shift_jis"),
    }
    said |= {key: content.shown("d", _DETECTOR + 8 + 8 * i) for i, key in enumerate(_FIELDS)}
    return {key: value for key, value in said.items() if value}


FORMAT = SpectrumFormat(name="JEOL EDS", suffixes=(".eds",), recognises=recognises, read=read)
