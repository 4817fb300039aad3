"""Losses by row, by which two models can be compared on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from penumbra.core.metrics.loss_names import (
    AUTO_LOSS,
    CLASS_LOSSES,
    NUMBER_LOSSES,
    describe_loss_name,
    list_loss_choices,
    read_quantile_level,
)
from penumbra.core.problem import ProblemSchema
from penumbra.core.settings import SettingsError
from penumbra.core.task import Task
from penumbra.core.text.counts import format_share

PROBABILITY_EPSILON = float(np.finfo(np.float64).eps)
"""The smallest probability that a logarithm is taken of, as in scikit-learn."""
USUAL_QUANTILE = 0.99  # of a reference's losses: what is larger counts as much in their usual mean
CLASS_MULTIPLE = 2  # times the mean loss of the class that loses most, a row may lose in any case
MANY_CLIPPED = 0.05  # share of rows with a clipped loss, from which on the comparison is another than was asked for
ALL_LOSSES, BASELINE_LOSSES = "the losses", "the baseline's losses"
MODEL_LOSSES = {
    "candidate": "the candidate's losses",
    "baseline": BASELINE_LOSSES,
    "live": "the live model's losses",
}


@dataclass(frozen=True)
class LossScale:
    """What loss differences are measured by: a share of the baseline's loss means the same for all losses and units.

    Attributes:
        name: The loss in words.
        baseline: The mean loss of a row with the baseline, which doesn't look at the inputs; each counts at most the
            ceiling.
        clipped: The share of the baseline's losses that count as the ceiling, 0 to 1.
    """

    name: str
    baseline: float
    clipped: float = 0.0

    def describe_share(self, share: float) -> str:
        """Describe a share of the baseline's loss.

        Args:
            share: The share, 0 to 1.

        Returns:
            The loss that it comes to, the share, and where the baseline's loss is less as rows are capped, of how many.
        """
        capped = f", capped in {format_share(self.clipped, 2)} of the rows" if self.clipped else ""
        return f"{share * self.baseline:.3g} ({share:.3g} of the baseline's {self.name}, {self.baseline:.4g}{capped})"


@dataclass(frozen=True)
class LossClipping:
    """How many losses of compared models count as the ceiling.

    Attributes:
        ceiling: The most that a row's loss counts.
        shares: The share of rows by model, 0 to 1; a model that isn't named has none.
    """

    ceiling: float = np.inf
    shares: Mapping[str, float] = field(default_factory=dict)

    def describe(self, *models: str) -> str:
        """Describe how many losses of some models were larger than the ceiling.

        Args:
            models: The models, such as "candidate" and "live".

        Returns:
            As `describe_clipping`.
        """
        shares = {MODEL_LOSSES[model]: self.shares.get(model, 0.0) for model in models}
        return describe_clipping(shares, self.ceiling)


def get_primary_metric(task: Task) -> str:
    """Name the metric that decides: a mean of losses by row, where less is better.

    Args:
        task: The task, with its loss.

    Returns:
        The name of the loss, such as "squared_error" or "log_loss".
    """
    return name_compared_loss(task, task.loss)


def name_compared_loss(task: Task, loss: str) -> str:
    """Name the loss that models of a task are compared by.

    Args:
        task: The task.
        loss: The setting `promotion.loss`.

    Returns:
        `loss`, or for "auto" the log-loss of classes and the squared error of numbers.

    Raises:
        SettingsError: It is no loss of such a task.
    """
    has_classes = task.kind != "regression"
    usual, *others = CLASS_LOSSES if has_classes else NUMBER_LOSSES
    if loss == AUTO_LOSS:
        return usual
    if loss in (usual, *others) or (not has_classes and read_quantile_level(loss) is not None):
        return loss
    target = "classes" if has_classes else "a number"
    raise SettingsError(
        f"promotion.loss = {loss!r}: the target of problem/schema.py is {target}: expected "
        f"{list_loss_choices(has_classes)}"
    )


def build_judged_task(schema: ProblemSchema, loss: str) -> Task:
    """Build the task of a problem with the loss that its predictions are judged by.

    Args:
        schema: The problem's schema.
        loss: The setting `promotion.loss`.

    Returns:
        The task.

    Raises:
        SettingsError: It is no loss of such a task.
    """
    task = Task.from_schema(schema)
    return replace(task, loss=name_compared_loss(task, loss))


def describe_loss(task: Task, loss: str = AUTO_LOSS) -> str:
    """Name the loss that a task is judged by, in words.

    Args:
        task: The task.
        loss: The setting `promotion.loss`.

    Returns:
        Such as "log-loss".

    Raises:
        SettingsError: It is no loss of such a task.
    """
    return describe_loss_name(name_compared_loss(task, loss))


def compute_row_losses(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Compute what each row contributes to the primary metric.

    Args:
        task: The task, with its loss.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].

    Returns:
        float64 [n].
    """
    return compute_clipped_losses(task, labels, predictions, task.loss, np.inf)


