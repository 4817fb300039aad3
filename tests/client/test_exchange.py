"""How often, after how long and until when a request is sent again: by the clock alone, without a service."""

import datetime as dt
import math
import subprocess
import sys
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.client import (
    AsyncClient,
    Client,
    InvalidRecord,
    InvalidRequest,
    KeyConflict,
    NotPermitted,
    RetryPolicy,
    ServiceFailed,
    ServiceOverloaded,
    ServiceUnavailable,
    ServiceUnreachable,
    TooLarge,
    UnknownId,
)
from penumbra.client.exchange import Exchange
from penumbra.client.operations import Operations, RecordPart
from penumbra.client.records import encode_record
from penumbra.client.tables import ArrowPart, split_table

PROBLEM = b'{"error":"it is broken","details":[{"index":1,"field":"temp","value":"warm","expected":"a number"}]}'


def make_exchange(**policy: float) -> Exchange[bytes]:
    return Exchange("POST", "/predict", bytes, RetryPolicy(**policy))


@pytest.mark.parametrize("value", ["yes", "", None, 2])
def test_an_option_that_is_neither_true_nor_false_is_refused_before_anything_is_sent(value: Any) -> None:
    with (
        Client("http://x") as client,
        pytest.raises(ValueError, match=rf"the option explain is {value!r}: expected True"),
    ):
        client.predict({"temp": 1.0}, explain=value)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_pass_is_sent_again(status: int) -> None:
    wait, result = make_exchange().read(status, {}, PROBLEM)
    assert wait is not None
    assert 0 <= wait <= 0.1
    assert result is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequest),
        (401, NotPermitted),
        (409, KeyConflict),
        (413, TooLarge),
        (418, ServiceFailed),
        (421, NotPermitted),
        (422, InvalidRequest),
        (500, ServiceFailed),
    ],
)
def test_what_stays_as_it_is_raises_at_once(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="it is broken"):
        make_exchange().read(status, {}, PROBLEM)


def test_waits_grow_up_to_the_longest() -> None:
    exchange = make_exchange(first_wait_seconds=1, max_wait_seconds=4, deadline_seconds=1e9)
    waits = [exchange.compute_wait(httpx.ConnectError("refused")) for _ in range(200)]
    assert waits[0] <= 1
    assert waits[1] <= 2
    assert 3 < max(waits) <= 4


def test_the_services_wish_is_heeded_as_seconds_or_as_a_date() -> None:
    wait, _ = make_exchange().read(429, {"retry-after": "7"}, b"")
    date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20), usegmt=True)
    later, _ = make_exchange().read(503, {"retry-after": date}, b"")
    assert wait is not None
    assert later is not None
    assert 7 <= wait < 7.2
    assert 15 < later <= 20
    assert make_exchange().read(503, {"retry-after": "soon"}, b"")[0] is not None


def test_a_key_that_is_under_way_is_sent_again_and_one_of_another_request_isnt() -> None:
    assert make_exchange().read(409, {"retry-after": "1"}, PROBLEM)[0] is not None
    with pytest.raises(KeyConflict):
        make_exchange().read(409, {}, PROBLEM)


def test_no_wait_goes_beyond_the_deadline() -> None:
    exchange = make_exchange(deadline_seconds=5)
    with pytest.raises(ServiceOverloaded):
        exchange.read(429, {"retry-after": "6"}, PROBLEM)
    with pytest.raises(ServiceUnavailable):
        exchange.read(503, {"retry-after": "6"}, PROBLEM)
    assert exchange.begin_attempt() <= 5
    broken = httpx.ReadError("reset by peer")
    with pytest.raises(ServiceUnreachable, match="POST /predict: ReadError: reset by peer") as caught:
        make_exchange(deadline_seconds=0).compute_wait(broken)
    assert caught.value.__cause__ is broken


def test_an_error_says_each_fault_and_carries_it() -> None:
    with pytest.raises(InvalidRequest) as caught:
        make_exchange().read(422, {}, PROBLEM)
    assert str(caught.value) == "422: it is broken\n  record 1: temp is warm: expected a number"
    assert (caught.value.details[0].field, caught.value.details[0].index) == ("temp", 1)


