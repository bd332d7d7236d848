"""Several processes at one ledger, on a file and on a server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from xrfree.ledger.store import Ledger, entry
from xrfree.ledger.verification import verify_ledger

WRITER = """
import sys
from xrfree.ledger.store import Ledger, entry
with Ledger(sys.argv[1]) as ledger:
    for i in range(60):
        mine, both = entry("result", f"{sys.argv[2]}{i}", {"i": i}), entry("note", "both", {}, key=f"both{i}")
        ledger.append([mine, both], actor="x")
"""


def _server_programs() -> Path:
    """Folder of PostgreSQL's programs."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL server here: install Debian's package postgresql to run these tests")
    return folders[-1]


def _as_other_user() -> list[str]:
    """PostgreSQL does not run as root."""
    if subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() != "0":
        return []
    if not shutil.which("runuser") or subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres (or no runuser)")
    return ["runuser", "-u", "postgres", "--"]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """URL of a PostgreSQL server of our own, that listens on a socket only."""
    pytest.importorskip("psycopg", reason="needs the extra postgres (psycopg)")
    programs, user = _server_programs(), _as_other_user()
    folder = Path(subprocess.run([*user, "mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    data = folder / "data"
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*user, str(programs / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60
        )

    run("initdb", "-D", str(data), "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync")
    run("pg_ctl", "-D", str(data), "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql+psycopg://lab@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["file", "server"])
def place(request, tmp_path) -> str:
    return str(tmp_path / "lab.sqlite") if request.param == "file" else request.getfixturevalue("server")


def test_two_writers_lose_nothing_and_a_reader_waits_for_nobody(place):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, place, name]) for name in "AB"]
    longest = 0.0
    with Ledger(place) as ledger:
        while any(writer.poll() is None for writer in writers):
            start = time.perf_counter()
            n, stated = sum(1 for _ in ledger.records(kind="result")), ledger.head()[0]
            longest = max(longest, time.perf_counter() - start)
            assert n <= stated
        assert [writer.returncode for writer in writers] == [0, 0]
        subjects = [record.subject for record in ledger.records(kind="result")]
        assert sorted(subjects) == sorted(f"{name}{i}" for name in "AB" for i in range(60))
        assert [s for s in subjects if s[0] == "A"] == [f"A{i}" for i in range(60)]
        assert sum(1 for _ in ledger.records(kind="note")) == 60
        assert verify_ledger(ledger) == []


def test_a_writer_in_the_middle_of_its_work_blocks_no_reader(tmp_path):
    with Ledger(tmp_path / "lab.sqlite") as writer, Ledger(tmp_path / "lab.sqlite") as reader:
        writer.append([entry("note", "a", {})], actor="x")
        with writer._writing() as connection:
            connection.exec_driver_sql("UPDATE head SET seq = 7")
            start = time.perf_counter()
            assert reader.head()[0] == 1
            assert len(list(reader.records())) == 1
            assert time.perf_counter() - start < 5.0  # a blocked reader would wait for BUSY_S
            connection.rollback()


def test_a_server_refuses_changes_too(server):
    from xrfree.errors import LedgerError

    with Ledger(server) as ledger:
        ledger.append([entry("note", "x", {"w": 0.1})], actor="Li")
        for statement in ("UPDATE records SET actor = 'x'", "DELETE FROM records", "TRUNCATE records"):
            with (
                pytest.raises(LedgerError, match="append-only"),
                ledger._errors(),
                ledger._engine.begin() as connection,
            ):
                connection.exec_driver_sql(statement)
        assert verify_ledger(ledger) == []
