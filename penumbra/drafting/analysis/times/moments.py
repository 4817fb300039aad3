"""The time of a row: the column that is found, or asked for, and the days that have rows."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.analysis.contracts import get_date
from penumbra.drafting.analysis.times.far_times import check_far_times
from penumbra.drafting.analysis.times.time_copies import find_time_copy
from penumbra.drafting.analysis.times.time_questions import QUERY_ADVICE, ask_time
from penumbra.drafting.draft import DraftRefused, Unsaid
from penumbra.drafting.reading.observation import Observation
from penumbra.drafting.reading.profiles import is_nearly_full
from penumbra.drafting.reading.words import LATER_WORDS, LIFE_WORDS, has_word_of
from penumbra.sources import MADE_UP_TIME
from penumbra.sources.tables.table_runs import MADE_UP_START
from penumbra.sources.times.named_dates import find_named_date
from penumbra.sources.times.periods import find_next_period

MADE_UP_DAYS = 365  # that rows without a time are dealt to


@dataclass(frozen=True)
class DaySpan:
    """The days of the rows.

    Attributes:
        first: The day of the first row.
        last: The day of the last row.
    """

    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class TimeChoice:
    """What tells a row's time.

    Attributes:
        column: The time column; one that the table hasn't is added by the source.
        span: The days of the rows.
        options: The options by which the source reads or adds it.
        reason: Why it is that one, as a phrase; empty where the user said so.
        named_days: How many days the names of the files tell; 0 where the rows do.
    """

    column: str
    span: DaySpan
    options: Mapping[str, Any]
    reason: str = ""
    named_days: int = 0


def choose_time(seen: Observation, target: str, said: str | Unsaid | None) -> TimeChoice:
    """Choose what tells when a row happened.

    Args:
        seen: What is seen of the table.
        target: The target's column.
        said: The user's choice of a column; None for no time.

    Returns:
        The user's choice; else the only column that fits, or the dates in the files' names.

    Raises:
        DraftRefused: The user's choice has no times, or is none where a query gives the rows.
        DraftQuestion: Nothing fits, or several columns do.
    """
    if said is None:
        return _make_up_time(seen)
    if isinstance(said, str):
        _check_time(seen, said)
        return _read_time(seen, said, "")
    times = [name for name, reading in seen.readings.items() if _is_moment(reading.dtype) and name != target]
    likely = _list_likely(seen, times)
    if len(likely) == 1:
        others = [name for name in times if name != likely[0]]
        compared = f", rather than {list_names(others)}" if others else ": no other column has times"
        return _read_time(seen, likely[0], f"taken for the time of a row{compared}")
    if not likely and (dated := _read_named_dates(seen)):
        return dated
    raise ask_time(seen, times, likely)


def _list_likely(seen: Observation, times: Sequence[str]) -> list[str]:
    """Columns with a time in about every row; none of what follows or lies in somebody's life, if there is another; of
    several that tell the same time, the one with a clock, or the earliest."""
    whole = [name for name in times if is_nearly_full(seen.profiles[name])]
    likely = [name for name in whole if not has_word_of(LATER_WORDS | LIFE_WORDS, name)] or whole
    values = sorted((seen.values[name] for name in likely), key=_rank_time)
    are_copies = all(find_time_copy(each, values[0]) for each in values[1:])
    return [values[0].name] if values and are_copies else likely


def _rank_time(values: pl.Series) -> tuple[bool, Any]:
    """Times with a clock first, of these the earliest."""
    first = values.cast(pl.Date).min()
    return isinstance(values.dtype, pl.Date), first


def fill_periods(time: TimeChoice, period: str) -> TimeChoice:
    """Have the rows' days last to the end of the last period, where each row has the first day of one.

    Args:
        time: What tells a row's time.
        period: "month", "quarter" or "year".

    Returns:
        The same, with the later last day.
    """
    end = find_next_period(time.span.last, period) - dt.timedelta(days=1)
    return replace(time, span=DaySpan(time.span.first, end))


def _read_time(seen: Observation, name: str, reason: str) -> TimeChoice:
    """A column of the table, in the form that the source is told."""
    reading = seen.readings[name]
    form = reading.time_format.form if reading.time_format and not reading.time_format.is_iso else None
    if form and not seen.table.files:
        raise DraftRefused(
            f"the column {quote_value(name)} of the query has times in the form {quote_value(form)}, which a database "
            "doesn't sort: make a timestamp of it in the query"
        )
    profile = seen.profiles[name]
    span = DaySpan(get_date(profile.minimum), get_date(profile.maximum))
    check_far_times(seen, name, span.first, span.last)
    return TimeChoice(name, span, {"time_format": form} if form else {}, reason)


def _make_up_time(seen: Observation) -> TimeChoice:
    """Days to which the rows are dealt in their order."""
    if not seen.table.files:
        raise DraftRefused(f"the rows of a query have no order in which they could be dealt to days: {QUERY_ADVICE}")
    rows_per_day = math.ceil(seen.total / MADE_UP_DAYS)
    days = math.ceil(seen.total / rows_per_day)
    span = DaySpan(MADE_UP_START, MADE_UP_START + dt.timedelta(days=days - 1))
    reason = "made up: the rows have no time, so they are dealt to days in their order"
    return TimeChoice(_find_free_name(seen), span, {"rows_per_day": rows_per_day}, reason)


def _read_named_dates(seen: Observation) -> TimeChoice | None:
    """The dates in the files' names; None where a file has none, or all have the same."""
    try:
        dates = {find_named_date(name) for name in seen.table.files}
    except ValueError:
        return None
    if len(dates) < 2:
        return None
    days = sorted(day for day, _ in dates)
    last = max(find_next_period(day, period) for day, period in dates) - dt.timedelta(days=1)
    reason = "the date in the name of a row's file"
    return TimeChoice(_find_free_name(seen), DaySpan(days[0], last), {"dated_names": True}, reason, len(days))


def _find_free_name(seen: Observation) -> str:
    name = MADE_UP_TIME
    while name in seen.readings or name in seen.table.left_out:
        name += "_of_row"
    return name


def _is_moment(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


def _check_time(seen: Observation, name: str) -> None:
    if not _is_moment(seen.readings[name].dtype):
        raise DraftRefused(
            f"--time {quote_value(name)} has no times that could be read: expected dates such as 2024-03-01, times "
            "such as 2024-03-01 12:30, or seconds since 1970"
        )
    if not is_nearly_full(profile := seen.profiles[name]):
        raise DraftRefused(
            f"--time {quote_value(name)} has no time in {profile.rows - profile.read:,} of "
            f"{format_count(profile.rows, 'row')}: "
            "expected one in each"
        )
