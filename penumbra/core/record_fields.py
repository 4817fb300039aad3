"""The contract's columns as fields of pydantic: how a value in JSON is read, and by ingest a value in text as well.

What dataframely can't say to pydantic, a column's own `check` and its `resolution`, polars checks of each value, which
takes 100 µs.
Where the two forms of a value can differ without a difference in meaning, it is brought to the one form that a frame
has: a time with an offset to the column's zone and unit, a decimal to the column's scale.
"""

import datetime as dt
import decimal
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Optional
from zoneinfo import ZoneInfo

import dataframely as dy
import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NaiveDatetime,
    Strict,
    create_model,
)
from pydantic_core import PydanticCustomError

Convert = Callable[[Any], Any]

NUMBER_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
MAX_WHOLE_FLOAT = 2.0**53  # from here on, a float doesn't tell which whole number was meant
EXACT_FLOAT_DIGITS = 15  # a decimal of so many digits survives being a float
UNIT_MICROSECONDS = {"ms": 1_000, "us": 1, "ns": 1}
YEARS = ((1, 9999), (1678, 2261))  # that Python has, and that a column of nanoseconds has
FIRST_INSTANT = dt.datetime(1, 1, 2, tzinfo=dt.UTC)  # before it and after the last one, a zone may have no such time
LAST_INSTANT = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
VALUE = "value"
TRANSLATED_RULES = frozenset(
    ("nullability", "unique", "min", "min_exclusive", "max", "max_exclusive", "is_in", "inf", "nan")
    + ("min_length", "max_length", "regex")
)
MAX_DURATION_DAYS = {"ms": 999_999_999, "us": 106_751_990, "ns": 106_750}
ISO_FORMS = {
    pl.Date: (r"\d{4}-\d\d-\d\d", "a valid date in the format YYYY-MM-DD"),
    pl.Datetime: (r"\d{4}-\d\d-\d\d[Tt _].*", "a valid datetime"),
}


def build_model_fields(schema: type[dy.Schema]) -> dict[str, Any]:
    """Translate a dataframely schema to pydantic fields.

    Args:
        schema: The schema; its rules, primary key and uniqueness are not translated.

    Returns:
        Annotation and default of each column, as pydantic's `create_model` takes them.
    """
    columns = schema.columns()
    return {name: _add_rule_check(columns[name], *field) for name, field in _make_fields(columns).items()}


def list_polars_rules(column: dy.Column) -> dict[str, pl.Expr]:
    """List what dataframely can't say of a column to pydantic: `check`, `resolution`, and such rules of inner values.

    Args:
        column: The column.

    Returns:
        Expressions on a column "value" by the rule's name, true or null where a value keeps the rule.
    """
    has_inner = any(map(list_polars_rules, _list_inner_columns(column)))
    return {
        name: rule
        for name, rule in column.validation_rules(pl.col(VALUE)).items()
        if name not in TRANSLATED_RULES and (has_inner or not name.startswith("inner_"))
    }


