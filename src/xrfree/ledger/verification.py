"""Whether a chain of records is as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xrfree.errors import LedgerError
from xrfree.ledger.people import Person, person_of
from xrfree.ledger.records import FIELDS, FIRST, Record, record_digest
from xrfree.ledger.signing import signature_is_valid
from xrfree.ledger.store import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was written; seq 0 where no single record is meant."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Number and digest of a record, noted outside of the ledger: on a certificate, in a mail, on paper."""

    seq: int
    digest: str

    @classmethod
    def of(cls, text: str) -> Anchor:
        """An anchor as `str` writes it: "17:ab12..."."""
        number, _, digest = text.strip().partition(":")
        if not number.isascii() or not number.isdigit() or len(digest) != 64:
            raise LedgerError(f"an anchor is written NUMBER:DIGEST (64 digits), not {text.strip()[:80]!r}.")
        return cls(seq=int(number), digest=digest)

    def __str__(self) -> str:
        """The anchor as it is written."""
        return f"{self.seq}:{self.digest}"


def verify_ledger(ledger: Ledger, *, anchors: Iterable[Anchor] = ()) -> list[Finding]:
    """Everything that was changed, removed, inserted or reordered in a ledger; empty if nothing was.

    The head that the ledger keeps beside its records shows records that are missing at the end. Somebody who rewrites
    both is found by an anchor that was noted elsewhere.
    """
    findings: list[Finding] = []
    try:
        findings += [Finding(seq=0, problem=f"the file is damaged: {what}") for what in ledger.damage()]
        head = Anchor(seq=(stated := ledger.head())[0], digest=stated[1])
        findings += verify_chain(ledger.records(), head=head, anchors=anchors)
    except (LedgerError, ValueError, TypeError) as error:
        findings.append(Finding(seq=0, problem=f"the file cannot be read to its end: {error}"))
    return findings


def verify_chain(records: Iterable[Record], *, head: Anchor, anchors: Iterable[Anchor] = ()) -> Iterator[Finding]:
    """Check records in the order of their numbers against digests, signatures, the stated end, and anchors."""
    noted = {anchor.seq: anchor.digest for anchor in anchors}
    people: dict[str, Person] = {}
    last, previous = 0, FIRST
    for record in records:
        problems = list(_record_problems(record, last, previous, people))
        if (expected := noted.pop(record.seq, record.digest)) != record.digest:
            problems.append(f"is not the record that was anchored as {expected}")
        yield from (Finding(seq=record.seq, problem=problem) for problem in problems)
        last, previous = record.seq, record.digest
        if record.kind == "person" and not problems:
            person = person_of(record)
            people[person.name] = person
    if (head.seq, head.digest) != (last, previous):
        yield Finding(
            seq=last, problem=f"is the last record, but the ledger noted {head} as its last: records are missing or new"
        )
    for seq in sorted(noted):
        yield Finding(seq=seq, problem="was anchored and is not here any more")


def _record_problems(record: Record, last: int, previous: str, people: dict[str, Person]) -> Iterator[str]:
    strange = [name for name in FIELDS if not isinstance(getattr(record, name), int if name == "seq" else str)]
    if strange:
        yield f"{', '.join(strange)} cannot be read as what was written"
        return
    if record.seq != last + 1:
        yield f"follows record {last}: records between them were removed or renumbered"
    if record.previous != previous:
        yield "does not continue the record before it: one of them was changed, removed, inserted or moved"
    if record_digest(record) != record.digest:
        yield "was changed: its content and its digest do not agree"
    yield from _signature_problems(record, people)
    try:
        json.loads(record.content)
    except ValueError:
        yield "holds no readable content"


def _signature_problems(record: Record, people: dict[str, Person]) -> Iterator[str]:
    person = people.get(record.actor)
    if person is not None and person.public_key and record.signer != person.public_key:
        yield f"is by {record.actor}, but not signed with the key of {record.actor}"
    if not record.signer:
        if record.signature:
            yield "has a signature of nobody"
    elif not signature_is_valid(digest=record.digest, signature=record.signature, public_key=record.signer):
        yield "has a signature that is not valid"
