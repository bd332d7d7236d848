"""`xrfree assay` and `xrfree demo`."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from xrfree.assay import Assay
from xrfree.batch.assaying import Book, Tally, Task, record_batch, recorded_assays
from xrfree.batch.catalogue import Catalogue, catalogue
from xrfree.batch.cluster import LOCAL, Cluster
from xrfree.batch.curves import CurveFolder
from xrfree.batch.gating import duplicate_results, gate_report, spectra_findings
from xrfree.batch.identity import procedure_identity
from xrfree.batch.inputs import natural_order
from xrfree.batch.work import Chain, ChainTogether
from xrfree.batch.workers import Crew, Processes, ThisProcess
from xrfree.block_quantification import works_in_blocks
from xrfree.cli import HELD, OK, REFUSED, console
from xrfree.cli.documents import Documents, load_documents, spectrum_files
from xrfree.cli.recording import Hand, checked_signer, document_entry
from xrfree.cli.status import StatusFile
from xrfree.curves.lifecycle import require_usable
from xrfree.documents.certificates import load_certificates
from xrfree.documents.method import method_instrument_path
from xrfree.documents.shipped import shipped_path
from xrfree.documents.specimens import roles_of
from xrfree.documents.worklist import load_worklist, sample_names
from xrfree.errors import XrfreeError
from xrfree.ledger.store import Ledger, entry
from xrfree.quality.gating import Finding, GateReport, Outcome, asks_for_spectra
from xrfree.quantification import Prepared, prepare
from xrfree.readers import load_profile
from xrfree.reference import ReferenceMaterial
from xrfree.report.files import prepare_folder
from xrfree.report.gates import gate_lines, gates_document, verdict_of_batch, write_gates_csv
from xrfree.report.page import MOST_PLOTTED, write_report
from xrfree.report.tables import MOST_IN_JSON, write_refused_csv, write_tables
from xrfree.report.terminal import assay_table, caveats, doubts, printable

DEMO_METHOD = "iron-ore-edxrf.toml"
DEMO_INSTRUMENT = "example-edxrf.toml"
LEDGER_NAME = "ledger.sqlite"
MOST_ON_PAGE = 1000
"""Specimens on the page; a page of more would be too large to open."""
MOST_ON_TERMINAL = 200


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
    certificates: Path | None = None
    jobs: int = 1
    scheduler: str = ""
    ledger: str = ""
    hand: Hand = field(default_factory=Hand)
    retry: bool = False
    worklist: Path | None = None
    keep_fits: bool = False
    status: Path | None = None
    title: str = "Assay report"
    superseded: bool = False

    @property
    def documents(self) -> list[Path | None]:
        """Documents, which may lie among the spectra."""
        return [self.method, self.instrument, self.calibration, self.specimens, self.certificates, self.worklist]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything ready to assay with; roles : by specimen, as far as a list says them."""

    prepared: Prepared
    task: Task
    book: Book
    crew: Crew
    curves: CurveFolder
    roles: Mapping[str, str]


def run(request: Request) -> int:
    """Assay what was asked for, write all outputs, show the results."""
    documents = load_request(request)
    materials = () if request.certificates is None else load_certificates(request.certificates)
    status = StatusFile(request.status)
    listed = _catalogue(request, status)
    console.compile_kernels()
    before = _before_the_batch(documents, listed)
    with open_ledger(request) as ledger:
        desk = prepare_desk(request, documents, ledger, most=len(listed.specimens))
        tally = _record(request, desk, listed, status)
        status.writing(tally)
        numbers = in_order_of_names(tally)
        gates = _gates(documents, desk, tally, before, materials)
        kept = numbers if request.keep_fits else numbers[:MOST_PLOTTED]
        desk.curves.forget_others(record.key for record in ledger.records(numbers=kept))
        write_results(request, desk, tally, numbers, gates)
        show_results(request, desk, tally, numbers, gates)
    held = gates is not None and gates.outcome is Outcome.HOLD
    code = HELD if held else REFUSED if tally.refusals else OK
    status.ended(tally, code)
    return code


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


