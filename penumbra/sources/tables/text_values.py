"""Text in tables: blanks that are no part of a value or a name, and words that are no value."""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from penumbra.core.text.quoting import list_names


def clean_text(rows: pl.LazyFrame, null_words: Sequence[str], trim_blanks: bool = False) -> pl.LazyFrame:
    """Clean the columns of text.

    Args:
        rows: Rows with columns of any dtypes.
        null_words: The texts that stand for a missing value.
        trim_blanks: Whether blanks around a text are left out.

    Returns:
        The rows; null where a text is one of the words, or nothing but blanks that are left out.
    """
    text = pl.selectors.string()
    if trim_blanks:
        trimmed = text.str.strip_chars()
        rows = rows.with_columns(pl.when(trimmed != "").then(trimmed).name.keep())
    return rows.with_columns(pl.when(~text.is_in([*null_words])).then(text).name.keep()) if null_words else rows


def complete_names(names: Sequence[str], table: str, trim_blanks: bool) -> list[str]:
    """Complete the names of columns.

    Args:
        names: The names as they stand in the table.
        table: What errors call the table.
        trim_blanks: Whether blanks around a name are left out.

    Returns:
        The names; column_1 and so on, by their place, where several have none, as those that spreadsheets write.

    Raises:
        ValueError: A name stands there twice.
    """
    found = [name.strip() if trim_blanks else name for name in names]
    is_several = found.count("") > 1
    found = [f"column_{n}" if is_several and not name else name for n, name in enumerate(found, 1)]
    if repeated := [name for name, count in Counter(found).items() if count > 1]:
        raise ValueError(
            f"{table} has {list_names(repeated)} more than once: expected a name of its own for each column"
        )
    return found
