"""Literals, and brackets broken over lines as the formatter breaks them."""

import datetime as dt
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.drafting.files.python_code import Brackets, format_code, format_text_constant, format_value

PLAIN = st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=9), PLAIN, max_size=3)


@pytest.mark.slow
@given(VALUES)
def test_a_literal_gives_the_value(value):
    assert eval(format_value(value), {"dt": dt}) == value


@given(st.text())
def test_a_text_stands_on_one_line_whatever_is_in_it(text):
    assert len(format_value(text).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("größe", '"größe"'),
        ('say "so"', "'say \"so\"'"),
        ("it's", '"it\'s"'),
        ("Temp. °F", '"Temp. °F"'),
        ("नमस्ते", '"नमस्ते"'),
        ("5 \u2013 9", '"5 \\u2013 9"'),
        (10_000, "10_000"),
        (9_999, "9999"),
        (-20_000.0, "-20_000"),
        (0.5, "0.5"),
        (1e22, "1e22"),
        (dt.date(2024, 3, 1), "dt.date(2024, 3, 1)"),
        (dt.datetime(2024, 3, 1, tzinfo=dt.UTC), "dt.datetime(2024, 3, 1, tzinfo=dt.UTC)"),
        (dt.datetime(2024, 3, 1, 12, 30), "dt.datetime(2024, 3, 1, 12, 30)"),
        (dt.time(12, 30), "dt.time(12, 30)"),
        (("a",), '("a",)'),
        (None, "None"),
    ],
)
def test_values_are_written_as_a_person_would(value, code):
    assert format_value(value) == code


ITEMS = st.lists(st.text("abc", max_size=40).map(format_value), min_size=2, max_size=12)


@pytest.mark.slow
@settings(max_examples=10)
@given(st.lists(ITEMS, min_size=2, max_size=9))
def test_brackets_are_broken_as_the_formatter_breaks_them(rows):
    codes = [Brackets("x = f(", rows[0]), Brackets("y = [", [Brackets("g(", row) for row in rows], "]")]
    codes.append(Brackets("z = f(", [*rows[0], Brackets("values=[", rows[1], "]")]))
    text = "".join(f"{format_code(code)}\n" for code in codes)
    assert run_formatter(text) == text


@given(st.text(st.sampled_from("ab ,'\"\n\\"), max_size=400))
def test_a_long_text_is_the_same_in_pieces(text):
    written = format_text_constant("QUERY", text)
    names: dict[str, str] = {}
    exec(written, {}, names)
    assert names["QUERY"] == text


def test_a_long_query_stands_in_lines_that_the_linter_takes():
    query = "SELECT " + ", ".join(f"column_{n}" for n in range(60)) + " FROM orders"
    written = format_text_constant("QUERY", query) + "\n"
    assert max(map(len, written.splitlines())) <= 120
    assert run_formatter(written) == written


def run_formatter(text):
    command = [sys.executable, "-m", "ruff", "format", "--line-length=120", "-"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()
