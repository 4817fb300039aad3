"""The winner's last jobs: learn from everything and be compiled; be scored on the test batches."""

import numpy as np
import polars as pl

from flows.experiments import gating, plan
from flows.experiments.matrices import Matrices
from settings import Settings
from stores import bundle
from training.gate import Shipped
from training.lesson import teach
from training.split import Split
from training.trial import Job, Trial

BASELINE = Job("baseline")


def release(made: Matrices, winner: Job, split: Split) -> Shipped:
    """Fit the winner on everything, put what is to be served where the bundle will be, and return what it costs."""
    estimator = made.estimator(winner)
    teach(estimator, made.lesson(winner.candidate, split.all))
    released, cost = gating.shipped(estimator, made, split)
    bundle.write_model(made.arrays.folder / "bundle", released.model, released.probe, released.answers)
    return cost


def score(chosen: Settings, made: Matrices, winner: Job, split: Split) -> tuple[Trial, list[Trial]]:
    """The baseline on validation; winner and baseline on the test batches, which become the bundle's reference."""
    validated, _ = made.try_out(BASELINE, split.train, split.validation, "validation")
    tested = [made.try_out(job, split.before_test, split.test, "test")[0] for job in (winner, BASELINE)]
    said = np.concatenate([made.arrays.read(f"{part}-{winner}") for part in ("validation", "test")])
    held_out = plan.rows(chosen, split.validation + split.test).drop("inputs")
    bundle.write_reference(made.arrays.folder / "bundle", held_out.with_columns(pl.Series("prediction", said)))
    return validated, tested
