"""How each column is read: the dtype that its values have, and the expression that gives them."""

from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from penumbra.core.contract.value_readers import NUMBER_PATTERN
from penumbra.drafting.draft import NumberFormat
from penumbra.drafting.reading.number_formats import (
    apply_number_format,
    describe_mixed_signs,
    describe_open_decimals,
    find_number_format,
    has_open_decimals,
)
from penumbra.drafting.reading.text_patterns import has_both_answers, is_matched
from penumbra.drafting.reading.time_formats import (
    CLOCK_PATTERN,
    TimeFormat,
    find_epoch_unit,
    find_time_format,
)
from penumbra.drafting.reading.words import BOOLEANS, CODE_WORDS, TIME_WORDS, has_word_of
from penumbra.sources.conversions import read_times
from penumbra.sources.times.time_column import read_iso_times

LEADING_ZERO_PATTERN = r"0[0-9]+"
PHONE_PATTERN = r"\+[0-9]{8,}"
WHOLE_PATTERN = r"[+-]?[0-9]{1,18}"
WHOLE_FLOAT_PATTERN = r"[+-]?[0-9]{1,15}\.0+"
LONG_DIGITS_PATTERN = r"[0-9]{16,}"  # more than a JSON number tells exactly
COMPACT_DATE_PATTERN = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
COMPACT_TIME_PATTERN = COMPACT_DATE_PATTERN + "(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
COMPACT_FORMS = {
    COMPACT_DATE_PATTERN: TimeFormat("%Y%m%d", False),
    COMPACT_TIME_PATTERN: TimeFormat("%Y%m%d%H%M%S", True),
}
YEAR_PATTERN = r"(?:19|20)[0-9]{2}"
LEFT_OUT_DTYPES = {
    pl.Duration: "a duration, which no kind of feature reads: have the source make a number of it",
    pl.Binary: "bytes, which no kind of feature reads",
    pl.Object: "objects, which no kind of feature reads",
}


@dataclass(frozen=True)
class Reading:
    """How a column is read.

    Attributes:
        dtype: The dtype of the values: Boolean, Int64, UInt64, Float64, String, Date, Datetime or Time.
        values: An expression that gives them, null where a value is none of the dtype.
        number_format: The spelling of numbers; None where the contract reads them by itself.
        time_format: The format of times; None for other columns, and for those that are times in the data.
        reason: Why the column is read so, as a phrase; empty where it is plain.
        is_left_out: Whether no schema can have the column, for the reason.
        note: What the user should look at, as a phrase; empty for nothing.
    """

    dtype: pl.DataType
    values: pl.Expr
    number_format: NumberFormat | None = None
    time_format: TimeFormat | None = None
    reason: str = ""
    is_left_out: bool = False
    note: str = ""


def find_reading(sample: pl.Series, decimal: str | None) -> Reading:
    """Find out how a column is read.

    Args:
        sample: Values of the column, of any dtype; nulls don't matter.
        decimal: The decimal sign of the table's text; None where it isn't known.

    Returns:
        The reading; of text that is nothing else, as text.
    """
    values, dtype = sample.drop_nulls(), sample.dtype
    if dtype == pl.Null or values.is_empty():
        return Reading(pl.String(), pl.col(sample.name).cast(pl.String), reason="no row has a value", is_left_out=True)
    if dtype.is_nested():
        return _leave_out(sample, f"{dtype.base_type().__name__.lower()}s, which no kind of feature reads")
    if reason := LEFT_OUT_DTYPES.get(dtype.base_type()):
        return _leave_out(sample, reason)
    if dtype == pl.String:
        return _read_text(values, decimal)
    return _read_typed(values)


def find_time_reading(sample: pl.Series) -> Reading | None:
    """Find out how a column is read that the user says has times, whatever its name.

    Args:
        sample: Values of the column; nulls don't matter.

    Returns:
        The reading of whole numbers as days (20240301) or times (20240301120000), as seconds and the like since 1970,
        or as years; else None.
    """
    text = sample.drop_nulls().cast(pl.String).str.strip_chars()
    for pattern, form in (*COMPACT_FORMS.items(), (YEAR_PATTERN, TimeFormat("%Y", False))):
        if is_matched(text, pattern):
            return _read_as_times(sample.name, form)
    numbers = text.cast(pl.Int64, strict=False)
    unit = find_epoch_unit(numbers) if numbers.null_count() == 0 else None
    return _read_as_times(sample.name, unit) if unit else None


def find_wider_reading(name: str, reading: Reading) -> Reading | None:
    """Find out how a column is read whose whole numbers may have decimals in rows that the sample hasn't.

    Args:
        name: The column's name.
        reading: The reading by the sample.

    Returns:
        The reading as numbers with decimals; None for what isn't whole numbers.
    """
    if not reading.dtype.is_integer():
        return None
    if reading.number_format:
        numbers = apply_number_format(name, reading.number_format).cast(pl.Float64, strict=False)
    else:
        numbers = pl.col(name).cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    return replace(reading, dtype=pl.Float64(), values=_drop_infinite(numbers))


def _leave_out(sample: pl.Series, reason: str) -> Reading:
    return Reading(pl.String(), pl.lit(None, pl.String), reason=reason, is_left_out=True)


