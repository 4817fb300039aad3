"""Values of every dtype are in a CSV file, in a form that can be read."""

import datetime as dt
import decimal
import io
import json

import polars as pl
import pytest

from flows.steps.score.outputs.csv_texts import make_texts

HOUR = dt.timedelta(hours=1)
MOMENT = dt.datetime(2013, 3, 15, 19)


@pytest.mark.parametrize(
    ("values", "dtype", "text"),
    [
        ([b"\x00\xff", None], pl.Binary, "AP8="),
        ([HOUR, None], pl.Duration("us"), "PT1H"),
        ([MOMENT, None], pl.Datetime("us", "UTC"), "2013-03-15T19:00:00Z"),
        ([MOMENT, None], pl.Datetime("ms"), "2013-03-15T19:00:00"),
        ([dt.time(1, 2, 3), None], pl.Time, "01:02:03.000000000"),
        ([dt.date(2013, 3, 15), None], pl.Date, "2013-03-15"),
        ([decimal.Decimal("1.5"), None], pl.Decimal(10, 2), "1.50"),
        (["a", None], pl.Categorical, "a"),
        (["a", None], pl.Enum(["a"]), "a"),
        ([1, None], pl.Int128, "1"),
        ([True, None], pl.Boolean, "true"),
        ([None, None], pl.Null, ""),
        ([["a", "b"], None], pl.List(pl.String), "a b"),
    ],
)
def test_a_plain_value_is_a_text(values, dtype, text):
    assert read_back(pl.DataFrame({"x": pl.Series(values, dtype=dtype)})) == [text, ""]


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([b"a", None], pl.List(pl.Binary), ["YQ==", None]),
        ([b"a"], pl.Array(pl.Binary, 1), ["YQ=="]),
        ([[HOUR]], pl.List(pl.List(pl.Duration("us"))), [["PT1H"]]),
        ({"a": HOUR}, pl.Struct({"a": pl.Duration("us")}), {"a": "PT1H"}),
        ({"a": [b"a"]}, pl.Struct({"a": pl.List(pl.Binary)}), {"a": ["YQ=="]}),
        ([{"a": b"a"}, None], pl.List(pl.Struct({"a": pl.Binary})), [{"a": "YQ=="}, None]),
        ([{"a": 'é,"'}], pl.List(pl.Struct({"a": pl.String})), [{"a": 'é,"'}]),
        ([1.5], pl.Array(pl.Float64, 1), [1.5]),
    ],
)
def test_a_nested_value_is_json_whatever_is_in_it(value, dtype, expected):
    found, empty = read_back(pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)}))
    assert (json.loads(found), json.loads(empty)) == ({"x": expected}, {"x": None})


def read_back(rows: pl.DataFrame) -> list[str]:
    """The texts in a CSV file with one column."""
    file = io.BytesIO()
    make_texts(rows.with_row_index("row")).write_csv(file)
    return pl.read_csv(file.getvalue(), infer_schema=False)["x"].fill_null("").to_list()
