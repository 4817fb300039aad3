"""The check of a batch's rows: what can't be read is rejected, and says which column and what was there."""

import datetime as dt

import polars as pl
import pytest

from penumbra.core.columns import BROKEN_RULES_COLUMN
from penumbra.data.source_reader import BatchRefused
from tests.helpers.problems.orders import open_orders_store

ORDER = {
    "order_id": "7",
    "at": "2024-03-01T12:00:00",
    "region": "west",
    "amount": "20.5",
    "age": "40",
    "member": "true",
    "churned": "false",
}
CONVERSIONS = """CONVERSIONS = [
    pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False),
    *(pl.col(name) == "true" for name in ("member", "churned")),
]
"""
DAY = ("amount = dy", "joined = dy.Date(nullable=True)\n    amount = dy")
OWN_CONVERSION = 'CONVERSIONS = [pl.col("joined").str.to_date("%d.%m.%Y", strict=False)]\n'


def make_files(*orders):
    lines = [",".join(orders[0]), *(",".join(order.values()) for order in orders)]
    return {"orders.csv": ("\n".join(lines) + "\n").encode()}


def open_store(folder, conversions="", **changes):
    """A store of orders without conversions, or with these."""
    return open_orders_store(folder, **{"source": [(CONVERSIONS, conversions)], **changes})


def stage(store, *changes):
    """Stage an order for each, with other values; return the rows that are kept, and the rejected ones."""
    orders = [{**ORDER, "order_id": str(number), **change} for number, change in enumerate(changes, 1)]
    store.stage("march", make_files(*orders))
    store.admit(["march"])
    return store.rows("march"), store.quarantine("march")


def test_text_of_every_column_is_converted_without_a_conversion_of_the_users(tmp_path):
    rows, rejected = stage(open_store(tmp_path), {}, {"member": "0", "churned": "", "amount": ""})
    assert rows["member"].to_list() == [True, False]
    assert rows["churned"].to_list() == [False, None]
    assert rejected.is_empty()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("member", "maybe"),
        ("churned", "maybe"),
        ("age", "19.9"),
        ("age", "99999"),
        ("age", ""),
        ("amount", "1,000.5"),
        ("at", "31.01.2024"),
        ("region", "east"),
        ("order_id", "seven"),
    ],
)
def test_a_value_that_cannot_be_read_is_quarantined_with_its_column_and_as_it_was(tmp_path, column, value):
    value = f'"{value}"' if "," in value else value
    rows, rejected = stage(open_store(tmp_path), {}, {column: value})
    assert rows["order_id"].to_list() == [1]
    assert rejected[BROKEN_RULES_COLUMN].to_list() == [[f"{column}|{'dtype' if value else 'nullability'}"]]
    assert rejected[column].to_list() == [value.strip('"') or None]


def test_the_fraction_of_a_number_in_a_frame_is_not_cut(tmp_path):
    store = open_store(tmp_path)
    parse = store.problem.source.parse
    store.problem.source.parse = lambda files: parse(files).with_columns(pl.col("age").cast(pl.Float64))
    rows, rejected = stage(store, {"age": "19.0"}, {"age": "19.9"})
    assert rows["age"].to_list() == [19]
    assert (rejected[BROKEN_RULES_COLUMN].to_list(), rejected["age"].to_list()) == ([["age|dtype"]], [19.9])


def test_a_list_with_an_unreadable_inner_value_is_quarantined_as_it_was(tmp_path):
    sizes = ("amount = dy", "sizes = dy.List(dy.Int64(nullable=True), nullable=True)\n    amount = dy")
    store = open_store(tmp_path, schema=[sizes])
    parse = store.problem.source.parse
    store.problem.source.parse = lambda files: parse(files).with_columns(
        sizes=pl.concat_list(pl.col("age").cast(float))
    )
    rows, rejected = stage(store, {"age": "19"}, {"age": "19.5"})
    assert rows["sizes"].to_list() == [[19]]
    assert rejected[BROKEN_RULES_COLUMN].to_list() == [["sizes|dtype", "age|dtype"]]
    assert rejected["sizes"].to_list() == [[19.5]]


