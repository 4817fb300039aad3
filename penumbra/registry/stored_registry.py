"""The registry as the service asks it: by SQL where it is an SQLite file, as MLflow takes seconds to import."""

import shutil
import sqlite3
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from penumbra.core.settings import RegistrySettings
from penumbra.registry.tracking.sqlite_registry import (
    StoredVersion,
    get_database_path,
    get_local_path,
    read_aliases,
    read_version,
)

if TYPE_CHECKING:
    from penumbra.registry.models import ModelRegistry

SETTLED_SECONDS = 2.0  # since a file was written: whatever is written to it now gives it another time


class StoredRegistry:
    """What of `penumbra.registry.models.ModelRegistry` the service needs.

    Where SQL doesn't tell, as of another registry than SQLite's, of a bundle that isn't in a folder here, or where
    anything is wrong, MLflow is imported and asked.
    """

    def __init__(self, registry: RegistrySettings) -> None:
        """Connect to nothing yet.

        Args:
            registry: Section [registry] of the settings.
        """
        self._registry, self.signed_by = registry, registry.signed_by
        self._aliases: dict[str, str] | None = None
        self._files: list[tuple[int, int, int]] = []  # the database's as the aliases were read

    def aliases(self) -> dict[str, str] | None:
        """Return the version behind each alias; None if there is no database or no model yet.

        A file that hasn't changed is not read again, which takes a hundred times as long as looking.
        """
        if database := get_database_path(self._registry.tracking):
            with suppress(sqlite3.Error):
                return self._read_aliases(database) if database.exists() else None
        return self._models.aliases()

    def version(self, alias: str) -> str | None:
        """Return the version that an `alias` names; None if there is no such alias."""
        return (self.aliases() or {}).get(alias)

    def find_run_id(self, name: str) -> str:
        """Return the id of the run that made the version `name`."""
        stored = self._read_stored(name)
        return stored.run_id if stored else self._models.find_run_id(name)

    def download(self, version: str, folder: Path) -> None:
        """Copy the bundle of a `version` into a new `folder`, as `ModelRegistry.download` does."""
        stored = self._read_stored(version)
        if stored and (local := get_local_path(stored.address)) and local.is_dir():
            shutil.copytree(local, folder)
        else:
            self._models.download(version, folder)

    def tags(self, version: str) -> dict[str, str]:
        """Return the tags of a `version`."""
        stored = self._read_stored(version)
        return stored.tags if stored else self._models.tags(version)

    def tag(self, version: str, key: str, value: str) -> None:
        """Set the tag `key` of a `version` to `value`."""
        self._models.tag(version, key, value)

    def set_alias(self, alias: str, version: str) -> None:
        """Let an `alias` name a `version`."""
        self._models.set_alias(alias, version)

    def delete_alias(self, alias: str) -> None:
        """Remove an `alias`."""
        self._models.delete_alias(alias)

    def _read_aliases(self, database: Path) -> dict[str, str] | None:
        paths = database, database.with_name(f"{database.name}-wal")
        found = [path.stat() for path in paths if path.exists()]
        files = [(each.st_ino, each.st_size, each.st_mtime_ns) for each in found]
        if files != self._files:
            self._aliases = read_aliases(database, self._registry.model)
            is_settled = all(each.st_mtime < time.time() - SETTLED_SECONDS for each in found)
            self._files = files if is_settled else []
        return None if self._aliases is None else dict(self._aliases)

    def _read_stored(self, version: str) -> StoredVersion | None:
        database = get_database_path(self._registry.tracking)
        with suppress(sqlite3.Error):
            return read_version(database, self._registry.model, version) if database and database.exists() else None
        return None

    @cached_property
    def _models(self) -> "ModelRegistry":
        from penumbra.registry.models import ModelRegistry

        return ModelRegistry(self._registry)
