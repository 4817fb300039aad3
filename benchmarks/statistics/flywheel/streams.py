"""Real rows in the order of time: some whose outcomes are known, then those that a model answers, then later ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.statistics.stationary.estimators import make_estimator
from benchmarks.statistics.stationary.problems import StationaryProblem
from benchmarks.statistics.stationary.real_series import REAL_SERIES, build_example_problem
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.patterns.class_padding import pad_missing_classes
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.fit import TrainingSet, extract_labels, fit_estimator

LEARNT_DAYS, KNOWN_DAYS, ANSWERED_DAYS = 14, 20, 200  # until which days rows are learnt from, known, and answered
ALL_DAYS = 360
STREAMS = {
    "flights": (REAL_SERIES["flights"], "boosting 20", 0.25),
    "rain": (REAL_SERIES["weather"], "boosting 20", 1.0),
    "sky": (partial(build_example_problem, "linear", "examples.sky"), "linear", 1.0),
}
"""The problems by name, with the kind of model that does best with all labels, and the share of rows that is taken."""


@dataclass(frozen=True)
class RowStream:
    """Rows in the order of time.

    Attributes:
        model: The kind of model, as `estimators.MODEL_KINDS` has it.
        task: What is predicted.
        columns: The columns of `inputs`.
        inputs: float64 [n, k].
        labels: [n], see penumbra/core/task.py.
        days: int64 [n] from 0, ascending.
    """

    model: str
    task: Task
    columns: FeatureEncoder
    inputs: np.ndarray
    labels: np.ndarray
    days: np.ndarray

    @classmethod
    def from_problem(cls, problem: StationaryProblem, model: str, share: float) -> "RowStream":
        """Draw a problem's rows in the real order of their days.

        Args:
            problem: The problem, whose source is a series.
            model: The kind of model.
            share: The share of the rows that is taken, always the same ones.

        Returns:
            The stream.
        """
        ordered: Any = replace(problem.source, ordered=True)  # type: ignore[type-var]
        rows = ordered.draw_rows(0, ALL_DAYS)
        rows = rows.filter(np.random.default_rng(0).random(rows.height) < share)
        features = derive_features(problem.features, rows)
        encoder = FeatureEncoder(problem.features, learn_category_tables(problem.features, features))
        return cls(
            model,
            problem.task,
            encoder,
            encoder.encode_frame(features),
            extract_labels(rows[LABEL_COLUMN], problem.task),
            rows[DAY_COLUMN].to_numpy(),
        )

    def select_days(self, first: int, end: int) -> np.ndarray:
        """Return the positions of the rows from the day `first` until before the day `end`: int64 [m]."""
        return np.arange(*np.searchsorted(self.days, [first, end]))

    def fit(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Any:
        """Fit a model, as training does.

        Args:
            rows: The positions of the rows to learn from, int64 [m].
            labels: What is said of them, [m].
            weights: How many rows each stands for, float64 [m].

        Returns:
            The fitted estimator, for all classes.
        """
        estimator = make_estimator(self.model, self.task, self.columns)
        fit_estimator(estimator, TrainingSet(self.inputs[rows], labels, weights=weights))
        return pad_missing_classes(estimator, len(self.task.classes))

    def predict(self, model: Any, rows: np.ndarray) -> np.ndarray:
        """Predict rows, given by their positions: float64 [m], or [m, classes]."""
        return predict_for_task(self.task, model, self.inputs[rows])


def read_streams(names: Sequence[str] = tuple(STREAMS)) -> dict[str, RowStream]:
    """Read the problems' rows.

    Args:
        names: Names of problems in `STREAMS`.

    Returns:
        The streams by name.
    """
    return {name: RowStream.from_problem(STREAMS[name][0](), *STREAMS[name][1:]) for name in names}
