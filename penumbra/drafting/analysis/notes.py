"""Sentences about data that are worth telling: what may be wrong, what was guessed, and what is set aside."""

import shlex
from collections.abc import Iterator, Sequence

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.analysis.columns import DescribedColumns
from penumbra.drafting.analysis.contracts import MIN_ROWS_WITHOUT_NULL
from penumbra.drafting.analysis.keys import KeyChoice
from penumbra.drafting.reading.observation import Observation
from penumbra.drafting.reading.words import LATER_WORDS, has_word_of

FEW_DAYS = 30
FEW_MISSING = 10  # rows without a value, of which a model learns as good as nothing
ACCEPTED = "gate.accept lets a training pass, mend it and take it out there"
IN_ONE_BATCH = "all that share one are in one batch, and ingest quarantines them"
DTYPE_WORDS = {
    pl.Boolean: "yes or no",
    pl.Int64: "whole number",
    pl.UInt64: "whole number",
    pl.Float64: "number",
    pl.Date: "date",
    pl.Datetime: "time",
    pl.Time: "time of day",
}


def list_notes(seen: Observation, described: DescribedColumns, key: KeyChoice, days: int) -> Iterator[str]:
    """List what is to be told about data.

    Args:
        seen: What is seen of the table.
        described: The columns.
        key: The key.
        days: How many days have rows.

    Yields:
        Sentences, the most important first.
    """
    for name, leak in described.leaks.items():
        if not leak.is_certain:
            yield f"{quote_value(name)} is a feature, but look at it: {leak.reason}"
    features = [column.name for column in described.columns if column.role == "feature"]
    if late := [name for name in features if has_word_of(LATER_WORDS, name) and name not in described.leaks]:
        yield f"by name, {list_names(late)} may be known only afterwards: if so, move it from Row to Labelled"
    for name, reading in seen.readings.items():
        if reading.time_format and reading.time_format.is_open:
            yield f"{quote_value(name)}: {reading.time_format.reason}"
        if reading.note:
            yield f"{quote_value(name)}: {reading.note}"
    yield from _note_rare_nulls(seen, features)
    yield from _list_faulty_values(seen, key)
    yield from _list_guesses(seen, days)


def note_date_period(period: str | None) -> Iterator[str]:
    """Note what it means that a period has one day of rows.

    Args:
        period: The period of which all rows have the first day; None where they have other days.

    Yields:
        A sentence, or nothing.
    """
    if period:
        yield (
            f"all rows of a {period} have the same day, so each day that intervals, gate and promotion count takes a "
            f"{period}: where requests will come daily, send the day of each, or pass --no-time"
        )


def _note_rare_nulls(seen: Observation, features: Sequence[str]) -> Iterator[str]:
    """Features that hardly any row of many lacks: requests may lack them for that, and nobody knows what to answer."""
    counted = {name: seen.profiles[name].missing for name in features}
    rare = [f"{quote_value(name)} ({missing:,})" for name, missing in counted.items() if 0 < missing <= FEW_MISSING]
    if rare and seen.total >= FEW_MISSING * MIN_ROWS_WITHOUT_NULL:
        yield (
            f"hardly any of {format_count(seen.total, 'row')} lacks {', '.join(rare)}: too few to learn from what that "
            "means. Where requests will have it, take nullable=True out of Row: ingest quarantines rows without it"
        )


def note_ordered_columns(names: Sequence[str]) -> Iterator[str]:
    """Note what the order of the rows does where days are made up from it.

    Args:
        names: The columns that go with the order.

    Yields:
        A sentence, or nothing.
    """
    if names:
        yield (
            f"the rows are in an order by {list_names(names)}, so that made-up days and batches differ by it: no day "
            "is taken for faulty for that (monitor.accept). Training and test batches differ by it all the same: "
            "shuffle the rows once, if their order means nothing"
        )


def _list_faulty_values(seen: Observation, key: KeyChoice) -> Iterator[str]:
    for name, profile in seen.profiles.items():
        if profile.unreadable and not seen.readings[name].is_left_out:
            what = DTYPE_WORDS[seen.readings[name].dtype.base_type()]
            verb, whose = ("value is", "its row") if profile.unreadable == 1 else ("values are", "their rows")
            yield f"{quote_value(name)}: {profile.unreadable:,} {verb} no {what}; ingest quarantines {whose}"
    for name in key.columns:
        if missing := seen.profiles[name].missing if name in seen.profiles else 0:
            rows = format_count(missing, "row has", "rows have")
            yield f"{rows} no {quote_value(name)}, a part of the key: ingest quarantines what lacks it; {ACCEPTED}"
    if key.repeated:
        rows = format_count(key.repeated, "row has", "rows have")
        both = f"where both are in one batch, ingest quarantines both; {ACCEPTED}" if key.is_shared else IN_ONE_BATCH
        yield f"{rows} the key ({list_names(key.columns)}) of an earlier row: {both}"
    if key.almost:
        rows = format_count(key.almost.repeated, "row", "rows")
        options = " ".join(f"--key {shlex.quote(name)}" for name in key.almost.columns)
        yield (
            f"{list_names(key.almost.columns)} would be the key, but for {rows} with that of an earlier one: if it is, "
            f"pass {options}"
        )


def _list_guesses(seen: Observation, days: int) -> Iterator[str]:
    options = seen.table.options
    if words := options.get("null_words", ())[1:]:
        yield f"read as missing: {', '.join(map(repr, words))}"
    if "columns" in options:
        yield "the first line has no names, so the columns are called column_1, column_2, …"
    if options.get("encoding") in ("cp1252", "latin-1"):
        yield f"the files aren't UTF-8 and are read as {options['encoding']} (Western European)"
    if days < FEW_DAYS:
        yield f"there are rows of {format_count(days, 'day')} only: intervals are drawn over days, and will be wide"
