"""What one column of a CSV file becomes: the habits of those who write such files, one by one."""

import datetime as dt

import polars as pl
import pytest

from penumbra.drafting.draft import NumberFormat
from tests.helpers.problems.drafted_orders import (
    FIRST_DAY,
    ROWS,
    draft_column,
    draft_orders,
    draft_table,
    get_column,
    make_orders,
)


@pytest.mark.parametrize(
    ("values", "dtype", "minimum", "maximum"),
    [
        (["1", "12", "40"], pl.Int8(), -100, 100),
        (["1", "700"], pl.Int16(), -2000, 2000),
        (["-4", "700"], pl.Int16(), -1000, 2000),
        (["1", "70000"], pl.Int32(), -200_000, 200_000),
        (["1", "7000000000"], pl.Int64(), -20_000_000_000, 20_000_000_000),
        (["0", "1"], pl.Int8(), 0, 1),
        (["0.5", "1.25"], pl.Float64(), -2, 2),
        (["-12.5", "30.0"], pl.Float64(), -100, 100),
        (["1e3", "2.5e3"], pl.Float64(), -5000, 5000),
    ],
)
def test_a_number_has_the_smallest_type_and_room_around_its_range(tmp_path, values, dtype, minimum, maximum):
    column = draft_column(tmp_path, values)
    assert (column.dtype, column.minimum, column.maximum) == (dtype, minimum, maximum)
    assert (column.role, column.features, column.nullable) == ("feature", ("number",), False)


@pytest.mark.parametrize("name", ["n_items", "Price (EUR)", "age", "duration", "postings count", "Nächte Woche"])
def test_what_is_counted_or_paid_is_never_below_0(tmp_path, name):
    assert draft_column(tmp_path, ["1", "12", "40"], name).minimum == 0


@pytest.mark.parametrize(
    ("name", "values", "bounds"),
    [
        ("temperature", ["3.5", "30.25"], (-100, 100)),
        ("temperature", ["18", "30"], (-50, 50)),
        ("pressure", ["1000.5", "1010.5"], (-2000, 2000)),
        ("lat", ["7.5", "44.25"], (-90, 90)),
        ("Longitude", ["-109", "13"], (-180, 180)),
        ("lat", ["7.5", "144.25"], (-500, 500)),
    ],
)
def test_a_number_that_may_become_negative_has_room_below_0(tmp_path, name, values, bounds):
    column = draft_column(tmp_path, values, name)
    assert (column.minimum, column.maximum) == bounds


@pytest.mark.slow
def test_a_number_of_the_calendar_has_its_range(tmp_path):
    column = draft_column(tmp_path, ["3", "4", "11"], "month")
    assert (column.dtype, column.minimum, column.maximum) == (pl.Int8(), 1, 12)
    assert draft_column(tmp_path, ["3", "4", "13"], "month").maximum == 50


def test_whole_numbers_that_a_tool_wrote_as_floats_since_some_are_missing_are_whole(tmp_path):
    column = draft_column(tmp_path, ["1.0", "12.0", ""])
    assert (column.dtype, column.nullable) == (pl.Int8(), True)


@pytest.mark.parametrize("words", [["1", "2", "0.5"], ["1.0", "2.0", "0.5"], ["1 %", "2 %", "0.5 %"]])
def test_whole_numbers_with_halves_in_a_few_rows_have_decimals_and_lose_none(tmp_path, words):
    draft = draft_orders(tmp_path, qty=[*words[:2] * 198, *words[2:] * 4])
    assert (get_column(draft, "qty").dtype, draft.notes) == (pl.Float64(), ())


@pytest.mark.parametrize(
    "word", ["", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "-", "?", "None", "#N/A", "k.A."]
)
def test_a_word_among_numbers_is_a_missing_value(tmp_path, word):
    draft = draft_orders(tmp_path, value=["1.5", "12", word])
    column = get_column(draft, "value")
    assert (column.dtype, column.nullable) == (pl.Float64(), True)
    assert draft.source.options == ({"null_words": ("", word)} if word else {})
    assert draft.notes == ((f"read as missing: '{word}'",) if word else ())


