"""Data faults where a day has 24 orders: some days are judged together, or it is said that they can't be."""

import datetime as dt
from types import SimpleNamespace

import polars as pl
import pytest

from flows.steps.monitor import window_signals
from flows.steps.monitor.alarms import record_alarm
from flows.steps.monitor.window_signals import WindowSpan, describe_fault_limits, list_window_faults
from monitoring.data_faults import find_data_faults
from monitoring.expectations import Expectations, learn_expectations
from monitoring.windows import DayFault
from penumbra.core.settings import load_settings
from penumbra.registry.ledger import Ledger
from tests.helpers.orders import load_orders
from tests.helpers.recorded_windows import make_window

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


def test_a_fault_of_days_that_are_judged_together_names_the_first_and_the_last(orders, norms, monkeypatch):
    rows = make_rows(orders, WEEK).with_columns(
        amount=pl.when(pl.col("at").dt.date() != WEEK[1]).then("amount")  # the second of three days
    )
    records = dict(rows.group_by(pl.col("at").dt.date()))
    empty = pl.DataFrame(schema={"day": pl.Date, "records": pl.Int64, "answered": pl.Int64, "field": pl.String})
    monkeypatch.setattr(window_signals, "summarise_broken_records", lambda index, schema: empty)
    monkeypatch.setattr(window_signals, "read_day_records", lambda index, day, schema: records[(day,)])
    span = WindowSpan(WEEK[0], WEEK[-1] + dt.timedelta(days=1), NOON, dict.fromkeys(WEEK, 24))
    model, monitor = SimpleNamespace(norms=norms, problem=orders), SimpleNamespace(on_faults=True, accept=[])
    (fault,) = list_window_faults(monitor, None, model, span)
    assert (fault.what, fault.column, fault.day, fault.last) == ("nulls", "amount", WEEK[0], WEEK[2])
    assert fault.span == "2024-03-01 to 2024-03-03"


def test_a_fault_that_goes_on_in_the_days_that_are_judged_next_is_one_alarm(tmp_path):
    settings = load_settings(environ={"PENUMBRA_LEDGER__FOLDER": str(tmp_path)})
    window = make_window(0)
    first = DayFault(window.begin, "nulls", "amount", "33% are missing", "a join", 3)
    second = DayFault(first.last + dt.timedelta(days=1), "nulls", "amount", "40% are missing", "a join", 4)
    record_alarm(settings, make_window(0, "investigate", faults=[first, second]), [], "v1")
    (entry,) = Ledger(tmp_path).entries()
    assert [fault["days"] for fault in entry.evidence["faults"]] == [3]
