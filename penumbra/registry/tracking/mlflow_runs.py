"""Runs written with MLflow's client: completed where a killed process began to record, ended where none will."""

import json
import time

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from penumbra.registry.tracking.run_records import (
    BEGUN_TAG,
    KEY_TAG,
    BegunRun,
    RunContents,
    build_contents,
    convert_to_milliseconds,
)

MAX_RECORDING_SECONDS = 900.0


def record_run(client: MlflowClient, experiment: str, begun: BegunRun) -> str:
    """Record a run, or what a killed process has left undone of it.

    Args:
        client: MLflow's client.
        experiment: The id of the experiment.
        begun: The run.

    Returns:
        The run's id.

    Raises:
        MlflowException: MLflow refuses or can't be reached.
    """
    found = _find_keyed_run(client, experiment, begun.key)
    if found and found.info.status == "FINISHED":
        return str(found.info.run_id)
    contents, start = build_contents(begun), convert_to_milliseconds(begun.run.start)
    made = found or client.create_run(experiment, start_time=start, tags=contents.tags)
    if found:
        client.log_batch(found.info.run_id, tags=[RunTag(key, value) for key, value in contents.tags.items()])
    _log_contents(client, made, begun, contents)
    client.set_terminated(made.info.run_id, end_time=convert_to_milliseconds(begun.run.end))
    return str(made.info.run_id)


def log_values(client: MlflowClient, run_id: str, contents: RunContents, end: int) -> None:
    """Give a recorded run other values of its tags and metrics; MLflow keeps the values that a metric had.

    Args:
        client: MLflow's client.
        run_id: The run's id.
        contents: The tags and metrics.
        end: When they were known, in milliseconds since the epoch.

    Raises:
        MlflowException: MLflow refuses or can't be reached.
    """
    known = client.get_run(run_id).data.metrics
    metrics = [Metric(key, value, end, 0) for key, value in contents.metrics.items() if known.get(key) != value]
    client.log_batch(run_id, metrics, tags=[RunTag(key, value) for key, value in contents.tags.items()])


def end_aborted_runs(client: MlflowClient, experiment: str) -> int:
    """End the runs that processes were killed while recording, minutes ago.

    Args:
        client: MLflow's client.
        experiment: The id of the experiment.

    Returns:
        How many runs were ended, with the status KILLED.
    """
    running = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    limit = time.time() - MAX_RECORDING_SECONDS
    aborted = [run for run in running if float(run.data.tags.get(BEGUN_TAG, "inf")) < limit]
    for run in aborted:
        client.set_terminated(run.info.run_id, status="KILLED")
    return len(aborted)


def _find_keyed_run(client: MlflowClient, experiment: str, key: str) -> Run | None:
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1) if key else []
    return found[0] if found else None


def _log_contents(client: MlflowClient, made: Run, begun: BegunRun, contents: RunContents) -> None:
    """Log metrics, parameters, long texts, artifacts and data version; what is there already stays the same."""
    run_id, end = str(made.info.run_id), convert_to_milliseconds(begun.run.end)
    missing = contents.metrics.keys() - made.data.metrics.keys()  # MLflow keeps each value that a metric is given
    metrics = [Metric(key, value, end, 0) for key, value in contents.metrics.items() if key in missing]
    client.log_batch(run_id, metrics, [Param(key, value) for key, value in contents.params.items()], [])
    for path, text in contents.long_texts.items():
        client.log_text(run_id, text, path)
    for path, source in begun.artifacts.items():
        log = client.log_artifacts if source.is_dir() else client.log_artifact
        log(run_id, str(source), path)
    if begun.data_version:
        data = Dataset("data", begun.data_version, "dvc", json.dumps({"md5": begun.data_version}))
        client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
