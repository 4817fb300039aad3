"""The analysis of data, from the first look at them to a draft of `problem/`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import polars as pl

from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.analysis.columns import ColumnChoices, describe_columns
from penumbra.drafting.analysis.keys import choose_key
from penumbra.drafting.analysis.notes import list_notes, note_date_period, note_ordered_columns
from penumbra.drafting.analysis.targets import choose_target
from penumbra.drafting.analysis.times.batch_periods import choose_period, find_date_period, find_file_period
from penumbra.drafting.analysis.times.day_counts import (
    count_days,
    cut_waiting_rows,
    has_keys_across_batches,
)
from penumbra.drafting.analysis.times.moments import TimeChoice, choose_time, fill_periods
from penumbra.drafting.analysis.times.row_order import find_ordered_columns
from penumbra.drafting.draft import DraftColumn, DraftRefused, DraftSource, ProblemDraft, Unsaid
from penumbra.drafting.reading.observation import Observation, observe_table
from penumbra.drafting.reading.tables import open_table


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
        location: A CSV or Parquet file, a folder of them, a glob (paths count from the project's folder), the URL of
            one, or with a query that of a database.
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
    with open_table(location, query) as table:
        seen = observe_table(table, location, target, time if isinstance(time, str) else None)
        aim, notes = choose_target(seen.table, target, seen.readings[target], seen.profiles[target])
        moment = choose_time(seen, target, time)
        found_key = choose_key(seen, moment.column if moment.column in seen.readings else None, target, key)
        described = describe_columns(seen, ColumnChoices(aim, moment, found_key))
        day_rows, file_period = count_days(seen, moment, aim), find_file_period(seen, moment)
        if date_period := _find_date_period(seen, moment):
            moment, file_period = fill_periods(moment, date_period), file_period or date_period
        period = period or choose_period(*cut_waiting_rows(moment.span, seen.total, day_rows), file_period)
        if found_key.repeated:
            found_key = replace(found_key, is_shared=has_keys_across_batches(seen, moment, found_key.columns, period))
    used = [name for name in seen.values.columns if seen.profiles[name].read]
    ordered = find_ordered_columns(seen.values.select(used)) if "rows_per_day" in moment.options else []
    _require_features(described.columns)
    span, options = moment.span, {**seen.table.options, **moment.options}
    kind: Literal["files", "sql"] = "sql" if query else "files"
    days = len(day_rows) or moment.named_days
    return ProblemDraft(
        columns=described.columns,
        target=aim,
        source=DraftSource(kind, location, query, moment.column, period, options),
        first_day=span.first,
        last_day=span.last,
        rows=seen.total,
        days=days,
        accepted=tuple(found_key.list_faulty(seen.profiles)),
        ordered=tuple(ordered),
        notes=(
            *notes,
            *note_date_period(date_period),
            *list_notes(seen, described, found_key, days),
            *note_ordered_columns(ordered),
        ),
        day_rows=day_rows,
    )


def _find_date_period(seen: Observation, moment: TimeChoice) -> str | None:
    """The period of which all rows have the first day; None where there is none, or the rows don't tell their days."""
    is_told = moment.column in seen.readings
    return find_date_period(seen.values[moment.column].cast(pl.Date)) if is_told else None


def _require_features(columns: Sequence[DraftColumn]) -> None:
    if not any(column.features for column in columns):
        reasons = "; ".join(f"{quote_value(each.name)}: {each.reason}" for each in columns if each.role == "unused")
        raise DraftRefused(f"no column is left to learn from ({reasons or list_names(each.name for each in columns)})")
