import datetime as dt
import logging
import shutil

import pytest
from dvc.repo import Repo
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penumbra.core.settings import DataSettings
from penumbra.data.versioning import restoring, versions
from penumbra.data.versioning.objects import get_cached_object
from tests.helpers.files import make_dvc_repository, read_files

NAMES = st.text(st.characters(categories=["L", "N"], include_characters=" -_.~"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=6)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The data settings of a folder with a DVC repository, whose remote is the folder `remote` beside it."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "data" / "a.csv").write_text("1\n")
    make_dvc_repository(root)
    return data_settings(root, str(tmp_path / "remote"))


def data_settings(root, remote):
    return DataSettings(
        today=dt.date(2013, 4, 1),
        folder=root / "data",
        derived=root / "var",
        remote=remote,
        commit=False,
        bad_row_share=0.05,
    )


def write(folder, tree):
    """Write the files of a tree, but for those that another one's path goes through."""
    for name, content in tree.items():
        path = folder / name
        if path.is_dir() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
@example({"a/b": b"1", "a-b": b"2", "a.b": b"", "B": b"", "é": b"3"})
def test_dvc_itself_names_the_same_version_with_the_same_pointer_file(project, tree):
    shutil.rmtree(project.folder)
    write(project.folder, tree)
    versions.record_data_version(project)
    ours = versions.get_dvc_file(project).read_text()
    versions.get_dvc_file(project).unlink()
    with Repo(str(project.folder.parent)) as repo:
        repo.add(str(project.folder))
    assert versions.get_dvc_file(project).read_text() == ours


@pytest.mark.slow
def test_dvc_itself_brings_back_from_the_remote_what_was_recorded_in_steps(project, tmp_path):
    versions.record_data_version(project)
    write(project.folder, {"sub/b.csv": b"2\n"})
    versions.record_data_version(project)
    before = read_files(project.folder)
    shutil.rmtree(project.folder)
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    remote = {"core": {"remote": "there"}, "remote": {"there": {"url": str(tmp_path / "remote")}}}
    with Repo(str(project.folder.parent), config=remote) as repo:
        repo.pull()
    assert read_files(project.folder) == before


@pytest.mark.slow
def test_another_remote_gets_the_whole_version_though_the_first_one_has_it(project, tmp_path):
    versions.record_data_version(project)
    moved = project.model_copy(update={"remote": str(tmp_path / "elsewhere")})
    versions.record_data_version(moved)
    shutil.rmtree(project.folder)
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    assert restoring.pull_data(moved) == ""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"b.csv": b"2\n"}], ids=["nothing new", "a new file"])
def test_another_store_behind_the_same_address_gets_the_whole_version(project, tmp_path, changes):
    versions.record_data_version(project)
    shutil.rmtree(tmp_path / "remote")
    write(project.folder, changes)
    before = read_files(project.folder)
    assert versions.record_data_version(project).problem == ""
    shutil.rmtree(project.folder)
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    assert restoring.pull_data(project) == ""
    assert read_files(project.folder) == before


def test_a_version_of_whose_push_only_the_listing_is_missing_is_pushed_by_the_next_call(project, tmp_path):
    md5 = versions.record_data_version(project).md5
    listing = tmp_path / "remote" / "files" / "md5" / md5[:2] / md5[2:]
    listing.unlink()
    assert versions.record_data_version(project) == versions.DataVersion(md5, changed=False)
    assert listing.exists()


@pytest.mark.slow
def test_a_version_in_an_object_store_is_pushed_once_and_anew_to_an_empty_bucket(project, bucket, moto):
    import fsspec

    there = project.model_copy(update={"remote": f"{bucket}/data"})
    versions.record_data_version(there)
    moto.requests.clear()
    assert versions.record_data_version(there).problem == ""
    assert [request for request in moto.requests if not request.startswith(("HEAD", "GET"))] == []
    fsspec.filesystem("s3").rm(f"{bucket}/data", recursive=True)
    assert versions.record_data_version(there).problem == ""
    shutil.rmtree(there.folder)
    shutil.rmtree(there.folder.parent / ".dvc" / "cache")
    assert restoring.pull_data(there) == ""


