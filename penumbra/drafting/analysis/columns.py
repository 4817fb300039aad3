"""The columns of a draft: each with its contract, its role, and the value that the example has."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from penumbra.drafting.analysis.contracts import draw_contract, order_by_time
from penumbra.drafting.analysis.keys import KeyChoice
from penumbra.drafting.analysis.leaks import Leak, find_leaks
from penumbra.drafting.analysis.roles import Use, choose_use
from penumbra.drafting.analysis.times.calendar_features import choose_calendar_features
from penumbra.drafting.analysis.times.moments import TimeChoice
from penumbra.drafting.draft import DraftColumn, DraftTarget, FeatureKind
from penumbra.drafting.reading.names import make_attributes
from penumbra.drafting.reading.observation import Observation

KEY_DTYPE = pl.Int64()  # of numbers, as they may grow


@dataclass(frozen=True)
class ColumnChoices:
    """What is chosen before the columns are described.

    Attributes:
        target: The target.
        time: The time.
        key: The key.
    """

    target: DraftTarget
    time: TimeChoice
    key: KeyChoice


@dataclass(frozen=True)
class DescribedColumns:
    """The columns of a draft.

    Attributes:
        columns: The columns in the order of `ProblemDraft`.
        leaks: What tells the target, by column: those that are sure are outcomes, the others features.
    """

    columns: tuple[DraftColumn, ...]
    leaks: Mapping[str, Leak]


def describe_columns(seen: Observation, choices: ColumnChoices) -> DescribedColumns:
    """Describe the columns of a table.

    Args:
        seen: What is seen of the table.
        choices: Target, time and key.

    Returns:
        Each column with what becomes of it.
    """
    time = choices.time.column
    values = seen.values.sort(time, maintain_order=True) if time in seen.readings else seen.values
    attributes = make_attributes([*dict.fromkeys([time, *seen.readings, *seen.table.left_out])])
    drawn = {name: _draw_column(name, attributes[name], seen, values, choices) for name in seen.readings}
    features = [name for name, column in drawn.items() if column.role == "feature"]
    leaks = find_leaks(values, features, choices.target.column, choices.target.task == "number")
    drawn |= {name: _move_to_outcome(drawn[name], leak) for name, leak in leaks.items() if leak.is_certain}
    example = _choose_example(values, drawn)
    columns = [replace(column, example=example[column.name]) for column in drawn.values()]
    columns += [
        DraftColumn(name, attributes[name], pl.String(), "unused", reason=reason)
        for name, reason in seen.table.left_out.items()
    ]
    outcome = sorted(
        (each for each in columns if each.role == "outcome"), key=lambda each: each.name != choices.target.column
    )
    made_up = [] if time in seen.readings else [_add_time(choices.time, attributes[time])]
    return DescribedColumns((*made_up, *(each for each in columns if each.role != "outcome"), *outcome), leaks)


def _draw_column(
    name: str, attribute: str, seen: Observation, values: pl.DataFrame, choices: ColumnChoices
) -> DraftColumn:
    """A column without its example."""
    column = _draw_plain_column(name, attribute, seen, order_by_time(values, name, choices.time.column))
    if name == choices.time.column:
        return _make_time(column, choices, choose_calendar_features(values, name))
    if name == choices.target.column:
        return _make_target(column, choices.target, seen.profiles[name].words or ())
    use = choose_use(name, seen.readings[name], seen.profiles[name], values, choices.time.column)
    if name in choices.key.columns:
        return _make_key(column, use, choices.key.reason)
    if not use.features:
        return replace(column, role="unused", reason=use.reason)
    if use.features == ("clock",):
        column = replace(column, dtype=pl.Int16(), minimum=0, maximum=2400)
    return replace(column, features=use.features)


def _draw_plain_column(name: str, attribute: str, seen: Observation, values: pl.Series) -> DraftColumn:
    reading, profile = seen.readings[name], seen.profiles[name]
    if not profile.read:
        return DraftColumn(name, attribute, pl.String(), "unused", nullable=True)
    contract = draw_contract(name, reading, profile, values)
    return DraftColumn(
        name,
        attribute,
        contract.dtype,
        "feature",
        nullable=contract.nullable,
        minimum=contract.minimum,
        maximum=contract.maximum,
        categories=contract.categories,
        max_length=contract.max_length,
        time_format=reading.time_format.form if reading.time_format else None,
        time_zone=getattr(reading.dtype, "time_zone", None),
        number_format=reading.number_format,
        reason=reading.reason or contract.reason,
    )


def _make_time(column: DraftColumn, choices: ColumnChoices, features: tuple[FeatureKind, ...]) -> DraftColumn:
    """Times of the source's form; a date is its midnight."""
    return replace(
        column,
        dtype=pl.Datetime("us", column.time_zone),
        role="time",
        is_key=column.name in choices.key.columns,
        nullable=False,
        minimum=_get_midnight(column.minimum, column.time_zone),
        maximum=_get_midnight(column.maximum, column.time_zone),
        time_format=None,
        features=features,
        reason=column.reason or choices.time.reason,
    )


def _get_midnight(day: dt.date | None, zone: str | None) -> dt.datetime | None:
    return None if day is None else dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC if zone else None)


def _make_target(column: DraftColumn, target: DraftTarget, words: tuple[str, ...]) -> DraftColumn:
    """The outcome, which may come later; text is one of two or more words."""
    outcome = replace(column, role="outcome", nullable=True, features=(), reason=target.reason)
    if column.dtype == pl.Boolean or column.dtype.is_numeric():
        return outcome
    return replace(outcome, dtype=pl.Enum(words), categories=words, max_length=None)


def _make_key(column: DraftColumn, use: Use, reason: str) -> DraftColumn:
    """A part of the key; beside it a feature where the same thing has many rows."""
    key = replace(column, role="key", is_key=True, nullable=False, reason=reason)
    if use.features == ("category",):
        key = replace(key, role="feature", features=use.features)
    if not column.dtype.is_integer():
        return key
    dtype = pl.UInt64() if column.dtype == pl.UInt64 else KEY_DTYPE
    return replace(key, dtype=dtype, minimum=column.minimum if column.minimum == 0 else None, maximum=None)


def _move_to_outcome(column: DraftColumn, leak: Leak) -> DraftColumn:
    return replace(column, role="outcome", nullable=True, features=(), reason=leak.reason)


def _add_time(time: TimeChoice, attribute: str) -> DraftColumn:
    """The column that the source adds."""
    example = f"{time.span.last}T00:00:00"
    return DraftColumn(time.column, attribute, pl.Datetime("us"), "time", example=example, reason=time.reason)


def _choose_example(values: pl.DataFrame, columns: Mapping[str, DraftColumn]) -> dict[str, Any]:
    """The JSON values of the newest of the rows that lack least."""
    used = [name for name, column in columns.items() if column.role != "unused"]
    lacking = values.select(pl.sum_horizontal(pl.col(used).is_null())).to_series()
    row = values.filter(lacking == lacking.min()).row(-1, named=True)
    return {name: _to_json(row[name], columns[name].dtype) if name in used else None for name in columns}


def _to_json(value: Any, dtype: pl.DataType) -> Any:
    if isinstance(value, dt.date) and isinstance(dtype, pl.Datetime) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat().replace("+00:00", "Z")
    return value
