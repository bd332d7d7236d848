"""Spectrum files in, measurements out: one module per format, chosen by content, then by suffix.

A reader invents nothing. It states what the file states, checks what the file says twice, and refuses the
rest with one line that names file, place, finding and remedy.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from xrfree.errors import SpectrumFileError, UnknownFormatError, XrfreeError
from xrfree.readers import (
    amptek_mca,
    bruker_bcf,
    bruker_pdz,
    bruker_spx,
    bruker_text,
    canberra_cnf,
    delimited,
    emsa,
    epsilon_mp2,
    gsecars_mca,
    hdf5_other,
    iec1455,
    jeol_eds,
    nexus_hdf5,
    olympus_csv,
    ortec_chn,
    ortec_spc,
    ortec_spe,
    other_files,
    results_tables,
    shimadzu_csv,
    spec_file,
    two_theta_scan,
    wavelength_tables,
)
from xrfree.readers._format import HEAD_BYTES, SpectrumBytes, SpectrumFormat
from xrfree.readers.nexus_hdf5 import read_stack, stack_names, write_hdf5
from xrfree.readers.text_writers import write_csv, write_emsa
from xrfree.spectrum import Measurement

if TYPE_CHECKING:
    from xrfree.intensities import LineIntensities, TwoThetaScan
    from xrfree.readers._table import TableFormat
    from xrfree.readers.profile import ReaderProfile
    from xrfree.reported import ReportedResults

__all__ = [
    "FORMATS",
    "SpectrumBytes",
    "SpectrumFormat",
    "format_name",
    "load_profile",
    "read_intensities",
    "read_measurement",
    "read_measurements",
    "read_results",
    "read_scan",
    "read_stack",
    "spectrum_formats",
    "stack_names",
    "write_csv",
    "write_emsa",
    "write_hdf5",
]

ENTRY_POINT_GROUP = "xrfree.readers"
MAX_FILE_BYTES = 256 * 2**20

# Delimited text comes last: it recognises whatever looks like numbers in lines.
FORMATS: tuple[SpectrumFormat, ...] = (
    nexus_hdf5.FORMAT,
    hdf5_other.FORMAT,
    bruker_pdz.FORMAT,
    bruker_spx.FORMAT,
    bruker_bcf.FORMAT,
    canberra_cnf.FORMAT,
    ortec_spc.FORMAT,
    ortec_chn.FORMAT,
    jeol_eds.FORMAT,
    emsa.FORMAT,
    epsilon_mp2.FORMAT,
    ortec_spe.FORMAT,
    amptek_mca.FORMAT,
    iec1455.FORMAT,
    gsecars_mca.FORMAT,
    spec_file.FORMAT,
    olympus_csv.FORMAT,
    shimadzu_csv.FORMAT,
    bruker_text.FORMAT,
    other_files.FORMAT,
    delimited.FORMAT,
)


TABLES: tuple[TableFormat, ...] = (*results_tables.TABLES, *wavelength_tables.TABLES)


def read_results(path: Path | str) -> tuple[ReportedResults, ...]:
    """Results that another program has written, one set per reading; "not detected" is a censored value."""
    file = _read_bytes(Path(path))
    table = _table(file, "results", [known for known in TABLES if known.results is not None])
    return () if table.results is None else tuple(table.results(file))


def read_intensities(path: Path | str) -> tuple[LineIntensities, ...]:
    """Line intensities of a wavelength-dispersive spectrometer, one set per specimen."""
    file = _read_bytes(Path(path))
    table = _table(file, "line intensities", [known for known in TABLES if known.intensities is not None])
    return () if table.intensities is None else tuple(table.intensities(file))


def read_scan(path: Path | str) -> TwoThetaScan:
    """A 2-theta scan of a wavelength-dispersive spectrometer."""
    return two_theta_scan.read(_read_bytes(Path(path)))


def _table(file: SpectrumBytes, what: str, known: Sequence[TableFormat]) -> TableFormat:
    head = file.content[:HEAD_BYTES]
    for table in known:
        if table.recognises(head):
            return table
    raise UnknownFormatError(
        file.path,
        found=f"is no table of {what} that xrfree knows",
        remedy=f"Known tables: {', '.join(table.name for table in known)}",
    )


def read_measurement(
    path: Path | str, *, profile: ReaderProfile | Path | str | None = None, specimen: str | None = None
) -> Measurement:
    """The measurement in a spectrum file of any known format.

    Parameters
    ----------
    path : the file.
    profile : what the file does not say; a ReaderProfile, or the path of one.
    specimen : which measurement of a file that holds several.

    Raises SpectrumFileError for a file that cannot be used, with its place and a remedy.
    """
    found = _measurements(Path(path), profile)
    first = next(found, None)
    if first is None:
        raise SpectrumFileError(path, found="holds no spectrum", remedy="Export the spectra again")
    if specimen is None:
        if next(found, None) is not None:
            raise SpectrumFileError(
                path,
                found="holds more than one measurement",
                remedy=f"Read it with read_measurements (or read_stack), or name one, e.g. specimen={first.specimen!r}",
            )
        return first
    for measurement in chain([first], found):
        if measurement.specimen == specimen:
            return measurement
    raise SpectrumFileError(
        path, found=f"holds no measurement of {specimen!r}", remedy="List them with read_measurements"
    )


def read_measurements(
    path: Path | str, *, profile: ReaderProfile | Path | str | None = None
) -> tuple[Measurement, ...]:
    """All measurements in a spectrum file of any known format: one, or several where a file holds several tests."""
    return tuple(_measurements(Path(path), profile))


def _measurements(path: Path, profile: ReaderProfile | Path | str | None) -> Iterator[Measurement]:
    file = _read_bytes(path)
    stated = load_profile(profile) if isinstance(profile, Path | str) else profile
    chosen = _choose(file, stated)
    if stated is not None and chosen is not delimited.FORMAT and stated.layout_keys():
        raise SpectrumFileError(
            file.path,
            found=f"is of the format {chosen.name}, but the profile sets {', '.join(stated.layout_keys())}, "
            "which only delimited text has",
            remedy="Remove these keys from the profile",
        )
    return chosen.measurements(file, stated)


def format_name(path: Path | str) -> str:
    """Name of the format of a spectrum file or table, by its content; UnknownFormatError for another file."""
    file = _read_bytes(Path(path))
    head = file.content[:HEAD_BYTES]
    for table in TABLES:
        if table.recognises(head):
            return table.name
    return "2-theta scan" if two_theta_scan.recognises(head) else _choose(file, None).name


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
    *known_ones, last = _ours_first()
    for known in known_ones:
        if known.recognises(head):
            return known
    _refuse_table(file, head)
    if last.recognises(head):
        return last
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


def _refuse_table(file: SpectrumBytes, head: bytes) -> None:
    """Refuse tables of results and of line intensities, and name the function that reads them."""
    for table in TABLES:
        if table.recognises(head):
            verbs = {"read_results": table.results, "read_intensities": table.intensities}
            raise SpectrumFileError(
                file.path,
                found=f"is a table ({table.name}), not a spectrum",
                remedy=f"Read it with {' or '.join(verb for verb, reads in verbs.items() if reads is not None)}",
            )
    if two_theta_scan.recognises(head):
        raise SpectrumFileError(file.path, found="is a 2-theta scan, not a spectrum", remedy="Read it with read_scan")


def _refuse_misnamed(file: SpectrumBytes, named: SpectrumFormat) -> None:
    """All of our formats but delimited text are known by how a file starts."""
    if named in FORMATS[:-1]:
        raise UnknownFormatError(
            file.path,
            found=f"has the suffix of {named.name}, but starts with {file.content[:16]!r}, which such a file does not",
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
