"""What a user's source may do, and the sentence that it ends in."""

import datetime as dt
from types import SimpleNamespace

import polars as pl
import pytest

from penumbra.core.columns import BATCH_COLUMN
from penumbra.data.source_reader import (
    BatchEmpty,
    BatchRefused,
    SourceFailed,
    fetch_batch_files,
    list_source_batches,
    parse_batch_files,
)
from tests.helpers.problems.orders import load_orders, open_orders_store

ORDER = "order_id,at,region,amount,age,member,churned\n7,2024-03-01T12:00:00,west,20.5,40,true,false\n"
FILES = {"orders.csv": ORDER.encode()}


@pytest.fixture
def problem(tmp_path):
    return load_orders(tmp_path)


def give(problem, **functions):
    """The same problem with other functions of the source."""
    for name, function in functions.items():
        setattr(problem.source, name, function)
    return problem


def batch(name, complete):
    return SimpleNamespace(name=name, complete=complete)


def on(month, day=1):
    return dt.date(2024, month, day)


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([batch("a/b", on(1))], "a batch named 'a/b': expected a name that a folder can have"),
        (
            [batch("a+flywheel-b", on(1))],
            "a batch named 'a.flywheel-b': expected a name without '.flywheel-', which th",
        ),
        ([batch("..", on(1))], "a batch named '..': expected a name"),
        ([batch("", on(1))], "a batch named '': expected a name"),
        ([batch("a\nb", on(1))], r"a batch named 'a\\nb': expected a name"),
        ([batch("a" * 151, on(1))], "of at most 150 bytes"),
        ([batch("\ud800", on(1))], "expected a name"),
        ([batch(3, on(1))], "a SimpleNamespace: expected objects with a `name` and the date on which they are `comp"),
        (["2024-01"], "a str: expected objects with a `name`"),
        (
            [batch("a", dt.datetime(2024, 1, 1, 6))],
            r"batch a with complete = datetime.datetime\(2024, 1, 1, 6, 0\): exp",
        ),
        ([batch("a", "2024-01-01")], "batch a with complete = '2024-01-01': expected a date"),
        ([batch("a", on(1)), batch("a", on(2))], "batch a more than once: expected a name of its own for each"),
        ([batch("b-9", on(9)), batch("b-10", on(10))], "b-9, complete on 2024-09-01, and batch b-10, .* that sort by"),
        (None, "fails: TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_list_of_batches_that_cannot_be_used_is_refused_in_a_sentence(problem, batches, words):
    with pytest.raises(SourceFailed, match=words):
        list_source_batches(give(problem, batches=lambda: batches))


def test_batches_that_are_listed_in_disorder_are_taken_in_order_of_their_names(problem):
    months = [batch("2024-02", on(3)), batch("2024-01", on(2))]
    assert [each.name for each in list_source_batches(give(problem, batches=lambda: months))] == ["2024-01", "2024-02"]


@pytest.mark.parametrize("name", ["March of 2024", "März, 2024 (final)", "2024-03[1]", "a.b"])
def test_a_name_with_spaces_and_other_characters_is_a_batch_like_any_other(tmp_path, name):
    store = open_orders_store(tmp_path)
    store.stage(name, FILES)
    store.admit([name])
    assert (store.batches(), store.rows(name)[BATCH_COLUMN].to_list()) == ([name], [name])


def test_a_source_that_raises_is_told_with_the_line_of_the_users_code(tmp_path):
    problem = load_orders(tmp_path, source=[('    """All months."""', '    raise OSError("no route to host")')])
    with pytest.raises(
        SourceFailed, match=r"batches\(\) of orders_\d+/source.py fails at .*line 24: OSError: no route"
    ):
        list_source_batches(problem)


def test_a_batch_that_has_gone_from_the_source_is_told_by_its_name(problem):
    def fetch(name):
        raise FileNotFoundError(f"{name}.csv")

    with pytest.raises(
        BatchRefused, match=r"batch 2024-01 refused: fetch\(\) of .* fails.*: FileNotFoundError: 2024-0"
    ):
        fetch_batch_files(give(problem, fetch=fetch), "2024-01")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "gives nothing: expected at least one file, as a dict of bytes by file name"),
        ({}, "gives nothing in it: expected at least one file"),
        ({"orders.csv": "text"}, "gives a dict: expected at least one file, as a dict of bytes"),
        ({"caf\udce9.csv": b""}, r"names a file 'caf\\udce9.csv': expected a path inside the batch's folder, in UTF-8"),
        ({"a\0.csv": b""}, r"names a file 'a\\x00.csv': expected a path inside the batch's folder"),
        ({"../orders.csv": b""}, "names a file '../orders.csv': expected a path inside the batch's folder"),
        ({"/etc/orders.csv": b""}, "names a file '/etc/orders.csv'"),
        ({"": b""}, "names a file ''"),
    ],
)
def test_files_that_cannot_be_kept_are_refused_in_a_sentence(problem, files, words):
    with pytest.raises(BatchRefused, match=words):
        fetch_batch_files(give(problem, fetch=lambda _: files), "2024-01")


