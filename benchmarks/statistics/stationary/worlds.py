"""A world: one model of a problem, fitted as the training flow fits it, and the days that it then answers.

The recipe fitted without the last batches scores the bundle's reference; the model that is shipped learns from all of
them and answers what comes after.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks.statistics.stationary.estimators import make_estimator
from benchmarks.statistics.stationary.problems import StationaryProblem
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.patterns.class_padding import pad_missing_classes
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.fit import extract_labels

RowChange = Callable[["StationaryWorld", pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator with the encoding of its inputs."""

    task: Task
    encoder: FeatureEncoder
    estimator: Any

    def answer_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with the model's predictions of them."""
        inputs = self.encoder.encode_frame(derive_features(self.encoder.kinds, rows))
        return rows.with_columns(build_prediction_column(predict_for_task(self.task, self.estimator, inputs)))


@dataclass(frozen=True)
class StationaryWorld:
    """One model of a problem.

    Attributes:
        problem: The problem.
        seed: The seed that it was drawn by.
        model: The model that answers.
        reference: The rows of the bundle's reference with the predictions of earlier fits; the days count from 0.
        answered: The rows that the model answered, with its predictions: days from its first in the shadow on, from 0.
    """

    problem: StationaryProblem
    seed: int
    model: FittedModel
    reference: pl.DataFrame
    answered: pl.DataFrame

    def with_change(self, change: RowChange, first: int) -> "StationaryWorld":
        """Return the world, the rows of which go through `change` from day `first` on."""
        changes = pl.col(DAY_COLUMN) >= first
        after = change(self, self.answered.filter(changes)).select(self.answered.columns)
        return replace(self, answered=pl.concat([self.answered.filter(~changes), after], how="vertical_relaxed"))


def draw_world(problem: StationaryProblem, seed: int) -> StationaryWorld:
    """Draw a world: its rows, and a model that learns from the first of its days.

    Args:
        problem: The problem.
        seed: Seed of the rows.

    Returns:
        The world.
    """
    phases = problem.phases
    rows = problem.source.draw_rows(seed, phases.days)
    day = rows[DAY_COLUMN].to_numpy()
    middle = phases.train + phases.reference // 2
    learnt, validation, test = rows.filter(day < phases.learnt), (phases.train, middle), (middle, phases.learnt)
    features = derive_features(problem.features, learnt)
    encoder = FeatureEncoder(problem.features, learn_category_tables(problem.features, features))
    parts = [
        _fit_model(problem, encoder, learnt.filter(pl.col(DAY_COLUMN) < first)).answer_rows(
            learnt.filter(pl.col(DAY_COLUMN).is_between(first, end, closed="left"))
        )
        for first, end in (validation, test)
    ]
    final = _fit_model(problem, encoder, learnt)
    answered = final.answer_rows(rows.filter(day >= phases.learnt))
    return StationaryWorld(
        problem, seed, final, _shift_days(pl.concat(parts), phases.train), _shift_days(answered, phases.learnt)
    )


def build_prediction_column(predictions: np.ndarray) -> pl.Series:
    """Build the column of predictions, as a bundle's reference has it.

    Args:
        predictions: Float64 [n], or [n, classes].

    Returns:
        `penumbra.prediction`, Float64 or Array(Float64, classes).
    """
    dtype = pl.Array(pl.Float64, predictions.shape[1]) if predictions.ndim > 1 else pl.Float64
    return pl.Series(PREDICTION_COLUMN, predictions, dtype)


def read_prediction_column(rows: pl.DataFrame) -> np.ndarray:
    """Read the predictions of rows: float64 [n], or [n, classes]."""
    return rows[PREDICTION_COLUMN].to_numpy()


def _shift_days(rows: pl.DataFrame, by: int) -> pl.DataFrame:
    return rows.with_columns(pl.col(DAY_COLUMN) - by)


def _fit_model(problem: StationaryProblem, encoder: FeatureEncoder, rows: pl.DataFrame) -> FittedModel:
    inputs = encoder.encode_frame(derive_features(encoder.kinds, rows))
    estimator = make_estimator(problem.model, problem.task, encoder)
    estimator.fit(inputs, extract_labels(rows[LABEL_COLUMN], problem.task))
    return FittedModel(problem.task, encoder, pad_missing_classes(estimator, len(problem.task.classes)))
