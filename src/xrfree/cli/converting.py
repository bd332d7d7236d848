"""`xrfree convert`: spectra of any known format as HDF5, EMSA or CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from xrfree.batch.inputs import find_inputs, read_file, refusal
from xrfree.cli import OK, REFUSED, console
from xrfree.errors import DomainError, XrfreeError
from xrfree.readers import load_profile, write_csv, write_emsa, write_hdf5
from xrfree.report.refused import Refusal
from xrfree.spectrum import Measurement

_SUFFIXES = {".h5": "hdf5", ".hdf5": "hdf5", ".nxs": "hdf5", ".msa": "emsa", ".emsa": "emsa", ".csv": "csv"}
_ENDINGS = {"hdf5": ".h5", "emsa": ".msa", "csv": ".csv"}
_LONGEST_NAME = 100


def run(paths: Sequence[Path], *, to: str = "", profile: Path | None = None) -> int:
    """Convert all inputs; what cannot be read is refused, and the rest converted all the same."""
    *inputs, out = paths
    if not inputs:
        raise XrfreeError("convert needs at least one input and an output: xrfree convert IN... OUT")
    kind = output_kind(out, to)
    stated = None if profile is None else load_profile(profile)
    measurements: list[Measurement] = []
    refusals: list[Refusal] = []
    for path in find_inputs(inputs, exclude=[profile, out]):
        try:
            measurements += read_file(path, stated)
        except XrfreeError as error:
            refusals.append(refusal(path, "", error))
    n_spectra = sum(len(measurement.spectra) for measurement in measurements)
    if measurements:
        unwritten = write_measurements(out, kind, measurements)
        n_spectra -= len(unwritten)
        refusals += unwritten
    console.note_refusals(refusals)
    what = f"{n_spectra} spectra of {len(measurements)} measurements converted"
    console.say(f"{what}, {len({refusal.path for refusal in refusals})} files refused")
    return REFUSED if refusals or not measurements else OK


def output_kind(out: Path, to: str) -> str:
    """The format asked for, by name or by the suffix of the output."""
    by_suffix = _SUFFIXES.get(out.suffix.lower(), "") if not out.is_dir() else ""
    if to and to not in _ENDINGS:
        raise XrfreeError(f"--to {to} is not a format to write; known: {', '.join(_ENDINGS)}")
    if to and by_suffix and to != by_suffix:
        raise XrfreeError(f"the suffix of {out} says {by_suffix}, but --to says {to}. Leave one of them out.")
    if not (to or by_suffix):
        raise XrfreeError(f"{out} names no format. Give --to {', --to '.join(_ENDINGS)}, or a suffix such as .h5.")
    return to or by_suffix


def write_measurements(out: Path, kind: str, measurements: Sequence[Measurement]) -> list[Refusal]:
    """Write into one file, or into a folder with one file per spectrum (per measurement for HDF5).

    Returns what a folder's format cannot hold; the rest is written all the same.
    """
    single = out.suffix.lower() in _SUFFIXES and not out.is_dir()
    if single and kind == "hdf5":
        write_hdf5(out, measurements)
        return []
    spectra = [(measurement, name) for measurement in measurements for name in measurement.spectra]
    if single and len(spectra) > 1:
        raise XrfreeError(
            f"{out} can hold one spectrum, but there are {len(spectra)}. Give a folder with --to {kind}, or a .h5 file."
        )
    if single:
        _writer(kind)(out, *spectra[0])
        return []
    out.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    refusals = []
    for measurement, name in spectra if kind != "hdf5" else [(measurement, "") for measurement in measurements]:
        try:
            _writer(kind)(out / _file_name(measurement.specimen, name, _ENDINGS[kind], taken), measurement, name)
        except DomainError as error:
            source = measurement.sources[0].path if measurement.sources else measurement.specimen
            refusals.append(refusal(Path(source), measurement.specimen, error))
    return refusals


def _writer(kind: str) -> Callable[[Path, Measurement, str], None]:
    def hdf5(path: Path, measurement: Measurement, _: str) -> None:
        write_hdf5(path, [measurement])

    return {"emsa": write_emsa, "csv": write_csv, "hdf5": hdf5}[kind]


def _file_name(specimen: str, condition: str, ending: str, taken: set[str]) -> str:
    """A name that every file system takes, not used before in this run."""
    stem = re.sub(r"[^A-Za-z0-9.+-]+", "_", f"{specimen}.{condition}" if condition else specimen)
    stem = stem.strip("._")[:_LONGEST_NAME] or "spectrum"
    name, n = stem + ending, 1
    while name.lower() in taken:
        n += 1
        name = f"{stem}-{n}{ending}"
    taken.add(name.lower())
    return name
