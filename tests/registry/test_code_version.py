import subprocess

import pytest

from flows.steps.ingest import recorded_version
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.registry import code_version


def git(root, *words):
    identity = ["-c", "user.name=test", "-c", "user.email=test", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(root), *identity, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "start")
    return tmp_path


def test_the_revision_of_a_clean_checkout_is_its_commit(checkout):
    assert code_version.read_code_revision(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["a.py", "new.py"])
def test_the_revision_says_where_files_were_changed_or_added_since(checkout, name):
    (checkout / name).write_text("a = 2\n")
    assert code_version.read_code_revision(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"


def test_of_a_project_in_a_folder_of_a_checkout_only_its_own_files_are_changes(checkout):
    project = checkout / "projects" / "delays"
    project.mkdir(parents=True)
    (checkout / "a.py").write_text("a = 2\n")
    assert code_version.read_code_revision(project) == git(checkout, "rev-parse", "HEAD")
    (project / "b.py").write_text("b = 1\n")
    assert code_version.read_code_revision(project).endswith("+changes")


def test_another_data_version_is_no_change_of_the_code(checkout):
    (checkout / "data.dvc").write_text("outs: []\n")

    assert code_version.read_code_revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_ignored_files_are_no_changes(checkout):
    (checkout / ".gitignore").write_text("*.tmp\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-m", "ignore")
    (checkout / "x.tmp").write_text("")
    assert code_version.read_code_revision(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("path", ["orders/1.csv", "orders", "orders/*.csv"])
def test_data_are_untracked_until_git_has_or_ignores_them(checkout, path):
    (checkout / "orders").mkdir()
    (checkout / "orders" / "1.csv").write_text("a\n1\n")
    assert code_version.has_untracked_files(checkout, path)
    (checkout / ".gitignore").write_text(f"/{path}\n")
    assert not code_version.has_untracked_files(checkout, path)
    (checkout / ".gitignore").unlink()
    git(checkout, "add", "-A")
    assert not code_version.has_untracked_files(checkout, path)


def test_without_git_all_data_are_untracked(tmp_path):
    assert code_version.has_untracked_files(tmp_path, "orders.csv")


def test_without_git_there_is_no_revision_and_the_error_says_what_to_do(tmp_path):
    with pytest.raises(code_version.NoCodeRevision, match="git init"):
        code_version.read_code_revision(tmp_path)


def test_a_checkout_without_a_commit_has_no_revision(tmp_path):
    git(tmp_path, "init")
    with pytest.raises(code_version.NoCodeRevision, match="no git checkout with a commit"):
        code_version.read_code_revision(tmp_path)


def test_an_image_without_git_has_the_revision_that_was_baked_into_it(tmp_path):
    (tmp_path / "REVISION").write_text("0123abc\n")
    assert code_version.read_code_revision(tmp_path) == "0123abc"


def test_a_checkout_says_its_own_commit_whatever_file_lies_in_it(checkout):
    (checkout / "REVISION").write_text("0123abc\n")
    assert code_version.read_code_revision(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"


def test_an_empty_revision_is_none(tmp_path):
    (tmp_path / "REVISION").write_text("\n")
    with pytest.raises(code_version.NoCodeRevision, match="has no file REVISION"):
        code_version.read_code_revision(tmp_path)


def test_the_environment_names_the_versions_that_shape_a_model():
    environment = code_version.describe_environment(PROJECT_ROOT)
    assert environment.keys() == {"python", "platform", "lock", *code_version.RECORDED_LIBRARIES}
    assert all(environment.values())


def test_another_lock_file_is_another_environment(tmp_path):
    locks = []
    (tmp_path / "locks").mkdir()
    for text in ("a==1", "a==2"):
        (tmp_path / "locks" / "runtime.lock").write_text(text)
        locks.append(code_version.describe_environment(tmp_path)["lock"])
    assert locks[0] != locks[1]


def test_a_file_is_committed_by_whichever_ingest_finds_that_git_lacks_it(checkout, monkeypatch):
    for name in ("name", "email"):
        git(checkout, "config", f"user.{name}", "test")
    monkeypatch.setattr(recorded_version, "PROJECT_ROOT", checkout)
    data = load_settings(environ={}).data.model_copy(update={"folder": checkout / "data", "commit": True})
    (checkout / "data.dvc").write_text("outs:\n")
    assert recorded_version._commit_pointer(data, "Data until 2024-01", is_new=False)[0].startswith("committed ")
    assert git(checkout, "log", "--format=%s", "-1") == "Data until 2024-01"
    assert recorded_version._commit_pointer(data, "Data until 2024-01", is_new=True) == []


def test_a_refusal_of_git_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_version, "PROJECT_ROOT", tmp_path)
    data = load_settings(environ={}).data.model_copy(update={"folder": tmp_path / "data", "commit": True})
    with pytest.raises(recorded_version.IngestRefused, match=r"git doesn't commit .*data\.dvc .*not a git repository"):
        recorded_version._commit_pointer(data, "Data until 2024-01", is_new=True)
