"""A key is one key, however it was written: predictions, feedback and batches meet by it."""

import dataclasses
import datetime as dt
import decimal
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.logs import append_log
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries.labels import count_label_outcomes, find_first_outputs, join_labels
from penumbra.logs.queries.lookup import KEY_FORMAT
from penumbra.logs.schema import LabelEntry, PredictionEntry
from penumbra.storage.sqlite import ReplacedTables
from tests.helpers.problems.orders import load_orders

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
MONEY, MILLISECONDS = pl.Decimal(12, 2), pl.Datetime("ms", "UTC")


def encode(dtype, json):
    return KeyEncoder({"key": dtype}).encode_json_values([json.encode()])


@pytest.mark.parametrize(
    ("dtype", "writings"),
    [
        (MONEY, ['"12.3"', '"12.30"', "12.3", '"1.23E+1"', '"12.300"']),
        (MONEY, ['"0"', '"-0.00"', "0"]),
        (MILLISECONDS, ['"2024-03-01T12:00:00Z"', '"2024-03-01T12:00:00.000000+00:00"', '"2024-03-01T14:00:00+02:00"']),
        (MILLISECONDS, ['"2024-03-01T12:00:00.123Z"', '"2024-03-01T12:00:00.123456Z"']),
        (pl.Datetime(), ['"2024-03-01T12:00:00"', '"2024-03-01T12:00:00.000000"']),
        (pl.Float64(), ["7", "7.0", "7e0"]),
        (pl.Float64(), ["0.0", "-0.0"]),
    ],
)
def test_all_writings_of_a_value_are_one_key(dtype, writings):
    assert len({encode(dtype, json) for json in writings}) == 1


@pytest.mark.parametrize(
    ("dtype", "one", "other"),
    [
        (MONEY, '"12.30"', '"12.31"'),
        (pl.Datetime("us", "UTC"), '"2024-03-01T12:00:00Z"', '"2024-03-01T12:00:00+02:00"'),
        (pl.String(), '"caf\u00e9"', '"cafe\u0301"'),
        (pl.String(), '"12.3"', '"12.30"'),
        (pl.Float64(), "7", "7.5"),
    ],
)
def test_different_values_are_different_keys(dtype, one, other):
    assert encode(dtype, one) != encode(dtype, other)


@pytest.mark.parametrize("dtype", [MONEY, MILLISECONDS, pl.Float64(), pl.Int64()])
@pytest.mark.parametrize("json", ["null", '"x"', "[1]", "true", '"1e999"'])
def test_what_an_older_contract_left_in_the_log_is_a_key_of_its_own(dtype, json):
    assert encode(dtype, json) == f"[{json}]"


def test_times_come_first_so_that_neighbours_in_time_are_neighbours_in_the_index():
    encoder = KeyEncoder({"flight": pl.Int32(), "time": MILLISECONDS, "day": pl.Date()})
    values = 7, NOON, NOON.date()
    assert encoder.encode_values(values) == '["2024-03-01T12:00:00Z","2024-03-01",7]'
    assert encoder.encode_json_values([b"7", b'"2024-03-01T13:00:00+01:00"', b'"2024-03-01"']) == (
        encoder.encode_values(values)
    )


def test_a_key_of_another_number_of_columns_stays_in_its_order():
    encoder = KeyEncoder({"flight": pl.Int32(), "time": MILLISECONDS, "day": pl.Date()})
    assert encoder.encode_json_values([b"7", b'"2024-03-01T12:00:00Z"']) == '[7,"2024-03-01T12:00:00Z"]'


class Kinds(dy.Schema):
    """A column of each dtype of which a value may be written in several ways."""

    money = dy.Decimal(primary_key=True, scale=2, precision=12)
    instant = dy.Datetime(primary_key=True, time_zone="America/New_York")
    coarse = dy.Datetime(primary_key=True, time_zone="UTC", time_unit="ms")
    local = dy.Datetime(primary_key=True)
    number = dy.Float64(primary_key=True)


DTYPES = {name: column.dtype for name, column in Kinds.columns().items()}
moments = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1))


