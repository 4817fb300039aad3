"""The winner's two last jobs: learn from everything and be compiled; be scored on the test batches."""

import numpy as np
import polars as pl

from flows import plan
from flows.matrices import Matrices
from settings import Settings
from stores import bundle
from training.release import release as fit_and_compile
from training.split import Split
from training.trial import Job, Trial

BASELINE = Job("baseline")


def release(made: Matrices, winner: Job, split: Split) -> float:
    """Fit the winner on everything and put the compiled model where the bundle will be; return the parity."""
    lesson, check = made.lesson(winner.candidate, split.all), made.judged(split.validation)[0]
    shipped = fit_and_compile(made.estimator(winner), lesson, check, made.columns["categorical"], made.task)
    bundle.write_model(made.arrays.folder / "bundle", shipped.model, shipped.probe, shipped.answers)
    return shipped.parity


def score(chosen: Settings, made: Matrices, winner: Job, split: Split) -> tuple[Trial, list[Trial]]:
    """The baseline on validation; winner and baseline on the test batches, which become the bundle's reference."""
    validated = made.try_out(BASELINE, split.train, split.validation, "validation")
    tested = [made.try_out(job, split.before_test, split.test, "test") for job in (winner, BASELINE)]
    said = np.concatenate([made.arrays.read(f"{part}-{winner}") for part in ("validation", "test")])
    held_out = plan.rows(chosen, split.validation + split.test).drop("inputs")
    bundle.write_reference(made.arrays.folder / "bundle", held_out.with_columns(pl.Series("prediction", said)))
    return validated, tested
