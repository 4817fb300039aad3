"""Standard changes, from a day on: to a number, to a category, to the labels, and to the scores."""

import numpy as np
import polars as pl

from benchmarks.statistics.stationary.worlds import (
    RowChange,
    StationaryWorld,
    build_prediction_column,
    read_prediction_column,
)
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.training.fit import extract_labels

CHANGED_SHARE, SCORE_FACTOR, IMPORTANCE_ROWS = 0.1, 1.3, 2000


def shift_number(world: StationaryWorld, rows: pl.DataFrame) -> pl.DataFrame:
    """Shift the most important number by a standard deviation (half the distance between its 16th and 84th percentile,
    which for a normal distribution is the same); the model answers the shifted rows."""
    name = find_important_column(world, [each for each in world.problem.columns if _is_number(world, each)])
    values = world.reference[name].cast(pl.Float64)
    low, high = (float(values.quantile(at)) for at in (0.16, 0.84))  # type: ignore[arg-type]
    sigma = (high - low) / 2 or float(values.std())  # type: ignore[arg-type]
    return world.model.answer_rows(rows.with_columns(pl.col(name).cast(pl.Float64) + sigma))


def move_category(world: StationaryWorld, rows: pl.DataFrame) -> pl.DataFrame:
    """Move a tenth of the rows from the most frequent value of the most important category to the next frequent one;
    the model answers the moved rows."""
    name = find_important_column(world, [each for each in world.problem.columns if not _is_number(world, each)])
    first, second = world.reference[name].cast(pl.String).drop_nulls().value_counts(sort=True)[name].head(2).to_list()
    values = rows[name].cast(pl.String)
    among = (values == first).fill_null(value=False).to_numpy()
    moved = among & (_draw_numbers(world, rows) * among.mean() < CHANGED_SHARE)
    return world.model.answer_rows(rows.with_columns(values.set(pl.Series(moved), second).alias(name)))


def turn_labels(world: StationaryWorld, rows: pl.DataFrame) -> pl.DataFrame:
    """Turn a tenth of the labels: to the other outcome, to the next class, or to the number of another row."""
    task = world.problem.task
    labels = extract_labels(rows[LABEL_COLUMN], task)
    turned = _draw_numbers(world, rows) < CHANGED_SHARE
    others = np.random.default_rng(world.seed).permutation(labels) if task.kind == "regression" else ~labels
    others = (labels + 1) % len(task.classes) if task.classes else others
    return rows.with_columns(pl.Series(LABEL_COLUMN, np.where(turned, others, labels)))


def raise_scores(world: StationaryWorld, rows: pl.DataFrame) -> pl.DataFrame:
    """Multiply the scores; of several classes those of the first one, before they are made to add up to 1."""
    scores = read_prediction_column(rows).copy()
    if scores.ndim == 1:
        scores = (
            scores * SCORE_FACTOR if world.problem.task.kind == "regression" else np.minimum(scores * SCORE_FACTOR, 1)
        )
    else:
        scores[:, 0] *= SCORE_FACTOR
        scores /= scores.sum(axis=1, keepdims=True)
    return rows.with_columns(build_prediction_column(scores))


STANDARD_CHANGES: dict[str, RowChange] = {
    "1 sigma": shift_number,
    "10 % moved": move_category,
    "10 % turned": turn_labels,
    "scores times 1.3": raise_scores,
}


def has_changeable_column(world: StationaryWorld, change: RowChange) -> bool:
    """Return whether the world has a column that the change can be made to."""
    numbers = [_is_number(world, name) for name in world.problem.columns]
    return {shift_number: any(numbers), move_category: not all(numbers)}.get(change, True)


def find_important_column(world: StationaryWorld, names: list[str]) -> str:
    """Find the column without whose order the model loses most on its reference (permutation importance: Breiman,
    "Random Forests", 2001)."""
    rows, random = world.reference.head(IMPORTANCE_ROWS), np.random.default_rng(0)
    return max(names, key=lambda name: _compute_loss(world, rows, name, random))


def _compute_loss(world: StationaryWorld, rows: pl.DataFrame, name: str, random: np.random.Generator) -> float:
    mixed = rows.with_columns(rows[name][random.permutation(rows.height)])
    task = world.problem.task
    labels = extract_labels(rows[LABEL_COLUMN], task)
    return float(compute_row_losses(task, labels, read_prediction_column(world.model.answer_rows(mixed))).mean())


def _is_number(world: StationaryWorld, name: str) -> bool:
    return world.reference.schema[name].is_numeric()


def _draw_numbers(world: StationaryWorld, rows: pl.DataFrame) -> np.ndarray:
    return np.random.default_rng([world.seed, 1]).random(rows.height)
