"""A registry that is an SQLite file: where it is, and what is read of it by SQL, as importing MLflow takes a second."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

SQLITE_PREFIX = "sqlite:///"
LOCK_WAIT_SECONDS = 10.0
MLFLOW_REVISION = "dc11669786a5"  # of the tables that MLflow makes
TABLES_QUERY = """
SELECT version_num, EXISTS (
    SELECT workspace FROM registered_models WHERE workspace <> 'default' UNION ALL
    SELECT workspace FROM webhooks WHERE workspace <> 'default' UNION ALL
    SELECT workspace FROM experiments WHERE workspace <> 'default'
) FROM alembic_version
"""
FINGERPRINT_QUERY = """
SELECT max(version) FROM model_versions JOIN model_version_tags USING (workspace, name, version)
WHERE name = ? AND key = 'fingerprint' AND value = ? AND current_stage <> 'Deleted_Internal'
"""
MODEL_QUERY = """
SELECT EXISTS (
    SELECT key FROM registered_model_tags AS tag
    WHERE tag.workspace = 'default' AND tag.name = model.name AND key = 'mlflow.prompt.is_prompt'
) FROM registered_models AS model WHERE workspace = 'default' AND name = ?
"""
ALIAS_QUERY = "SELECT alias, version FROM registered_model_aliases WHERE workspace = 'default' AND name = ?"
VERSION_QUERY = """
SELECT run_id, coalesce(nullif(storage_location, ''), source), creation_time FROM model_versions
WHERE workspace = 'default' AND name = ? AND version = ? AND current_stage <> 'Deleted_Internal'
"""
TAGS_QUERY = "SELECT key, value FROM model_version_tags WHERE workspace = 'default' AND name = ? AND version = ?"
PARAMS_QUERY = "SELECT key, value FROM params WHERE run_uuid = ?"
RUNNING_QUERY = "SELECT count(*) FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'"


class OtherTables(sqlite3.Error):
    """The tables are of another release of MLflow, of several workspaces, or name a prompt: MLflow is to say which."""


class StoredVersion(NamedTuple):
    """A model version: its run's id, the bundle's address, when it was made (milliseconds since the epoch), its tags,
    and the run's parameters, long ones shortened."""

    run_id: str
    address: str
    created: int
    tags: dict[str, str]
    params: dict[str, str]


def get_database_path(uri: str) -> Path | None:
    """Return the path in a `uri` such as sqlite:///path?… or sqlite:///file:path?…; None of another address."""
    path = uri.partition("?")[0].removeprefix(SQLITE_PREFIX).removeprefix("file:")
    return Path(path) if uri.startswith(SQLITE_PREFIX) else None


def get_local_path(address: str) -> Path | None:
    """Return the path of an `address` that is one on this machine, and that nobody reads otherwise; else None."""
    return Path(address) if address.startswith("/") and unquote(address) == address else None


def has_database(uri: str) -> bool:
    """Return whether the registry at `uri` can be asked: False for an SQLite database that doesn't exist yet."""
    database = get_database_path(uri)
    return database is None or database.exists()


def read_version_by_fingerprint(database: Path, model: str, fingerprint: str) -> str | None:
    """Read which is the newest version that was trained from exactly one state of data, code and settings.

    Args:
        database: The registry's file, which exists.
        model: The name of the registered model.
        fingerprint: The result of `penumbra.storage.fingerprints.compute_fingerprint` for it.

    Returns:
        The version's number; None if there is none.

    Raises:
        sqlite3.Error: The file can't be read, is locked for more than ten seconds, or isn't the pinned MLflow's.
    """
    with open_tables(database) as db:
        (version,) = db.execute(FINGERPRINT_QUERY, (model, fingerprint)).fetchone()
    return None if version is None else str(version)


def read_aliases(database: Path, model: str) -> dict[str, str] | None:
    """Read the aliases of a model.

    Args:
        database: The registry's file, which exists.
        model: The name of the registered model.

    Returns:
        The version's number behind each alias; None if there is no such model.

    Raises:
        OtherTables: The name is that of a prompt.
        sqlite3.Error: The file can't be read, is locked for more than ten seconds, or isn't the pinned MLflow's.
    """
    with open_tables(database) as db:
        named = db.execute(MODEL_QUERY, (model,)).fetchone()
        found = db.execute(ALIAS_QUERY, (model,)).fetchall()
    if named == (True,):
        raise OtherTables(f"{model} is a prompt")
    return {alias: str(version) for alias, version in found} if named else None


def read_version(database: Path, model: str, version: str) -> StoredVersion | None:
    """Read what is stored of a version.

    Args:
        database: The registry's file, which exists.
        model: The name of the registered model.
        version: The version's number.

    Returns:
        What is stored; None if there is no such version, or it lacks a run or an address.

    Raises:
        sqlite3.Error: The file can't be read, is locked for more than ten seconds, or isn't the pinned MLflow's.
    """
    if not (version.isascii() and version.isdigit()):  # SQLite would find "1.0"
        return None
    with open_tables(database) as db:
        run_id, address, created = db.execute(VERSION_QUERY, (model, version)).fetchone() or (None, None, 0)
        tags = dict(db.execute(TAGS_QUERY, (model, version)).fetchall())
        params = dict(db.execute(PARAMS_QUERY, (run_id,)).fetchall())
    return StoredVersion(run_id, address, created, tags, params) if run_id and address else None


def needs_mlflow(database: Path) -> bool:
    """Tell whether MLflow has something to do before a run is recorded: to end runs that were begun.

    Args:
        database: The registry's file, which exists.

    Returns:
        False if no run is under way.

    Raises:
        sqlite3.Error: The file is damaged, can't be read or written, is locked for more than ten seconds, or isn't the
            pinned MLflow's.
    """
    check_pages(database, writable=True)
    with open_tables(database) as db:
        (runs,) = db.execute(RUNNING_QUERY).fetchone()
    return bool(runs)


def check_pages(database: Path, writable: bool = False) -> None:
    """Check that a database can be read, and that its pages are in order.

    Args:
        database: The registry's file, which exists.
        writable: Whether to check that it can be written, too.

    Raises:
        sqlite3.DatabaseError: It is damaged.
        sqlite3.Error: It is locked by another process for more than ten seconds, or can't be opened.
    """
    with _open_database(database, "rw" if writable else "ro") as db:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found.replace("\n", " "))
        if writable:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")


@contextmanager
def open_tables(database: Path, mode: Literal["ro", "rw"] = "ro") -> Iterator[sqlite3.Connection]:
    """Open tables that say by SQL what MLflow would say.

    Args:
        database: The registry's file, which exists.
        mode: Whether they are read only, or written, too.

    Yields:
        The connection, in which each statement is a transaction unless one is begun. What isn't committed is undone.

    Raises:
        OtherTables: The tables aren't the pinned MLflow's.
        sqlite3.Error: The file can't be opened, or is locked for more than ten seconds.
    """
    with _open_database(database, mode) as db:
        if (found := db.execute(TABLES_QUERY).fetchone()) != (MLFLOW_REVISION, False):
            raise OtherTables(f"the revision and whether there are other workspaces than the default one: {found}")
        yield db


def _open_database(database: Path, mode: str = "ro") -> closing[sqlite3.Connection]:
    address = f"{database.absolute().as_uri()}?mode={mode}"
    return closing(sqlite3.connect(address, LOCK_WAIT_SECONDS, isolation_level=None, uri=True))
