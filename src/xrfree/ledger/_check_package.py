"""Check a ledger package with nothing but Python, as in `python verify.py`.

Every record is hashed again and must continue the one before it; the last must be the one that the package names.
Signatures (Ed25519) are not checked here: `xrfree ledger verify PACKAGE.zip` does.
"""

import hashlib
import json
import sys
from pathlib import Path


def canonical(data: object) -> str:
    """JSON with sorted keys, no white space, ASCII only."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()


def problems(package: dict) -> list[str]:  # type: ignore[type-arg]
    """What is wrong with a package."""
    found, seq, previous = [], 0, "0" * 64
    for record in package["@graph"]:
        head = {k: v for k, v in record.items() if k not in ("@id", "content", "digest", "signature")}
        body = {**head, "schema": package["record_schema"], "content_sha256": sha256(record["content"])}
        if record["digest"] != sha256(canonical(body)):
            found.append(f"record {record['seq']} was changed")
        if (record["seq"], record["previous"]) != (seq + 1, previous):
            found.append(f"record {record['seq']} does not continue record {seq}")
        seq, previous = record["seq"], record["digest"]
    if package["head"] != f"{seq}:{previous}":
        found.append(f"the package should end with {package['head']}")
    return found


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).with_name("ledger.jsonld"))
    wrong = problems(json.loads(Path(name).read_text(encoding="utf-8")))
    sys.stdout.write("\n".join(wrong or ["nothing was changed"]) + "\n")
    sys.exit(1 if wrong else 0)
