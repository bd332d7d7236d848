"""Where results are recorded, and by whom: options that commands of the ledger share."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from xrfree.documents._base import canonical_json, load_toml
from xrfree.errors import XrfreeError
from xrfree.ledger.acts import document_key
from xrfree.ledger.people import check_key, people
from xrfree.ledger.records import Entry
from xrfree.ledger.signing import Signer, load_key
from xrfree.ledger.store import Ledger, entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Who acts: a name, and the file of a private key where records are to be signed."""

    name: str = ""
    key: Path | None = None

    @property
    def actor(self) -> str:
        """The name given, else that of the environment or of the account."""
        if self.name or os.environ.get("XRFREE_OPERATOR"):
            return self.name or os.environ["XRFREE_OPERATOR"]
        try:
            return getpass.getuser()
        except (OSError, KeyError, ImportError) as error:
            raise XrfreeError("nobody knows who works here. Give a name with --operator.") from error

    def signer(self) -> Signer | None:
        """The key given, with its password from the environment; None where there is none."""
        return None if self.key is None else load_key(self.key, password=os.environ.get("XRFREE_KEY_PASSWORD", ""))


def checked_signer(ledger: Ledger, hand: Hand) -> Signer | None:
    """The key of whoever acts; an error if the ledger knows this person with another one."""
    signer = hand.signer()
    person = people(ledger).get(hand.actor)
    if person is not None:
        check_key(person, signer)
    return signer


def document_entry(kind: str, path: Path, identity: str) -> Entry:
    """The record of a document that results are made with."""
    data: dict[str, Any] = json.loads(canonical_json(load_toml(path)))
    content = {
        "document": data,
        "path": str(path),
        "file_sha256": sha256(path.read_bytes()).hexdigest(),
        "sha256": identity,
    }
    key = document_key(kind, identity, second_person=bool(data.get("second_person_release", False)))
    return entry(kind, str(data.get("name", path.stem)), content, key=key)
