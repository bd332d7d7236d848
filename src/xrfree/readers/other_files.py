"""Files that lie beside spectra and are none, or that xrfree cannot read: each refused with its true reason."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError
from xrfree.readers._format import SpectrumBytes, SpectrumFormat
from xrfree.readers._text import head_text
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

_NITON_READING = b"\x83\xe0\xc3\x43"
_MDA_VERSIONS = (1.2, 1.3, 1.4)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of file is known, what it is, and what to do."""

    known: Callable[[bytes, str], bool]
    found: str
    remedy: str


def _is_mda(head: bytes, _: str) -> bool:
    if len(head) < 12:
        return False
    version, _number, rank = struct.unpack_from(">fii", head)
    return any(abs(version - known) < 1e-3 for known in _MDA_VERSIONS) and 1 <= rank <= 4


def _starts(pattern: str) -> Callable[[bytes, str], bool]:
    compiled = re.compile(pattern)
    return lambda _, text: compiled.match(text.lstrip()) is not None


_KINDS = (
    _Kind(_is_mda, "is an EPICS MDA scan: positions and scalers of each point, no spectra of channels with a scale and "
          "a live time", "Export the spectra of the detector, e.g. as MAPS HDF5"),
    _Kind(lambda head, _: _NITON_READING in head, "is a Niton .ndt file, whose layout is not published",
          "Export spectra or results as CSV with the software of the maker"),
    _Kind(_starts(r"PIQUANT, Calibration File"), "is a calibration file of PIQUANT (net intensities of standards)",
          "It holds no spectrum: give the spectra it was made of"),
    _Kind(_starts(r"PIQUANT [0-9]"), "is a fit written by PIQUANT (energy, measured, calculated, components), whose "
          "counts have no live time", "Give the spectrum that was fitted"),
    _Kind(_starts(r"-+\s*\n.*PIQUANT|.*PIQUANT_GUI"), "is a log file of PIQUANT", "Give the spectrum that was fitted"),
    _Kind(_starts(r"\[(?:ROOT|attenuators|fit|peaks|concentrations|multilayer|detector|tube)\]"),
          "is a configuration of PyMca, not a spectrum", "Give the spectrum that it was made for"),
    _Kind(_starts(r"[^,\n]{0,12},Symbol,Concentration"), "is a table of reference values, not a spectrum",
          "Give it as certificates, not as a spectrum"),
)  # fmt: skip


def recognises(head: bytes) -> bool:
    """Whether a file is of a kind that holds no spectrum, or none that can be read."""
    text = head_text(head)
    return any(kind.known(head, text) for kind in _KINDS)


def read(file: SpectrumBytes, profile: ReaderProfile | None = None) -> Measurement:
    """Refuse the file with its reason."""
    head = file.content[:4096]
    kind = next(kind for kind in _KINDS if kind.known(head, head_text(head)))
    raise SpectrumFileError(file.path, found=kind.found, remedy=kind.remedy)


FORMAT = SpectrumFormat(name="no spectrum", suffixes=(), recognises=recognises, read=read)
