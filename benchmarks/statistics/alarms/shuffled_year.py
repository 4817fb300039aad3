"""A year of flights with its days in random order: nothing drifts, but rows of a day still depend on each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

import problem.features
from benchmarks.helpers import flight_stream
from monitoring.losses.loss_threshold import DailyLosses
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles, list_profiled_columns, sum_losses_by_day
from penumbra.core.metrics.losses import compute_clipped_losses, compute_loss_ceiling
from penumbra.core.settings import load_settings
from penumbra.training.fit import build_matrix, extract_labels
from problem.candidates import gradient_boosting
from problem.schema import TIME

FOLDS, YEAR_DAYS, DAYS_PER_WEEK = 5, 364, 7
WATCHED_COLUMNS = list_profiled_columns(problem.features.FEATURES, TIME)


def read_scored_year() -> pl.DataFrame:
    """The year's rows with the day (0 to 363, UTC) and the prediction of a model that learnt from other days."""
    rows = flight_stream.read_checked_rows(flight_stream.LAST_MONTH).sort(TIME)
    matrix, inputs = build_matrix(rows, problem.features.FEATURES)
    labels = extract_labels(rows[LABEL_COLUMN], flight_stream.BINARY_TASK)
    dates = rows[TIME].dt.date()
    days = (dates - dates.min()).dt.total_days().to_numpy()
    fold = np.random.default_rng(0).integers(0, FOLDS, days.max() + 1)[days]
    scores = np.zeros(len(rows))
    for k in range(FOLDS):
        model = gradient_boosting(inputs).set_params(max_iter=100, learning_rate=0.06)
        scores[fold == k] = model.fit(matrix[fold != k], labels[fold != k]).predict_proba(matrix[fold == k])[:, 1]
    made = pl.Series(PREDICTION_COLUMN, scores), pl.Series(DAY_COLUMN, days)
    known = rows.select(*WATCHED_COLUMNS, TIME, "flight", LABEL_COLUMN, *made)
    return known.filter(pl.col(DAY_COLUMN) < YEAR_DAYS)


@dataclass(frozen=True)
class ShuffledYear:
    """`rows` in the order of the world's days, the day counted anew; the first `known` days are the reference."""

    rows: pl.DataFrame
    known: int

    @classmethod
    def of(cls, rows: pl.DataFrame, known: int, seed: int) -> "ShuffledYear":
        """Put the days of `rows` in the order that `seed` draws, `known` of them as reference; returns the year.

        `rows` have the day's number (Int64), features, label and score.
        """
        order = np.random.default_rng(seed).permutation(YEAR_DAYS)
        places = pl.DataFrame({"was": order, DAY_COLUMN: np.arange(YEAR_DAYS)})
        moved = rows.rename({DAY_COLUMN: "was"}).join(places, on="was").drop("was")
        return cls(moved.sort(DAY_COLUMN, maintain_order=True), known)

    def part(self, first: int, end: int) -> pl.DataFrame:
        """Return the rows of the days from `first` to before `end`, with all columns."""
        return self.rows.filter(pl.col(DAY_COLUMN).is_between(first, end, closed="left"))

    @cached_property
    def reference(self) -> pl.DataFrame:
        """The rows of the first `known` days, with all columns."""
        return self.part(0, self.known)

    @cached_property
    def weeks(self) -> int:
        """The number of whole weeks after the reference."""
        return (int(self.rows[DAY_COLUMN].max()) + 1 - self.known) // DAYS_PER_WEEK  # type: ignore[arg-type]

    def days(self, week: int) -> tuple[int, int]:
        """Return the first day of a `week` after the reference, and the day after its last."""
        return self.known + DAYS_PER_WEEK * week, self.known + DAYS_PER_WEEK * (week + 1)

    @cached_property
    def binning(self) -> Binning:
        """The bins of the watched columns, learnt from the reference."""
        return Binning.learn(self.reference, WATCHED_COLUMNS)

    @cached_property
    def profiles(self) -> list[Profile]:
        """The profile of each day."""
        return self._count_profiles(self.rows)

    def _count_profiles(self, rows: pl.DataFrame) -> list[Profile]:
        return list(compute_daily_profiles(_with_date(rows), self.binning, DAY_COLUMN).values())

    @cached_property
    def losses_by_row(self) -> np.ndarray:
        """The clipped loss of each row: float64 [n]."""
        labels, scores = (self.rows[name].to_numpy() for name in (LABEL_COLUMN, PREDICTION_COLUMN))
        task, known = flight_stream.BINARY_TASK, self.reference[LABEL_COLUMN].to_numpy()
        usual = compute_clipped_losses(task, known, self.reference[PREDICTION_COLUMN].to_numpy(), "log_loss", np.inf)
        ceiling = compute_loss_ceiling(task, known, usual, load_settings().promotion.loss_ceiling)
        return compute_clipped_losses(task, labels, scores, "log_loss", ceiling)

    @cached_property
    def losses(self) -> DailyLosses:
        """The losses by day."""
        return DailyLosses.from_rows(self.rows[DAY_COLUMN].to_numpy(), self.losses_by_row)

    @cached_property
    def losses_by_bin(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and losses of each day in each bin."""
        return sum_losses_by_day(_with_date(self.rows), self.binning, DAY_COLUMN, self.losses_by_row)

    def loss(self, first: int, end: int) -> DailyLosses:
        """Return the losses of the days from `first` to before `end`."""
        every = self.losses
        return DailyLosses(every.sums[first:end], every.squares[first:end], every.labels[first:end])

    def with_change(
        self, change: Callable[[pl.DataFrame], pl.DataFrame], weeks: int, calm_weeks: int = 0
    ) -> "ShuffledYear":
        """Return the year cut off some `weeks` after `calm_weeks` past the reference, all rows of which went through
        `change`."""
        begin = self.known + DAYS_PER_WEEK * calm_weeks
        after = change(self.part(begin, begin + DAYS_PER_WEEK * weeks))
        made = replace(self, rows=pl.concat([self.part(0, begin), after], how="vertical_relaxed"))
        counted = {"binning": self.binning, "profiles": self.profiles[:begin] + self._count_profiles(after)}
        vars(made).update(counted)  # what is known of the days before isn't counted anew
        return made


def _with_date(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col(DAY_COLUMN).cast(pl.Int32).cast(pl.Date))


def shuffle_years(rows: pl.DataFrame, count: int, known: int, first_seed: int = 0) -> Iterator[ShuffledYear]:
    """Return `count` years of `rows` in orders drawn from `first_seed` on, with `known` days of reference each."""
    return (ShuffledYear.of(rows, known, first_seed + number) for number in range(count))
