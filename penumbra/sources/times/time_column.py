"""The time column of a source: read in whatever form it is written, for the calendar and for the contract."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from penumbra.sources.conversions import EPOCH_UNITS, read_times
from penumbra.sources.times.calendar_times import list_calendar_times
from penumbra.sources.times.time_forms import place_in_zone, resolve_time_form, spell_offset

NAIVE, AWARE = pl.Datetime("us"), pl.Datetime("us", "UTC")
FIRST_DAY, LAST_DAY = dt.date(1700, 1, 1), dt.date(2199, 12, 31)  # a time beyond them is taken for a slip
SECONDS, FRACTIONS, MINUTES = "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"
ISO_EXPECTATION = "a time such as 2024-03-01T12:00:00, with or without an offset, or a date"

Reader = Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True)
class TimeColumn:
    """How the time column of a source is read.

    Attributes:
        name: The column.
        format: The form of its text as in `strptime`, or "s", "ms" or "us" for numbers since 1970; None for ISO 8601.
        zone: The zone of times that are written without an offset, and whose calendar the periods go by; None leaves
            such times as they are, and counts those with an offset in UTC.
    """

    name: str
    format: str | None
    zone: str | None

    def __post_init__(self) -> None:
        """Check format and zone.

        Raises:
            ValueError: The format has a directive that isn't read, or lacks the year or the hour of a clock; or the
                zone isn't known.
        """
        if self.format and self.format not in EPOCH_UNITS:
            resolve_time_form(self.format)
        try:
            ZoneInfo(self.zone or "UTC")
        except (KeyError, ValueError, OSError):
            raise ValueError(f"time_zone = {self.zone!r}: expected a name such as 'Europe/Berlin'") from None

    def find_days(self, values: pl.Series) -> pl.Series:
        """Find the days that rows belong to.

        Args:
            values: The column as it stands in the source.

        Returns:
            Dates in the column's zone; null where the value can't be read, or lies before 1700 or after 2199.
        """
        aware, naive = self._read_moments(values)
        local = None if aware is None else aware.dt.convert_time_zone(self.zone or "UTC").dt.replace_time_zone(None)
        days = _coalesce(local, naive).dt.date()
        return pl.select(pl.when(days.is_between(FIRST_DAY, LAST_DAY)).then(days)).to_series()

    def normalize(self, values: pl.Series) -> pl.Series:
        """Write the column so that the contract reads it.

        Args:
            values: The column as it stands in the source.

        Returns:
            Text: ISO 8601, in UTC where there is an offset or a zone; unchanged where it can't be read. Of dates and
            times: times, of the zone or without.
        """
        aware, naive = self._read_moments(values)
        if isinstance(values.dtype, pl.Date | pl.Datetime):
            return _coalesce(aware, naive).alias(values.name)
        moments = None if aware is None else aware.dt.strftime(f"{FRACTIONS}Z")
        times = None if naive is None else naive.dt.strftime(FRACTIONS)
        return _coalesce(moments, times, values.cast(pl.String)).alias(values.name)

    def build_expression(self, dtype: pl.DataType) -> pl.Expr:
        """Build the expression that writes the column so that the contract reads it, as `normalize` does.

        Args:
            dtype: The dtype of the column in the source.

        Returns:
            An expression of the column's name.
        """
        written = self.normalize(pl.Series(self.name, [], dtype=dtype)).dtype
        return pl.col(self.name).map_batches(self.normalize, return_dtype=written, is_elementwise=True)

    def describe_expectation(self) -> str:
        """Describe the values that can be read.

        Returns:
            Words that complete "expected …".
        """
        return f"a time written as {self.format!r}" if self.format else ISO_EXPECTATION

    def _read_moments(self, values: pl.Series) -> tuple[pl.Series | None, pl.Series | None]:
        """The values as moments in UTC, and as times without zone; None where there can't be any of these."""
        if isinstance(values.dtype, pl.Date | pl.Datetime):
            return _place_in_zone(_keep_calendar_times(values), self.zone)
        text = values.cast(pl.String)
        if self.format:
            read = text.to_frame("text").select(read_times("text", form=self.format)).to_series()
            return _place_in_zone(read, self.zone)
        stripped = text.str.strip_chars()
        naive = _read_first(stripped, NAIVE_FORMS, NAIVE)
        unread = stripped if naive.null_count() > text.null_count() else stripped.clear(len(stripped))
        aware = _read_first(unread, AWARE_FORMS, AWARE)
        return (_coalesce(aware, _localize(naive, self.zone)), None) if self.zone else (aware, naive)


def _place_in_zone(times: pl.Series, zone: str | None) -> tuple[pl.Series | None, pl.Series | None]:
    """Times of one dtype as moments in UTC, or as times without zone."""
    if getattr(times.dtype, "time_zone", None):
        return times.dt.convert_time_zone("UTC").cast(AWARE), None
    naive = times.cast(NAIVE)
    return (_localize(naive, zone), None) if zone else (None, naive)


def _localize(naive: pl.Series, zone: str) -> pl.Series:
    return _keep_calendar_times(pl.select(place_in_zone(pl.lit(naive), zone)).to_series())


def _keep_calendar_times(times: pl.Series) -> pl.Series:
    return times.to_frame().with_columns(list_calendar_times()).to_series()


def _read_first(text: pl.Series, forms: Sequence[Reader], dtype: pl.DataType) -> pl.Series:
    """What the first of the forms that fits gives; the later ones are tried only where something is left."""
    found = pl.Series(dtype=dtype).clear(len(text))
    for form in forms:
        if found.null_count() == text.null_count():
            break
        found = _coalesce(found, text.to_frame("text").select(form(pl.col("text"))).to_series())
    return found


def _coalesce(*values: pl.Series | None) -> pl.Series:
    return pl.select(pl.coalesce(*(each for each in values if each is not None))).to_series()


def read_iso_times(column: str, has_offset: bool) -> pl.Expr:
    """Read ISO 8601 in all its forms.

    Args:
        column: A column of text.
        has_offset: Whether the times have an offset.

    Returns:
        Times in microseconds, in UTC where they have an offset; null where the text is another.
    """
    forms, dtype = (AWARE_FORMS, AWARE) if has_offset else (NAIVE_FORMS, NAIVE)
    text = pl.col(column).str.strip_chars()
    return text.map_batches(lambda part: _read_first(part, forms, dtype), return_dtype=dtype, is_elementwise=True)


def _naive_form(layout: str) -> Reader:
    return lambda text: text.str.replace(" ", "T", literal=True).str.to_datetime(layout, strict=False, time_unit="us")


def _aware_form(layout: str) -> Reader:
    return lambda text: spell_offset(text.str.replace(" ", "T", literal=True)).str.to_datetime(
        f"{layout}%:z", strict=False, time_unit="us", time_zone="UTC"
    )


# The usual forms first: polars reads those without a fraction five times as fast.
NAIVE_FORMS: tuple[Reader, ...] = (
    _naive_form(SECONDS),
    lambda text: text.str.to_date("%Y-%m-%d", strict=False).cast(NAIVE),
    _naive_form(MINUTES),
    _naive_form(FRACTIONS),
)
AWARE_FORMS: tuple[Reader, ...] = (_aware_form(SECONDS), _aware_form(MINUTES), _aware_form(FRACTIONS))
