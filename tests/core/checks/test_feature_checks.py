import dataframely as dy
import polars as pl
import pytest

from penumbra.core.checks.feature_checks import find_check_faults, find_feature_faults
from penumbra.core.checks.type_checks import find_argument_faults
from penumbra.core.problem import ProblemError
from penumbra.features import (
    Category,
    ClockMinutes,
    Difference,
    Expression,
    Hour,
    Month,
    NotAbove,
    Number,
    ValidClock,
    Weekday,
)
from tests.helpers.problems.orders import load_orders


class EveryType(dy.Schema):
    bool = dy.Bool(nullable=True)
    int8 = dy.Int8(nullable=True)
    int64 = dy.Int64(nullable=True)
    uint64 = dy.UInt64(nullable=True)
    float32 = dy.Float32(nullable=True)
    float64 = dy.Float64(nullable=True)
    decimal = dy.Decimal(10, 2, nullable=True)
    string = dy.String(nullable=True)
    enum = dy.Enum(["a", "b"], nullable=True)
    categorical = dy.Categorical(nullable=True)
    date = dy.Date(nullable=True)
    naive = dy.Datetime(nullable=True)
    instant = dy.Datetime(nullable=True, time_zone="UTC")
    time = dy.Time(nullable=True)
    duration = dy.Duration(nullable=True)
    binary = dy.Binary(nullable=True)
    list = dy.List(dy.Int8(), nullable=True)
    array = dy.Array(dy.Int8(), 2, nullable=True)
    struct = dy.Struct({"a": dy.Int8()}, nullable=True)


COLUMNS = list(EveryType.columns())
INTEGERS = {"int8", "int64", "uint64"}
NUMBERS = INTEGERS | {"bool", "float32", "float64", "decimal"}
TEXTS = {"string", "enum", "categorical"}


def list_taken_columns(make, find):
    """The columns of which a kind made of one column's name is accepted."""
    return {column for column in COLUMNS if not list(find(make(column), EveryType))}


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (Number, NUMBERS),
        (lambda column: Difference(column, "int8"), NUMBERS),
        (Category, TEXTS | INTEGERS | {"bool"}),
        (ClockMinutes, INTEGERS),
        (lambda column: Hour(column, "America/New_York"), {"time", "naive", "instant"}),
        (lambda column: Weekday(column, "America/New_York"), {"date", "naive", "instant"}),
        (lambda column: Month(column, "America/New_York"), {"date", "naive", "instant"}),
    ],
    ids=["Number", "Difference", "Category", "ClockMinutes", "Hour", "Weekday", "Month"],
)
def test_a_kind_takes_the_columns_of_which_both_of_its_forms_give_the_same(make, taken):
    assert list_taken_columns(make, find_feature_faults) == taken


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (ValidClock, INTEGERS),
        (lambda column: NotAbove(column, column), set(COLUMNS) - {"enum", "categorical", "list", "array", "struct"}),
        (lambda column: NotAbove(column, "int64"), INTEGERS),
        (lambda column: NotAbove("float64", column), {"int8", "float32", "float64"}),
        (lambda column: NotAbove(column, "naive"), {"naive"}),
    ],
    ids=["ValidClock", "NotAbove itself", "NotAbove int64", "NotAbove float64", "NotAbove naive"],
)
def test_a_check_takes_the_columns_of_which_both_of_its_forms_hold_for_the_same(make, taken):
    assert list_taken_columns(make, find_check_faults) == taken


@pytest.mark.parametrize(
    "expression",
    [
        pl.col("int8") * 2,
        pl.col("naive").dt.hour(),
        pl.col("naive") - pl.col("naive").dt.truncate("1d"),
        pl.when(pl.col("bool")).then("int8").otherwise("int64"),
        pl.col("list").list.sum(),
        pl.col("struct").struct.field("a"),
        pl.col("string").str.to_datetime("%Y", strict=False).dt.year(),
        pl.col("list").list.eval(pl.element().max()).list.first(),
        pl.col("string").replace_strict({"a": 1}, default=None),
        pl.col("enum").to_physical(),
        pl.col("int8").fill_null(pl.lit(1).cast(pl.Int8)).clip(0, 10),
    ],
    ids=str,
)
def test_an_expression_that_reads_one_row_is_a_feature(expression):
    assert list(find_feature_faults(Expression("made", expression, EveryType), EveryType)) == []


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (pl.col("int8").mean(), "which reads other rows"),
        (pl.col("int8").shift(), "which reads other rows"),
        (pl.col("int8").max().over("string"), "which reads other rows"),
        (pl.col("int8").is_duplicated(), "which reads other rows"),
        (pl.col("int8") - pl.col("int8").mean(), "which reads other rows"),
        (pl.col("int8").drop_nulls(), "numbers for 60 rows"),
        (
            pl.col("categorical").to_physical() * 2,
            "which numbers a Categorical's values as each process happens to meet",
        ),
        (pl.len() + pl.col("float64"), "which reads other rows"),
        (pl.int_range(pl.len()) + pl.col("float64"), "which reads other rows"),
        (pl.col("float64").count() + pl.col("float64"), "which reads other rows"),
        (pl.col("string").str.to_date(strict=False), "which infers the format of a time from the texts that come"),
        (pl.col("string").str.to_datetime(strict=False).dt.hour(), "which infers the format of a time"),
        (pl.col("string").str.to_time(strict=False), "which infers the format of a time"),
        (pl.col("string").cast(pl.Int64), "which fails for values that Row allows (InvalidOperationError: conversion"),
        (pl.col("string").str.to_date("%Y"), "let what can't be computed be missing, by strict=False"),
        (pl.col("string").replace_strict({"a": 1}), "default=None in replace_strict()"),
        (pl.col("float64").map_batches(lambda s: s - s.mean()), "which has code that isn't polars'"),
        (pl.col("float64").map_elements(lambda value: [value][0]), "or compute the column in problem/source.py"),
        (pl.col("string"), "which gives String: expected a number"),
        (pl.lit(3), "which names no columns"),
        (pl.sum_horizontal(pl.selectors.integer()), "which names no columns"),
        (pl.col("int8").str.len_chars(), "which can't be computed from the columns of Row: SchemaError"),
    ],
    ids=str,
)
def test_an_expression_that_a_single_record_has_no_answer_to_is_refused(expression, words):
    (fault,) = find_feature_faults(Expression("made", expression, EveryType), EveryType)
    assert words in fault
    assert "\n" not in fault


