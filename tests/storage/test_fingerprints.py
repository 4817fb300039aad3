import ast
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import PROJECT_ROOT
from penumbra.storage import fingerprints
from penumbra.storage.cache import RunReceipts

NAMES = st.sampled_from(["a.py", "b.py", "c.py"])
FILES = st.dictionaries(NAMES, st.binary(max_size=8), max_size=3)
FACTS = st.dictionaries(
    st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none() | st.booleans(), max_size=3
)


def pairs(values):
    """Two values, often equal."""
    return values.flatmap(lambda value: st.tuples(st.just(value), st.just(value) | values))


def with_files(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@given(files=pairs(FILES), facts=pairs(FACTS))
def test_fingerprints_are_equal_where_files_and_facts_are(tmp_path_factory, files, facts):
    folders = [with_files(tmp_path_factory.mktemp("code"), contents) for contents in files]
    first, second = (
        fingerprints.compute_fingerprint(folder, ["*.py"], values)
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
    assert fingerprints.compute_fingerprint(first, ["*.py"]) != fingerprints.compute_fingerprint(second, ["*.py"])


def test_files_that_no_pattern_names_do_not_matter(tmp_path):
    before = fingerprints.compute_fingerprint(with_files(tmp_path, {"a.py": b"1"}), ["*.py"])
    assert fingerprints.compute_fingerprint(with_files(tmp_path, {"notes.md": b"1"}), ["*.py"]) == before


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
    assert fingerprints.list_imported_modules(package, [entry]) == found


def test_a_circle_of_imports_is_followed_once(tmp_path):
    for name, other in ("ab", "ba"):
        (tmp_path / f"{name}.py").write_text(f"import {other}\n")
    assert fingerprints.list_imported_modules(tmp_path, ["a"]) == ["a", "b"]


def test_of_imported_modules_only_those_in_the_rooms_are_listed_as_files(package):
    engine = (package / "a").rename(package / "flows")
    for path in engine.rglob("*.py"):
        path.write_text(path.read_text().replace("a.deep", "flows.deep"))
    assert fingerprints.list_module_files(package, ["flows.load"], ["flows.load", "flows.deep.again", "flows.dee"]) == [
        "flows/deep/again.py",
        "flows/load.py",
    ]


def test_of_the_projects_own_packages_every_imported_module_and_every_table_counts(package):
    for name in ("a/table.csv", "a/deep/table.json", "a/.hidden", "a/__pycache__/load.pyc", "other.csv"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("")
    assert fingerprints.list_module_files(package, ["a.alone"], []) == [
        "a/__init__.py",
        "a/alone.py",
        "a/deep/table.json",
        "a/table.csv",
    ]


def test_a_folder_without_an_init_module_is_a_package_too(package):
    (package / "a/__init__.py").unlink()
    assert "a.deep.unused" in fingerprints.list_imported_modules(package, ["a"])


def test_an_entry_module_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no module a\.b below"):
        fingerprints.list_imported_modules(tmp_path, ["a.b"])


@pytest.mark.slow
@pytest.mark.parametrize("room", ["penumbra", "flows", "monitoring", "service", "problem"])
def test_reading_import_statements_alone_finds_what_reading_the_whole_module_finds(room):
    for path in (PROJECT_ROOT / room).rglob("*.py"):
        source = path.read_text()
        expected = {
            ast.dump(each) for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Import | ast.ImportFrom)
        }
        found = {ast.dump(each) for each in fingerprints._parse_import_statements(source)}
        assert expected <= found, path


def test_the_order_of_patterns_does_not_matter(tmp_path):
    with_files(tmp_path, {"a.py": b"1", "b.toml": b"2"})
    assert fingerprints.compute_fingerprint(tmp_path, ["*.py", "b.toml"]) == fingerprints.compute_fingerprint(
        tmp_path, ["b.toml", "*.py"]
    )


@pytest.mark.parametrize(
    ("fact", "other"),
    [(dt.date(2013, 4, 1), dt.date(2013, 5, 1)), (Path("a"), Path("b")), ({"a": 1}, {"a": 2}), ("1", 1)],
)
def test_another_fact_changes_the_fingerprint(tmp_path, fact, other):
    assert fingerprints.compute_fingerprint(tmp_path, [], fact) != fingerprints.compute_fingerprint(tmp_path, [], other)


def test_facts_in_another_order_give_the_same_fingerprint(tmp_path):
    assert fingerprints.compute_fingerprint(tmp_path, [], {"a": 1, "b": 2}) == fingerprints.compute_fingerprint(
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
