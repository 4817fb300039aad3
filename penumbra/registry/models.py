"""The model store: MLflow's tracking and registry. Runs are written after the fact, from one process, in few calls."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException

from penumbra.core.settings import RegistrySettings
from penumbra.storage.atomic import write_aside
from penumbra.storage.locks import hold_file_lock

SQLITE_PREFIX = "sqlite:///"
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)


@dataclass(frozen=True)
class FinishedRun:
    """One finished piece of work to be recorded; times in seconds since the epoch."""

    name: str
    start: float
    end: float
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedRun:
    """A run as it was recorded; `start` in seconds since the epoch."""

    id: str
    start: float
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class ModelRegistry:
    """One experiment and one registered model: records runs, registers bundles, moves aliases, fetches bundles."""

    def __init__(self, registry: RegistrySettings):
        self.name = registry.model
        self.artifacts = _to_absolute(registry.artifacts)
        self.uri = registry.tracking
        self._made: MlflowClient | None = None

    @property
    def client(self) -> MlflowClient:
        if self._made is None:
            _create_database(self.uri)
            self._made = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._made

    def record(
        self, run: FinishedRun, parent: str = "", artifacts: Mapping[str, Path] | None = None, data_version: str = ""
    ) -> str:
        """Write a finished run, with the data version as its input and files or folders below artifact paths.

        Returns the run's id.
        """
        tags = {**run.tags, "mlflow.runName": run.name} | ({"mlflow.parentRunId": parent} if parent else {})
        start, end = int(run.start * 1000), int(run.end * 1000)
        run_id = self.client.create_run(self._experiment(), start_time=start, tags=tags).info.run_id
        self.client.log_batch(
            run_id,
            [Metric(key, float(value), end, 0) for key, value in run.metrics.items()],
            [Param(key, str(value)) for key, value in run.params.items()],
            [],
        )
        for path, source in (artifacts or {}).items():
            log = self.client.log_artifacts if source.is_dir() else self.client.log_artifact
            log(run_id, str(source), path)
        if data_version:
            data = Dataset("data", data_version, "dvc", json.dumps({"md5": data_version}))
            self.client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        self.client.set_terminated(run_id, end_time=end)
        return run_id

    def register(self, run_id: str, path: str, tags: Mapping[str, str]) -> str:
        """Make the bundle that the run logged below `path` the model's next version; return its number."""
        with contextlib.suppress(MlflowException):
            self.client.create_registered_model(self.name)
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{path}"
        return str(self.client.create_model_version(self.name, source, run_id, tags=dict(tags)).version)

    def set_alias(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(self.name, alias, version)

    def delete_alias(self, alias: str) -> None:
        self.client.delete_registered_model_alias(self.name, alias)

    def aliases(self) -> dict[str, str] | None:
        """The version number behind each alias, or None where there is no database or no model yet."""
        if not _has_database(self.uri):
            return None
        try:
            found = self.client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return {alias: str(version) for alias, version in found.items()}

    def tag(self, version: str, key: str, value: str) -> None:
        self.client.set_model_version_tag(self.name, version, key, value)

    def tags(self, version: str) -> dict[str, str]:
        """Of a version. Raises MlflowException where it doesn't exist."""
        return dict(self.client.get_model_version(self.name, version).tags)

    def version(self, alias: str) -> str | None:
        """The version number behind an alias; None where there is no such alias, model or database yet."""
        if not _has_database(self.uri):
            return None
        try:
            return str(self.client.get_model_version_by_alias(self.name, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def find_version_by_fingerprint(self, fingerprint: str) -> str | None:
        """Find the newest version that was trained from exactly one state of data, code and settings.

        Args:
            fingerprint: What `penumbra.registry.code_version.compute_fingerprint` returned for it.

        Returns:
            The version's number, None if there is none.
        """
        if not _has_database(self.uri):
            return None
        query = f"name = '{self.name}' and tag.fingerprint = '{fingerprint}'"
        versions = [int(found.version) for found in self.client.search_model_versions(query)]
        return str(max(versions)) if versions else None

    def find_run_id(self, name: str) -> str:
        """The run id behind a model version's number, or the run id itself. Raises MlflowException for neither."""
        if name.isdigit() and len(name) < 32:
            return str(self.client.get_model_version(self.name, name).run_id)
        return str(self.client.get_run(name).info.run_id)

    def download_artifact(self, name: str, path: str, into: Path) -> Path:
        """A file or folder of a run (by run id or version number), as a local copy below `into`."""
        source = f"{self.client.get_run(self.find_run_id(name)).info.artifact_uri}/{path}"
        return Path(download_artifacts(artifact_uri=source, tracking_uri=self.uri, dst_path=str(into)))

    def download(self, version: str, folder: Path) -> None:
        """Fill `folder`, which must not exist, with the bundle's files."""
        source = self.client.get_model_version_download_uri(self.name, version)
        local = Path(download_artifacts(artifact_uri=source, tracking_uri=self.uri))
        shutil.copytree(local, folder)

    def find_latest_runs(self, count: int, query: str = "tags.kind LIKE '%'") -> list[RecordedRun]:
        """The latest runs that have a kind and no parent, or that another query of MLflow's finds; newest first."""
        if not _has_database(self.uri):
            return []
        found = self.client.search_runs([self._experiment()], query, max_results=count)
        return [
            RecordedRun(each.info.run_id, each.info.start_time / 1000, each.data.metrics, each.data.tags)
            for each in found
        ]

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.name)
        if found:
            return str(found.experiment_id)
        return str(self.client.create_experiment(self.name, artifact_location=self.artifacts))


def _to_absolute(location: str) -> str:
    return location if "://" in location else str(Path(location).absolute())


def _get_sqlite_path(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE_PREFIX)) if uri.startswith(SQLITE_PREFIX) else None


def _has_database(uri: str) -> bool:
    database = _get_sqlite_path(uri)
    return database is None or database.exists()


def _create_database(uri: str) -> None:
    """Make a new SQLite database whole before anybody can see it: two processes migrating one at once break it."""
    database = _get_sqlite_path(uri)
    if database is None or database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with hold_file_lock(database.with_suffix(".lock")):
        if not database.exists():
            with write_aside(database) as new:
                MlflowClient(tracking_uri=f"{SQLITE_PREFIX}{new}").search_experiments()
