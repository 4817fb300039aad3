import hashlib
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import problem.features
import problem.schema
import problem.source
from penumbra.core.encoding import derive_features
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import PROJECT_ROOT, DataSettings
from penumbra.data.batches import BatchRefused, DataStore
from penumbra.data.versioning import versions
from problem.features import FEATURES
from tests.helpers.files import read_files

PROBLEM = load_checked_problem()
FLIGHT = {
    "carrier": "UA",
    "flight": "1",
    "time_hour": "2013-01-01T10:00:00Z",
    "origin": "EWR",
    "dest": "IAH",
    "sched_dep_time": "515",
    "sched_arr_time": "819",
    "distance": "1400",
    "arr_delay": "11",
}
WEATHER = (
    "origin,time_hour,temp,dewp,humid,wind_dir,wind_speed,precip,pressure,visib\n"
    "EWR,2013-01-01T10:00:00Z,39.02,26.06,59.37,270,10.35702,0,1012,10\n"
)


def flights(count, **row_5):
    """A batch of flights number 1, 2, …, where row 5 (if there is one) has other values."""
    rows = [{**FLIGHT, "flight": str(number), **(row_5 if number == 6 else {})} for number in range(1, count + 1)]
    lines = [",".join(FLIGHT), *(",".join(row.values()) for row in rows)]
    return {"flights.csv": ("\n".join(lines) + "\n").encode(), "weather.csv": WEATHER.encode()}


@pytest.fixture
def store(tmp_path):
    return store_in(tmp_path)


def store_in(folder, **changes):
    data = DataSettings(
        today=date(2013, 4, 1),
        folder=folder / "data",
        derived=folder / "derived",
        remote="",
        commit=False,
        bad_row_share=0.05,
    )
    return DataStore(data.model_copy(update=changes), PROBLEM)


# Staging


def test_a_batch_that_keeps_the_contract_is_staged_byte_for_byte(store):
    intake = store.stage("2013-01", flights(3))
    assert (intake.rows, intake.rejected, intake.broken) == (3, 0, {})
    assert read_files(store.staging.folder) == {
        f"batches/2013-01/{name}": content for name, content in flights(3).items()
    }


def test_a_staged_batch_is_not_admitted_yet(store):
    store.stage("2013-01", flights(3))
    assert (store.batches(), store.settings.folder.exists()) == ([], False)


def test_one_percent_of_bad_rows_is_quarantined_and_the_rest_goes_on(store):
    intake = store.stage("2013-01", flights(100, sched_dep_time="2575"))
    store.admit(["2013-01"])
    assert (intake.rows, intake.rejected) == (100, 1)
    assert sorted(store.rows("2013-01")["flight"]) == [n for n in range(1, 101) if n != 6]


def test_a_quarantined_row_keeps_batch_row_number_rules_and_original_text(store):
    store.stage("2013-01", flights(100, sched_dep_time="2575", dest="Houston"))
    (rejected,) = store.quarantine("2013-01").to_dicts()
    assert (rejected["penumbra.batch"], rejected["penumbra.row"]) == ("2013-01", 5)
    assert set(rejected["penumbra.broken"]) == {"sched_dep_time|max", "clock_sched_dep_time", "dest|regex"}
    assert {name: rejected[name] for name in FLIGHT} == {
        **FLIGHT,
        "flight": "6",
        "sched_dep_time": "2575",
        "dest": "Houston",
    }


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("distance", "far", "distance|dtype"),
        ("distance", "99999999", "distance|dtype"),
        ("distance", "", "distance|nullability"),
        ("carrier", "ZZ", "carrier|dtype"),
        ("time_hour", "yesterday", "time_hour|dtype"),
        ("sched_arr_time", "1260", "clock_sched_arr_time"),
    ],
)
def test_a_value_that_breaks_the_contract_is_quarantined_as_it_was_written(store, column, value, rule):
    store.stage("2013-01", flights(20, **{column: value}))
    (rejected,) = store.quarantine("2013-01").to_dicts()
    assert rule in rejected["penumbra.broken"]
    assert rejected[column] == (value or None)


