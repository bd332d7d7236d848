from __future__ import annotations

import asyncio
import io
import stat
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from runpy import run_path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrfree.app.settings import Limits
from xrfree.app.uploads import Received, UploadRefusedError, new_file, receive, safe_path, unpack

running = SimpleNamespace(**run_path(str(Path(__file__).with_name("running.py"))))
FORM_TYPE = running.FORM_TYPE
form_of = running.form_of
LIMITS = Limits(most_files=5, most_bytes=100_000, always_bytes=20_000)


def sent(body: bytes, folder, *, size: int = 1000, limits: Limits = LIMITS, kind: str = FORM_TYPE) -> Received:
    """What comes of a body that arrives in chunks of a size."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return asyncio.run(receive(chunks(), kind, folder, limits))


def archive(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return stream.getvalue()


def unpacked(content: bytes, folder, limits: Limits = LIMITS) -> Received:
    received = sent(form_of({"all.zip": content}), folder, limits=limits)
    unpack(received, folder)
    return received


def files_in(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
def test_files_arrive_as_they_were_whatever_the_chunks(tmp_path, size):
    files = {"monday/ore 1.csv": b"1,2\r\n--x\r\n", "monday/deep/铁矿.csv": bytes(range(256)), "empty.csv": b""}
    received = sent(form_of(files), tmp_path, size=size)
    assert files_in(tmp_path) == files
    assert (received.n_files, received.name) == (3, "monday")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.csv",
        "a/../../evil.csv",
        "..\\evil.csv",
        "/etc/evil.csv",
        "\\\\host\\share\\x",
        "a/..",
        "..",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(UploadRefusedError) as refused:
        sent(form_of({name: b"x"}), folder)
    assert refused.value.key == "upload.bad_name"
    assert files_in(tmp_path) == {}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_no_name_leads_out_of_its_folder(name):
    try:
        path = safe_path(name)
    except UploadRefusedError:
        return
    assert path is None or (not path.is_absolute() and ".." not in path.parts)
    assert path is None or not any(ord(c) < 32 for c in str(path))


def test_a_drive_is_refused():
    with pytest.raises(UploadRefusedError, match="bad_name"):
        safe_path("C:\\evil.csv")


def test_hidden_files_of_systems_are_left_out(tmp_path):
    received = sent(form_of({"m/.DS_Store": b"x", "__MACOSX/m/a.csv": b"x", "m/a.csv": b"y"}), tmp_path)
    assert files_in(tmp_path) == {"m/a.csv": b"y"}
    assert received.n_files == 1


def test_control_characters_of_names_are_replaced():
    assert safe_path("a\x00b\u202ecsv.txt") == PurePosixPath("a_b_csv.txt")


def test_a_name_comes_once(tmp_path):
    with new_file(tmp_path, PurePosixPath("a.csv")) as first:
        first.write(b"first")
    for again in ("a.csv", "a.csv/b.csv"):
        with pytest.raises(UploadRefusedError, match="twice"):
            new_file(tmp_path, PurePosixPath(again))
    assert files_in(tmp_path) == {"a.csv": b"first"}


@pytest.mark.parametrize(
    ("files", "key", "status"),
    [
        ({f"{i}.csv": b"x" for i in range(6)}, "upload.too_many", 413),
        ({"a.csv": b"x" * 60_000, "b.csv": b"x" * 60_000}, "upload.too_large", 413),
        ({}, "upload.nothing", 400),
    ],
)
def test_limits_hold_while_bytes_arrive(tmp_path, files, key, status):
    with pytest.raises(UploadRefusedError) as refused:
        sent(form_of(files), tmp_path)
    assert (refused.value.key, refused.value.status) == (key, status)
    assert sum(len(content) for content in files_in(tmp_path).values()) <= LIMITS.most_bytes


def test_an_endless_upload_is_cut_off(tmp_path):
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield form_of({"a.csv": b""})[: -len("\r\n------boundary--\r\n")]
        while True:
            taken += 1000
            yield b"x" * 1000

    with pytest.raises(UploadRefusedError, match="too_large"):
        asyncio.run(receive(endless(), FORM_TYPE, tmp_path, LIMITS))
    assert taken < 5 * LIMITS.most_bytes


@pytest.mark.parametrize(
    ("body", "kind", "key"),
    [
        (b"{}", "application/json", "upload.no_form"),
        (b"rubbish", FORM_TYPE, "upload.no_form"),
        (form_of({"a.csv": b"x" * 500})[:300], FORM_TYPE, "upload.broken_off"),
    ],
)
def test_what_is_no_whole_form_is_refused(tmp_path, body, kind, key):
    with pytest.raises(UploadRefusedError) as refused:
        sent(body, tmp_path, kind=kind)
    assert refused.value.key == key


def test_an_archive_is_unpacked_into_a_folder_of_its_name(tmp_path):
    received = unpacked(archive({"m/a.csv": b"a", "b.csv": b"b"}), tmp_path)
    assert files_in(tmp_path) == {"all/m/a.csv": b"a", "all/b.csv": b"b"}
    assert received.n_files == 2


@pytest.mark.parametrize("name", ["../evil.csv", "/evil.csv", "a/../../evil.csv"])
def test_an_archive_cannot_write_elsewhere(tmp_path, name):
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(UploadRefusedError, match="bad_name"):
        unpacked(archive({name: b"x"}), folder)
    assert not list(tmp_path.rglob("evil.csv"))


def test_an_archive_that_explodes_is_refused(tmp_path):
    with pytest.raises(UploadRefusedError) as refused:
        unpacked(archive({"zeros.csv": bytes(90_000)}), tmp_path)
    assert (refused.value.key, refused.value.status) == ("upload.bomb", 413)


def test_an_archive_within_the_limits_may_be_compressed_well(tmp_path):
    unpacked(archive({"zeros.csv": bytes(15_000)}), tmp_path)
    assert len(files_in(tmp_path)["all/zeros.csv"]) == 15_000


def test_sizes_that_an_archive_states_are_not_believed(tmp_path):
    content = bytearray(archive({"zeros.csv": bytes(200_000)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(UploadRefusedError):
        unpacked(bytes(content), tmp_path)
    assert sum(map(len, files_in(tmp_path).values())) <= LIMITS.most_bytes + len(content)


def test_an_archive_within_an_archive_stays_packed(tmp_path):
    unpacked(archive({"inner.zip": archive({"a.csv": bytes(50_000)})}), tmp_path)
    assert list(files_in(tmp_path)) == ["all/inner.zip"]


def test_an_archive_of_too_many_files_is_refused(tmp_path):
    with pytest.raises(UploadRefusedError, match="too_many"):
        unpacked(archive({f"{i}.csv": b"x" for i in range(6)}), tmp_path)


def test_a_table_of_contents_that_would_fill_the_memory_is_not_read(tmp_path):
    content = bytearray(archive({"a.csv": b"x"}))
    at = content.rindex(b"PK\x05\x06") + 12
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    with pytest.raises(UploadRefusedError, match="too_many"):
        unpacked(bytes(content), tmp_path)


# Named, for an archive holds the time it was packed, and names made of it would differ between workers.
@pytest.mark.parametrize(
    "content",
    [b"PK rubbish", b"", archive({"a.csv": b"x" * 5000})[:60]],
    ids=["rubbish", "empty", "cut short"],
)
def test_a_damaged_archive_is_refused(tmp_path, content):
    with pytest.raises(UploadRefusedError, match="bad_archive"):
        unpacked(content, tmp_path)


def test_a_link_in_an_archive_becomes_a_plain_file(tmp_path):
    """It would lead to a file of this machine, which a reader then shows."""
    link = zipfile.ZipInfo("spectrum.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr(link, "/etc/passwd")
    unpacked(stream.getvalue(), tmp_path)
    (file,) = (path for path in tmp_path.rglob("*.csv"))
    assert not file.is_symlink()
    assert file.read_bytes() == b"/etc/passwd"
