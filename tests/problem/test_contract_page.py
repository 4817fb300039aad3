"""docs/problem-folder.md names what the protocols of penumbra/core/problem.py do, and each example keeps them."""

import ast
import re

import pytest
from typing_extensions import get_protocol_members

from penumbra.core.loading.problem_defaults import OPTIONAL_FILES, OPTIONAL_NAMES
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import PROBLEM_PARTS
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.task import Task

PAGE = (PROJECT_ROOT / "docs" / "problem-folder.md").read_text()
TABLE_ROW = re.compile(r"^\| (?:`problem/(\w+)\.py` )?\| `(\w+)(?:\(\))?` \| (required|optional: .+?) \|", re.MULTILINE)
EXAMPLES = ["examples.sky", "examples.temperature"]
MAY_IMPORT = ("penumbra.features", "penumbra.sources", "penumbra.rules", "penumbra.patterns")


def read_table():
    """The page's table: (part, name) -> is required."""
    table, part = {}, ""
    for file, name, kind in TABLE_ROW.findall(PAGE):
        part = file or part
        table[part, name] = kind == "required"
    return table


def test_the_page_has_every_name_with_what_the_code_requires():
    expected = {
        (part, name): name not in OPTIONAL_NAMES
        for part, protocol in PROBLEM_PARTS.items()
        for name in get_protocol_members(protocol)
    }
    assert read_table() == expected


def test_the_page_names_the_files_that_may_be_left_out():
    assert " and ".join(f"`problem/{part}.py`" for part in OPTIONAL_FILES) + " may be left out" in PAGE


@pytest.mark.parametrize("part", PROBLEM_PARTS)
def test_the_protocols_docstrings_say_the_same(part):
    source = ast.parse((PROJECT_ROOT / "penumbra/core/problem.py").read_text())
    (body,) = [node.body for node in source.body if getattr(node, "name", "") == PROBLEM_PARTS[part].__name__]
    words = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef):
            words[node.name] = ast.get_docstring(node)
        elif isinstance(node, ast.AnnAssign):
            words[node.target.id] = after.value.value
    assert {name: text.split()[0].rstrip(".;") for name, text in words.items()} == {
        name: "Optional" if name in OPTIONAL_NAMES else "Required" for name in get_protocol_members(PROBLEM_PARTS[part])
    }


@pytest.mark.parametrize(
    ("package", "kind"), [("problem", "binary"), ("examples.sky", "multiclass"), ("examples.temperature", "regression")]
)
def test_every_shipped_problem_is_whole(package, kind):
    assert Task.from_schema(load_problem(package=package).schema).kind == kind


@pytest.mark.parametrize("package", ["problem", *EXAMPLES])
def test_a_problems_files_import_building_blocks_and_their_neighbours_only(package):
    for path in (PROJECT_ROOT / package.replace(".", "/")).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("penumbra", "problem", "examples"):
                assert node.module in MAY_IMPORT or node.module.startswith("problem."), path