def test_what_came_of_a_batch_is_told_in_words(store):
    assert str(store.stage("2013-01", flights(1200))) == "2013-01: 1,200 rows, all keep the contract"
    words = str(store.stage("2013-02", flights(1200, dest="Houston")))
    assert words == "2013-02: 1,200 rows, 1 of them quarantined (dest|regex 1)"


def test_rows_with_the_same_key_are_both_quarantined(store):
    store.stage("2013-01", flights(100, flight="5"))
    assert store.quarantine("2013-01")["penumbra.row"].to_list() == [4, 5]
    assert store.quarantine("2013-01")["penumbra.broken"].to_list() == [["primary_key"], ["primary_key"]]


def test_a_batch_with_too_many_bad_rows_is_refused_whole(store):
    with pytest.raises(BatchRefused, match=r"2013-01 refused: 10\.0% of its rows.*5\.0%.*bad_row_share.*dest\|regex 1"):
        store.stage("2013-01", flights(10, dest="Houston"))
    assert read_files(store.settings.derived) == {}


def test_a_share_of_bad_rows_exactly_at_the_limit_is_allowed(store):
    assert store.stage("2013-01", flights(20, dest="Houston")).rejected == 1


def test_nothing_of_a_refused_batch_is_left_in_the_data_folder(store):
    with pytest.raises(BatchRefused, match=r"100\.0%"):
        store.stage(
            "2013-01",
            {"flights.csv": flights(9)["flights.csv"].replace(b"IAH", b"??"), "weather.csv": WEATHER.encode()},
        )
    assert (store.batches(), store.settings.folder.exists()) == ([], False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flights.csv": None}, "file flights.csv is missing; the batch has .'weather.csv'."),
        ({"weather.csv": None}, "file weather.csv is missing"),
        (
            {"flights.csv": flights(3)["flights.csv"].replace(b"dest", b"goal")},
            "flights.csv has no column dest; it has .*goal",
        ),
        ({"flights.csv": b""}, "flights.csv is not readable as CSV"),
        ({"flights.csv": b"\x89PNG\r\n\x1a\n" + bytes(range(256))}, "flights.csv"),
        (
            {"flights.csv": flights(3)["flights.csv"] + b"1,2,3,4,5,6,7,8,9,10,11\n"},
            "flights.csv is not readable as CSV",
        ),
        ({"flights.csv": flights(0)["flights.csv"]}, "it has no rows"),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_with_file_and_reason(store, change, words):
    files = {name: content for name, content in (flights(3) | change).items() if content is not None}
    with pytest.raises(BatchRefused, match=f"batch 2013-01 refused: {words}"):
        store.stage("2013-01", files)
    assert read_files(store.settings.derived) == {}


def test_staging_twice_leaves_the_same_files_as_staging_once(store):
    store.stage("2013-01", flights(100, dest="Houston"))
    once = read_files(store.settings.derived)
    store.stage("2013-01", flights(100, dest="Houston"))
    assert read_files(store.settings.derived) == once


def test_staging_a_corrected_batch_clears_what_was_wrong_with_the_first(store):
    store.stage("2013-01", flights(100, dest="Houston") | {"notes.txt": b""})
    store.stage("2013-01", flights(100))
    assert store.quarantine("2013-01").is_empty()
    assert read_files(store.staging.folder).keys() == {"batches/2013-01/flights.csv", "batches/2013-01/weather.csv"}


TEXTS = st.lists(st.text(st.characters(exclude_characters='",\r\n', exclude_categories=["Cs"]), max_size=5), max_size=6)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_every_row_is_either_kept_or_quarantined_as_it_was_written(tmp_path_factory, texts):
    store = store_in(tmp_path_factory.mktemp("store"), bad_row_share=1)
    lines = [
        ",".join({**FLIGHT, "flight": str(i), "distance": text}.values()) for i, text in enumerate(["10", *texts], 1)
    ]
    store.stage("x", {"flights.csv": "\n".join([",".join(FLIGHT), *lines]).encode(), "weather.csv": WEATHER.encode()})
    store.admit(["x"])
    rejected = {row["penumbra.row"]: row["distance"] for row in store.quarantine("x").to_dicts()}
    assert store.rows("x").height + len(rejected) == 1 + len(texts)
    assert rejected == {row: texts[row - 1] if texts[row - 1] not in ("", "NA") else None for row in rejected}


# Admitting


def test_admitting_moves_the_raw_files_into_the_data_folder(store):
    store.stage("2013-01", flights(3))
    store.admit(["2013-01"])
    assert read_files(store.settings.folder) == {
        f"batches/2013-01/{name}": content for name, content in flights(3).items()
    }
    assert read_files(store.staging.folder) == {}


def test_the_files_of_an_admitted_batch_are_not_read_again_for_their_checksums(store):
    files = flights(20)
    store.stage("2013-01", files)
    store.admit(["2013-01"])
    path = store.raw / "2013-01" / "flights.csv"
    as_staged = path.stat()
    path.write_bytes(files["flights.csv"].replace(b"UA", b"AA"))
    os.utime(path, ns=(as_staged.st_atime_ns, as_staged.st_mtime_ns))
    found = DataStore(store.settings, PROBLEM).sums("2013-01")
    assert found == {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


def test_a_file_that_parse_changed_is_named_by_what_it_became(store, monkeypatch):
    parse = PROBLEM.source.parse

    def open_as_a_database(files):
        rows = parse(files)
        with files.paths["weather.csv"].open("ab") as file:
            file.write(b"\n")
        return rows

    monkeypatch.setattr(PROBLEM.source, "parse", open_as_a_database)
    store.stage("2013-01", flights(3))
    store.admit(["2013-01"])
    changed = read_files(store.raw / "2013-01")
    assert changed["weather.csv"] != WEATHER.encode()
    assert store.sums("2013-01") == {name: hashlib.md5(content).hexdigest() for name, content in changed.items()}


def test_admitted_batches_are_listed_in_order_of_time(store):
    for batch in ("2013-02", "2013-01"):
        store.stage(batch, flights(3))
    store.admit(["2013-02", "2013-01"])
    assert store.batches() == ["2013-01", "2013-02"]


def test_an_admitted_batch_that_is_admitted_again_is_replaced_as_a_whole(store):
    store.stage("2013-01", flights(3))
    store.admit(["2013-01"])
    store.stage("2013-01", flights(4))
    store.admit(["2013-01"])
    assert store.rows("2013-01").height == 4
    assert read_files(store.raw) == {f"2013-01/{name}": content for name, content in flights(4).items()}


def test_the_staged_versions_are_those_that_the_data_folder_would_have(store):
    for batch in ("2013-01", "2013-02"):
        store.stage(batch, flights(3))
    staged = store.staged_versions()
    store.admit(["2013-01", "2013-02"])
    assert staged[1] == versions.compute_data_version(store.settings) != staged[0]


@pytest.mark.parametrize(
    ("today", "last"), [(date(2013, 1, 31), None), (date(2013, 2, 1), "2013-01"), (date(2014, 1, 1), "2013-12")]
)
def test_a_batch_has_arrived_from_the_day_on_which_it_is_complete(tmp_path, today, last):
    arrived = store_in(tmp_path, today=today).arrived()
    assert (arrived[-1] if arrived else None) == last


# Reading


@pytest.fixture
def admitted(store):
    store.stage("2013-01", flights(100, dest="Houston"))
    store.admit(["2013-01"])
    return store


def partitions(store):
    return sorted((store.settings.derived / "rows").glob("*.parquet"))


def test_rows_have_the_columns_of_the_contract_their_batch_and_their_inputs(admitted):
    rows = admitted.rows("2013-01")
    assert rows.columns == [*problem.schema.Labelled.columns(), "penumbra.batch", "penumbra.inputs"]
    assert rows["penumbra.inputs"].struct.unnest().equals(derive_features(FEATURES, rows))
    assert rows["penumbra.batch"].unique().to_list() == ["2013-01"]


def test_a_partition_has_no_features_which_are_computed_as_rows_are_read(admitted):
    (partition,) = partitions(admitted)
    assert list(pl.read_parquet_schema(partition)) == [*problem.schema.Labelled.columns(), "penumbra.batch"]
    assert admitted.rows("2013-01", ["penumbra.inputs"]).columns == ["penumbra.inputs"]


def test_rows_are_in_the_order_in_which_they_arrived(admitted):
    assert admitted.rows("2013-01")["flight"].is_sorted()


def test_admitting_does_not_derive_the_rows_again(admitted):
    before = partitions(admitted)[0].stat().st_mtime_ns
    admitted.rows("2013-01")
    assert [path.stat().st_mtime_ns for path in partitions(admitted)] == [before]


def test_rows_and_quarantine_come_back_after_all_that_is_derived_was_lost(admitted):
    rows, rejected = admitted.rows("2013-01"), admitted.quarantine("2013-01")
    shutil.rmtree(admitted.settings.derived)
    assert admitted.rows("2013-01").equals(rows)
    assert admitted.quarantine("2013-01").equals(rejected)


def test_changed_raw_bytes_are_read_anew(admitted):
    admitted.rows("2013-01")
    (admitted.raw / "2013-01" / "flights.csv").write_bytes(flights(7)["flights.csv"])
    assert admitted.rows("2013-01").height == 7


@pytest.mark.parametrize("module", ["schema", "source", "features"])
def test_rows_are_derived_anew_when_the_code_of_the_problem_changes(admitted, tmp_path, module):
    copy = shutil.copytree(PROBLEM.files["schema"].parent, tmp_path / "problem")
    files = {name: copy / path.name for name, path in PROBLEM.files.items()}
    changing = SimpleNamespace(**PROBLEM.loaded, files=files)
    DataStore(admitted.settings, changing).rows("2013-01")
    before = len(partitions(admitted))
    with files[module].open("a") as file:
        file.write("# changed\n")
    DataStore(admitted.settings, changing).rows("2013-01")
    assert len(partitions(admitted)) == before + 1


def test_a_batch_without_bad_rows_has_an_empty_quarantine(store):
    store.stage("2013-01", flights(3))
    assert store.quarantine("2013-01").is_empty()


# Accidents


KILLED_IN_THE_MIDDLE = """
import resource, signal, sys
from pathlib import Path
from tests.data.test_batches import flights, store_in
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))  # a longer write is cut there, and the process killed
store_in(Path(sys.argv[1])).stage("2013-01", flights(40, dest="Houston"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["1000", "3000"])  # bytes of a raw file, of what is derived
def test_a_write_that_is_killed_in_the_middle_leaves_no_file_that_anybody_reads(store, tmp_path, limit):
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(tmp_path), limit], cwd=PROJECT_ROOT)
    assert killed.returncode == -signal.SIGXFSZ
    assert not list(store.staging.batches.glob("[!.]*"))
    assert {path.suffix for path in (store.settings.derived / "rows").rglob("*")} <= {".tmp"}
    assert store.stage("2013-01", flights(40, dest="Houston")).rejected == 1


def test_there_are_no_rows_of_a_batch_whose_quarantine_could_not_be_written(store):
    store.settings.derived.mkdir()
    (store.settings.derived / "quarantine").write_text("in the way")
    with pytest.raises(OSError, match="quarantine"):
        store.stage("2013-01", flights(100, dest="Houston"))
    assert partitions(store) == []
