"""The winner's last jobs: learn from everything and be compiled; be scored on the test batches."""

import numpy as np
import polars as pl

from flows.steps.train import gate_evaluation
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import read_training_rows
from penumbra.core.columns import INPUTS_COLUMN, PREDICTION_COLUMN
from penumbra.core.settings import Settings
from penumbra.registry import bundle
from penumbra.training.evaluate import Trial, TrialJob
from penumbra.training.fit import fit_estimator
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.split import Split

BASELINE_JOB = TrialJob("baseline")


def release_winner(matrices: Matrices, winner: TrialJob, split: Split) -> ServingMeasurements:
    """Fit the winner on all batches and write the files of the served model where the bundle will be.

    Args:
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        What the model costs to serve.
    """
    estimator = matrices.make_estimator(winner)
    fit_estimator(estimator, matrices.build_training_set(winner.candidate, split.all))
    release, cost = gate_evaluation.build_measured_release(estimator, matrices, split)
    bundle.write_model_files(matrices.arrays.folder / "bundle", release.model, release.probe, release.answers)
    return cost


def score_test_batches(
    settings: Settings, matrices: Matrices, winner: TrialJob, split: Split
) -> tuple[Trial, list[Trial]]:
    """Score winner and baseline on the test batches, and write the winner's held-out predictions as the reference.

    Args:
        settings: Those that the rows are read by.
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        The baseline's trial on the validation batches; the winner's and the baseline's trials on the test batches.
    """
    validated, _ = matrices.try_candidate(BASELINE_JOB, split.train, split.validation, "validation")
    tested = [matrices.try_candidate(job, split.before_test, split.test, "test")[0] for job in (winner, BASELINE_JOB)]
    predictions = np.concatenate([matrices.arrays.read(f"{part}-{winner}") for part in ("validation", "test")])
    held_out = read_training_rows(settings, matrices.problem, split.validation + split.test).drop(INPUTS_COLUMN)
    reference = held_out.with_columns(pl.Series(PREDICTION_COLUMN, predictions))
    bundle.write_reference_rows(matrices.arrays.folder / "bundle", reference)
    return validated, tested
