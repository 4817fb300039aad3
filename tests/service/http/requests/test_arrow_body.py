"""Lists as Arrow: the same records as in JSON, within the same limits, and clear words for what is none."""

import datetime as dt
import io
import json
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.client.tables import concatenate_answers, decode_answers
from service.http.refusals import RequestRefused
from service.http.requests.arrow_answers import accepts_arrow, encode_arrow
from service.http.requests.arrow_body import encode_frame, read_arrow_body
from service.http.requests.record_reader import Contract
from service.inference.pipeline import try_call
from tests.helpers.problems.generated_problems import RequestMaker, draw_schema
from tests.helpers.servers.local_service import PROBLEM

SCHEMA = PROBLEM.schema
CONTRACT = Contract(SCHEMA.Row, SCHEMA.CHECKS, SCHEMA.EXAMPLE, 100)
EXAMPLES = [*CONTRACT.parse_batch(json.dumps([SCHEMA.EXAMPLE] * 3).encode())]
FRAME = CONTRACT.to_frame(EXAMPLES)
MAX_BYTES = 100_000


def write_stream(frame: pl.DataFrame, **options: Any) -> bytes:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream, **{"compression": "uncompressed", **options})
    return stream.getvalue()


def write_pyarrow(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def refuse(frame: pl.DataFrame) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        CONTRACT.parse_arrow(write_stream(frame), MAX_BYTES)
    return caught.value


@pytest.mark.parametrize("write", [write_stream, lambda frame: write_pyarrow(frame.to_arrow())])
def test_a_frame_is_read_as_its_records(write: Callable[[pl.DataFrame], bytes]) -> None:
    assert [*CONTRACT.parse_arrow(write(FRAME), MAX_BYTES)] == EXAMPLES


@pytest.mark.parametrize(
    "change",
    [
        pl.col("carrier").cast(pl.String),
        pl.col("carrier").cast(pl.String).cast(pl.Categorical),
        pl.col("flight").cast(pl.UInt64),
        pl.col("temp").cast(pl.Float64),
        pl.col("time_hour").dt.convert_time_zone("Asia/Kathmandu"),
        pl.col("time_hour").cast(pl.Datetime("ns", "UTC")),
        pl.col("visib").cast(pl.Int8),
    ],
)
def test_other_dtypes_of_the_same_values_are_taken(change: pl.Expr) -> None:
    records = CONTRACT.parse_arrow(write_stream(FRAME.with_columns(change)), MAX_BYTES)
    assert CONTRACT.to_frame(records).equals(FRAME)


def test_columns_that_may_be_null_may_be_left_out_and_come_in_any_order() -> None:
    frame = FRAME.drop("temp").select(sorted(FRAME.drop("temp").columns))
    assert [record["temp"] for record in CONTRACT.parse_arrow(write_stream(frame), MAX_BYTES)] == [None] * 3


@pytest.mark.parametrize(
    ("change", "field", "index", "expected"),
    [
        (pl.col("flight") + 0.5, "flight", 0, "integer"),
        (pl.col("temp").cast(pl.String), "temp", 0, "number"),
        (pl.when(pl.int_range(3) == 1).then(pl.lit("ZZ")).otherwise(pl.lit("UA")).alias("carrier"), "carrier", 1, "UA"),
        (pl.when(pl.int_range(3) == 2).then(float("nan")).otherwise(1.0).alias("temp"), "temp", 2, "finite"),
        (pl.when(pl.int_range(3) == 2).then(float("inf")).otherwise(1.0).alias("temp"), "temp", 2, "finite"),
        (
            pl.col("time_hour").cast(pl.Datetime("ns", "UTC")) + pl.duration(nanoseconds=1),
            "time_hour",
            0,
            "microsecond",
        ),
        (pl.col("time_hour").dt.replace_time_zone(None), "time_hour", 0, "time"),
        (pl.lit(None, pl.Int32).alias("flight"), "flight", 0, "integer"),
        (pl.lit("red").alias("colour"), "colour", 0, "no"),
    ],
)
def test_a_value_that_is_none_of_the_contract_is_named_by_row_and_column(
    change: pl.Expr, field: str, index: int, expected: str
) -> None:
    refused = refuse(FRAME.with_columns(change))
    assert refused.status == 422
    fault = refused.details[0]
    assert (fault["field"], fault["index"]) == (field, index)
    assert expected in fault["expected"]


def test_what_json_would_be_told_is_told_in_the_same_words() -> None:
    with pytest.raises(RequestRefused) as by_json:
        CONTRACT.parse_batch(json.dumps([SCHEMA.EXAMPLE, {**SCHEMA.EXAMPLE, "temp": 300.0}]).encode())
    frame = FRAME.head(2).with_columns(temp=pl.Series([SCHEMA.EXAMPLE["temp"], 300.0]))
    assert refuse(frame).encode_body() == by_json.value.encode_body()


def test_a_column_that_the_contract_lacks_is_counted_in_every_row_as_in_json() -> None:
    body = json.dumps([{**SCHEMA.EXAMPLE, "shoe_size": 42}] * 3).encode()
    with pytest.raises(RequestRefused, match="3 of 3 records break the contract") as by_json:
        CONTRACT.parse_batch(body)
    refused = refuse(FRAME.with_columns(shoe_size=pl.lit(42)))
    assert refused.encode_body() == by_json.value.encode_body()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (write_stream(pl.concat([FRAME] * 40)), 413, "120 records in one request"),
        (write_stream(FRAME.clear()), 422, "the list is empty"),
        (write_stream(FRAME.with_columns(dest=pl.lit("x" * 50_000))), 413, "bytes as text"),
        (write_pyarrow(pa.table({"n": pa.nulls(10**9)})), 413, "1,000,000,000 records"),
        (write_stream(FRAME, compression="zstd"), 400, "a batch is compressed"),
        (write_stream(FRAME, compression="lz4"), 400, "a batch is compressed"),
        (b"", 400, "no valid Arrow"),
        (b"[]", 400, "no message begins at byte 0"),
        *(
            (body, 400, "without compression: its messages refer to what is beyond")
            for body in [b"\xff" * 100, b"\xff" * 6]
        ),
        (json.dumps([SCHEMA.EXAMPLE]).encode(), 400, "no message begins at byte 0"),
        (write_stream(FRAME)[:300], 400, "Arrow IPC stream"),
        (write_pyarrow(pa.table({"l": pa.array([[None] * 1000], pa.list_(pa.null()))})), 400, "a list is of nothing"),
    ],
)
def test_what_is_too_large_or_no_stream_is_refused_with_a_sentence(body: bytes, status: int, words: str) -> None:
    with pytest.raises(RequestRefused, match=words) as caught:
        CONTRACT.parse_arrow(body, MAX_BYTES)
    assert caught.value.status == status


