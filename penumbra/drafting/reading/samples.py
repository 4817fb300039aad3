"""A bounded sample of rows that is spread over a table, and what its values say of the whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from penumbra.core.columns import ROW_NUMBER_COLUMN
from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.tables import DataTable, describe_unreadable_rows
from penumbra.drafting.reading.text_patterns import has_both_answers, is_matched, measure_match
from penumbra.drafting.reading.words import FILLER_WORDS, NULL_WORDS

SAMPLE_ROWS = 20_000
SEED = 1
PLAIN_VALUE = r"[^0-9\pL]*[0-9][0-9.,:/+'\sTZ-]*(?:[^0-9\pL]|[A-Z]{3})*"  # of a number or a time
MIN_PLAIN_SHARE = 0.5
CODE_PATTERN = r"[A-Za-z]{2}"


@dataclass(frozen=True)
class Sample:
    """Rows that are spread over a table.

    Attributes:
        rows: At most about `SAMPLE_ROWS` rows in their order.
        total: How many rows the table has.
    """

    rows: pl.DataFrame
    total: int


def draw_sample(table: DataTable, name: str) -> Sample:
    """Draw a sample of the rows.

    Args:
        table: The table.
        name: What the data are called in sentences.

    Returns:
        All rows of a small table, else about `SAMPLE_ROWS` of them by chance, the same each time.

    Raises:
        DraftRefused: The table has no rows, or can't be read to its end.
    """
    try:
        total = table.rows.select(pl.len()).collect(engine="streaming").item()
        rows = _thin_out(table.rows, total).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise DraftRefused(describe_unreadable_rows(table, error)) from error
    if not total:
        raise DraftRefused(f"{name} has columns and no rows: expected some")
    return Sample(rows, total)


def _thin_out(rows: pl.LazyFrame, total: int) -> pl.LazyFrame:
    if total <= SAMPLE_ROWS:
        return rows
    share = total // SAMPLE_ROWS
    drawn = pl.col(ROW_NUMBER_COLUMN).hash(seed=SEED) % share == 0
    return rows.with_row_index(ROW_NUMBER_COLUMN).filter(drawn).drop(ROW_NUMBER_COLUMN)


def has_padded_text(rows: pl.DataFrame) -> bool:
    """Tell whether blanks stand around some of the texts.

    Args:
        rows: A sample.

    Returns:
        Whether some text of any column begins or ends with one.
    """
    text = rows.select(pl.selectors.string())
    return any((values != values.str.strip_chars()).any() for values in text)


def find_null_words(rows: pl.DataFrame) -> tuple[str, ...]:
    """Find the words that stand for a missing value.

    Args:
        rows: A sample.

    Returns:
        Words that are no value anywhere, such as "NULL", and those such as "-" that stand among numbers, times, or yes
        and no; not NA where a column beside has codes of two letters, as those of countries are.
    """
    columns = [rows[name].drop_nulls() for name, dtype in rows.schema.items() if dtype == pl.String]
    plain = [values for values in columns if _is_plain(values)]
    codes = [values for values in columns if is_matched(_drop_words(values), CODE_PATTERN)]
    known = _list_words(columns, NULL_WORDS)
    fillers = [word for word in _list_words(plain, FILLER_WORDS) if not _list_words(codes, [word])]
    return tuple(dict.fromkeys([*known, *fillers]))


def _is_plain(values: pl.Series) -> bool:
    """Whether a column's values that aren't one of the words are mostly numbers and times, or all yes and no."""
    rest = _drop_words(values)
    return measure_match(rest, PLAIN_VALUE) >= MIN_PLAIN_SHARE or has_both_answers(rest)


def _drop_words(values: pl.Series) -> pl.Series:
    return values.filter(~values.is_in([*NULL_WORDS, *FILLER_WORDS]))


def _list_words(columns: Sequence[pl.Series], words: Sequence[str]) -> list[str]:
    """Those of the words that are a value of any column, in their order."""
    found = {value for values in columns for value in values.filter(values.is_in([*words])).unique()}
    return [word for word in words if word in found]
