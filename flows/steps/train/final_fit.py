"""The winner's last jobs: learn from everything and be compiled; be scored on the test batches."""

import numpy as np
import polars as pl

from flows.steps.train import gate_evaluation, plan
from flows.steps.train.matrices import Matrices
from penumbra.core.settings import Settings
from penumbra.registry import bundle
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.split import Split
from penumbra.training.training_set import fit_estimator
from penumbra.training.trial import Trial, TrialJob

BASELINE_JOB = TrialJob("baseline")


def release_winner(made: Matrices, winner: TrialJob, split: Split) -> ServingMeasurements:
    """Fit the winner on everything, put what is to be served where the bundle will be, and return what it costs."""
    estimator = made.estimator(winner)
    fit_estimator(estimator, made.build_training_set(winner.candidate, split.all))
    released, cost = gate_evaluation.build_measured_release(estimator, made, split)
    bundle.write_model_files(made.arrays.folder / "bundle", released.model, released.probe, released.answers)
    return cost


def score_test_batches(settings: Settings, made: Matrices, winner: TrialJob, split: Split) -> tuple[Trial, list[Trial]]:
    """The baseline on validation; winner and baseline on the test batches, which become the bundle's reference."""
    validated, _ = made.try_candidate(BASELINE_JOB, split.train, split.validation, "validation")
    tested = [made.try_candidate(job, split.before_test, split.test, "test")[0] for job in (winner, BASELINE_JOB)]
    said = np.concatenate([made.arrays.read(f"{part}-{winner}") for part in ("validation", "test")])
    held_out = plan.read_training_rows(settings, split.validation + split.test).drop("inputs")
    bundle.write_reference_rows(made.arrays.folder / "bundle", held_out.with_columns(pl.Series("prediction", said)))
    return validated, tested
