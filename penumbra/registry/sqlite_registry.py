"""A registry that is an SQLite file: where it is, and what is read of it by SQL, as importing MLflow takes a second."""

import sqlite3
from contextlib import closing
from pathlib import Path

SQLITE_PREFIX = "sqlite:///"
LOCK_WAIT_SECONDS = 10.0
FINGERPRINT_QUERY = """
SELECT max(version) FROM model_versions JOIN model_version_tags USING (workspace, name, version)
WHERE name = ? AND key = 'fingerprint' AND value = ? AND current_stage <> 'Deleted_Internal'
"""


def get_database_path(uri: str) -> Path | None:
    """Return the path in a `uri` such as sqlite:///path?… or sqlite:///file:path?…; None of another address."""
    path = uri.partition("?")[0].removeprefix(SQLITE_PREFIX).removeprefix("file:")
    return Path(path) if uri.startswith(SQLITE_PREFIX) else None


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
        sqlite3.Error: The file can't be read, is locked for more than ten seconds, or isn't MLflow's.
    """
    address = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, LOCK_WAIT_SECONDS, uri=True)) as db:
        (version,) = db.execute(FINGERPRINT_QUERY, (model, fingerprint)).fetchone()
    return None if version is None else str(version)
