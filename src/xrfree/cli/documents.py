"""The documents that a command names, read and checked before any spectrum is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from xrfree.batch.catalogue import Inputs, read_inputs
from xrfree.batch.inputs import find_inputs
from xrfree.calibration import Calibration
from xrfree.cli import console
from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method, method_instrument_path
from xrfree.documents.specimens import SpecimenEntry, load_specimens
from xrfree.errors import XrfreeError
from xrfree.instrument import Instrument
from xrfree.method import Method
from xrfree.readers import load_profile
from xrfree.reference import ReferenceMaterial
from xrfree.report.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What a command works with; None where nothing was given."""

    method: Method
    instrument: Instrument
    calibration: Calibration | None = None
    specimens: dict[str, SpecimenEntry] | None = None


def load_documents(
    method: Path,
    *,
    instrument: Path | None = None,
    calibration: Path | None = None,
    specimens: Path | None = None,
) -> Documents:
    """Load all documents; the instrument is the one that the method names unless another is given."""
    return Documents(
        method=load_method(method),
        instrument=load_instrument(instrument or method_instrument_path(method)),
        calibration=None if calibration is None else load_calibration(calibration),
        specimens=None if specimens is None else load_specimens(specimens),
    )


def note_digestions(materials: Iterable[ReferenceMaterial], elements: Set[str], *, forced: bool) -> None:
    """Say which values of these elements come from digestions that leave part of them undissolved."""
    for material in materials:
        values = [value.component for value in material.refused_values() if elements & value.elements]
        if values:
            done = "used all the same (--force-digestion)" if forced else "not used"
            why = "by a digestion that leaves part of them undissolved"
            console.note(printable(f"{material.name}: {', '.join(values)} {why}; {done}"))


def spectrum_files(paths: Sequence[Path], *, exclude: Sequence[Path | None]) -> tuple[Path, ...]:
    """Spectrum files among paths; an error if there is none to be found.

    exclude : documents of the same command, which may lie among the spectra.
    """
    files = find_inputs(paths, exclude=exclude)
    if not files:
        places = ", ".join(str(path) for path in paths)
        raise XrfreeError(f"no spectrum file found in {places}. Name spectrum files, or a folder that holds some.")
    return files


def load_spectra(paths: Sequence[Path], *, profile: Path | None, exclude: Sequence[Path | None]) -> Inputs:
    """Find and read all spectra into memory."""
    stated = None if profile is None else load_profile(profile)
    files = spectrum_files(paths, exclude=[*exclude, profile])
    with console.progress("reading") as progress:
        return read_inputs(files, profile=stated, progress=progress)
