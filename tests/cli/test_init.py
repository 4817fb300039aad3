"""`penumbra init` as it is called: from a table to an answer of the real service, and what it refuses."""

import json
import re

import pytest

from benchmarks.projects.own_data.project import PROBLEMS, ProjectCopy
from tests.helpers.problems.drafts import write_orders
from tests.helpers.programs.forking import find_python

pytestmark = pytest.mark.slow

INIT = ("init", "--from", "../orders.csv", "--target", "returned?")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with another problem, committed, and the orders beside it."""
    folder = tmp_path_factory.mktemp("init")
    write_orders(folder / "orders.csv")
    write_orders(folder / "short.csv", days=2, per_day=30)
    return ProjectCopy(folder / "project", PROBLEMS / "tips", find_python())


def read_project(project):
    """The text of what a team makes its own."""
    return {path: path.read_text() for path in [project.folder / "settings.toml", *project.folder.glob("problem/*.py")]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("init", "--from", "../none.csv", "--target", "x"), r"^nothing was written: .*none\.csv"),
        (("init", "--from", "../orders.csv", "--target", "x"), r"^nothing was written: .*no column 'x'"),
        (("init", "--from", "../short.csv", "--target", "returned?"), r"training takes at least 3"),
        (("init", "--from", "data/orders.csv", "--target", "x"), r"data/orders\.csv is in data/, which is set aside"),
        ((*INIT, "--time", "shop"), r"^nothing was written: .*shop"),
        (("init", "--from", "postgresql://me:secret@db/shop", "--target", "x"), r"no place for a password: pass \$\{"),
    ],
)
def test_what_can_not_be_drafted_is_one_sentence_and_nothing_is_written(project, words, sentence):
    before = read_project(project)
    said = project.run_command(*words, codes=(1,))
    assert re.search(sentence, said), said
    assert len(said.strip().splitlines()) == 1
    assert "secret" not in said
    assert read_project(project) == before


def test_a_dry_run_prints_all_files_and_writes_none(project):
    before = read_project(project)
    said = project.run_command(*INIT, "--dry-run")
    assert [
        name for name in ("schema", "source", "features", "candidates", "slices") if f"--- problem/{name}.py" in said
    ]
    assert "SOURCE = TableFiles(" in said
    assert read_project(project) == before


def test_from_a_table_to_a_served_answer(project):
    said = project.run_command(*INIT)
    assert "Nothing to repair" in said
    assert "make train" in said
    record = json.loads(re.search(r"/predict -d '(\{.*\})'$", said, re.MULTILINE)[1])
    assert "Version 1 is live" in project.run_command("train")
    with project.serve():
        project.wait_until(lambda: project.post("/predict", record), "the first answer")
        answer = project.post("/predict", record)
        assert 0 < answer["probability"] < 1
        project.post("/predict", {**record, "class": "old"}, expected=422)
    (aside,) = (project.folder / "var").glob("before-*")
    assert "total bill" in (aside / "problem" / "schema.py").read_text()


def test_a_second_time_asks_for_a_commit(project):
    assert re.search(
        r"^nothing was written: git doesn't have problem and settings\.toml as they are",
        project.run_command(*INIT, codes=(1,)),
    )
