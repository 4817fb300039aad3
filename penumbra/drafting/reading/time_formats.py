"""Formats of dates and times: the one that reads a text column, or the unit in which numbers count since 1970."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from penumbra.drafting.reading.text_patterns import MIN_READ_SHARE, is_matched
from penumbra.sources.conversions import EPOCH_UNITS, read_times

ISO_DATE = r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
ISO_CLOCK = r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
ISO_OFFSET = r"\s?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
ANY_OFFSET = r"\s?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)"  # of which the contract reads some, the sources all
CLOCK_PATTERN = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
MIN_FORM_SHARE = 0.2  # of a column's values, which a form has to read for the column to be times of several forms
MAYBE_TIME = r"(?:19|20)[0-9]{6}T[0-9]{4}.*|(?:[A-Za-z]{3,9},?\s)?[0-9A-Za-z]{1,9}[-/. ][0-9A-Za-z]{1,9}.*"
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d-%m-%y")
MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%m-%d-%y")
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", *DAY_FIRST[:2], *MONTH_FIRST[:2], "%d.%m.%y"),
    *(*DAY_FIRST[2:], *MONTH_FIRST[2:]),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%d. %B %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
    *("%a, %d %b %Y", "%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%b %Y", "%B %Y", "%b-%y"),
)
CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
COMPACT_CLOCKS = ("T%H%M%S", "T%H%M")
LAST_YEARS = ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y")
JOINTS = (" ", "T", ", ", ":")
OFFSETS = ("", " %z", "%z")
FIRST_TRIES = 30  # values that a format has to read before it is tried on all
YEARS = (1800, 2200)
# The years of a number since 1970 that is meant as a time.
EPOCH_YEARS = (1985, 2100)
EPOCH_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}


@dataclass(frozen=True)
class TimeFormat:
    """How a column becomes dates or times.

    Attributes:
        form: The `form` of `read_times`; None for ISO 8601, which the contract reads by itself.
        has_clock: Whether it is a time, and not a date alone.
        has_offset: Whether the values say their offset, or count from 1970.
        reason: What isn't plain about it, as a phrase.
        is_open: Whether day and month might be the other way round.
        is_iso: Whether the form is that of ISO 8601, which a source reads by itself, though the contract doesn't.
    """

    form: str | None
    has_clock: bool
    has_offset: bool = False
    reason: str = ""
    is_open: bool = False
    is_iso: bool = False


def find_time_format(values: pl.Series, decimal: str | None) -> TimeFormat | None:
    """Find the format by which a text column is dates or times.

    Args:
        values: Text without nulls.
        decimal: The table's decimal sign: where it is a comma, 03/04/2024 is the third of April.

    Returns:
        The format that reads about all values; None where none does.
    """
    text = values.str.strip_chars()
    for pattern, found in (
        (ISO_DATE, TimeFormat(None, False)),
        (rf"{ISO_DATE}[T ]{ISO_CLOCK}", TimeFormat(None, True)),
        (rf"{ISO_DATE}[T ]{ISO_CLOCK}{ISO_OFFSET}", TimeFormat(None, True, True)),
    ):
        if is_matched(text, pattern):
            return found
    is_iso = is_matched(text, rf"{ISO_DATE}[T ]{ISO_CLOCK}{ANY_OFFSET}")
    if not is_matched(text, MAYBE_TIME):
        return None
    first = text.unique(maintain_order=True).head(FIRST_TRIES)
    forms = _select_reading(text, _select_reading(first, list(_list_formats(first))))
    return replace(_choose_format(text, forms, decimal), is_iso=is_iso) if forms else None


def describe_mixed_times(values: pl.Series) -> str:
    """Describe that a text column has times that no format alone reads.

    Args:
        values: Text (String); nulls don't matter.

    Returns:
        A phrase with an example of each of two forms; empty where about all values aren't times, or one format does.
    """
    text = values.drop_nulls().str.strip_chars()
    if text.is_empty() or not is_matched(text, f"{MAYBE_TIME}|{ISO_DATE}.*"):
        return ""
    forms = list(_list_formats(text.unique(maintain_order=True).head(FIRST_TRIES)))
    times = text.to_frame("value").select(read_times("value", form=form).alias(form) for form in forms)
    read = {form: len(text) - times[form].null_count() for form in forms}
    one = max(forms, key=read.__getitem__)
    rest = times.filter(pl.col(one).is_null())
    other = max(forms, key=lambda form: rest.height - rest[form].null_count())
    least = min(read[one], rest.height - rest[other].null_count())
    if least < MIN_FORM_SHARE * len(text):
        return ""
    examples = (
        text.filter(times[one].is_not_null())[0],
        text.filter(times[one].is_null() & times[other].is_not_null())[0],
    )
    return f"has times of several forms, such as {examples[0]!r} and {examples[1]!r}"


def find_epoch_unit(values: pl.Series) -> TimeFormat | None:
    """Find the unit in which whole numbers count since 1970.

    Args:
        values: Numbers (Int64) without nulls.

    Returns:
        The unit in which all are times of our days; None where there is none.
    """
    for unit, microseconds in EPOCH_UNITS.items():
        first, last = (pl.datetime(year, 1, 1) for year in EPOCH_YEARS)
        ends = pl.select(first.dt.epoch("us") // microseconds, last.dt.epoch("us").alias("last") // microseconds).row(0)
        if len(values) and values.is_between(*ends).all():
            return TimeFormat(unit, True, True, f"counts {EPOCH_NAMES[unit]} since 1970")
    return None


def _select_reading(text: pl.Series, forms: Sequence[str]) -> list[str]:
    """The formats by which about all values are dates of years that are meant, as 24 is no year of four digits."""
    times = [read_times("value", form=form) for form in forms]
    is_meant = [each.dt.year().is_between(*YEARS).sum().alias(form) for each, form in zip(times, forms, strict=True)]
    counts = text.to_frame("value").select(is_meant)
    return [form for form in forms if counts[form][0] >= MIN_READ_SHARE * len(text)]


def _list_formats(first: pl.Series) -> Iterator[str]:
    """The formats that the look of the values allows, the plainest first."""
    has_colon, has_zone = first.str.contains(":").any(), first.str.contains(f"{ANY_OFFSET}$").any()
    if not has_colon:
        yield from DATES
        yield from (f"%Y%m%d{clock}{offset}" for clock in COMPACT_CLOCKS for offset in ("", "%z"))
        return
    yield from LAST_YEARS
    has_halves = first.str.contains("(?i)[ap]m").any()
    # A space of a format stands for any number of them.
    joints = [joint for joint in JOINTS if first.str.contains(joint.strip(), literal=True).any()]
    clocks = [clock for clock in CLOCKS if has_halves or "%p" not in clock]
    for date, joint, clock, offset in itertools.product(DATES, joints, clocks, OFFSETS if has_zone else ("",)):
        yield f"{date}{joint}{clock}{offset}"


def _choose_format(text: pl.Series, forms: Sequence[str], decimal: str | None) -> TimeFormat:
    """The first, but for dates whose day and month can't be told apart by their size."""
    form, reason = forms[0], ""
    monthly = [each for each in forms if each.startswith(MONTH_FIRST)]
    if form.startswith(DAY_FIRST) and monthly:
        is_day_first, reason = _is_day_first(text, form, monthly[0], decimal)
        form = form if is_day_first else monthly[0]
    return TimeFormat(form, "%H" in form or "%I" in form, "%z" in form, reason, is_open=bool(reason))


def _is_day_first(text: pl.Series, daily: str, monthly: str, decimal: str | None) -> tuple[bool, str]:
    """Of dates that are read either way: those of which all are the same day of a month are monthly ones."""
    frame = text.to_frame("value")
    days = [frame.select(read_times("value", form=form)).to_series().dt.day().n_unique() for form in (daily, monthly)]
    if 1 in days and days[0] != days[1]:
        return days[0] == 1, ""
    is_day_first = decimal == ","
    words = ("day before the month", "month before the day")[:: 1 if is_day_first else -1]
    return is_day_first, f"dates such as {text[0]} are read with the {words[0]}; no value tells"
