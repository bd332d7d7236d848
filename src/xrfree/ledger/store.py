"""The store of the records: an SQLite file by default, a PostgreSQL server by URL."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from xrfree.errors import LedgerError
from xrfree.ledger.records import FIELDS, Entry, Record, canonical_text, clean, record_digest
from xrfree.ledger.schema import HEAD, MIGRATIONS, RECORDS, migrate, schema_version
from xrfree.ledger.signing import Signer

BUSY_S = 120.0
"""How long a writer waits for another one."""
_BLOCK = 500


class Ledger:
    """An opened ledger; close it, or use it in a `with` statement.

    place : path of an SQLite file, which is made if needed, or the URL of a database (postgresql+psycopg://...).
    create : False refuses a ledger that does not exist yet.
    """

    def __init__(self, place: Path | str, *, create: bool = True) -> None:
        self.place = str(place)
        self._engine = _engine(self.place, create=create)
        with self._errors():
            with self._engine.connect() as connection:
                current = schema_version(connection) == len(MIGRATIONS)
            if not current:  # else nobody waits for a writer only to read
                with self._writing() as connection:
                    migrate(connection)

    def __enter__(self) -> Ledger:
        """Use in a `with` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Give back file or connection."""
        self._engine.dispose()

    def append(self, entries: Sequence[Entry], *, actor: str, signer: Signer | None = None) -> list[Record]:
        """Record entries, all or none, and return their records; entries whose key is known are left out.

        actor : the person or program that is responsible.
        signer : key that signs each record; None leaves them unsigned.

        Other writers wait meanwhile; readers do not. LedgerError if the place cannot be written or is full.
        """
        with self._errors(), self._writing() as connection:
            # The row of the head is locked: nobody else can append before this transaction ends.
            seq, previous = connection.execute(sa.select(HEAD.c.seq, HEAD.c.digest).with_for_update()).one()
            known = _known_keys(connection, [entry.key for entry in entries])
            records: list[Record] = []
            for entry in entries:
                if entry.key and entry.key in known:
                    continue
                known.add(entry.key)
                seq, previous = seq + 1, records[-1].digest if records else previous
                records.append(_record(entry, seq, previous, actor, signer))
            if records:
                connection.execute(RECORDS.insert(), [{name: getattr(r, name) for name in FIELDS} for r in records])
                connection.execute(HEAD.update().values(seq=records[-1].seq, digest=records[-1].digest))
        return records

    def head(self) -> tuple[int, str]:
        """Number and digest of the last record, as the ledger states them; 0 for an empty one."""
        with self._errors(), self._engine.connect() as connection:
            row = connection.execute(sa.select(HEAD.c.seq, HEAD.c.digest)).one_or_none()
        if row is None:
            raise LedgerError(f"{self.place} has lost the note of its last record. Run: xrfree ledger verify")
        return row.seq, row.digest

    def records(
        self, *, kind: str | None = None, subject: str | None = None, numbers: Sequence[int] | None = None
    ) -> Iterator[Record]:
        """Records in the order of their numbers, or of `numbers` where these are given; a block in memory at a time."""
        if numbers is not None:
            for start in range(0, len(numbers), _BLOCK):
                wanted = numbers[start : start + _BLOCK]
                found = {r.seq: r for r in self._read(sa.select(RECORDS).where(RECORDS.c.seq.in_(wanted)))}
                yield from (found[n] for n in wanted if n in found)
            return
        chosen = sa.select(RECORDS).order_by(RECORDS.c.seq).limit(_BLOCK)
        if kind is not None:
            chosen = chosen.where(RECORDS.c.kind == kind)
        if subject is not None:
            chosen = chosen.where(RECORDS.c.subject == subject)
        last = -(2**62)
        while block := self._read(chosen.where(RECORDS.c.seq > last)):
            yield from block
            last = block[-1].seq

    def with_keys(self, keys: Iterable[str]) -> dict[str, int]:
        """Numbers of the records that have one of these keys."""
        found: dict[str, int] = {}
        wanted = list(keys)
        with self._errors(), self._engine.connect() as connection:
            for start in range(0, len(wanted), _BLOCK):
                chosen = sa.select(RECORDS.c.key, RECORDS.c.seq).where(
                    RECORDS.c.key.in_(wanted[start : start + _BLOCK])
                )
                found.update((row.key, row.seq) for row in connection.execute(chosen))
        return found

    def subjects(self, kind: str) -> dict[str, int]:
        """How many records of a kind there are, by subject."""
        counted = (
            sa.select(RECORDS.c.subject, sa.func.count()).where(RECORDS.c.kind == kind).group_by(RECORDS.c.subject)
        )
        with self._errors(), self._engine.connect() as connection:
            return {subject: int(n) for subject, n in connection.execute(counted)}

    def damage(self) -> list[str]:
        """What the database itself finds wrong with its file; empty for a server."""
        if self._engine.dialect.name != "sqlite":
            return []
        with self._errors(), self._engine.connect() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def _read(self, chosen: sa.Select[Any]) -> list[Record]:
        with self._errors(), self._engine.connect() as connection:
            return [Record(**row._mapping) for row in connection.execute(chosen)]

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction that nobody else can write in."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                # One writer at a time, also while the tables are made.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5789043)")
            yield connection
            connection.commit()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise _ledger_error(self.place, error) from error


def _ledger_error(place: str, error: Exception) -> LedgerError:
    reason = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
    remedy = "Check that it is a ledger, its permissions and the free space"
    for word, better in (
        ("full", "Free some space and run the same command again: it goes on where it stopped"),
        ("disk I/O", "Check the drive and its free space, then run the same command again"),
        ("locked", "Another program holds it; end that one, or use a server if there are many"),
        ("append-only", "Record an amendment instead"),
    ):
        if word in reason:
            remedy = better
    return LedgerError(f"ledger {_shown(place)}: {reason}. {remedy}.")


def _shown(place: str) -> str:
    """A place without the password that a URL may hold."""
    return sa.make_url(place).render_as_string(hide_password=True) if "://" in place else place


def _engine(place: str, *, create: bool) -> sa.Engine:
    if "://" in place:
        try:
            return sa.create_engine(place)
        except (SQLAlchemyError, ImportError) as error:
            raise LedgerError(
                f"ledger {_shown(place)}: {error}. Write postgresql+psycopg://user@host/name, and install "
                '"xrfree[postgres]".'
            ) from error
    path = Path(place)
    if not create and not path.exists():
        raise LedgerError(f"ledger {path}: there is no such file. Check the path.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _ledger_error(place, error) from error
    # isolation_level None: transactions begin where we say so, not where the driver guesses.
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_S, "isolation_level": None}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Write-ahead log: readers and a writer do not wait for each other; FULL: a power cut loses nothing committed."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cell_size_check=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _known_keys(connection: sa.Connection, keys: Sequence[str]) -> set[str]:
    known: set[str] = set()
    wanted = [key for key in keys if key]
    for start in range(0, len(wanted), _BLOCK):
        chosen = sa.select(RECORDS.c.key).where(RECORDS.c.key.in_(wanted[start : start + _BLOCK]))
        known.update(connection.execute(chosen).scalars())
    return known


def _record(entry: Entry, seq: int, previous: str, actor: str, signer: Signer | None) -> Record:
    fields: dict[str, Any] = {
        "seq": seq,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "subject": clean(entry.subject),
        "key": entry.key,
        "actor": clean(actor),
        "signer": "" if signer is None else signer.public_key,
        "content": entry.content,
        "previous": previous,
    }
    digest = record_digest(Record(**fields, digest="", signature=""))
    return Record(**fields, digest=digest, signature="" if signer is None else signer.sign(digest))


def entry(kind: str, subject: str, data: Mapping[str, Any], *, key: str = "") -> Entry:
    """An entry of plain data."""
    return Entry(kind=kind, subject=subject, content=canonical_text(data), key=key)
