"""Workers tell less of tests that pass, and the run comes to the same end."""

import re
import subprocess
import sys

import pytest

from tests.helpers.checkout import REPOSITORY
from tests.helpers.worker_messages import is_needed

CONFTEST = "from tests.helpers.worker_messages import shorten_messages as pytest_configure"
TESTS = """
import pytest

@pytest.fixture
def fails_before():
    raise OSError("before")

@pytest.fixture
def fails_after():
    yield
    raise OSError("after")

def test_passes(): pass
def test_fails(): assert 1 == 2
def test_skipped(): pytest.skip("not today")
@pytest.mark.xfail
def test_known(): assert 1 == 2
def test_prepared(fails_before): pass
def test_cleaned_up(fails_after): pass
"""


@pytest.mark.parametrize(
    ("when", "outcome", "duration", "is_told"),
    [
        ("call", "passed", 0.0, True),
        ("setup", "passed", 0.0, False),
        ("teardown", "passed", 0.0, False),
        ("setup", "passed", 1.0, True),
        ("setup", "failed", 0.0, True),
        ("setup", "skipped", 0.0, True),
        ("teardown", "failed", 0.0, True),
    ],
)
def test_of_preparing_and_cleaning_up_only_exceptions_are_told(when, outcome, duration, is_told):
    assert is_needed("testreport", {"when": when, "outcome": outcome, "duration": duration}) is is_told


@pytest.mark.slow
def test_a_run_of_workers_comes_to_the_end_of_a_run_without(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    for options in ([], ["-n", "2"]):
        done = subprocess.run([*command, *options], cwd=REPOSITORY, capture_output=True, text=True)
        assert "1 failed, 2 passed, 1 skipped, 1 xfailed, 2 errors" in done.stdout
        assert {"before", "after"} <= set(re.findall(r"OSError: (\w+)", done.stdout))


@pytest.mark.slow
def test_a_run_that_tells_more_names_each_test_as_it_begins(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_all.py").write_text("def test_passes(): pass\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-n",
        "1",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    named = [line for line in done.stdout.splitlines() if "::test_passes" in line]
    assert ["PASSED" in line for line in named] == [False, True]
