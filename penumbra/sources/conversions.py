"""Conversions of text as files have it: numbers with commas, thousands and currencies, and times of any format.

They stand in `CONVERSIONS` of `problem/source.py`. A value of another form becomes null, so its row is quarantined.
"""

import re

import polars as pl

from penumbra.sources.times.calendar_times import CALENDAR_MICROSECONDS
from penumbra.sources.times.time_forms import place_in_zone, resolve_time_form, spell_offset

EPOCH_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds of each
# How accountants and their programs write -1: (1) and 1-.
NEGATIVE_FORMS = (r"^\(([^()]*)\)$", r"^([^+-].*)-$")
DECIMAL_SIGN, THOUSANDS_SIGN = re.compile(r"[^\d\s+()-]"), re.compile(r"[^\d+()-]?")


def read_numbers(*columns: str, decimal: str = ".", thousands: str = "", signs: tuple[str, ...] = ()) -> pl.Expr:
    """Read numbers that are spelled as people do.

    Negative ones may be written as accountants do: (1,234.50) and 1,234.50- are -1234.50.

    Args:
        columns: Columns of text, such as "1.234,50 €".
        decimal: The decimal sign.
        thousands: What separates groups of three digits, " " for any blank; empty for nothing.
        signs: Currencies, percent signs and units that may stand before or after a number; 12 % is read as 12.

    Returns:
        An expression for each column, of dtype String: the number as the contract reads it, "1234.50"; null where the
        text is another.

    Raises:
        ValueError: The signs can't be told apart, or aren't texts.
    """
    _check_signs(decimal, thousands, signs)
    text = pl.col(columns)
    for sign in signs:
        text = text.str.replace(sign, "", literal=True)
    text = text.str.strip_chars().str.replace("\u2212", "-", literal=True)
    for form in NEGATIVE_FORMS:
        text = text.str.replace(form, "-$1")
    blank, point = r"\s" if thousands == " " else pl.escape_regex(thousands), pl.escape_regex(decimal)
    whole = rf"(?:[1-9][0-9]{{0,2}}(?:{blank}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    number = text.str.extract(rf"^([+-]?\s?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+))\s*$")
    return number.str.replace_all(rf"{blank}|\s" if thousands else r"\s", "").str.replace(decimal, ".", literal=True)


def _check_signs(decimal: str, thousands: str, signs: tuple[str, ...]) -> None:
    kinds = decimal, thousands, *(signs if isinstance(signs, list | tuple) else [None])
    if not all(isinstance(each, str) for each in kinds):
        said = f"decimal = {decimal!r}, thousands = {thousands!r} and signs = {signs!r}"
        raise ValueError(f"read_numbers(…) with {said}: expected texts, and a tuple of texts")
    if decimal == thousands or not DECIMAL_SIGN.fullmatch(decimal) or not THOUSANDS_SIGN.fullmatch(thousands):
        raise ValueError(
            f"read_numbers(…) with decimal = {decimal!r} and thousands = {thousands!r}: expected two different "
            "characters that don't stand for something else in a number, or none for thousands"
        )


def read_times(*columns: str, form: str, zone: str | None = None) -> pl.Expr:
    """Read dates and times of any format.

    Args:
        columns: Columns of text or of numbers.
        form: A format of `strptime`, such as "%d.%m.%Y %H:%M", in which month, day and minute may be left out ("%Y-%m"
            is the month's first); or "s", "ms" or "us" for a number since 1970.
        zone: The time zone of what the text says, where it has no offset; None for a time without zone.

    Returns:
        An expression for each column: of dtype Date for a format without a clock and a zone, else Datetime in
        microseconds, in UTC where the values have an offset, count from 1970, or a zone is given; null where the text
        is another, or the number beyond the year 9999.

    Raises:
        ValueError: The format has a directive that isn't read, or lacks the year or the hour of a clock.
    """
    if form in EPOCH_UNITS:
        microseconds = (pl.col(columns).cast(pl.Float64, strict=False) * EPOCH_UNITS[form]).round()
        within = pl.when(microseconds.is_between(*CALENDAR_MICROSECONDS)).then(microseconds)
        return within.cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))
    resolved = resolve_time_form(form)
    text = pl.col(columns).cast(pl.String).str.strip_chars().str.replace("^", resolved.prefix)
    if resolved.has_offset:
        spelled = spell_offset(text) if resolved.layout.endswith("%z") else text
        return spelled.str.to_datetime(resolved.layout, strict=False, time_unit="us", time_zone="UTC")
    if resolved.has_clock:
        times = text.str.to_datetime(resolved.layout, strict=False, time_unit="us")
    else:
        times = text.str.to_date(resolved.layout, strict=False)
    return times if zone is None else place_in_zone(times, zone)
