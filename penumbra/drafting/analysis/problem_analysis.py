"""The analysis of data, from the first look at them to a draft of `problem/`."""

import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path

from penumbra.core.project_root import find_project_root
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.analysis.columns import ColumnChoices, describe_columns
from penumbra.drafting.analysis.keys import choose_key
from penumbra.drafting.analysis.moments import DaySpan, TimeChoice, choose_period, choose_time, measure_days
from penumbra.drafting.analysis.notes import list_notes
from penumbra.drafting.analysis.observation import Observation, observe_table
from penumbra.drafting.analysis.tables import open_table
from penumbra.drafting.analysis.targets import choose_target
from penumbra.drafting.draft import DraftColumn, DraftRefused, DraftSource, ProblemDraft, Unsaid
from penumbra.sources import MADE_UP_TIME
from penumbra.sources.table_runs import MADE_UP_START

MADE_UP_DAYS = 365  # that rows without a time are dealt to


def draft_problem(
    location: str,
    target: str,
    *,
    query: str = "",
    time: str | Unsaid | None = Unsaid.UNSAID,
    key: Sequence[str] | Unsaid = Unsaid.UNSAID,
    period: str | None = None,
) -> ProblemDraft:
    """Look at data and draft the problem of predicting one of their columns.

    Args:
        location: A CSV or Parquet file, a folder of them, a glob, the URL of one, or with a query that of a database.
        target: The column to predict.
        query: The query; empty for files.
        time: The column that tells when a row happened; None where none does.
        key: The columns that tell rows apart; none where they have no key.
        period: The period of batches, "day" to "year"; None for the one that fits.

    Returns:
        The draft.

    Raises:
        DraftRefused: The data can't be read, or the target can't be learnt from them.
        DraftQuestion: The data don't tell which column is the time, or the key.
    """
    place = location if query else _place_in_project(location)
    with open_table(place, query) as table:
        seen = observe_table(table, location, target, time if isinstance(time, str) else None)
        return _draft_observed(seen, place, target, query, time, key, period)


def _place_in_project(location: str) -> str:
    """A path as the source takes it: from the project's folder, or absolute; a URL as it is."""
    if get_scheme(location):
        return location
    path, project = Path(location).expanduser().absolute(), find_project_root()
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def _draft_observed(
    seen: Observation,
    location: str,
    target: str,
    query: str,
    time: str | Unsaid | None,
    key: Sequence[str] | Unsaid,
    period: str | None,
) -> ProblemDraft:
    table, readings, profiles = seen.table, seen.readings, seen.profiles
    aim, notes = choose_target(table, target, readings[target], profiles[target])
    moment = _make_up_time(seen) if time is None else choose_time(readings, profiles, target, time)
    found_key = choose_key(seen, None if time is None else moment.column, target, key)
    choices = ColumnChoices(aim, moment.column, moment.reason, found_key.columns, found_key.reason)
    described = describe_columns(seen, choices)
    _require_features(described.columns)
    options, span = _date_rows(seen, moment, time is None)
    return ProblemDraft(
        described.columns,
        aim,
        DraftSource(
            "sql" if query else "files",
            location,
            query,
            moment.column,
            period or choose_period(span, seen.total),
            options,
        ),
        span.first,
        span.last,
        seen.total,
        span.days,
        (*notes, *list_notes(seen, described, found_key, span)),
    )


def _make_up_time(seen: Observation) -> TimeChoice:
    name = MADE_UP_TIME
    while name in seen.readings or name in seen.table.left_out:
        name += "_of_row"
    return TimeChoice(name, "made up: the rows have no time, so they are dealt to days in their order")


def _date_rows(seen: Observation, moment: TimeChoice, is_made_up: bool) -> tuple[dict[str, object], DaySpan]:
    """The options of the source with those that its time needs, and the days of the rows."""
    options = dict(seen.table.options)
    if is_made_up:
        rows_per_day = math.ceil(seen.total / MADE_UP_DAYS)
        days = math.ceil(seen.total / rows_per_day)
        last = MADE_UP_START + dt.timedelta(days=days - 1)
        return {**options, "rows_per_day": rows_per_day}, DaySpan(MADE_UP_START, last, days)
    reading = seen.readings[moment.column]
    if reading.time_format and reading.time_format.form:
        options["time_format"] = reading.time_format.form
    return options, measure_days(seen.table, moment.column, reading)


def _require_features(columns: Sequence[DraftColumn]) -> None:
    if not any(column.role == "feature" or column.feature == "weekday" for column in columns):
        reasons = "; ".join(f"{quote_value(each.name)}: {each.reason}" for each in columns if each.role == "unused")
        raise DraftRefused(f"no column is left to learn from ({reasons or list_names(each.name for each in columns)})")
