"""Which candidate goes on to the test batches."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.steps.train import plan
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.metrics import row_losses
from penumbra.core.settings import Settings
from penumbra.registry.manifest import read_manifest
from penumbra.training import bootstrap
from penumbra.training.gate_comparisons import to_two_sided_confidence
from penumbra.training.trial import Trial, TrialJob
from problem.slices import DAY


def choose_winner(settings: Settings, made: TrainingPlan, matrices: Matrices, trials: Sequence[Trial]) -> TrialJob:
    """The lowest mean loss on validation wins; but the live model's own recipe stays where the winner isn't shown to be
    better, as on newer data it has only to be no worse than the live model, and another must be better."""
    best = min(trials, key=lambda trial: trial.loss).job
    recipe = _read_live_manifest(settings).get("recipe")
    stays = next((trial.job for trial in trials if made.fingerprint_recipe(trial.job) == recipe), best)
    if stays == best or _is_better(settings, made, matrices, best, stays):
        return best
    print(
        f"{best} has the lowest loss, but isn't shown to be better than {stays}, the live model's recipe, which stays"
    )
    return stays


def _is_better(settings: Settings, made: TrainingPlan, matrices: Matrices, job: TrialJob, other: TrialJob) -> bool:
    batches = made.split.validation
    labels, days = (
        matrices.judged(batches)[1],
        plan.read_training_rows(settings, batches).select(DAY).to_series().to_numpy(),
    )
    lost = [row_losses(matrices.task, labels, matrices.arrays.read(f"validation-{each}")) for each in (job, other)]
    return bootstrap.compare_paired_losses(*lost, days, to_two_sided_confidence(settings.gate.confidence)).high < 0


def _read_live_manifest(settings: Settings) -> dict[str, Any]:
    """What the live model was made from; {} where there is none."""
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    version = models.version("live")
    if version is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return read_manifest(models.download_artifact(version, "bundle/bundle.json", Path(folder)).parent)
