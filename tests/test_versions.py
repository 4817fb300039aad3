import shutil

import pytest
from dvc.repo import Repo
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stores import versions

NAMES = st.text(st.characters(categories=["L", "N"], include_characters=" -_.~"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=6)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a DVC repository whose default remote is the folder `remote` beside it."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    root.mkdir()
    with Repo.init(str(root), no_scm=True) as repo, repo.config.edit() as config:
        config["core"]["remote"] = "store"
        config["remote"]["store"] = {"url": str(tmp_path / "remote")}
    (root / "data").mkdir()
    (root / "data" / "a.csv").write_text("1\n")
    return root


def write(folder, tree):
    """Write the files of a tree, but for those that another one's path goes through."""
    for name, content in tree.items():
        path = folder / name
        if path.is_dir() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
@example({"a/b": b"1", "a-b": b"2", "a.b": b"", "B": b"", "é": b"3"})
def test_the_md5_of_a_folder_is_the_one_that_dvc_computes(project, tree):
    shutil.rmtree(project / "data")
    write(project / "data", tree)
    assert versions.record(project / "data").md5 == versions.directory_md5(project / "data")


def test_a_new_version_is_named_by_the_pointer_file_beside_the_folder(project):
    version = versions.record(project / "data")
    assert (version.changed, version.md5) == (True, versions.recorded_md5(project / "data.dvc"))


def test_recording_the_same_content_again_changes_nothing(project):
    first = versions.record(project / "data")
    written = (project / "data.dvc").stat().st_mtime_ns
    assert versions.record(project / "data") == versions.Version(first.md5, changed=False)
    assert (project / "data.dvc").stat().st_mtime_ns == written


def test_every_change_of_the_content_is_another_version(project):
    md5s = [versions.record(project / "data").md5]
    for name, text in [("a.csv", "2\n"), ("b.csv", ""), ("sub/b.csv", "")]:
        write(project / "data", {name: text.encode()})
        md5s.append(versions.record(project / "data").md5)
    assert len(set(md5s)) == 4


def test_an_old_version_comes_back_from_the_remote_alone(project, tmp_path):
    write(project / "data", {"sub/b.csv": b"2\n"})
    before = content(project / "data")
    versions.record(project / "data")
    pointer = (project / "data.dvc").read_text()
    write(project / "data", {"a.csv": b"changed"})
    versions.record(project / "data")

    (project / "data.dvc").write_text(pointer)
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    with Repo(str(project)) as repo:
        repo.pull()
    assert content(project / "data") == before


def test_a_clone_that_made_the_same_data_anew_gets_it_into_its_cache_and_keeps_the_pointer(project):
    versions.record(project / "data")
    pointer = (project / "data.dvc").read_text()
    shutil.rmtree(project / ".dvc" / "cache")
    assert not versions.record(project / "data").changed
    assert ((project / "data.dvc").read_text(), (project / ".dvc" / "cache").is_dir()) == (pointer, True)


def test_without_a_remote_the_version_is_in_the_cache(project):
    with Repo(str(project)) as repo, repo.config.edit() as config:
        del config["core"]["remote"], config["remote"]["store"]
    assert versions.record(project / "data").md5 == versions.directory_md5(project / "data")


def test_a_folder_or_pointer_that_is_not_there_has_no_version(tmp_path):
    assert versions.directory_md5(tmp_path / "data") == versions.recorded_md5(tmp_path / "data.dvc") == ""


def test_recording_leaves_the_files_as_they_are(project):
    before = content(project / "data")
    versions.record(project / "data")
    assert content(project / "data") == before