FOREIGN = [
    b"<html>Bad Gateway</html>",
    b"",
    b"\xff",
    b'{"error":3}',
    b'{"error":"Not Found"}',
    b'{"detail":"Not Found"}',
]


@pytest.mark.parametrize("status", [301, 400, 404, 405, 409, 415, 422, 500, 501])
@pytest.mark.parametrize("body", FOREIGN)
def test_who_answers_in_another_form_than_the_services_is_named_by_the_address(status: int, body: bytes) -> None:
    exchange = make_exchange()
    exchange.begin("https://host/path/")
    with pytest.raises(
        ServiceFailed, match=r"POST https://host/path/predict: this is no answer of the service"
    ) as caught:
        exchange.read(status, {}, body)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("status", "error"), [(401, NotPermitted), (413, TooLarge), (414, TooLarge), (403, NotPermitted)]
)
def test_what_a_proxy_may_say_as_well_is_what_it_says(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{status}: <html>"):
        make_exchange().read(status, {}, b"<html>")


def test_an_id_is_unknown_only_where_the_service_says_so() -> None:
    with pytest.raises(UnknownId, match="it is broken"):
        make_exchange().read(404, {}, PROBLEM)


@pytest.mark.parametrize("body", FOREIGN)
def test_what_a_proxy_says_is_shown(body: bytes) -> None:
    with pytest.raises(ServiceFailed) as caught:
        make_exchange().read(500, {}, body)
    assert caught.value.error


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"\xff"])
def test_an_answer_that_isnt_the_services_is_an_error(body: bytes) -> None:
    exchange = Operations(RetryPolicy(), 10, 1000).predict({"a": 1}, None, {})
    with pytest.raises(ServiceFailed, match="no answer of the service"):
        exchange.read(200, {}, body)


@pytest.mark.parametrize(
    ("limits", "parts"),
    [((2, 10_000), [(0, 2), (2, 2), (4, 1)]), ((10, 20), [(0, 2), (2, 2), (4, 1)]), ((10, 10_000), [(0, 5)])],
)
def test_a_list_is_split_by_records_and_by_bytes(limits: tuple[int, int], parts: list[tuple[int, int]]) -> None:
    found = list(Operations(RetryPolicy(), *limits).split({"n": number} for number in range(5)))
    assert [(part.start, len(part.lines)) for part in found] == parts
    assert list(Operations(RetryPolicy(), *limits).split([])) == []


@pytest.mark.parametrize("size", [12, 20, 31, 64])
def test_no_part_is_larger_than_the_service_takes(size: int) -> None:
    operations = Operations(RetryPolicy(), 1000, size)
    sender = operations.predict_parts("k", {})
    bodies = [sender.make_exchange(part).body for part in operations.split([{"n": n} for n in range(40)])]
    assert max(map(len, bodies)) <= size
    assert sum(body.count(b"n") for body in bodies) == 40


def make_requests(n_records: int, max_records: int, key: str = "my list", first: int = 0) -> dict[str, Any]:
    """The requests of a list: what the service compares, by idempotency key."""
    operations = Operations(RetryPolicy(), max_records, 1000)
    sender = operations.predict_parts(key, {})
    made = [sender.make_exchange(part) for part in operations.split({"n": first + n} for n in range(n_records))]
    return {each.headers["idempotency-key"]: (each.headers.get("content-range"), each.body) for each in made}


def test_a_list_in_one_request_has_the_key_as_it_is_given_and_parts_say_which_they_are() -> None:
    assert make_requests(1, 2) == {"my list": (None, b'[{"n":0}]')}
    assert make_requests(3, 2) == {
        "my list": ("records 0-1/*", b'[{"n":0},{"n":1}]'),
        "my list#2": ("records 2-2/3", b'[{"n":2}]'),
    }


lists = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["my list"]), st.integers(0, 1))