def test_a_value_that_a_conversion_makes_null_is_quarantined_though_the_column_may_be_null(tmp_path):
    store = open_store(tmp_path, OWN_CONVERSION, schema=[DAY])
    rows, rejected = stage(store, {"joined": "31.01.2024"}, {"joined": "31.31.2024"}, {"joined": ""})
    assert rows["joined"].to_list() == [dt.date(2024, 1, 31), None]
    assert (rejected[BROKEN_RULES_COLUMN].to_list(), rejected["joined"].to_list()) == (
        [["joined|dtype"]],
        ["31.31.2024"],
    )


def test_a_conversion_that_makes_a_column_of_others_is_judged_by_those(tmp_path):
    made = 'CONVERSIONS = [pl.col("joined_on").str.to_date("%d.%m.%Y", strict=False).alias("joined")]\n'
    store = open_store(tmp_path, made, schema=[DAY])
    rows, rejected = stage(store, {"joined_on": "31.01.2024"}, {"joined_on": "31.31.2024"}, {"joined_on": ""})
    assert rows["joined"].is_null().to_list() == [False, True]
    assert (rejected[BROKEN_RULES_COLUMN].to_list(), rejected["joined_on"].to_list()) == (
        [["joined|dtype"]],
        ["31.31.2024"],
    )


@pytest.mark.parametrize(
    "made",
    [
        'pl.col("^joined_.*$").str.to_date("%d.%m.%Y", strict=False).alias("joined")',
        'pl.selectors.starts_with("joined_").str.to_date("%d.%m.%Y", strict=False).name.replace("_on", "")',
        'pl.coalesce(pl.col("^joined_.*$")).str.to_date("%d.%m.%Y", strict=False).alias("joined")',
    ],
)
def test_a_conversion_that_makes_a_column_of_those_that_a_selector_chooses_is_judged_by_them(tmp_path, made):
    store = open_store(tmp_path, f"CONVERSIONS = [{made}]\n", schema=[DAY])
    rows, rejected = stage(store, {"joined_on": "31.01.2024"}, {"joined_on": "31.31.2024"}, {"joined_on": ""})
    assert rows["joined"].is_null().to_list() == [False, True]
    assert rejected["joined_on"].to_list() == ["31.31.2024"]


def test_a_conversion_that_keeps_the_name_of_its_column_is_judged_by_it(tmp_path):
    kept = 'CONVERSIONS = [pl.col("amount").alias("a").cast(pl.Float64, strict=False).name.keep()]\n'
    rows, rejected = stage(open_store(tmp_path, kept), {}, {"amount": "x"})
    assert rows["amount"].to_list() == [20.5]
    assert (rejected[BROKEN_RULES_COLUMN].to_list(), rejected["amount"].to_list()) == ([["amount|dtype"]], ["x"])


def test_a_column_that_a_conversion_makes_of_no_other_is_judged_by_itself(tmp_path):
    made = ("amount = dy", "fee = dy.Float64(nullable=True)\n    amount = dy")
    rows, rejected = stage(open_store(tmp_path, 'CONVERSIONS = [pl.lit("1.5").alias("fee")]\n', schema=[made]), {})
    assert (rows["fee"].to_list(), rejected.is_empty()) == ([1.5], True)


def test_a_format_that_never_reads_is_told_with_the_remedy(tmp_path):
    words = (
        r"100.0% of its rows .*; no value of joined can be read, the first is '31.01.2024': expected a date such as "
        r"2024-03-01; convert the column in CONVERSIONS of orders_\d+/source.py"
    )
    with pytest.raises(BatchRefused, match=words):
        stage(open_store(tmp_path, schema=[DAY]), {"joined": "31.01.2024"}, {"joined": "01.02.2024"})


def test_times_without_zone_in_a_frame_are_refused_where_the_column_has_one(tmp_path):
    zoned = [("at = dy.Datetime(nullable=False)", 'at = dy.Datetime(nullable=False, time_zone="UTC")')]
    own = 'CONVERSIONS = [pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)]\n'
    with pytest.raises(BatchRefused, match=r"no value of at can be read, .*expected a time with offset, such as 2024"):
        stage(open_store(tmp_path, own, schema=zoned), {})


