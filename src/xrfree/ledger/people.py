"""Who may do what: operators record, reviewers amend, approvers release."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xrfree.errors import LedgerError
from xrfree.ledger.records import Record
from xrfree.ledger.signing import Signer
from xrfree.ledger.store import Ledger, entry


class Role(StrEnum):
    """What a person may do beyond reading."""

    OPERATOR = "operator"
    REVIEWER = "reviewer"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who acts in the ledger; with a public key (hex), every record of theirs must be signed."""

    name: str
    roles: tuple[Role, ...]
    public_key: str = ""


def person_of(record: Record) -> Person:
    """The person that a record introduces."""
    data = record.data
    try:
        roles = tuple(Role(role) for role in data["roles"])
        return Person(name=str(data["name"]), roles=roles, public_key=str(data["public_key"]))
    except (KeyError, ValueError) as error:
        raise LedgerError(f"record {record.seq} does not describe a person ({error}).") from error


def people(ledger: Ledger) -> dict[str, Person]:
    """Everybody as last recorded, by name."""
    found = (person_of(record) for record in ledger.records(kind="person"))
    return {person.name: person for person in found}


def introduce(ledger: Ledger, person: Person, *, actor: str, signer: Signer | None = None) -> Record:
    """Record a person, or their new roles and key; once there is an approver, only an approver may."""
    known = people(ledger)
    if any(Role.APPROVER in other.roles for other in known.values()):
        authorise(ledger, actor, (Role.APPROVER,), signer)
    data = {"name": person.name, "roles": [str(role) for role in person.roles], "public_key": person.public_key}
    return ledger.append([entry("person", person.name, data)], actor=actor, signer=signer)[0]


def authorise(ledger: Ledger, actor: str, roles: tuple[Role, ...], signer: Signer | None) -> Person:
    """The person who acts, if one of these roles is theirs and the key is; else LedgerError."""
    person = people(ledger).get(actor)
    wanted = " or ".join(roles)
    if person is None:
        raise LedgerError(f"{actor} is not known to this ledger. Let an approver run: xrfree ledger person {actor} ...")
    if not set(roles) & set(person.roles):
        raise LedgerError(
            f"{actor} is {', '.join(person.roles) or 'without a role'}; this needs a person who is {wanted}."
        )
    check_key(person, signer)
    return person


def check_key(person: Person, signer: Signer | None) -> None:
    """Refuse an act of somebody who has a key and does not use it."""
    if person.public_key and (signer is None or signer.public_key != person.public_key):
        raise LedgerError(f"records of {person.name} must be signed with the key of {person.name}. Give it with --key.")