@given(
    st.decimals(-(10**9), 10**9, places=2),
    moments,
    moments,
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
def test_a_frame_and_a_log_give_the_same_key_whatever_zone_and_zeros_the_log_has(money, instant, local, number, zone):
    instant = instant.replace(tzinfo=dt.UTC)
    values = [money, instant, instant, local, number]
    frame = pl.DataFrame([values], schema=DTYPES, orient="row")
    moved = instant.astimezone(ZoneInfo(zone))
    logged = [append_log.encode_json(value) for value in (money.normalize(), moved, moved, local, number)]
    encoder = KeyEncoder(DTYPES)
    assert encoder.encode_values(frame.row(0)) == encoder.encode_json_values(logged)


def test_records_have_the_values_that_a_frame_has():
    model = create_model("Record", **build_model_fields(Kinds))
    record = model.model_validate_json(
        '{"money": 12.3, "instant": "2024-03-01T14:00:00+02:00", "coarse": "2024-03-01T12:00:00.123456Z", '
        '"local": "2024-03-01 12:00", "number": 7}'
    ).__dict__
    frame = pl.DataFrame([record], schema=DTYPES)
    assert frame.row(0, named=True) == record
    assert str(record["money"]) == "12.30"


# In the index

PRICED = [
    ("order_id = dy.Int64(primary_key=True, min=1)", "price = dy.Decimal(primary_key=True, scale=2, precision=12)"),
    ('"order_id": 7', '"price": "12.30"'),
]


@pytest.fixture
def spec(tmp_path):
    return LabelSpec.from_schema(load_orders(tmp_path, schema=PRICED).schema)


def append(folder, *entries):
    writer = append_log.LogWriter(folder)
    writer.append([append_log.encode_json(entry) for entry in entries])
    writer.close()


def make_index(folder, spec):
    index = LogIndex(folder / "predictions", folder / "labels", spec)
    index.catch_up()
    return index


def predict(folder, price):
    record = {"price": price, "at": NOON.replace(tzinfo=None), "region": "west"}
    append(folder / "predictions", PredictionEntry(NOON, "c", record, [], 0.25, False, "1", 1))


@pytest.mark.parametrize(("asked", "labelled"), [("12.3", "12.30"), ("12.30", "12.3")])
def test_a_label_that_writes_the_key_otherwise_is_attached(tmp_path, spec, asked, labelled):
    predict(tmp_path, asked)
    append(tmp_path / "labels", LabelEntry(NOON, "feedback", {"churned": True}, [labelled]))
    assert join_labels(make_index(tmp_path, spec))["target"].to_list() == [True]


def test_the_row_of_a_batch_meets_the_prediction_and_the_feedback_of_its_key(tmp_path, spec):
    predict(tmp_path, "12.3")
    append(tmp_path / "labels", LabelEntry(NOON, "feedback", {"churned": True}, ["12.300"]))
    rows = pl.DataFrame({"price": [decimal.Decimal("12.30")], "churned": [False], "penumbra.batch": ["march"]})
    index = make_index(tmp_path, spec)
    assert index.attach_labels([rows]) == 1
    assert index.attach_labels([rows]) == 0
    assert join_labels(index)["target"].to_list() == [False]
    assert find_first_outputs(index, rows).to_list() == [0.25]


def test_a_column_more_of_the_labels_adds_each_row_of_a_batch_once(tmp_path):
    outcome = "churned = dy.Bool(nullable=True)"
    now, then = (
        LabelSpec.from_schema(load_orders(tmp_path, schema=[(outcome, f"{outcome}{more}")]).schema)
        for more in ("\n    paid = dy.Int8(nullable=True)", "")
    )
    rows = pl.DataFrame({"order_id": [7, 8], "churned": [True, False], "penumbra.batch": "march"})
    paid = rows.with_columns(paid=pl.Series([1, None], dtype=pl.Int8))
    assert make_index(tmp_path, then).attach_labels([rows]) == 2
    assert make_index(tmp_path, now).attach_labels([paid]) == 2
    assert make_index(tmp_path, now).attach_labels([paid]) == 0
    assert count_label_outcomes(make_index(tmp_path, now)).row(0) == ("batch", "orphan", 4)


def test_no_label_of_a_batch_is_logged_again_where_another_contract_has_made_the_index_anew(tmp_path, spec):
    rows = pl.DataFrame({"price": [decimal.Decimal("12.30")], "churned": [False], "penumbra.batch": ["march"]})
    index, other = make_index(tmp_path, spec), dataclasses.replace(spec, target=~pl.col("churned"))
    index.attach_labels([rows])

    def make_anew_meanwhile():
        make_index(tmp_path, other)
        yield rows

    with pytest.raises(ReplacedTables):
        index.attach_labels(make_anew_meanwhile())
    assert index.attach_labels([rows]) == 0


def test_an_index_of_an_older_way_to_write_keys_is_made_anew(tmp_path, spec, monkeypatch):
    predict(tmp_path, "12.3")
    append(tmp_path / "labels", LabelEntry(NOON, "feedback", {"churned": True}, ["12.30"]))
    with monkeypatch.context() as older:
        older.setattr("penumbra.logs.indexing.index.INDEX_FILE", "index-1.db")
        older.setattr(KeyEncoder, "encode_json_values", lambda _, values: b",".join(values).decode())
        assert join_labels(make_index(tmp_path, spec))["target"].to_list() == [None]
    assert join_labels(make_index(tmp_path, spec))["target"].to_list() == [True]


def test_an_indexer_of_an_older_version_that_goes_on_running_leaves_its_keys_in_its_own_file(
    tmp_path, spec, monkeypatch
):
    with monkeypatch.context() as older:
        older.setattr("penumbra.logs.indexing.index.INDEX_FILE", "index.db")
        older.setattr("penumbra.logs.labels.KEY_FORMAT", 1)
        older.setattr(KeyEncoder, "encode_json_values", lambda _, values: b",".join(values).decode())
        running = make_index(tmp_path, spec)
    with running.keep_open():
        predict(tmp_path, "12.3")
        running.catch_up()
        make_index(tmp_path, spec)
        predict(tmp_path, "45.60")
        running.catch_up()
    append(tmp_path / "labels", *(LabelEntry(NOON, "feedback", {"churned": True}, [key]) for key in ("12.30", "45.6")))
    assert join_labels(make_index(tmp_path, spec))["target"].to_list() == [True, True]


def test_an_indexer_of_an_older_contract_leaves_the_index_to_the_newer_one_until_it_is_its_own_again(tmp_path, spec):
    newer = dataclasses.replace(spec, target=~pl.col("churned"))
    predict(tmp_path, "12.3")
    append(tmp_path / "labels", LabelEntry(NOON, "feedback", {"churned": True}, ["12.3"]))
    running = make_index(tmp_path, spec)
    with running.keep_open():
        running.catch_up()
        assert join_labels(make_index(tmp_path, newer))["target"].to_list() == [False]
        predict(tmp_path, "45.60")
        for _ in range(2):
            with pytest.raises(ReplacedTables, match=r"began later, with another key, outcome or target .*: restart"):
                running.catch_up()
        assert join_labels(make_index(tmp_path, newer))["target"].to_list() == [False, None]
        make_index(tmp_path, spec)
        assert running.catch_up() == 0
        assert join_labels(running)["target"].to_list() == [True, None]


def test_the_text_of_a_key_is_that_of_its_format():
    values = decimal.Decimal("12.30"), NOON, NOON, NOON.replace(tzinfo=None), 7.0
    key = '["2024-03-01T12:00:00Z","2024-03-01T12:00:00Z","2024-03-01T12:00:00","12.30",7.0]'
    assert (KEY_FORMAT, KeyEncoder(DTYPES).encode_values(values)) == (3, key)


def test_without_a_key_no_row_of_a_batch_is_found_among_the_predictions(tmp_path):
    keyless = LabelSpec.from_schema(load_orders(tmp_path, schema=[("primary_key=True, ", "")]).schema)
    append(tmp_path / "predictions", PredictionEntry(NOON, "c", {"order_id": 7, "at": NOON}, [], 0.25, False, "1", 1))
    index, rows = make_index(tmp_path, keyless), pl.DataFrame({"order_id": [7, 8], "penumbra.batch": ["m", "m"]})
    assert find_first_outputs(index, rows).to_list() == [None, None]
    assert index.attach_labels([rows.with_columns(churned=True)]) == 0
