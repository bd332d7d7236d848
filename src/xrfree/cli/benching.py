"""`xrfree bench`."""

from __future__ import annotations

import secrets
import webbrowser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from xrfree.app.settings import MEGABYTE, Limits, Settings, is_loopback
from xrfree.cli import OK, console
from xrfree.cli.recording import Hand
from xrfree.errors import XrfreeError

_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    home: Path
    host: str
    port: int
    ledger: str
    hand: Hand
    jobs: int
    most_files: int
    most_mb: float
    open_browser: bool


def run(request: Request) -> int:
    """Serve until interrupted."""
    if find_spec("nicegui") is None:
        raise XrfreeError('the bench needs the extra "app". Run: pip install "xrfree[app]"')
    from xrfree.app.server import serve

    settings = Settings(
        home=request.home.resolve(),
        host=request.host,
        port=request.port,
        token="" if is_loopback(request.host) else secrets.token_urlsafe(_TOKEN_BYTES),
        ledger=request.ledger,
        operator=request.hand.actor,
        key=request.hand.key,
        jobs=request.jobs,
        limits=Limits(most_files=request.most_files, most_bytes=round(request.most_mb * MEGABYTE)),
    )

    def tell(address: str) -> None:
        console.say(f"Bench: {address}")
        console.say(f"Folder: {settings.home}. End with Ctrl+C.")
        if settings.token:
            console.note(f"Other machines can reach this bench at {request.host}: tell the address to nobody else.")
        if request.open_browser:
            webbrowser.open(address)

    serve(settings, tell=tell)
    return OK
