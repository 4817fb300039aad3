"""The times that Python's calendar has, of the years 1 to 9999; databases and Parquet files may have others."""

import polars as pl
import polars.selectors as cs

CALENDAR_DAYS = (-719_162, 2_932_896)  # since 1970
CALENDAR_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
CALENDAR_MILLISECONDS = (-62_135_596_800_000, 253_402_300_799_999)


def list_calendar_times() -> list[pl.Expr]:
    """List expressions of all columns with dates or times, as the calendar has them.

    Returns:
        Expressions of the same names and dtypes: null where a time is infinite, or of another year than 1 to 9999.
        Nanoseconds, which only reach the year 2262, are left out.
    """
    return [
        _keep_between(cs.date(), CALENDAR_DAYS),
        _keep_between(cs.datetime("us"), CALENDAR_MICROSECONDS),
        _keep_between(cs.datetime("ms"), CALENDAR_MILLISECONDS),
    ]


def _keep_between(times: pl.Expr, limits: tuple[int, int]) -> pl.Expr:
    return pl.when(times.to_physical().is_between(*limits)).then(times).name.keep()
