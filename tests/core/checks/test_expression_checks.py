"""Values that are sampled of columns keep the columns' conditions, which dataframely takes to be of microseconds."""

import datetime as dt

import dataframely as dy
import polars as pl
import pytest

from penumbra.core.checks import expression_checks
from penumbra.core.checks.expression_checks import sample_columns
from penumbra.core.checks.feature_checks import find_feature_faults
from penumbra.features import Expression

UNITS = ("ms", "us", "ns")
LONG_AGO, LAST_YEAR = dt.datetime(1, 1, 1), dt.datetime(2023, 1, 1)
NEW_YEAR, THE_END = dt.datetime(2024, 1, 1), dt.datetime(9999, 12, 31)


def make_schema(column: dy.Column) -> type[dy.Schema]:
    return type("Row", (dy.Schema,), {"__module__": __name__, "x": column})


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "limits",
    [
        {"min": NEW_YEAR},
        {"max": LAST_YEAR},
        {"min": LAST_YEAR, "max": NEW_YEAR, "resolution": "1d"},
        {"min": LAST_YEAR, "max": THE_END},
        {"min": LONG_AGO, "max": NEW_YEAR},
        {"min_exclusive": NEW_YEAR},
        {"max_exclusive": LAST_YEAR},
    ],
)
@pytest.mark.parametrize("zone", [None, dt.UTC])
def test_times_of_any_unit_are_sampled_within_their_limits(unit, limits, zone):
    limits = {name: limit if name == "resolution" else limit.replace(tzinfo=zone) for name, limit in limits.items()}
    row = make_schema(dy.Datetime(time_unit=unit, time_zone=zone and "UTC", **limits))
    rows = sample_columns(row, ["x"], 20)
    assert row.validate(rows).height == 20
    assert rows["x"].null_count() == 0


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("limits", [{"max": dt.timedelta(days=1)}, {"min": dt.timedelta(days=2)}, {"resolution": "1h"}])
@pytest.mark.parametrize(
    "nest",
    [
        lambda column: column,
        lambda column: dy.Array(column, 2),
        lambda column: dy.List(column, max_length=3),
        lambda column: dy.Struct({"a": column}),
    ],
    ids=["alone", "in an array", "in a list", "in a struct"],
)
def test_so_are_durations_also_within_others(unit, limits, nest):
    row = make_schema(nest(dy.Duration(time_unit=unit, **limits)))
    assert row.validate(sample_columns(row, ["x"], 20)).height == 20


def test_the_schema_that_is_sampled_stays_as_it_is():
    row = make_schema(dy.List(dy.Datetime(time_unit="ns", min=LONG_AGO)))
    sample_columns(row, ["x"], 20)
    inner = row.columns()["x"].inner
    assert (inner.time_unit, inner.min, inner.max) == ("ns", LONG_AGO, None)


def test_a_condition_that_no_sampled_value_meets_costs_a_feature_few_rounds(monkeypatch):
    monkeypatch.setattr(expression_checks, "MAX_PROBE_ROUNDS", 3)
    asked = []
    row = make_schema(dy.String(check=lambda column: asked.append(column) or column == "a text that is never drawn"))
    assert list(find_feature_faults(Expression("long", pl.col("x").str.len_chars(), row), row)) == []
    assert 0 < len(asked) < 20
