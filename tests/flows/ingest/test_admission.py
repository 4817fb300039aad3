"""Raw batches that aren't what was admitted, in a real DVC repository with a real remote."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.faults.corruption.small_state import make_state_settings
from flows.steps.doctor import examination
from flows.steps.ingest import ingestion
from flows.steps.ingest.admission import heal_changed_batches
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchRefused, fetch_batch_files
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import BatchesChanged
from penumbra.data.versioning.origin import DataOrigin
from tests.helpers.files import make_dvc_repository
from tests.helpers.problems.orders import open_orders_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataStore:
    """Two months that were admitted and recorded, with a remote."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    make_dvc_repository(tmp_path)
    made = open_orders_store(tmp_path)
    made.settings = made.settings.model_copy(update={"remote": str(tmp_path / "remote")})
    admit(made, "2024-01", "2024-02")
    record(made)
    return made


def admit(store: DataStore, *batches: str) -> None:
    for batch in batches:
        store.stage(batch, fetch_batch_files(store.problem, batch))
    store.admit(batches)


def record(store: DataStore) -> str:
    meta = DataOrigin.of_batches(store.batches(), store.problem).to_meta()
    return versions.record_data_version(store.settings, meta).md5


def raw_file(store: DataStore, batch: str = "2024-02") -> Path:
    return store.raw / batch / "orders.csv"


def cut_in_half(path: Path) -> bytes:
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"\n", 0, len(whole) // 2) + 1])
    return whole


def remove_contents(root: Path) -> None:
    """Remove the files' contents from cache and remote, which keep the listings."""
    for folder in (".dvc/cache/files", "remote/files"):
        for path in (root / folder).rglob("*"):
            if path.is_file() and path.suffix != ".dir":
                path.unlink()


@pytest.mark.slow
def test_a_batch_cut_in_half_is_brought_back_and_what_was_in_its_place_is_kept(store: DataStore) -> None:
    recorded, whole = versions.read_recorded_version(store.settings), cut_in_half(raw_file(store))
    (said,) = heal_changed_batches(store)
    assert "2024-02 isn't what was admitted" in said
    assert raw_file(store).read_bytes() == whole
    assert record(store) == recorded
    (aside,) = (store.settings.derived / "changed/2024-02").iterdir()
    assert whole.startswith(aside.read_bytes())


@pytest.mark.slow
def test_without_a_cache_it_comes_from_the_remote(store: DataStore, tmp_path: Path) -> None:
    whole = cut_in_half(raw_file(store))
    shutil.rmtree(tmp_path / ".dvc/cache")
    assert len(heal_changed_batches(store)) == 1
    assert raw_file(store).read_bytes() == whole


@pytest.mark.slow
def test_where_nobody_has_it_the_batch_is_refused_and_nothing_is_recorded(store: DataStore, tmp_path: Path) -> None:
    cut_in_half(raw_file(store))
    remove_contents(tmp_path)
    with pytest.raises(BatchesChanged, match=r"2024-02 isn't what was admitted.*ingest --again 2024-02"):
        heal_changed_batches(store)
    assert heal_changed_batches(store, but="2024-02") == []


def test_a_changed_batch_gives_no_rows_and_no_partition_of_its_own(store: DataStore) -> None:
    partitions = list((store.settings.derived / "rows").glob("2024-02-*.parquet"))
    cut_in_half(raw_file(store))
    with pytest.raises(BatchRefused, match="2024-02 isn't what was admitted"):
        store.rows("2024-02")
    assert list((store.settings.derived / "rows").glob("2024-02-*.parquet")) == partitions


@pytest.mark.slow
def test_a_byte_that_changed_under_the_same_time_is_found_by_a_thorough_look_alone(store: DataStore) -> None:
    path, whole = raw_file(store), raw_file(store).read_bytes()
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(whole.replace(b"north", b"south", 1))
    os.utime(path, ns=times)
    assert heal_changed_batches(store) == []
    assert len(heal_changed_batches(store, thorough=True)) == 1
    assert path.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("with_files", [True, False])
def test_the_doctor_brings_back_such_a_byte_where_the_rows_are_gone(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_files: bool
) -> None:
    path, whole = raw_file(store), raw_file(store).read_bytes()
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.chmod(0o644)
    path.write_bytes(whole.replace(b"north", b"south", 1))
    os.utime(path, ns=times)
    shutil.rmtree(store.settings.derived / "rows")
    with pytest.raises(BatchRefused, match="`penumbra doctor` brings it back"):
        store.rows("2024-02")
    settings = make_state_settings(tmp_path / "state").model_copy(update={"data": store.settings})
    monkeypatch.setattr(examination, "load_project", lambda: (settings, store.problem))
    examination._examine_data_folder(with_files)
    assert path.read_bytes() == whole


