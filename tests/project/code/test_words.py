"""The engine knows no problem: words of the shipped example stand in problem/ and examples/ alone.

Looked at is all text of the engine's code, comments and docstrings included. Left out are the documents for people
(README.md, docs/*.md), the benchmarks, which measure the shipped example whatever problem/ is, these tests, and
settings.toml and pyproject.toml, which are the example's as problem/ is. Terms of the field stay: "log-loss"
where metrics are named, scikit-learn's names, and random seeds, which are any number.
"""

import ast
import re

import pytest

from penumbra.core.settings import PROJECT_ROOT

FOLDERS = ("penumbra", "service", "monitoring", "flows", "deploy", "bin", ".ci")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (PROJECT_ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
) + sorted((PROJECT_ROOT / "docs").glob("*.py"))
EXAMPLE_WORDS = re.compile(
    r"\b(?:flights?|air(?:port|line)s?|carriers?|temp|dewp|(?:arr|dep)_delay|sched_\w+_time|gradient_boosting|2013|weather"
    r"|congestion|lateness)\b|nycflights|new[ _]york|celsius|fahrenheit",
    re.IGNORECASE,
)
SEED = re.compile(r"\bSEED\b|_SEED\b")
COUNT = re.compile(
    r"\{(len\([^{}]*\)|[^{}]*:,)\} (\w+ )?"
    r"(rows|days|slices|batches|records|labels|predictions|outcomes|values|entries|cases|groups)\b"
)
LOSS_WORD_HOMES = ("penumbra/core/metrics/loss_names.py",)


def test_there_are_files_to_look_at():
    assert len(FILES) > 200


@pytest.mark.parametrize("folder", [*FOLDERS, "docs"])
def test_no_word_of_the_example_stands_in_the_engine(folder):
    found = [
        f"{path.relative_to(PROJECT_ROOT)}:{number}: {line.strip()}"
        for path in FILES
        if path.relative_to(PROJECT_ROOT).parts[0] == folder
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if EXAMPLE_WORDS.search(line) and not SEED.search(line)
    ]
    assert found == []


@pytest.mark.slow
def test_no_message_calls_any_loss_log_loss():
    said = [
        f"{path.relative_to(PROJECT_ROOT)}: {text}"
        for path in FILES
        if path.suffix == ".py" and path.relative_to(PROJECT_ROOT).as_posix() not in LOSS_WORD_HOMES
        for text in list_messages(path.read_text(encoding="utf-8"))
        if re.search(r"log-loss", text, re.IGNORECASE)
    ]
    assert said == []


def test_a_count_is_told_in_the_singular_where_it_is_one():
    said = [
        f"{path.relative_to(PROJECT_ROOT)}: {found.group()}: use format_count of penumbra/core/text/counts.py"
        for path in FILES
        if path.suffix == ".py"
        for found in COUNT.finditer(path.read_text(encoding="utf-8"))
    ]
    assert said == []


def list_messages(code):
    """The texts in code, but for docstrings."""
    tree = ast.parse(code)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and has_docstring(node)
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in texts if id(node) not in docstrings]


def has_docstring(node):
    return ast.get_docstring(node, clean=False) is not None
