"""Data faults where a day has 24 orders: some days are judged together, or it is said that they can't be."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest

from flows.steps.monitor.alarms import record_alarm
from flows.steps.monitor.measures import window_signals
from flows.steps.monitor.measures.window_limits import describe_fault_limits
from flows.steps.monitor.measures.window_signals import WindowSpan, list_window_faults
from monitoring.faults.data_faults import find_data_faults
from monitoring.faults.expectations import Expectations, learn_expectations
from monitoring.faults.grouped_faults import find_grouped_faults
from monitoring.faults.usual_arrivals import UsualArrivals
from monitoring.windows.window_records import DayFault
from penumbra.core.settings import load_settings
from penumbra.registry.history.ledger import Ledger
from tests.helpers.models.recorded_windows import make_window
from tests.helpers.problems.orders import load_orders

FIRST, ONE_DAY = dt.date(2024, 1, 1), dt.timedelta(days=1)
WEEK = [FIRST + dt.timedelta(days=n) for n in range(60, 67)]
NOON = dt.datetime(2024, 4, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    return load_orders(tmp_path_factory.mktemp("orders"), source=[("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 24")])


def make_rows(orders, days: list[dt.date]) -> pl.DataFrame:
    """Orders as the data store has them."""
    text = pl.concat([orders.source.parse(orders.source.fetch(f"2024-{month:02}")) for month in (1, 2, 3)])
    rows = orders.schema.Row.cast(text.with_columns(orders.source.CONVERSIONS))
    return rows.filter(pl.col("at").dt.date().is_in(days))


@pytest.fixture(scope="module")
def norms(orders) -> Expectations:
    return learn_expectations(make_rows(orders, [FIRST + dt.timedelta(days=n) for n in range(60)]), orders.schema)


def test_so_many_days_are_judged_together_as_have_rows_enough(norms):
    assert (norms.block_days, norms.period) == (3, "3 days")
    assert [len(group) for group in norms.group_days(WEEK)] == [3, 4]


@pytest.mark.slow
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


def span_of(rows: dict[dt.date, int]) -> WindowSpan:
    return WindowSpan(WEEK[0], WEEK[-1] + ONE_DAY, NOON, rows)


def test_a_window_with_few_rows_reaches_back_as_far_as_it_takes(norms):
    ten = replace(norms, block_days=10)
    rows = {WEEK[-1] - n * ONE_DAY: 5 for n in range(40)}
    (group,) = ten.group_days(WEEK, rows)
    assert (group[0], group[-1]) == (WEEK[-1] - 9 * ONE_DAY, WEEK[-1])
    halved = {day: 5 - 3 * (day in WEEK) for day in rows}  # 14 rows in the window, and 5 a day before
    assert len(ten.group_days(WEEK, halved)[0]) == 7 + 8
    assert describe_fault_limits(SimpleNamespace(on_faults=True), SimpleNamespace(norms=ten), span_of(rows)) == (
        f"data faults are judged on {group[0]} to {group[-1]} together, as a day has too few rows"
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [42, 48, 60, 42, 60, 60, 60],
            "data faults are judged on 2024-03-02, 2024-03-04 together with days before, as each has too few rows; "
            "data faults aren't judged on 2024-03-01: fewer than 50 rows",
        ),
        (
            [42, 48, 45, 46, 60, 60, 60],
            "data faults are judged on 2024-03-02 to 2024-03-04 together with days before, as each has too few rows; "
            "data faults aren't judged on 2024-03-01: fewer than 50 rows",
        ),
        (
            [60, 60, 42, 60, 60, 60, 60],
            "data faults are judged on 2024-03-02 to 2024-03-03 together, as a day has too few rows",
        ),
        (
            [2, 2, 60, 60, 60, 60, 60],
            "data faults aren't judged on 2024-03-01 to 2024-03-02: fewer than 50 rows",
        ),
    ],
)
def test_each_day_with_few_rows_is_named_once(norms, rows, words):
    daily = replace(norms, block_days=1)
    span = span_of(dict(zip(WEEK, rows, strict=True)))
    assert describe_fault_limits(SimpleNamespace(on_faults=True), SimpleNamespace(norms=daily), span) == words


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        (dict.fromkeys(WEEK, 7), 7),  # nothing was before
        ({WEEK[-1] - n * ONE_DAY: 1 for n in range(49)}, 49),
        ({WEEK[-1] - n * ONE_DAY: 0.25 for n in range(400)}, 92),
    ],
)
def test_where_no_days_have_rows_enough_that_is_said(norms, rows, days):
    ten = replace(norms, block_days=10)
    (group,) = ten.group_days(WEEK, rows)
    assert len(group) == days
    words = describe_fault_limits(SimpleNamespace(on_faults=True), SimpleNamespace(norms=ten), span_of(rows))
    assert words.startswith("data faults aren't judged: the window ")
    assert words.endswith(", and it takes 50")


def test_days_without_rows_count_when_days_are_put_together(orders):
    """20 orders on each weekday and none at weekends: 14 a day."""
    rows = make_rows(orders, [FIRST + n * ONE_DAY for n in range(60)])
    weekdays = rows.filter(pl.col("at").dt.weekday() <= 5).group_by(pl.col("at").dt.date(), maintain_order=True)
    assert learn_expectations(weekdays.head(20).select(rows.columns), orders.schema).block_days == 4


def test_values_that_hardly_ever_differ_are_not_taken_for_the_same_by_rule(orders):
    """Nearly every amount is 0, so that few orders of one moment or region agree by chance."""
    days = [FIRST + n * ONE_DAY for n in range(60)]
    rows = (
        make_rows(orders, days)
        .with_row_index("n")
        .with_columns(
            amount=pl.when(pl.col("n") % 50 == 0).then(pl.col("n") + 1.0).otherwise(0.0),
            at=pl.col("at").dt.truncate("6h"),
        )
    )
    few = rows.filter(pl.col("n") % 100 >= 90).drop("n")
    learnt = learn_expectations(few, orders.schema)
    assert ("amount" in learnt.shared, "amount" in learnt.constants) == (False, False)


class Storms:
    TIME, CHECKS = "at", ()

    class Row(dy.Schema):
        storm = dy.Int64(primary_key=True)
        at = dy.Datetime(primary_key=True)
        eye = dy.Int64(nullable=True)


def make_storms(eyes: list[int | None], storms: int) -> pl.DataFrame:
    """Four rows a day of each storm; the eyes are those of the days."""
    start = dt.datetime(2024, 1, 1)
    moments = [start + dt.timedelta(hours=6 * number) for number in range(4 * len(eyes))]
    rows = pl.DataFrame({"at": moments, "eye": np.repeat(eyes, 4).tolist()})
    return rows.select(pl.all().repeat_by(storms).explode()).with_columns(storm=pl.int_range(pl.len()) % storms)


@pytest.mark.parametrize(("days_of_each", "is_shared"), [(10, False), (1, True)])
def test_what_stands_still_in_two_storms_at_once_is_shared_only_if_it_changes_in_both_again_and_again(
    days_of_each, is_shared
):
    rows = make_storms([eye for eye in (0, 10, 0, 20) * (10 // days_of_each) for _ in range(days_of_each)], 2)
    assert ("eye" in learn_expectations(rows, Storms).shared) == is_shared


@pytest.mark.parametrize(
    ("missing_days", "is_fault"),  # of ten: in each span but the last, where all are missing
    [((6, 3, 8), False), ((6, 7, 6), True), ((0, 0, 0), True)],
)
def test_missing_values_are_a_fault_only_where_their_share_hardly_differs_from_span_to_span(missing_days, is_fault):
    known = [None if day < missing else day for missing in missing_days for day in range(13)]
    norms = learn_expectations(make_storms(known, 1), Storms)
    assert norms.block_days == 13
    found = find_data_faults(make_storms([None] * 13, 1), norms)
    assert ("nulls" in {fault.what for fault in found}) == is_fault


def test_a_share_of_missing_values_that_never_was_is_a_fault(orders, norms):
    broken = make_rows(orders, WEEK[:3]).with_columns(pl.when(pl.int_range(pl.len()) % 3 > 0).then("amount"))
    assert {fault.key for fault in find_data_faults(broken, norms)} == {("nulls", "amount")}


def test_a_value_with_few_rows_a_day_that_is_renamed_shows_in_weeks(orders):
    """One order of 25 is from the region "rare": four in four days, and seven in a week."""
    days = [FIRST + n * ONE_DAY for n in range(70)]
    is_rare, region = pl.int_range(pl.len()) % 25 == 0, pl.col("region").cast(pl.String)
    rows = make_rows(orders, days).with_columns(region=pl.when(is_rare).then(pl.lit("rare")).otherwise(region))
    reference, later = (rows.filter((pl.col("at").dt.date() >= days[56]) == is_later) for is_later in (False, True))
    norms = learn_expectations(reference, orders.schema)
    assert (norms.block_days, norms.wide and norms.wide.block_days) == (3, 7)
    renamed = later.with_columns(pl.col("region").replace("rare", "raar"))

    def find(judged: pl.DataFrame) -> list[tuple[dt.date, int, str]]:
        counts = dict(judged.group_by(pl.col("at").dt.date()).len().iter_rows())
        groups = find_grouped_faults(
            days[63:], counts, lambda group: judged.filter(pl.col("at").dt.date().is_in(group)), norms
        )
        return [(group[0], len(group), fault.what) for group, faults in groups for fault in faults]

    assert find(later) == []
    assert find(renamed) == [(days[63], 7, "renamed")]


def find_by_day(rows: pl.DataFrame, norms: Expectations) -> list[tuple[list[dt.date], str, str]]:
    counts = dict(rows.group_by(pl.col("at").dt.date()).len().iter_rows())
    groups = find_grouped_faults(WEEK, counts, lambda group: rows.filter(pl.col("at").dt.date().is_in(group)), norms)
    return [(group, fault.what, fault.text) for group, faults in groups for fault in faults]


def test_a_number_that_stands_still_on_each_of_some_days_at_another_value_is_found_by_the_day(orders, norms):
    day = pl.col("at").dt.date()
    first_of_day = pl.col("amount").first().over(day)
    rows = make_rows(orders, WEEK)
    stuck = rows.with_columns(amount=pl.when(day.is_in(WEEK[2:5])).then(first_of_day).otherwise("amount"))
    assert find_by_day(rows, norms) == []
    found = find_by_day(stuck, norms)
    assert [(group, what) for group, what, _ in found] == [([each], "frozen") for each in WEEK[2:5]]
    assert found[0][2].startswith("amount has one value all day; in no day of the reference fewer than ")


@pytest.mark.parametrize(("known", "faults"), [(2, []), (12, [[WEEK[2]]])])
def test_a_number_of_which_most_are_missing_is_stuck_only_where_enough_are_the_same(orders, norms, known, faults):
    rows = make_rows(orders, WEEK)
    place = pl.int_range(pl.len()).over(pl.col("at").dt.date())
    stuck = pl.when(place < known).then(20.0)
    gaps = pl.when(pl.col("at").dt.date() == WEEK[2]).then(stuck).otherwise("amount")
    found = find_by_day(rows.with_columns(amount=gaps), norms)
    assert [group for group, what, _ in found if what == "frozen"] == faults


def test_a_number_that_stands_still_for_all_days_that_are_judged_together_is_found_once(orders, norms):
    still = pl.when(pl.col("at").dt.date().is_in(WEEK[:3])).then(20.0).otherwise("amount")
    rows = make_rows(orders, WEEK).with_columns(amount=still)
    assert [(group, what) for group, what, _ in find_by_day(rows, norms)] == [(WEEK[:3], "frozen")]


def test_a_fault_of_a_block_that_began_before_its_window_is_one_alarm(tmp_path):
    settings = load_settings(environ={"PENUMBRA_LEDGER__FOLDER": str(tmp_path)})
    windows = [
        make_window(n, "investigate", faults=[DayFault(make_window(n).begin - 3 * ONE_DAY, "nulls", "a", "", "", 10)])
        for n in range(3)
    ]
    alarms = [record_alarm(settings, window, windows[:n], "v1") for n, window in enumerate(windows)]
    assert [len(each) for each in alarms] == [1, 0, 0]
    (entry,) = Ledger(tmp_path).entries()
    assert [fault["days"] for fault in entry.evidence["faults"]] == [10]


def test_a_fault_of_days_that_are_judged_together_names_the_first_and_the_last(orders, norms, monkeypatch):
    rows = make_rows(orders, WEEK).with_columns(
        amount=pl.when(pl.col("at").dt.date() != WEEK[1]).then("amount")  # the second of three days
    )
    records = dict(rows.group_by(pl.col("at").dt.date()))
    empty = pl.DataFrame(schema={"day": pl.Date, "records": pl.Int64, "answered": pl.Int64, "field": pl.String})
    monkeypatch.setattr(window_signals, "summarise_broken_records", lambda index, schema: empty)
    monkeypatch.setattr(window_signals, "read_day_records", lambda index, day, schema: records[(day,)])
    span = WindowSpan(WEEK[0], WEEK[-1] + dt.timedelta(days=1), NOON, dict.fromkeys(WEEK, 24))
    model = SimpleNamespace(norms=norms, arrivals=UsualArrivals(), problem=orders, row_faults={})
    monitor = SimpleNamespace(on_faults=True, accept=[])
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
