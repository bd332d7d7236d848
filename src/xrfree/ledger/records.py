"""Records and their digests: what is hashed, and over which bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from xrfree.errors import LedgerError

RECORD_SCHEMA = "xrfree/record/1"
FIRST = "0" * 64
"""What stands for the predecessor of the first record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to be recorded.

    kind : "result", "refusal", "method", "person", "amendment" ...
    subject : what it is about, e.g. the name of a specimen.
    content : canonical text (`canonical_text`) of the data.
    key : identity that may stand in the ledger once only; empty for none.
    """

    kind: str
    subject: str
    content: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One link of the chain; all digests and keys are hexadecimal.

    digest = SHA-256 over the canonical text of all fields but digest and signature, with the content replaced by its
    own SHA-256. signature : Ed25519 over the 32 bytes of the digest; empty exactly if signer is.
    """

    seq: int
    created: str
    kind: str
    subject: str
    key: str
    actor: str
    signer: str
    content: str
    previous: str
    digest: str
    signature: str

    @property
    def data(self) -> dict[str, Any]:
        """The content as plain data."""
        found = json.loads(self.content)
        if not isinstance(found, dict):
            raise LedgerError(f"record {self.seq} does not hold a table of values. Run: xrfree ledger verify")
        return found


FIELDS = tuple(field.name for field in fields(Record))


def canonical_text(data: Mapping[str, Any]) -> str:
    """JSON with sorted keys, no white space, ASCII only, floats by `repr`; no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_text(text: str) -> str:
    """SHA-256 (hex) of a text in UTF-8; what UTF-8 cannot hold is escaped."""
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()


def record_digest(record: Record) -> str:
    """What the digest of a record must be."""
    head = {name: getattr(record, name) for name in FIELDS if name not in ("content", "digest", "signature")}
    return sha256_text(canonical_text({**head, "schema": RECORD_SCHEMA, "content_sha256": sha256_text(record.content)}))


def clean(text: str) -> str:
    """A name as every database can hold it: what is no UTF-8 text, and the character 0, are escaped."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8").replace("\0", "\\0")
