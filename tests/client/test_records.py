"""What values of Python, NumPy and pandas become in requests, and which can't be sent."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from penumbra.client import Client, InvalidRecord, RetryPolicy
from penumbra.client.operations import Operations
from penumbra.client.records import encode_record
from penumbra.client.tables import split_table


def test_numpys_scalars_are_values_and_nan_is_null() -> None:
    record: dict[str, Any] = {"a": np.float64(1.5), "b": np.int32(2), "c": float("nan"), "d": np.bool_(True)}
    assert encode_record(record) == b'{"a":1.5,"b":2,"c":null,"d":true}'
    with pytest.raises(InvalidRecord, match="none of JSON"):
        encode_record({"a": object()})
    with pytest.raises(InvalidRecord, match="none of JSON"):
        encode_record({"a": np.array([1, 2])})


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, np.float32("inf"), Decimal("Infinity"), Decimal("NaN"), [math.inf]]
)
def test_infinity_is_refused_and_not_sent_as_null(value: Any) -> None:
    with pytest.raises(InvalidRecord, match="expected a finite number"):
        encode_record({"name": "NaN", "temp": value})
    with pytest.raises(InvalidRecord, match="record 2: temp is"):
        list(Operations(RetryPolicy(), 10, 1000).split([{}, {}, {"temp": value}]))


class Broken:
    """A value of a type that fails by itself."""

    size = 1

    def item(self) -> None:
        raise KeyError("gone")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\ud800", r"the text 'a\\ud800': expected characters that UTF-8 has"),
        (["\ud800"], r"the text '\\ud800'"),
        (np.longdouble(0.1), "of type longdouble, which is none of JSON"),
        (np.timedelta64(3, "M"), "a value that can't be said in JSON"),
        (Broken(), "a value that can't be said in JSON: 'gone'"),
    ],
)
def test_a_value_that_can_not_be_said_in_json_is_an_invalid_record(value: Any, said: str) -> None:
    for record in ({"temp": value}, {"temp": value, "dest": None}):
        with pytest.raises(InvalidRecord, match=said):
            encode_record(record)
    with pytest.raises(InvalidRecord, match=f"record 1: a record has {'the text' if 'text' in said else ''}"):
        list(Operations(RetryPolicy(), 10, 1000).split([{}, {"temp": value}]))


@pytest.mark.parametrize("record", [None, 3, "temp", [{"temp": 3}], "ä" * 100])
def test_what_is_no_object_isnt_sent(record: Any) -> None:
    with pytest.raises(InvalidRecord, match=r"the record is .*: expected an object with its values by column"):
        encode_record(record)
    with pytest.raises(InvalidRecord, match="record 1: the record is"):
        list(Operations(RetryPolicy(), 10, 1000).split([{}, record]))


def test_a_table_with_pythons_objects_isnt_sent() -> None:
    table = pl.DataFrame({"a": [1], "b": pl.Series([object()], dtype=pl.Object)})
    with (
        Client("http://127.0.0.1:1") as client,
        pytest.raises(InvalidRecord, match="the columns b are Python's objects"),
    ):
        client.predict_table(table)


def test_words_for_what_is_no_number_are_text() -> None:
    assert encode_record({"a": "Infinity", "b": None, "c": "NaN"}) == b'{"a":"Infinity","b":null,"c":"NaN"}'


def test_decimals_are_numbers_and_numpys_times_are_times() -> None:
    record = {"a": Decimal("55.50"), "b": np.datetime64("2013-04-01T05:00:00", "ns"), "c": np.datetime64("2013-04-01")}
    assert encode_record(record) == b'{"a":55.50,"b":"2013-04-01T05:00:00","c":"2013-04-01"}'
    with pytest.raises(InvalidRecord, match="finer than a microsecond"):
        encode_record({"a": np.datetime64("2013-04-01T05:00:00.000000001", "ns")})


def test_times_of_pandas_are_times_and_what_it_calls_missing_is_null() -> None:
    when, took = pd.Timestamp("2013-04-01T05:00:00.5"), pd.Timedelta(minutes=90)
    record = {"a": when, "b": when.tz_localize("Europe/Berlin"), "c": took, "d": pd.NaT, "e": pd.NA}
    plain = {"a": when.to_pydatetime(), "b": record["b"].to_pydatetime(), "c": took.to_pytimedelta()}
    assert encode_record(record) == encode_record({**plain, "d": None, "e": None})
    assert encode_record({"a": np.datetime64("NaT", "ns"), "b": np.timedelta64("NaT")}) == b'{"a":null,"b":null}'
    for value in (when + pd.Timedelta(1, "ns"), took + pd.Timedelta(1, "ns")):
        with pytest.raises(InvalidRecord, match="finer than a microsecond"):
            encode_record({"a": value})


def test_records_of_a_frame_of_pandas_are_those_of_its_rows() -> None:
    frame = pd.DataFrame(
        {"t": pd.to_datetime(["2013-04-01", None]), "n": pd.array([1, None], "Int64"), "x": [0.5, None]}
    )
    lines = [encode_record(record) for record in frame.to_dict("records")]
    assert lines == [b'{"t":"2013-04-01T00:00:00","n":1,"x":0.5}', b'{"t":null,"n":null,"x":null}']


def test_an_index_of_pandas_is_sent_if_it_has_a_name() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})[[False, True, True]]
    (part,) = split_table(pa.Table.from_pandas(frame), 10)
    assert (part.table.column_names, part.n_records) == (["n"], 2)
    (part,) = split_table(pa.Table.from_pandas(frame.rename_axis("flight")), 10)
    assert part.table.column_names == ["n", "flight"]
    (part,) = split_table(pa.table({"__index_level_0__": [1]}), 10)
    assert part.table.column_names == ["__index_level_0__"]
