"""Questions for the time of a row, where no column or several may have it, with what the user can do."""

import re
from collections.abc import Sequence

import polars as pl

from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.draft import DraftQuestion
from penumbra.drafting.reading.observation import Observation
from penumbra.drafting.reading.profiles import is_nearly_full
from penumbra.drafting.reading.time_formats import describe_mixed_times
from penumbra.drafting.reading.words import TIME_WORDS, has_word_of

YEAR_WORDS = frozenset(("year", "yr", "jahr", "annee", "anno", "ano"))
CALENDAR_YEARS = (1800, 2199)
MONTH_WORDS = frozenset(("month", "monat", "mois", "mese", "mes"))
DAY_WORDS = frozenset(("day", "tag", "jour", "giorno", "dia"))
DATE_PARTS = ((YEAR_WORDS, CALENDAR_YEARS), (MONTH_WORDS, (1, 12)), (DAY_WORDS, (1, 31)))
PLAIN_LOCATION = re.compile(r"[\w./:*?-]+\.\w+")  # that can stand in a query, and that in a shell's quotation marks
PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
SERIAL_DAYS = (31_000, 73_050)  # from 1984 to 2099
SERIAL_TIME = "date_trunc('second', timestamp '1899-12-30' + to_seconds({} * 86400))"
TABLE_ADVICE = "pass --no-time to spread the rows over made-up days in their order, or make a column of dates"
QUERY_ADVICE = "have the query give each row a date, and pass it as --time"


def ask_time(seen: Observation, times: Sequence[str], likely: Sequence[str]) -> DraftQuestion:
    """Make the question which column has the time of a row, or how one is made.

    Args:
        seen: What is seen of the table.
        times: The columns that have times.
        likely: Those that fit equally well.

    Returns:
        The question, to be raised.
    """
    if likely:
        return DraftQuestion(
            f"several columns have times ({list_names(likely)}): pass --time with the one that tells when a row "
            "happened, that is when its prediction would have been made",
            "--time",
            likely,
        )
    lacking = f" in every row ({list_names(times)} lack some)" if times else ""
    if hint := _hint_at_query(seen) or _hint_at_forms(seen):
        return DraftQuestion(f"no column has times{lacking}, but {hint}", "--time", ())
    if seen.table.files and (years := [name for name in seen.readings if _has_years(seen, name)]):
        choices = " or ".join(f"--time {quote_value(name) if ' ' in name else name}" for name in years)
        return DraftQuestion(
            f"no column has times{lacking}, but {list_names(years)} may be the year of a row: pass {choices} if so; "
            f"else {TABLE_ADVICE}",
            "--time",
            years,
        )
    return DraftQuestion(
        f"no column has times{lacking}: {TABLE_ADVICE if seen.table.files else QUERY_ADVICE}",
        "--time",
        times,
    )


def _hint_at_query(seen: Observation) -> str:
    """The query that makes a time of year, month and day, or of days that a spreadsheet counts; empty without these."""
    if parts := _find_date_parts(seen):
        listed = ", ".join(parts)
        return (
            f"{listed} may be the date of a row: have a query make it, with --from "
            f'duckdb:// --query "select make_date({listed}) as date, * exclude ({listed}) from '
            f"'{seen.table.location}'\""
        )
    if name := next((each for each in seen.readings if _has_serial_days(seen, each)), None):
        return (
            f"{name} may count days as spreadsheets do (45292 is 2024-01-01): have a query make a time of it, with "
            f'--from duckdb:// --query "select * replace ({SERIAL_TIME.format(name)} as {name}) from '
            f"'{seen.table.location}'\""
        )
    return ""


def _hint_at_forms(seen: Observation) -> str:
    """The columns of text with times that no format alone reads; empty without any."""
    text = [name for name, each in seen.readings.items() if each.dtype == pl.String and not each.is_left_out]
    mixed = [f"{quote_value(name)} {how}" for name in text if (how := describe_mixed_times(seen.values[name]))]
    return f"{'; '.join(mixed)}: write them in one form, or pass --no-time" if mixed else ""


def _find_date_parts(seen: Observation) -> list[str]:
    """The columns with year, month and day, where a file that a query can read has one of each."""
    if not seen.table.files or not PLAIN_LOCATION.fullmatch(seen.table.location):
        return []
    found = [
        [name for name in seen.readings if name.lower() in words and _has_numbers(seen, name, limits)]
        for words, limits in DATE_PARTS
    ]
    return [names[0] for names in found] if all(len(names) == 1 for names in found) else []


def _has_serial_days(seen: Observation, name: str) -> bool:
    """Whether numbers of a file that a query can read count the days of about every row from 1899-12-30 on, by name and
    size."""
    values, is_plain = seen.values[name], PLAIN_NAME.fullmatch(name) and PLAIN_LOCATION.fullmatch(seen.table.location)
    if not seen.table.files or not is_plain or not has_word_of(TIME_WORDS, name) or not values.dtype.is_numeric():
        return False
    return is_nearly_full(seen.profiles[name]) and bool(values.drop_nulls().is_between(*SERIAL_DAYS).all())


def _has_years(seen: Observation, name: str) -> bool:
    """Whether whole numbers, several and one in about every row, are years of our days, and called so."""
    is_called_so = has_word_of(YEAR_WORDS, name) and seen.values[name].n_unique() > 1
    return is_called_so and _has_numbers(seen, name, CALENDAR_YEARS)


def _has_numbers(seen: Observation, name: str, limits: tuple[int, int]) -> bool:
    """Whether about every row has a whole number between the limits."""
    values = seen.values[name]
    if not values.dtype.is_integer() or not is_nearly_full(seen.profiles[name]):
        return False
    return bool(values.drop_nulls().is_between(*limits).all())
