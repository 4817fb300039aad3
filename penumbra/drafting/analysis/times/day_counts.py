"""How many rows each day has, of each class: what tells whether the last period, and those held out, have enough."""

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from penumbra.drafting.analysis.times.moments import DaySpan, TimeChoice
from penumbra.drafting.draft import ANY_NUMBER, NO_OUTCOME, DraftTarget
from penumbra.drafting.reading.observation import Observation
from penumbra.sources.tables.table_runs import MADE_UP_START
from penumbra.sources.times.periods import PERIODS, build_period_start


def count_days(seen: Observation, time: TimeChoice, target: DraftTarget) -> Mapping[dt.date, Mapping[str, int]]:
    """Count the rows of each day.

    Args:
        seen: What is seen of the table.
        time: What tells a row's time.
        target: The target.

    Returns:
        By day in order, the rows of each class, as `ProblemDraft.day_rows`; none where only the names of files tell
        the day.
    """
    if "dated_names" in time.options:
        return {}
    rows, day = seen.table.rows, _build_day(seen, time)
    outcome = seen.readings[target.column].values.cast(pl.String)
    if target.task == "number":
        outcome = pl.when(outcome.is_not_null()).then(pl.lit(ANY_NUMBER))
    named = rows.select(day.alias("day"), outcome.fill_null(NO_OUTCOME).alias("class")).drop_nulls("day")
    counts = named.group_by("day", "class").len(name="rows").sort("day", "class").collect(engine="streaming")
    found: dict[dt.date, dict[str, int]] = {}
    for each, name, number in counts.iter_rows():
        found.setdefault(each, {})[name] = number
    return found


def _build_day(seen: Observation, time: TimeChoice) -> pl.Expr:
    """The day of each row of the table, which the rows or their order tell."""
    if time.column in seen.readings:
        return seen.readings[time.column].values.cast(pl.Date)
    position = pl.int_range(pl.len(), dtype=pl.Int64) // time.options["rows_per_day"]
    return pl.lit(MADE_UP_START) + pl.duration(days=position)


def has_keys_across_batches(seen: Observation, time: TimeChoice, key: Sequence[str], period: str) -> bool:
    """Tell whether rows of different batches share a key, once ingest has taken out those that share one in a batch.

    Args:
        seen: What is seen of the table.
        time: What tells a row's time.
        key: The columns of the key.
        period: What a batch holds.

    Returns:
        Whether some do; True where only files tell the batch of a row.
    """
    if "dated_names" in time.options or period not in PERIODS:
        return True
    parts = {f"key {number}": seen.readings[name].values for number, name in enumerate(key)}
    batch = build_period_start(_build_day(seen, time), period)
    rows = seen.table.rows.select(batch=batch, **parts).drop_nulls("batch")
    admitted = rows.group_by("batch", *parts).len().filter(pl.col("len") == 1)
    batches = admitted.group_by(*parts).agg(pl.len()).select(pl.col("len").max())
    return (batches.collect(engine="streaming").item() or 0) > 1


def cut_waiting_rows(span: DaySpan, rows: int, day_rows: Mapping[dt.date, Mapping[str, int]]) -> tuple[DaySpan, int]:
    """Leave out the newest days, of which no row has an outcome yet.

    Args:
        span: The days of the rows.
        rows: How many rows there are.
        day_rows: What `count_days` returned.

    Returns:
        The days until the last outcome, and how many rows these have.
    """
    known = [day for day, classes in day_rows.items() if classes.keys() - {NO_OUTCOME}]
    if not known:
        return span, rows
    within = {day: classes for day, classes in day_rows.items() if day <= known[-1]}
    return DaySpan(span.first, known[-1]), sum(sum(classes.values()) for classes in within.values())