def test_files_in_folders_are_kept_and_read_back(tmp_path):
    store = open_orders_store(tmp_path)
    store.problem.source.parse = lambda files: pl.read_csv(files["day 1/orders.csv"], infer_schema=False)
    store.stage("2024-03", {"day 1/orders.csv": FILES["orders.csv"], "day 1/empty.csv": b""})
    store.admit(["2024-03"])
    assert (store.raw / "2024-03" / "day 1" / "orders.csv").read_bytes() == FILES["orders.csv"]
    (partition,) = (store.settings.derived / "rows").glob("*.parquet")
    partition.unlink()
    assert store.rows("2024-03")["order_id"].to_list() == [7]


def test_a_parse_that_raises_is_told_with_the_line_of_the_users_code(problem):
    with pytest.raises(BatchRefused, match=r"parse\(\) of orders_\d+/source.py fails at .*, line \d+: KeyError: 'ord"):
        parse_batch_files(problem, "2024-01", {"other.csv": b""})


def test_a_file_of_no_bytes_is_refused_in_a_sentence(problem):
    with pytest.raises(BatchRefused, match=r"batch 2024-01 refused: parse\(\) of .* fails at .*: NoDataError: empty"):
        parse_batch_files(problem, "2024-01", {"orders.csv": b""})


def test_a_column_that_is_left_out_is_named_with_those_that_are_there(tmp_path):
    store = open_orders_store(tmp_path)
    give(store.problem, parse=lambda files: pl.read_csv(files["orders.csv"]).drop("age", "churned"), CONVERSIONS=[])
    with pytest.raises(
        BatchRefused, match="gives no column age, churned; it gives order_id, at, region, amount, member"
    ):
        store.stage("2024-01", FILES)


def test_columns_beside_those_of_the_contract_are_left_out(tmp_path):
    store = open_orders_store(tmp_path)
    store.stage("2024-03", {"orders.csv": ORDER.replace("\n", ",more\n").encode()})
    store.admit(["2024-03"])
    assert "more" not in store.rows("2024-03").columns


@pytest.mark.parametrize("kind", ["lazy", "pandas"])
def test_a_lazy_or_a_pandas_frame_is_read_as_one_of_polars(problem, kind):
    def parse(files):
        frame = pl.read_csv(files["orders.csv"], infer_schema=False)
        return frame.lazy() if kind == "lazy" else frame.to_pandas()

    rows = parse_batch_files(give(problem, parse=parse), "2024-01", FILES).lazy().collect()
    assert rows["order_id"].to_list() == ["7"]


def test_something_else_than_a_frame_is_refused_in_a_sentence(problem):
    with pytest.raises(BatchRefused, match=r"parse\(\) of .* gives a list: expected a polars DataFrame"):
        parse_batch_files(give(problem, parse=lambda files: [1]), "2024-01", FILES)


def test_a_batch_without_rows_is_empty(tmp_path):
    with pytest.raises(BatchEmpty, match="batch 2024-03 refused: it has no rows"):
        open_orders_store(tmp_path).stage("2024-03", {"orders.csv": ORDER.splitlines(True)[0].encode()})
