"""The winner's last jobs: learn from everything and be shipped; be scored on the test batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from flows.steps.doctor import examination
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan, read_sound_rows
from flows.steps.train.release.conformal_calibration import CROSS_PART, write_cross_predictions
from flows.steps.train.trials.attempts import attempt_once
from flows.steps.train.trials.screening import BASELINE_REFUSED
from flows.steps.train.trials.shipping import ship_model, write_attributions
from penumbra.core.columns import FLYWHEEL_COLUMN, INPUTS_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, WEIGHT_COLUMN
from penumbra.core.settings import Settings
from penumbra.core.system.process_tree import read_cpu_seconds
from penumbra.registry.bundles import bundle_writing
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.evaluation.inspection import inspect_model
from penumbra.training.fit import fit_estimator
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.rejection import Rejection, TrainingRefused, refuse_training
from penumbra.training.split import Split

BASELINE_JOB = TrialJob("baseline")


@dataclass(frozen=True)
class FinalTrials:
    """The winner as it is shipped, and its scores.

    Args:
        winner: The candidate with its parameters.
        cost: What it costs to serve.
        validated: The baseline's trial on the validation batches.
        tested: The winner's and the baseline's trials on the test batches.
        rejections: The better candidates that could not be released, and why.
    """

    winner: TrialJob
    cost: ServingMeasurements
    validated: Trial
    tested: list[Trial]
    rejections: list[Rejection]


def release_winner(matrices: Matrices, winner: TrialJob, split: Split) -> ServingMeasurements:
    """Fit the winner on all batches and write the files of the served model where the bundle will be.

    Args:
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        What the model costs to serve.
    """
    estimator, before = matrices.make_estimator(winner), read_cpu_seconds()
    fit_estimator(estimator, matrices.build_training_set(winner.candidate, split.all))
    cpu_seconds = read_cpu_seconds() - before
    rows = matrices.read_evaluation_set(split.validation)[0]
    folder = matrices.arrays.folder / "bundle"
    measured = ship_model(estimator, matrices, rows, folder)
    write_attributions(estimator, matrices, rows, folder)
    return replace(measured, fit_cpu_seconds=cpu_seconds)


def score_baseline_parts(matrices: Matrices, split: Split) -> list[Trial]:
    """Score the baseline on the validation batches and on the test batches.

    Args:
        matrices: The matrices of the run.
        split: The batches of the run.

    Returns:
        Its two trials.

    Raises:
        TrainingRefused: The baseline fails.
    """
    return [
        score_baseline(matrices, split.train, split.validation, "validation"),
        score_baseline(matrices, split.before_test, split.test, "test"),
    ]


def score_baseline(matrices: Matrices, learn: Sequence[str], judge: Sequence[str], part: str) -> Trial:
    """Score the baseline on some batches.

    Args:
        matrices: The matrices of the run.
        learn: The batches that it learns from.
        judge: The batches that it is scored on.
        part: What these are called.

    Returns:
        Its trial.

    Raises:
        TrainingRefused: The baseline fails.
    """
    action = partial(_try_one, matrices, BASELINE_JOB, learn, judge, part)
    result = attempt_once(matrices, "baseline", action, f"final-baseline-{part}")
    if isinstance(result, Rejection):
        raise TrainingRefused(f"{BASELINE_REFUSED}: {result.reason}")
    return result


def score_winner(settings: Settings, matrices: Matrices, winner: TrialJob, split: Split) -> Trial:
    """Score the winner on the test batches, and write its held-out predictions as the reference.

    Rows of the same batches without an outcome are written beside it, as the service is asked for such rows, too: with
    predictions of the model that is scored, which has learnt nothing of them.

    Args:
        settings: Section [uncertainty], and those that the rows are read by.
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        Its trial on the test batches.
    """
    tested, estimator = matrices.try_candidate(winner, split.before_test, split.test, "test")
    names, padded = [kind.name for kind in matrices.problem.features.FEATURES], matrices.pad_classes(estimator)
    inspected = inspect_model(matrices.task, padded, matrices.read_evaluation_set(split.test), names, matrices.tables)
    tested = replace(tested, curves={**tested.curves, **inspected})
    if settings.uncertainty.method == CROSS_PART:
        write_cross_predictions(matrices, winner, split)
    predictions = np.concatenate([matrices.arrays.read(f"{part}-{winner}") for part in ("validation", "test")])
    rows = read_sound_rows(settings, matrices.problem, split.validation + split.test)
    has_label = pl.col(LABEL_COLUMN).is_not_null()
    reference, unlabelled = _select_reference(rows.filter(has_label), predictions), None
    if (others := rows.filter(~has_label)).height:
        said = matrices.predict_frame(padded, others[INPUTS_COLUMN].struct.unnest())
        unlabelled = _select_reference(others, said)
    bundle_writing.write_reference_rows(matrices.arrays.folder / "bundle", reference, unlabelled)
    return tested


def _select_reference(rows: pl.DataFrame, predictions: np.ndarray) -> pl.DataFrame:
    kept = rows.drop(INPUTS_COLUMN, WEIGHT_COLUMN, FLYWHEEL_COLUMN)
    return kept.with_columns(pl.Series(PREDICTION_COLUMN, predictions))


def try_release(matrices: Matrices, winner: TrialJob, split: Split) -> ServingMeasurements | Rejection:
    """Release a candidate once.

    Args:
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        What `release_winner` returns; or why it failed.
    """
    return attempt_once(
        matrices, str(winner), partial(release_winner, matrices, winner, split), f"final-release-{winner}"
    )


def try_scores(settings: Settings, matrices: Matrices, winner: TrialJob, split: Split) -> Trial | Rejection:
    """Score a candidate on the test batches once.

    Args:
        settings: Those that the rows are read by.
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        What `score_winner` returns; or why it failed.
    """
    action = partial(score_winner, settings, matrices, winner, split)
    return attempt_once(matrices, str(winner), action, f"final-score-{winner}")


def examine_data(settings: Settings, matrices: Matrices) -> str:
    """Let the doctor examine the data once.

    Args:
        settings: Those that the doctor needs.
        matrices: The matrices of the run.

    Returns:
        Why it failed; "" if it didn't, whatever it found.
    """
    action = partial(examination.list_unaccepted_findings, settings, matrices.problem)
    result = attempt_once(matrices, "doctor", action, "final-examine")
    return f"the doctor failed: {result.reason}" if isinstance(result, Rejection) else ""


def settle_winner(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, ranking: Sequence[TrialJob], baseline: Sequence[Trial]
) -> FinalTrials:
    """Take the best candidate that can be released and scored.

    The first one was tried by tasks of their own, whose results are found again; others are fitted here, on one thread
    as there.

    Args:
        settings: Those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run.
        ranking: The candidates with their parameters, the best first.
        baseline: The baseline's trials on validation and test batches.

    Returns:
        The winner with its trials.

    Raises:
        TrainingRefused: No candidate can be released.
    """
    rejections: list[Rejection] = []
    with threadpool_limits(1):
        for job in ranking:
            cost = try_release(matrices, job, plan.split)
            scores = cost if isinstance(cost, Rejection) else try_scores(settings, matrices, job, plan.split)
            if isinstance(cost, ServingMeasurements) and isinstance(scores, Trial):
                return FinalTrials(job, cost, baseline[0], [scores, baseline[1]], rejections)
            rejections += [scores] if isinstance(scores, Rejection) else []
    refuse_training(rejections)


def _try_one(matrices: Matrices, job: TrialJob, learn: Sequence[str], judge: Sequence[str], part: str) -> Trial:
    return matrices.try_candidate(job, learn, judge, part)[0]
