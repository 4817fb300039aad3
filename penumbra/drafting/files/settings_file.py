"""`settings.toml`: the settings that another problem changes, edited in place with the comments kept."""

import bisect
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import tomlkit
from tomlkit.items import Item

from penumbra.core.problem import SourceBatch
from penumbra.core.text.counts import format_count
from penumbra.drafting.draft import DraftRefused, ProblemDraft
from penumbra.drafting.files.candidates_file import CANDIDATE_NAMES, REPLAYED_CANDIDATE
from penumbra.training.doctor.waiting_outcomes import find_waiting_outcomes

# The last row is so old at most, where more are still to come.
ONGOING_DAYS = {"day": 7, "week": 14, "month": 62, "quarter": 184, "year": 731, "file": 62}
MIN_BATCHES, MIN_TEST_ROWS = 3, 200
COMMENT = re.compile(r"#\s*(.*)")


def choose_settings(
    draft: ProblemDraft, batches: Sequence[SourceBatch], min_days: int, name: str, now: dt.date
) -> dict[str, Any]:
    """Choose the settings that the problem asks for.

    Args:
        draft: The draft.
        batches: The batches of its source, oldest first.
        min_days: The gate's, with fewer days of test rows it can't decide.
        name: The name of the registered model; "" for the one that the settings have.
        now: Today by the calendar.

    Returns:
        Values by dotted name.

    Raises:
        DraftRefused: There are too few batches with outcomes to train, validate and test on.
    """
    usable = list_usable(draft, list_arrived(draft, batches, now))
    if len(usable) < MIN_BATCHES:
        raise DraftRefused(
            f"from {draft.first_day} to {draft.last_day} the data fill "
            f"{format_count(len(usable), 'batch', 'batches')} with outcomes by "
            f"{draft.source.period}, and training takes at least {MIN_BATCHES}: one to learn from, one to choose by, "
            "and one for the test: pass a shorter --period, or data of more days"
        )
    held_out, waiting = _count_held_out(draft, usable, min_days), find_waiting_outcomes(draft.count_outcomes())
    return {
        "data.today": "now" if _goes_by_calendar(draft, now) else find_today(draft, now),
        **({"labels.delay_hours": waiting.hours} if waiting else {}),
        "training.candidates": list(CANDIDATE_NAMES),
        "training.validation_batches": held_out,
        "training.test_batches": held_out,
        **({"training.threshold": 0.5} if draft.target.task == "binary" else {}),
        **({"registry.model": name} if name else {}),
        "rules.explore_share": 0.0,
        "gate.accept": list(draft.accepted),
        "promotion.loss": "auto",
        **({"monitor.every_days": 0} if draft.has_made_up_days else {}),
        "monitor.accept": list(draft.ordered),
        "replay.candidate": REPLAYED_CANDIDATE,
    }


def find_today(draft: ProblemDraft, now: dt.date) -> dt.date:
    """Find the day at which what the rows don't fill to its end is no batch yet.

    Args:
        draft: The draft.
        now: Today by the calendar.

    Returns:
        Today where rows are still to come, or where days are made up; else the day after the last one's, or that day
        where it may have more rows, as a batch of its own.
    """
    if _goes_by_calendar(draft, now):
        return now
    is_open = draft.source.period == "day" and not draft.source.options.get("dated_names")
    return draft.last_day + dt.timedelta(days=not is_open)


def list_arrived(draft: ProblemDraft, batches: Sequence[SourceBatch], now: dt.date) -> list[SourceBatch]:
    """List the batches that have arrived.

    Args:
        draft: The draft.
        batches: The batches of its source.
        now: Today by the calendar.

    Returns:
        Those that are complete, in their order.
    """
    return [batch for batch in batches if batch.complete <= find_today(draft, now)]


def list_usable(draft: ProblemDraft, arrived: Sequence[SourceBatch]) -> list[SourceBatch]:
    """List the batches that training can use.

    Args:
        draft: The draft.
        arrived: The batches that have arrived, oldest first.

    Returns:
        Those of which a row has an outcome; all where days aren't counted.
    """
    known = draft.count_outcomes().filter(pl.col("known") > 0)["day"]
    ends = [batch.complete for batch in arrived]
    used = {bisect.bisect_right(ends, day) for day in known} if len(known) else range(len(ends))
    return [batch for number, batch in enumerate(arrived) if number in used]


def _goes_by_calendar(draft: ProblemDraft, now: dt.date) -> bool:
    """Whether the flows' clock is the real one: the data reach up to the present, so that more will come, or their days
    are made up, while those of requests are real."""
    return draft.has_made_up_days or (now - draft.last_day).days <= ONGOING_DAYS[draft.source.period]


def _count_held_out(draft: ProblemDraft, usable: Sequence[SourceBatch], min_days: int) -> int:
    """How many batches validate, and as many test: of enough days and rows, but a quarter of all at most."""
    most = max(1, len(usable) // 4)
    for number in range(1, most):
        days, rows = _count_newest(draft, usable, number)
        if days >= min_days and rows >= MIN_TEST_ROWS:
            return number
    return most


def _count_newest(draft: ProblemDraft, usable: Sequence[SourceBatch], number: int) -> tuple[float, float]:
    """The days and rows with outcomes of the newest batches, the last of which may be short; where days aren't counted,
    of so many average ones."""
    known = draft.count_outcomes().filter(pl.col("known") > 0)
    if known.is_empty():
        return draft.days * number / len(usable), draft.rows * number / len(usable)
    begin, end = usable[-number - 1].complete, usable[-1].complete
    newest = known.filter(pl.col("day").is_between(begin, end, closed="left"))
    return newest.height, int(newest["known"].sum())


def edit_settings(text: str, values: Mapping[str, Any]) -> str:
    """Change values in settings.toml and leave the rest as it is, comments included.

    Args:
        text: The file's text.
        values: New values by dotted name; those that the file has already change nothing.

    Returns:
        The new text.
    """
    document = tomlkit.parse(text)
    for name, value in values.items():
        section, _, key = name.partition(".")
        table: Any = document[section]
        if table.get(key) != value:
            table[key] = _keep_comment(table.get(key), tomlkit.item(value))
    return tomlkit.dumps(document)


def _keep_comment(old: Item | None, new: Item) -> Item:
    """Give a value the comment of the one in whose place it comes, in the same column where there is room."""
    if old is None:
        return new
    before = old.as_string()
    comment, column = old.trivia.comment, len(before) + len(old.trivia.comment_ws)
    if not comment and "\n" in before and (within := COMMENT.search(before.partition("\n")[0])):
        comment, column = f"# {within[1]}", 0
    if comment:
        new.trivia.comment, new.trivia.comment_ws = comment, " " * max(2, column - len(new.as_string()))
    new.trivia.trail = old.trivia.trail
    return new


def list_changes(text: str, values: Mapping[str, Any]) -> list[str]:
    """List the settings whose values differ from those of the file.

    Args:
        text: The file's text.
        values: New values by dotted name.

    Returns:
        Lines such as "training.test_batches = 3".
    """
    document: Any = tomlkit.parse(text)
    changed = {name: value for name, value in values.items() if _read_value(document, name) != value}
    return [f"{name} = {tomlkit.item(value).as_string()}" for name, value in changed.items()]


def _read_value(document: Any, name: str) -> Any:
    section, _, key = name.partition(".")
    return document[section].get(key)
