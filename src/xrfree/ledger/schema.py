"""Tables of the ledger, and how those of earlier versions become those of this one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text, inspect, select, text

from xrfree.errors import LedgerError

metadata = MetaData()

RECORDS = Table(
    "records",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    *(
        Column(name, Text, nullable=False)
        for name in (
            "created",
            "kind",
            "subject",
            "key",
            "actor",
            "signer",
            "content",
            "previous",
            "digest",
            "signature",
        )
    ),
)

HEAD = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
)
"""Number and digest of the last record, in one row: whoever appends locks it first."""

VERSION = Table("schema_version", metadata, Column("version", Integer, nullable=False))

_REFUSAL = "the ledger is append-only: record an amendment instead"


def _tables(connection: Connection) -> None:
    """Version 1: the records, and the head that names the last of them."""
    metadata.create_all(connection, tables=[RECORDS, HEAD])
    connection.execute(HEAD.insert().values(id=1, seq=0, digest="0" * 64))


def _indexes(connection: Connection) -> None:
    """Version 2: records are found by key and by subject; the database itself refuses changes."""
    connection.execute(text("CREATE UNIQUE INDEX records_key ON records (key) WHERE key <> ''"))
    connection.execute(text("CREATE INDEX records_subject ON records (subject, kind)"))
    if connection.dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER records_no_{action.lower()} BEFORE {action} ON records "
                    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
                )
            )
        return
    connection.execute(
        text(
            "CREATE FUNCTION xrfree_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
    )
    connection.execute(
        text(
            "CREATE TRIGGER records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON records "
            "FOR EACH STATEMENT EXECUTE FUNCTION xrfree_append_only()"
        )
    )


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_tables, _indexes)
"""Each makes the next version of the tables; only ever added to."""


def migrate(connection: Connection, *, target: int = len(MIGRATIONS)) -> None:
    """Bring the tables to this version; LedgerError if a newer xrfree made them."""
    version = schema_version(connection)
    if version == target:
        return
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"the ledger has tables of version {version}, this xrfree knows {len(MIGRATIONS)}. Install a newer xrfree."
        )
    VERSION.create(connection, checkfirst=True)
    for step in MIGRATIONS[version:target]:
        step(connection)
    connection.execute(VERSION.delete())
    connection.execute(VERSION.insert().values(version=target))


def schema_version(connection: Connection) -> int:
    """Version of the tables; 0 where there are none yet."""
    if not inspect(connection).has_table(VERSION.name):
        return 0
    return int(connection.execute(select(VERSION.c.version)).scalar() or 0)
