from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from xrfree.errors import LedgerError
from xrfree.ledger.package import export_package, verify_package
from xrfree.ledger.records import Entry, Record, record_digest
from xrfree.ledger.schema import MIGRATIONS, VERSION, migrate
from xrfree.ledger.store import Ledger, entry
from xrfree.ledger.verification import Anchor, verify_ledger

COLUMNS = ("created", "kind", "subject", "key", "actor", "signer", "content", "previous", "digest", "signature")


def _anchor(ledger: Ledger) -> Anchor:
    seq, digest = ledger.head()
    return Anchor(seq=seq, digest=digest)


def test_what_is_recorded_is_read_back(filled):
    records = list(filled.records())
    assert [record.seq for record in records] == list(range(1, 41))
    assert records[3].subject == "P3"
    assert records[3].data == {"w": [0.1, 1e-5], "reason": "é"}
    assert filled.head() == (40, records[-1].digest)
    assert verify_ledger(filled) == []
    assert [r.seq for r in filled.records(numbers=[7, 3])] == [7, 3]
    assert [r.seq for r in filled.records(subject="P3", kind="result")] == [4]


def test_a_key_stands_once(ledger):
    twice = [entry("result", "P1", {"a": 1}, key="x"), entry("result", "P1", {"a": 2}, key="x")]
    assert len(ledger.append(twice, actor="Li")) == 1
    assert ledger.append(twice, actor="Li") == []
    assert len(ledger.append([entry("note", "P1", {"a": 1})] * 2, actor="Li")) == 2
    assert ledger.with_keys(["x", "y"]) == {"x": 1}


def test_all_or_nothing(ledger):
    ledger.append([entry("note", "a", {})], actor="Li")
    unfit = Entry(kind=None, subject="c", content="{}")  # what the database refuses
    with pytest.raises(LedgerError, match="NOT NULL"):
        ledger.append([entry("note", "b", {}), unfit], actor="Li")
    assert [record.subject for record in ledger.records()] == ["a"]
    assert verify_ledger(ledger) == []


def test_no_content_holds_nan():
    with pytest.raises(ValueError, match="float"):
        entry("note", "c", {"w": float("nan")})


