"""Tables that come with installed packages, and times for rows that have none."""

import datetime as dt
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import polars as pl

START = dt.date(2024, 1, 1)
DAYS = 150  # five batches


def read_package_table(package: str, path: str, columns: Sequence[str] = (), separator: str = ",") -> pl.DataFrame:
    """Read a table that an installed package carries.

    Args:
        package: The package's import name.
        path: The file's path below the package's folder; CSV, which may be gzipped.
        columns: Names of the columns, for a file without usable ones (its first line is skipped); none: those it has.
        separator: What stands between values.

    Returns:
        The table, all text.
    """
    table = pl.read_csv(
        find_package_folder(package) / path,
        separator=separator,
        has_header=not columns,
        skip_rows=1 if columns and separator == "," else 0,
        infer_schema=False,
    )
    return table.rename(dict(zip(table.columns, columns, strict=True))) if columns else table


def find_package_folder(package: str) -> Path:
    """Find the folder of an installed package, without importing it.

    Args:
        package: The package's import name.

    Returns:
        The folder; the current one if there is no such package.
    """
    spec = importlib.util.find_spec(package)
    return Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path()


def spread_over_days(rows: int, seconds: bool = True, days: int = DAYS) -> pl.Series:
    """Times for rows in an order that mixes them, evenly spread over days from `START` on.

    Args:
        rows: How many.
        seconds: Whether seconds are written.
        days: Over how many days.

    Returns:
        ISO 8601 text [n].
    """
    order = [(n * 617) % rows if rows % 617 else n for n in range(rows)]
    begin = dt.datetime.combine(START, dt.time(6))
    times = [begin + dt.timedelta(minutes=int(position * days * 1440 / rows) - 60) for position in order]
    return pl.Series([time.isoformat(timespec="seconds" if seconds else "minutes") for time in times])
