"""`xrfree results` and `xrfree certificate`: what leaves the laboratory, from the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xrfree.cli import OK, REFUSED, console
from xrfree.cli.ledgering import opened
from xrfree.cli.recording import Hand, checked_signer
from xrfree.documents.assays import assay_of
from xrfree.documents.laboratory import load_laboratory
from xrfree.documents.worklist import WorkItem, load_worklist
from xrfree.errors import LedgerError, XrfreeError
from xrfree.ledger.acts import Story, amended, certificate_number, story
from xrfree.ledger.store import Ledger, entry
from xrfree.report.certificate import (
    Certificate,
    CertifiedItem,
    Issuer,
    write_certificate_html,
    write_certificate_pdf,
)
from xrfree.report.files import prepare_folder
from xrfree.report.results import UNITS, ResultRow, write_results_file
from xrfree.report.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsRequest:
    """What `xrfree results` was asked for."""

    ledger: str
    out: Path
    worklist: Path | None = None
    samples: Sequence[str] = ()
    unit: str = "kg/kg"
    released_only: bool = False


def run_results(request: ResultsRequest) -> int:
    """Write results of a worklist, of named samples, or of all."""
    if request.unit not in UNITS:
        raise XrfreeError(f"--unit is {request.unit!r}; units are {', '.join(UNITS)}.")
    items = {} if request.worklist is None else load_worklist(request.worklist)
    rows: list[ResultRow] = []
    with opened(request.ledger) as ledger:
        names = [*items, *(name for name in request.samples if name not in items)] or _all_subjects(ledger)
        for name in names:
            rows += _rows(ledger, name, items.get(name), request)
    write_results_file(request.out, rows)
    absent = sorted({row.sample for row in rows if row.flag in ("missing", "refused")})
    for name in absent:
        console.note(printable(f"no result of {name}"))
    console.say(f"{len(names) - len(absent)} of {len(names)} samples: {request.out.resolve()}")
    return REFUSED if absent else OK


def _all_subjects(ledger: Ledger) -> list[str]:
    return list(dict.fromkeys(record.subject for record in ledger.records(kind="result")))


def _rows(ledger: Ledger, name: str, item: WorkItem | None, request: ResultsRequest) -> list[ResultRow]:
    order = "" if item is None else item.order
    try:
        told = story(ledger, name)
    except LedgerError:
        refused = list(ledger.records(kind="refusal", subject=name))
        reason = refused[-1].data["refused"][0]["reason"] if refused else "nothing was recorded of this sample"
        return [_empty_row(name, order, "refused" if refused else "missing", reason)]
    release = told.released
    if release is None and request.released_only:
        return [_empty_row(name, order, "missing", "the result is not released")]
    assay = assay_of(amended(told))
    factor = UNITS[request.unit]
    expanded = assay.expanded_uncertainty
    return [
        ResultRow(
            sample=name,
            order=order,
            component=component,
            result=factor * float(assay.mass_fraction[i]),
            unit=request.unit,
            expanded_uncertainty=factor * float(expanded[i]),
            coverage_factor=float(assay.coverage_factor),
            decision_limit=factor * float(assay.decision_limit[i]),
            detection_limit=factor * float(assay.detection_limit[i]),
            flag="" if assay.verdicts[i] == "detected" else str(assay.verdicts[i]),
            reason=assay.reasons[i],
            method=assay.recipe.method,
            released="" if release is None else f"{release.actor}, {release.created[:19]}",
            amended=any(record.kind == "amendment" for record in told.later),
            record=told.result.seq,
            digest=told.result.digest,
            calibration_status=assay.recipe.calibration_status,
        )
        for i, component in enumerate(assay.components)
    ]


def _empty_row(sample: str, order: str, flag: str, reason: str) -> ResultRow:
    return ResultRow(
        sample=sample,
        order=order,
        component="",
        result=None,
        unit="",
        expanded_uncertainty=None,
        coverage_factor=None,
        decision_limit=None,
        detection_limit=None,
        flag=flag,
        reason=reason,
        method="",
        released="",
        amended=False,
        record=None,
        digest="",
        calibration_status="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """What `xrfree certificate` was asked for."""

    ledger: str
    out: Path
    laboratory: Path
    samples: Sequence[str] = ()
    worklist: Path | None = None
    batch: bool = False
    draft: bool = False
    pdf: bool = True
    font: Path | None = None
    hand: Hand = field(default_factory=Hand)


def run_certificate(request: CertificateRequest) -> int:
    """Write a certificate for each sample, or one for all."""
    laboratory = load_laboratory(request.laboratory)
    worklist = {} if request.worklist is None else load_worklist(request.worklist)
    names = list(request.samples) or list(worklist)
    if not names:
        raise XrfreeError("a certificate of which samples? Name them, or give a worklist.")
    prepare_folder(request.out)
    issuer = Issuer(
        name=laboratory.name, address=laboratory.address, place=laboratory.place, remarks=laboratory.remarks
    )
    with opened(request.ledger) as ledger:
        stories = {name: story(ledger, name) for name in names}
        waiting = [name for name, told in stories.items() if told.released is None]
        if waiting and not request.draft:
            raise XrfreeError(
                f"{waiting[0]}: the result is not released. Release it (xrfree ledger release), or give --draft."
            )
        for group in [names] if request.batch else [[name] for name in names]:
            certificate = _certified(
                ledger, request, issuer, laboratory.prefix, {n: stories[n] for n in group}, worklist
            )
            _write(request, certificate)
    return OK


def _certified(
    ledger: Ledger,
    request: CertificateRequest,
    issuer: Issuer,
    prefix: str,
    stories: Mapping[str, Story],
    worklist: Mapping[str, WorkItem],
) -> Certificate:
    """Record the certificate first: the number of its record makes its own number unique."""
    content = {
        "results": {name: told.result.digest for name, told in stories.items()},
        "releases": {name: told.released.digest if told.released else "" for name, told in stories.items()},
        "laboratory": issuer.name,
        "prefix": prefix,
    }
    subject = next(iter(stories)) if len(stories) == 1 else f"{len(stories)} samples"
    signer = checked_signer(ledger, request.hand)
    record = ledger.append([entry("certificate", subject, content)], actor=request.hand.actor, signer=signer)[0]
    issued = dt.datetime.fromisoformat(record.created).date()
    return Certificate(
        number=certificate_number(record, prefix=prefix),
        issued=issued,
        issuer=issuer,
        items=tuple(_item(told, worklist.get(name)) for name, told in stories.items()),
        anchor=f"{record.seq}:{record.digest}",
    )


def _item(told: Story, work: WorkItem | None) -> CertifiedItem:
    release = told.released
    return CertifiedItem(
        assay=assay_of(amended(told)),
        customer=work.customer if work else "",
        description=work.description if work else "",
        condition=work.condition if work else "",
        received=work.received if work else "",
        sampled=work.sampled if work else "",
        sampling_plan=work.sampling_plan if work else "",
        performed=told.result.created[:10],
        authorised_by=release.actor if release else "",
        authorised_at=release.created[:19] if release else "",
        amendments=tuple(str(r.data["reason"]) for r in told.later if r.kind == "amendment"),
        record=told.result.seq,
        digest=told.result.digest,
    )


def _write(request: CertificateRequest, certificate: Certificate) -> None:
    path = request.out / f"{certificate.number}.html"
    write_certificate_html(path, certificate)
    console.say(f"Certificate: {path.resolve()}")
    if request.pdf:
        write_certificate_pdf(path.with_suffix(".pdf"), certificate, font=request.font)
        console.say(f"PDF: {path.with_suffix('.pdf').resolve()}")
