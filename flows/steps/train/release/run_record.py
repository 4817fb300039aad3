"""The records of trainings and experiments in MLflow: their metrics, tags and artifacts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.matrices import TRAINING_SET_ARTIFACT
from flows.steps.train.plan import TrainingPlan
from flows.steps.train.release.outcome import TrainingOutcome, sum_cpu_seconds
from penumbra.data.versioning import versions
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FACTS_TAG, JSON_TAG_FACTS, FinishedRun
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.gate.gate_checks import ServingMeasurements

PLAIN_TAG_FACTS = ("data_version", "revision", "fingerprint")


class TrainingRuns(msgspec.Struct, frozen=True):
    """The MLflow runs of a training, which aren't recorded yet.

    Attributes:
        main: The run of the training.
        trials: The run of each candidate, its children.
        artifacts: The files and folders that go with the main run, by their artifact path.
        data_version: The data version that was trained on.
    """

    main: FinishedRun
    trials: list[FinishedRun]
    artifacts: dict[str, str]
    data_version: str


def build_training_runs(outcome: TrainingOutcome, bundle_folder: Path, reason: str) -> TrainingRuns:
    """Build the runs of a training: one with the bundle, and a child run for each candidate.

    Args:
        outcome: The result of the training.
        bundle_folder: The sealed bundle, which becomes the artifact "bundle".
        reason: Why it was trained, "" if nobody said.

    Returns:
        The runs.
    """
    winner, plan, arrays = outcome.tested[0], outcome.plan, outcome.matrices.arrays
    params = {"candidate": winner.candidate, **{part: plan.facts[part] for part in ("train", "validation", "test")}}
    metrics = {f"test_{key}": value for key, value in winner.scores.items()}
    metrics |= {"cpu_seconds": sum_cpu_seconds(outcome)}
    metrics |= build_comparable_metrics(winner, outcome.gate, outcome.cost)
    began = min(trial.began for trial in outcome.trials)
    tags = build_run_tags(plan, outcome.winner, "train", outcome.gate) | ({"reason": reason} if reason else {})
    artifacts = {
        "bundle": bundle_folder,
        "data": versions.get_dvc_file(outcome.settings.data),
        "evaluation": outcome.evaluation_folder,
        TRAINING_SET_ARTIFACT: arrays.folder / TRAINING_SET_ARTIFACT,
    }
    return TrainingRuns(
        _build_run(f"train {winner.job}", began, winner.ended, params, metrics, tags),
        [_build_trial_run(trial) for trial in outcome.trials],
        {name: str(path.absolute()) for name, path in artifacts.items()},
        plan.facts["data_version"],
    )


def record_training_runs(models: ModelRegistry, runs: TrainingRuns, key: str) -> str:
    """Record the runs of a training, or complete what of them a killed process has recorded.

    Args:
        models: The registry to record them in.
        runs: The runs.
        key: What identifies this training among all runs.

    Returns:
        The id of the main run.

    Raises:
        MlflowException: MLflow refuses or can't be reached.
        OSError: An artifact can't be read.
    """
    artifacts = {name: Path(path) for name, path in runs.artifacts.items()}
    run_id = models.record(runs.main, artifacts=artifacts, data_version=runs.data_version, key=key)
    for number, trial in enumerate(runs.trials):
        models.record(trial, parent=run_id, key=f"{key}/{number}")
    return run_id


def build_comparable_metrics(trial: Trial, gate: GateOutcome, cost: ServingMeasurements) -> dict[str, float]:
    """Build the metrics that runs of every kind have, for the comparison of runs.

    Args:
        trial: The trial of the model that the gate judged.
        gate: What the gate says of it.
        cost: What it costs to serve.

    Returns:
        The loss with the limits of its interval, seconds to fit, microseconds a row, and size in bytes.
    """
    interval = next(iter(gate.intervals.values()))
    return {
        "loss": interval.value,
        "loss_low": interval.low,
        "loss_high": interval.high,
        "fit_seconds": trial.fit_seconds,
        "latency_us": cost.microseconds,
        "size_bytes": cost.size,
    }


def build_run_tags(plan: TrainingPlan, job: TrialJob, kind: str, gate: GateOutcome) -> dict[str, str]:
    """Build the tags of a run, for the comparison of runs and for people who look into MLflow.

    Args:
        plan: The plan of the run.
        job: The candidate with its parameters.
        kind: "train" or "experiment".
        gate: What the gate says of it.

    Returns:
        By name: plain texts, and JSON for "facts", "gate", "settings" and "environment".
    """
    facts: Mapping[str, Any] = {
        "kind": kind,
        "candidate": job.candidate,
        "parameters": dict(job.parameters),
        "judged": plan.split.test if kind == "train" else plan.split.validation,
        "gate": gate.report.overall,
        **{name: plan.facts[name] for name in ("data_version", "train", "revision", "files")},
    }
    as_json = {FACTS_TAG: facts, "gate": gate.report.facts(), **{name: plan.facts[name] for name in JSON_TAG_FACTS}}
    plain = {name: plan.facts[name] for name in PLAIN_TAG_FACTS}
    return {"kind": kind, **plain, **{name: json.dumps(value) for name, value in as_json.items()}}


def _build_trial_run(trial: Trial) -> FinishedRun:
    metrics = {"fit_seconds": trial.fit_seconds, "cpu_seconds": trial.cpu_seconds, **trial.scores, **trial.report}
    return _build_run(str(trial.job), trial.began, trial.ended, trial.job.parameters, metrics)


def _build_run(
    name: str,
    began: float,
    ended: float,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str] | None = None,
) -> FinishedRun:
    """A run of plain texts and numbers, as a file can hold it."""
    texts = {key: str(value) for key, value in params.items()}
    return FinishedRun(name, began, ended, texts, {key: float(value) for key, value in metrics.items()}, tags or {})
