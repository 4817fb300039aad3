"""Conversion of columns as they arrive, text or not, to the contract's dtypes: the same values as over HTTP.

A value whose meaning is plain is converted without loss; any other becomes null here, and is quarantined by
`penumbra.data.partitions.contract`. What is spelled plainly goes through polars, everything else through the reader of
the HTTP contract, one different text at a time.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import polars as pl
from pydantic import TypeAdapter, ValidationError

from penumbra.core.contract.record_fields import INNER_CONFIG, annotate_dtype
from penumbra.core.contract.value_readers import MAX_WHOLE_FLOAT, NUMBER_PATTERN
from penumbra.core.text.counts import format_count
from penumbra.data.partitions.nested_conversion import convert_nested
from penumbra.features.kinds import select_column

TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
FLOAT_WORDS_PATTERN = r"[+-]?(nan|inf|infinity)"  # read, and then refused by the contract where it doesn't allow them
DATE_PATTERN = r"[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}"
TIME_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
OFFSET_PATTERN = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"


def convert_columns(rows: pl.DataFrame, dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Convert columns to dtypes of the contract: those that polars can read side by side, the others one by one.

    Args:
        rows: Rows as they arrived.
        dtypes: The contract's dtype of each column to convert, by its name.

    Returns:
        A row for each of the rows, with these columns; null where a value isn't plainly one of the dtype, as in a
        column that can't be converted.
    """
    texts = [name for name, dtype in dtypes.items() if rows[name].dtype == pl.String and _is_cast_from_text(dtype)]
    cast = rows.select(select_column(name).cast(dtypes[name], strict=False) for name in texts)
    whole = {name for name in texts if cast[name].null_count() == rows[name].null_count()}
    return pl.DataFrame(
        {name: cast[name] if name in whole else convert_column(rows[name], dtype) for name, dtype in dtypes.items()}
    )


