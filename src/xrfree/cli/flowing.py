"""`xrfree flow`: balances, gross errors, diagrams, and the custody of lots."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from xrfree.assay import Assay
from xrfree.cli import OK, REFUSED, console
from xrfree.cli.ledgering import opened
from xrfree.cli.recording import Hand, checked_signer, document_entry
from xrfree.documents.assays import assay_of
from xrfree.documents.flowsheet import FlowDocument, load_flowsheet, specimens_of
from xrfree.errors import XrfreeError
from xrfree.flow.gross_errors import Verdict, find_gross_errors, unaccounted
from xrfree.flow.lots import Lot, Plausibility, fits_parts, fits_source
from xrfree.ledger.acts import amended, story
from xrfree.ledger.records import canonical_text, sha256_text
from xrfree.ledger.store import Ledger, entry
from xrfree.report.files import prepare_folder, write_text
from xrfree.report.flow_page import (
    SIGNIFICANT,
    FlowFindings,
    flow_diagram,
    write_balance_csv,
    write_custody_page,
    write_flow_page,
)
from xrfree.report.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    sheet: Path
    out: Path
    ledger: str = ""
    false_alarm: float = 0.05
    hand: Hand = field(default_factory=Hand)


def run(request: Request) -> int:
    """Balance a flow sheet, check its lots, write pages and tables."""
    names = specimens_of(request.sheet)
    if names and not request.ledger:
        raise XrfreeError(f"{request.sheet.name} names specimens ({names[0]} ...): give the ledger with their assays.")
    assays, digests = _assays(request.ledger, names) if request.ledger else ({}, [])
    document = load_flowsheet(request.sheet, assays)
    prepare_folder(request.out)
    plausibility = [p for lot in document.lots.values() for p in _checks(lot, document)]
    records = [*digests, *_recorded(request, document)]
    for lot in document.lots.values():
        page = request.out / f"lot-{_file_name(lot.name)}.html"
        write_custody_page(page, lot, document.lots, plausibility, created=_now(), records=records)
    verdict = None
    if document.sheet is not None:
        verdict = find_gross_errors(document.sheet, false_alarm=request.false_alarm)
        _write_balance(request, document, verdict, plausibility)
    _tell(document, verdict, plausibility, request.out)
    suspicious = bool(verdict and verdict.gross_errors) or any(p.doubtful for p in plausibility)
    return REFUSED if suspicious else OK


def _now() -> dt.datetime:
    return dt.datetime.now().astimezone()


def _assays(place: str, names: Sequence[str]) -> tuple[dict[str, list[Assay]], list[tuple[str, str]]]:
    """Assays of specimens as the ledger has them, amendments included; and digests of their records."""
    found: dict[str, list[Assay]] = {}
    digests = []
    with opened(place) as ledger:
        for name in names:
            told = story(ledger, name)
            found[name] = [assay_of(amended(told))]
            digests.append((f"assay of {name}, record {told.result.seq}", told.result.digest))
    return found, digests


def _checks(lot: Lot, document: FlowDocument) -> list[Plausibility]:
    checks = []
    if lot.declared_source:
        pattern = document.sources.get(lot.declared_source)
        if pattern is None:
            raise XrfreeError(
                f"lot {lot.name} declares the source {lot.declared_source!r}, whose pattern the document does not give."
            )
        checks.append(fits_source(lot, pattern))
    blend = fits_parts(lot, document.lots)
    return [*checks, blend] if blend is not None else checks


def _recorded(request: Request, document: FlowDocument) -> list[tuple[str, str]]:
    """Record flow sheet and lots where a ledger is given."""
    if not request.ledger:
        return []
    with opened(request.ledger, create=True) as ledger:
        entries = [document_entry("flowsheet", request.sheet, document.sha256)]
        for lot in document.lots.values():
            data = _lot_data(lot)
            entries.append(entry("lot", lot.name, data, key=f"lot:{sha256_text(canonical_text(data))}"))
        signer = checked_signer(ledger, request.hand)
        ledger.append(entries, actor=request.hand.actor, signer=signer)
        return _digests(ledger, [e.key for e in entries])


def _digests(ledger: Ledger, keys: Sequence[str]) -> list[tuple[str, str]]:
    numbers = sorted(ledger.with_keys(keys).values())
    return [(f"{r.kind} {r.subject}, record {r.seq}", r.digest) for r in ledger.records(numbers=numbers)]


def _lot_data(lot: Lot) -> Mapping[str, object]:
    moisture = None if lot.moisture is None else [lot.moisture.value, lot.moisture.standard_uncertainty]
    return {
        "name": lot.name,
        "stage": str(lot.stage),
        "wet_mass_kg": [lot.wet_mass.value, lot.wet_mass.standard_uncertainty],
        "moisture": moisture,
        "contents": dict(zip(lot.contents.components, lot.contents.mass_fraction.tolist(), strict=True)),
        "covariance": lot.contents.covariance.tolist(),
        "made_of": [[part.lot, part.wet_mass_kg] for part in lot.made_of],
        "step": lot.step,
        "custody": [[c.party, c.location, c.since, c.event] for c in lot.custody],
        "declared_source": lot.declared_source,
        "specimens": list(lot.specimens),
    }


def _file_name(name: str) -> str:
    """A name that every file system takes, and that no other lot has."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


