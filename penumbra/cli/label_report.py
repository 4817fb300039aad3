"""`make labels`: bring the index of labels up to date, and say which predictions have theirs."""

from collections.abc import Iterator

import polars as pl

import problem.schema
from penumbra.cli.printing import print_report
from penumbra.core.settings import Settings
from penumbra.core.tables import format_table
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import (
    compute_delay_curve,
    compute_label_coverage,
    count_label_outcomes,
    count_unreadable_lines,
)

DELAY_QUANTILES = (0.5, 0.9, 0.99)
COVERAGE_DAYS = 14


def report_labels(settings: Settings) -> Iterator[str]:
    """The paragraphs to print."""
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    due = settings.labels.delay_hours
    by_model = compute_label_coverage(index, "model", due)
    if by_model.is_empty():
        yield "No prediction is logged yet: `make serve`, then POST /predict."
    else:
        yield format_table(by_model)
        yield f"The last {COVERAGE_DAYS} days that were predicted:\n\n{format_table(compute_label_coverage(index, 'day', due).tail(COVERAGE_DAYS))}"
        yield from _format_delays(compute_delay_curve(index), due)
    if (found := count_label_outcomes(index)).height:
        yield f"What came of the labels:\n\n{format_table(found)}"
    if lines := count_unreadable_lines(index):
        yield f"Lines of the logs that can't be read: {lines:,} (damaged, or written under another contract)."


def _format_delays(curve: pl.DataFrame, due: float) -> Iterator[str]:
    if curve.is_empty():
        return
    said = [f"{q:.0%} within {_hours_until_share(curve, q):,} h" for q in DELAY_QUANTILES]
    yield f"First labels arrived: {', '.join(said)} (due after {due:g} h)."


def _hours_until_share(curve: pl.DataFrame, share: float) -> int:
    return int(curve.filter(pl.col("share") >= share)["hours"][0])


if __name__ == "__main__":
    print_report(report_labels)