def load_request(request: Request) -> Documents:
    """Load the documents, refuse a superseded calibration, and make sure that results can be written."""
    documents = load_documents(
        request.method,
        instrument=request.instrument,
        calibration=request.calibration,
        specimens=request.specimens,
    )
    if documents.calibration is not None:
        require_usable(documents.calibration, drafts=True, superseded=request.superseded)
    prepare_folder(request.out)
    return documents


def open_ledger(request: Request) -> Ledger:
    """The ledger asked for, else the one in the folder of the results."""
    return Ledger(request.ledger or request.out / LEDGER_NAME)


def prepare_desk(request: Request, documents: Documents, ledger: Ledger, *, most: int) -> Desk:
    """Make everything ready, and record the documents.

    most : specimens there are; more workers are not started.
    """
    prepared = prepare(documents.method, documents.instrument, documents.calibration)
    book = Book(ledger=ledger, actor=request.hand.actor, signer=checked_signer(ledger, request.hand))
    _record_documents(request, documents, book)
    return Desk(
        prepared=prepared,
        task=Task(
            quantification=Chain(prepared=prepared),
            together=ChainTogether(prepared=prepared) if works_in_blocks(documents.method) else None,
            method=documents.method,
            procedure=procedure_identity(documents.method, documents.instrument, documents.calibration),
            specimens=documents.specimens,
            retry=request.retry,
        ),
        book=book,
        crew=_crew(request, most),
        curves=CurveFolder(request.out / "fits"),
        roles=roles_of(documents.specimens),
    )


def _record_documents(request: Request, documents: Documents, book: Book) -> None:
    instrument = request.instrument or method_instrument_path(request.method)
    entries = [
        document_entry("method", request.method, documents.method.sha256),
        document_entry("instrument", instrument, documents.instrument.sha256),
    ]
    if request.calibration is not None and documents.calibration is not None:
        entries.append(document_entry("calibration", request.calibration, documents.calibration.sha256))
    book.ledger.append(entries, actor=book.actor, signer=book.signer)


def _crew(request: Request, most: int) -> Crew:
    jobs = min(request.jobs or os.cpu_count() or 1, most)
    if request.scheduler:
        return Cluster(request.scheduler, jobs=jobs)
    return Processes(jobs) if jobs > 1 else ThisProcess()


def scheduler_of(*, scheduler: str, cluster: str) -> str:
    """Where the work is done: empty for this machine without a cluster."""
    if cluster not in ("", LOCAL):
        raise XrfreeError(f"--cluster is {cluster!r}; the only cluster made here is 'local'. For others: --scheduler.")
    if scheduler and cluster:
        raise XrfreeError("--scheduler and --cluster exclude each other. Give one of them.")
    return scheduler or cluster


def _catalogue(request: Request, status: StatusFile) -> Catalogue:
    stated = None if request.profile is None else load_profile(request.profile)
    files = spectrum_files(request.paths, exclude=[*request.documents, request.profile])
    items = {} if request.worklist is None else load_worklist(request.worklist)
    names = {} if request.worklist is None else sample_names(request.worklist, items)
    with console.progress("reading") as progress:

        def told(done: int, total: int) -> None:
            status.reading(done, total)
            if progress is not None:
                progress(done, total)

        listed = catalogue(files, profile=stated, names=names, progress=told)
    for missing in [item for item in items if item not in listed.specimens]:
        console.note(printable(f"no spectrum of {missing}, which the worklist expects"))
    return listed


def _record(request: Request, desk: Desk, listed: Catalogue, status: StatusFile) -> Tally:
    total = len(listed.specimens)
    drawn = frozenset(islice(listed.specimens, total if request.keep_fits else MOST_PLOTTED))
    try:
        with console.tally("assaying", total) as progress:

            def told(tally: Tally) -> None:
                status.assaying(tally, total)
                if progress is not None:
                    progress(tally)

            told(Tally())
            return record_batch(
                listed.arrivals(),
                desk.task,
                desk.book,
                desk.crew,
                refusals=listed.refusals,
                curves=desk.curves,
                drawn=drawn,
                progress=told,
            )
    except KeyboardInterrupt:
        console.note(
            "Interrupted. What was assayed is recorded: run the same command again, and it goes on from there."
        )
        raise