def name_fields(columns: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Give pydantic fields names that it takes, whatever the columns are called.

    Args:
        columns: Annotation and default by column.

    Returns:
        The same by `field0`, `field1`, …, each with the column's name as its alias.
    """
    return {
        f"field{n}": (Annotated[annotation, Field(alias=name)], default)
        for n, (name, (annotation, default)) in enumerate(columns.items())
    }


def annotate_value(dtype: pl.DataType, annotation: Any, bounds: Sequence[Any] = ()) -> Any:
    """Annotate how a value of a dtype is read.

    Args:
        dtype: The column's dtype.
        annotation: dataframely's annotation of such a column, which may be optional.
        bounds: dataframely's constraints of it, in pydantic's words.

    Returns:
        The annotation with what pydantic needs to read the value as the column has it.
    """
    if isinstance(dtype, pl.Datetime):
        optional = annotation == Optional[dt.datetime]  # noqa: UP045 (a value, not a type)
        annotation = AwareDatetime if dtype.time_zone else NaiveDatetime
        annotation = Optional[annotation] if optional else annotation  # noqa: UP045
    annotated = [annotation, *bounds, *_make_readers(dtype)]
    return Annotated[*annotated] if len(annotated) > 1 else annotation


def _list_inner_columns(column: dy.Column) -> list[dy.Column]:
    if isinstance(column, dy.Struct):
        return list(column.inner.values())
    return [column.inner] if isinstance(column, dy.List | dy.Array) else []


def _add_rule_check(column: dy.Column, annotation: Any, default: Any) -> tuple[Any, Any]:
    """Have polars check a column's rules, if it has such; where null breaks one, a value is required."""
    if not (rules := list_polars_rules(column)):
        return annotation, default
    check = _make_rule_check(column, rules)
    try:
        check(None)
    except PydanticCustomError:
        default = ...
    return Annotated[annotation, AfterValidator(check)], default


def _make_rule_check(column: dy.Column, rules: Mapping[str, pl.Expr]) -> Convert:
    """Return a function that refuses values, nulls too, for which a rule gives false or fails."""
    schema = {VALUE: column.dtype}
    verdicts = [rule.fill_null(value=True).alias(name) for name, rule in rules.items()]

    def check(value: Any) -> Any:
        try:
            kept = pl.DataFrame({VALUE: [value]}, schema=schema).select(verdicts).row(0, named=True)
        except (Exception, pl.exceptions.PanicException):  # whatever the user's check does
            kept = dict.fromkeys(rules, False)
        if all(kept.values()):
            return value
        broken = ", ".join(_name_rule(column, name) for name, is_kept in kept.items() if not is_kept)
        raise PydanticCustomError("rule", "Input should be a value that keeps the rule {rule}", {"rule": broken})

    return check


def _name_rule(column: dy.Column, rule: str) -> str:
    return f"{rule} {getattr(column, rule, '')}".strip() if rule == "resolution" else rule


def _make_fields(columns: Mapping[str, dy.Column]) -> dict[str, tuple[Any, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a column's own checks aren't translated
        annotations: Any = {f"field{n}": column.pydantic_field() for n, column in enumerate(columns.values())}
    generated = create_model("Generated", **annotations).model_fields.values()
    return {name: _make_field(column, field) for (name, column), field in zip(columns.items(), generated, strict=True)}


def _make_field(column: dy.Column, generated: Any) -> tuple[Any, Any]:
    """Return annotation and default of a column: dataframely's translation, and what it loses of the dtype."""
    bounds = generated.metadata
    if isinstance(column, dy.Array) and len(column.shape) > 1:
        bounds = []  # dataframely counts the values of all dimensions; the reader of nested values counts each
    if isinstance(column, dy.String) and (column.min_length or column.max_length):
        # dataframely counts bytes, pydantic characters, of which there may be fewer
        bounds = [item for item in bounds if not isinstance(item, MinLen)]
        bounds.append(AfterValidator(_unless_none(_make_length_check(column.min_length or 0, column.max_length))))
    if column.dtype == pl.Float32:
        bounds = [_widen_to_float32(item) for item in bounds]
    nested = _annotate_inner_values(column)
    if nested and column.nullable:
        nested = Optional[nested]  # noqa: UP045 (a value, not a type)
    annotation = annotate_value(column.dtype, nested or generated.annotation, bounds)
    if column.dtype == pl.Float32 and (excluded := [item for item in bounds if isinstance(item, Gt | Lt)]):
        annotation = Annotated[annotation, AfterValidator(_unless_none(_make_exclusion(excluded)))]
    return annotation, None if column.nullable else ...


def _annotate_inner_values(column: dy.Column) -> Any:
    """The type of a list or struct whose inner values are read as columns are; None for other columns."""
    if isinstance(column, dy.Struct):
        return _create_struct_model(column)
    if isinstance(column, dy.List | dy.Array):
        inner: Any = _make_fields({"item": column.inner})["item"][0]
        for _ in column.shape if isinstance(column, dy.Array) else [1]:
            inner = list[inner]
        return inner
    return None


def _create_struct_model(column: dy.Struct) -> type[BaseModel]:
    fields = name_fields(_make_fields(column.inner))
    return create_model("Struct", __config__=ConfigDict(strict=True, extra="forbid"), **fields)


def _make_readers(dtype: pl.DataType) -> list[Any]:
    """What is done with a value before and after pydantic has read it."""
    if type(dtype) in ISO_FORMS:
        moved = isinstance(dtype, pl.Datetime) and (dtype.time_zone or dtype.time_unit != "us")
        after = [AfterValidator(_unless_none(_make_moment_reader(dtype)))] if moved else []  # type: ignore[arg-type]
        return [Strict(False), BeforeValidator(_unless_none(_make_form_check(*ISO_FORMS[type(dtype)]))), *after]
    if isinstance(dtype, pl.Time):
        return [AfterValidator(_unless_none(_refuse_offset))]
    if isinstance(dtype, pl.Duration):
        return [AfterValidator(_unless_none(_make_duration_reader(dtype)))]
    if isinstance(dtype, pl.Decimal):
        return [BeforeValidator(_unless_none(make_decimal_reader(dtype)))]
    if dtype.is_integer():
        return [BeforeValidator(read_whole_number)]
    if dtype.is_nested():
        return [AfterValidator(_unless_none(_make_nested_reader(dtype)))]
    return [AfterValidator(_unless_none(_round_to_float32))] if dtype == pl.Float32 else []


def _round_to_float32(value: float) -> float:
    return float(np.float32(value))


def _widen_to_float32(item: Any) -> Any:
    """Let an inclusive bound admit what it is itself in the column, as polars compares them."""
    if isinstance(item, Ge):
        least: Any = item.ge
        return Ge(min(least, _round_to_float32(least)))
    if isinstance(item, Le):
        most: Any = item.le
        return Le(max(most, _round_to_float32(most)))
    return item


def _make_exclusion(excluded: Sequence[Gt | Lt]) -> Convert:
    """Refuse a value that has become an exclusive bound when it was rounded."""
    limits: list[Any] = [item.gt if isinstance(item, Gt) else item.lt for item in excluded]

    def check(value: float) -> float:
        for limit in limits:
            if value == _round_to_float32(limit):
                raise PydanticCustomError("bound", "Input should differ from {limit} as a Float32", {"limit": limit})
        return value

    return check


def _make_length_check(least: int, most: int | None) -> Convert:
    limits = f"{least} bytes or more" if most is None else f"{least} to {most} bytes"

    def check(value: str) -> str:
        if least <= len(value.encode()) and (most is None or len(value.encode()) <= most):
            return value
        raise PydanticCustomError("string_bytes", "Input should have {limits} in UTF-8", {"limits": limits})

    return check


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
    unit, (first, last) = UNIT_MICROSECONDS[dtype.time_unit], YEARS[dtype.time_unit == "ns"]
    words = f"Input should be a time between the years {first} and {last}{' in every time zone' if zone else ''}"

    def read(value: dt.datetime) -> dt.datetime:
        if zone and not FIRST_INSTANT <= value <= LAST_INSTANT:
            raise PydanticCustomError("time_range", words)
        value = _convert_to_zone(value, zone) if zone else value
        if not first <= value.year <= last:
            raise PydanticCustomError("time_range", words)
        return value if unit == 1 else value.replace(microsecond=value.microsecond // unit * unit)

    return read


def _convert_to_zone(value: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The time in a zone; in UTC where the zone's offset had seconds then, which are no part of a time in JSON."""
    local = value.astimezone(zone)
    return local.astimezone(dt.UTC) if zone is not dt.UTC and local.utcoffset().seconds % 60 else local  # type: ignore[union-attr]


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
    words = f"Input should be a decimal of at most {precision - scale} digits before and {scale} after the point"
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


def _unless_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)
