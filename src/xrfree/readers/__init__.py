"""Spectrum files in, measurements out: one module per format, chosen by content, then by suffix.

A reader invents nothing. It states what the file states, checks what the file says twice, and refuses the
rest with one line that names file, place, finding and remedy.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError, UnknownFormatError, XrfreeError
from xrfree.readers import amptek_mca, delimited, emsa, epsilon_mp2, nexus_hdf5, ortec_spe
from xrfree.readers._format import HEAD_BYTES, SpectrumBytes, SpectrumFormat
from xrfree.readers.nexus_hdf5 import read_stack, write_hdf5
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.readers.profile import ReaderProfile

__all__ = [
    "FORMATS",
    "SpectrumBytes",
    "SpectrumFormat",
    "load_profile",
    "read_measurement",
    "read_stack",
    "spectrum_formats",
    "write_hdf5",
]

ENTRY_POINT_GROUP = "xrfree.spectrum_formats"
MAX_FILE_BYTES = 256 * 2**20

# Delimited text comes last: it recognises whatever looks like numbers in lines.
FORMATS: tuple[SpectrumFormat, ...] = (
    nexus_hdf5.FORMAT,
    emsa.FORMAT,
    epsilon_mp2.FORMAT,
    ortec_spe.FORMAT,
    amptek_mca.FORMAT,
    delimited.FORMAT,
)


def read_measurement(path: Path | str, *, profile: ReaderProfile | Path | str | None = None) -> Measurement:
    """The measurement in a spectrum file of any known format.

    Parameters
    ----------
    path : the file.
    profile : what the file does not say; a ReaderProfile, or the path of one.
    """
    file = _read_bytes(Path(path))
    stated = load_profile(profile) if isinstance(profile, Path | str) else profile
    chosen = _choose(file, stated)
    if stated is not None and chosen is not delimited.FORMAT and stated.layout_keys():
        raise SpectrumFileError(
            file.path,
            found=f"is of the format {chosen.name}, but the profile sets {', '.join(stated.layout_keys())}, "
            "which only delimited text has",
            remedy="Remove these keys from the profile",
        )
    return chosen.read(file, stated)


def load_profile(path: Path | str) -> ReaderProfile:
    """Read and check a profile; DocumentError names the key that is wrong."""
    from xrfree.readers import profile

    return profile.load_profile(path)


def spectrum_formats() -> tuple[SpectrumFormat, ...]:
    """All formats in the order in which they are asked: ours, those of other packages, delimited text."""
    *ours, last = FORMATS
    return (*ours, *_other_formats(), last)


@cache
def _other_formats() -> tuple[SpectrumFormat, ...]:
    from importlib.metadata import entry_points

    found = []
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
        except Exception as error:  # a plug-in may fail in any way
            raise XrfreeError(
                f"spectrum format {point.name!r} ({point.value}) cannot be loaded: {error}. "
                "Repair or uninstall its package."
            ) from error
        if not isinstance(loaded, SpectrumFormat):
            raise XrfreeError(
                f"spectrum format {point.name!r} ({point.value}) is a {type(loaded).__name__}, expected a "
                "SpectrumFormat. Repair or uninstall its package."
            )
        found.append(loaded)
    return tuple(found)


def _choose(file: SpectrumBytes, profile: ReaderProfile | None) -> SpectrumFormat:
    head = file.content[:HEAD_BYTES]
    for known in _ours_first():
        if known.recognises(head):
            return known
    if profile is not None and profile.layout_keys():
        return delimited.FORMAT
    suffix = file.path.suffix.lower()
    for known in spectrum_formats():
        if suffix in known.suffixes:
            _refuse_misnamed(file, known)
            return known
    names = ", ".join(f"{known.name} ({known.suffixes[0]})" for known in spectrum_formats() if known.suffixes)
    raise UnknownFormatError(
        file.path,
        found=f"no known spectrum format starts with {head[:16]!r}",
        remedy=f"Known formats: {names}",
    )


def _refuse_misnamed(file: SpectrumBytes, named: SpectrumFormat) -> None:
    """All of our formats but delimited text are known by how a file starts."""
    if named in FORMATS[:-1]:
        raise UnknownFormatError(
            file.path,
            found=f"has the suffix of {named.name}, but starts with {file.content[:16]!r}, as such a file does not",
            remedy="The file is damaged, or of a format that xrfree does not know: export the spectrum again",
        )


def _ours_first() -> Iterator[SpectrumFormat]:
    """The formats in order; those of other packages are loaded only when none of ours fits."""
    *ours, last = FORMATS
    yield from ours
    yield from _other_formats()
    yield last


def _read_bytes(path: Path) -> SpectrumBytes:
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise _unusable(path, "is a device or a pipe, not a file", "Give a file")
        size = status.st_size
        if size > MAX_FILE_BYTES:
            raise _unusable(
                path, f"{size / 2**20:.0f} MB is too large for one measurement", "Split it, or use read_stack"
            )
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise _unusable(path, "is a folder", "Give the file in it") from error
    except FileNotFoundError as error:
        raise _unusable(path, "there is no such file", f"Check name and folder ({path.parent})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _unusable(path, f"cannot be read ({reason})", "Check name and permissions") from error
    if not content:
        raise _unusable(path, "the file is empty", "Copy it again from the instrument")
    return SpectrumBytes(path=path, content=content, sha256=hashlib.sha256(content).hexdigest())


def _unusable(path: Path, found: str, remedy: str) -> SpectrumFileError:
    return SpectrumFileError(path, found=found, remedy=remedy)
