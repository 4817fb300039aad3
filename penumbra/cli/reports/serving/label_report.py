"""Counts of labels: which predictions have theirs, after how long, and how the labels were used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.tables import format_table
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import (
    compute_delay_curve,
    compute_label_coverage,
    count_label_outcomes,
    count_unreadable_lines,
)

DELAY_QUANTILES = (0.5, 0.9, 0.99)
COVERAGE_DAYS = 14


@dataclass(frozen=True)
class LabelCounts:
    """Counts from the index of labels.

    Attributes:
        due_hours: Hours after which a label is due.
        by_model: Coverage by model version, as `compute_label_coverage` returns it.
        by_day: The same by day, the last 14 days that were predicted.
        delays: The share of first labels that arrived within so many hours: columns "hours", "share".
        outcomes: How many labels had which outcome, as `count_label_outcomes` returns it.
        unreadable: Lines of the logs that can't be read.
    """

    due_hours: float
    by_model: pl.DataFrame
    by_day: pl.DataFrame
    delays: pl.DataFrame
    outcomes: pl.DataFrame
    unreadable: int

    def to_json(self) -> dict[str, Any]:
        """Return all of it in types of JSON, frames as lists of rows."""
        return {
            name: value.to_dicts() if isinstance(value, pl.DataFrame) else value for name, value in vars(self).items()
        }


def collect_label_counts(settings: Settings, problem: Problem) -> LabelCounts:
    """Bring the index of labels up to date, and count in it.

    Args:
        settings: Sections [labels] and [service] are read.
        problem: The user's folder; its schema is needed.

    Returns:
        The counts.
    """
    index = LogIndex.of_all_replicas(settings, problem.schema)
    due = settings.labels.delay_hours
    return LabelCounts(
        due,
        compute_label_coverage(index, "model", due),
        compute_label_coverage(index, "day", due).tail(COVERAGE_DAYS),
        compute_delay_curve(index),
        count_label_outcomes(index),
        count_unreadable_lines(index),
    )


def format_label_counts(counts: LabelCounts) -> Iterator[str]:
    """Format counts for people.

    Args:
        counts: What `collect_label_counts` returns.

    Yields:
        Paragraphs.
    """
    if counts.by_model.is_empty():
        yield "No prediction is logged yet: `make serve`, then POST /predict."
    else:
        yield format_table(counts.by_model)
        yield f"The last {COVERAGE_DAYS} days that were predicted:\n\n{format_table(counts.by_day)}"
        yield from _format_delays(counts.delays, counts.due_hours)
    if counts.outcomes.height:
        yield f"What came of the labels:\n\n{format_table(counts.outcomes)}"
    if "orphan" in counts.outcomes["outcome"]:
        yield "An orphan is the label of a row that nobody has asked for yet: batches bring labels of all their rows."
    if counts.unreadable:
        yield (
            f"Lines of the logs that can't be read: {counts.unreadable:,} (damaged, or written under another contract)."
        )


def _format_delays(curve: pl.DataFrame, due: float) -> Iterator[str]:
    if curve.is_empty():
        return
    quantiles = [f"{q:.0%} within {_hours_until_share(curve, q):,} h" for q in DELAY_QUANTILES]
    yield f"First labels arrived: {', '.join(quantiles)} (due after {due:g} h)."


def _hours_until_share(curve: pl.DataFrame, share: float) -> int:
    return int(curve.filter(pl.col("share") >= share)["hours"][0])