@given(lists, lists)
def test_a_key_that_comes_again_with_another_list_or_in_other_parts_is_refused_before_anything_new_is_predicted(
    before: tuple[int, int, str, int], now: tuple[int, int, str, int]
) -> None:
    known, sent = make_requests(*before), make_requests(*now)
    new = [key for key, asked in sent.items() if known.get(key) != asked]
    assert new[:1] == [key for key in new[:1] if key in known]
    assert bool(new) == (sent != known)


def test_halves_of_a_part_that_is_too_large_are_parts_of_their_own() -> None:
    whole = RecordPart(4, [b"{}"] * 3, is_last=True)
    assert whole.split() == (RecordPart(4, [b"{}"], False), RecordPart(5, [b"{}"] * 2, True))
    assert [part.is_last for part in RecordPart(0, [b"{}"] * 2, is_last=False).split()] == [False, False]
    rows = ArrowPart(4, pl.DataFrame({"a": [1, 2, 3]}), is_last=True).split()
    assert [(part.start, part.n_records, part.is_last) for part in rows] == [(4, 1, False), (5, 2, True)]
    assert [part.is_last for part in split_table(pl.DataFrame({"a": range(4)}), 2)] == [False, True]


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


def test_a_fault_without_a_field_is_a_sentence() -> None:
    body = b'{"error":"no","details":[{"value":"None","expected":"an object"},{"index":2,"expected":"one"}]}'
    with pytest.raises(InvalidRequest) as caught:
        make_exchange().read(422, {}, body)
    assert str(caught.value) == "422: no\n  it is None: expected an object\n  record 2: one"


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


@pytest.mark.parametrize("key", ["", " a", "a ", "a\nb", "für", '"a"', "k" * 256])
def test_what_is_no_idempotency_key_is_refused_at_once(key: str) -> None:
    operations = Operations(RetryPolicy(), 10, 1000)
    for refuse in (lambda: operations.predict({}, key, {}), lambda: operations.predict_parts(key, {})):
        with pytest.raises(ValueError, match="the idempotency key is"):
            refuse()


def test_a_long_key_of_a_list_leaves_room_for_the_positions_and_stays_its_own() -> None:
    (first, name), (_, same), (_, other) = [make_requests(2, 1, key) for key in ["k" * 255, "k" * 255, "k" * 254 + "l"]]
    assert first == "k" * 255
    assert name == same != other
    assert len(name) <= 255


def test_fewer_answers_than_records_are_an_error() -> None:
    exchange = (
        Operations(RetryPolicy(), 10, 1000).predict_parts("k", {}).make_exchange(RecordPart(0, [b"{}"] * 3, True))
    )
    with pytest.raises(ServiceFailed, match="1 answers to 3 records"):
        exchange.read(200, {}, b'[{"prediction_id":"a","model_version":"1"}]')


@pytest.mark.parametrize("key", ["SECRET\n", "SECRETÄ", "SEC RET"])
def test_an_api_key_that_no_header_takes_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="no header can carry it") as caught:
        Client("http://127.0.0.1", key)
    assert "SEC" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://host/?token=SECRET",
        "http://host#SECRET",
        "https://host/path?SECRET",
        "ftp://anna:SECRET@host",
        "http://",
        "http://anna:SECRET@host:99999999",
        "http://a:SECRET@host:x",
    ],
)
def test_an_address_that_is_none_is_refused_and_its_password_not_shown(url: str) -> None:
    for make in (Client, AsyncClient):
        with pytest.raises(ValueError, match="the service's address is") as caught:
            make(url)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("SECRET"), httpx.DecodingError("x")]
)
def test_what_would_fail_again_isnt_sent_again(error: httpx.RequestError) -> None:
    with pytest.raises(ServiceUnreachable) as caught:
        make_exchange().compute_wait(error)
    assert "SECRET" not in str(caught.value)


def test_importing_the_client_loads_nothing_of_the_engine() -> None:
    code = "import sys, penumbra.client; print({name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"polars", "numpy", "sklearn", "mlflow", "pydantic", "bentoml", "service"} & set(eval(loaded))
