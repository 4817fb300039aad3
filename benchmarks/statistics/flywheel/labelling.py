"""Half a year of labels: each day people label some rows, and each month a model learns from all that are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from benchmarks.statistics.flywheel.streams import ANSWERED_DAYS, KNOWN_DAYS, LEARNT_DAYS, RowStream
from benchmarks.statistics.stationary.worlds import build_prediction_column
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.settings import load_settings
from penumbra.reviews.selection.sampling import draw_by_priority, mix_weights
from penumbra.reviews.selection.uncertainty import ModelUncertainty
from penumbra.training.fit import compute_fit_weights

ROUND_DAYS = 30  # after which the model is fitted anew
THRESHOLD = 0.5  # of a binary decision
COVERAGE = 0.9  # of prediction sets
WRONG_SHARE = 0.05  # of the answers of people who err


@dataclass(frozen=True)
class LabellingPolicy:
    """How rows are picked for people, and how their labels are learnt from.

    Attributes:
        by_need: Whether rows with a reason are preferred, as the review queue does; by plain chance otherwise.
        power: Of the inverse of its chance of being picked, which a row counts by: 1, or a half as in training, or 0.
        wrong_share: The share of answers that are wrong.
    """

    by_need: bool
    power: float
    wrong_share: float = 0.0


POLICIES = {
    "by need": LabellingPolicy(by_need=True, power=0.5),
    "by need, inverse": LabellingPolicy(by_need=True, power=1),
    "by need, unweighted": LabellingPolicy(by_need=True, power=0),
    "by chance": LabellingPolicy(by_need=False, power=0.5),
    "by need, 5 % wrong": LabellingPolicy(by_need=True, power=0.5, wrong_share=WRONG_SHARE),
}


@dataclass
class LabelledRows:
    """What is labelled so far: positions of rows, what is said of each, and the chance that each had.

    Attributes:
        rows: Positions in the stream, int64 arrays.
        labels: What is said of them.
        chances: Their chances, float64 arrays; 1 for outcomes.
        batches: The number of the batch that each of these is in: a month's.
    """

    rows: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    chances: list[np.ndarray] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def add(self, rows: np.ndarray, labels: np.ndarray, chances: np.ndarray, batch: int = 0) -> None:
        """Add rows with their labels and chances, each [m], to a batch."""
        self.batches.append(batch)
        self.rows.append(rows)
        self.labels.append(labels)
        self.chances.append(chances)

    def count_people_labels(self) -> int:
        """Return how many rows people labelled: those after the ones whose outcomes were known."""
        return sum(map(len, self.rows[1:]))

    def fit(self, stream: RowStream, policy: LabellingPolicy, without: np.ndarray) -> object:
        """Fit a model to these rows of the stream, but for those at some positions."""
        rows, labels, chances = map(np.concatenate, (self.rows, self.labels, self.chances))
        batches = np.repeat(self.batches, list(map(len, self.rows)))
        weights = compute_fit_weights(pl.Series(batches), pl.Series(_temper_counts(1 / chances, batches, policy.power)))
        learnt = ~np.isin(rows, without)
        return stream.fit(rows[learnt], labels[learnt], weights[learnt])


def _temper_counts(counts: np.ndarray, batches: np.ndarray, power: float) -> np.ndarray:
    """A power of the counts [n], with the same sum in each batch [n]."""
    frame, powers = pl.DataFrame({"count": counts, "batch": batches}), pl.col("count") ** power
    totals = pl.col("count").sum().over("batch") / powers.sum().over("batch")
    return frame.select(powers * totals).to_series().to_numpy()


def measure_all_labels(stream: RowStream, end: int = ANSWERED_DAYS) -> float:
    """Return the loss on later days of the `stream` of the model that learnt all outcomes before the day `end`."""
    rows = stream.select_days(0, end)
    return measure_later_loss(stream, stream.fit(rows, stream.labels[rows], np.ones(len(rows))))


def measure_later_loss(stream: RowStream, model: object) -> float:
    """Return a `model`'s mean loss on the days of the `stream` after those that are labelled."""
    rows = stream.select_days(ANSWERED_DAYS, int(stream.days[-1]) + 1)
    return float(compute_row_losses(stream.task, stream.labels[rows], stream.predict(model, rows)).mean())


