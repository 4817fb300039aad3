"""The figures of the code's order that must hold."""

import pytest

from tests.project.code.inventory import (
    find_crowded_folders,
    find_long_files,
    find_one_word_functions,
    find_shared_names,
    measure_functions,
    read_source_files,
)

LONGEST_FILE = 240  # lines without docstrings
MEDIAN_FUNCTION, LONG_FUNCTION, LONGEST_FUNCTION = 8, 20, 42
MOST_MODULES = 14  # of a folder


@pytest.mark.slow
def test_no_public_name_is_defined_in_two_modules():
    assert find_shared_names() == {}


@pytest.mark.slow
def test_only_functions_whose_names_others_fix_are_one_bare_word():
    """What problem/ supplies is called as the contract with it says; `setup` is Sphinx' name."""
    ours = [name for name in find_one_word_functions() if not name.startswith("problem/")]
    assert [name.split()[1] for name in ours] == ["setup"]


def test_no_file_is_too_long():
    assert find_long_files(LONGEST_FILE) == []


@pytest.mark.slow
def test_no_folder_is_crowded():
    assert find_crowded_folders(MOST_MODULES) == []


def test_functions_are_short():
    functions = measure_functions()
    assert [name for size, name in functions if size > LONGEST_FUNCTION] == []
    lines = sorted(size for size, _ in functions)
    assert lines[len(lines) // 2] <= MEDIAN_FUNCTION
    assert lines[len(lines) * 9 // 10] <= LONG_FUNCTION


def test_every_file_belongs_to_a_room():
    assert {file.room.split("/")[0] for file in read_source_files()} == {
        "deploy",
        "docs",
        "flows",
        "monitoring",
        "penumbra",
        "problem",
        "service",
    }
