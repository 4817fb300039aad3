"""Batches that don't fit in memory: read in pieces, checked some rows at a time, and the same as read at once."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.data import derivation
from penumbra.data.source_reader import BatchRefused
from tests.helpers.orders import open_orders_store

HEADER = "order_id,at,region,amount,age,member,churned,coupon\n"
TEXTS = {
    "order_id": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", " 1 ", "1.0", "0", "seven", ""],
    "at": ["2024-03-01T12:00:00", "2024-03-01 12:00:00", "2024-03-01T12:00", "yesterday"],
    "region": ["north", "west", "east", ""],
    "amount": ["20.5", "1e3", " 7 ", "nan", "-1", "16777217.000001", '"1,000"', ""],
    "age": ["40", "19.0", "19.9", "17", ""],
    "member": ["true", "0", "maybe"],
    "churned": ["true", "", "maybe"],
    "coupon": ["a", "b", "c", "d", "e", "f", ""],
}
LAZY = (
    'pl.read_csv(io.BytesIO(files["orders.csv"]), infer_schema=False, null_values=[""])',
    'pl.scan_csv(files.paths["orders.csv"], glob=False, infer_schema=False, null_values=[""])',
)
CONVERSIONS = ('    pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False),\n', "")
CONTRACT = [
    ('region = dy.Enum(["north", "south", "west"])', 'region = dy.Enum(["north", "south", "west"], primary_key=True)'),
    ("amount = dy.Float64", "amount = dy.Float32"),
    (
        "member = dy.Bool(nullable=False)\n",
        "member = dy.Bool(nullable=False)\n\n"
        "    @dy.rule()\n    def grown(cls) -> pl.Expr:\n        return (pl.col('age') >= 20) | ~pl.col('member')\n",
    ),
    ("churned = dy.Bool(nullable=True)\n", "churned = dy.Bool(nullable=True)\n    coupon = dy.String(unique=True)\n"),
]


def write_lines(rows):
    return (HEADER + "".join(",".join(row) + "\n" for row in rows)).encode()


def number(count, **changes):
    """Rows that keep the contract, but for those whose values by number are in `changes`."""
    plain = dict(zip(TEXTS, ("", "2024-03-01T12:00:00", "west", "20.5", "40", "true", "false", ""), strict=True))
    rows = [{**plain, "order_id": str(at), "coupon": f"c{at}"} for at in range(1, count + 1)]
    for column, values in changes.items():
        for at, value in values.items():
            rows[at][column] = value
    return write_lines([row.values() for row in rows])


def open_lazy_store(folder, schema=CONTRACT, conversions=CONVERSIONS):
    return open_orders_store(folder, 1.0, schema=schema, source=[LAZY, conversions])


def take(store, files, rows_at_once):
    """What becomes of a batch: the counts, or the refusal, and every file that there is afterwards."""
    places = [store.staging.folder, store.settings.derived]
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derivation, "ROWS_AT_ONCE", rows_at_once)
        try:
            result = store.stage("2024-03", files)
            said = (result, list(result.broken.items()))
        except BatchRefused as reason:
            said = (type(reason), str(reason))
    return said, {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_lazy_store(tmp_path_factory.mktemp("orders"))


ROWS = st.lists(st.tuples(*(st.sampled_from(texts) for texts in TEXTS.values())), max_size=24)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, rows_at_once=st.integers(1, 8), bad_row_share=st.sampled_from([1.0, 0.7]))
def test_a_batch_that_is_read_some_rows_at_a_time_becomes_the_same_files(store, rows, rows_at_once, bad_row_share):
    store.settings = store.settings.model_copy(update={"bad_row_share": bad_row_share})
    files = {"orders.csv": write_lines(rows)}
    assert take(store, files, rows_at_once) == take(store, files, 1000)
