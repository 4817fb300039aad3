"""How often, after how long and until when a request is sent again: by the clock alone, without a service."""

import datetime as dt
import subprocess
import sys
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from penumbra.client import (
    AsyncClient,
    Client,
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


def test_a_fault_without_a_field_is_a_sentence() -> None:
    body = b'{"error":"no","details":[{"value":"None","expected":"an object"},{"index":2,"expected":"one"}]}'
    with pytest.raises(InvalidRequest) as caught:
        make_exchange().read(422, {}, body)
    assert str(caught.value) == "422: no\n  it is None: expected an object\n  record 2: one"


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


@pytest.mark.slow
def test_importing_the_client_loads_nothing_of_the_engine() -> None:
    code = "import sys, penumbra.client; print({name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"polars", "numpy", "sklearn", "mlflow", "pydantic", "bentoml", "service"} & set(eval(loaded))