@pytest.mark.slow
def test_a_store_that_is_away_is_the_reason_why_nothing_was_pulled_or_pushed(project, bucket, moto, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    there = project.model_copy(update={"remote": f"{bucket}/data"})
    versions.record_data_version(there)
    moto.stop()
    try:
        write(there.folder, {"b.csv": b"2\n"})
        pushed = versions.record_data_version(there)
        shutil.rmtree(there.folder)
        shutil.rmtree(there.folder.parent / ".dvc" / "cache")
        pulled = restoring.pull_data(there)
    finally:
        moto.start()
    assert "Could not connect to the endpoint" in pushed.problem
    assert f"the remote {bucket}/data can't be read: " in pulled
    assert "Could not connect to the endpoint" in pulled


def test_a_new_version_is_named_by_the_pointer_file_beside_the_folder(project):
    version = versions.record_data_version(project)
    assert (version.changed, version.md5) == (True, versions.read_recorded_version(project))


def test_a_folder_that_is_no_git_checkout_yet_is_versioned_too(project):
    (project.folder.parent / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    assert versions.record_data_version(project).md5 == versions.read_recorded_version(project)


def test_recording_the_same_content_again_changes_nothing(project):
    first = versions.record_data_version(project)
    written = versions.get_dvc_file(project).stat().st_mtime_ns
    assert versions.record_data_version(project) == versions.DataVersion(first.md5, changed=False)
    assert versions.get_dvc_file(project).stat().st_mtime_ns == written


def test_a_listing_that_is_damaged_once_it_was_read_is_not_read_any_more(project):
    md5 = versions.record_data_version(project).md5
    assert set(versions.read_cached_listing(project, md5)) == {"a.csv"}
    cached = get_cached_object(project, md5)
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes().replace(b"a.csv", b"b.csv"))
    assert versions.read_cached_listing(project, md5) == {}
    assert not cached.exists()


@pytest.mark.slow
def test_every_change_of_the_content_is_another_version(project):
    md5s = [versions.record_data_version(project).md5]
    for name, text in [("a.csv", "2\n"), ("b.csv", ""), ("sub/b.csv", "")]:
        write(project.folder, {name: text.encode()})
        md5s.append(versions.record_data_version(project).md5)
    assert len(set(md5s)) == 4


@pytest.mark.slow
def test_an_old_version_comes_back_from_the_remote_alone(project, tmp_path):
    write(project.folder, {"sub/b.csv": b"2\n"})
    before = read_files(project.folder)
    versions.record_data_version(project)
    pointer = versions.get_dvc_file(project).read_text()
    write(project.folder, {"a.csv": b"changed"})
    versions.record_data_version(project)

    versions.get_dvc_file(project).write_text(pointer)
    shutil.rmtree(project.folder)
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    assert restoring.pull_data(project) == ""
    assert read_files(project.folder) == before


def test_pulling_what_neither_cache_nor_remote_has_says_no_without_a_warning(project, tmp_path, monkeypatch, caplog):
    for name in ("dvc", "dvc_data"):
        logging.getLogger(name).setLevel(logging.NOTSET)
        monkeypatch.setattr(logging.getLogger(name), "handlers", [caplog.handler])
    versions.record_data_version(project)
    for folder in (project.folder, project.folder.parent / ".dvc" / "cache", tmp_path / "remote"):
        shutil.rmtree(folder)
    assert restoring.pull_data(project) == (
        f"DVC's cache hasn't all of it, and the remote {project.remote} doesn't have it"
    )
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_version_is_restored_beside_the_work_tree_which_stays_as_it_is(project, tmp_path):
    before = read_files(project.folder)
    old = versions.record_data_version(project)
    pointer = versions.get_dvc_file(project).read_text()
    write(project.folder, {"a.csv": b"changed"})
    versions.record_data_version(project)
    assert restoring.restore_data_version(project, pointer, tmp_path / "restored") == old.md5
    assert read_files(tmp_path / "restored") == before
    assert read_files(project.folder) == {"a.csv": b"changed"}


def test_restoring_needs_the_cache_or_the_remote_but_not_both(project, tmp_path):
    versions.record_data_version(project)
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    restoring.restore_data_version(project, versions.get_dvc_file(project).read_text(), tmp_path / "restored")
    assert read_files(tmp_path / "restored") == read_files(project.folder)


def test_restoring_what_is_nowhere_names_the_version_and_the_remote(project, tmp_path):
    version = versions.record_data_version(project)
    for folder in (project.folder.parent / ".dvc" / "cache", tmp_path / "remote"):
        shutil.rmtree(folder)
    with pytest.raises(restoring.RestoreFailed, match=rf"{version.md5}.*{tmp_path / 'remote'}"):
        restoring.restore_data_version(project, versions.get_dvc_file(project).read_text(), tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_restoring_never_overwrites(project, tmp_path):
    versions.record_data_version(project)
    (tmp_path / "restored").mkdir()
    with pytest.raises(restoring.RestoreFailed, match="exists already"):
        restoring.restore_data_version(project, versions.get_dvc_file(project).read_text(), tmp_path / "restored")


def test_a_remote_that_fails_is_told_and_tried_again_by_the_next_call(project, tmp_path):
    (tmp_path / "remote").write_text("a file where the remote's folder should be")
    first = versions.record_data_version(project)
    assert (first.changed, first.problem != "") == (True, True)
    (tmp_path / "remote").unlink()
    assert versions.record_data_version(project) == versions.DataVersion(first.md5, changed=False)
    assert any((tmp_path / "remote").rglob("*.dir"))


def test_a_clone_that_made_the_same_data_anew_gets_it_into_its_cache_and_keeps_the_pointer(project):
    versions.record_data_version(project)
    pointer = versions.get_dvc_file(project).read_text()
    shutil.rmtree(project.folder.parent / ".dvc" / "cache")
    assert not versions.record_data_version(project).changed
    assert (versions.get_dvc_file(project).read_text(), (project.folder.parent / ".dvc" / "cache").is_dir()) == (
        pointer,
        True,
    )


def test_without_a_remote_the_version_is_in_the_cache(project):
    alone = project.model_copy(update={"remote": ""})
    assert versions.record_data_version(alone) == versions.DataVersion(
        versions.compute_data_version(project), changed=True
    )


def test_a_folder_or_pointer_that_is_not_there_has_no_version(tmp_path):
    nothing = data_settings(tmp_path / "nothing", "")
    assert versions.compute_data_version(nothing) == versions.read_recorded_version(nothing) == ""


def test_recording_leaves_the_files_as_they_are(project):
    before = read_files(project.folder)
    versions.record_data_version(project)
    assert read_files(project.folder) == before


def test_dvc_itself_takes_a_pointer_file_that_says_whose_data_it_names(project):
    versions.record_data_version(project, {"first": "2024-01-01", "last": "2024-01-02", "columns": ["at", "no: 1"]})
    assert versions.read_recorded_meta(project)["columns"] == ["at", "no: 1"]
    shutil.rmtree(project.folder)
    with Repo(str(project.folder.parent)) as repo:
        repo.pull()
        repo.add(str(project.folder))
    assert versions.read_recorded_meta(project)["first"] == "2024-01-01"
    assert (project.folder / "a.csv").exists()


@pytest.mark.slow
def test_a_folder_without_a_repository_gets_one_and_is_filled_from_the_remote(project, tmp_path):
    recorded = versions.record_data_version(project).md5
    empty = data_settings(tmp_path / "pod", project.remote)
    empty.folder.parent.mkdir()
    shutil.copy(versions.get_dvc_file(project), versions.get_dvc_file(empty))
    assert restoring.pull_data(empty) == ""
    assert (versions.compute_data_version(empty), read_files(empty.folder)) == (recorded, {"a.csv": b"1\n"})
