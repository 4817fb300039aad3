"""Which candidate goes on to the test batches."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.experiments import plan
from flows.experiments.matrices import Matrices
from flows.experiments.plan import Plan
from problem.slices import DAY
from settings import Settings
from stores.sealed import sealed
from training import bootstrap, gate
from training.evaluate import losses
from training.trial import Job, Trial


def choose(chosen: Settings, made: Plan, matrices: Matrices, trials: Sequence[Trial]) -> Job:
    """The lowest mean loss on validation wins; but the live model's own recipe stays where the winner isn't shown to be
    better, as on newer data it has only to be no worse than the live model, and another must be better."""
    best = min(trials, key=lambda trial: trial.loss).job
    recipe = _live(chosen).get("recipe")
    stays = next((trial.job for trial in trials if made.recipe(trial.job) == recipe), best)
    if stays == best or _better(chosen, made, matrices, best, stays):
        return best
    print(
        f"{best} has the lowest loss, but isn't shown to be better than {stays}, the live model's recipe, which stays"
    )
    return stays


def _better(chosen: Settings, made: Plan, matrices: Matrices, job: Job, other: Job) -> bool:
    batches = made.split.validation
    labels, days = matrices.judged(batches)[1], plan.rows(chosen, batches).select(DAY).to_series().to_numpy()
    lost = [losses(matrices.task, labels, matrices.arrays.read(f"validation-{each}")) for each in (job, other)]
    return bootstrap.paired(*lost, days, gate.both_sides(chosen.gate.confidence)).high < 0


def _live(chosen: Settings) -> dict[str, Any]:
    """What the live model was made from; {} where there is none."""
    from stores.models import Models

    models = Models(chosen.registry)
    version = models.version("live")
    if version is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return sealed(models.artifact(version, "bundle/bundle.json", Path(folder)).parent)