def test_values_that_share_their_bytes_count_each() -> None:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 90, pa.int8()), pa.array(["x" * 5000]))
    body = write_pyarrow(pa.table({"dest": shared}))
    assert len(body) < 10_000
    with pytest.raises(RequestRefused, match="bytes as text"):
        CONTRACT.parse_arrow(body, MAX_BYTES)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 255), st.integers(0, 5000))
def test_whatever_byte_has_changed_it_is_read_or_refused(position: int, byte: int, cut: int) -> None:
    body = bytearray(write_stream(FRAME))
    body[position % len(body)] = byte
    for each in (bytes(body), bytes(body[: cut % len(body)])):
        outcome = try_call(CONTRACT.parse_arrow, each, MAX_BYTES)
        refused = isinstance(outcome, RequestRefused) and outcome.status in (400, 413, 422)
        assert refused or (isinstance(outcome, Sequence) and len(outcome) <= 100)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_the_contract_a_frame_of_it_is_read_as_the_same_values(draw: random.Random) -> None:
    row = draw_schema(draw)
    contract, requests, records = Contract(row, (), {}, 100), RequestMaker(row), list[Any]()
    for _ in range(6):
        try:
            records.append(contract.parse_one(requests.draw_record(draw, 0).encode("utf-8", "surrogatepass")))
        except RequestRefused:
            continue
    if records:
        frame = contract.to_frame(records)
        assert contract.to_frame(contract.parse_arrow(write_stream(frame), 10**7)).equals(frame)


def test_rows_after_a_chunk_without_rows_are_encoded_as_well() -> None:
    days = pl.concat([pl.DataFrame({"day": [day, day]}) for day in range(3)])
    kept = days.lazy().filter(pl.col("day") != 1).collect()
    assert json.loads(encode_frame(kept, "nothing was predicted")) == [{"day": day} for day in (0, 0, 2, 2)]


