"""A ledger as one file that can be checked without the database: JSON-LD, CSV, and a program that needs only Python."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from xrfree.errors import LedgerError
from xrfree.ledger.records import FIELDS, RECORD_SCHEMA, Record
from xrfree.ledger.store import Ledger
from xrfree.ledger.verification import Anchor, Finding, verify_chain

PACKAGE_SCHEMA = "xrfree/ledger-package/1"
_GRAPH, _TABLE, _CHECK = "ledger.jsonld", "records.csv", "verify.py"
_VOCABULARY = "https://w3id.org/security#"
_CONTEXT = {
    "@vocab": "urn:xrfree:ledger:",
    "created": {"@id": "http://purl.org/dc/terms/created", "@type": "http://www.w3.org/2001/XMLSchema#dateTime"},
    "actor": "http://www.w3.org/ns/prov#wasAttributedTo",
    "previous": "http://www.w3.org/ns/prov#wasDerivedFrom",
    "digest": f"{_VOCABULARY}digestValue",
    "signature": f"{_VOCABULARY}proofValue",
}
_LONGEST_LINE = 2**28


def export_package(ledger: Ledger, path: Path) -> Anchor:
    """Write all records to a ZIP file, beside it under another name first; return the anchor of the last one."""
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as package:
            head = Anchor(seq=(stated := ledger.head())[0], digest=stated[1])
            _write_graph(package, ledger, head)
            _write_table(package, ledger, head)
            package.writestr(_CHECK, files("xrfree.ledger").joinpath("_check_package.py").read_text(encoding="utf-8"))
        partial.replace(path)
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be written ({error.strerror or error}). Check the folder and its space."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return head


def _until(ledger: Ledger, head: Anchor) -> Iterator[Record]:
    """Records up to the head: others may be appended meanwhile."""
    for record in ledger.records():
        if record.seq > head.seq:
            return
        yield record


def _write_graph(package: zipfile.ZipFile, ledger: Ledger, head: Anchor) -> None:
    opening = {"@context": _CONTEXT, "schema": PACKAGE_SCHEMA, "record_schema": RECORD_SCHEMA, "head": str(head)}
    with package.open(_GRAPH, "w", force_zip64=True) as stream:
        stream.write((json.dumps(opening)[:-1] + ', "@graph": [').encode())
        for i, record in enumerate(_until(ledger, head)):
            fields = {"@id": f"urn:sha256:{record.digest}", **{name: getattr(record, name) for name in FIELDS}}
            stream.write((("," if i else "") + "\n" + json.dumps(fields)).encode())
        stream.write(b"\n]}\n")


def _write_table(package: zipfile.ZipFile, ledger: Ledger, head: Anchor) -> None:
    columns = [name for name in FIELDS if name != "content"]
    with package.open(_TABLE, "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for record in _until(ledger, head):
            writer.writerow([getattr(record, name) for name in columns])


def verify_package(path: Path, *, anchors: tuple[Anchor, ...] = ()) -> list[Finding]:
    """The same check as of a ledger, of a package alone."""
    try:
        with zipfile.ZipFile(path) as package, package.open(_GRAPH) as stream:
            opening = json.loads(stream.readline(_LONGEST_LINE).decode() + "]}")
            if opening.get("schema") != PACKAGE_SCHEMA:
                return [Finding(seq=0, problem=f"{path.name} is not a package of a ledger")]
            return list(verify_chain(_package_records(stream), head=Anchor.of(opening["head"]), anchors=anchors))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, LedgerError) as error:
        return [Finding(seq=0, problem=f"{path.name} is damaged: {error}")]


def _package_records(stream: Any) -> Iterator[Record]:
    while line := stream.readline(_LONGEST_LINE).decode().strip():
        if line == "]}":
            return
        fields = json.loads(line.removesuffix(","))
        yield Record(**{name: fields[name] for name in FIELDS})
    raise LedgerError("its end is missing")