def _write_balance(
    request: Request, document: FlowDocument, verdict: Verdict, plausibility: Sequence[Plausibility]
) -> None:
    balance = verdict.balance
    findings = FlowFindings(
        verdict=verdict,
        unaccounted=unaccounted(balance.sheet),
        plausibility=plausibility,
        mass_unit=document.mass_unit,
        sha256=document.sha256,
    )
    write_flow_page(request.out / "flow.html", findings, created=_now())
    write_balance_csv(request.out / "balance.csv", verdict)
    for quantity in ("mass", *balance.sheet.components):
        write_text(request.out / f"flow-{quantity}.svg", flow_diagram(balance, quantity, document.mass_unit))
    recoveries = {
        stream.name: {
            c: [(r := balance.recovery(c, stream.name)).value, _finite(r.standard_uncertainty)]
            for c in balance.sheet.components
        }
        for stream in balance.sheet.streams
        if stream.target == "outside"
    }
    told = {
        "schema": "xrfree/balance/1",
        "global_test": {"objective": verdict.first.objective, "freedom": verdict.first.freedom},
        "probability": verdict.first.probability,
        "gross_errors": [[e.stream, e.quantity, e.statistic] for e in verdict.gross_errors],
        "recoveries": recoveries,
    }
    write_text(request.out / "balance.json", json.dumps(told, indent=1, allow_nan=False) + "\n")


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _tell(document: FlowDocument, verdict: Verdict | None, plausibility: Sequence[Plausibility], out: Path) -> None:
    if verdict is not None:
        first = verdict.first
        console.say(
            f"Global test: sum of squares {first.objective:.1f} for {first.freedom} degrees of freedom, "
            f"probability {first.probability:.2g}"
        )
        for error in verdict.gross_errors:
            expected = f"{error.estimate.value:.6g} ± {error.estimate.standard_uncertainty:.2g}"
            console.say(
                printable(
                    f"{error.stream}: the {error.quantity} {error.measured:.6g} contradicts the others, which say "
                    f"{expected} (|z| = {error.statistic:.1f})"
                )
            )
        for row in unaccounted(verdict.balance.sheet):
            if row.significance > SIGNIFICANT:
                amount = f"{row.imbalance:.6g} ± {row.standard_uncertainty:.2g} kg"
                console.say(printable(f"{row.step}: {amount} of {row.quantity} unaccounted"))
    for p in plausibility:
        if p.doubtful:
            console.say(printable(f"{p.lot} does not fit: {p.question}, probability {p.probability:.2g} ({p.worst})"))
    console.say(f"{len(document.lots)} lots. Pages and tables in {out.resolve()}")
