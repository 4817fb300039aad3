"""Queries by day: records of the prediction log by their own time, and broken records by arrival."""

import datetime as dt
import itertools
from collections import Counter

import polars as pl

from penumbra.core.columns import EVENT_COLUMN, ID_COLUMN, UNKNOWN_FIELD
from penumbra.core.problem import ProblemSchema
from penumbra.logs import append_log
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import samples
from penumbra.logs.schema import get_broken_counts_folder

DAY_IDS_QUERY = "SELECT id, event FROM predictions WHERE event >= ? AND event < ? ORDER BY id"
DAY_SIZE_QUERY = "SELECT count(*) FROM predictions WHERE event >= ? AND event < ?"
ARRIVALS_QUERY = "SELECT date(day * 86400, 'unixepoch'), rows FROM arrivals"
DAY_COUNTS_QUERY = "SELECT day, model, rows FROM days ORDER BY day, model"


def read_day_records(index: LogIndex, day: dt.date, schema: ProblemSchema, most: int = 50_000) -> pl.DataFrame:
    """Read the records of a day (UTC), by the records' own time.

    Args:
        index: The index.
        day: The day.
        schema: The problem's schema, whose contract gives the columns.
        most: How many records to read at most: of more, some that are spread evenly over the log, the same ones each
            time.

    Returns:
        A frame with the contract's columns and dtypes (an Enum as String); a value that doesn't fit its column is null.
    """
    span = samples.to_day_timestamp(day), samples.to_day_timestamp(day + dt.timedelta(days=1))
    with index.open_for_reading() as db:
        ((count,),) = db.execute(DAY_SIZE_QUERY, span)
        rows = list(itertools.islice(db.execute(DAY_IDS_QUERY, span), 0, None, max(1, -(-count // most))))
    found = pl.DataFrame(rows, schema={ID_COLUMN: pl.String, EVENT_COLUMN: pl.Float64}, orient="row")
    columns = {name: column.dtype for name, column in schema.Row.columns().items()}
    told = {name: dtype for name, dtype in columns.items() if name != schema.TIME}
    records = samples.read_records_by_id(index.predictions, found[ID_COLUMN].to_list(), told).join(
        found, on=ID_COLUMN, maintain_order="left"
    )
    moment = pl.from_epoch(pl.col(EVENT_COLUMN) * 1e6, "us").dt.replace_time_zone("UTC")
    return records.with_columns(moment.alias(schema.TIME)).select(list(columns))


def count_daily_answers(index: LogIndex) -> pl.DataFrame:
    """Count the rows that each model answered of each day.

    Args:
        index: The index.

    Returns:
        A frame with `day` (Date, UTC), `model` (String) and `rows` (Int64), the earliest day first.
    """
    with index.open_for_reading() as db:
        rows = db.execute(DAY_COUNTS_QUERY).fetchall()
    frame = pl.DataFrame(rows, schema={"day": pl.Int32, "model": pl.String, "rows": pl.Int64}, orient="row")
    return frame.with_columns(pl.col("day").cast(pl.Date))


def summarise_broken_records(index: LogIndex, schema: ProblemSchema) -> pl.DataFrame:
    """Count the records that broke the contract, by day of arrival.

    Args:
        index: The index.
        schema: The problem's schema, whose contract has the columns.

    Returns:
        A frame with `day` (Date, UTC), `records` (Int64, how many broke it), `field` (String, the column in which the
        most did, or `UNKNOWN_FIELD`) and `answered` (Int64, how many were); only days on which any broke it, the
        earliest first.
    """
    columns = schema.Row.columns()
    entries = [
        (entry["time"][:10], entry["records"], entry["fields"])
        for entry in append_log.read_entries(get_broken_counts_folder(index.predictions))
    ]
    dtypes = {"day": pl.String, "records": pl.Int64, "field": pl.String, "answered": pl.Int64}
    with index.open_for_reading() as db:
        answered = dict(db.execute(ARRIVALS_QUERY))
    rows = []
    for day in sorted({day for day, _, _ in entries}):
        fields: Counter[str] = Counter()
        for name, count in (
            (name, count) for each, _, found in entries if each == day for name, count in found.items()
        ):
            fields[name if name in columns else UNKNOWN_FIELD] += count
        records = sum(records for each, records, _ in entries if each == day)
        rows.append((day, records, max(fields, key=lambda name: fields[name], default=""), answered.get(day, 0)))
    return pl.DataFrame(rows, schema=dtypes, orient="row").with_columns(pl.col("day").str.to_date())