def test_answers_become_a_table_that_others_read() -> None:
    answers = [
        {"prediction_id": "a-0", "probability": 0.5, "decision": True, "model_version": "1"},
        {"prediction_id": "a-1", "probability": 0.25, "decision": False, "model_version": "1", "rules": ["cold"]},
    ]
    table = pa.ipc.open_stream(encode_arrow(answers)).read_all()
    assert table.column("probability").to_pylist() == [0.5, 0.25]
    assert table.column("rules").to_pylist() == [None, ["cold"]]


def test_numbers_of_32_bits_keep_their_value() -> None:
    frame = pl.DataFrame({"a": pl.Series([0.1], dtype=pl.Float32), "d": [dt.timedelta(days=-1, seconds=1)]})
    assert encode_frame(frame, "") == b'[{"a":0.10000000149011612,"d":"-P0DT86399.000000S"}]'
    assert read_arrow_body(write_stream(frame), 1, 100).equals(frame)


def test_a_column_that_is_there_twice_is_named() -> None:
    table = pa.table([[1], [2]], names=["temp", "temp"])
    with pytest.raises(RequestRefused, match="the column 'temp' is there twice"):
        read_arrow_body(write_pyarrow(table), 10, 10_000)


def test_decimals_with_more_digits_than_a_number_keeps_are_text() -> None:
    exact, whole = Decimal("-457731043698664.6"), Decimal(12345678901234567890)
    frame = pl.DataFrame({"a": [exact], "b": [whole]}, {"a": pl.Decimal(16, 1), "b": pl.Decimal(20, 0)})
    assert json.loads(encode_frame(frame, "")) == [{"a": str(exact), "b": str(whole)}]


def test_decimals_are_numbers() -> None:
    frame = pl.DataFrame(
        {"a": [Decimal("55.5"), None], "b": [Decimal(3), Decimal(4)]}, {"a": pl.Decimal(9, 2), "b": pl.Decimal(38, 0)}
    )
    assert json.loads(encode_frame(frame, "")) == [{"a": 55.5, "b": 3}, {"a": None, "b": 4}]


def test_values_of_features_are_text_in_whatever_part_they_are() -> None:
    def answer(*values: Any) -> bytes:
        attributions = [{"feature": "f", "value": value, "attribution": 0.5} for value in values]
        return encode_arrow([{"prediction_id": "a", "explanation": {"attributions": attributions}}])

    parts = [decode_answers(pa.table({}), answer(*values))[0] for values in [(1.5, 2), ("a", True), (None,)]]
    rows = concatenate_answers(pa.table({}), parts).to_pylist()
    values = [[each["value"] for each in row["explanation"]["attributions"]] for row in rows]
    assert values == [["1.5", "2"], ["a", "true"], [None]]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/vnd.apache.arrow.stream", True),
        ("Application/Vnd.Apache.Arrow.STREAM;q=0.5, */*", True),
        ("application/json, application/vnd.apache.arrow.stream ; q=0", False),
        ("application/vnd.apache.arrow.stream;q=0.00", False),
        ("application/vnd.apache.arrow.streams, */*", False),
    ],
)
def test_arrow_is_answered_where_it_is_accepted(accept: str, expected: bool) -> None:
    assert accepts_arrow([(b"accept", accept.encode())]) is expected
    assert not accepts_arrow([])


@pytest.mark.parametrize(
    ("dtype", "too_early", "too_late"),
    [
        (pl.Date, -719_163, 2_932_897),
        (pl.Datetime("ms"), -62_135_596_800_001, 253_402_300_800_000),
        (pl.Datetime("us", "UTC"), -(2**63), 2**63 - 1),
    ],
)
def test_a_time_of_no_year_that_there_is_is_named(dtype: Any, too_early: int, too_late: int) -> None:
    values = pl.Series("a", [0, too_early, None, too_late]).cast(dtype)
    with pytest.raises(RequestRefused) as caught:
        encode_frame(pl.DataFrame([values]), "nothing was predicted")
    assert [(fault["index"], fault["expected"]) for fault in caught.value.details] == [
        (row, "a time within the years 1 to 9999") for row in (1, 3)
    ]
