"""docs/libraries.md has a row for each test in tests/libraries, and the versions of the lock."""

import importlib.metadata
import re

from penumbra.core.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "libraries.md").read_text()


def test_each_row_has_a_test_and_each_test_a_row():
    files = (PROJECT_ROOT / "tests" / "libraries").glob("test_*.py")
    tests = [name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)]
    assert sorted(re.findall(r"`(test_\w+)`", PAGE)) == sorted(tests)


def test_each_heading_has_the_version_that_its_rows_were_run_on():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    versions = dict(library.rsplit(" ", 1) for heading in headings for library in heading.split(", "))
    assert versions == {name: importlib.metadata.version(name) for name in versions}


def test_each_row_has_a_source():
    rows = [line for line in PAGE.splitlines() if "`test_" in line]
    assert [line for line in rows if not re.search(r"\(https://[^)]+\) \|$", line)] == []
