"""Batches that don't fit in memory: fetched in pieces, checked some rows at a time, the same as those read at once."""

import io
import shutil

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.data.partitions import derivation
from penumbra.data.source_reader import BatchRefused, BatchUnfetched, fetch_batch_files
from tests.helpers.problems.orders import load_orders, open_orders_store

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
READING = [
    (
        'pl.read_csv(io.BytesIO(files["orders.csv"]), infer_schema=False, null_values=[""])',
        'pl.scan_csv(files.paths["orders.csv"], glob=False, infer_schema=False, null_values=[""])',
    ),
    ('    pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False),\n', ""),
]
CONTRACT = [
    ('region = dy.Enum(["north", "south", "west"])', 'region = dy.Enum(["north", "south", "west"], primary_key=True)'),
    ("amount = dy.Float64", "amount = dy.Float32"),
    (
        "member = dy.Bool(nullable=False)\n",
        "member = dy.Bool(nullable=False)\n\n    @dy.rule()\n    def grown(cls) -> pl.Expr:\n"
        '        return (pl.col("age") >= 20) | ~pl.col("member")\n',
    ),
    ("churned = dy.Bool(nullable=True)\n", "churned = dy.Bool(nullable=True)\n    coupon = dy.String(unique=True)\n"),
]
READS_OTHERS = [
    (old, new.replace('pl.col("age") >= 20', 'pl.col("age") >= pl.col("age").mean()')) for old, new in CONTRACT
]
FILES = {"orders.csv": b"order_id,at\n7,2024-03-01\n"}


def write_lines(rows):
    return (",".join(TEXTS) + "\n" + "".join(",".join(row) + "\n" for row in rows)).encode()


def make_rows(count):
    return [
        (str(n), "2024-03-01T12:00:00", "west", "20.5", "40", "true", "false", f"c{n}") for n in range(1, count + 1)
    ]


def open_lazy_store(folder, schema=CONTRACT):
    return open_orders_store(folder, 1.0, schema=schema, source=READING)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_lazy_store(tmp_path_factory.mktemp("orders"))


def stage(store, files, rows_at_once):
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


ROWS = st.lists(st.tuples(*(st.sampled_from(texts) for texts in TEXTS.values())), max_size=24)


@pytest.mark.slow
@given(rows=ROWS, rows_at_once=st.integers(1, 8), bad_row_share=st.sampled_from([1.0, 0.7]))
def test_a_batch_that_is_checked_some_rows_at_a_time_becomes_the_same_files(store, rows, rows_at_once, bad_row_share):
    store.settings = store.settings.model_copy(update={"bad_row_share": bad_row_share})
    files = {"orders.csv": write_lines(rows)}
    assert stage(store, files, rows_at_once) == stage(store, files, 1000)


def list_checked_heights(store, monkeypatch):
    monkeypatch.setattr(derivation, "ROWS_AT_ONCE", 4)
    heights, check_rows = [], derivation.check_rows
    monkeypatch.setattr(
        derivation, "check_rows", lambda *given, **named: heights.append(given[2].height) or check_rows(*given, **named)
    )
    store.stage("2024-03", {"orders.csv": write_lines(make_rows(10))})
    return heights


@pytest.mark.slow
def test_so_many_rows_are_checked_at_once_and_no_more(tmp_path, monkeypatch):
    assert list_checked_heights(open_lazy_store(tmp_path), monkeypatch) == [4, 4, 2]


def test_where_a_rule_reads_other_rows_all_are_checked_at_once(tmp_path, monkeypatch):
    assert list_checked_heights(open_lazy_store(tmp_path, READS_OTHERS), monkeypatch) == [10]


@pytest.mark.slow
def test_a_batch_of_many_parts_is_derived_again_from_what_was_admitted(tmp_path, monkeypatch):
    monkeypatch.setattr(derivation, "ROWS_AT_ONCE", 4)
    store = open_lazy_store(tmp_path)
    store.stage("2024-03", {"orders.csv": write_lines([*make_rows(10), *make_rows(1)])})
    store.admit(["2024-03"])
    before = store.rows("2024-03")
    shutil.rmtree(store.settings.derived)
    assert store.rows("2024-03").equals(before)
    assert before["order_id"].to_list() == [*range(2, 11)]
    assert store.quarantine("2024-03")["penumbra.row"].to_list() == [0, 10]
    parts = list(store.iterate_rows("2024-03", ["order_id"], 4))
    assert pl.concat(parts)["order_id"].to_list() == [*range(2, 11)]


@pytest.mark.slow
def test_a_batch_of_many_parts_leaves_nothing_else_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(derivation, "ROWS_AT_ONCE", 4)
    store = open_lazy_store(tmp_path)
    store.stage("2024-03", {"orders.csv": write_lines(make_rows(10))})
    assert [path.name for path in store.staging.batches.rglob("*")] == ["2024-03", "orders.csv"]
    assert {path.suffix for path in store.settings.derived.rglob("*") if path.is_file()} == {".parquet", ".sha256"}


def test_an_expression_of_parse_that_fails_refuses_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(derivation, "ROWS_AT_ONCE", 4)
    store = open_lazy_store(tmp_path)
    parse = store.problem.source.parse
    store.problem.source.parse = lambda files: parse(files).with_columns(pl.col("order_id").cast(pl.Int64))
    lines = write_lines([*make_rows(8), ("nine", *make_rows(1)[0][1:])])
    with pytest.raises(
        BatchRefused, match=r"batch 2024-03 refused: parse\(\) of .* fails: InvalidOperationError: conv"
    ):
        store.stage("2024-03", {"orders.csv": lines})
    assert not list(store.staging.batches.iterdir())


# Files in pieces


def fetch(folder, content):
    problem = load_orders(folder)
    problem.source.fetch = lambda batch: {"orders.csv": content}
    return problem, fetch_batch_files(problem, "2024-03")["orders.csv"]


def test_an_open_file_is_read_to_its_end_and_closed(tmp_path):
    file = io.BytesIO(b"1" * 3_000_000)
    _, pieces = fetch(tmp_path, file)
    assert [len(piece) for piece in pieces] == [1 << 20, 1 << 20, 3_000_000 - (2 << 20)]
    assert file.closed


def test_a_generator_may_give_pieces_of_any_size(tmp_path):
    _, pieces = fetch(tmp_path, (piece for piece in (b"a", b"", b"bc")))
    assert b"".join(pieces) == b"abc"


@pytest.mark.slow
def test_a_file_in_pieces_is_staged_as_one_that_is_given_whole(store):
    lines = write_lines(make_rows(3))
    assert stage(store, {"orders.csv": io.BytesIO(lines)}, 2) == stage(store, {"orders.csv": lines}, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (io.StringIO("text"), "gives a file with a str in it: expected bytes, as of a file that was opened with mode"),
        ((piece for piece in ["text"]), "gives a file with a str in it: expected bytes"),
    ],
)
def test_pieces_that_are_no_bytes_refuse_the_batch(tmp_path, content, words):
    _, pieces = fetch(tmp_path, content)
    with pytest.raises(BatchRefused, match=rf"batch 2024-03 refused: fetch\(\) of orders_\d+/source.py {words}"):
        list(pieces)


def test_a_file_whose_pieces_fail_is_one_that_was_not_fetched(tmp_path):
    _, pieces = fetch(tmp_path, (1 / 0 for _ in "1"))
    with pytest.raises(BatchUnfetched, match=r"fetch\(\) of .* fails: ZeroDivisionError: division by zero"):
        list(pieces)
