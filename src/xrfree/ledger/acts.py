"""What people do to results: amend and release them. The original always stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xrfree.errors import LedgerError
from xrfree.ledger.people import Role, authorise
from xrfree.ledger.records import Record
from xrfree.ledger.signing import Signer
from xrfree.ledger.store import Ledger, entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that the ledger knows of one result.

    documents : the records of the documents it was made with.
    later : amendments and releases, in order.
    """

    result: Record
    documents: tuple[Record, ...]
    later: tuple[Record, ...]

    @property
    def released(self) -> Record | None:
        """The release that is in force: the last one, unless an amendment came after it."""
        return self.later[-1] if self.later and self.later[-1].kind == "release" else None


def amended(told: Story) -> dict[str, Any]:
    """The content of a result as it is to be read now: the original with its amendments."""
    data = told.result.data
    for record in told.later:
        if record.kind == "amendment":
            data.update(record.data["changes"])
    return data


def document_key(kind: str, sha256: str, *, second_person: bool = False) -> str:
    """Key of a document's record; whether results need a second person is no part of a document's identity."""
    return f"{kind}:{sha256}" + (":second person" if second_person else "")


def result_record(ledger: Ledger, name: str) -> Record:
    """A result by the number of its record, or the last one of a specimen."""
    if name.isascii() and name.isdigit():
        numbered = [r for r in ledger.records(numbers=[int(name)]) if r.kind == "result"]
        if numbered:
            return numbered[0]
    found = list(ledger.records(kind="result", subject=name))
    if not found:
        raise LedgerError(f"the ledger has no result {name!r}. Give the number of its record, or the specimen's name.")
    return found[-1]


def story(ledger: Ledger, name: str) -> Story:
    """The whole story of a result."""
    result = result_record(ledger, name)
    recipe = result.data.get("recipe", {})
    digests = {kind: recipe.get(f"{kind}_sha256", "") for kind in ("method", "instrument", "calibration")}
    keys = [
        document_key(kind, sha256, second_person=flag) for kind, sha256 in digests.items() for flag in (False, True)
    ]
    numbers = list(ledger.with_keys(keys).values())
    later = [
        record
        for kind in ("amendment", "release")
        for record in ledger.records(kind=kind, subject=result.subject)
        if record.data.get("record") == result.seq
    ]
    return Story(
        result=result,
        documents=tuple(ledger.records(numbers=sorted(numbers))),
        later=tuple(sorted(later, key=lambda record: record.seq)),
    )


def certificate_number(record: Record, *, prefix: str) -> str:
    """Number of a certificate, from that of its record: it is never given twice."""
    return f"{prefix}-{record.created[:4]}-{record.seq:06d}"


def certificates_of(ledger: Ledger, result: Record) -> list[Record]:
    """Records of the certificates that state a result, in order."""
    issued = ledger.records(kind="certificate")
    return [record for record in issued if result.digest in record.data.get("results", {}).values()]


def amend(
    ledger: Ledger, name: str, changes: Mapping[str, Any], *, reason: str, actor: str, signer: Signer | None = None
) -> Record:
    """Record what replaces parts of a result, and why; a release before it is no longer in force."""
    authorise(ledger, actor, (Role.REVIEWER, Role.APPROVER), signer)
    if not reason.strip():
        raise LedgerError("an amendment needs a reason. Say why with --reason.")
    result = result_record(ledger, name)
    data = {"record": result.seq, "amends": result.digest, "changes": dict(changes), "reason": reason}
    return ledger.append([entry("amendment", result.subject, data)], actor=actor, signer=signer)[0]


def release(ledger: Ledger, name: str, *, actor: str, statement: str = "", signer: Signer | None = None) -> Record:
    """Record that a result, with its amendments, may leave the laboratory.

    If the method says so, the person must be another one than those who recorded and amended it.
    """
    authorise(ledger, actor, (Role.APPROVER,), signer)
    told = story(ledger, name)
    involved = {told.result.actor, *(r.actor for r in told.later if r.kind == "amendment")}
    if actor in involved and needs_second_person(told):
        raise LedgerError(
            f"{told.result.subject}: {actor} recorded or amended it; its method wants a second person to release it."
        )
    data = {
        "record": told.result.seq,
        "releases": told.result.digest,
        "amendments": [record.digest for record in told.later if record.kind == "amendment"],
        "statement": statement,
    }
    return ledger.append([entry("release", told.result.subject, data)], actor=actor, signer=signer)[0]


def needs_second_person(told: Story) -> bool:
    """Whether the method of a result wants it released by somebody else."""
    methods = (record for record in told.documents if record.kind == "method")
    return any(bool(record.data.get("document", {}).get("second_person_release", False)) for record in methods)
