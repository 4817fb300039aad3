"""Days with data faults that nothing is learnt from."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import problem
from flows.steps.train.exclusions import excluded_days, exclusion_report
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import DataStore
from tests.helpers.problems.orders import load_orders
from tests.helpers.problems.regular_flights import make_regular_flights

PROBLEM = load_checked_problem()

FAULTY = "2013-04-05"


def make_settings(folder: Path, **monitor: Any) -> Settings:
    places = {"PENUMBRA_DATA__FOLDER": folder / "data", "PENUMBRA_DATA__DERIVED": folder / "derived"}
    changed = {f"PENUMBRA_MONITOR__{name.upper()}": value for name, value in monitor.items()}
    every = {**places, "PENUMBRA_TRAINING__FOLDER": folder / "train", **changed}
    return load_settings(environ={name: str(value) for name, value in every.items()})


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    """Two months of raw batches; on a day of the second one the thermometer is stuck."""
    stuck = make_regular_flights(35).with_columns(temp=pl.lit(50.0))
    write_batch(tmp_path, "2013-03", [make_regular_flights(number) for number in range(31)])
    write_batch(
        tmp_path,
        "2013-04",
        [*(make_regular_flights(number) for number in range(31, 35)), stuck, make_regular_flights(36)],
    )
    return tmp_path


def write_batch(folder: Path, batch: str, days: list[pl.DataFrame]) -> None:
    """As the source gives it: flights, and weather by origin and hour."""
    rows = pl.concat(days).with_columns(pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), arr_delay=pl.lit(5))
    weather = rows.select("origin", "time_hour", *problem.source.WEATHER).unique(["origin", "time_hour"])
    raw = folder / "data/batches" / batch
    raw.mkdir(parents=True)
    rows.select(problem.source.FLIGHTS).write_csv(raw / "flights.csv")
    weather.write_csv(raw / "weather.csv")


@pytest.mark.slow
def test_a_day_with_a_fault_is_left_out_and_named(batches: Path) -> None:
    excluded = excluded_days.find_excluded_days(make_settings(batches), PROBLEM)
    assert list(excluded) == [FAULTY]
    text = exclusion_report.describe_excluded_days(excluded, 0.1)
    assert "Nothing is learnt from 10.0% of the rows, a day with data faults" in text
    assert "that is much" not in text
    assert "temp has one value all day" in text
    assert f'monitor.accept = ["{FAULTY}"]' in text
    assert f"  {FAULTY}: temp has one value all day" in exclusion_report.list_excluded_spans(excluded)


def test_two_hundred_days_are_two_lines_that_say_why_where_to_look_and_what_to_do() -> None:
    days = [str(dt.date(2024, 1, 1) + dt.timedelta(days=number)) for number in range(204)]
    excluded = {day: [["age", "age is frozen"] if number else ["", "no rows"]] for number, day in enumerate(days)}
    first, second = exclusion_report.describe_excluded_days(excluded, 0.373).splitlines()
    assert first == (
        "Nothing is learnt from 37.3% of the rows, 204 days with data faults, 2024-01-01 to 2024-07-22: age is frozen "
        "on 203 of them; no rows on 1 of them"
    )
    assert second.startswith("Next: that is much: see first whether these are faults. `penumbra quarantine`")
    assert "`penumbra quarantine`" in second
    assert 'of these all by monitor.accept = ["age", "2024-01-01"]' in second
    assert exclusion_report.list_excluded_spans(excluded).splitlines() == [
        "Left out of training for data faults: 204 days",
        "  2024-01-01: no rows",
        "  2024-01-02 to 2024-07-22 (203 days): age is frozen",
    ]


def test_a_few_days_are_all_in_the_hint_and_their_figures_are_a_range() -> None:
    shares = {"2010-08-24": 40, "2010-08-25": 100, "2010-08-26": 58}
    text = "{}% of isig2 is missing; on any day of the reference at most 3% was (a source fell away)"
    excluded = {day: [["isig2", text.format(share)]] for day, share in shares.items()}
    first, second = exclusion_report.describe_excluded_days(excluded).splitlines()
    assert first.endswith(
        "2010-08-24 to 2010-08-26: 40 to 100% of isig2 is missing; on any day of the reference at most 3% was "
        "(a source fell away)"
    )
    assert "accepted by its date, by the name of its column on all days, or by both" in second
    assert 'monitor.accept = ["2010-08-24", "2010-08-25", "2010-08-26"]' in second


def test_of_many_kinds_of_faults_the_most_frequent_are_said() -> None:
    names = "abcde"
    excluded = {f"2024-01-0{day}": [[name, f"{name} is frozen"] for name in names[: day + 1]] for day in range(1, 5)}
    first, _ = exclusion_report.describe_excluded_days(excluded).splitlines()
    assert first.endswith("2024-01-04: a is frozen; b is frozen; c is frozen on 3 of them; and 2 more")


@pytest.mark.slow
def test_where_a_batch_is_a_day_a_weekend_is_no_fault_and_a_stuck_sensor_is_one(tmp_path: Path) -> None:
    for number in range(22):
        day = make_regular_flights(number)
        date = day["time_hour"].dt.date()[0]
        if date.weekday() >= 5:
            day = day.with_columns(pl.col("dest").replace("ATL", "BOS"))
        if number == 20:
            day = day.with_columns(temp=pl.lit(50.0))
        write_batch(tmp_path, str(date), [day])
    assert list(excluded_days.find_excluded_days(make_settings(tmp_path), PROBLEM)) == ["2013-03-21"]


@pytest.mark.slow
def test_batches_that_can_not_be_judged_are_one_line_for_each_reason(
    batches: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for batch in ("2013-01", "2013-02"):
        write_batch(batches, batch, [make_regular_flights(0)])
    excluded_days.find_excluded_days(make_settings(batches), PROBLEM)
    assert [line for line in capsys.readouterr().out.splitlines() if "aren't looked at" in line] == [
        "2013-01: days aren't looked at for data faults: nothing comes before the first batch",
        "2 batches, 2013-02 to 2013-03: days aren't looked at for data faults: those before span less than 14 days",
    ]


def test_a_day_is_left_out_by_utc_whatever_the_zone_of_the_rows_time(tmp_path: Path) -> None:
    zone = "America/Los_Angeles"
    schema = load_orders(
        tmp_path, schema=[("dy.Datetime(nullable=False)", f'dy.Datetime(nullable=False, time_zone="{zone}")')]
    ).schema
    hours = [dt.datetime(2024, 1, 5, hour) for hour in (15, 16)]  # in UTC the second is on the next day
    rows = pl.DataFrame({"at": hours}).with_columns(pl.col("at").dt.replace_time_zone(zone))
    left = excluded_days.drop_excluded_days(rows, schema, {"2024-01-06": [["age", "age is frozen"]]})
    assert left["at"].dt.hour().to_list() == [15]


@pytest.mark.slow
def test_the_rows_of_other_days_stay(batches: Path) -> None:
    settings = make_settings(batches)
    rows = DataStore(settings.data, PROBLEM).rows("2013-04")
    excluded = excluded_days.find_excluded_days(settings, PROBLEM)
    remaining = excluded_days.drop_excluded_days(rows, PROBLEM.schema, excluded)
    assert rows.height - remaining.height == 120
    assert FAULTY not in remaining["time_hour"].dt.date().cast(pl.String).to_list()


@pytest.mark.slow
@pytest.mark.parametrize("accept", [FAULTY, "temp, dewp, humid", f"{FAULTY} temp, {FAULTY} dewp"])
def test_what_is_accepted_is_learnt_from(batches: Path, accept: str) -> None:
    assert excluded_days.find_excluded_days(make_settings(batches, accept=accept), PROBLEM) == {}


def test_where_faults_are_switched_off_everything_is_learnt_from(batches: Path) -> None:
    assert excluded_days.find_excluded_days(make_settings(batches, on_faults=False), PROBLEM) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("first_dest", "days"), [("ATL", ["2013-07-03"]), ("XXX", [])])
def test_a_value_that_comes_again_after_some_batches_without_it_is_not_new(
    tmp_path: Path, first_dest: str, days: list[str]
) -> None:
    months = {"2013-03": 0, "2013-04": 31, "2013-05": 61, "2013-06": 92, "2013-07": 122}
    of_month = {month: [make_regular_flights(first + day) for day in range(5)] for month, first in months.items()}
    some = pl.col("flight") % 8 == 1
    for month, dest in (("2013-03", first_dest), ("2013-07", "XXX")):
        of_month[month][2] = of_month[month][2].with_columns(dest=pl.when(some).then(pl.lit(dest)).otherwise("dest"))
    for month, flights in of_month.items():
        write_batch(tmp_path, month, flights)
    assert list(excluded_days.find_excluded_days(make_settings(tmp_path), PROBLEM)) == days


@pytest.mark.slow
def test_a_batch_is_judged_once(batches: Path) -> None:
    settings = make_settings(batches)
    excluded = excluded_days.find_excluded_days(settings, PROBLEM)
    remaining = sorted((batches / "derived/faults").iterdir())
    marks = [path.stat().st_mtime_ns for path in remaining]
    assert excluded_days.find_excluded_days(settings, PROBLEM) == excluded
    assert [path.stat().st_mtime_ns for path in sorted((batches / "derived/faults").iterdir())] == marks != []


def test_the_first_batch_has_nothing_to_be_judged_by(tmp_path: Path) -> None:
    write_batch(tmp_path, "2013-03", [make_regular_flights(1).with_columns(temp=pl.lit(50.0)), make_regular_flights(2)])
    assert excluded_days.find_excluded_days(make_settings(tmp_path), PROBLEM) == {}
    assert exclusion_report.describe_excluded_days({}) == ""
