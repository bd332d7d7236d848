"""`xrfree calibrate` and `xrfree calibrate-instrument`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from xrfree.areas import FitVerdict
from xrfree.atomic import parse_formula
from xrfree.batch.assaying import partly_matched, specimen_of
from xrfree.batch.catalogue import Inputs
from xrfree.calibration import ExcludedStandard
from xrfree.calibration_fit import calibrate
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.documents import Documents, load_documents, load_spectra, note_digestions
from xrfree.documents.calibration import write_calibration
from xrfree.documents.certificates import load_certificates
from xrfree.documents.curve_tables import load_exclusions
from xrfree.documents.instrument import write_instrument
from xrfree.documents.specimens import SpecimenEntry
from xrfree.errors import DomainError, XrfreeError
from xrfree.instrument_fit import InstrumentFit, PureCompound, calibrate_instrument
from xrfree.quantification import matched_conditions, prepare
from xrfree.report.files import prepare_folder, replacing
from xrfree.report.page import write_fit_report
from xrfree.report.refused import Refusal
from xrfree.report.terminal import calibration_table
from xrfree.spectrum import Measurement

STANDARD_ROLES = frozenset({"standard", "blank"})
PURE_ROLE = "pure"

Checked = TypeVar("Checked")


def run(
    paths: Sequence[Path],
    *,
    method: Path,
    certificates: Path,
    out: Path,
    instrument: Path | None,
    specimens: Path | None,
    profile: Path | None,
    name: str,
    exclude: Path | None = None,
    force_digestion: bool = False,
) -> int:
    """Calibrate with all standards among the measurements but those that `exclude` leaves out, with reasons."""
    documents = load_documents(method, instrument=instrument, specimens=specimens)
    materials = {material.name: material for material in load_certificates(certificates)}
    prepare_folder(out.resolve().parent)
    inputs = load_spectra(paths, profile=profile, exclude=[method, certificates, out, instrument, specimens])
    prepared = prepare(documents.method, documents.instrument)
    exclusions = () if exclude is None else load_exclusions(exclude)
    standards = _not_excluded(_with_role(inputs, documents.specimens), exclusions)

    def checked(measurement: Measurement) -> Measurement:
        if measurement.specimen not in materials:
            raise XrfreeError(
                f"there is no certificate called {measurement.specimen!r} in {certificates}. "
                "Add it, or leave this specimen out."
            )
        specimen_of(measurement, documents.method, documents.specimens)
        return matched_conditions(measurement, documents.method)

    usable, refusals = _usable(standards, inputs, checked)
    console.note_refusals(refusals)
    used = {measurement.specimen: materials[measurement.specimen] for measurement in usable}
    note_digestions(used.values(), set(documents.method.quantified_elements), forced=force_digestion)
    console.compile_kernels()
    with console.waiting(f"calibrating with {len(usable)} standards"):
        found = calibrate(
            {measurement.specimen: measurement for measurement in usable},
            used,
            {m.specimen: specimen_of(m, documents.method, documents.specimens) for m in usable},
            prepared,
            name=name or out.stem,
            force_digestion=force_digestion,
        )
    found = replace(found, exclusions=exclusions)
    with replacing(out) as partial:
        write_calibration(partial, found)
    console.show(calibration_table(found))
    console.say(f"{len(usable)} standards used. Calibration: {out.resolve()}")
    return REFUSED if refusals else OK


def _with_role(inputs: Inputs, entries: Mapping[str, SpecimenEntry] | None) -> list[Measurement]:
    """Measurements that may serve as standards: all, unless a list of specimens gives them another role."""
    standards: list[Measurement] = []
    others: list[Measurement] = []
    for measurement in inputs.measurements:
        entry = (entries or {}).get(measurement.specimen)
        standing = entry is None or not entry.role or entry.role in STANDARD_ROLES
        (standards if standing else others).append(measurement)
    _note_left_out(others, "their role is not standard or blank")
    return standards


def _not_excluded(standards: Sequence[Measurement], exclusions: Sequence[ExcludedStandard]) -> list[Measurement]:
    """Standards without the excluded ones; spectra are calibrated as a whole: an exclusion is for all line groups."""
    for exclusion in exclusions:
        if exclusion.curve:
            raise XrfreeError(
                f"{exclusion.material} is to be left out of {exclusion.curve} only; a calibration of spectra leaves a "
                "standard out of all line groups. Empty the column curve."
            )
    gone = {exclusion.material for exclusion in exclusions}
    absent = gone - {standard.specimen for standard in standards}
    if absent:
        raise XrfreeError(f"{', '.join(sorted(absent))} cannot be left out: there is no such standard.")
    return [standard for standard in standards if standard.specimen not in gone]


def _note_left_out(measurements: Sequence[Measurement], why: str) -> None:
    if measurements:
        names = ", ".join(measurement.specimen for measurement in measurements[:8])
        more = f" and {len(measurements) - 8} more" if len(measurements) > 8 else ""
        console.note(f"left out: {names}{more} ({why})")


def _usable(
    measurements: Sequence[Measurement], inputs: Inputs, checked: Callable[[Measurement], Checked]
) -> tuple[list[Checked], list[Refusal]]:
    """What `checked` makes of the measurements, and refusals of those that it does not like."""
    usable: list[Checked] = []
    refusals = list(inputs.refusals)
    for measurement in measurements:
        try:
            usable.append(checked(measurement))
        except XrfreeError as error:
            refusals += inputs.refused(measurement.specimen, error)
    if not usable:
        console.note_refusals(refusals)
        raise XrfreeError("no measurement is left to calibrate with; the reasons stand above.")
    return usable, refusals


def run_instrument(
    paths: Sequence[Path],
    *,
    method: Path,
    specimens: Path,
    out: Path,
    instrument: Path | None,
    profile: Path | None,
    report: Path | None,
) -> int:
    """Calibrate the instrument with all compounds and mixtures of known formulas among the measurements."""
    documents = load_documents(method, instrument=instrument, specimens=specimens)
    prepare_folder(out.resolve().parent)
    inputs = load_spectra(paths, profile=profile, exclude=[method, out, instrument, specimens])
    compounds = _compounds(documents)
    pure = [m for m in inputs.measurements if m.specimen in compounds]
    others = [m for m in inputs.measurements if m.specimen not in compounds]
    _note_left_out(others, "not listed with a formula")
    usable, refusals = _usable(pure, inputs, lambda m: partly_matched(m, documents.method))
    console.note_refusals(refusals)
    console.compile_kernels()
    with console.waiting(f"calibrating the instrument with {len(usable)} compounds"):
        found = calibrate_instrument(
            {measurement.specimen: measurement for measurement in usable},
            {measurement.specimen: compounds[measurement.specimen] for measurement in usable},
            documents.method,
            documents.instrument,
        )
    with replacing(out) as partial:
        write_instrument(partial, found.instrument)
    _tell_fits(found)
    if report is not None:
        _write_page(report, found, documents)
        console.say(f"Fits: {report.resolve()}")
    console.say(f"{len(usable)} compounds used. Instrument: {out.resolve()}")
    return REFUSED if refusals else OK


def _compounds(documents: Documents) -> dict[str, PureCompound]:
    """Compounds of the specimen list: those with formulas, or with the role pure and a formula as name."""
    compounds = {}
    for name, entry in (documents.specimens or {}).items():
        named = {name: 1.0} if entry.role == PURE_ROLE and _is_formula(name) else {}
        if contents := entry.contents or named:
            compounds[name] = PureCompound(contents=contents, specimen=entry.specimen)
    return compounds


def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except DomainError:
        return False
    return True


def _tell_fits(found: InstrumentFit) -> None:
    for label, areas in zip(found.labels, found.fits, strict=True):
        reason = "" if areas.verdict is FitVerdict.GOOD else f": {areas.reason}"
        console.say(f"  {label}: {areas.verdict}, deviance per degree of freedom {areas.reduced_deviance:.2f}{reason}")


def _write_page(path: Path, found: InstrumentFit, documents: Documents) -> None:
    facts = (
        ("Instrument", found.instrument.name),
        ("Method", f"{documents.method.name} (sha256 {documents.method.sha256})"),
        ("Atomic data", found.instrument.tables),
    )
    write_fit_report(
        path,
        list(zip(found.labels, found.fits, strict=True)),
        created=dt.datetime.now().astimezone(),
        title="Instrument calibration",
        facts=facts,
    )
