"""The review queue: what became of the cases, for which reasons they were picked, and how long the oldest waits."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from penumbra.core.settings import ReviewSettings
from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_table
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ReviewBlock
from penumbra.reviews.selection.review_budget import compute_budget, compute_least_budget

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def report_queue(queue: ReviewQueue) -> Iterator[str]:
    """Report on the queue for people.

    Args:
        queue: The queue.

    Yields:
        Paragraphs.
    """
    if not queue.states:
        yield "No row was picked yet: a running service picks some as they arrive, `penumbra pick-reviews` at once."
        return
    statuses = [*queue.count_statuses().items()]
    yield format_table(pl.DataFrame(statuses, schema=["status", "cases"], orient="row"))
    yield format_table(tabulate_reasons(queue))
    if waiting := queue.list_unfinished():
        half = len(queue.list_half_answered())
        second = f", {half:,} of them for a second person" if half else ""
        yield f"{len(waiting):,} wait{second}; the oldest for {_format_duration(queue.now - waiting[0].picked)}."
    if queue.blocks:
        yield f"At {queue.blocks[-1].time:%Y-%m-%d %H:%M} UTC {format_block(queue.blocks[-1])}"


def describe_queue(queue: ReviewQueue) -> dict[str, Any]:
    """Describe the queue for machines.

    Args:
        queue: The queue.

    Returns:
        "statuses" (numbers of cases), "half_answered" (how many cases wait for a second person), "reasons" (rows of
        `tabulate_reasons`), "oldest" (when the oldest case that waits was picked, None for none) and "blocks" (how many
        draws there were).
    """
    waiting = queue.list_unfinished()
    return {
        "statuses": queue.count_statuses(),
        "half_answered": len(queue.list_half_answered()),
        "reasons": tabulate_reasons(queue).to_dicts(),
        "oldest": waiting[0].picked if waiting else None,
        "blocks": len(queue.blocks),
    }


def tabulate_reasons(queue: ReviewQueue) -> pl.DataFrame:
    """Tabulate the reasons for which rows were picked.

    Args:
        queue: The queue.

    Returns:
        A row for each reason, the most frequent first: "reason" (String), and (Int64) "rows" that had it, "cases" that
        were picked of them, and those that are "open". A row with two reasons counts for both.
    """
    rows = _count_reasons(queue.list_deferred())
    for block in queue.blocks:
        rows.update(block.reasons)
    cases, unfinished = _count_reasons(queue.states.values()), _count_reasons(queue.list_unfinished())
    lines = [(reason, rows[reason], cases[reason], unfinished[reason]) for reason, _ in (rows | cases).most_common()]
    return pl.DataFrame(lines, schema=["reason", "rows", "cases", "open"], orient="row")


def format_block(block: ReviewBlock) -> str:
    """Return in a sentence how many rows of a `block` were picked, and how many aren't asked about."""
    known = f"; {block.labelled:,} more have a label already and aren't asked about" if block.labelled else ""
    return f"{block.picked:,} of {format_count(block.rows, 'row was', 'rows were')} picked{known}."


def explain_missing_block(queue: ReviewQueue, settings: ReviewSettings, count: int | None) -> str:
    """Explain why no row was picked.

    Args:
        queue: The queue at that moment.
        settings: The settings' section `review`.
        count: How many rows were asked for; None for what `per_day` allows.

    Returns:
        A sentence with the one reason.
    """
    available, least = compute_budget(queue, settings, count), compute_least_budget(settings, count)
    if available >= least:
        return "No row was picked: none has arrived since rows were picked last."
    if count is not None:
        return (
            f"No row was picked: rows that a rule deferred to people have used {count:,} up; ask for more by --count."
        )
    return (
        f"No row was picked: the budget has come to {available:.1f} rows so far, of {least} that it takes "
        f"(review.per_day is {settings.per_day:g} in settings.toml); --count picks at once."
    )


def _count_reasons(states: Iterable[CaseState]) -> Counter[str]:
    return Counter(reason for state in states for reason in state.case.reasons)


def _format_duration(time: dt.timedelta) -> str:
    return f"{time / HOUR:.1f} h" if time < 2 * DAY else f"{time / DAY:.0f} days"
