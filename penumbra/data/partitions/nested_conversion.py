"""Conversion of lists, arrays and structs: their inner values by the same rules as a column's own.

A row with an inner value that can't be converted becomes null as a whole: no list is shortened, no field emptied.
"""

from collections.abc import Callable
from typing import Any

import polars as pl

Convert = Callable[[pl.Series, Any], pl.Series]
ROW, LENGTH, LOST, READ = "row", "length", "lost", "read"


def convert_nested(values: pl.Series, dtype: pl.DataType, convert: Convert) -> pl.Series:
    """Convert a column of lists, arrays or structs to another such dtype.

    Args:
        values: The column as it arrived, of lists, arrays or structs.
        dtype: The contract's dtype, likewise nested.
        convert: Converts a series of inner values to a dtype; null where one isn't plainly of it.

    Returns:
        A series of the dtype; null where any inner value is unreadable, an array has another length, or a struct has a
        value in a field that the contract doesn't know.

    Raises:
        InvalidOperationError: One is a struct and the other isn't.
    """
    if isinstance(values.dtype, pl.Struct) and isinstance(dtype, pl.Struct):
        return _convert_structs(values, dtype, convert)
    if isinstance(values.dtype, pl.Struct) or isinstance(dtype, pl.Struct):
        raise pl.exceptions.InvalidOperationError(f"{values.dtype} isn't {dtype}")
    return _convert_lists(values, dtype, convert)


def _convert_lists(values: pl.Series, dtype: Any, convert: Convert) -> pl.Series:
    lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    rows = pl.DataFrame({LENGTH: lists.list.len()}).with_row_index(ROW)
    given = lists.filter(rows[LENGTH] > 0).explode()
    read = convert(given, dtype.inner)
    numbers = rows.filter(pl.col(LENGTH) > 0).select(pl.col(ROW).repeat_by(LENGTH).explode())
    items = numbers.with_columns(read.alias(READ), (given.is_not_null() & read.is_null()).alias(LOST))
    joined = rows.join(items.group_by(ROW, maintain_order=True).agg(READ, pl.col(LOST).any()), on=ROW, how="left")
    fits = (pl.col(LENGTH) == dtype.size) if isinstance(dtype, pl.Array) else pl.col(LENGTH).is_not_null()
    empty = pl.lit([], dtype=pl.List(dtype.inner))
    kept = pl.when(fits & ~pl.col(LOST).fill_null(value=False)).then(pl.coalesce(READ, empty))
    return joined.sort(ROW).select(kept.alias(values.name)).to_series().cast(dtype)


def _convert_structs(values: pl.Series, dtype: pl.Struct, convert: Convert) -> pl.Series:
    given, known = values.struct.unnest(), {field.name: field.dtype for field in dtype.fields}
    fields: dict[str, pl.Series] = {}
    for name, inner in known.items():
        there = given[name] if name in given.columns else pl.Series([None]).new_from_index(0, len(values))
        fields[name] = convert(there, inner)
    lost = {"": values.is_null()}
    for name in given.columns:
        lost[f"field {name}"] = given[name].is_not_null() & (fields[name].is_null() if name in known else True)
    kept = ~pl.DataFrame(lost).max_horizontal()
    return pl.select(pl.when(kept).then(pl.DataFrame(fields).to_struct())).to_series().cast(dtype)
