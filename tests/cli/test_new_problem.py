"""A drafted problem takes the place of the one that is there, of which nothing is lost."""

import datetime as dt
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from penumbra.cli.fresh_start import StartOverRefused
from penumbra.cli.new_problem import install_problem, plan_problem
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.drafting.draft import DraftRefused
from service.processes.deployment.state_lock import acquire_state_lock
from tests.helpers.problems.drafts import draft_orders, write_orders

GIT = ("git", "-c", "user.name=Tests", "-c", "user.email=tests@example.org")
MOVED = ("problem/schema.py", "problem/rules.py", "data/batches/2013-01/a.csv", "data.dvc", "var/mlflow.db")
NOW = dt.date(2026, 1, 1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder with a problem, data and state of its own, and the orders beside it."""
    folder = tmp_path / "project"
    for name in MOVED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "settings.toml").write_text((PROJECT_ROOT / "settings.toml").read_text())
    (folder / ".gitignore").write_text("data/\nvar/\n")
    monkeypatch.chdir(folder)
    write_orders(tmp_path / "orders.csv")
    return folder


@pytest.fixture
def draft(project):
    return draft_orders(str(project.parent / "orders.csv"))


def load_own_settings():
    return load_settings(PROJECT_ROOT / "settings.toml", environ={})


def commit_all():
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "start")):
        subprocess.run([*GIT, *command], check=True)


def plan(draft):
    return plan_problem(draft, load_own_settings(), "returned", NOW)


def read_files(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*") if path.is_file()}


def test_planning_writes_nothing(project, draft):
    before = read_files(project)
    new = plan(draft)
    assert read_files(project) == before
    assert [batch.name for batch in new.batches] == ["2024-01", "2024-02", "2024-03"]
    assert new.example["shop"] == "mühle"
    assert 'registry.model = "returned"' in new.list_changes()


def test_where_days_are_made_up_the_example_to_send_is_of_today(draft):
    made_up = replace(draft, source=replace(draft.source, options={"rows_per_day": 12}))
    assert plan(made_up).example["ordered at"] == "2026-01-01T00:00:00"
    assert plan(draft).example["ordered at"] == "2024-04-30T11:03:00"


def test_what_was_there_is_set_aside_whole_and_the_new_one_written(project, draft):
    commit_all()
    new = plan(draft)
    told = install_problem(new, load_own_settings())
    (aside,) = (project / "var").glob("before-*")
    assert read_files(aside) == {name: name for name in MOVED}
    assert str(aside.relative_to(project)) in told
    assert read_files(project / "problem") == new.files
    settings = load_settings(project / "settings.toml", environ={})
    assert (settings.registry.model, settings.data.today) == ("returned", dt.date(2024, 4, 30))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["problem/rules.py", "settings.toml"])
def test_what_git_does_not_have_is_not_set_aside_unless_that_is_wanted(project, draft, path):
    commit_all()
    with (project / path).open("a") as file:
        file.write("# mine\n")
    before = read_files(project)
    with pytest.raises(DraftRefused, match=rf"git doesn't have {path.split('/')[0]} as it is: commit first, or pass"):
        install_problem(plan(draft), load_own_settings())
    assert read_files(project) == before
    install_problem(plan(draft), load_own_settings(), is_forced=True)
    assert "# mine" in "".join(read_files(project).values())


def test_without_git_it_is_set_aside_all_the_same(project, draft):
    install_problem(plan(draft), load_own_settings())
    assert list((project / "var").glob("before-*/problem/rules.py"))


@pytest.mark.slow
def test_a_second_time_it_asks_for_a_commit_first(project, draft):
    commit_all()
    install_problem(plan(draft), load_own_settings())
    with pytest.raises(DraftRefused, match=r"git doesn't have problem and settings.toml as they are: commit first"):
        install_problem(plan(draft), load_own_settings())


def test_after_a_kill_in_between_the_next_one_completes_it(project, draft, monkeypatch):
    new = plan(draft)

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("penumbra.cli.new_problem._write_files", kill)
        with pytest.raises(KeyboardInterrupt):
            install_problem(new, load_own_settings())
    assert not (project / "problem").exists()
    install_problem(new, load_own_settings())
    assert read_files(project / "problem") == new.files


def test_a_path_outside_the_project_is_noted(project, draft):
    assert any(f"reads {project.parent}/orders.csv, a path of this machine" in note for note in plan(draft).notes)


def test_while_the_service_runs_nothing_is_moved(project, draft):
    before, new = read_files(project), plan(draft)
    lock = acquire_state_lock(Path("var/service"))
    with pytest.raises(StartOverRefused, match="a service works in var/service: end it first"):
        install_problem(new, load_own_settings())
    os.close(lock)
    (project / "var/service/service.lock").unlink()
    assert read_files(project) == before


def test_a_draft_that_is_no_problem_is_refused_before_anything_is_moved(draft):
    timeless = tuple(replace(column, nullable=column.role == "time") for column in draft.columns)
    with pytest.raises(DraftRefused, match=r"the drafted problem can't be used: .*TIME names the column 'ordered at'"):
        plan(replace(draft, columns=timeless))
