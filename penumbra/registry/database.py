"""The SQLite database of an embedded registry: made once, and checked before MLflow opens it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from penumbra.storage.atomic import write_aside
from penumbra.storage.locks import hold_file_lock

SQLITE_PREFIX = "sqlite:///"
LOCK_WAIT_SECONDS = 10.0


class UnusableRegistry(MlflowException):
    """The registry's database is damaged, locked or read-only; says so in one sentence, and what to do."""


def get_database_path(uri: str) -> Path | None:
    """Return the path in a `uri` such as sqlite:///path?… or sqlite:///file:path?…; None of another address."""
    path = uri.partition("?")[0].removeprefix(SQLITE_PREFIX).removeprefix("file:")
    return Path(path) if uri.startswith(SQLITE_PREFIX) else None


def has_database(uri: str) -> bool:
    """Return whether the registry at `uri` can be asked: False for an SQLite database that doesn't exist yet."""
    database = get_database_path(uri)
    return database is None or database.exists()


def create_database(uri: str) -> None:
    """Create a new SQLite database aside and rename it when whole: two processes migrating one at once break it.

    Args:
        uri: The registry's address; nothing happens for another than SQLite's, or where the database exists.
    """
    database = get_database_path(uri)
    if database is None or database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with hold_file_lock(database.with_suffix(".lock")):
        if not database.exists():
            with write_aside(database) as new:
                MlflowClient(tracking_uri=f"{SQLITE_PREFIX}{new}").search_experiments()


def check_database(uri: str, writable: bool = False) -> None:
    """Check that an SQLite database can be read, and that its pages are in order.

    Args:
        uri: The registry's address; nothing is checked for another than SQLite's, or where there is no database yet.
        writable: Whether to check that it can be written, too.

    Raises:
        UnusableRegistry: It is damaged, or locked by another process for more than ten seconds, or can't be opened.
    """
    database = get_database_path(uri)
    if database is None or not database.exists():
        return
    mode = "rw" if writable else "ro"
    try:
        address = f"{database.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, LOCK_WAIT_SECONDS, isolation_level=None, uri=True)) as db:
            _check_pages(db)
            if writable:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise UnusableRegistry(_describe_fault(database, error)) from None


def _check_pages(db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found.replace("\n", " "))


def _describe_fault(database: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return (
            f"the registry {database} is locked by another process for more than {LOCK_WAIT_SECONDS:g} s: wait until "
            "it is done, or end it, and try again"
        )
    if type(error) is sqlite3.DatabaseError:
        return (
            f"the registry {database} is damaged ({error}): bring it back from a backup; the service goes on with the "
            "models that it has, and `penumbra history --rebuild` sets the aliases by the ledger afterwards"
        )
    return f"the registry {database} can't be used ({error}): see that it is a file that this user may read and write"
