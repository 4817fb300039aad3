"""Conversions of text as files have it: numbers with commas, thousands and currencies, and times of any format.

They stand in `CONVERSIONS` of `problem/source.py`. A value of another form becomes null, so its row is quarantined.
"""

import polars as pl

EPOCH_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds of each
CLOCK_DIRECTIVES = ("%H", "%I", "%T", "%R", "%k", "%l")
# What stands for the directives of a date that a format leaves out, as "%Y-%m" does the day.
FIRST_OF_YEAR = ((("%m", "%b", "%B"), "%m"), (("%d", "%e"), "%d"))


def read_numbers(*columns: str, decimal: str = ".", thousands: str = "", signs: tuple[str, ...] = ()) -> pl.Expr:
    """Read numbers that are spelled as people do.

    Args:
        columns: Columns of text, such as "1.234,50 €".
        decimal: The decimal sign.
        thousands: What separates groups of three digits, " " for any blank; empty for nothing.
        signs: Currencies, percent signs and units that may stand before or after a number; 12 % is read as 12.

    Returns:
        An expression for each column, of dtype String: the number as the contract reads it, "1234.50"; null where the
        text is another.
    """
    text = pl.col(columns)
    for sign in signs:
        text = text.str.replace(sign, "", literal=True)
    blank, point = r"\s" if thousands == " " else pl.escape_regex(thousands), pl.escape_regex(decimal)
    whole = rf"(?:[1-9][0-9]{{0,2}}(?:{blank}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    number = text.str.strip_chars().str.extract(rf"^([+-]?\s?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+))$")
    return number.str.replace_all(rf"{blank}|\s" if thousands else r"\s", "").str.replace(decimal, ".", literal=True)


def read_times(*columns: str, form: str, zone: str | None = None) -> pl.Expr:
    """Read dates and times of any format.

    Args:
        columns: Columns of text, or of numbers where the format is a unit.
        form: A format of `strptime`, such as "%d.%m.%Y %H:%M", in which day and month may be left out ("%Y-%m" is the
            month's first); or "s", "ms" or "us" for a number since 1970.
        zone: The time zone of what the text says, where it has no offset; None for a time without zone.

    Returns:
        An expression for each column: of dtype Date for a format without a clock and a zone, else Datetime in
        microseconds, in UTC where the values have an offset, count from 1970, or a zone is given; null where the text
        is another.
    """
    if form in EPOCH_UNITS:
        microseconds = pl.col(columns).cast(pl.Float64, strict=False) * EPOCH_UNITS[form]
        return microseconds.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))
    text = pl.col(columns).str.strip_chars()
    for directives, first in FIRST_OF_YEAR:
        if not any(directive in form for directive in directives):
            text, form = text + " 01", f"{form} {first}"
    if "%z" in form:
        return text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
    if any(directive in form for directive in CLOCK_DIRECTIVES):
        times = text.str.to_datetime(form, strict=False, time_unit="us")
    else:
        times = text.str.to_date(form, strict=False)
    return times if zone is None else _place_in_zone(times, zone)


def _place_in_zone(times: pl.Expr, zone: str) -> pl.Expr:
    """In UTC; a time that the zone skips is null, of one that it has twice the earlier is meant."""
    placed = times.cast(pl.Datetime("us")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC")
