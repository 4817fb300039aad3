"""The contract's columns as fields of pydantic: how a value in JSON is read, and by ingest a value in text as well.

How a value is read by its dtype is in value_readers.py; column_rules.py has a column's own checks.
"""

import datetime as dt
import functools
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional

import dataframely as dy
import polars as pl
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    create_model,
)
from pydantic_core import PydanticCustomError

from penumbra.core.contract.column_rules import add_rule_check
from penumbra.core.contract.value_readers import Convert, make_value_readers, round_to_float32, unless_none
from penumbra.core.text.counts import format_count

INNER_CONFIG = ConfigDict(strict=True, extra="forbid", val_json_bytes="base64")
REMEMBERED_SCHEMAS = 4  # a service translates that of its rows twice, and that of rows with labels for each reader
_CATCHING_WARNINGS = threading.RLock()  # filters are the process's: of two threads, one would bring back the other's


def build_model_fields(schema: type[dy.Schema]) -> dict[str, Any]:
    """Translate a dataframely schema to pydantic fields.

    Args:
        schema: The schema; its rules, primary key and uniqueness are not translated.

    Returns:
        Annotation and default of each column, as pydantic's `create_model` takes them.
    """
    return dict(_build_fields(schema))


@functools.lru_cache(REMEMBERED_SCHEMAS)
def _build_fields(schema: type[dy.Schema]) -> dict[str, Any]:
    columns = schema.columns()
    return {name: add_rule_check(columns[name], *field) for name, field in _make_fields(columns).items()}


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
    annotated = [annotation, *bounds, *make_value_readers(dtype)]
    return Annotated[*annotated] if len(annotated) > 1 else annotation


def annotate_dtype(dtype: pl.DataType) -> Any:
    """Annotate how a value of a dtype is read, however deep it is nested, without a column's own checks.

    Args:
        dtype: The dtype.

    Returns:
        An annotation for pydantic, with `INNER_CONFIG`; None is a value of all.
    """
    if isinstance(dtype, pl.List | pl.Array):
        annotation: Any = list[annotate_dtype(dtype.inner)]  # type: ignore[misc, arg-type]
    elif isinstance(dtype, pl.Struct):
        fields = name_fields({each.name: (annotate_dtype(each.dtype), None) for each in dtype.fields})  # type: ignore[arg-type]
        annotation = create_model("Struct", __config__=INNER_CONFIG, **fields)
    else:
        annotation = dtype.to_python()
    return annotate_value(dtype, Optional[annotation])  # noqa: UP045 (a value, not a type)


def _make_fields(columns: Mapping[str, dy.Column]) -> dict[str, tuple[Any, Any]]:
    with _CATCHING_WARNINGS, warnings.catch_warnings():
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
        bounds.append(AfterValidator(unless_none(_make_length_check(column.min_length or 0, column.max_length))))
    if column.dtype == pl.Float32:
        bounds = [_widen_to_float32(item) for item in bounds]
    nested = _annotate_inner_values(column)
    if nested and column.nullable:
        nested = Optional[nested]  # noqa: UP045 (a value, not a type)
    annotation = annotate_value(column.dtype, nested or generated.annotation, bounds)
    if column.dtype == pl.Float32 and (excluded := [item for item in bounds if isinstance(item, Gt | Lt)]):
        annotation = Annotated[annotation, AfterValidator(unless_none(_make_exclusion(excluded)))]
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
    return create_model("Struct", __config__=INNER_CONFIG, **fields)


def _widen_to_float32(item: Any) -> Any:
    """Let an inclusive bound admit what it is itself in the column, as polars compares them."""
    if isinstance(item, Ge):
        least: Any = item.ge
        return Ge(min(least, round_to_float32(least)))
    if isinstance(item, Le):
        most: Any = item.le
        return Le(max(most, round_to_float32(most)))
    return item


def _make_exclusion(excluded: Sequence[Gt | Lt]) -> Convert:
    """Refuse a value that has become an exclusive bound when it was rounded."""
    limits: list[Any] = [item.gt if isinstance(item, Gt) else item.lt for item in excluded]

    def check(value: float) -> float:
        for limit in limits:
            if value == round_to_float32(limit):
                raise PydanticCustomError("bound", "Input should differ from {limit} as a Float32", {"limit": limit})
        return value

    return check


def _make_length_check(least: int, most: int | None) -> Convert:
    limits = f"{format_count(least, 'byte')} or more" if most is None else f"{least} to {format_count(most, 'byte')}"

    def check(value: str) -> str:
        if least <= len(value.encode()) and (most is None or len(value.encode()) <= most):
            return value
        raise PydanticCustomError("string_bytes", "Input should have {limits} in UTF-8", {"limits": limits})

    return check
