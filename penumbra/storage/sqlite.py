"""Transactions and schema versions of SQLite files."""

import contextlib
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def write_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one write transaction, which is rolled back after an exception.

    Args:
        db: A connection in autocommit mode (`isolation_level=None`); it waits for another writer up to its timeout.

    Yields:
        Nothing.

    Raises:
        sqlite3.OperationalError: Where another process writes for longer than the timeout.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def read_user_version(db: sqlite3.Connection) -> int:
    """Return the version that `recreate_tables` left in the file of `db`; 0 in a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


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
