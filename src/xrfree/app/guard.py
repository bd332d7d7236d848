"""Who may talk to the bench: the doorkeeper before every request and every websocket.

A page of another site can make a browser send requests here, and can point a name of its own at this machine (DNS
rebinding). Against the second, a request must address the bench by a name that is its own; against the first, whatever
changes something, and every websocket, must come from a page of the bench itself.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xrfree.app.settings import is_loopback

COOKIE = "xrfree_bench"
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Nothing comes from elsewhere; the library compiles its templates in the browser, hence unsafe-eval."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HARMLESS = frozenset({"GET", "HEAD"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """By which names the bench may be addressed, and the token it wants (empty: none).

    any_address : whether every numerical address will do; a name that was rebound is never one.
    """

    names: frozenset[str]
    any_address: bool = False
    token: str = ""

    def knows(self, host: str) -> bool:
        """Whether a Host header, with or without a port, means the bench."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address


def door_of(host: str, token: str) -> Door:
    """The door of a bench that listens at `host`: loopback by its names alone, others by address or machine's name."""
    if is_loopback(host):
        return Door(names=_LOOPBACK | {host}, token=token)
    own = {host, socket.gethostname(), socket.getfqdn()}
    return Door(names=_LOOPBACK | {name.lower() for name in own}, any_address=True, token=token)


class Guard:
    """ASGI middleware: refuses strangers, and tells browsers to take nothing from elsewhere."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        """What is answered instead of the bench; None where nothing is wrong."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._door.knows(hosts[0]):
            return PlainTextResponse(
                "This is not an address of this bench. Open the one that xrfree bench printed.\n", 421
            )
        changing = scope["type"] == "websocket" or scope["method"] not in _HARMLESS
        if changing and not _from_here(headers.getlist("origin"), hosts[0]):
            return PlainTextResponse("This came from a page of another site and was refused.\n", 403)
        if not changing and _embedded_elsewhere(headers):
            return PlainTextResponse("Pages of other sites cannot show what is on this bench.\n", 403)
        return self._without_token(scope, headers) if self._door.token else None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        if scope["type"] == "http" and len(given) == 1 and self._is_token(given[0]):
            answer = RedirectResponse(scope["path"], 303)
            answer.set_cookie(COOKIE, self._door.token, httponly=True, samesite="strict", path="/")
            return answer
        if any(self._is_token(value) for value in _cookies(headers.getlist("cookie"), COOKIE)):
            return None
        return PlainTextResponse("This bench wants its token. Open the address that xrfree bench printed.\n", 401)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._door.token.encode())


def _from_here(origins: list[str], host: str) -> bool:
    """Whether the page that sent something is one of ours; browsers always say where it came from."""
    try:
        return len(origins) == 1 and urlsplit(origins[0]).netloc == host
    except ValueError:
        return False


def _embedded_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site wants it as a picture, script or frame; a link on it may be followed."""
    site = headers.get("sec-fetch-site", "")
    followed = headers.get("sec-fetch-mode", "") == "navigate" and headers.get("sec-fetch-dest", "") == "document"
    return site in ("cross-site", "same-site") and not followed


def _cookies(headers: Iterable[str], name: str) -> list[str]:
    found = []
    for header in headers:
        try:
            cookies: SimpleCookie = SimpleCookie(header)
        except CookieError:
            continue
        if name in cookies:
            found.append(cookies[name].value)
    return found


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", POLICY)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return wrapped
