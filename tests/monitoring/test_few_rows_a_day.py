"""Data faults where a day has 24 orders: some days are judged together, or it is said that they can't be."""

import datetime as dt
from types import SimpleNamespace

import polars as pl
import pytest

from flows.steps.monitor.window_signals import WindowSpan, describe_fault_limits
from monitoring.data_faults import find_data_faults
from monitoring.expectations import Expectations, learn_expectations
from tests.helpers.orders import load_orders

FIRST = dt.date(2024, 1, 1)
WEEK = [FIRST + dt.timedelta(days=n) for n in range(60, 67)]
NOON = dt.datetime(2024, 4, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def orders(tmp_path):
    return load_orders(tmp_path, source=[("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 24")])


def make_rows(orders, days: list[dt.date]) -> pl.DataFrame:
    """Orders as the data store has them."""
    text = pl.concat([orders.source.parse(orders.source.fetch(f"2024-{month:02}")) for month in (1, 2, 3)])
    rows = orders.schema.Row.cast(text.with_columns(orders.source.CONVERSIONS))
    return rows.filter(pl.col("at").dt.date().is_in(days))


@pytest.fixture
def norms(orders) -> Expectations:
    return learn_expectations(make_rows(orders, [FIRST + dt.timedelta(days=n) for n in range(60)]), orders.schema)


def test_so_many_days_are_judged_together_as_have_rows_enough(norms):
    assert (norms.block_days, norms.period) == (3, "3 days")
    assert [len(group) for group in norms.group_days(WEEK)] == [3, 4]


def test_a_fault_of_three_days_is_found_and_a_sound_week_has_none(orders, norms):
    broken = make_rows(orders, WEEK[:3]).with_columns(region=pl.lit("north").cast(orders.schema.Row.region.dtype))
    frozen = make_rows(orders, WEEK[:3]).with_columns(amount=pl.lit(20.0))
    assert {fault.key for fault in find_data_faults(broken, norms)} == {("vanished", "region")}
    assert {fault.key for fault in find_data_faults(frozen, norms)} == {("frozen", "amount")}
    sound = [find_data_faults(make_rows(orders, group), norms) for group in norms.group_days(WEEK)]
    assert sound == [[], []]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (24, "data faults are judged by 3 days, as a day has too few rows"),
        (5, "data faults aren't judged: the window has 35 rows, and it takes 50"),
    ],
)
def test_a_window_says_how_its_days_were_judged(norms, rows, words):
    span = WindowSpan(WEEK[0], WEEK[-1] + dt.timedelta(days=1), NOON, dict.fromkeys(WEEK, rows))
    monitor, model = SimpleNamespace(on_faults=True), SimpleNamespace(norms=norms)
    assert describe_fault_limits(monitor, model, span) == words
