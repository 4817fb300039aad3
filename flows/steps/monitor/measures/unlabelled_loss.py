"""Loss of windows without their labels, from samples of their rows beside the models' references."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import WindowSpan
from flows.steps.prediction_losses import extract_predictions
from monitoring.estimation.loss_estimator import ESTIMATE_ASSUMPTION, MAX_SAMPLED_ROWS, LossEstimator, ScoredRows
from monitoring.windows.window_records import EstimatedLoss
from penumbra.core.columns import EVENT_COLUMN, ID_COLUMN, LABEL_COLUMN, OUTPUT_COLUMN, PREDICTION_COLUMN
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.samples import read_sampled_records
from penumbra.training.fit import extract_labels


@dataclass(frozen=True)
class UnlabelledLosses:
    """Estimates the loss of windows; what is learnt from a model's reference is learnt once.

    Attributes:
        index: The index of predictions and labels.
        loss: The loss, as `promotion.loss` names it.
        estimators: What was learnt so far, by the model's version.
        beside: What estimates are begun by; None to compute them when they are asked for.
    """

    index: LogIndex
    loss: str
    estimators: dict[str, LossEstimator] = field(default_factory=dict, repr=False)
    beside: Executor | None = field(default=None, repr=False)

    def learn(self, model: WatchedModel) -> None:
        """Learn from a model's reference what estimates take.

        Args:
            model: The model.
        """
        self._estimator(model).learn()

    def begin_estimate(self, model: WatchedModel, span: WindowSpan) -> Callable[[], EstimatedLoss | None]:
        """Begin to estimate the mean loss of a window, which takes as long as all its other measures.

        Args:
            model: The model that answered.
            span: The window's days.

        Returns:
            A function that returns the estimate; None where the window has no rows, or the reference too few rows or
            days.
        """
        estimate = partial(self._estimate, model, span)
        return self.beside.submit(estimate).result if self.beside else estimate

    def _estimate(self, model: WatchedModel, span: WindowSpan) -> EstimatedLoss | None:
        rows = self._sample_rows(model, span)
        found = self._estimator(model).estimate_window(_score_rows(model, rows, OUTPUT_COLUMN, EVENT_COLUMN))
        if found is None:
            return None
        worth = found.weights and (found.weights.effective_rows, found.weights.effective_days)
        return EstimatedLoss(found.mean, found.low, found.high, ESTIMATE_ASSUMPTION, found.method, *(worth or ()))

    def describe_shortage(self, model: WatchedModel) -> str:
        """Describe that the loss of a model's windows can't be estimated.

        Args:
            model: The model that answered.

        Returns:
            Words; "" where its reference has rows and days enough.
        """
        return self._estimator(model).describe_shortage()

    def _estimator(self, model: WatchedModel) -> LossEstimator:
        if model.version not in self.estimators:
            reference = _score_rows(model, model.reference, PREDICTION_COLUMN, model.problem.schema.TIME)
            labels = extract_labels(model.reference[LABEL_COLUMN], model.task)
            self.estimators[model.version] = LossEstimator.from_reference(
                model.task, self.loss, model.ceiling, reference, labels
            )
        return self.estimators[model.version]

    def _sample_rows(self, model: WatchedModel, span: WindowSpan) -> pl.DataFrame:
        """Sample rows that the model answered alone and that may have a label, with its output and their time."""
        contract = model.problem.schema.Row.columns()
        dtypes: dict[str, Any] = {name: contract[name].dtype for name in model.columns}
        rows = read_sampled_records(self.index, model.version, span.begin, span.end, dtypes, MAX_SAMPLED_ROWS)
        answers = join_labels(self.index, ids=rows[ID_COLUMN].to_list()).filter(
            "alone", pl.col("output").is_not_null(), pl.col("target").is_not_null() | pl.col("arrived").is_null()
        )
        told = {"id": ID_COLUMN, "event": EVENT_COLUMN, "output": OUTPUT_COLUMN}
        return rows.join(answers.select(told.keys()).rename(told), on=ID_COLUMN, maintain_order="left")


def _score_rows(model: WatchedModel, rows: pl.DataFrame, prediction: str, time: str) -> ScoredRows:
    predictions = extract_predictions(model.task, rows[prediction])
    return ScoredRows(rows.select(model.columns), predictions, rows[time].dt.date().to_numpy())
