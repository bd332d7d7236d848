"""`xrfree ledger`: look at the record, check it, export it, and act in it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xrfree.cli import FAILED, OK, console
from xrfree.cli.recording import Hand, checked_signer, document_entry
from xrfree.documents._base import document_sha256, load_toml
from xrfree.documents.assays import assay_of
from xrfree.errors import DomainError, LedgerError
from xrfree.ledger.acts import Story, amend, amended, certificate_number, certificates_of, release, story
from xrfree.ledger.package import export_package, verify_package
from xrfree.ledger.people import Person, Role, introduce
from xrfree.ledger.records import Record
from xrfree.ledger.signing import create_key
from xrfree.ledger.store import Ledger, entry
from xrfree.ledger.verification import Anchor, verify_ledger
from xrfree.report.terminal import printable

DOCUMENT_KINDS = ("method", "instrument", "calibration", "gate", "chart", "note")
MOST_TOLD = 50


def opened(place: str, *, create: bool = False) -> Ledger:
    """The ledger at a place, which must exist unless it may be made."""
    if not place:
        raise LedgerError("which ledger? Name it with --ledger, or in the variable XRFREE_LEDGER.")
    return Ledger(place, create=create)


def run_verify(place: str, anchors: Sequence[str]) -> int:
    """Check a ledger or a package; say which record is not as it was written."""
    noted = tuple(Anchor.of(_anchor_text(text)) for text in anchors)
    if Path(place).suffix.lower() == ".zip" or (Path(place).is_file() and zipfile.is_zipfile(place)):
        findings = verify_package(Path(place), anchors=noted)
    else:
        with opened(place) as ledger:
            findings = verify_ledger(ledger, anchors=noted)
            if not findings:
                seq, digest = ledger.head()
                console.say(f"{seq} records, none changed. Last: {Anchor(seq=seq, digest=digest)}")
                return OK
    if not findings:
        console.say("The package is as it was written.")
        return OK
    for finding in findings[:MOST_TOLD]:
        where = f"record {finding.seq} " if finding.seq else ""
        console.say(printable(f"{where}{finding.problem}"))
    if len(findings) > MOST_TOLD:
        console.say(f"... and {len(findings) - MOST_TOLD} more findings")
    return FAILED


def _anchor_text(text: str) -> str:
    """An anchor as given, or the first line of the file that holds it."""
    path = Path(text)
    if not path.is_file():
        return text
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[0] if lines else ""


def run_anchor(place: str, out: Path | None) -> int:
    """Show number and digest of the last record, to be kept elsewhere."""
    with opened(place) as ledger:
        seq, digest = ledger.head()
    text = str(Anchor(seq=seq, digest=digest))
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    console.say(text)
    return OK


def run_show(place: str, name: str, *, as_json: bool) -> int:
    """Tell the whole story of a result."""
    with opened(place) as ledger:
        told = story(ledger, name)
        certificates = certificates_of(ledger, told.result)
    if as_json:
        records = (told.result, *told.documents, *told.later, *certificates)
        console.say(json.dumps([_plain(record) for record in records], indent=1))
        return OK
    for line in _story_lines(told, certificates):
        console.say(printable(line))
    return OK


def _plain(record: Record) -> dict[str, Any]:
    head = ("seq", "created", "kind", "subject", "actor", "signer", "previous", "digest", "signature")
    return {**{name: getattr(record, name) for name in head}, "content": record.data}


def _story_lines(told: Story, certificates: Sequence[Record]) -> list[str]:
    data, recipe = told.result.data, told.result.data.get("recipe", {})
    lines = [f"{told.result.subject}: record {told.result.seq}, {told.result.created}, by {_by(told.result)}"]
    lines.append(f"  digest {told.result.digest}")
    columns = ("components", "mass_fraction", "standard_uncertainty", "verdicts")
    for component, w, u, verdict in zip(*(data.get(name, []) for name in columns), strict=False):
        lines.append(f"  {component:3} {w:.6g} kg/kg, standard uncertainty {u:.2g} ({verdict})")
    for path, sha in zip(recipe.get("sources", []), recipe.get("source_sha256", []), strict=False):
        lines.append(f"  from {path}, sha256 {sha}")
    kinds = ("method", "instrument", "calibration")
    lines += [f"  {kind} {recipe.get(kind, '')}, sha256 {recipe.get(f'{kind}_sha256', '') or '-'}" for kind in kinds]
    if status := recipe.get("calibration_status"):
        lines.append(f"  the calibration was {status} then")
    lines.append(f"  atomic data {recipe.get('tables', '')}; xrfree {recipe.get('software_version', '')}")
    for record in told.documents:
        lines.append(f"  {record.kind} recorded as {record.seq} from {record.data.get('path', '')}")
        materials = sorted({str(p["material"]) for p in record.data.get("document", {}).get("points", ())})
        if materials:
            lines.append(f"    reference materials: {', '.join(materials)}")
    for record in told.later:
        lines.append(f"  {record.kind}: record {record.seq}, {record.created}, by {_by(record)}")
        told_of = (key for key in ("reason", "changes", "statement") if record.data.get(key))
        lines += [f"    {key}: {record.data[key]}" for key in told_of]
    for record in certificates:
        number = certificate_number(record, prefix=str(record.data.get("prefix", "")))
        lines.append(f"  certificate {number}: record {record.seq}, {record.created}, by {_by(record)}")
    lines.append("  released" if told.released else "  not released")
    return lines


def _by(record: Record) -> str:
    return record.actor + (f", signed with {record.signer[:16]}..." if record.signer else ", not signed")


def run_export(place: str, out: Path) -> int:
    """Write the package."""
    with opened(place) as ledger:
        head = export_package(ledger, out)
    console.say(f"Package: {out.resolve()}\nLast record: {head}")
    return OK


def run_amend(place: str, name: str, changes: Sequence[str], reason: str, hand: Hand) -> int:
    """Amend a result."""
    with opened(place) as ledger:
        wanted = _changes(changes)
        _check_changes(amended(story(ledger, name)), wanted)
        record = amend(ledger, name, wanted, reason=reason, actor=hand.actor, signer=hand.signer())
    console.say(f"Amendment: record {record.seq}. The original stays.")
    return OK


def _check_changes(data: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse names that a result does not have, and values with which it would be none."""
    unknown = [name for name in changes if name not in data]
    if unknown:
        raise LedgerError(f"a result has no {unknown[0]!r}. It has: {', '.join(sorted(data))}.")
    try:
        assay_of({**data, **changes})
    except (DomainError, LookupError, TypeError, ValueError) as error:
        raise LedgerError(
            f"with {', '.join(changes)} changed so, the record would be no result any more ({error}). Write values as "
            "`xrfree ledger show --json` has them."
        ) from error


