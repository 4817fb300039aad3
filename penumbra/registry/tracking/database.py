"""The registry's database: made once, however many processes find it empty; one of SQLite is checked before its use."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from penumbra.registry.errors import MlflowException
from penumbra.registry.tracking import sqlite_registry
from penumbra.registry.tracking.sqlite_registry import SQLITE_PREFIX, check_pages, get_database_path
from penumbra.storage.atomic import write_aside
from penumbra.storage.locks import hold_file_lock

POSTGRES_PREFIXES = ("postgresql://", "postgresql+")
MIGRATION_LOCK = 0x70656E756D627261  # the key of an advisory lock of PostgreSQL: "penumbra"


class UnusableRegistry(MlflowException):
    """The registry's database is damaged, locked or read-only; says so in one sentence, and what to do."""


def create_database(uri: str) -> None:
    """Have MLflow make its tables in a new database, one process at a time: two that do so at once break it.

    An SQLite database is made aside and renamed when whole. In PostgreSQL the first process has the tables made in
    transactions, and the others wait for it, by an advisory lock.

    Args:
        uri: The registry's address; nothing happens for a server's, or where an SQLite database exists.

    Raises:
        MlflowException: The database can't be reached or isn't MLflow's.
        SQLAlchemyError: PostgreSQL can't be reached or refuses the lock.
    """
    if uri.startswith(POSTGRES_PREFIXES):
        _create_postgres_tables(uri)
    elif (database := get_database_path(uri)) and not database.exists():
        _create_sqlite_file(database)


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
    try:
        check_pages(database, writable)
    except sqlite3.Error as error:
        raise UnusableRegistry(_describe_fault(database, error)) from None


def refuse_locked(database: Path, error: sqlite3.Error) -> None:
    """Refuse a database that was waited for in vain, which MLflow would wait for again; what else is wrong it tells.

    Args:
        database: The registry's file.
        error: Why it couldn't be read.

    Raises:
        UnusableRegistry: It is locked.
    """
    if "locked" in str(error):
        raise UnusableRegistry(_describe_fault(database, error)) from None


def _create_postgres_tables(uri: str) -> None:
    import sqlalchemy
    from mlflow import MlflowClient

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _create_sqlite_file(database: Path) -> None:
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with hold_file_lock(database.with_suffix(".lock")):
        if not database.exists():
            with write_aside(database) as new, _skip_flushes():
                MlflowClient(tracking_uri=f"{SQLITE_PREFIX}{new}").search_experiments()


@contextlib.contextmanager
def _skip_flushes() -> Iterator[None]:
    """Let no database wait for the disk: MLflow makes its tables in dozens of steps, of which the last one counts."""
    import sqlalchemy

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _leave_flushing_to_the_system)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", _leave_flushing_to_the_system)


def _leave_flushing_to_the_system(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")


def _describe_fault(database: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return (
            f"the registry {database} is locked by another process for more than {sqlite_registry.LOCK_WAIT_SECONDS:g} "
            "s: wait until it is done, or end it, and try again"
        )
    if type(error) is sqlite3.DatabaseError:
        return (
            f"the registry {database} is damaged ({error}): bring it back from a backup; the service goes on with the "
            "models that it has, and `penumbra history --rebuild` sets the aliases by the ledger afterwards"
        )
    return f"the registry {database} can't be used ({error}): see that it is a file that this user may read and write"
