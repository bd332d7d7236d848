"""`xrfree calibration-report`, `-status`, `-range`, `compare-calibrations` and `import-certificates`."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from rich.table import Table
from rich.text import Text

from xrfree.calibration import CalibrationStatus, ContentRange
from xrfree.cli import OK, console
from xrfree.curves.lifecycle import changed_models, compare_calibrations, with_range, with_status
from xrfree.curves.review import review_spectra
from xrfree.documents.calibration import load_calibration, write_calibration
from xrfree.documents.certificates import load_certificates, save_certificate
from xrfree.documents.conformity import load_conformity
from xrfree.errors import XrfreeError
from xrfree.report.calibration_page import write_calibration_report, write_calibration_workbook
from xrfree.report.files import prepare_folder, replacing
from xrfree.report.terminal import printable


def report(path: Path, *, out: Path, certificates: Path | None, method: Path | None, workbook: Path | None) -> int:
    """Write page and workbook of a calibration of spectra."""
    calibration = load_calibration(path)
    if not calibration.points:
        raise XrfreeError(
            f"{path.name} keeps no points of standards. Curves of line intensities are reviewed when they are made: "
            "xrfree calibrate-lines --report."
        )
    materials = () if certificates is None else load_certificates(certificates)
    review = review_spectra(calibration, {material.name: material for material in materials})
    conformity = None if method is None else load_conformity(method)
    write_calibration_report(out, review, created=dt.datetime.now().astimezone(), conformity=conformity)
    if workbook is not None:
        write_calibration_workbook(workbook, review)
    console.say(f"{len(review.curves)} curves reviewed. Page: {out.resolve()}")
    return OK


def change_status(path: Path, status: str, *, by: str, why: str) -> int:
    """Approve or supersede; the document is written anew, its numbers and its identity stay."""
    if status not in (CalibrationStatus.APPROVED, CalibrationStatus.SUPERSEDED):
        raise XrfreeError(f"'{status}' is no status a calibration can be given; say approved or superseded.")
    calibration = load_calibration(path)
    changed = with_status(
        calibration,
        CalibrationStatus(status),
        by=by,
        at=_now(),
        why=why,
    )
    with replacing(path) as partial:
        write_calibration(partial, changed)
    if load_calibration(path).sha256 != calibration.sha256:
        raise XrfreeError(f"{path.name} changed its identity when it was written. Restore it, and report this fault.")
    console.say(f"{calibration.name} is {status} now, by {by}: {why}")
    return OK


def set_range(path: Path, element: str, low: float, high: float, *, by: str, why: str, out: Path | None) -> int:
    """Set the range of one element; the result is a draft, and what was approved stays as it is."""
    calibration = load_calibration(path)
    if out is None and calibration.status is not CalibrationStatus.DRAFT:
        raise XrfreeError(
            f"{calibration.name} is {calibration.status}; its ranges stay. Give --out: a draft with the new range."
        )
    span = ContentRange(element=element, low=low, high=high, by=by, at=_now(), why=why)
    place = out or path
    prepare_folder(place.resolve().parent)
    with replacing(place) as partial:
        write_calibration(partial, with_range(calibration, span))
    console.say(f"{element} from {low:g} to {high:g} kg/kg of the specimen, by {by}: {why}. Draft: {place.resolve()}")
    return OK


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def compare(old: Path, new: Path) -> int:
    """Show what changed."""
    before, after = load_calibration(old), load_calibration(new)
    found = compare_calibrations(before, after)
    table = Table(title=f"{printable(new.name)} against {printable(old.name)}", title_justify="left")
    table.add_column("line group or curve", no_wrap=True)
    for heading in ("change, %", "u, %", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for difference in found:
        table.add_row(
            Text(printable(difference.name)),
            f"{100.0 * difference.relative:+.2f}",
            f"{100.0 * difference.standard_uncertainty:.2f}",
            "significant" if difference.significant else "",
        )
    if found:
        console.show(table)
    for a, b in changed_models(before, after):
        told = [f"{c.model.kind} ({len(c.model.terms)} coefficients)" for c in (a, b)]
        rms = [f"{1e6 * c.leave_one_out_rms:.3g}" for c in (a, b)]
        console.say(
            f"{a.model.analyte}: another model, {told[0]} -> {told[1]}; leave-one-out rms {rms[0]} -> {rms[1]} mg/kg"
        )
    return OK


def import_certificates(path: Path, *, out: Path) -> int:
    """Write one document per material."""
    materials = load_certificates(path)
    prepare_folder(out)
    for material in materials:
        name = re.sub(r"[^a-z0-9]+", "-", material.name.lower()).strip("-") or "material"
        save_certificate(material, out / f"{name}.toml", comment=f"Imported from {path.name}.")
        refused = [value.component for value in material.refused_values()]
        if refused:
            console.note(
                f"{material.name}: {', '.join(refused)} by a digestion that leaves part of them undissolved; "
                "calibrations will not use them"
            )
    console.say(f"{len(materials)} certificates in {out.resolve()}")
    return OK
