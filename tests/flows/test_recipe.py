"""What names a recipe: a new one has to be better than the live model, the same one on newer data only no worse."""

import shutil
from pathlib import Path

import pytest

from flows.steps.train import plan, recipe
from penumbra.core.settings import PROJECT_ROOT
from penumbra.storage import fingerprints

SCHEMA = '''"""Rows of a shop."""
import dataframely as dy
import polars as pl

class Row(dy.Schema):
    """What is known of an order."""
    items = dy.Int32(min=1)

def target() -> pl.Expr:
    return pl.col("returned")

EXAMPLE = {"items": 3}
OUTCOME = {"returned": True}
QUESTION = "Did the order come back?"
SENSITIVE = {"size": pl.lit("small")}
'''
FEATURES = '''"""The inputs."""
from penumbra.features import Number

FEATURES = (Number("items"),)
'''
WORDS = (
    ("problem/schema.py", '"""What is known of an order."""', '"""All that is known of an order when it is made."""'),
    ("problem/schema.py", '    """What is known of an order."""\n', ""),
    ("problem/schema.py", '"""Rows of a shop."""', '"""Rows of a shop.\n\nNot for: returns of gifts.\n"""'),
    ("problem/schema.py", "    items = ", "    # how many\n    items  =  "),
    ("problem/schema.py", '{"items": 3}', '{"items": 4}'),
    ("problem/schema.py", 'OUTCOME = {"returned": True}', 'OUTCOME: dict = {"returned": False}'),
    ("problem/schema.py", "Did the order come back?", "Was the order sent back?"),
    ("problem/__init__.py", "", '"""What is predicted, from what.\n\nIntended use: at the till.\n"""\n'),
    ("penumbra/features/kinds.py", '"""', '"""(Reworded.) '),
)
CHANGES = (
    ("problem/schema.py", "min=1", "min=0"),
    ("problem/schema.py", '"returned")', '"returned").not_()'),
    ("problem/schema.py", '"small"', '"large"'),
    ("problem/schema.py", 'OUTCOME = {"returned": True}', "OUTCOME = dict(returned=target())"),
    ("problem/features.py", '"items")', '"items"), Number("items", "twice")'),
    ("problem/sizes.csv", "1", "2"),
    ("locks/runtime.lock", "polars", "polars-lts"),
    ("penumbra/core/encoding.py", "return ", "return None and "),
)
READERS = (
    "from problem.schema import EXAMPLE\n\nDEFAULT = EXAMPLE\n",
    "from problem import schema\n\nDEFAULT = schema.EXAMPLE\n",
    "from problem.schema import *\n\nDEFAULT = EXAMPLE\n",
    'from problem import schema\n\nDEFAULT = getattr(schema, "EX" + "AMPLE")\n',
    "from problem import schema\n\nDEFAULT = vars(schema)\n",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The engine's code with a problem of its own."""
    for room in ("penumbra/features", "penumbra/core", "locks"):
        shutil.copytree(PROJECT_ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "problem").mkdir()
    (tmp_path / "penumbra/__init__.py").write_text("")
    for name, text in (("__init__.py", ""), ("schema.py", SCHEMA), ("features.py", FEATURES), ("sizes.csv", "1")):
        (tmp_path / "problem" / name).write_text(text)
    return tmp_path


def name_recipe(project: Path) -> str:
    return recipe.fingerprint_recipe("boosting", {"depth": 3}, project)


def edit(project: Path, file: str, old: str, new: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(("file", "old", "new"), WORDS)
def test_other_words_are_the_same_recipe_and_other_files_of_the_lineage(
    project: Path, file: str, old: str, new: str
) -> None:
    before, files = name_recipe(project), fingerprints.hash_files(project, recipe.list_recipe_files(project))
    edit(project, file, old, new)
    assert name_recipe(project) == before
    assert fingerprints.hash_files(project, recipe.list_recipe_files(project))[file] != files[file]


@pytest.mark.parametrize(("file", "old", "new"), CHANGES)
def test_what_may_change_a_model_or_its_gate_is_another_recipe(project: Path, file: str, old: str, new: str) -> None:
    before = name_recipe(project)
    edit(project, file, old, new)
    assert name_recipe(project) != before


@pytest.mark.parametrize("reader", READERS)
def test_an_example_counts_where_a_module_of_the_project_may_read_it(project: Path, reader: str) -> None:
    (project / "problem/augment.py").write_text(reader)
    before = name_recipe(project)
    edit(project, "problem/schema.py", '{"items": 3}', '{"items": 4}')
    assert name_recipe(project) != before


def test_docstrings_count_where_a_module_of_the_project_may_read_them(project: Path) -> None:
    (project / "problem/augment.py").write_text("from problem.schema import Row\n\nWORDS = Row.__doc__\n")
    before = name_recipe(project)
    edit(project, "problem/schema.py", "known of an order", "known of orders")
    assert name_recipe(project) != before


def test_a_module_that_is_no_python_counts_as_it_is_written(project: Path) -> None:
    (project / "problem/notes.py").write_text("# a draft\nprint 1\n")
    before = name_recipe(project)
    edit(project, "problem/notes.py", "a draft", "another draft")
    assert name_recipe(project) != before


def test_another_candidate_or_parameter_is_another_recipe(project: Path) -> None:
    names = [
        recipe.fingerprint_recipe(*made, project)
        for made in (("boosting", {"depth": 3}), ("boosting", {"depth": 4}), ("forest", {"depth": 3}))
    ]
    assert len(set(names)) == 3


def test_a_recipe_is_the_problem_its_building_blocks_and_the_encoding() -> None:
    files = recipe.list_recipe_files()
    rooms = {file.rpartition("/")[0] for file in files}
    assert rooms == {"locks", "problem", "penumbra", "penumbra/features", "penumbra/patterns", "penumbra/core"}
    assert [file for file in files if file.startswith("penumbra/core/")] == ["penumbra/core/encoding.py"]
    assert set(files) < set(plan.list_training_files())