def _changes(texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it can be read as such."""
    changes: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise LedgerError(f"a change is written NAME=VALUE, not {text!r}.")
        try:
            changes[name.strip()] = json.loads(value)
        except ValueError:
            changes[name.strip()] = value
    return changes


def run_release(place: str, names: Sequence[str], statement: str, hand: Hand) -> int:
    """Release results."""
    with opened(place) as ledger:
        for name in names:
            record = release(ledger, name, actor=hand.actor, statement=statement, signer=hand.signer())
            console.say(printable(f"{record.subject} released: record {record.seq}"))
    return OK


def run_key(path: Path, password: str) -> int:
    """Make a key pair."""
    signer = create_key(path, password=password)
    console.say(f"Private key: {path.resolve()} (keep it to yourself)\nPublic key: {signer.public_key}")
    return OK


def run_person(place: str, name: str, roles: Sequence[str], public_key: str, hand: Hand) -> int:
    """Introduce a person, or change their roles and key."""
    try:
        known = tuple(Role(role) for role in roles)
    except ValueError as error:
        raise LedgerError(f"{error}: roles are {', '.join(Role)}.") from error
    with opened(place, create=True) as ledger:
        person = Person(name=name, roles=known, public_key=public_key)
        record = introduce(ledger, person, actor=hand.actor, signer=hand.signer())
    console.say(printable(f"{name} is {', '.join(known) or 'without a role'}: record {record.seq}"))
    return OK


def run_add(place: str, kind: str, path: Path, hand: Hand) -> int:
    """Record a document: a gate, a control chart, a method ..."""
    if kind not in DOCUMENT_KINDS:
        raise LedgerError(f"{kind!r} is no kind of document; there are {', '.join(DOCUMENT_KINDS)}.")
    if path.suffix.lower() == ".json":
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LedgerError(f"{path} is not readable JSON ({error}).") from error
        new = entry(kind, path.stem, {"document": data, "path": str(path)})
    else:
        new = document_entry(kind, path, document_sha256(load_toml(path)))
    with opened(place, create=True) as ledger:
        records = ledger.append([new], actor=hand.actor, signer=checked_signer(ledger, hand))
    console.say(f"{kind}: record {records[0].seq}" if records else "This document is recorded already.")
    return OK


def run_list(place: str, kind: str, subject: str) -> int:
    """One line for each record."""
    with opened(place) as ledger:
        for record in ledger.records(kind=kind or None, subject=subject or None):
            told = (record.created[:19], record.kind, record.subject, record.actor, record.digest[:16])
            console.say(printable("  ".join([f"{record.seq:6}", *told])))
    return OK