def test_the_database_itself_refuses_changes(filled, tmp_path):
    with sqlite3.connect(tmp_path / "lab.sqlite") as raw:
        for statement in ("UPDATE records SET actor = 'x'", "DELETE FROM records WHERE seq = 3"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
    raw.close()


def test_names_of_any_kind_are_kept(ledger):
    names = ["a\0b", "\udcff", "\N{SNOWMAN}", ""]
    ledger.append([entry("note", name, {"name": name}) for name in names], actor="\udcff")
    assert verify_ledger(ledger) == []
    assert [r.data["name"] for r in ledger.records()] == names


def _rows(path):
    raw = sqlite3.connect(path)
    try:
        return raw.execute("SELECT * FROM records ORDER BY seq").fetchall()
    finally:
        raw.close()


def _flip_text(value: str, rng: random.Random) -> str:
    """One bit of one character changed."""
    if not value:
        return chr(1 << rng.randrange(7))
    i = rng.randrange(len(value))
    return value[:i] + chr(ord(value[i]) ^ (1 << rng.randrange(7))) + value[i + 1 :]


def _change(raw: sqlite3.Connection, rng: random.Random) -> str:
    """One change by somebody who knows SQL and has removed the triggers."""
    kind = rng.choice(("flip", "flip", "delete", "swap", "insert", "truncate", "head"))
    a, b = rng.sample(range(1, 41), 2)
    if kind == "flip":
        column = rng.choice(COLUMNS)
        (value,) = raw.execute(f"SELECT {column} FROM records WHERE seq = ?", (a,)).fetchone()
        raw.execute(f"UPDATE records SET {column} = ? WHERE seq = ?", (_flip_text(value, rng), a))
    elif kind == "delete":
        raw.execute("DELETE FROM records WHERE seq = ?", (a,))
    elif kind == "swap":
        for old, new in ((a, -1), (b, a), (-1, b)):
            raw.execute("UPDATE records SET seq = ? WHERE seq = ?", (new, old))
    elif kind == "insert":
        row = list(raw.execute("SELECT * FROM records WHERE seq = ?", (a,)).fetchone())
        row[0], row[4] = rng.choice((0, 41, -5, 99)), ""
        raw.execute(f"INSERT INTO records VALUES ({','.join('?' * len(row))})", row)
    elif kind == "truncate":
        raw.execute("DELETE FROM records WHERE seq > ?", (40 - rng.randint(1, 39),))
    else:
        raw.execute("UPDATE head SET seq = ?", (rng.randrange(40),))
    return kind


def test_every_single_change_of_rows_is_found(filled, tmp_path):
    filled.close()
    raw = sqlite3.connect(tmp_path / "lab.sqlite", isolation_level=None)
    for action in ("update", "delete"):
        raw.execute(f"DROP TRIGGER records_no_{action}")
    raw.execute("DROP INDEX records_key")
    rng = random.Random(8)
    missed = []
    with Ledger(tmp_path / "lab.sqlite") as ledger:
        original = {r.seq: r for r in ledger.records()}
        for _ in range(500):
            raw.execute("BEGIN")
            kind = _change(raw, rng)
            raw.execute("COMMIT")
            if not verify_ledger(ledger):
                missed.append(kind)
            _restore(raw, original)
        assert verify_ledger(ledger) == []
    raw.close()
    assert missed == []


def _restore(raw: sqlite3.Connection, original: dict[int, Record]) -> None:
    raw.execute("BEGIN")
    raw.execute("DELETE FROM records")
    names = ("seq", *COLUMNS)
    raw.executemany(
        f"INSERT INTO records ({','.join(names)}) VALUES ({','.join('?' * 11)})",
        [[getattr(r, name) for name in names] for r in original.values()],
    )
    last = original[max(original)]
    raw.execute("UPDATE head SET seq = ?, digest = ?", (last.seq, last.digest))
    raw.execute("COMMIT")


def test_every_flipped_bit_of_the_file_is_found(filled, tmp_path):
    """Bits of the pages that hold the records: whatever changes what can be read is found."""
    filled.close()
    path = tmp_path / "lab.sqlite"
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = [row[0] for row in raw.execute("SELECT pageno FROM dbstat WHERE name = 'records'")]
    (size,) = raw.execute("PRAGMA page_size").fetchone()
    raw.close()
    good, bytes_, rng = _rows(path), path.read_bytes(), random.Random(17)
    changed, missed = 0, []
    damaged = tmp_path / "damaged.sqlite"
    while changed < 500:
        place = (rng.choice(pages) - 1) * size + rng.randrange(size)
        copy = bytearray(bytes_)
        copy[place] ^= 1 << rng.randrange(8)
        for name in ("damaged.sqlite", "damaged.sqlite-wal", "damaged.sqlite-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        damaged.write_bytes(copy)
        try:
            if _rows(damaged) == good:
                continue  # a byte that belongs to no record
        except sqlite3.DatabaseError:
            pass
        changed += 1
        if not _found(damaged):
            missed.append(place)
    assert missed == []


def _found(path) -> bool:
    try:
        with Ledger(path) as ledger:
            return bool(verify_ledger(ledger))
    except LedgerError:
        return True


def test_findings_name_the_record(filled, tmp_path):
    raw = sqlite3.connect(tmp_path / "lab.sqlite")
    raw.execute("DROP TRIGGER records_no_update")
    raw.execute("UPDATE records SET content = replace(content, '1e-05', '2e-05') WHERE seq = 16")
    raw.commit()
    raw.close()
    findings = verify_ledger(filled)
    assert [f.seq for f in findings] == [16]
    assert "was changed" in findings[0].problem


def test_an_anchor_finds_who_rewrites_everything(filled, tmp_path):
    """Cut off the end, and the note of it: only what was noted elsewhere can tell."""
    anchor = _anchor(filled)
    raw = sqlite3.connect(tmp_path / "lab.sqlite")
    raw.execute("DROP TRIGGER records_no_delete")
    raw.execute("DELETE FROM records WHERE seq > 30")
    raw.execute("UPDATE head SET (seq, digest) = (SELECT seq, digest FROM records WHERE seq = 30)")
    raw.commit()
    raw.close()
    assert verify_ledger(filled) == []
    assert [f.seq for f in verify_ledger(filled, anchors=[anchor])] == [40]
    filled.append([entry("result", f"X{i}", {"w": i}) for i in range(10)], actor="Li")
    assert "anchored" in verify_ledger(filled, anchors=[Anchor.of(str(anchor))])[0].problem


@pytest.mark.parametrize("text", ["", "7", "x:" + "0" * 64, "7:abc"])
def test_an_anchor_must_be_one(text):
    with pytest.raises(LedgerError, match="NUMBER:DIGEST"):
        Anchor.of(text)


def test_the_digest_covers_every_field(filled):
    record = next(filled.records())
    for name in (*COLUMNS[:-2],):
        assert record_digest(replace(record, **{name: getattr(record, name) + "x"})) != record.digest
    assert record_digest(replace(record, seq=2)) != record.digest


def test_a_package_is_checked_without_the_database(filled, tmp_path):
    path = tmp_path / "lab.zip"
    anchor = export_package(filled, path)
    assert verify_package(path) == []
    with zipfile.ZipFile(path) as package:
        package.extractall(tmp_path / "out")
    assert (tmp_path / "out/records.csv").read_text().count("\n") == 41
    done = subprocess.run([sys.executable, tmp_path / "out/verify.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "nothing was changed\n")
    graph = tmp_path / "out/ledger.jsonld"
    for change in (("P7", "P8"), ('"seq": 9,', '"seq": 10,'), ("0.9", "0.8")):
        good = graph.read_text()
        graph.write_text(good.replace(*change))
        done = subprocess.run([sys.executable, tmp_path / "out/verify.py"], capture_output=True, check=False)
        assert done.returncode == 1
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as package:
            package.write(graph, "ledger.jsonld")
        assert verify_package(tmp_path / "bad.zip")
        graph.write_text(good)
    assert verify_package(path, anchors=(anchor,)) == []
    assert verify_package(path, anchors=(Anchor(seq=3, digest="0" * 64),))
    assert json.loads(good)["@graph"][0]["@id"].startswith("urn:sha256:")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"x" * 100])
def test_rubbish_is_no_package(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    assert "damaged" in verify_package(tmp_path / "x.zip")[0].problem


def test_a_ledger_of_an_earlier_version_is_brought_up(tmp_path):
    with Ledger(tmp_path / "a.sqlite") as ledger:
        ledger.append([entry("note", "a", {})], actor="Li")
        with ledger._engine.begin() as connection:
            for what in (
                "TRIGGER records_no_update",
                "TRIGGER records_no_delete",
                "INDEX records_key",
                "INDEX records_subject",
            ):
                connection.exec_driver_sql(f"DROP {what}")
            connection.execute(VERSION.update().values(version=1))
    with Ledger(tmp_path / "a.sqlite") as ledger:
        assert [r.subject for r in ledger.records()] == ["a"]
        with pytest.raises(LedgerError, match="append-only"), ledger._errors(), ledger._engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM records")
        with ledger._engine.begin() as connection:
            connection.execute(VERSION.update().values(version=len(MIGRATIONS) + 1))
        with pytest.raises(LedgerError, match="newer xrfree"), ledger._engine.begin() as connection:
            migrate(connection)


def test_places_that_are_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match="no such file"):
        Ledger(tmp_path / "missing.sqlite", create=False)
    (tmp_path / "x.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(tmp_path / "x.sqlite")
    with pytest.raises(LedgerError, match="postgresql"):
        Ledger("nonsense://x:secret@y/z")


def test_a_password_is_never_shown():
    with pytest.raises(LedgerError) as problem:
        Ledger("nonsense://x:secret@y/z")
    assert "secret" not in str(problem.value)