def play_labelling(stream: RowStream, policy: LabellingPolicy, share: float, seed: int) -> tuple[int, float]:
    """Label a share of each day's rows, learning from them every month.

    Args:
        stream: The rows.
        policy: How rows are picked and learnt from.
        share: The share of a day's rows that people label.
        seed: Seed of chance.

    Returns:
        How many rows people labelled; and the loss on later days of the model that learnt from these and from the
        outcomes known before.
    """
    random = np.random.default_rng(seed)
    known, labelled = stream.select_days(0, KNOWN_DAYS), LabelledRows()
    labelled.add(known, stream.labels[known], np.ones(len(known)))
    chance_share = load_settings().review.chance_share
    for first in range(KNOWN_DAYS, ANSWERED_DAYS, ROUND_DAYS):
        answered = stream.select_days(first, first + ROUND_DAYS)
        reasons = _list_reasons(stream, policy, labelled, answered)
        for rows in np.split(answered, np.flatnonzero(np.diff(stream.days[answered])) + 1):
            weights = mix_weights([reasons[row] for row in rows - answered[0]], chance_share)
            picked, chances = draw_by_priority(weights, 1 - random.random(len(rows)), round(share * len(rows)))
            labelled.add(rows[picked], _answer_rows(stream, rows[picked], policy, random), chances[picked], first)
    model = labelled.fit(stream, policy, np.empty(0, int))
    return labelled.count_people_labels(), measure_later_loss(stream, model)


@dataclass(frozen=True)
class NeedSearch:
    """Finds rows that a model is unsure of, as the review queue does.

    Attributes:
        stream: The rows.
        model: The model.
        uncertainty: What it is unsure of, by its predictions of known rows that it hasn't learnt from.
    """

    stream: RowStream
    model: object
    uncertainty: ModelUncertainty

    @classmethod
    def learn(cls, stream: RowStream, policy: LabellingPolicy, labelled: LabelledRows) -> "NeedSearch":
        """Learn from labelled rows, but for those of the reference.

        Args:
            stream: The rows.
            policy: Whether rows are weighted.
            labelled: The labelled ones.

        Returns:
            The search, with its model.
        """
        held_out = stream.select_days(LEARNT_DAYS, KNOWN_DAYS)
        model = labelled.fit(stream, policy, held_out)
        predictions = stream.predict(model, held_out)
        limits = ConformalLimits.calibrate(stream.task, stream.labels[held_out], predictions, COVERAGE)
        reference = pl.DataFrame([build_prediction_column(predictions)])
        return cls(stream, model, ModelUncertainty(stream.task, THRESHOLD, reference, limits))

    def list_reasons(self, rows: np.ndarray) -> Sequence[Sequence[str]]:
        """Return the reasons of each of the rows at these positions of the stream."""
        outputs = self.stream.predict(self.model, rows)
        found = {
            "close call": self.uncertainty.find_close_calls(outputs),
            "wide set": self.uncertainty.find_wide_sets(outputs),
        }
        return [[name for name, has in found.items() if has[row]] for row in range(len(rows))]


def _list_reasons(
    stream: RowStream, policy: LabellingPolicy, labelled: LabelledRows, rows: np.ndarray
) -> Sequence[Sequence[str]]:
    if not policy.by_need:
        return [[]] * len(rows)
    return NeedSearch.learn(stream, policy, labelled).list_reasons(rows)


def _answer_rows(
    stream: RowStream, rows: np.ndarray, policy: LabellingPolicy, random: np.random.Generator
) -> np.ndarray:
    """What people say of rows: their outcomes, but for a share of wrong answers, each another class at random."""
    labels = stream.labels[rows]
    wrong = random.random(len(rows)) < policy.wrong_share
    classes = max(len(stream.task.classes), 2)
    others = (labels.astype(int) + random.integers(1, classes, len(rows))) % classes
    return np.where(wrong, others, labels).astype(labels.dtype)
