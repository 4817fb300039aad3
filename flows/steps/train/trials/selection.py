"""The choice of the candidate that goes on to the test batches."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.steps.train.live_model import predict_with_live
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan, read_training_rows
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.settings import RegistrySettings, Settings
from penumbra.registry.bundles.manifest import read_manifest
from penumbra.registry.bundles.version_facts import RECIPE_FACT, have_same_recipe
from penumbra.registry.pointers import LIVE_ALIAS
from penumbra.training.evaluation import bootstrap
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.gate import gate_comparisons
from penumbra.training.rejection import Rejection, refuse_training


def split_results(results: Sequence[Trial | Rejection]) -> tuple[list[Trial], list[Rejection]]:
    """Tell trials from candidates that were left out.

    Args:
        results: Both.

    Returns:
        The trials, at least one, and the rejections.

    Raises:
        TrainingRefused: There is no trial.
    """
    trials = [result for result in results if isinstance(result, Trial)]
    rejections = [result for result in results if isinstance(result, Rejection)]
    if not trials:
        refuse_training(rejections)
    return trials, rejections


def rank_candidates(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, trials: Sequence[Trial]
) -> list[TrialJob]:
    """Rank the candidates by their mean loss on the validation batches, the lowest first.

    The live model's own recipe stands first unless another is shown to be better: on newer data it only has to be no
    worse than the live model, while another has to be better.

    Args:
        settings: Sections [registry] and [gate] (`confidence`), and those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run, with the trials' predictions.
        trials: The trials on the validation batches, at least one.

    Returns:
        The candidates with their parameters.
    """
    ranking = [trial.job for trial in sorted(trials, key=lambda trial: trial.loss)]
    best = ranking[0]
    live_job = _find_live_job(settings, plan, matrices, ranking) if len(ranking) > 1 else None
    if live_job in (None, best) or _is_better(settings, plan, matrices, best, live_job):
        return ranking
    print(describe_kept_recipe(best, live_job))
    return [live_job, *(job for job in ranking if job != live_job)]


def describe_kept_recipe(best: TrialJob, live: TrialJob) -> str:
    """Return a sentence that the recipe of the `live` model stays, though the `best` candidate has a lower loss."""
    return f"{best} has the lowest loss, but isn't shown to be better than {live}, the live model's recipe, which stays"


def _find_live_job(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, jobs: Sequence[TrialJob]
) -> TrialJob | None:
    """Find the live model's own recipe: by its name or, where only words have changed, by what it predicts."""
    facts = _read_live_manifest(settings.registry)
    for job in jobs:
        if have_same_recipe(facts, {RECIPE_FACT: plan.fingerprint_recipe(job)}):
            return job
    rows = read_training_rows(settings, matrices.problem, plan.split.validation)
    live = predict_with_live(settings.registry, matrices.problem, rows) if facts else None
    return next((job for job in jobs if live and live.has_same(matrices.arrays.read(f"validation-{job}"))), None)


def _is_better(settings: Settings, plan: TrainingPlan, matrices: Matrices, job: TrialJob, other: TrialJob) -> bool:
    batches = plan.split.validation
    labels = matrices.read_evaluation_set(batches)[1]
    rows = read_training_rows(settings, matrices.problem, batches)
    days = rows.select(matrices.problem.slices.DAY).to_series().to_numpy()
    losses, others = (
        compute_row_losses(matrices.task, labels, matrices.arrays.read(f"validation-{name}")) for name in (job, other)
    )
    confidence = gate_comparisons.to_two_sided_confidence(settings.gate.confidence)
    return bootstrap.compare_paired_losses(losses, others, days, confidence).high < 0


def _read_live_manifest(registry: RegistrySettings) -> dict[str, Any]:
    """Read the manifest of the live model's bundle; {} if there is no live model."""
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(registry)
    version = models.version(LIVE_ALIAS)
    if version is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return read_manifest(models.download_artifact(version, "bundle/bundle.json", Path(folder)).parent)
