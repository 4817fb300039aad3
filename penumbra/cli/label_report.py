"""`make labels`: bring the index of labels up to date, and say which predictions have theirs."""

from collections.abc import Iterator

import polars as pl

from penumbra.cli.printing import print_report
from penumbra.core.problem import Problem
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import Settings
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import (
    compute_delay_curve,
    compute_label_coverage,
    count_label_outcomes,
    count_unreadable_lines,
)

DELAY_QUANTILES = (0.5, 0.9, 0.99)
COVERAGE_DAYS = 14


def report_labels(settings: Settings, problem: Problem) -> Iterator[str]:
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


def format_table(frame: pl.DataFrame) -> str:
    """Columns aligned, numbers to the right; shares in per cent."""
    shown = frame.select(pl.all().exclude(pl.Float64), *(_format_share(c) for c in frame.columns if c == "share"))
    rows = [tuple(shown.columns), *(tuple(_format_cell(value) for value in row) for row in shown.iter_rows())]
    widths = [max(len(row[i]) for row in rows) for i in range(shown.width)]
    left = [dtype == pl.String and name != "share" for name, dtype in shown.schema.items()]
    return "\n".join(
        "  ".join(_pad_cell(*cell) for cell in zip(row, widths, left, strict=True)).rstrip() for row in rows
    )


def _format_delays(curve: pl.DataFrame, due: float) -> Iterator[str]:
    if curve.is_empty():
        return
    said = [f"{q:.0%} within {_hours_until_share(curve, q):,} h" for q in DELAY_QUANTILES]
    yield f"First labels arrived: {', '.join(said)} (due after {due:g} h)."


def _hours_until_share(curve: pl.DataFrame, share: float) -> int:
    return int(curve.filter(pl.col("share") >= share)["hours"][0])


def _format_share(name: str) -> pl.Expr:
    return (pl.col(name) * 100).round(1).cast(pl.String) + " %"


def _format_cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _pad_cell(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


if __name__ == "__main__":
    print_report(lambda settings: report_labels(settings, load_problem(["schema"])))
