"""Reproduction of a model: train it again on its own data, and compare with the first training."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from flows.steps.train import final_fit, matrix_writing
from penumbra.core.contract.feature_specs import describe_features
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT, MonitorSettings, Settings
from penumbra.core.text.tables import align_columns
from penumbra.data.versioning import versions
from penumbra.data.versioning.restoring import restore_data_version
from penumbra.registry import code_version
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.models import ModelRegistry
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.split import SPLIT_PARTS, Split


@dataclass(frozen=True)
class Reproduction:
    """A second training beside the first: metrics by name (then, now), and the largest difference of the predictions.

    `changes` are sentences about what differs in code and environment.
    """

    metrics: dict[str, tuple[float, float]]
    difference: float
    changes: list[str]

    @property
    def is_identical(self) -> bool:
        """Whether metrics and predictions are the same to the last bit."""
        return self.difference == 0 and all(first == second for first, second in self.metrics.values())

    def to_json(self) -> dict[str, Any]:
        """Return all of it in types of JSON."""
        return {"identical": self.is_identical, **asdict(self)}

    def __str__(self) -> str:
        """The metrics as a table, and the verdict."""
        cells = [[name, *(f"{value:.15f}" for value in both)] for name, both in self.metrics.items()]
        verdict = "identical" if self.is_identical else "NOT identical"
        return "\n".join(
            [
                align_columns([["", "then", "now"], *cells]),
                f"predictions differ by at most {self.difference:g}",
                *self.changes,
                f"Metrics and predictions are {verdict}.",
            ]
        )


def restore_run_data(settings: Settings, run: str, into: Path) -> str:
    """Restore the data that a model was trained from.

    Args:
        settings: Sections [data] and [registry] are read.
        run: The id of an MLflow run, or the number of a model version.
        into: A new folder.

    Returns:
        The md5 of the data version.

    Raises:
        RestoreFailed: The data can't be brought back, or isn't what was recorded.
        MlflowException: There is no such run or version.
    """
    with tempfile.TemporaryDirectory() as folder:
        pointer = ModelRegistry(settings.registry).download_artifact(
            run, f"data/{versions.get_dvc_file(settings.data).name}", Path(folder)
        )
        return restore_data_version(settings.data, pointer.read_bytes(), into)


def reproduce_run(settings: Settings, problem: Problem, run: str, folder: Path) -> Reproduction:
    """Restore a run's data, train its winner as it was trained, and compare.

    Args:
        settings: The present settings; those of the run replace them where they shape the training set.
        problem: The user's folder, whole.
        run: The id of an MLflow run, or the number of a model version.
        folder: An empty folder for data and models.

    Returns:
        The second training's metrics and predictions beside the first's.

    Raises:
        RestoreFailed: The data can't be brought back, or isn't what was recorded.
        MlflowException: There is no such run or version.
        BrokenBundle: The first bundle is damaged.
        UnfitBundle: The features, or the contract, aren't those that the run was made with.
    """
    restore_run_data(settings, run, folder / "data")
    models = ModelRegistry(settings.registry)
    first = bundle.read_bundle(models.download_artifact(run, "bundle", folder), problem)
    facts = first.facts
    _require_same_features(first, problem)
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    split = Split(**{part: facts.get(part, []) for part in SPLIT_PARTS})
    training_set = models.download_artifact(run, "lesson", folder)
    monitor = {**settings.monitor.model_dump(), **facts["settings"].get("monitor", {"on_faults": False})}
    settings_then = settings.model_copy(update={"data": data, "monitor": MonitorSettings(**monitor)})
    matrix_set = matrix_writing.write_matrices(settings_then, problem, split.all, folder / "arrays", training_set)
    winner = TrialJob(facts["candidate"], parameters=facts["parameters"])
    with threadpool_limits(1):  # as in the flow: with more threads sums come out differently in the last bit
        scores = matrix_set.try_candidate(winner, split.before_test, split.test, "test")[0].scores
        final_fit.release_winner(matrix_set, winner, split)
    inputs = np.asarray(matrix_set.read_evaluation_set(split.validation + split.test)[0])
    session, fitted = bundle.load_bundle_model(matrix_set.arrays.folder / "bundle", facts["sha256"])
    outputs = replace(first, session=session, fitted=fitted).compute_outputs(inputs)
    metrics = {name: (value, scores[name]) for name, value in facts["metrics"].items()}
    return Reproduction(
        metrics, float(np.abs(first.compute_outputs(inputs) - outputs).max()), _list_environment_changes(facts)
    )


def _require_same_features(first: bundle.Bundle, problem: Problem) -> None:
    then, now = first.inputs.kinds, problem.features.FEATURES
    if describe_features(then) != describe_features(now):
        names = [", ".join(feature.name for feature in features) for features in (then, now)]
        raise UnfitBundle(
            f"it was made with other features ({names[0]}) than this code has ({names[1]}): check out its revision "
            f"{first.facts['revision'].partition('+')[0][:8]} and reproduce it there"
        )


def _list_environment_changes(facts: Mapping[str, Any]) -> list[str]:
    """List what differs in code and environment from the first training."""
    current = {
        "revision": code_version.read_code_revision(PROJECT_ROOT),
        **code_version.describe_environment(PROJECT_ROOT),
    }
    recorded = {"revision": facts["revision"], **facts["environment"]}
    return [
        f"{name} was {recorded.get(name)}, is {value}" for name, value in current.items() if recorded.get(name) != value
    ]
