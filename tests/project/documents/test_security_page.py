"""SECURITY.md: each claim of its tables names the test that holds it."""

import re

from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.checkout import REPOSITORY

TEXT = (PROJECT_ROOT / "SECURITY.md").read_text()
TESTS = set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in REPOSITORY.glob("tests/**/test_*.py"))))


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 20
    assert named - TESTS == set()


def test_every_row_of_a_table_with_tests_names_one():
    tables = [table for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE) if "| test |" in table.splitlines()[0]]
    assert len(tables) > 3
    assert [row for table in tables for row in table.splitlines()[2:] if "`test_" not in row] == []