def convert_column(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Convert a column to a dtype of the contract.

    Args:
        values: The column as it arrived, of any dtype.
        dtype: The contract's dtype.

    Returns:
        A series of the dtype; null where a value isn't plainly one of it, as where it was null.
    """
    if values.dtype == dtype or values.dtype == pl.Null:
        return values.cast(dtype)
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        return convert_column(values.cast(pl.String), dtype)
    try:
        if values.dtype.is_nested() and dtype.is_nested():
            return convert_nested(values, dtype, convert_column)
        if values.dtype == pl.String and dtype.is_nested():
            return _read_values(values, dtype, lambda text: text.encode())
        if values.dtype.is_nested() or dtype.is_nested():
            return _make_nulls(values, dtype)
        if values.dtype != pl.String:
            return _convert_typed(values, dtype)
        if dtype.is_numeric() and not isinstance(dtype, pl.Decimal):
            return _convert_text_to_number(values, dtype)
        convert = _TEXT_CONVERSIONS.get(type(dtype))
        return convert(values, dtype) if convert else values.cast(dtype, strict=False)
    except pl.exceptions.PolarsError:
        return _make_nulls(values, dtype)


def describe_dtype(dtype: pl.DataType) -> str:
    """Describe the values of a dtype as a file may have them.

    Args:
        dtype: A dtype of the contract.

    Returns:
        Words that complete "expected …".
    """
    if dtype.is_integer():
        return f"a whole number that {dtype} holds, such as 7"
    if isinstance(dtype, pl.Datetime):
        return f"a time {'with' if dtype.time_zone else 'without'} offset, such as 2024-03-01T12:00:00" + (
            "Z" if dtype.time_zone else ""
        )
    if isinstance(dtype, pl.Decimal):
        return f"a decimal of at most {format_count(dtype.scale, 'digit')} after the point"
    if isinstance(dtype, pl.Enum):
        return f"one of {', '.join(dtype.categories)}"
    return _EXPECTATIONS.get(type(dtype), f"a {dtype}{' as JSON' if dtype.is_nested() else ''}")


_EXPECTATIONS: Mapping[type[pl.DataType], str] = {
    pl.Boolean: "true or false (yes, no, 1, 0)",
    pl.Date: "a date such as 2024-03-01",
    pl.Time: "a time of day such as 12:30:00",
    pl.Duration: "a duration such as PT1H30M or 1:30:00",
    pl.Binary: "bytes in Base64, such as AP8=",
    pl.Float32: "a number such as 1234.5",
    pl.Float64: "a number such as 1234.5",
}


def _is_cast_from_text(dtype: pl.DataType) -> bool:
    """Whether polars' cast is what a text of this dtype is read by, where it reads each value of a column."""
    return (dtype.is_numeric() and not isinstance(dtype, pl.Decimal)) or isinstance(dtype, pl.Enum)


def _convert_text_to_number(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Let polars read the column where each value is as plain as it takes them."""
    plain = values.cast(dtype, strict=False)
    if plain.null_count() == values.null_count():
        return plain
    return _convert_text_to_float(values, dtype) if dtype.is_float() else _convert_text_to_integer(values, dtype)


def _convert_text_to_integer(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Exact where it has digits only; with a point or an exponent as a float without a fraction."""
    text = values.str.strip_chars()
    exact = _keep(text, _matches(text, "[+-]?[0-9]+")).cast(pl.Int128, strict=False)
    spelled = _keep(text, _matches(text, NUMBER_PATTERN)).cast(pl.Float64, strict=False)
    return _first(exact, _convert_whole_floats(spelled)).cast(dtype, strict=False)


def _convert_text_to_float(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    text = values.str.strip_chars()
    number = _matches(text, f"({NUMBER_PATTERN}|(?i:{FLOAT_WORDS_PATTERN}))")
    return _keep(text, number).cast(pl.Float64, strict=False).cast(dtype, strict=False)


def _convert_text_to_boolean(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    words = values.str.strip_chars().str.to_lowercase()
    return words.replace_strict(
        [*TRUE_WORDS, *FALSE_WORDS],
        [True] * len(TRUE_WORDS) + [False] * len(FALSE_WORDS),
        default=None,
        return_dtype=pl.Boolean,
    )


def _convert_text_to_date(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    text = values.str.strip_chars()
    plain = _keep(text, _matches(text, DATE_PATTERN)).str.to_date("%Y-%m-%d", strict=False)
    return _first(plain, _read_rest(text, plain, dtype))


def _convert_text_to_time(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    text = values.str.strip_chars()
    plain = _keep(text, _matches(text, TIME_PATTERN)).str.to_time("%H:%M:%S%.f", strict=False)
    return _first(plain, _read_rest(text, plain, dtype))


def _convert_text_to_datetime(values: pl.Series, dtype: Any) -> pl.Series:
    if dtype.time_unit == "ns":  # whose years are few
        return _convert_text_to_rest(values, dtype)
    text = values.str.strip_chars()
    zone, layout = dtype.time_zone, "%Y-%m-%dT%H:%M:%S%.f"
    plainly = _matches(text, f"{DATE_PATTERN}[T ]{TIME_PATTERN}{OFFSET_PATTERN if zone else ''}")
    plain = _keep(text, plainly).str.replace(" ", "T", literal=True)
    if zone:
        moments = plain.str.replace("Z", "+00:00", literal=True).str.to_datetime(
            layout + "%:z", strict=False, time_unit="us", time_zone="UTC"
        )
        read = moments.dt.cast_time_unit(dtype.time_unit).dt.convert_time_zone(zone)
    else:
        read = plain.str.to_datetime(layout, strict=False, time_unit="us").dt.cast_time_unit(dtype.time_unit)
    return _first(read, _read_rest(text, read, dtype))


def _convert_text_to_rest(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    return _read_rest(values.str.strip_chars(), _make_nulls(values, dtype), dtype)


_TEXT_CONVERSIONS: Mapping[type[pl.DataType], Callable[[pl.Series, Any], pl.Series]] = {
    pl.Boolean: _convert_text_to_boolean,
    pl.Date: _convert_text_to_date,
    pl.Time: _convert_text_to_time,
    pl.Datetime: _convert_text_to_datetime,
    pl.Duration: _convert_text_to_rest,
    pl.Decimal: _convert_text_to_rest,
    pl.Binary: _convert_text_to_rest,
}


def _convert_typed(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """A column that isn't text: a value that the cast would change becomes null."""
    if values.dtype.is_temporal() or dtype.is_temporal():
        return _convert_moments(values, dtype)
    if dtype == pl.Boolean:
        return _keep(values.cast(dtype, strict=False), values.cast(pl.Float64, strict=False).is_in([0.0, 1.0]))
    if values.dtype.is_float() and dtype.is_integer():
        return _convert_whole_floats(values.cast(pl.Float64)).cast(dtype, strict=False)
    cast = values.cast(dtype, strict=False)
    if isinstance(values.dtype, pl.Decimal) and dtype.is_float():
        return cast
    if isinstance(values.dtype, pl.Decimal) or isinstance(dtype, pl.Decimal):
        return _keep(cast, cast.cast(values.dtype, strict=False) == values)
    return cast


def _convert_moments(values: pl.Series, dtype: Any) -> pl.Series:
    """Times, dates and durations among each other; nothing else stands for them."""
    given: Any = values.dtype
    has_zone = [isinstance(each, pl.Datetime) and each.time_zone is not None for each in (given, dtype)]
    if type(given) is type(dtype) and has_zone[0] == has_zone[1]:
        return values.cast(dtype, strict=False)
    if isinstance(given, pl.Date) and isinstance(dtype, pl.Datetime) and not dtype.time_zone:
        return values.cast(dtype, strict=False)
    if isinstance(given, pl.Datetime) and isinstance(dtype, pl.Date) and not given.time_zone:
        days = values.dt.date()
        return _keep(days, days.cast(given) == values)
    return _make_nulls(values, dtype)


def _convert_whole_floats(values: pl.Series) -> pl.Series:
    """Floats without a fraction that are sure to be the number that was meant, as Int128."""
    return _keep(values, (values == values.round()) & (values.abs() < MAX_WHOLE_FLOAT)).cast(pl.Int128, strict=False)


def _read_rest(text: pl.Series, read: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Values that the reader of the HTTP contract finds in those texts that nothing was read from."""
    return _read_values(_keep(text, read.is_null()), dtype, msgspec.json.encode)


def _read_values(text: pl.Series, dtype: pl.DataType, encode: Callable[[str], bytes]) -> pl.Series:
    """Values that the reader of the HTTP contract finds in texts, of which `encode` makes JSON."""
    adapter = TypeAdapter[Any](annotate_dtype(dtype), config=INNER_CONFIG)
    found = {
        each: value for each in text.drop_nulls().unique() if (value := _validate(adapter, encode(each))) is not None
    }
    places = text.replace_strict([*found], range(len(found)), default=None, return_dtype=pl.UInt32)
    return pl.Series(text.name, [*found.values()], dtype).gather(places) if found else _make_nulls(text, dtype)


def _validate(adapter: TypeAdapter[Any], literal: bytes) -> Any:
    try:
        return adapter.validate_json(literal)
    except ValidationError:
        return None


def _make_nulls(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """As many nulls as there are values, which are none of the dtype."""
    return pl.Series(values.name, [None], dtype).new_from_index(0, len(values))


def _matches(text: pl.Series, pattern: str) -> pl.Series:
    return text.str.contains(f"^(?:{pattern})$")


def _keep(values: pl.Series, mask: pl.Series) -> pl.Series:
    """The values where the mask is true, null elsewhere."""
    return pl.select(pl.when(mask).then(values)).to_series()


def _first(values: pl.Series, others: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(values, others)).to_series()