@pytest.mark.parametrize(
    "values", [["TRUE", "FALSE", "NA"], ["True", "False", "None"], ["yes", "no", "-"], ["T", "F", "unknown"]]
)
def test_a_word_among_yes_and_no_is_a_missing_value(tmp_path, values):
    draft = draft_orders(tmp_path, value=values)
    column = get_column(draft, "value")
    assert (column.dtype, column.nullable, column.categories) == (pl.Boolean(), True, ())
    assert draft.source.options == {"null_words": ("", values[2])}
    assert draft.notes == (f"read as missing: '{values[2]}'",)


@pytest.mark.slow
def test_na_is_a_value_beside_other_codes_of_two_letters_and_none_in_other_text(tmp_path):
    namibia = draft_orders(tmp_path, country=["NA", "DE", "FR"], value=["1.5", "12", "7"])
    assert namibia.source.options == {}
    missing = draft_orders(tmp_path, town=["NA", "Bonn", "Paris"], value=["1.5", "12", "NA"])
    assert missing.source.options == {"null_words": ("", "NA")}
    assert get_column(missing, "town").nullable


@pytest.mark.parametrize(
    "values",
    [
        ["yes", "no"],
        [" yes", "no "],
        ["Yes", "No"],
        ["y", "n"],
        ["Y", "N", ""],
        ["true", "false"],
        ["TRUE", "FALSE"],
        ["T", "F"],
    ],
)
def test_booleans_are_read_by_their_words(tmp_path, values):
    column = draft_column(tmp_path, values)
    assert (column.dtype, column.features, column.nullable) == (pl.Boolean(), ("category",), "" in values)


def test_yes_and_no_of_another_language_are_a_category(tmp_path):
    column = draft_column(tmp_path, ["ja", "nein"])
    assert (column.dtype, column.categories) == (pl.Enum(["ja", "nein"]), ("ja", "nein"))


@pytest.mark.parametrize(
    ("values", "number_format", "dtype"),
    [
        (["3,5", "12,25"], NumberFormat(","), pl.Float64()),
        (["1,234", "999"], NumberFormat(".", ","), pl.Int16()),
        (["$1,200.50", "$5.00"], NumberFormat(".", ",", ("$",)), pl.Float64()),
        (["12 %", "7.5 %"], NumberFormat(".", "", ("%",)), pl.Float64()),
    ],
)
def test_numbers_of_another_spelling_carry_their_format(tmp_path, values, number_format, dtype):
    column = draft_column(tmp_path, values)
    assert (column.number_format, column.dtype, column.features) == (number_format, dtype, ("number",))


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["5%", "7%", "0.05"], ("'value': '5%' and '0.05' are read as numbers alike: nothing is converted",)),
        (["€5", "$7"], ("'value': '€5' and '$7' are read as numbers alike: nothing is converted",)),
        (["5 US$", "7 US$"], ()),
        (["$5", "7"], ()),
        (
            ["1,234", "2,500"],
            ("'value': '1,234' is read as 1234: no value tells whether the sign separates decimals or thousands",),
        ),
    ],
)
def test_numbers_that_may_be_others_are_told(tmp_path, values, note):
    draft = draft_orders(tmp_path, value=(values * 200)[:400])
    assert (get_column(draft, "value").features, draft.notes) == (("number",), note)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("branch", ["0012", "0113"], "digits with leading zeros: a code, and no number"),
        ("zip", ["12345", "54321"], "by its name a code, and no number"),
        ("PLZ", ["12345", "54321"], "by its name a code, and no number"),
        ("contact", ["+4930123456", "+4989123456"], "digits after a plus sign: a code, and no number"),
        ("card", ["4111111111111111", "5500000000000004"], "more digits than a number in JSON holds: a code"),
    ],
)
def test_digits_that_are_a_code_stay_text(tmp_path, name, values, reason):
    column = draft_column(tmp_path, values, name)
    assert (column.dtype, column.features, column.reason) == (pl.String(), ("category",), reason)


