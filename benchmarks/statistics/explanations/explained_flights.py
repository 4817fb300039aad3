"""Explanations of weeks of real flights whose days stand in a random order, with known changes put into the week."""

import time
from collections.abc import Iterator

import numpy as np
import polars as pl

from benchmarks.helpers import flight_stream
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, ShuffledYear, shuffle_years
from monitoring.explanations.loss_regression import LossRegression, learn_loss_regression
from monitoring.explanations.loss_rise import SlicePlace, decompose_loss_rise
from monitoring.explanations.records import LossRise
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import assign_row_bins, sum_losses_by_day
from penumbra.core.metrics.losses import compute_clipped_losses

CARRIER, REFERENCE_DAYS, TIMED_ROUNDS = "UA", 59, 50
ROW_NUMBER = pl.struct("flight", "time_hour").hash(seed=3) % 1000
EVENING = (pl.col("sched_dep_time") >= 1500) | (ROW_NUMBER < 500)  # half of the earlier flights are gone
PUNCTUAL_LATE = pl.col(LABEL_COLUMN) | (ROW_NUMBER % 10 < 2)
CARRIER_LATE = pl.col(LABEL_COLUMN) | ((ROW_NUMBER % 10 < 4) & (pl.col("carrier") == CARRIER))
ALL_ROWS, TRUE_LABELS = pl.lit(True), pl.col(LABEL_COLUMN)
CHANGES = {
    "nothing": (ALL_ROWS, TRUE_LABELS),
    "inputs: half of the earlier flights": (EVENING, TRUE_LABELS),
    "relation: 20 % of punctual late": (ALL_ROWS, PUNCTUAL_LATE),
    "relation: 40 % of punctual UA late": (ALL_ROWS, CARRIER_LATE),
    "both": (EVENING, PUNCTUAL_LATE),
}


def explain_flight_weeks(
    rows: pl.DataFrame, worlds: int, weeks: int
) -> Iterator[tuple[str, tuple[float, float, float], LossRise]]:
    """Put known changes into weeks of flights and explain them.

    Args:
        rows: The scored year, as `shuffled_year.read_scored_year` returns it.
        worlds: The number of orders of its days.
        weeks: The number of weeks of each.

    Yields:
        The name of the change; what inputs, relation and the carrier add in truth, over all days of the year; and the
        explanation.
    """
    for world in shuffle_years(rows, worlds, REFERENCE_DAYS, first_seed=6000):
        regression = _learn_world(world)
        for name, change in CHANGES.items():
            truth = _compute_year_truth(world, *change)
            for week in range(weeks):
                yield name, truth, _explain_week(world, regression, week, *change)


def time_explanation(rows: pl.DataFrame) -> tuple[float, float]:
    """Time an explanation.

    Args:
        rows: The scored year, as `shuffled_year.read_scored_year` returns it.

    Returns:
        CPU seconds to learn from a reference of 59 days, and milliseconds to take a week's loss apart from its sums.
    """
    (world,) = shuffle_years(rows, 1, REFERENCE_DAYS)
    first, end = world.days(0)
    counts, losses = (sums[first:end] for sums in world.losses_by_bin)
    began = time.process_time()
    regression = _learn_world(world)
    learnt = time.process_time() - began
    for _ in range(TIMED_ROUNDS):
        decompose_loss_rise(counts, losses, regression, world.binning)
    return learnt, (time.process_time() - began - learnt) / TIMED_ROUNDS * 1000


def _learn_world(world: ShuffledYear) -> LossRegression:
    reference, known = world.reference, world.reference.height
    bins, days = assign_row_bins(reference, world.binning), reference[DAY_COLUMN].to_numpy()
    found = learn_loss_regression(bins, world.losses_by_row[:known], days, world.binning)
    if found is None:
        raise ValueError("the reference has too few days")
    return found


def _explain_week(
    world: ShuffledYear, regression: LossRegression, week: int, kept: pl.Expr, labels: pl.Expr
) -> LossRise:
    changed = world.part(*world.days(week)).filter(kept).with_columns(labels.alias(LABEL_COLUMN))
    dated = changed.with_columns(pl.col(DAY_COLUMN).cast(pl.Int32).cast(pl.Date))
    counts, losses = sum_losses_by_day(dated, world.binning, DAY_COLUMN, _lose(world, changed))
    place = world.binning.columns["carrier"].start + world.binning.words["carrier"].index(CARRIER)
    found = decompose_loss_rise(counts, losses, regression, world.binning, [SlicePlace(CARRIER, place)])
    if found is None or len(counts) != DAYS_PER_WEEK:
        raise ValueError(f"week {week} has too few days")
    return found


def _compute_year_truth(world: ShuffledYear, kept: pl.Expr, labels: pl.Expr) -> tuple[float, float, float]:
    then, moved = world.rows, world.rows.filter(kept)
    now = moved.with_columns(labels.alias(LABEL_COLUMN))
    before, as_before, after = (_lose(world, rows) for rows in (then, moved, now))
    of_then, of_now = ((rows["carrier"].cast(pl.String) == CARRIER).to_numpy() for rows in (then, now))
    carrier = float(of_now.mean() * (after[of_now].mean() - before[of_then].mean()))
    return float(as_before.mean() - before.mean()), float(after.mean() - as_before.mean()), carrier


def _lose(world: ShuffledYear, rows: pl.DataFrame) -> np.ndarray:
    """The loss of each row, with the world's ceiling."""
    labels, scores = (rows[name].to_numpy() for name in (LABEL_COLUMN, PREDICTION_COLUMN))
    return compute_clipped_losses(
        flight_stream.BINARY_TASK, labels, scores, "log_loss", float(world.losses_by_row.max())
    )
