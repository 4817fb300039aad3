"""Losses by row, by which two models can be compared on the same rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from penumbra.core.task import Task

LossName = Literal["log_loss", "brier"]
PROBABILITY_EPSILON = float(np.finfo(np.float64).eps)
"""The smallest probability that a logarithm is taken of, as in scikit-learn."""
LOSS_WORDS = {"log_loss": "log-loss", "brier": "Brier score", "squared_error": "squared error"}


@dataclass(frozen=True)
class LossScale:
    """What loss differences are measured by: a share of the baseline's loss means the same for all losses and units.

    Attributes:
        name: The loss in words.
        baseline: The mean loss of a row with the baseline, which doesn't look at the inputs.
    """

    name: str
    baseline: float

    def describe_share(self, share: float) -> str:
        """Describe a share of the baseline's loss.

        Args:
            share: The share, 0 to 1.

        Returns:
            The loss that it comes to, and the share.
        """
        return f"{share * self.baseline:.3g} ({share:.3g} of the baseline's {self.name}, {self.baseline:.4g})"


def get_primary_metric(task: Task) -> str:
    """Name the metric that decides: a mean of losses by row, where less is better.

    Args:
        task: The task.

    Returns:
        "squared_error" or "log_loss".
    """
    return name_compared_loss(task, "log_loss")


def name_compared_loss(task: Task, loss: LossName) -> str:
    """Name the loss that models of a task are compared by.

    Args:
        task: The task.
        loss: The loss of probabilities, as `promotion.loss` names it.

    Returns:
        "squared_error", or `loss`.
    """
    return "squared_error" if task.kind == "regression" else loss


def describe_loss(task: Task, loss: LossName = "log_loss") -> str:
    """Name the loss that a task is judged by, in words.

    Args:
        task: The task.
        loss: The loss of probabilities.

    Returns:
        "log-loss" or "Brier score"; "squared error" of numbers in any case.
    """
    return LOSS_WORDS[name_compared_loss(task, loss)]


def compute_row_losses(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Compute what each row contributes to the primary metric.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].

    Returns:
        float64 [n], log-losses in nats or squared errors.
    """
    return compute_clipped_losses(task, labels, predictions, "log_loss", np.inf)


def compute_clipped_losses(
    task: Task, labels: np.ndarray, predictions: np.ndarray, loss: LossName, ceiling: float
) -> np.ndarray:
    """Compute each row's loss, at most `ceiling`.

    The ceiling keeps a single surprise from deciding a comparison. It is a multiple of the live model's mean loss on
    its reference, and must be chosen before the rows are seen.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].
        loss: The loss of probabilities: log-loss in nats, or Brier score, over all classes where there are several.
            Numbers have the squared error in any case.
        ceiling: The largest loss of a row.

    Returns:
        float64 [n], NaN where the prediction is NaN.

    Source:
        Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    if task.kind == "regression":
        return np.minimum((predictions - labels) ** 2, ceiling)
    given = _select_outcome_probability(task, labels, predictions)
    losses = compute_probability_losses(given, loss)
    if task.kind == "multiclass" and loss == "brier":
        losses = losses + ((predictions**2).sum(axis=1) - given**2)
    return np.minimum(losses, ceiling)


def compute_probability_losses(given: np.ndarray, loss: LossName) -> np.ndarray:
    """Compute the losses of the probabilities that were given to what happened.

    Args:
        given: The probabilities, float64 of any shape.
        loss: Log-loss in nats, or Brier score of a binary outcome.

    Returns:
        float64 of the same shape.
    """
    if loss == "brier":
        return np.asarray((1 - given) ** 2)
    return np.asarray(-np.log(np.clip(given, PROBABILITY_EPSILON, 1)))


def _select_outcome_probability(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Select the probability that was given to what happened: float64 [n]."""
    if task.kind == "multiclass":
        return np.asarray(predictions[np.arange(len(labels)), labels])
    return np.where(labels, predictions, 1 - predictions)