@pytest.mark.parametrize(
    ("values", "dtype", "form", "features"),
    [
        (["2023-12-24", "2023-11-30"], pl.Date(), None, ("weekday",)),
        (["24.12.2023", "30.11.2023"], pl.Date(), "%d.%m.%Y", ("weekday",)),
        (["12/24/2023", "11/30/2023"], pl.Date(), "%m/%d/%Y", ("weekday",)),
        (["2023-12-24 10:30", "2023-11-30 12:00"], pl.Datetime("us"), None, ("weekday",)),
        (["2023-12-24T10:30:00+01:00", "2023-11-30T12:00:00Z"], pl.Datetime("us", "UTC"), None, ("weekday",)),
        (["24.12.2023 10:30", "30.11.2023 12:00"], pl.Datetime("us"), "%d.%m.%Y %H:%M", ("weekday",)),
        (["2023-12-24 10:30", "2023-11-30 12:00", "2023-11-30 17:00"], pl.Datetime("us"), None, ("hour", "weekday")),
        (["2022-01-01", "2023-12-31"], pl.Date(), None, ("weekday", "month")),
        (["2022-03-01", "2023-12-30"], pl.Date(), None, ("weekday",)),
        (["2021-12-01", "2023-12-01", "2023-11-01"], pl.Date(), None, ("month",)),
        (["10:30", "12:00:05"], pl.Time(), None, ("hour",)),
    ],
)
def test_a_second_time_is_read_by_the_parts_that_it_has(tmp_path, values, dtype, form, features):
    column = draft_column(tmp_path, values, "since")
    assert (column.dtype, column.time_format, column.features) == (dtype, form, features)
    assert column.time_zone == getattr(dtype, "time_zone", None)


def test_the_time_of_a_row_is_read_by_the_parts_that_it_has(tmp_path):
    moments = [f"{FIRST_DAY + dt.timedelta(days=2 * n)} {n % 24:02}:00" for n in range(ROWS)]
    draft = draft_orders(tmp_path, day=moments)
    assert get_column(draft, "day").features == ("hour", "weekday", "month")


def test_a_part_of_the_time_that_has_a_column_of_its_own_is_read_there(tmp_path):
    moments = [f"{FIRST_DAY + dt.timedelta(days=2 * n)} {n % 24:02}:00" for n in range(ROWS)]
    draft = draft_orders(tmp_path, day=moments, clock=[f"{n % 24}" for n in range(ROWS)], day_month=["1", "2", "3"])
    assert get_column(draft, "day").features == ("weekday",)


def test_a_month_tells_nothing_of_a_second_time_within_a_year(tmp_path):
    column = draft_column(tmp_path, ["2023-02", "2023-03"], "since")
    assert (column.role, column.reason) == (
        "unused",
        "its hour, weekday and month don't vary, or are columns of their own",
    )


def test_seconds_since_1970_are_a_time_where_the_name_says_so(tmp_path):
    seconds = ["1700000000", "1700003600"]
    joined = draft_column(tmp_path, seconds, "joined_at")
    assert (joined.dtype, joined.time_format) == (pl.Datetime("us", "UTC"), "s")
    assert draft_column(tmp_path, seconds, "population").features == ("number",)


def test_whole_numbers_with_time_in_their_name_are_clock_times(tmp_path):
    column = draft_column(tmp_path, ["5", "1745", "2359"], "dep_time")
    assert (column.dtype, column.features) == (pl.Int16(), ("clock",))
    assert draft_column(tmp_path, ["5", "1790", "2359"], "dep_time").features == ("number",)


@pytest.mark.parametrize(
    ("name", "values", "dtype", "reason"),
    [
        (
            *("side", ["north", "south"], pl.Enum(["north", "south"])),
            "closed: each value has 5 rows and more in either half of the data",
        ),
        ("side", ["north"] * 396 + ["south"] * 4, pl.String(), "open to other values: 'south' is seldom or new"),
        ("side", ["north"] * 250 + ["south"] * 150, pl.String(), "open to other values: 'south' is seldom or new"),
        ("side", [f"s{n // 2 % 31}" for n in range(ROWS)], pl.String(), "open to other values: there are 31"),
        ("country", ["DE", "FR"], pl.String(), "open to other values: by its name"),
        ("number", ["A1", "B1"], pl.String(), "open to other values: by its name"),
        ("code", [*"abcdef"], pl.String(), "open to other values: by its name"),
        (
            *("number", ["big", "none", "small"], pl.Enum(["big", "none", "small"])),
            "closed: each value has 5 rows and more in either half of the data",
        ),
    ],
)
def test_text_is_an_enum_where_no_other_value_is_expected_and_the_reason_is_told(tmp_path, name, values, dtype, reason):
    column = draft_column(tmp_path, values, name)
    assert (column.dtype, column.features, column.reason) == (dtype, ("category",), reason)


