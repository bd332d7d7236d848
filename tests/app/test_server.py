"""The bench as it is started, asked by hand: what a browser would never send, too."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest

running = SimpleNamespace(**run_path(str(Path(__file__).with_name("running.py"))))
BOUNDARY = running.BOUNDARY
FORM_TYPE = running.FORM_TYPE
Running = running.Running
form_of = running.form_of
running_bench = running.running_bench
SPECTRUM = b"channel,counts\n0,1\n"
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


def archive(content: bytes, name: str = "zeros.csv") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, content)
    return stream.getvalue()


def test_an_upload_becomes_a_batch(bench: Any):
    status, headers, _ = bench.upload({"monday/ore.csv": SPECTRUM})
    assert status == 303
    assert bench.ask("GET", headers["location"])[0] == 200
    key = headers["location"].rpartition("/")[2]
    assert (bench.home / "batches" / key / "spectra" / "monday" / "ore.csv").read_bytes() == SPECTRUM


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://evil.example"])
def test_an_upload_of_another_site_is_refused(bench: Any, origin):
    before = bench.batches()
    assert bench.upload({"a.csv": SPECTRUM}, Origin=origin)[0] == 403
    assert bench.batches() == before


def test_an_upload_that_does_not_say_where_it_comes_from_is_refused(bench: Any):
    before = bench.batches()
    assert bench.ask("POST", "/upload", form_of({"a.csv": SPECTRUM}), {"Content-Type": FORM_TYPE})[0] == 403
    assert bench.batches() == before


def test_a_rebound_name_reaches_neither_pages_nor_sockets(bench: Any):
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert bench.ask("GET", "/", headers=evil)[0] == 421
    assert bench.ask("GET", SOCKET, headers={**evil, **HANDSHAKE})[0] == 403
    assert bench.ask("POST", "/upload", form_of({"a.csv": SPECTRUM}), {**evil, "Content-Type": FORM_TYPE})[0] == 421


def test_only_pages_of_the_bench_open_its_socket(bench: Any):
    assert bench.ask("GET", SOCKET, headers={"Origin": "http://evil.example", **HANDSHAKE})[0] == 403
    assert bench.ask("GET", SOCKET, headers=HANDSHAKE)[0] == 403


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        ({"../../evil.csv": b"x"}, 400, "leads out of its folder"),
        ({"big.csv": b"x" * 2_100_000}, 413, "more than 2.0 MB"),
        ({f"{i}.csv": b"x" for i in range(13)}, 413, "more than 12 files"),
        ({"bomb.zip": archive(bytes(50_000_000))}, 413, "more than 2.0 MB"),
        ({"bomb.zip": b"PK\x03\x04rubbish"}, 400, "is damaged"),
        ({"evil.zip": archive(b"x", "../../../evil.csv")}, 400, "leads out of its folder"),
        ({"../<script>alert(1)</script>.csv": b"x"}, 400, "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
    ids=["traversal", "too large", "too many", "bomb", "damaged", "traversal in archive", "script in name"],
)
def test_a_refused_upload_says_why_and_leaves_nothing(bench: Any, files, status, message):
    before = bench.batches()
    found, _, text = bench.upload(files)
    assert found == status
    assert message in text
    assert "<script>" not in text
    assert bench.batches() == before
    assert not list(bench.home.parent.rglob("evil.csv"))


def test_documents_that_are_none_do_not_shut_the_page_of_their_batch(bench: Any):
    files = {
        "nested.toml": b"a = " + b"[" * 100_000,
        "dotted.toml": b"a" + b".a" * 20_000 + b" = 1\n",
        "binary.toml": b"\x00\xff\xfe",
        "list.csv": b"specimen,role,form\n\xff\xfe\x00,1,2\n",
        "numbers.csv": b"specimen,role,form,density_g_cm3,thickness_cm\nP1,unknown,pressed powder,1e999,nan\n",
        "quote.csv": b'specimen,role\n"unclosed,unknown\n' * 100,
    }
    status, headers, _ = bench.upload(files)
    assert status == 303
    assert bench.ask("GET", headers["location"])[0] == 200


def test_a_refusal_is_told_in_the_language_of_the_browser(bench: Any):
    _, _, text = bench.upload({"../a.csv": b"x"}, Accept_Language="zh-CN")
    assert "上传未被接受" in text
    assert '<html lang="zh-CN">' in text


@pytest.mark.parametrize(
    "path",
    [
        "/batches/..",
        "/batches/%2e%2e",
        "/batches/..%2f..%2fetc",
        "/batches/20260101-000000-abcdef/files/report.html",
        "/batches/x/files/..%2f..%2fledger.sqlite",
        "/batches/x/files/batch.json",
        "/calibrations/..%2f..%2fx",
        "/../../etc/passwd",
        "/ledger.sqlite",
    ],
)
def test_addresses_lead_to_pages_and_results_only(bench: Any, path):
    status, _, text = bench.ask("GET", path)
    assert status == 404
    assert "root:" not in text
    assert "SQLite" not in text


def test_an_address_of_nothing_is_told_in_the_language_of_the_browser(bench: Any):
    for language, words in (("zh-CN", "此地址没有内容"), ("en", "There is nothing at this address")):
        for path in ("/nowhere", "/batches/x"):
            status, headers, text = bench.ask("GET", path, headers={"Accept-Language": language})
            assert status == 404
            assert words in text
            assert "default-src" in headers["content-security-policy"]


def test_a_ledger_that_is_none_is_told_on_the_page(tmp_path):
    (tmp_path / "<b>x.sqlite").write_bytes(b"no ledger at all" * 100)
    with running_bench(tmp_path / "lab", "--ledger", str(tmp_path / "<b>x.sqlite")) as broken:
        for path in ("/ledger", "/charts"):
            status, _, text = broken.ask("GET", path, headers={"Accept-Language": "zh-CN"})
            assert status == 500
            assert "出现问题" in text
            assert "x.sqlite" in text
            assert "<b>x" not in text
            assert "Traceback" not in text
        assert broken.ask("GET", "/")[0] == 200


def test_only_files_of_results_are_handed_out(bench: Any):
    _, headers, _ = bench.upload({"ore.csv": SPECTRUM})
    for name in ("batch.json", "log.txt", "ledger.sqlite", "..%2fbatch.json"):
        assert bench.ask("GET", f"{headers['location']}/files/{name}")[0] == 404


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "evil.example"])
def test_the_choice_of_a_language_leads_to_no_other_site(bench: Any, back):
    status, headers, _ = bench.ask("GET", f"/language/zh?back={back}")
    assert (status, headers["location"]) == (303, "/")


def test_pages_take_nothing_from_elsewhere(bench: Any):
    for path in ("/", "/calibrations", "/charts", "/ledger"):
        status, headers, text = bench.ask("GET", path)
        assert status == 200
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "https://" not in text


def test_a_form_that_never_ends_holds_nobody_up(bench: Any):
    body = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\nhalf'.encode()
    headers = {"Origin": f"http://{bench.authority}", "Content-Type": FORM_TYPE}
    status, _, text = bench.ask("POST", "/upload", body, headers)
    assert status == 400
    assert "broke off" in text


def test_a_bench_for_other_machines_wants_its_token(tmp_path):
    with running_bench(tmp_path / "wide", "--host", "0.0.0.0") as wide:
        address, _, token = wide.address.partition("/?token=")
        assert len(token) >= 32
        port = address.rpartition(":")[2]
        here = Running(f"http://127.0.0.1:{port}", wide.home)
        assert here.ask("GET", "/")[0] == 401
        assert here.ask("GET", "/?token=wrong")[0] == 401
        assert here.upload({"a.csv": SPECTRUM})[0] == 401
        status, headers, _ = here.ask("GET", f"/?token={token}")
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"].partition(";")[0]
        assert here.ask("GET", "/", headers={"Cookie": cookie})[0] == 200
        assert here.upload({"a.csv": SPECTRUM}, Cookie=cookie)[0] == 303
        assert here.upload({"a.csv": SPECTRUM}, Cookie=cookie, Origin="http://evil.example")[0] == 403
