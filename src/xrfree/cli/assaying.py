"""`xrfree assay` and `xrfree demo`."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xrfree.batch.assaying import BatchResult, assay_batch
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.documents import load_documents, load_spectra
from xrfree.documents.shipped import shipped_path
from xrfree.quantification import prepare
from xrfree.report.files import prepare_folder
from xrfree.report.page import write_report
from xrfree.report.tables import write_assays_csv, write_assays_json, write_refused_csv
from xrfree.report.terminal import assay_table, doubts

DEMO_METHOD = "iron-ore-edxrf.toml"
DEMO_INSTRUMENT = "example-edxrf.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    paths: Sequence[Path]
    method: Path
    out: Path
    instrument: Path | None = None
    calibration: Path | None = None
    specimens: Path | None = None
    profile: Path | None = None
    jobs: int = 1
    title: str = "Assay report"


def run(request: Request) -> int:
    """Assay what was asked for, write all outputs, show the results."""
    result = _assay(request)
    written = write_results(request.out, result, title=request.title)
    show_results(result, written)
    return REFUSED if result.refusals else OK


def run_demo(out: Path, *, jobs: int = 1) -> int:
    """Assay the shipped spectra in the way of all others."""
    console.note("xrfree demo: assaying the example spectra, made by xrfree's own model of the spectrometer.")
    spectra = shipped_path("spectra", "demo")
    code = run(
        Request(
            paths=[spectra],
            method=shipped_path("methods", DEMO_METHOD),
            out=out,
            instrument=shipped_path("fitted", DEMO_INSTRUMENT),
            calibration=shipped_path("fitted", DEMO_METHOD),
            specimens=spectra / "specimens.csv",
            jobs=jobs,
            title="Assay report: demonstration with simulated spectra",
        )
    )
    console.say(f"What the spectra were made of: {spectra / 'truth.csv'}")
    return code


def _assay(request: Request) -> BatchResult:
    documents = load_documents(
        request.method,
        instrument=request.instrument,
        calibration=request.calibration,
        specimens=request.specimens,
    )
    prepare_folder(request.out)
    given = [request.method, request.instrument, request.calibration, request.specimens]
    inputs = load_spectra(request.paths, profile=request.profile, exclude=given)
    console.note_compilation()
    prepared = prepare(documents.method, documents.instrument, documents.calibration)
    with console.progress("assaying") as progress:
        return assay_batch(
            inputs,
            prepared,
            specimens=documents.specimens,
            jobs=request.jobs or os.cpu_count() or 1,
            progress=progress,
        )


def write_results(out: Path, result: BatchResult, *, title: str) -> Path:
    """Write all outputs; return the path of the page."""
    write_assays_csv(out / "assays.csv", result.assays)
    write_assays_json(out / "assays.json", result.assays, result.refusals)
    write_refused_csv(out / "refused.csv", result.refusals)
    page = out / "report.html"
    write_report(page, result.assays, result.refusals, created=dt.datetime.now().astimezone(), title=title)
    return page


def show_results(result: BatchResult, page: Path) -> None:
    """Table of the analytes, doubts and refusals, and where everything is."""
    if result.assays:
        console.show(assay_table(result.assays, width=console.results().width))
    for line in doubts(result.assays):
        console.say(line)
    console.note_refusals(result.refusals)
    assayed, refused = len(result.assays), len(result.refusals)
    console.say(f"{assayed} specimens assayed, {refused} files refused. Tables in {page.parent}")
    console.say(f"Report: {page.resolve()}")
