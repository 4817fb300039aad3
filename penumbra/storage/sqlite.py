"""Transactions and schema versions of SQLite files."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

ROWS_PER_STATEMENT = 50  # a statement costs as much as inserting a row; more rows in one gain nothing


class ReplacedTables(sqlite3.OperationalError):
    """Another process, of another contract or version of the engine, has made the tables of a file anew meanwhile."""


@contextlib.contextmanager
def write_transaction(db: sqlite3.Connection, version: int | None = None) -> Iterator[None]:
    """Run the block as one write transaction, which is rolled back after an exception.

    Args:
        db: A connection in autocommit mode (`isolation_level=None`); it waits for another writer up to its timeout.
        version: The version of the tables that the block writes to (`recreate_tables`); None for any.

    Yields:
        Nothing.

    Raises:
        sqlite3.OperationalError: Where another process writes for longer than the timeout.
        ReplacedTables: The tables are of another version; the block isn't run.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        if version is not None:
            require_version(db, version)
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def insert_rows(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Insert rows, many with each statement: `executemany` alone takes longer for its statements than for the rows.

    Args:
        db: A connection within a write transaction.
        statement: The statement with `{rows}` in place of the VALUES clause: `INSERT INTO places {rows}`.
        rows: The values to bind, equally many in each row.

    Returns:
        How many rows were inserted or replaced.
    """
    inserted, whole = 0, len(rows) - len(rows) % ROWS_PER_STATEMENT
    for part, count in ((rows[:whole], ROWS_PER_STATEMENT), (rows[whole:], 1)):
        if part:
            row = f"({', '.join('?' * len(part[0]))})"
            values = _group_values(chain.from_iterable(part), count * len(part[0]))
            inserted += db.executemany(statement.format(rows=f"VALUES {', '.join([row] * count)}"), values).rowcount
    return inserted


def _group_values(values: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    while group := tuple(islice(values, size)):
        yield group


def read_user_version(db: sqlite3.Connection) -> int:
    """Return the version that `recreate_tables` left in the file of `db`; 0 in a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def require_version(db: sqlite3.Connection, version: int) -> None:
    """Check that the tables of `db` are of `version`.

    Raises:
        ReplacedTables: They are of another one.
    """
    if read_user_version(db) != version:
        raise ReplacedTables("another process, of another version or contract, has made the tables anew: try again")


def recreate_tables(db: sqlite3.Connection, statements: str, version: int) -> None:
    """Drop all tables and create new ones, unless another process has done so already.

    Args:
        db: A connection in autocommit mode.
        statements: The new tables' definitions, separated by `;` and a newline.
        version: The number that identifies these definitions; it is left in the file.
    """
    with write_transaction(db):
        if read_user_version(db) == version:
            return
        for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE sql NOT NULL").fetchall():
            db.execute(f"DROP {kind} IF EXISTS {name}")
        for statement in statements.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")


def copy_database(path: Path, copy: Path) -> None:
    """Copy the SQLite file at `path` to a new file `copy` as it is at one moment, whoever reads or writes it."""
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.closing(sqlite3.connect(copy)) as target:
        db.backup(target)


def remove_database(path: Path) -> None:
    """Remove the SQLite file at `path` with the files that belong to it, as far as they exist."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def find_differing_tables(path: Path, other: Path, but: Collection[str] = ()) -> list[str]:
    """Compare the rows of two SQLite files with the same tables.

    Args:
        path: A file.
        other: Another one.
        but: Names of tables that aren't compared.

    Returns:
        The names of the tables whose rows differ.

    Raises:
        sqlite3.DatabaseError: One of them is damaged, or lacks a table.
    """
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("ATTACH ? AS other", (str(other),))
        names = "SELECT name FROM other.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        tables = [name for (name,) in db.execute(names).fetchall() if name not in but]
        return [name for name in tables if _has_more(db, "main", "other", name) or _has_more(db, "other", "main", name)]


def _has_more(db: sqlite3.Connection, one: str, two: str, table: str) -> bool:
    found = db.execute(f"SELECT 1 FROM (SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {two}.{table}) LIMIT 1")
    return found.fetchone() is not None
