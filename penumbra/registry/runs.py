"""The runs of a registry, in MLflow. They are written when they are finished, by one process, in few calls.

Where an SQLite file says by SQL what is asked, or takes what is written, MLflow isn't loaded, which takes seconds.
"""

import logging
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from penumbra.core.settings import RegistrySettings
from penumbra.core.text.addresses import make_absolute
from penumbra.core.text.masking import mask_address
from penumbra.registry.errors import MlflowException
from penumbra.registry.tracking import sqlite_runs
from penumbra.registry.tracking.database import check_database, create_database, refuse_locked
from penumbra.registry.tracking.long_texts import find_long_text
from penumbra.registry.tracking.run_records import (
    BegunRun,
    FinishedRun,
    RecordedRun,
    build_update,
    convert_to_milliseconds,
)
from penumbra.registry.tracking.sqlite_registry import get_database_path, has_database

if TYPE_CHECKING:
    from mlflow.entities import Run

    from penumbra.registry.tracking.masked_client import MaskedClient

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class RunRegistry:
    """One experiment: records runs, and reads what is recorded."""

    def __init__(self, registry: RegistrySettings) -> None:
        """Connect to nothing yet; the first use does.

        Args:
            registry: Section [registry] of the settings.
        """
        self.name = registry.model
        self.artifacts = make_absolute(registry.artifacts)
        self.uri = registry.tracking
        self._client: MaskedClient | None = None
        self._is_checked = False

    @property
    def client(self) -> Any:
        """MLflow's client with masked errors; the first use makes an SQLite database, or checks one that is there."""
        if self._client is None:
            from penumbra.registry.tracking.masked_client import MaskedClient, mask_registry_errors

            with mask_registry_errors(self.uri):
                create_database(self.uri)
                self._check_once()
                self._client = MaskedClient(self.uri)
        return self._client

    def _check_once(self) -> None:
        if not self._is_checked:
            check_database(self.uri)
        self._is_checked = True

    def record(
        self,
        run: FinishedRun,
        parent: str = "",
        artifacts: Mapping[str, Path] | None = None,
        data_version: str = "",
        key: str = "",
    ) -> str:
        """Record a finished run. Of parameters and tags that are too long for MLflow it gets a digest and an artifact.

        With a key, a run that a killed process has begun to record is completed, and one that is recorded is left as it
        is.

        Args:
            run: The run.
            parent: The id of the run that it is part of, "" for none.
            artifacts: Files and folders to log, by their artifact path.
            data_version: The data version, recorded as the run's input; "" for none.
            key: What identifies the run among all of this experiment; "" for nothing.

        Returns:
            The run's id.

        Raises:
            MlflowException: MLflow refuses or can't be reached; so do all methods here.
        """
        made = BegunRun(run, parent, key, artifacts or {}, data_version)
        self._check_once()
        if recorded := self._ask_tables(sqlite_runs.insert_run, self.name, made):
            return recorded
        from penumbra.registry.tracking import mlflow_runs

        self._require_active_experiment()
        return mlflow_runs.record_run(self.client, self._experiment(), made)

    def _require_active_experiment(self) -> None:
        """Refuse an experiment that was deleted: it keeps its name, and takes no run."""
        if not has_database(self.uri):
            return
        stage = self._ask_tables(sqlite_runs.read_experiment_stage, self.name)
        if stage is None:
            found = self.client.get_experiment_by_name(self.name)
            stage = found.lifecycle_stage if found else ""
        if stage == "deleted":
            raise MlflowException(
                f"the experiment {self.name!r} in {mask_address(self.uri)} is deleted, and takes no run: restore it in "
                "MLflow, or give registry.model another name"
            )

    def update_run(self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Give a run that is recorded other values of metrics and tags; others stay.

        Args:
            run_id: The run's id.
            metrics: Metrics by name; MLflow keeps the values that one had before.
            tags: Tags by name, which are short.
        """
        contents, end = build_update(metrics, tags), convert_to_milliseconds(time.time())
        if not self._ask_tables(sqlite_runs.replace_values, run_id, contents, end):
            from penumbra.registry.tracking import mlflow_runs

            mlflow_runs.log_values(self.client, run_id, contents, end)

    def log_files(self, run_id: str, files: Iterable[Path], path: str) -> None:
        """Log files to a run that is recorded, in place of those that have their names.

        Args:
            run_id: The run's id.
            files: The files.
            path: The artifact path of the folder that they go to.
        """
        folder = self._ask_tables(sqlite_runs.find_artifact_folder, run_id)
        for file in files:
            if folder:
                sqlite_runs.copy_artifact(file, folder / path)
            else:
                self.client.log_artifact(run_id, str(file), path)

    def end_aborted_runs(self) -> int:
        """End the runs that processes were killed while recording, minutes ago: they would be running for ever.

        Returns:
            How many runs were ended, with the status KILLED.
        """
        if not has_database(self.uri):
            return 0
        from penumbra.registry.tracking import mlflow_runs

        return mlflow_runs.end_aborted_runs(self.client, self._experiment())

    def _ask_tables(
        self,
        ask: Callable[Concatenate[Path, Arguments], Answer | None],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer | None:
        """Ask by SQL; None of another registry than an SQLite file that exists, and where MLflow has to tell."""
        if (database := get_database_path(self.uri)) and database.exists():
            try:
                return ask(database, *arguments, **options)
            except sqlite3.Error as error:
                refuse_locked(database, error)
        return None

    def _read_run(self, run_id: str) -> RecordedRun:
        return self._complete(self._ask_tables(sqlite_runs.read_run, run_id) or _record(self.client.get_run(run_id)))

    def _complete(self, run: RecordedRun) -> RecordedRun:
        """A run with its long tags whole, and without metrics that MLflow has in place of infinite ones."""
        metrics = {name: value for name, value in run.metrics.items() if abs(value) < sys.float_info.max}
        return RecordedRun(run.id, run.start, metrics, self._read_whole(run.id, run.tags))

    def _read_whole(self, run_id: str, texts: Mapping[str, str]) -> dict[str, str]:
        """Read the long ones among parameters or tags from the run's artifacts."""
        paths = {name: find_long_text(text) for name, text in texts.items()}
        if not any(paths.values()):
            return dict(texts)
        with tempfile.TemporaryDirectory() as folder:
            whole = {
                name: self.download_run_artifact(run_id, path, Path(folder)).read_text()
                for name, path in paths.items()
                if path
            }
        return {**texts, **whole}

    def _download(self, address: str, into: Path | None = None) -> Path:
        """Download a file or folder with MLflow."""
        from mlflow.artifacts import download_artifacts

        from penumbra.registry.tracking.masked_client import mask_registry_errors

        with mask_registry_errors(self.uri):
            found = download_artifacts(
                artifact_uri=address, tracking_uri=self.uri, dst_path=None if into is None else str(into)
            )
        return Path(found)

    def download_run_artifact(self, run_id: str, path: str, into: Path) -> Path:
        """Copy an artifact of a run into a folder.

        Args:
            run_id: The run's id.
            path: The artifact path of a file or folder.
            into: The folder for the copy.

        Returns:
            The path of the copy below `into`.

        Raises:
            MlflowException: There is no such run or artifact.
        """
        folder = self._ask_tables(sqlite_runs.find_artifact_folder, run_id)
        if folder is None:
            return self._download(f"{self.client.get_run(run_id).info.artifact_uri}/{path}", into)
        source, copy = folder / path, into / Path(path).name
        if not source.exists():
            raise MlflowException(f"run {run_id} has no artifact {path!r}")
        return Path(shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy))

    def find_finished_run(self, tag: str, value: str) -> str:
        """Find the latest finished run with a tag.

        Args:
            tag: The tag's name.
            value: Its value.

        Returns:
            The run's id, "" if there is none.
        """
        found = self._ask_tables(sqlite_runs.find_finished_run, self.name, tag, value)
        if found is None:
            runs = self.find_latest_runs(1, f"tags.`{tag}` = '{value}' and attributes.status = 'FINISHED'")
            found = runs[0].id if runs else ""
        return found

    def find_latest_runs(self, count: int, query: str = "tags.kind LIKE '%'") -> list[RecordedRun]:
        """Find the latest runs of the experiment.

        Args:
            count: The highest number of runs.
            query: A filter in MLflow's language; by default runs with the tag "kind", which are those without parent.

        Returns:
            The runs, newest first; none if there is no database yet.
        """
        if not has_database(self.uri):
            return []
        runs = self.client.search_runs([self._experiment()], query, max_results=count)
        return [self._complete(_record(run)) for run in runs]

    def _experiment(self) -> str:
        if not (found := self.client.get_experiment_by_name(self.name)):
            try:
                self.client.create_experiment(self.name, artifact_location=self.artifacts)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process has made it in this moment
                    raise
            found = self.client.get_experiment_by_name(self.name)
        return str(found.experiment_id)


def _record(run: "Run") -> RecordedRun:
    return RecordedRun(run.info.run_id, run.info.start_time / 1000, run.data.metrics, run.data.tags)
