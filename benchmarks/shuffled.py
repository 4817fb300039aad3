"""A year of flights whose days stand in a random order: nothing drifts, but rows of a day still lean on each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

import problem.features
import settings
from benchmarks import stream
from counts import Binning, Profile, by_day, losses_by_day, watched
from monitoring.decay import DailyLoss
from monitoring.losses import losses
from problem.candidates import gradient_boosting
from problem.schema import TIME
from training.prepare import labels_of, matrices

DAY, LABEL, PREDICTION = "day", "label", "prediction"
FOLDS, DAYS, WEEK = 5, 364, 7
COLUMNS = watched(problem.features.FEATURES, TIME)


def read() -> pl.DataFrame:
    """The year's rows with "day" (0 to 363, UTC) and the "prediction" of a model that learnt from other days."""
    rows = stream.checked(stream.LAST).sort(TIME)
    matrix, inputs = matrices(rows, problem.features.FEATURES)
    labels = labels_of(rows, stream.TASK)
    dates = rows[TIME].dt.date()
    days = (dates - dates.min()).dt.total_days().to_numpy()
    fold = np.random.default_rng(0).integers(0, FOLDS, days.max() + 1)[days]
    scores = np.zeros(len(rows))
    for k in range(FOLDS):
        model = gradient_boosting(inputs).set_params(max_iter=100, learning_rate=0.06)
        scores[fold == k] = model.fit(matrix[fold != k], labels[fold != k]).predict_proba(matrix[fold == k])[:, 1]
    known = rows.select(*COLUMNS, TIME, "flight", LABEL, prediction=pl.Series(scores), day=pl.Series(days))
    return known.filter(pl.col(DAY) < DAYS)


@dataclass(frozen=True)
class World:
    """`rows` in the order of the world's days, "day" counted anew; the first `known` days are the reference."""

    rows: pl.DataFrame
    known: int

    @classmethod
    def of(cls, rows: pl.DataFrame, known: int, seed: int) -> "World":
        order = np.random.default_rng(seed).permutation(DAYS)
        places = pl.DataFrame({"was": order, DAY: np.arange(DAYS)})
        moved = rows.rename({DAY: "was"}).join(places, on="was").drop("was")
        return cls(moved.sort(DAY, maintain_order=True), known)

    def part(self, first: int, end: int) -> pl.DataFrame:
        return self.rows.filter(pl.col(DAY).is_between(first, end, closed="left"))

    @cached_property
    def reference(self) -> pl.DataFrame:
        return self.part(0, self.known)

    @cached_property
    def weeks(self) -> int:
        """Whole ones after the reference."""
        return (int(self.rows[DAY].max()) + 1 - self.known) // WEEK  # type: ignore[arg-type]

    def days(self, week: int) -> tuple[int, int]:
        return self.known + WEEK * week, self.known + WEEK * (week + 1)

    @cached_property
    def binning(self) -> Binning:
        return Binning.learn(self.reference, COLUMNS)

    @cached_property
    def profiles(self) -> list[Profile]:
        return self._counted(self.rows)

    def _counted(self, rows: pl.DataFrame) -> list[Profile]:
        return list(by_day(_dated(rows), self.binning, DAY).values())

    @cached_property
    def each_loss(self) -> np.ndarray:
        """Of each row."""
        labels, scores = (self.rows[name].to_numpy() for name in (LABEL, PREDICTION))
        usual = losses(
            stream.TASK, *(self.reference[name].to_numpy() for name in (LABEL, PREDICTION)), "log_loss", np.inf
        )
        ceiling = settings.load().promotion.loss_ceiling * usual.mean()
        return losses(stream.TASK, labels, scores, "log_loss", ceiling)

    @cached_property
    def losses(self) -> DailyLoss:
        return DailyLoss.of(self.rows[DAY].to_numpy(), self.each_loss)

    @cached_property
    def in_bins(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and losses of each day in each bin."""
        return losses_by_day(_dated(self.rows), self.binning, DAY, self.each_loss)

    def loss(self, first: int, end: int) -> DailyLoss:
        every = self.losses
        return DailyLoss(every.sums[first:end], every.squares[first:end], every.labels[first:end])

    def shifted(self, change: Callable[[pl.DataFrame], pl.DataFrame], weeks: int) -> "World":
        """The same, cut off after some weeks, of which every row is changed."""
        after = change(self.part(self.known, self.known + WEEK * weeks))
        made = replace(self, rows=pl.concat([self.reference, after], how="vertical_relaxed"))
        counted = {"binning": self.binning, "profiles": self.profiles[: self.known] + self._counted(after)}
        vars(made).update(counted)  # what is known of the reference isn't counted anew
        return made


def _dated(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col(DAY).cast(pl.Int32).cast(pl.Date))


def worlds(rows: pl.DataFrame, count: int, known: int, first_seed: int = 0) -> Iterator[World]:
    return (World.of(rows, known, first_seed + number) for number in range(count))
