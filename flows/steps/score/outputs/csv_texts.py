"""Values of any dtype as a CSV file can have them: as plain numbers and texts, what is nested as JSON."""

import polars as pl
from polars.datatypes import DataTypeClass

from penumbra.core.columns import BROKEN_RULES_COLUMN
from penumbra.logs.bulk_lines import write_times_as_text


def make_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Make columns that CSV can hold.

    Args:
        rows: Rows with columns of any dtypes.

    Returns:
        The same columns. Times are written as in requests and logs, those with a zone in UTC (2024-01-31T08:00:00Z);
        durations as ISO 8601 has them, bytes in Base64, what is nested as JSON; so the contract reads them. The
        rules that a row breaks have blanks between them.
    """
    texts = write_times_as_text(rows)
    return texts.select(_make_text(name, dtype) for name, dtype in texts.schema.items())


def _make_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if name == BROKEN_RULES_COLUMN:
        return column.list.join(" ")
    plain = _make_plain(column, dtype)
    if not dtype.is_nested():
        return plain
    encoded = pl.struct(plain.alias("v")).struct.json_encode()  # polars writes JSON of structs alone
    return pl.when(column.is_not_null()).then(encoded.str.strip_prefix('{"v":').str.strip_suffix("}")).alias(name)


def _make_plain(value: pl.Expr, dtype: pl.DataType | DataTypeClass) -> pl.Expr:
    """A value without bytes and durations, however deep they are in it."""
    match dtype:
        case pl.Binary():
            return value.bin.encode("base64")
        case pl.Duration():
            return value.dt.to_string("iso")
        case pl.Array():
            return _make_plain(value.arr.to_list(), pl.List(dtype.inner))
        case pl.List():
            return value.list.eval(_make_plain(pl.element(), dtype.inner))
        case pl.Struct() if dtype.fields:
            fields = [_make_plain(value.struct.field(each.name), each.dtype).alias(each.name) for each in dtype.fields]
            return pl.when(value.is_not_null()).then(pl.struct(fields))
        case _:
            return value
