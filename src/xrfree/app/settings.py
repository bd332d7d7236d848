"""What a bench is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from xrfree.errors import DomainError

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one upload: files, bytes of all of them (also when unpacked), and how far an archive may expand.

    Small archives may expand further than `most_expansion`, up to `always_bytes`.
    """

    most_files: int = 5000
    most_bytes: int = 1000 * MEGABYTE
    most_expansion: float = 100.0
    always_bytes: int = 20 * MEGABYTE

    def __post_init__(self) -> None:
        """Refuse limits that let nothing pass."""
        if self.most_files < 1 or self.most_bytes < 1:
            raise DomainError(f"an upload of {self.most_files} files and {self.most_bytes} bytes is none; raise it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a bench keeps its things, who may reach it, and for whom it works.

    home : folder of batches, documents and, unless `ledger` names another, the ledger.
    host : address it listens at; port : 0 for any free one. token : wanted from whoever comes, empty for none.
    operator, key, jobs : as for `xrfree assay`.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8484
    token: str = ""
    ledger: str = ""
    operator: str = ""
    key: Path | None = None
    jobs: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse to be reachable from elsewhere without a token."""
        if not is_loopback(self.host) and not self.token:
            raise DomainError(f"a bench at {self.host} can be reached from other machines and needs a token")

    @property
    def ledger_place(self) -> str:
        """File or URL of the ledger."""
        return self.ledger or str(self.home / "ledger.sqlite")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
