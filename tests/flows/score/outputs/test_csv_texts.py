"""Values of every dtype are in a CSV file, in a form that can be read."""

import datetime as dt
import decimal
import io
import json

import polars as pl
import pytest

from flows.steps.score.outputs.csv_texts import make_texts
from penumbra.core.columns import BROKEN_RULES_COLUMN
from penumbra.data.partitions.conversion import convert_column

HOUR = dt.timedelta(hours=1)
MOMENT = dt.datetime(2013, 3, 15, 19)
DEEP = pl.Struct({"raw": pl.Binary(), "times": pl.List(pl.Datetime()), "money": pl.Decimal(10, 2)})


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
        (["a", "b c"], pl.List(pl.String), ["a", "b c"]),
        ([], pl.List(pl.String), []),
        ({"a": HOUR}, pl.Struct({"a": pl.Duration("us")}), {"a": "PT1H"}),
        ({"a": [b"a"]}, pl.Struct({"a": pl.List(pl.Binary)}), {"a": ["YQ=="]}),
        ([{"a": b"a"}, None], pl.List(pl.Struct({"a": pl.Binary})), [{"a": "YQ=="}, None]),
        ([{"a": 'é,"'}], pl.List(pl.Struct({"a": pl.String})), [{"a": 'é,"'}]),
        ([1.5], pl.Array(pl.Float64, 1), [1.5]),
    ],
)
def test_a_nested_value_is_json_whatever_is_in_it(value, dtype, expected):
    found, empty = read_back(pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)}))
    assert (json.loads(found), empty) == (expected, "")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (b"\x01\xff", pl.Binary()),
        (["a", "b c"], pl.List(pl.String())),
        ([], pl.List(pl.String())),
        ([b"\x01\xff", None], pl.Array(pl.Binary(), 2)),
        ({"raw": b"\x01\xff", "times": [MOMENT], "money": decimal.Decimal("1.50")}, DEEP),
    ],
)
def test_the_contract_reads_a_value_back_as_it_was(value, dtype):
    texts = read_back(pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)}))
    read = convert_column(pl.Series([text or None for text in texts]), dtype)
    assert (read.dtype, read.to_list()) == (dtype, [value, None])


def test_the_rules_that_a_row_breaks_have_blanks_between_them():
    assert make_texts(pl.DataFrame({BROKEN_RULES_COLUMN: [["a|min", "b"]]})).item() == "a|min b"


def read_back(rows: pl.DataFrame) -> list[str]:
    """The texts in a CSV file with one column."""
    file = io.BytesIO()
    make_texts(rows.with_row_index("row")).write_csv(file)
    return pl.read_csv(file.getvalue(), infer_schema=False)["x"].fill_null("").to_list()
