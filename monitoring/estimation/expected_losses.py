"""Expected losses of single rows before there is a label: from calibrated scores, or from a model of the losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitoring.estimation.boosting import import_boosting, make_boosting_options
from penumbra.core.day_folds import FOLDS, assign_day_folds
from penumbra.core.encoding import fill_empty_columns
from penumbra.core.metrics.losses import compute_probability_losses, name_compared_loss
from penumbra.core.task import Task

if TYPE_CHECKING:  # importing it takes longer than all that doesn't estimate
    from sklearn.ensemble import HistGradientBoostingRegressor

CALIBRATION_GROUPS = 10


def compute_expected_losses(
    task: Task, scores: np.ndarray, reference: np.ndarray, labels: np.ndarray, loss: str, ceiling: float
) -> np.ndarray:
    """Compute each row's expected loss from its score ("confidence-based performance estimation", CBPE).

    What a score means is learned from the reference, in ten groups of scores; the scores of several classes are taken
    as they are.

    Args:
        task: The kind of prediction, not regression.
        scores: Predictions, float64 [n], or [n, classes].
        reference: The reference's predictions, float64 [m], or [m, classes].
        labels: The reference's labels, bool or int64 [m].
        loss: The loss to estimate, as `promotion.loss` names it.
        ceiling: The largest loss of a row.

    Returns:
        Expected losses, float64 [n].

    Source: NannyML, "confidence-based performance estimation".
    """
    loss = name_compared_loss(task, loss)
    if task.kind == "multiclass":
        return _compute_multiclass_losses(scores, loss, ceiling)
    edges = np.quantile(reference, np.linspace(0, 1, CALIBRATION_GROUPS + 1)[1:-1])
    groups = np.searchsorted(edges, reference)
    rows = np.bincount(groups, minlength=CALIBRATION_GROUPS)
    gaps = np.bincount(groups, labels - reference, CALIBRATION_GROUPS) / np.maximum(rows, 1)
    chances = np.clip(scores + gaps[np.searchsorted(edges, scores)], 0, 1)
    if_happened, if_not = (
        np.minimum(compute_probability_losses(given, loss), ceiling) for given in (scores, 1 - scores)
    )
    return chances * if_happened + (1 - chances) * if_not


def _compute_multiclass_losses(scores: np.ndarray, loss: str, ceiling: float) -> np.ndarray:
    """Of several classes the scores are taken as they are."""
    squares = (scores**2).sum(axis=1, keepdims=True)
    log_losses = np.minimum(compute_probability_losses(scores, loss), ceiling)
    cost = log_losses if loss == "log_loss" else 1 - 2 * scores + squares
    return np.asarray((scores * cost).sum(axis=1))


@dataclass(frozen=True)
class LossModel:
    """A model of the losses of rows ("direct loss estimation", DLE), one for each fold of days, learnt from the others.

    Attributes:
        models: The fitted models.
        judged: Of each row that they learnt from the prediction of the one that didn't see its day, float64 [n].

    Source: NannyML, "direct loss estimation".
    """

    models: "Sequence[HistGradientBoostingRegressor]"
    judged: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray, losses: np.ndarray, days: np.ndarray, categorical: Sequence[int]) -> "LossModel":
        """Fit the models.

        Args:
            inputs: Inputs and predictions of rows, float64 [n, columns].
            losses: The rows' losses, float64 [n].
            days: The rows' days, [n].
            categorical: The positions of the columns of category codes.

        Returns:
            The models.
        """
        folds, judged, models = assign_day_folds(days), np.zeros(len(losses)), []
        for fold in range(FOLDS):
            learn = folds != fold
            known = fill_empty_columns(inputs[learn])
            models.append(_make_regressor(len(losses), categorical).fit(known, losses[learn]))
            judged[~learn] = models[-1].predict(inputs[~learn])
        return cls(models, judged)

    def predict_losses(self, inputs: np.ndarray) -> np.ndarray:
        """Predict the losses of other rows.

        Args:
            inputs: As in `fit`, of m rows.

        Returns:
            The mean of the models' predictions, float64 [m].
        """
        return np.asarray(np.mean([model.predict(inputs) for model in self.models], axis=0))


def _make_regressor(rows: int, categorical: Sequence[int]) -> "HistGradientBoostingRegressor":
    options = make_boosting_options(rows, categorical)
    return import_boosting().HistGradientBoostingRegressor(max_iter=40, learning_rate=0.1, **options)
