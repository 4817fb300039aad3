"""How a list becomes requests: its parts, their idempotency keys and their answers."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.client import RetryPolicy, ServiceFailed
from penumbra.client.operations import Operations, RecordPart
from penumbra.client.tables import ArrowPart, split_table


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
