"""`make reproduce RUN=<run or model version>`: train again on the same data; are metrics and predictions the same?"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from threadpoolctl import threadpool_limits

from flows.steps.train import final_fit, matrices
from penumbra.cli.restore import restore_run_data
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT, MonitorSettings, Settings, SettingsError, load_settings
from penumbra.data import versions
from penumbra.registry import bundle, code_version
from penumbra.registry.models import ModelRegistry
from penumbra.training.evaluate import TrialJob
from penumbra.training.split import Split


@dataclass(frozen=True)
class Reproduction:
    """What a second training says beside the first: metrics, and the largest difference of the predictions."""

    metrics: dict[str, tuple[float, float]]
    difference: float
    changes: list[str]

    @property
    def is_identical(self) -> bool:
        return self.difference == 0 and all(first == second for first, second in self.metrics.values())

    def __str__(self) -> str:
        rows = [f"{name:<20}{first:>22.15f}{second:>22.15f}" for name, (first, second) in self.metrics.items()]
        verdict = "identical" if self.is_identical else "NOT identical"
        return "\n".join(
            [
                f"{'':<20}{'then':>22}{'now':>22}",
                *rows,
                f"predictions differ by at most {self.difference:g}",
                *self.changes,
            ]
            + [f"Metrics and predictions are {verdict}."]
        )


def main(run: str) -> None:
    try:
        with tempfile.TemporaryDirectory() as folder:
            again = reproduce_run(load_settings(), load_problem(), run, Path(folder))
    except (SettingsError, ProblemError, versions.RestoreFailed, bundle.BrokenBundle, MlflowException) as error:
        sys.exit(f"nothing was reproduced: {error}")
    print(again)
    sys.exit(not again.is_identical)


def reproduce_run(settings: Settings, problem: Problem, run: str, folder: Path) -> Reproduction:
    """Restore the run's data below `folder`, train its winner as it was trained, and compare."""
    restore_run_data(settings, run, folder / "data")
    models = ModelRegistry(settings.registry)
    first = bundle.read_bundle(models.download_artifact(run, "bundle", folder), problem.features.FEATURES)
    facts = first.facts
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    split = Split(facts["train"], facts["validation"], facts["test"])
    lesson = models.download_artifact(run, "lesson", folder)
    watched = {**settings.monitor.model_dump(), **facts["settings"].get("monitor", {"on_faults": False})}
    then = settings.model_copy(update={"data": data, "monitor": MonitorSettings(**watched)})
    made = matrices.write_matrices(then, problem, split.all, folder / "arrays", lesson)
    winner = TrialJob(facts["candidate"], parameters=facts["parameters"])
    with threadpool_limits(1):  # as in the flow: with more threads sums come out differently in the last bit
        scores = made.try_candidate(winner, split.before_test, split.test, "test")[0].scores
        final_fit.release_winner(made, winner, split)
    inputs = np.asarray(made.read_evaluation_set(split.validation + split.test)[0])
    session, fitted = bundle.load_bundle_model(made.arrays.folder / "bundle", facts["sha256"])
    now = replace(first, session=session, fitted=fitted).compute_outputs(inputs)
    metrics = {name: (then, scores[name]) for name, then in facts["metrics"].items()}
    return Reproduction(
        metrics, float(np.abs(first.compute_outputs(inputs) - now).max()), _list_environment_changes(facts)
    )


def _list_environment_changes(facts: Mapping[str, Any]) -> list[str]:
    """What isn't as it was then, though the data is."""
    now = {"revision": code_version.read_git_revision(PROJECT_ROOT), **code_version.describe_environment(PROJECT_ROOT)}
    then = {"revision": facts["revision"], **facts["environment"]}
    return [f"{name} was {then.get(name)}, is {value}" for name, value in now.items() if then.get(name) != value]


if __name__ == "__main__":
    main(*sys.argv[1:])