def compute_clipped_losses(
    task: Task, labels: np.ndarray, predictions: np.ndarray, loss: str, ceiling: float
) -> np.ndarray:
    """Compute each row's loss, at most `ceiling`.

    The ceiling keeps a single surprise from deciding a comparison (see `compute_loss_ceiling`), and must be chosen
    before the rows are seen.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].
        loss: The setting `promotion.loss`: log-loss in nats or Brier score, over all classes where there are several;
            squared, absolute or quantile loss of numbers.
        ceiling: The largest loss of a row.

    Returns:
        float64 [n], NaN where the prediction is NaN.

    Raises:
        SettingsError: It is no loss of such a task.

    Source:
        Brier, "Verification of forecasts expressed in terms of probability", 1950; Koenker, Bassett, "Regression
        quantiles", 1978.
    """
    loss = name_compared_loss(task, loss)
    if task.kind == "regression":
        return np.minimum(_compute_number_losses(labels - predictions, loss), ceiling)
    given = _select_outcome_probability(task, labels, predictions)
    losses = compute_probability_losses(given, loss)
    if task.kind == "multiclass" and loss == "brier":
        losses = losses + ((predictions**2).sum(axis=1) - given**2)
    return np.minimum(losses, ceiling)


def compute_probability_losses(given: np.ndarray, loss: str) -> np.ndarray:
    """Compute the losses of the probabilities that were given to what happened.

    Args:
        given: The probabilities, float64 of any shape.
        loss: "brier" for the Brier score of a binary outcome; log-loss in nats otherwise.

    Returns:
        float64 of the same shape.
    """
    if loss == "brier":
        return np.asarray((1 - given) ** 2)
    return np.asarray(-np.log(np.clip(given, PROBABILITY_EPSILON, 1)))


def compute_loss_ceiling(task: Task, labels: np.ndarray, losses: np.ndarray, multiple: float) -> float:
    """Compute the most that a row's loss counts, from the losses of a model on its reference.

    Of numbers it is a multiple of the usual loss: the mean of the losses where each counts as much as their 99 %
    quantile at most. With heavy tails the plain mean is the work of its few largest rows, and so would be the ceiling.
    At most 1 in `multiple` of rows like the reference's has a larger loss, whatever the distribution.

    Of classes it is a multiple of the mean, which no row can move far; and no less than twice the mean loss of the rows
    of any class, or nothing would count that is said of a rare one.

    Args:
        task: The task.
        labels: The reference's labels [n].
        losses: The losses of its rows, float64 [n] without NaN.
        multiple: The setting `promotion.loss_ceiling`.

    Returns:
        The ceiling; infinity without rows, or where no row has a loss.

    Source:
        Winsorised mean: Tukey, "The future of data analysis", 1962.
    """
    if not len(losses):
        return np.inf
    if task.kind == "regression":
        usual = float(np.minimum(losses, np.quantile(losses, USUAL_QUANTILE)).mean())
        return multiple * usual or np.inf
    rows = np.bincount(labels.astype(np.int64))
    by_class = np.bincount(labels.astype(np.int64), losses)[rows > 0] / rows[rows > 0]
    return max(multiple * float(losses.mean()), CLASS_MULTIPLE * float(by_class.max())) or np.inf


def describe_clipping(shares: Mapping[str, float], ceiling: float) -> str:
    """Describe how many losses were larger than the ceiling.

    Args:
        shares: The share of rows, 0 to 1, by whose losses it is in words, such as `ALL_LOSSES`.
        ceiling: The ceiling.

    Returns:
        A clause, with what to do where another model than the baseline has many; "" where there is none.
    """
    clipped = [f"{format_share(share, 2)} of {losses}" for losses, share in shares.items() if share]
    if not clipped:
        return ""
    words = f"{' and '.join(clipped)} count as the ceiling, {ceiling:.3g} (promotion.loss_ceiling)"
    if max(share for losses, share in shares.items() if losses != BASELINE_LOSSES) <= MANY_CLIPPED:
        return words
    return f"{words}: so many that large errors hardly count; raise it, or compare by absolute_error (promotion.loss)"


def _compute_number_losses(short: np.ndarray, loss: str) -> np.ndarray:
    """The losses of numbers by how much each prediction falls short of its label: float64 of the same shape."""
    if loss == "squared_error":
        return np.asarray(short**2)
    if loss == "absolute_error":
        return np.abs(short)
    level = read_quantile_level(loss)
    assert level is not None
    return np.maximum(level * short, (level - 1) * short)


def _select_outcome_probability(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Select the probability that was given to what happened: float64 [n]."""
    if task.kind == "multiclass":
        return np.asarray(predictions[np.arange(len(labels)), labels])
    return np.where(labels, predictions, 1 - predictions)
