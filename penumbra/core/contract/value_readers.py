"""Readers of values: what pydantic does with a value of JSON or text, so that a column of the dtype holds it as it is.

Where the two forms of a value can differ without a difference in meaning, it is brought to the one form that a frame
has: a time with an offset to the column's zone and unit, a decimal to the column's scale.
"""

import datetime as dt
import decimal
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, Strict
from pydantic_core import PydanticCustomError

from penumbra.core.text.counts import format_count
from penumbra.core.text.faulty_values import EXPECTED_BY_ERROR_TYPE

Convert = Callable[[Any], Any]

NUMBER_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
MAX_WHOLE_FLOAT = 2.0**53  # from here on, a float doesn't tell which whole number was meant
EXACT_FLOAT_DIGITS = 15  # a decimal of so many digits survives being a float
UNIT_MICROSECONDS = {"ms": 1_000, "us": 1, "ns": 1}
PYTHON_YEARS, NANOSECOND_YEARS = (1, 9999), (1678, 2261)  # the first and the last that a column can hold
LAST_ODD_YEAR = 1972  # when the last zone, that of Liberia, gave up an offset with seconds
FIRST_INSTANT = dt.datetime(1, 1, 2, tzinfo=dt.UTC)  # before it and after the last one, a zone may have no such time
LAST_INSTANT = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
MAX_DURATION_DAYS = {"ms": 106_751_990, "us": 106_751_990, "ns": 106_750}  # polars reads timedeltas as microseconds
DATE_FORM = (r"\d{4}-\d\d-\d\d", "a valid date in the format YYYY-MM-DD")
INSTANT_FORM = (r"\d{4}-\d\d-\d\d[Tt _].*", EXPECTED_BY_ERROR_TYPE["timezone_aware"])
LOCAL_FORM = (r"\d{4}-\d\d-\d\d([Tt _].*)?", EXPECTED_BY_ERROR_TYPE["timezone_naive"])  # a date is its midnight


def make_value_readers(dtype: pl.DataType) -> list[Any]:
    """Make pydantic's validators for a dtype.

    Args:
        dtype: The column's dtype.

    Returns:
        Metadata for `Annotated`: what is done with a value before and after pydantic has read it.
    """
    if isinstance(dtype, pl.Date):
        return [Strict(False), BeforeValidator(unless_none(_make_form_check(*DATE_FORM)))]
    if isinstance(dtype, pl.Datetime):
        moved = dtype.time_zone or dtype.time_unit != "us"
        after = [AfterValidator(unless_none(_make_moment_reader(dtype)))] if moved else []
        form = INSTANT_FORM if dtype.time_zone else LOCAL_FORM
        return [Strict(False), BeforeValidator(unless_none(_make_form_check(*form))), *after]
    if isinstance(dtype, pl.Time):
        return [AfterValidator(unless_none(_refuse_offset))]
    if isinstance(dtype, pl.Duration):
        return [AfterValidator(unless_none(_make_duration_reader(dtype)))]
    if isinstance(dtype, pl.Decimal):
        return [BeforeValidator(unless_none(make_decimal_reader(dtype)))]
    if dtype.is_integer():
        return [BeforeValidator(read_whole_number)]
    if dtype.is_nested():
        return [AfterValidator(unless_none(_make_nested_reader(dtype)))]
    return [AfterValidator(unless_none(round_to_float32))] if dtype == pl.Float32 else []


