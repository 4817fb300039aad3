"""The registered model: its versions, their aliases and bundles, in MLflow."""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from penumbra.core.settings import RegistrySettings
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address
from penumbra.registry.bundles.manifest import BrokenBundle
from penumbra.registry.errors import RESOURCE_DOES_NOT_EXIST, MlflowException
from penumbra.registry.runs import RunRegistry
from penumbra.registry.tracking.database import check_database, refuse_locked
from penumbra.registry.tracking.run_records import RecordedRun
from penumbra.registry.tracking.sqlite_registry import (
    StoredVersion,
    get_database_path,
    get_local_path,
    has_database,
    read_aliases,
    read_version,
)

REGISTRY_ERRORS = (MlflowException, BrokenBundle)  # the registry can't be reached, or has a damaged bundle


class ModelRegistry(RunRegistry):
    """One experiment and one registered model: records runs, registers bundles, moves aliases, fetches bundles."""

    def __init__(self, registry: RegistrySettings) -> None:
        """Connect to nothing yet; the first use does.

        Args:
            registry: Section [registry] of the settings.
        """
        super().__init__(registry)
        self.signed_by = registry.signed_by
        self._is_model = False  # whether the name is known to be a model's

    def require_writable(self) -> None:
        """Check that the registry can be asked and written, before work begins whose result it is to keep.

        Raises:
            MlflowException: It can't be, the experiment is deleted, or `registry.artifacts` is no place where MLflow
                can keep files; the message says why and what to do.
        """
        check_database(self.uri, writable=True)
        self.aliases()
        self._require_active_experiment()
        if get_scheme(self.artifacts):
            self._require_artifact_store()

    def register(self, run_id: str, path: str, tags: Mapping[str, str], description: str = "") -> str:
        """Register a bundle as the model's next version.

        Args:
            run_id: The run that logged the bundle.
            path: The bundle's artifact path in the run.
            tags: Tags of the version.
            description: What people read of it, as Markdown; MLflow takes 5,000 characters.

        Returns:
            The version's number.

        Raises:
            MlflowException: The name is that of a prompt.
        """
        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            self._require_model()
        self._is_model = True
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{path}"
        made = self.client.create_model_version(
            self.name, source, run_id, tags=dict(tags), description=description or None
        )
        return str(made.version)

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias name a version.

        Args:
            alias: The alias.
            version: The version's number.

        Raises:
            MlflowException: There is no such version, or the name is that of a prompt.
        """
        self._require_model()
        self.client.set_registered_model_alias(self.name, alias, version)

    def delete_alias(self, alias: str) -> None:
        """Remove an alias.

        Args:
            alias: The alias.

        Raises:
            MlflowException: There is no such model, or the name is that of a prompt.
        """
        self._require_model()
        self.client.delete_registered_model_alias(self.name, alias)

    def aliases(self) -> dict[str, str] | None:
        """Read the model's aliases.

        Returns:
            The version's number behind each alias; None if there is no database or no model yet.

        Raises:
            MlflowException: The name is that of a prompt.
        """
        aliases = self._read_aliases() if has_database(self.uri) else None
        self._is_model = self._is_model or aliases is not None
        return aliases

    def _read_aliases(self) -> dict[str, str] | None:
        if database := get_database_path(self.uri):
            try:
                return read_aliases(database, self.name)
            except sqlite3.Error as error:
                refuse_locked(database, error)
        try:
            model = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            if self.client.get_prompt(self.name) is None:
                return None
            raise MlflowException(
                f"registry.model = {self.name!r} is the name of a prompt in {mask_address(self.uri)}, not of a model: "
                "give the model another name",
                RESOURCE_DOES_NOT_EXIST,
            ) from None
        return {alias: str(each) for alias, each in model.aliases.items()}

    def _require_model(self) -> None:
        """Refuse the name of a prompt, which has versions and aliases, too. One look does: a name stays what it is."""
        if not self._is_model and self.aliases() is None:
            raise MlflowException(f"registry.model = {self.name!r} is no registered model", RESOURCE_DOES_NOT_EXIST)

    def tag(self, version: str, key: str, value: str) -> None:
        """Set a tag of a version.

        Args:
            version: The version's number.
            key: The tag's name.
            value: The tag's value.

        Raises:
            MlflowException: There is no such version, or the name is that of a prompt.
        """
        self._require_model()
        self.client.set_model_version_tag(self.name, version, key, value)

    def tags(self, version: str) -> dict[str, str]:
        """Read the tags of a version.

        Args:
            version: The version's number.

        Returns:
            The value of each tag, by its name.

        Raises:
            MlflowException: There is no such version.
        """
        stored = self._read_stored(version)
        return stored.tags if stored else dict(self.client.get_model_version(self.name, version).tags)

    def params(self, version: str) -> dict[str, str]:
        """Read the parameters of a version's run.

        Args:
            version: The version's number.

        Returns:
            The value of each parameter, by its name; long ones whole.

        Raises:
            MlflowException: There is no such version.
        """
        if stored := self._read_stored(version):
            return self._read_whole(stored.run_id, stored.params)
        run_id = self.find_run_id(version)
        return self._read_whole(run_id, self.client.get_run(run_id).data.params)

    def find_creation_time(self, version: str) -> dt.datetime:
        """Find when a version was registered.

        Args:
            version: The version's number.

        Returns:
            The time, in UTC.

        Raises:
            MlflowException: There is no such version.
        """
        stored = self._read_stored(version)
        made = stored.created if stored else self.client.get_model_version(self.name, version).creation_timestamp
        return dt.datetime.fromtimestamp(made / 1000, dt.UTC)

    def _read_stored(self, version: str) -> StoredVersion | None:
        return self._ask_tables(read_version, self.name, version)

    def read_run(self, version: str) -> RecordedRun:
        """Read the run that a version was made by.

        Args:
            version: The version's number.

        Returns:
            The run with its tags whole.

        Raises:
            MlflowException: There is no such version.
        """
        return self._read_run(self.find_run_id(version))

    def version(self, alias: str) -> str | None:
        """Find the version behind an alias.

        Args:
            alias: The alias.

        Returns:
            The version's number; None if there is no such alias, model or database yet.
        """
        return (self.aliases() or {}).get(alias)

    def find_version_by_fingerprint(self, fingerprint: str) -> str | None:
        """Find the newest version that was trained from exactly one state of data, code and settings.

        Args:
            fingerprint: The result of `penumbra.storage.fingerprints.compute_fingerprint` for it.

        Returns:
            The version's number; None if there is none.
        """
        if not has_database(self.uri):
            return None
        query = f"name = '{self.name}' and tag.fingerprint = '{fingerprint}'"
        versions = [int(version.version) for version in self.client.search_model_versions(query)]
        return str(max(versions)) if versions else None

    def find_version_by_run(self, run_id: str) -> str | None:
        """Find the version whose bundle a run has logged.

        Args:
            run_id: The run's id.

        Returns:
            The version's number; None if there is none.
        """
        versions = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'")
        return str(versions[0].version) if versions else None

    def find_run_id(self, name: str) -> str:
        """Find the run of a model version.

        Args:
            name: A version's number, or a run's id.

        Returns:
            The id of the run.

        Raises:
            MlflowException: There is no such version or run.
        """
        if name.isdigit() and len(name) < 32:
            if stored := self._read_stored(name):
                return stored.run_id
            return str(self.client.get_model_version(self.name, name).run_id)
        return str(self.client.get_run(name).info.run_id)

    def download_artifact(self, name: str, path: str, into: Path) -> Path:
        """Copy an artifact of a run into a folder.

        Args:
            name: A run's id, or a version's number.
            path: The artifact path of a file or folder.
            into: The folder for the copy.

        Returns:
            The path of the copy below `into`.

        Raises:
            MlflowException: There is no such run, version or artifact.
        """
        return self.download_run_artifact(self.find_run_id(name), path, into)

    def download(self, version: str, folder: Path) -> None:
        """Copy the bundle of a version into a new folder.

        Args:
            version: The version's number.
            folder: The folder for the bundle's files; it must not exist.

        Raises:
            MlflowException: There is no such version.
            FileExistsError: The folder exists.
        """
        address = self.get_bundle_address(version)
        local = get_local_path(address)
        shutil.copytree(local if local and local.is_dir() else self._download(address), folder)

    def get_bundle_address(self, version: str) -> str:
        """Return the address at which the bundle of a `version` is kept; raises MlflowException if there is none."""
        if stored := self._read_stored(version):
            return stored.address
        return str(self.client.get_model_version_download_uri(self.name, version))

    def list_versions(self) -> list[str]:
        """Return the numbers of all versions, oldest first; raises MlflowException where MLflow can't be reached."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return [str(number) for number in sorted(int(version.version) for version in found)]

    def _require_artifact_store(self) -> None:
        """Have MLflow list a folder that isn't there, since stores are opened only when they are first used."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            get_artifact_repository(self.artifacts, tracking_uri=self.uri).list_artifacts("none")
        except Exception as error:
            address = mask_address(self.artifacts)
            raise MlflowException(f"registry.artifacts = {address!r} can't be used: {describe_error(error)}") from None
