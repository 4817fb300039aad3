"""Faults of how rows arrive: none where the reference has such days, too, or chance alone explains them."""

import datetime as dt
from collections.abc import Iterable

import polars as pl
import pytest

from monitoring.faults.arrivals import find_refusal_faults, find_staleness_faults, find_volume_faults
from monitoring.faults.usual_arrivals import UsualArrivals, learn_arrivals
from penumbra.core.columns import UNKNOWN_FIELD

MONDAY = dt.date(2013, 3, 4)
SUNDAY, EVERY_DAY, FIVE_WEEKS = 6, range(7), 5
TUESDAY_AND_FRIDAY = (1, 4)


def list_days(weekdays: Iterable[int], weeks: int) -> list[dt.date]:
    """Some days of each of some weeks, by their numbers, 0 for Monday."""
    return [MONDAY + dt.timedelta(7 * week + weekday) for week in range(weeks) for weekday in weekdays]


def learn(counts: dict[dt.date, int], unknown: frozenset[dt.date] = frozenset()) -> UsualArrivals:
    return learn_arrivals(pl.Series([day for day, rows in counts.items() for _ in range(rows)]), unknown)


def count_faults(counts: dict[dt.date, int], day: dt.date, arrivals: UsualArrivals) -> int:
    return len(find_volume_faults({each: rows for each, rows in counts.items() if rows}, day, arrivals))


def count_a_week_and(rows: int) -> dict[dt.date, int]:
    return {**{day: 900 + number for number, day in enumerate(list_days(EVERY_DAY, 1))}, MONDAY + dt.timedelta(7): rows}


@pytest.mark.parametrize(("rows", "faults"), [(700, 0), (1100, 0), (300, 1), (0, 1), (3000, 1)])
def test_a_volume_is_judged_by_that_of_the_days_before(rows: int, faults: int) -> None:
    assert count_faults(count_a_week_and(rows), MONDAY + dt.timedelta(7), UsualArrivals()) == faults


def test_in_the_first_days_no_volume_is_unusual() -> None:
    assert count_faults(count_a_week_and(0), MONDAY + dt.timedelta(6), UsualArrivals()) == 0


OPEN_DAYS = dict.fromkeys(list_days(range(SUNDAY), FIVE_WEEKS), 60)


def test_a_day_of_the_week_that_never_has_rows_is_no_fault_and_any_other_without_rows_is() -> None:
    tuesday = MONDAY + dt.timedelta(7 * 4 + 1)
    faulty = [day for day in list_days(EVERY_DAY, FIVE_WEEKS) if count_faults(OPEN_DAYS, day, learn(OPEN_DAYS))]
    assert faulty == []
    assert count_faults({**OPEN_DAYS, tuesday: 0}, tuesday, learn(OPEN_DAYS)) == 1


def test_a_day_of_the_week_that_the_reference_does_not_reach_may_have_rows() -> None:
    assert learn(dict.fromkeys(list_days(range(3), 1), 60)).closed_weekdays == frozenset()


def test_a_silence_lasts_over_a_day_that_never_has_rows() -> None:
    saturday, sunday = MONDAY + dt.timedelta(7 * 4 + 5), MONDAY + dt.timedelta(7 * 4 + 6)
    counts = {day: rows for day, rows in OPEN_DAYS.items() if day < saturday}
    (before,), (after,) = (find_volume_faults(counts, day, learn(OPEN_DAYS)) for day in (saturday, sunday))
    assert (before.key, before.text) == (after.key, after.text)
    assert before.text == "no rows, where a day has 60"


def test_where_days_without_rows_are_usual_only_a_far_longer_silence_is_a_fault() -> None:
    counts = {day: 1 + number % 3 for number, day in enumerate(list_days(TUESDAY_AND_FRIDAY, 12))}
    counts |= {day + dt.timedelta(1): 1 for day in list(counts)[::3]}
    arrivals, first, last = learn(counts), min(counts), max(counts)
    days = [first + dt.timedelta(number) for number in range((last - first).days + 1)]
    assert [day for day in days if count_faults(counts, day, arrivals)] == []
    silence = [last + dt.timedelta(number) for number in range(1, 60)]
    faulty = [day for day in silence if count_faults(counts, day, arrivals)]
    assert faulty == silence[silence.index(faulty[0]) :]
    assert 7 < silence.index(faulty[0]) < 30