def _before_the_batch(documents: Documents, listed: Catalogue) -> list[Finding]:
    """Findings of the instrument gates, told at once: who reads them may stop the batch."""
    if not asks_for_spectra(documents.method.gates):
        return []
    found = spectra_findings(listed.arrivals(), documents.method, documents.specimens)
    for line in gate_lines(GateReport(findings=tuple(found))):
        console.note(f"before the batch: {line}")
    return found


def _gates(
    documents: Documents,
    desk: Desk,
    tally: Tally,
    before: Sequence[Finding],
    materials: Sequence[ReferenceMaterial],
) -> GateReport | None:
    """What the gates of the method say of the batch, recorded; None where it has none."""
    if not documents.method.gates:
        return None
    numbers = in_order_of_names(tally)
    report = gate_report(
        recorded_assays(desk.book.ledger, numbers),
        before,
        desk.prepared,
        specimens=documents.specimens,
        certificates={material.name: material for material in materials},
    )
    found = {"results": numbers, "duplicates": duplicate_results(documents.specimens, tally.numbers)}
    told = entry("gates", documents.method.name, {**gates_document(report), **found})
    desk.book.ledger.append([told], actor=desk.book.actor, signer=desk.book.signer)
    return report


def in_order_of_names(tally: Tally) -> list[int]:
    """Numbers of the records of all results, in the order of the specimens' names."""
    return [tally.numbers[name] for name in sorted(tally.numbers, key=natural_order)]


def write_results(
    request: Request, desk: Desk, tally: Tally, numbers: Sequence[int], gates: GateReport | None = None
) -> None:
    """Write all outputs from what the ledger holds."""
    json_too = len(numbers) <= MOST_IN_JSON
    told = None if gates is None else gates_document(gates)
    assays = recorded_assays(desk.book.ledger, numbers, with_areas=json_too)
    write_tables(request.out, assays, tally.refusals, json_too=json_too, gates=told, roles=desk.roles)
    if gates is not None:
        write_gates_csv(request.out / "gates.csv", gates)
    write_refused_csv(request.out / "refused.csv", tally.refusals)
    if not json_too:
        console.note(
            f"assays.json is not written for more than {MOST_IN_JSON} specimens. assays.csv has all results, and the "
            "ledger everything (xrfree results -o results.json, xrfree ledger export -o lab.zip)."
        )
    write_report(
        request.out / "report.html",
        shown_assays(desk, numbers, MOST_ON_PAGE),
        tally.refusals[:MOST_ON_PAGE],
        created=dt.datetime.now().astimezone(),
        title=request.title,
        left_out=(max(0, len(numbers) - MOST_ON_PAGE), max(0, len(tally.refusals) - MOST_ON_PAGE)),
        gates=gates,
    )


def shown_assays(desk: Desk, numbers: Sequence[int], most: int) -> list[Assay]:
    """The first assays, with the curves that are known."""
    return list(recorded_assays(desk.book.ledger, numbers[:most], curves=desk.curves))


def show_results(
    request: Request, desk: Desk, tally: Tally, numbers: Sequence[int], gates: GateReport | None = None
) -> None:
    """Table of the analytes, doubts and refusals, and where everything is."""
    shown = shown_assays(desk, numbers, MOST_ON_TERMINAL)
    if shown:
        console.show(assay_table(shown, width=console.results().width))
    for line in (*doubts(shown), *caveats(shown)):
        console.say(line)
    if len(numbers) > len(shown):
        console.say(f"... and {len(numbers) - len(shown)} more specimens, in assays.csv")
    console.note_refusals(tally.refusals[:MOST_ON_TERMINAL])
    if len(tally.refusals) > MOST_ON_TERMINAL:
        console.note(f"... and {len(tally.refusals) - MOST_ON_TERMINAL} more refused files, in refused.csv")
    if gates is not None:
        for line in gate_lines(gates):
            console.note(line)
        console.say(f"Batch {verdict_of_batch(gates)}.")
    known = f" ({tally.recognised} of them before, found in the ledger)" if tally.recognised else ""
    console.say(
        f"{len(numbers)} specimens assayed{known}, {len(tally.refusals)} files refused. Tables in {request.out}"
    )
    console.say(f"Report: {(request.out / 'report.html').resolve()}")
