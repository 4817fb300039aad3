"""DVC."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo


@pytest.fixture
def repo(tmp_path):
    """A repository with a folder of two files."""
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / name).write_text(name)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        repo.add(str(tmp_path / "data"))
        yield repo


def test_dvc_names_a_folder_by_the_md5_of_its_listing_as_json(repo):
    listing = [{"md5": hashlib.md5(name.encode()).hexdigest(), "relpath": name} for name in "ab"]
    md5 = hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest()
    assert f"md5: {md5}.dir" in (Path(repo.root_dir) / "data.dvc").read_text()


@pytest.mark.slow
def test_dvc_status_exits_with_0_where_data_has_changed(repo):
    (Path(repo.root_dir) / "data" / "a").write_text("changed")
    command = [sys.executable, "-m", "dvc", "status"]
    done = subprocess.run(command, cwd=repo.root_dir, capture_output=True, text=True)
    assert (done.returncode, "modified" in done.stdout) == (0, True)


def test_dvc_checkout_restores_nothing_where_one_file_has_changed(repo):
    data = Path(repo.root_dir) / "data"
    (data / "a").write_text("changed")
    (data / "b").unlink()
    with pytest.raises(DvcException):
        repo.checkout()
    assert [path.name for path in data.iterdir()] == ["a"]


@pytest.mark.slow
def test_dvc_gives_a_lock_up_after_three_seconds(repo):
    with repo.lock, Repo(repo.root_dir) as other, pytest.raises(LockError):
        other.add(str(Path(repo.root_dir) / "data"))
