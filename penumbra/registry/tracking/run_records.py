"""Runs in MLflow, written when they are finished: completed where a killed process began to, ended where none will."""

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from penumbra.core.text.masking import mask_settings
from penumbra.registry.tracking.long_texts import shorten_texts

KEY_TAG, BEGUN_TAG = "penumbra.key", "penumbra.begun"  # of runs: what identifies one, since when it is recorded
FACTS_TAG, JSON_TAG_FACTS = "facts", ("settings", "environment")  # tags of trainings that hold JSON
MAX_RECORDING_SECONDS = 900.0
MAX_METRIC_NAME = 200  # characters; MLflow takes 250


@dataclass(frozen=True)
class FinishedRun:
    """A finished run that is to be recorded; `start` and `end` in seconds since the epoch. Of the metrics those are
    left out that aren't finite: MLflow would keep the largest float in place of infinity."""

    name: str
    start: float
    end: float
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedRun:
    """A run as MLflow has it; `start` in seconds since the epoch."""

    id: str
    start: float
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    def read_facts(self) -> dict[str, Any]:
        """Read what made a training or experiment run.

        Returns:
            "candidate", "parameters", "train" and "judged" (batches), "data_version", "revision", "files" (digests by
            path), "gate", "settings" without their secrets, "environment" and others.
        """
        own = {name: mask_settings(json.loads(self.tags[name])) for name in JSON_TAG_FACTS}
        return {**json.loads(self.tags[FACTS_TAG]), **own}


@dataclass(frozen=True)
class BegunRun:
    """A run that is being recorded, with what `ModelRegistry.record` takes beside it."""

    run: FinishedRun
    parent: str
    key: str
    artifacts: Mapping[str, Path]
    data_version: str


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
    tags, long_tags = shorten_texts(_build_tags(begun), "tags")
    start = int(begun.run.start * 1000)
    made = found or client.create_run(experiment, start_time=start, tags=tags)
    if found:
        client.log_batch(found.info.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    _log_contents(client, str(made.info.run_id), begun, long_tags)
    client.set_terminated(made.info.run_id, end_time=int(begun.run.end * 1000))
    return str(made.info.run_id)


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


def _build_tags(begun: BegunRun) -> dict[str, str]:
    tags = {**begun.run.tags, "mlflow.runName": begun.run.name, BEGUN_TAG: f"{time.time():.0f}"}
    named = {"mlflow.parentRunId": begun.parent, KEY_TAG: begun.key}
    return tags | {name: value for name, value in named.items() if value}


def _log_contents(client: MlflowClient, run_id: str, begun: BegunRun, long_tags: Mapping[str, str]) -> None:
    """Log metrics, parameters, long texts, artifacts and data version; what is there already stays the same."""
    end = int(begun.run.end * 1000)
    params, long_params = shorten_texts({key: str(value) for key, value in begun.run.params.items()}, "params")
    finite = {key: float(value) for key, value in begun.run.metrics.items() if math.isfinite(value)}
    metrics = [Metric(_to_metric_name(key), value, end, 0) for key, value in finite.items()]
    client.log_batch(run_id, metrics, [Param(key, value) for key, value in params.items()], [])
    for path, text in {**long_tags, **long_params}.items():
        client.log_text(run_id, text, path)
    for path, source in begun.artifacts.items():
        log = client.log_artifacts if source.is_dir() else client.log_artifact
        log(run_id, str(source), path)
    if begun.data_version:
        data = Dataset("data", begun.data_version, "dvc", json.dumps({"md5": begun.data_version}))
        client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def _to_metric_name(name: str) -> str:
    """A name that MLflow takes; a digest tells apart those with other characters than it allows, such as "a (EUR)"."""
    plain = re.sub(r"[^\w. :-]", "_", name)[:MAX_METRIC_NAME]
    return name if plain == name else f"{plain} {hashlib.sha256(name.encode()).hexdigest()[:8]}"