def _read_typed(values: pl.Series) -> Reading:
    """A column that has a dtype in the data."""
    column, dtype = pl.col(values.name), values.dtype
    if dtype.is_integer():
        return _read_whole_numbers(values, column)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return Reading(pl.String(), column.cast(pl.String))
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        numbers = _drop_infinite(column.cast(pl.Float64))
        if dtype.is_float() and _is_whole(values):
            return Reading(pl.Int64(), _keep_whole(numbers))
        return Reading(pl.Float64(), numbers)
    if isinstance(dtype, pl.Datetime):
        return Reading(pl.Datetime("us", "UTC" if dtype.time_zone else None), column.dt.cast_time_unit("us"))
    return Reading(dtype, column)


def _drop_infinite(numbers: pl.Expr) -> pl.Expr:
    """NaN and infinite values are none."""
    return pl.when(numbers.is_finite()).then(numbers)


def _keep_whole(numbers: pl.Expr) -> pl.Expr:
    """Numbers with decimals are none."""
    return pl.when(numbers == numbers.round()).then(numbers).cast(pl.Int64, strict=False)


def _is_whole(numbers: pl.Series) -> bool:
    return len(numbers) > 0 and bool(((numbers == numbers.round()) & (numbers.abs() < 1e15)).all())


def _read_whole_numbers(values: pl.Series, column: pl.Expr) -> Reading:
    """Whole numbers, which are times where their name and size say so."""
    if has_word_of(TIME_WORDS, values.name) and (unit := find_epoch_unit(values)):
        return _read_as_times(values.name, unit)
    dtype = pl.UInt64() if values.dtype == pl.UInt64 else pl.Int64()
    return Reading(dtype, column.cast(dtype, strict=False))


def _read_text(values: pl.Series, decimal: str | None) -> Reading:
    name, column, text = values.name, pl.col(values.name), values.str.strip_chars()
    if reason := _find_code_reason(name, text):
        return Reading(pl.String(), column, reason=reason)
    if has_both_answers(text):
        return Reading(pl.Boolean(), column.str.strip_chars().str.to_lowercase().replace_strict(BOOLEANS, default=None))
    compact = next((form for pattern, form in COMPACT_FORMS.items() if is_matched(text, pattern)), None)
    if compact and has_word_of(TIME_WORDS, name):
        return _read_as_times(name, compact)
    if is_matched(text, WHOLE_PATTERN):
        return _read_whole_text(text)
    if is_matched(text, f"(?:{WHOLE_PATTERN}|{WHOLE_FLOAT_PATTERN})"):
        return Reading(pl.Int64(), _keep_whole(column.str.strip_chars().cast(pl.Float64, strict=False)))
    signed = text.filter(text.str.contains("[.]"))
    if is_matched(text, NUMBER_PATTERN) and not (decimal == "," and has_open_decimals(signed)):
        return Reading(pl.Float64(), _drop_infinite(column.str.strip_chars().cast(pl.Float64, strict=False)))
    if number := find_number_format(text, decimal):
        return _read_spelled_numbers(name, text, number, decimal)
    if is_matched(text, CLOCK_PATTERN):
        return Reading(pl.Time(), _read_clock(column))
    if time := find_time_format(text, decimal):
        return _read_as_times(name, time)
    return Reading(pl.String(), column)


def _find_code_reason(name: str, text: pl.Series) -> str:
    """Why digits are a code and no number; empty where they may be one."""
    if not is_matched(text, r"\+?[0-9]+"):
        return ""
    if text.str.contains(f"^{LEADING_ZERO_PATTERN}$").any():
        return "digits with leading zeros: a code, and no number"
    if is_matched(text, LONG_DIGITS_PATTERN):
        return "more digits than a number in JSON holds: a code"
    if is_matched(text, PHONE_PATTERN):
        return "digits after a plus sign: a code, and no number"
    return "by its name a code, and no number" if has_word_of(CODE_WORDS, name) else ""


def _read_whole_text(text: pl.Series) -> Reading:
    column = pl.col(text.name).str.strip_chars()
    numbers = text.cast(pl.Int64, strict=False).drop_nulls()
    return _read_whole_numbers(numbers, column)


def _read_spelled_numbers(name: str, text: pl.Series, number: NumberFormat, decimal: str | None) -> Reading:
    plain = apply_number_format(name, number)
    read = text.to_frame(name).select(plain).to_series().drop_nulls()
    is_whole = is_matched(read, WHOLE_PATTERN)
    dtype = pl.Int64() if is_whole else pl.Float64()
    note = describe_mixed_signs(text, number.signs) or ("" if decimal else describe_open_decimals(text, number))
    return Reading(dtype, plain.cast(dtype, strict=False), number, note=note)


def _read_clock(column: pl.Expr) -> pl.Expr:
    text = column.str.strip_chars()
    whole = pl.when(text.str.len_chars() == 5).then(text + ":00").otherwise(text)
    return whole.str.to_time("%H:%M:%S%.f", strict=False)


def _read_as_times(name: str, time: TimeFormat) -> Reading:
    """Dates, or times, which are in UTC where they say their offset."""
    dtype: Any = pl.Datetime("us", "UTC" if time.has_offset else None) if time.has_clock else pl.Date()
    values = _read_iso(name, time) if time.form is None else read_times(name, form=time.form)
    return Reading(dtype, values, time_format=time, reason=time.reason)


def _read_iso(name: str, time: TimeFormat) -> pl.Expr:
    times = read_iso_times(name, time.has_offset)
    return times if time.has_clock else times.cast(pl.Date)