@pytest.mark.slow
def test_a_damaged_object_of_the_cache_is_never_taken_for_the_content(store: DataStore, tmp_path: Path) -> None:
    whole = cut_in_half(raw_file(store))
    for path in (tmp_path / ".dvc/cache/files").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"x" + path.read_bytes()[1:])
    assert len(heal_changed_batches(store)) == 1
    assert raw_file(store).read_bytes() == whole


def test_a_missing_file_comes_back_and_a_missing_batch_does_too(store: DataStore) -> None:
    whole = raw_file(store).read_bytes()
    raw_file(store).unlink()
    shutil.rmtree(store.raw / "2024-01")
    assert len(heal_changed_batches(store)) == 2
    assert raw_file(store).read_bytes() == whole
    assert store.batches() == ["2024-01", "2024-02"]


@pytest.mark.slow
@pytest.mark.parametrize("inner", ["", "deep/extra.csv"])
def test_a_folder_in_a_files_place_is_set_aside_with_what_is_in_it(store: DataStore, inner: str) -> None:
    whole = raw_file(store).read_bytes()
    raw_file(store).unlink()
    (raw_file(store) / inner).parent.mkdir(parents=True, exist_ok=True)
    if inner:
        (raw_file(store) / inner).write_text("1\n")
    else:
        raw_file(store).mkdir()
    said, *foreign = heal_changed_batches(store)
    assert f"{raw_file(store)} is a folder, not " in said
    assert raw_file(store).read_bytes() == whole
    aside = store.settings.derived / "changed/2024-02"
    assert [path.read_text() for path in aside.rglob("extra.csv.*")] == ["1\n"] * len(foreign) == ["1\n"] * bool(inner)
    assert heal_changed_batches(store) == []


def test_a_file_where_a_folder_was_is_set_aside(store: DataStore) -> None:
    whole = raw_file(store).read_bytes()
    shutil.rmtree(store.raw / "2024-02")
    (store.raw / "2024-02").write_text("1\n")
    assert len(heal_changed_batches(store)) == 2
    assert raw_file(store).read_bytes() == whole
    assert [path.read_text() for path in (store.settings.derived / "changed").iterdir()] == ["1\n"]


@pytest.mark.parametrize("again", ["", "2024-02"])
def test_a_file_that_is_put_into_an_admitted_batch_is_named_and_set_aside(store: DataStore, again: str) -> None:
    recorded, extra = versions.read_recorded_version(store.settings), raw_file(store).with_name("extra.csv")
    extra.write_text("1\n")
    (said,) = heal_changed_batches(store, but=again)
    assert f"2024-02 isn't what was admitted: {extra} is no file of it; it is no part of a data version" in said
    assert not extra.exists()
    assert record(store) == recorded
    (aside,) = (store.settings.derived / "changed/2024-02").iterdir()
    assert aside.read_text() == "1\n"
    assert heal_changed_batches(store) == []


def test_a_file_beside_one_that_nobody_can_bring_back_stays(store: DataStore, tmp_path: Path) -> None:
    cut_in_half(raw_file(store))
    raw_file(store).with_name("extra.csv").write_text("1\n")
    remove_contents(tmp_path)
    with pytest.raises(BatchesChanged, match=r"2024-02/orders\.csv has the md5"):
        heal_changed_batches(store)
    assert raw_file(store).with_name("extra.csv").exists()


@pytest.mark.slow
def test_what_an_ingest_admitted_and_was_killed_before_it_recorded_is_left_alone(store: DataStore) -> None:
    admit(store, "2024-03")
    store.stage("2024-02", {"orders.csv": fetch_batch_files(store.problem, "2024-02")["orders.csv"][:-60]})
    store.admit(["2024-02"])
    corrected = raw_file(store).read_bytes()
    assert heal_changed_batches(store) == []
    assert raw_file(store).read_bytes() == corrected


def test_data_of_another_problem_is_never_brought_back_into_this_ones_place(store: DataStore) -> None:
    pointer = versions.get_dvc_file(store.settings)
    pointer.write_text(pointer.read_text().replace("2024-0", "1999-0"))
    cut_in_half(raw_file(store))
    assert heal_changed_batches(store) == []


@pytest.mark.slow
def test_a_cut_off_partition_is_derived_again_with_the_same_rows(
    store: DataStore, caplog: pytest.LogCaptureFixture
) -> None:
    before = store.rows("2024-01")
    (partition,) = (store.settings.derived / "rows").glob("2024-01-*.parquet")
    partition.write_bytes(partition.read_bytes()[:100])
    assert store.rows("2024-01").equals(before)
    assert f"{partition} is not what was written" in caplog.text


def test_the_flows_errors_of_one_sentence_name_these_too() -> None:
    assert BatchesChanged in ingestion.INGEST_ERRORS
