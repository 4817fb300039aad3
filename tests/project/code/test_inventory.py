"""The figures of the code's order that must hold."""

import pytest

from tests.project.code.inventory import (
    find_long_files,
    find_one_word_functions,
    find_shared_names,
    measure_functions,
    read_source_files,
)

LONGEST_FILE = 240  # lines without docstrings
MEDIAN_FUNCTION, LONG_FUNCTION = 8, 20


@pytest.mark.slow
def test_no_public_name_is_defined_in_two_modules():
    assert find_shared_names() == {}


def test_only_functions_whose_names_others_fix_are_one_bare_word():
    """What problem/ supplies is called as the contract with it says; `setup` is Sphinx' name."""
    ours = [name for name in find_one_word_functions() if not name.startswith("problem/")]
    assert [name.split()[1] for name in ours] == ["setup"]


@pytest.mark.slow
def test_no_file_is_too_long():
    assert find_long_files(LONGEST_FILE) == []


@pytest.mark.slow
def test_functions_are_short():
    lines = sorted(size for size, _ in measure_functions())
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
