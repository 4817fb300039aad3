"""The key of a draft's rows: an identifier, a thing at a time, or asked for."""

import pytest

from penumbra.drafting.draft import DraftQuestion, DraftRefused
from tests.helpers.problems.drafted_orders import ROWS, draft_orders, draft_table, get_column, make_orders

CODES = [f"A-{n:05}" for n in range(ROWS)]


def list_keys(draft):
    return [column.name for column in draft.columns if column.is_key]


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"id": [str(n) for n in range(ROWS)]}, ["id"]),
        ({"Order No.": CODES}, ["Order No."]),
        ({"anything": CODES}, ["anything"]),
        ({"order_no": CODES, "id": [str(n) for n in range(ROWS)]}, ["id"]),
        ({"store": ["north", "south"] * 200}, ["day", "store"]),
        ({"store": ["north", "south"]}, []),
        ({"side": ["a", "b"] * 200}, ["day", "side"]),
        ({"population": [str(1000 + 7 * n) for n in range(ROWS)]}, []),
        ({"customer_id": [str(1000 + n) for n in range(250)]}, []),
    ],
)
def test_the_key_is_an_identifier_or_a_thing_at_a_time(tmp_path, columns, key):
    assert list_keys(draft_orders(tmp_path, **columns)) == key


@pytest.mark.slow
def test_a_thing_in_the_key_is_a_feature_too_and_an_identifier_isn_t(tmp_path):
    by_store = get_column(draft_orders(tmp_path, store=["north", "south"] * 200), "store")
    assert (by_store.role, by_store.features, by_store.nullable) == ("feature", ("category",), False)
    by_code = get_column(draft_orders(tmp_path, order=CODES), "order")
    assert (by_code.role, by_code.features, by_code.nullable) == ("key", (), False)


def test_a_thing_at_a_time_that_is_there_twice_here_and_there_is_no_key_but_told_with_the_options_that_make_it_one(
    tmp_path,
):
    stores = ["north", "south"] * 200
    stores[1] = stores[101] = "north"
    found = draft_orders(tmp_path, store=stores)
    assert list_keys(found) == []
    assert found.notes == (
        "store, day would be the key, but for 2 rows with that of an earlier one: if it is, pass --key store --key day",
    )
    assert list_keys(draft_table(tmp_path, make_orders(store=stores), key=["store", "day"])) == ["day", "store"]


@pytest.mark.slow
def test_where_several_columns_tell_rows_apart_the_user_is_asked(tmp_path):
    table = make_orders(order_no=CODES, invoice_no=CODES[::-1])
    with pytest.raises(DraftQuestion) as asked:
        draft_table(tmp_path, table)
    assert (asked.value.option, asked.value.candidates) == ("--key", ("order_no", "invoice_no"))
    assert list_keys(draft_table(tmp_path, table, key=["invoice_no"])) == ["invoice_no"]
    assert list_keys(draft_table(tmp_path, table, key=())) == []


def test_a_choice_of_the_user_s_that_tells_too_few_rows_apart_is_refused(tmp_path):
    with pytest.raises(DraftRefused, match="--key amount tells too few rows apart: 321 of 400 rows have the key of an"):
        draft_table(tmp_path, make_orders(), key=["amount"])


def test_a_few_rows_with_the_key_of_another_are_told(tmp_path):
    found = draft_orders(tmp_path, order_id=[*CODES[:-2], *CODES[:2]])
    assert list_keys(found) == ["order_id"]
    assert found.notes == (
        "2 rows have the key (order_id) of an earlier row: where both are in one batch, ingest quarantines both; "
        "gate.accept lets a training pass, mend it and take it out there",
    )
    assert found.accepted == ("order_id",)


def test_rows_of_one_batch_with_the_same_key_are_told_and_nothing_is_to_be_accepted_as_ingest_takes_them_out(tmp_path):
    found = draft_orders(tmp_path, order_id=[CODES[1], CODES[1], CODES[1], *CODES[3:]])
    assert found.notes == (
        "2 rows have the key (order_id) of an earlier row: all that share one are in one batch, and ingest "
        "quarantines them",
    )
    assert found.accepted == ()


@pytest.mark.slow
def test_a_key_that_is_left_in_two_batches_once_doubles_of_one_are_out_is_to_be_accepted(tmp_path):
    assert draft_orders(tmp_path, order_id=[CODES[1], CODES[1], *CODES[2:-1], CODES[1]]).accepted == ()
    assert draft_orders(tmp_path, order_id=[CODES[1], *CODES[1:200], CODES[1], *CODES[201:]]).accepted == ()
    assert draft_orders(tmp_path, order_id=[*CODES[:-1], CODES[0]]).accepted == ("order_id",)


def test_a_row_without_a_key_is_told(tmp_path):
    found = draft_orders(tmp_path, order_id=[*CODES[:-1], ""])
    assert (list_keys(found), found.accepted) == (["order_id"], ("order_id",))
    assert found.notes == (
        "1 row has no 'order_id', a part of the key: ingest quarantines what lacks it; gate.accept lets a training "
        "pass, mend it and take it out there",
    )
    assert draft_orders(tmp_path, order_id=CODES).accepted == ()
