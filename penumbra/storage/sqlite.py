"""What the SQLite files of the stores share."""

import contextlib
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def write_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; whoever comes second waits."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def read_user_version(db: sqlite3.Connection) -> int:
    """The number that was left in the file by `lay_out`; 0 in a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def recreate_tables(db: sqlite3.Connection, statements: str, version: int) -> None:
    """Begin anew, unless that was done by another process: drop everything, run the statements, leave the version."""
    with write_transaction(db):
        if read_user_version(db) == version:
            return
        for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE sql NOT NULL").fetchall():
            db.execute(f"DROP {kind} IF EXISTS {name}")
        for statement in statements.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