def list_records(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """List the rows of a frame as records, with the values that are read for them in JSON.

    Args:
        rows: The rows, with columns of the contract.

    Returns:
        A dict by column for each; a time whose zone's offset had seconds then is in UTC.
    """
    records = rows.to_dicts()
    for name, dtype in rows.schema.items():
        if getattr(dtype, "time_zone", None) and (first := rows[name].min()) and first.year <= LAST_ODD_YEAR:  # type: ignore[union-attr]
            for record in records:
                record[name] = unless_none(_use_whole_offset)(record[name])
    return records


def _make_nested_reader(dtype: pl.DataType) -> Convert:
    """Return a function from lists and structs to what a column of this dtype gives back for them."""

    def read(value: Any) -> Any:
        try:
            return pl.Series([_to_plain_value(value)], dtype=dtype).to_list()[0]
        except (pl.exceptions.PolarsError, RuntimeError, TypeError, ValueError, OverflowError):
            message = "Input should be a value that {dtype} can hold"
            raise PydanticCustomError("nested_value", message, {"dtype": str(dtype)}) from None

    return read


def _to_plain_value(value: Any) -> Any:
    """Replace pydantic's models of structs by dicts."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    return [_to_plain_value(inner) for inner in value] if isinstance(value, list) else value


def read_whole_number(value: Any) -> Any:
    """Return a float without a fraction as the integer that it stands for, and any other `value` as it is."""
    return int(value) if type(value) is float and abs(value) < MAX_WHOLE_FLOAT and value.is_integer() else value


def _make_form_check(pattern: str, expected: str) -> Convert:
    """Refuse what pydantic would read as seconds since 1970, or as a date with a time."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: Any) -> Any:
        if isinstance(value, str) and matches(value):
            return value
        raise PydanticCustomError("iso_form", "Input should be {expected}", {"expected": expected})

    return check


def _make_moment_reader(dtype: pl.Datetime) -> Convert:
    """Convert to the column's zone, and cut what is finer than its unit."""
    zone = dtype.time_zone and (dt.UTC if dtype.time_zone == "UTC" else ZoneInfo(dtype.time_zone))
    unit, (first, last) = (
        UNIT_MICROSECONDS[dtype.time_unit],
        NANOSECOND_YEARS if dtype.time_unit == "ns" else PYTHON_YEARS,
    )
    words = f"Input should be a time between the years {first} and {last}{' in every time zone' if zone else ''}"
    is_plain = zone is dt.UTC and dtype.time_unit == "us"

    def read(value: dt.datetime) -> dt.datetime:
        if is_plain and value.tzinfo is dt.UTC and FIRST_INSTANT <= value <= LAST_INSTANT:
            return value
        if zone and not FIRST_INSTANT <= value <= LAST_INSTANT:
            raise PydanticCustomError("time_range", words)
        value = _use_whole_offset(value.astimezone(zone)) if zone else value
        if not first <= value.year <= last:
            raise PydanticCustomError("time_range", words)
        return value if unit == 1 else value.replace(microsecond=value.microsecond // unit * unit)

    return read


def _use_whole_offset(local: dt.datetime) -> dt.datetime:
    """A time in its zone; in UTC where the zone's offset had seconds then, which are no part of a time in JSON."""
    return local.astimezone(dt.UTC) if local.utcoffset().seconds % 60 else local  # type: ignore[union-attr]


def _make_duration_reader(dtype: pl.Duration) -> Convert:
    """Cut what is finer than the column's unit, and refuse what the column can't hold."""
    unit = dt.timedelta(microseconds=UNIT_MICROSECONDS[dtype.time_unit])
    most = dt.timedelta(days=MAX_DURATION_DAYS[dtype.time_unit])
    words = f"Input should be a duration of at most {most.days} days"

    def read(value: dt.timedelta) -> dt.timedelta:
        if not -most <= value <= most:
            raise PydanticCustomError("duration_range", words)
        return value // unit * unit

    return read


def _refuse_offset(value: dt.time) -> dt.time:
    if value.tzinfo is None:
        return value
    raise PydanticCustomError("time_form", "Input should be a time of day without an offset, such as 12:30:00")


def make_decimal_reader(dtype: pl.Decimal) -> Convert:
    """Make a reader of decimals, which is exact: a number of JSON that has been rounded is refused.

    Args:
        dtype: The column's dtype.

    Returns:
        A function from a number, or text that is one, to a Decimal with the column's scale.

    Raises:
        PydanticCustomError: By that function, for anything else, and for what the column can't hold.
    """
    scale, precision, unit = dtype.scale, dtype.precision or 38, decimal.Decimal(1).scaleb(-dtype.scale)
    words = (
        f"Input should be a decimal of at most {format_count(precision - scale, 'digit')} before and {scale} "
        "after the point"
    )
    context = decimal.Context(prec=80)

    def read(value: Any) -> Any:
        exact = _read_exact_decimal(value)
        if exact is None:
            raise PydanticCustomError("decimal_form", "Input should be a number, as text where it has many digits")
        if not exact:
            return decimal.Decimal(0).quantize(unit)  # zero has no sign in a frame
        if exact.adjusted() >= precision - scale or (fitted := exact.quantize(unit, context=context)) != exact:
            raise PydanticCustomError("decimal_digits", words)
        return fitted

    return read


def _read_exact_decimal(value: Any) -> decimal.Decimal | None:
    """A number, or text that is one, as a decimal; None where it is neither, or was rounded when it became a float."""
    if isinstance(value, str):
        return decimal.Decimal(value.strip()) if re.fullmatch(NUMBER_PATTERN, value.strip(), re.ASCII) else None
    if isinstance(value, decimal.Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e40:
        return None
    exact = decimal.Decimal(repr(value))
    digits = len(exact.normalize().as_tuple().digits)
    return None if isinstance(value, float) and digits > EXACT_FLOAT_DIGITS else exact


def round_to_float32(value: float) -> float:
    """Return `value` as a column of Float32 holds it."""
    return float(np.float32(value))


def unless_none(convert: Convert) -> Convert:
    """Return a function that applies `convert` to all values but None."""
    return lambda value: None if value is None else convert(value)