def test_conversions_that_fail_are_told_with_the_remedy(tmp_path):
    own = 'CONVERSIONS = [pl.col("at").str.to_datetime("%d.%m.%Y")]\n'
    with pytest.raises(BatchRefused, match=r"CONVERSIONS of .* fail: .*strict=False has unreadable values quarantined"):
        stage(open_store(tmp_path, own), {})


def test_a_feature_that_fails_for_a_row_is_named_with_the_remedy(tmp_path):
    checked = "code = dy.String(check=lambda column: column.str.len_chars() == 2)"
    store = open_orders_store(
        tmp_path,
        schema=[
            ("    region =", f"    {checked}\n    region ="),
            ('"region": "west"', '"code": "12", "region": "west"'),
        ],
        features=[
            ("import Category, Feature, Number", "import Category, Expression, Feature, Number"),
            ('Number("age"))', 'Number("age"), Expression("number", pl.col("code").cast(pl.Int64), Row))'),
            ('"""The model\'s inputs."""', '"""The inputs."""\n\nimport polars as pl\n\nfrom .schema import Row'),
        ],
    )
    words = r"batch march refused: the feature number can't be computed: InvalidOperationError: .*\"x2\".*strict=False"
    with pytest.raises(BatchRefused, match=words):
        stage(store, {"code": "12"}, {"code": "x2"})


def test_a_rule_that_fails_on_the_rows_of_a_batch_is_told_by_name(tmp_path):
    rule = "    @dy.rule()\n    def spelt(cls):\n        return pl.col('note').str.to_integer() > 1\n"
    noted = [("    amount = dy", f"    note = dy.String(nullable=True)\n{rule}    amount = dy")]
    words = (
        r"batch march refused: the rule 'spelt' fails on the columns of Labelled: ComputeError: .*strict=False gives"
    )
    with pytest.raises(BatchRefused, match=words):
        stage(open_store(tmp_path, schema=noted), {"note": "two"})


def test_a_rule_without_a_value_for_each_row_is_refused_though_no_row_breaks_it(tmp_path):
    rule = "    @dy.rule()\n    def first(cls):\n        return pl.col('order_id').unique() > 0\n"
    store = open_store(tmp_path, schema=[("    amount = dy", f"{rule}    amount = dy")])
    with pytest.raises(BatchRefused, match=r"the rule 'first' gives 2 values for 3 rows: expected one for each row"):
        stage(store, {"order_id": "1"}, {"order_id": "1"}, {"order_id": "2"})


def test_a_repeated_key_is_not_said_of_rows_whose_key_cannot_be_read(tmp_path):
    store = open_orders_store(tmp_path, bad_row_share=1, source=[(CONVERSIONS, "")])
    _, rejected = stage(store, {}, {}, {"order_id": "x"}, {"order_id": "y"}, {"order_id": "1"})
    assert rejected[BROKEN_RULES_COLUMN].to_list() == [
        ["primary_key"],
        ["order_id|dtype"],
        ["order_id|dtype"],
        ["primary_key"],
    ]


def test_the_counts_and_the_share_are_those_of_the_rejected_rows(tmp_path):
    store = open_store(tmp_path)
    orders = [{**ORDER, "order_id": str(n), "age": "19.9" if n < 3 else "40"} for n in range(10)]
    result = store.stage("march", make_files(*orders))
    assert str(result) == "march: 10 rows, 3 of them quarantined (order_id|min 1, age|dtype 3)"
    assert (result.rejected, store.quarantine("march").height) == (3, 3)


def test_a_batch_of_bad_rows_only_is_quarantined_whole_where_that_is_allowed(tmp_path):
    store = open_orders_store(tmp_path, bad_row_share=1, source=[(CONVERSIONS, "")])
    rows, rejected = stage(store, {"age": "old"})
    assert (rows.height, rejected.height) == (0, 1)