class Checked(dy.Schema):
    amount = dy.Float64(check=lambda column: column > 1)
    code = dy.String(check=lambda column: column.str.contains(r"^[0-9]{4}$"))
    year = dy.String(regex="^20[0-9]{2}$")


@pytest.mark.parametrize(
    ("expression", "faults"),
    [
        (pl.col("amount") / pl.col("amount").max(), 1),
        (pl.col("amount") * 2, 0),
        (pl.col("code").cast(pl.Int64), 0),
        (pl.col("year").str.to_date("%Y"), 0),
    ],
    ids=str,
)
def test_an_expression_on_columns_with_conditions_is_judged_by_what_they_allow(expression, faults):
    assert len(list(find_feature_faults(Expression("made", expression, Checked), Checked))) == faults


def test_an_expression_of_an_outcome_loads_like_a_number_of_one_and_is_left_to_the_doctor(tmp_path):
    leak = [
        ("import Category, Feature, Number", "import Category, Expression, Feature, Number"),
        ('Number("age"))', 'Number("age"), Expression("leak", pl.col("churned"), Row))'),
        ('"""The model\'s inputs."""', '"""The inputs."""\n\nimport polars as pl\n\nfrom .schema import Row'),
    ]
    assert [feature.name for feature in load_orders(tmp_path, features=leak).features.FEATURES][-1] == "leak"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Number(5), "Number(…) with column = 5: expected a text"),
        (Hour("instant", None), "Hour(…) with zone = None: expected a text"),
        (NotAbove("int8", pl.col("int64")), "NotAbove(…) with other = <Expr"),
        (Expression("made", "int8 * 2", EveryType), "Expression(…) with expression = 'int8 * 2': expected a polars"),
        (Expression("made", pl.col("int8"), pl.Float64), "Expression(…) with schema = Float64: expected Row of the"),
        (Expression("made", pl.col("int8"), "Row"), "Expression(…) with schema = 'Row': expected Row of the contract"),
    ],
    ids=["column", "zone", "other", "expression", "dtype", "name"],
)
def test_an_argument_of_another_type_is_named(kind, fault):
    (found,) = find_argument_faults(kind)
    assert found.startswith(fault)


def test_a_feature_with_an_argument_of_another_type_is_refused_where_the_problem_is_loaded(tmp_path):
    leak = [('Number("age"))', "Number(5))")]
    with pytest.raises(ProblemError, match=r"FEATURES has Number\(…\) with column = 5: expected a text"):
        load_orders(tmp_path, features=leak)


SEEN = [("    region =", '    seen = dy.Datetime(nullable=True, time_zone="UTC")\n    region =')]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"schema": SEEN, "features": [('Number("amount")', 'Number("seen")')]},
            "features.py: FEATURES has Number(column='seen'), but seen is of dtype Datetime(time_unit='us', "
            'time_zone=\'UTC\'): expected an integer, Float, Decimal or Boolean; write Hour("seen", "UTC") or '
            'Weekday("seen", "UTC") or Month("seen", "UTC")',
        ),
        (
            {"features": [("import Category", "import Weekday, Category"), ('Number("age")', 'Weekday("at", "Mars")')]},
            "features.py: FEATURES has Weekday(column='at', zone='Mars') in the unknown time zone 'Mars': expected one",
        ),
        (
            {"schema": [("member = dy.Bool(nullable=False)", "member = dy.Object(nullable=True)")]},
            "schema.py: member is a dy.Object: expected a type that JSON and Parquet have, as dy.String",
        ),
        (
            {"schema": [("    churned =", "    age = dy.Int32(nullable=False)\n    churned =")]},
            "schema.py: age is Int16 in Row and Int32 in Labelled: expected the same dtype in both",
        ),
        (
            {
                "schema": [
                    ("import polars as pl", "import polars as pl\n\nfrom penumbra.features import NotAbove"),
                    ("EXAMPLE =", 'CHECKS = (NotAbove("region", "region"),)\nEXAMPLE ='),
                ]
            },
            "schema.py: CHECKS has NotAbove(column='region', other='region'), but region is of dtype Enum(",
        ),
    ],
    ids=["a number of a time", "an unknown zone", "an object", "another dtype in Labelled", "an order of an Enum"],
)
def test_a_problem_whose_inputs_could_differ_when_served_is_refused_with_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(ProblemError) as refused:
        load_orders(tmp_path, **changes)
    assert sentence in str(refused.value)
