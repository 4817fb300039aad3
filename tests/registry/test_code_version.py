import ast
import datetime as dt
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry import code_version
from penumbra.storage.cache import RunReceipts

NAMES = st.sampled_from(["a.py", "b.py", "c.py"])
FILES = st.dictionaries(NAMES, st.binary(max_size=8), max_size=3)
FACTS = st.dictionaries(
    st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none() | st.booleans(), max_size=3
)


def pairs(values):
    """Two values, often equal."""
    return values.flatmap(lambda value: st.tuples(st.just(value), st.just(value) | values))


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


def with_files(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_revision_of_a_clean_checkout_is_its_commit(checkout):
    assert code_version.read_git_revision(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["a.py", "new.py"])
def test_the_revision_says_where_files_were_changed_or_added_since(checkout, name):
    (checkout / name).write_text("a = 2\n")
    assert code_version.read_git_revision(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"


def test_ignored_files_are_no_changes(checkout):
    (checkout / ".gitignore").write_text("*.tmp\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-m", "ignore")
    (checkout / "x.tmp").write_text("")
    assert code_version.read_git_revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_without_git_there_is_no_revision_and_the_error_says_what_to_do(tmp_path):
    with pytest.raises(code_version.NoGitRevision, match="git init"):
        code_version.read_git_revision(tmp_path)


def test_a_checkout_without_a_commit_has_no_revision(tmp_path):
    git(tmp_path, "init")
    with pytest.raises(code_version.NoGitRevision, match="no git checkout with a commit"):
        code_version.read_git_revision(tmp_path)


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


@given(files=pairs(FILES), facts=pairs(FACTS))
def test_fingerprints_are_equal_where_files_and_facts_are(tmp_path_factory, files, facts):
    folders = [with_files(tmp_path_factory.mktemp("code"), contents) for contents in files]
    first, second = (
        code_version.compute_fingerprint(folder, ["*.py"], values)
        for folder, values in zip(folders, facts, strict=True)
    )
    equal = files[0] == files[1] and repr(sorted(facts[0].items())) == repr(sorted(facts[1].items()))
    assert (first == second) is equal


@pytest.mark.parametrize(
    "changed_files",
    [
        {"a.py": b"2", "b.py": b""},
        {"a.py": b"1"},
        {"a.py": b"1", "c.py": b""},
        {"a.py": b"1", "b.py": b"", "c.py": b""},
        {"a.py": b"1b.py\0"},
    ],
)
def test_a_changed_renamed_added_or_lost_file_changes_the_fingerprint(tmp_path, changed_files):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, files in ((first, {"a.py": b"1", "b.py": b""}), (second, changed_files)):
        folder.mkdir()
        with_files(folder, files)
    assert code_version.compute_fingerprint(first, ["*.py"]) != code_version.compute_fingerprint(second, ["*.py"])


def test_files_that_no_pattern_names_do_not_matter(tmp_path):
    before = code_version.compute_fingerprint(with_files(tmp_path, {"a.py": b"1"}), ["*.py"])
    assert code_version.compute_fingerprint(with_files(tmp_path, {"notes.md": b"1"}), ["*.py"]) == before


@pytest.fixture
def package(tmp_path):
    """Modules that import each other in every way that there is."""
    files = {
        "a/__init__.py": "",
        "a/load.py": "import a.deep.direct\nfrom a.deep import (\n    listed,  # (first)\n    again,\n)\n",
        "a/lazy.py": "def f():\n    from a import late\n    import json; import numpy.linalg\n",
        "a/late.py": '"""\nfrom here on a docstring (that is no code\n"""\nfrom .deep import relative\n',
        "a/alone.py": "",
        **{f"a/deep/{name}.py": "" for name in ("__init__", "direct", "listed", "again", "relative", "unused")},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("a.load", ["a", "a.deep", "a.deep.again", "a.deep.direct", "a.deep.listed", "a.load"]),
        ("a.lazy", ["a", "a.deep", "a.deep.relative", "a.late", "a.lazy"]),
        ("a.alone", ["a", "a.alone"]),
        ("a.deep", ["a", *(f"a.deep{name}" for name in ("", ".again", ".direct", ".listed", ".relative", ".unused"))]),
    ],
)
def test_the_imports_of_a_module_are_followed_through_functions_relative_names_and_packages(package, entry, found):
    assert code_version.list_imported_modules(package, [entry]) == found


def test_a_circle_of_imports_is_followed_once(tmp_path):
    for name, other in ("ab", "ba"):
        (tmp_path / f"{name}.py").write_text(f"import {other}\n")
    assert code_version.list_imported_modules(tmp_path, ["a"]) == ["a", "b"]


def test_of_imported_modules_only_those_in_the_rooms_are_listed_as_files(package):
    assert code_version.list_module_files(package, ["a.load"], ["a.load", "a.deep.again", "a.dee"]) == [
        "a/deep/again.py",
        "a/load.py",
    ]


def test_an_entry_module_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no module a\.b below"):
        code_version.list_imported_modules(tmp_path, ["a.b"])


@pytest.mark.parametrize("room", ["penumbra", "flows", "monitoring", "service", "problem"])
def test_reading_import_statements_alone_finds_what_reading_the_whole_module_finds(room):
    for path in (PROJECT_ROOT / room).rglob("*.py"):
        source = path.read_text()
        expected = {
            ast.dump(each) for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Import | ast.ImportFrom)
        }
        found = {ast.dump(each) for each in code_version._parse_import_statements(source)}
        assert expected <= found, path


def test_the_order_of_patterns_does_not_matter(tmp_path):
    with_files(tmp_path, {"a.py": b"1", "b.toml": b"2"})
    assert code_version.compute_fingerprint(tmp_path, ["*.py", "b.toml"]) == code_version.compute_fingerprint(
        tmp_path, ["b.toml", "*.py"]
    )


@pytest.mark.parametrize(
    ("fact", "other"),
    [(dt.date(2013, 4, 1), dt.date(2013, 5, 1)), (Path("a"), Path("b")), ({"a": 1}, {"a": 2}), ("1", 1)],
)
def test_another_fact_changes_the_fingerprint(tmp_path, fact, other):
    assert code_version.compute_fingerprint(tmp_path, [], fact) != code_version.compute_fingerprint(tmp_path, [], other)


def test_facts_in_another_order_give_the_same_fingerprint(tmp_path):
    assert code_version.compute_fingerprint(tmp_path, [], {"a": 1, "b": 2}) == code_version.compute_fingerprint(
        tmp_path, [], {"b": 2, "a": 1}
    )


def test_a_receipt_is_known_once_it_is_kept(tmp_path):
    receipts = RunReceipts(tmp_path)
    assert not receipts.has_receipt("abc")
    receipts.save("abc", "Version 1 is live")
    assert (RunReceipts(tmp_path).has_receipt("abc"), RunReceipts(tmp_path).has_receipt("abd")) == (True, False)


def test_the_last_word_is_the_latest(tmp_path):
    RunReceipts(tmp_path).write_latest("Nothing to do")
    RunReceipts(tmp_path).save("abc", "Version 1 is live")
    assert (tmp_path / "receipts" / "latest.txt").read_text() == "Version 1 is live"
    RunReceipts(tmp_path).write_latest("Nothing to do")
    assert (tmp_path / "receipts" / "latest.txt").read_text() == "Nothing to do"
