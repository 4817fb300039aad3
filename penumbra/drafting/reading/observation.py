"""What is seen of a table: how its columns are read, what all rows say of them, and their values in a sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.dialect import find_line_of_names
from penumbra.drafting.reading.number_formats import find_decimal_sign
from penumbra.drafting.reading.profiles import MAX_LISTED_WORDS, ColumnProfile, profile_columns
from penumbra.drafting.reading.readings import Reading, find_reading, find_time_reading, find_wider_reading
from penumbra.drafting.reading.samples import draw_sample, find_null_words, has_padded_text
from penumbra.drafting.reading.tables import DataTable, clean_table
from penumbra.sources.tables.locations import is_parquet
from penumbra.sources.tables.text_values import clean_text

MAX_UNREADABLE_SHARE = 0.01  # of a column's values; with more it is text


@dataclass(frozen=True)
class Observation:
    """What is seen of a table.

    Attributes:
        table: The table, whose words for missing values are told.
        total: How many rows it has.
        readings: How each column is read, by its name.
        profiles: What all rows say of each.
        values: The values of the columns in a sample of the rows.
    """

    table: DataTable
    total: int
    readings: Mapping[str, Reading]
    profiles: Mapping[str, ColumnProfile]
    values: pl.DataFrame


def observe_table(table: DataTable, name: str, target: str, time: str | None) -> Observation:
    """Look at a sample of a table closely, and at all of its rows once.

    Args:
        table: The table.
        name: What the data are called in sentences.
        target: The target's column.
        time: The column that the user says has the time; None where nothing was said.

    Returns:
        What is seen.

    Raises:
        DraftRefused: The table hasn't the target, has no rows, or can't be read.
    """
    _check_columns(table, name, {"target": target, "time": time})
    table, rows, total = _draw_clean_rows(table, name)
    readings = _find_readings(rows, time)
    profiles = profile_columns(table, readings, _list_wordy(_read_values(rows, readings)), total)
    wider = _find_wider(readings, profiles)
    found = profile_columns(table, wider, (), total)
    better = [column for column in wider if found[column].read > profiles[column].read]
    readings |= {column: wider[column] for column in better}
    profiles |= {column: found[column] for column in better}
    unreadable = [column for column in readings if _is_unreadable(rows[column], profiles[column])]
    as_text = {column: Reading(pl.String(), pl.col(column)) for column in unreadable}
    readings |= as_text
    values = _read_values(rows, readings)
    profiles |= profile_columns(table, as_text, _list_wordy(values), total)
    return Observation(table, total, readings, profiles, values)


def _draw_clean_rows(table: DataTable, name: str) -> tuple[DataTable, pl.DataFrame, int]:
    """The table with its text cleaned, a sample of its rows, and how many there are."""
    sample = draw_sample(table, name)
    trim_blanks = bool(table.files) and ("trim_blanks" in table.options or has_padded_text(sample.rows))
    rows = clean_text(sample.rows.lazy(), (), trim_blanks).collect()
    words = find_null_words(rows)
    return clean_table(table, words, trim_blanks), clean_text(rows.lazy(), words).collect(), sample.total


def _check_columns(table: DataTable, name: str, wanted: Mapping[str, str | None]) -> None:
    columns = table.rows.collect_schema().names()
    for what, column in wanted.items():
        if column is not None and column in table.left_out:
            raise DraftRefused(f"{name} has the {what} {quote_value(column)}, but {table.left_out[column]}")
        if column is not None and column not in columns:
            found = f"{name} has no column {quote_value(column)}: it has {list_names(columns)}"
            raise DraftRefused(found + _describe_lines_above(table, column))


def _describe_lines_above(table: DataTable, column: str) -> str:
    """That the names of the columns are in a later line than the first; "" where they aren't."""
    for name, path in table.files.items():
        if not is_parquet(name) and (line := find_line_of_names(path, column)):
            return f"; line {line} of {name} has that name: remove the lines above it, so that the names are first"
    return ""


def _find_readings(rows: pl.DataFrame, time: str | None) -> dict[str, Reading]:
    text = [rows[name].drop_nulls() for name, dtype in rows.schema.items() if dtype == pl.String]
    decimal = find_decimal_sign(text)
    readings = {name: find_reading(rows[name], decimal) for name in rows.columns}
    if time is not None and not isinstance(readings[time].dtype, pl.Date | pl.Datetime):
        readings[time] = find_time_reading(rows[time]) or readings[time]
    return readings


def _find_wider(readings: Mapping[str, Reading], profiles: Mapping[str, ColumnProfile]) -> dict[str, Reading]:
    """Whole numbers of which some rows are none, read with decimals."""
    wider = {name: find_wider_reading(name, reading) for name, reading in readings.items() if profiles[name].unreadable}
    return {name: reading for name, reading in wider.items() if reading}


def _read_values(rows: pl.DataFrame, readings: Mapping[str, Reading]) -> pl.DataFrame:
    return rows.select(reading.values.alias(name) for name, reading in readings.items())


def _list_wordy(values: pl.DataFrame) -> list[str]:
    """Columns of text with few different values."""
    text = values.select(pl.selectors.string())
    return [name for name in text.columns if text[name].n_unique() <= MAX_LISTED_WORDS + 1]


def _is_unreadable(sample: pl.Series, profile: ColumnProfile) -> bool:
    return sample.dtype == pl.String and profile.unreadable > MAX_UNREADABLE_SHARE * profile.given
