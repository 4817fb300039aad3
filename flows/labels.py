"""`make labels`: bring the index of labels up to date, and say which predictions have theirs."""

from collections.abc import Iterator

import polars as pl

import problem.schema
from flows.printing import show
from settings import Settings
from stores.index import Index
from stores.joined import coverage, delay_curve, outcomes, unreadable

QUANTILES = (0.5, 0.9, 0.99)
DAYS = 14


def report(chosen: Settings) -> Iterator[str]:
    """The paragraphs to print."""
    index = Index.of(chosen, problem.schema)
    index.catch_up()
    due = chosen.labels.delay_hours
    by_model = coverage(index, "model", due)
    if by_model.is_empty():
        yield "No prediction is logged yet: `make serve`, then POST /predict."
    else:
        yield table(by_model)
        yield f"The last {DAYS} days that were predicted:\n\n{table(coverage(index, 'day', due).tail(DAYS))}"
        yield from _delays(delay_curve(index), due)
    if (found := outcomes(index)).height:
        yield f"What came of the labels:\n\n{table(found)}"
    if lines := unreadable(index):
        yield f"Lines of the logs that can't be read: {lines:,} (damaged, or written under another contract)."


def table(frame: pl.DataFrame) -> str:
    """Columns aligned, numbers to the right; shares in per cent."""
    shown = frame.select(pl.all().exclude(pl.Float64), *(_percent(c) for c in frame.columns if c == "share"))
    rows = [tuple(shown.columns), *(tuple(_text(value) for value in row) for row in shown.iter_rows())]
    widths = [max(len(row[i]) for row in rows) for i in range(shown.width)]
    left = [dtype == pl.String and name != "share" for name, dtype in shown.schema.items()]
    return "\n".join("  ".join(_pad(*cell) for cell in zip(row, widths, left, strict=True)).rstrip() for row in rows)


def _delays(curve: pl.DataFrame, due: float) -> Iterator[str]:
    if curve.is_empty():
        return
    said = [f"{q:.0%} within {_hours(curve, q):,} h" for q in QUANTILES]
    yield f"First labels arrived: {', '.join(said)} (due after {due:g} h)."


def _hours(curve: pl.DataFrame, share: float) -> int:
    return int(curve.filter(pl.col("share") >= share)["hours"][0])


def _percent(name: str) -> pl.Expr:
    return (pl.col(name) * 100).round(1).cast(pl.String) + " %"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _pad(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


if __name__ == "__main__":
    show(report)
