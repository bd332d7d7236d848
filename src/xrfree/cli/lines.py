"""`xrfree calibrate-lines` and `xrfree assay-lines`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from xrfree.assay import Assay
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.documents import note_digestions
from xrfree.curves.assaying import assay_lines
from xrfree.curves.calibrating import Standard, calibrate_lines, theory_of
from xrfree.curves.drift import DriftCorrection, drift_corrections, without_drift
from xrfree.curves.lifecycle import require_usable
from xrfree.curves.models import Factors
from xrfree.curves.pls import pls_comparison
from xrfree.curves.rates import LineRates, corrected_rates
from xrfree.curves.review import review_lines
from xrfree.documents.calibration import load_calibration, write_calibration
from xrfree.documents.certificates import load_certificates
from xrfree.documents.conformity import load_conformity
from xrfree.documents.curve_tables import load_exclusions, load_monitors
from xrfree.documents.instrument import load_instrument
from xrfree.documents.line_method import line_method_instrument_path, load_line_method
from xrfree.documents.specimens import SpecimenEntry, load_specimens, roles_of
from xrfree.errors import XrfreeError
from xrfree.intensities import LineIntensities
from xrfree.line_method import LineMethod
from xrfree.readers import read_intensities
from xrfree.report.calibration_page import write_calibration_report, write_calibration_workbook
from xrfree.report.files import prepare_folder, replacing
from xrfree.report.page import write_report
from xrfree.report.refused import Refusal, one_line
from xrfree.report.tables import write_refused_csv, write_tables
from xrfree.report.terminal import assay_table, caveats, doubts


def calibrate(
    tables: Sequence[Path],
    *,
    method: Path,
    certificates: Path,
    specimens: Path,
    out: Path,
    exclude: Path | None,
    report: Path | None,
    workbook: Path | None,
    pls: bool,
    force_digestion: bool,
    name: str,
) -> int:
    """Calibrate with all specimens of the tables that have a certificate."""
    procedure = load_line_method(method)
    conformity = load_conformity(method)
    materials = {material.name: material for material in load_certificates(certificates)}
    entries = load_specimens(specimens)
    exclusions = () if exclude is None else load_exclusions(exclude)
    prepare_folder(out.resolve().parent)
    measured = [one for table in tables for one in read_intensities(table)]
    usable = [one for one in measured if one.specimen in materials]
    others = [one.specimen for one in measured if one.specimen not in materials]
    if others:
        console.note(f"left out: {', '.join(others[:8])} (no certificate of that name)")
    if not usable:
        raise XrfreeError(f"no specimen of the tables has a certificate in {certificates}. The names must agree.")
    theory, instrument_sha256 = None, ""
    if procedure.excitation is not None:
        instrument = load_instrument(line_method_instrument_path(method))
        theory, instrument_sha256 = theory_of(procedure, instrument), instrument.sha256
    standards = [
        Standard(
            material=materials[one.specimen],
            specimen=_entry(one, entries, specimens).specimen,
            rates=corrected_rates(one, procedure.corrections),
            force_digestion=force_digestion,
        )
        for one in usable
    ]
    used = {standard.material.name: standard.material for standard in standards}
    note_digestions(used.values(), set(procedure.analytes), forced=force_digestion)
    with console.waiting(f"fitting {len(procedure.models)} curves to {len(standards)} standards"):
        found = calibrate_lines(
            procedure,
            standards,
            theory,
            name=name or out.stem,
            exclusions=exclusions,
            candidates=list(materials.values()),
            instrument_sha256=instrument_sha256,
        )
    with replacing(out) as partial:
        write_calibration(partial, found.calibration)
    review = review_lines(replace(found, calibration=load_calibration(out)), materials)  # with its identity
    if report is not None:
        write_calibration_report(report, review, created=dt.datetime.now().astimezone(), conformity=conformity)
        console.say(f"Page: {report.resolve()}")
    if workbook is not None:
        write_calibration_workbook(workbook, review)
        console.say(f"Workbook: {workbook.resolve()}")
    for curve in review.curves:
        console.say(
            f"  {curve.name}: {len(curve.regression.observations.distinct_materials)} materials, leave-one-out rms "
            f"{1e6 * curve.left_out.rms:.3g} mg/kg, extra scatter {100.0 * curve.regression.scatter:.2g} %"
        )
    if pls:
        _say_partial_least_squares(procedure, standards)
    if conformity is not None:
        console.say(conformity.statement())
    console.say(f"A draft until it is approved (xrfree calibration-status). Calibration: {out.resolve()}")
    return OK


def _say_partial_least_squares(method: LineMethod, standards: Sequence[Standard]) -> None:
    for analyte in method.analytes:
        found = pls_comparison(analyte, standards)
        console.say(
            f"  {analyte} by partial least squares ({found.n_components} components): leave-one-out rms "
            f"{1e6 * found.leave_one_out_rms:.3g} mg/kg"
        )


def _entry(measured: LineIntensities, entries: Mapping[str, SpecimenEntry], path: Path) -> SpecimenEntry:
    if measured.specimen not in entries:
        raise XrfreeError(f"{path.name} does not list {measured.specimen}. Add its form, density and thickness.")
    return entries[measured.specimen]


def assay(
    tables: Sequence[Path],
    *,
    method: Path,
    calibration: Path,
    specimens: Path,
    out: Path,
    drift: Path | None,
    trial: bool,
    superseded: bool = False,
) -> int:
    """Assay all specimens of the tables; those that cannot be are refused, each with its reason."""
    procedure = load_line_method(method)
    curves = load_calibration(calibration)
    require_usable(curves, drafts=trial, superseded=superseded)
    entries = load_specimens(specimens)
    corrections = {} if drift is None else drift_corrections(load_monitors(drift))
    prepare_folder(out)
    factors = Factors()
    if procedure.excitation is not None:
        instrument = load_instrument(line_method_instrument_path(method))
        if curves.instrument_sha256 not in ("", instrument.sha256):
            raise XrfreeError(f"{calibration.name} was made with another instrument document than {instrument.name}.")
        factors = Factors(theory_of(procedure, instrument))
    assays: list[Assay] = []
    refusals: list[Refusal] = []
    for table in tables:
        for measured in read_intensities(table):
            try:
                rates = _rates(measured, procedure, corrections)
                entry = _entry(measured, entries, specimens)
                assays.append(assay_lines(rates, curves, procedure, factors, entry.specimen, sources=measured.sources))
            except XrfreeError as error:
                refusals.append(Refusal(path=str(table), specimen=measured.specimen, reason=one_line(error)))
    console.note_refusals(refusals)
    write_tables(out, assays, refusals, roles=roles_of(entries))
    write_refused_csv(out / "refused.csv", refusals)
    write_report(out / "report.html", assays, refusals, created=dt.datetime.now().astimezone())
    if assays:
        results = console.results()
        results.print(assay_table(assays, width=results.width))
    for line in (*doubts(assays), *caveats(assays)):
        console.say(line)
    conformity = load_conformity(method)
    if conformity is not None:
        console.say(conformity.statement())
    console.say(f"{len(assays)} specimens assayed, {len(refusals)} refused. Results: {out.resolve()}")
    return REFUSED if refusals else OK


def _rates(measured: LineIntensities, method: LineMethod, drift: Mapping[str, DriftCorrection]) -> LineRates:
    return without_drift(corrected_rates(measured, method.corrections), drift)
