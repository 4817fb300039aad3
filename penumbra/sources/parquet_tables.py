"""Parquet files as tables, with errors that name the file."""

import io

import polars as pl
import polars.selectors as cs

from penumbra.core.text.quoting import escape_text


def read_parquet_table(content: bytes, name: str) -> pl.DataFrame:
    """Read a Parquet file.

    Args:
        content: The file.
        name: What errors call it.

    Returns:
        Its rows; NaN, which some programs write for a missing number, is null.

    Raises:
        ValueError: It isn't readable.
    """
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{name} isn't readable as Parquet: {escape_text(error, most=300)}") from None
    return table.with_columns(cs.float().fill_nan(None))