def test_text_has_room_for_longer_words(tmp_path):
    assert draft_column(tmp_path, ["short", "x" * 45] + ["a"] * 197, "city").max_length == 100


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("value", [""], "no row has a value"),
        ("value", ["7"], "always 7"),
        ("value", ["north"], "always 'north'"),
        ("value", [chr(97 + n % 26) + chr(97 + n // 26) for n in range(400)], "about every row has another value"),
        ("value", [f"v{n}" for n in range(300)], "about every row has another value"),
        (
            "value",
            [f"the parcel was left with a neighbour, number {n}" for n in range(400)],
            "free text, of 48 characters",
        ),
        ("", [str(n) for n in range(400)], "column 4, which has no name"),
        ("Unnamed: 0", [str(n) for n in range(400)], "it numbers the rows"),
        (
            "customer_id",
            [str(1000 + n) for n in range(301)],
            "by name an identifier, whose numbers have about",
        ),
        ('a"b', ["1", "2"], "its name has quotation marks"),
        ("shipped", [(dt.date(2024, 9, 1) + dt.timedelta(days=n % 60)).isoformat() for n in range(400)], "lies after"),
    ],
)
def test_a_column_that_helps_nobody_is_left_out_with_the_reason(tmp_path, name, values, reason):
    column = draft_column(tmp_path, values, name)
    assert (column.role, column.features, column.reason[: len(reason)]) == ("unused", (), reason)


@pytest.mark.slow
def test_missing_values_make_a_column_nullable_and_so_do_few_rows(tmp_path):
    assert draft_column(tmp_path, ["1", "2", "3"]).nullable is False
    assert draft_column(tmp_path, ["1", "2", ""]).nullable is True
    assert get_column(draft_orders(tmp_path, rows=90, value=["1", "2", "3"]), "value").nullable is True


def test_a_number_that_grows_with_time_has_no_maximum(tmp_path):
    column = draft_column(tmp_path, [str(n // 3 * 7) for n in range(400)], "mileage")
    assert (column.dtype, column.minimum, column.maximum) == (pl.Int64(), 0, None)
    assert column.reason == "grows with time: no maximum"


def test_a_number_that_counts_the_rows_is_no_feature_whatever_its_name(tmp_path):
    column = draft_column(tmp_path, [str(7 + 2 * n) for n in range(400)], "order")
    assert (column.role, column.features) == ("unused", ())
    assert column.reason == "another number in each row, which grows with the rows: it never comes again"


def test_a_line_of_totals_at_the_end_makes_no_column_a_part_of_the_outcome(tmp_path):
    table = make_orders(region=["north", "south"])
    for name, last in {"day": "", "amount": "99", "late": "", "region": ""}.items():
        table[name] = [*table[name], last]
    assert get_column(draft_table(tmp_path, table), "region").role == "feature"


def test_one_value_that_is_no_number_makes_no_text_of_a_column_with_few_others(tmp_path):
    thousands = [f"{n},000" for n in range(10, 50)] * 10
    assert draft_column(tmp_path, ["kg", *thousands[1:]]).dtype == pl.Int32()


def test_the_example_is_a_whole_row_of_the_data_as_json(tmp_path):
    columns = {"region": ["north", "south"], "since": ["24.12.2023", "30.11.2023"], "note": ["", "x"]}
    example = {column.name: column.example for column in draft_orders(tmp_path, **columns).columns}
    assert example == {
        "day": "2024-07-18T00:00:00",
        "amount": example["amount"],
        "region": example["region"],
        "since": example["since"],
        "note": "x",
        "late": example["late"],
    }
    assert isinstance(example["amount"], int)
    assert example["since"] in ("2023-12-24", "2023-11-30")
    assert isinstance(example["late"], bool)


def test_what_grows_with_the_days_is_told_in_whichever_order_the_rows_of_a_day_stand(tmp_path):
    table = make_orders(serial=[str(500 + n) for n in range(ROWS)], level=[f"{n / 8}" for n in range(ROWS)])
    table["day"] = [(FIRST_DAY + dt.timedelta(days=n // 7)).isoformat() for n in range(ROWS)]
    newest_first = {name: values[::-1] for name, values in table.items()}
    drafts = [draft_table(tmp_path, each) for each in (table, newest_first)]
    for draft in drafts:
        assert get_column(draft, "serial").reason.startswith("another number in each row, which grows")
        assert get_column(draft, "level").maximum is None
