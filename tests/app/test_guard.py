from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette", reason='the bench needs nicegui: pip install "xrfree[app]"')

from xrfree.app.guard import COOKIE, Guard, door_of
from xrfree.app.settings import Settings, is_loopback
from xrfree.errors import DomainError

HERE = "127.0.0.1:8484"


def asked(
    headers: dict[str, str], *, method: str = "GET", kind: str = "http", host: str = "127.0.0.1", token: str = "",
    query: bytes = b"",
) -> tuple[int, dict[str, str]]:  # fmt: skip
    """Status and headers of what the doorkeeper answers; 200 stands for what it let through, 101 for a websocket."""
    answers: list[dict[str, Any]] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": "/",
        "query_string": query,
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Guard(inside, door=door_of(host, token))(scope, receive, send))
    first = answers[0]
    if first["type"].startswith("websocket"):
        return (101 if first["type"] == "websocket.accept" else 403), {}
    return first["status"], {k.decode(): v.decode() for k, v in first["headers"]}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_the_bench_answers_to_its_own_names(name):
    assert asked({"Host": f"{name}:8484"})[0] == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7", "localhost.evil.example", "", "[", "::"]
)
def test_a_rebound_name_is_refused(name):
    assert asked({"Host": f"{name}:8484"})[0] == 421


def test_a_request_without_a_host_is_refused():
    assert asked({})[0] == 421


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:9999", "http://127.0.0.1:8484.evil.example", "http://["],
)
def test_other_sites_change_nothing_and_open_no_websocket(kind, origin):
    assert asked({"Host": HERE, "Origin": origin}, method="POST", kind=kind)[0] == 403
    assert asked({"Host": HERE}, method="POST", kind=kind)[0] == 403


@pytest.mark.parametrize(("kind", "status"), [("http", 200), ("websocket", 101)])
def test_pages_of_the_bench_may(kind, status):
    assert asked({"Host": HERE, "Origin": f"http://{HERE}"}, method="POST", kind=kind)[0] == status


def test_other_sites_may_link_here_but_not_show_what_is_here():
    embedded = {"Host": HERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    framed = {**embedded, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    followed = {**framed, "Sec-Fetch-Dest": "document"}
    assert [asked(headers)[0] for headers in (embedded, framed, followed)] == [403, 403, 200]


def test_browsers_are_told_to_take_nothing_from_elsewhere():
    _, headers = asked({"Host": HERE})
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http:" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"


WIDE = {"host": "0.0.0.0", "token": "s3cret"}
FAR = "192.168.1.7:8484"


def test_a_token_opens_a_bench_that_can_be_reached_from_elsewhere():
    assert asked({"Host": FAR}, **WIDE)[0] == 401
    assert asked({"Host": FAR}, query=b"token=wrong", **WIDE)[0] == 401
    status, headers = asked({"Host": FAR}, query=b"token=s3cret", **WIDE)
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert asked({"Host": FAR, "Cookie": cookie.partition(";")[0]}, **WIDE)[0] == 200
    assert asked({"Host": FAR, "Cookie": f"{COOKIE}=wrong"}, **WIDE)[0] == 401


def test_a_websocket_needs_the_token_too():
    headers = {"Host": FAR, "Origin": f"http://{FAR}"}
    assert asked(headers, kind="websocket", **WIDE)[0] == 403
    assert asked({**headers, "Cookie": f"{COOKIE}=s3cret"}, kind="websocket", **WIDE)[0] == 101


def test_a_rebound_name_is_refused_there_too():
    assert asked({"Host": "evil.example", "Cookie": f"{COOKIE}=s3cret"}, **WIDE)[0] == 421


def test_no_bench_is_open_to_others_without_a_token(tmp_path):
    with pytest.raises(DomainError, match="needs a token"):
        Settings(home=tmp_path, host="0.0.0.0")
    assert Settings(home=tmp_path).token == ""


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
                      ("192.168.1.7", False), ("lab.example", False)]
)  # fmt: skip
def test_which_addresses_are_of_this_machine_alone(host, own):
    assert is_loopback(host) is own