def test_as_few_and_as_many_rows_as_on_a_day_of_the_reference_are_no_fault() -> None:
    counts = {day: {0: 3000, 5: 100}.get(day.weekday(), 1000) for day in OPEN_DAYS}
    monday, saturday = (max(list_days([weekday], FIVE_WEEKS)) for weekday in (0, 5))
    assert [count_faults(counts, day, UsualArrivals()) for day in (monday, saturday)] == [1, 1]
    assert [count_faults(counts, day, learn(counts)) for day in (monday, saturday)] == [0, 0]
    assert count_faults({**counts, saturday: 40}, saturday, learn(counts)) == 1


@pytest.mark.parametrize(("rows", "faults"), [(1, 0), (9, 0), (16, 1)])
def test_numbers_that_chance_explains_are_no_fault(rows: int, faults: int) -> None:
    counts = dict.fromkeys(list_days(EVERY_DAY, 2), 2)
    assert count_faults({**counts, max(counts): rows}, max(counts), learn(counts)) == faults


def test_days_that_were_left_out_of_a_reference_are_no_silence() -> None:
    out = frozenset(list_days(EVERY_DAY, FIVE_WEEKS)[8:13])
    counts = {day: 60 for day in list_days(EVERY_DAY, FIVE_WEEKS) if day not in out}
    assert learn(counts).silent_days == 5
    assert learn(counts, out) == UsualArrivals()


def test_a_reference_s_first_and_last_day_may_be_parts_of_one() -> None:
    counts = dict.fromkeys(list_days(EVERY_DAY, FIVE_WEEKS), 60)
    assert learn({**counts, min(counts): 3, max(counts): 3}).least == 1


@pytest.mark.parametrize(("records", "before", "faults"), [(9, [], 0), (200, [], 1), (200, [0.15], 0), (40, [], 0)])
def test_what_breaks_the_contract_is_a_fault_where_it_is_more_than_on_any_day_before(
    records: int, before: list[float], faults: int
) -> None:
    assert len(find_refusal_faults(records, 800, "temp", before)) == faults


def test_fields_that_the_contract_doesn_t_have_are_named_in_no_fault() -> None:
    (fault,) = find_refusal_faults(60, 1_000, UNKNOWN_FIELD, [0.0])
    assert (fault.column, fault.text.endswith("mostly by fields that it doesn't have")) == ("", True)


def test_rows_that_stop_coming_are_noticed() -> None:
    counts = {MONDAY: 60}
    assert find_staleness_faults(counts, MONDAY + dt.timedelta(2), UsualArrivals()) == []
    (fault,) = find_staleness_faults(counts, MONDAY + dt.timedelta(3), UsualArrivals())
    assert "3 days before" in fault.text
    assert find_staleness_faults({}, MONDAY, UsualArrivals()) == []


def test_rows_that_are_dated_ahead_hide_no_silence() -> None:
    counts = {MONDAY: 60, MONDAY + dt.timedelta(40): 1, dt.date.max: 1}
    assert find_staleness_faults(counts, MONDAY + dt.timedelta(2), UsualArrivals()) == []
    (fault,) = find_staleness_faults(counts, MONDAY + dt.timedelta(3), UsualArrivals())
    assert fault.text.startswith(f"the last rows are of {MONDAY},")


def test_rows_haven_t_stopped_coming_where_the_reference_has_such_silences() -> None:
    friday = max(list_days([4], FIVE_WEEKS))
    counts = dict.fromkeys(list_days(range(5), FIVE_WEEKS), 60)
    assert len(find_staleness_faults(counts, friday + dt.timedelta(3), UsualArrivals())) == 1
    assert find_staleness_faults(counts, friday + dt.timedelta(3), learn(counts)) == []
    assert len(find_staleness_faults(counts, friday + dt.timedelta(5), learn(counts))) == 1
