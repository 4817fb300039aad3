"""The date in the path of a file, for tables whose rows have no time."""

import datetime as dt
import re
from collections.abc import Iterator

YEAR = r"(?<!\d)((?:17|18|19|20|21)\d\d)"
MONTH, DAY = r"(?:m(?:onth)?=)?", r"(?:d(?:ay)?=)?"  # the folders of Hive and Spark
BETWEEN = r"[-_./]"
NO_NUMBER_BEHIND = rf"(?!\d|{BETWEEN}{DAY}\d\d?(?!\d))"
# The most telling first: 2024-03-05, 20240305, 2024/03/05; 2024-3-5, year=2024/month=3/day=5; 2024-03; month=3; 2024.
NAMED_DATES = (
    ("day", rf"{YEAR}{BETWEEN}?{MONTH}(\d\d){BETWEEN}?{DAY}(\d\d)(?!\d)"),
    ("day", rf"{YEAR}{BETWEEN}{MONTH}([1-9]\d?){BETWEEN}{DAY}([1-9]\d?)(?!\d)"),
    ("month", rf"{YEAR}{BETWEEN}?{MONTH}(\d\d){NO_NUMBER_BEHIND}"),
    ("month", rf"{YEAR}{BETWEEN}m(?:onth)?=(\d){NO_NUMBER_BEHIND}"),
    ("year", rf"{YEAR}(?!\d)"),
)
# What beside a year tells more than the year: 03, Q1, W10, week=10, Mar.
PART_OF_YEAR = (
    r"(?:(?:h|q|w|kw|cw|wk|half|quarter|week|m|month)?[-_=]?\d+"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
BEFORE_YEAR = re.compile(rf"(?<![a-z0-9]){PART_OF_YEAR}[-_./ ]?$", re.IGNORECASE)
BEHIND_YEAR = re.compile(rf"[-_./ ]?{PART_OF_YEAR}(?![a-z0-9])", re.IGNORECASE)
EXPECTED = "expected one such as orders-2024-03-05.csv or 2024/03/orders.csv"


def find_named_date(name: str) -> tuple[dt.date, str]:
    """Find the date in the name of a file.

    Args:
        name: The name, with folders.

    Returns:
        The most telling date: a day, else the first day of a month or of a year; and which of "day", "month" and
        "year" the name tells.

    Raises:
        ValueError: There is none, there are several, or a year stands beside what may be a part of it.
    """
    for period, pattern in NAMED_DATES:
        found = list(re.finditer(pattern, name, re.IGNORECASE))
        dates = sorted(set(_read_dates(found)))
        if len(dates) > 1:
            raise ValueError(f"{name} has several dates in its name, {dates[0]} and {dates[1]}: {EXPECTED}")
        if dates and period == "year" and (part := _find_part_beside(name, found)):
            raise ValueError(f"{name} has {dates[0].year} beside {part!r} in its name, which isn't read: {EXPECTED}")
        if dates:
            return dates[0], period
    raise ValueError(f"{name} has no date in its name: {EXPECTED}")


def _read_dates(found: list[re.Match[str]]) -> Iterator[dt.date]:
    for each in found:
        year, month, day = [*map(int, each.groups()), 1, 1][:3]
        if 1 <= month <= 12 and 1 <= day <= 31:
            try:
                yield dt.date(year, month, day)
            except ValueError:  # the 31st of February
                continue


def _find_part_beside(name: str, years: list[re.Match[str]]) -> str:
    """What stands right before or behind a year and may be a part of it; empty if nothing does."""
    parts = [BEFORE_YEAR.search(name[: year.start()]) or BEHIND_YEAR.match(name, year.end()) for year in years]
    return next((part.group().strip("-_./ ") for part in parts if part), "")
