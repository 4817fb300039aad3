"""`make reproduce RUN=<run or model version>`: train again on the same data; are metrics and predictions the same?"""

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mlflow.exceptions import MlflowException
from threadpoolctl import threadpool_limits

import problem.features
import settings
from flows.experiments import finals, matrices
from flows.restore import restore
from settings import ROOT, Monitor, Settings
from stores import bundle, code, versions
from stores.models import Models
from training.split import Split
from training.trial import Job


@dataclass(frozen=True)
class Again:
    """What a second training says beside the first: metrics, and the largest difference of the predictions."""

    metrics: dict[str, tuple[float, float]]
    difference: float
    changes: list[str]

    @property
    def identical(self) -> bool:
        return self.difference == 0 and all(first == second for first, second in self.metrics.values())

    def __str__(self) -> str:
        rows = [f"{name:<20}{first:>22.15f}{second:>22.15f}" for name, (first, second) in self.metrics.items()]
        verdict = "identical" if self.identical else "NOT identical"
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
            again = reproduce(settings.load(), run, Path(folder))
    except (settings.SettingsError, versions.CannotRestore, bundle.BrokenBundle, MlflowException) as error:
        sys.exit(f"nothing was reproduced: {error}")
    print(again)
    sys.exit(not again.identical)


def reproduce(chosen: Settings, run: str, folder: Path) -> Again:
    """Restore the run's data below `folder`, train its winner as it was trained, and compare."""
    restore(chosen, run, folder / "data")
    models = Models(chosen.registry)
    first = bundle.read(models.artifact(run, "bundle", folder), problem.features.FEATURES)
    facts = first.facts
    data = chosen.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    split = Split(facts["train"], facts["validation"], facts["test"])
    lesson = models.artifact(run, "lesson", folder)
    watched = {**chosen.monitor.model_dump(), **facts["settings"].get("monitor", {"on_faults": False})}
    then = chosen.model_copy(update={"data": data, "monitor": Monitor(**watched)})
    made = matrices.write(then, split.all, folder / "arrays", lesson)
    winner = Job(facts["candidate"], parameters=facts["parameters"])
    with threadpool_limits(1):  # as in the flow: with more threads sums come out differently in the last bit
        scores = made.try_out(winner, split.before_test, split.test, "test")[0].scores
        finals.release(made, winner, split)
    inputs = np.asarray(made.judged(split.validation + split.test)[0])
    session, fitted = bundle.model_in(made.arrays.folder / "bundle", facts["sha256"])
    now = replace(first, session=session, fitted=fitted).outputs(inputs)
    metrics = {name: (then, scores[name]) for name, then in facts["metrics"].items()}
    return Again(metrics, float(np.abs(first.outputs(inputs) - now).max()), _changes(facts))


def _changes(facts: dict) -> list[str]:
    """What isn't as it was then, though the data is."""
    now = {"revision": code.revision(ROOT), **code.environment(ROOT)}
    then = {"revision": facts["revision"], **facts["environment"]}
    return [f"{name} was {then.get(name)}, is {value}" for name, value in now.items() if then.get(name) != value]


if __name__ == "__main__":
    main(*sys.argv[1:])
