"""`copier update` brings a newer engine into a project that a team has made its own, over two revisions of this one."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers.checkout import REPOSITORY
from tests.helpers.template_copies import (
    commit_all,
    copy_rendered_files,
    copy_repository,
    generate_project,
    run_git,
    update_project,
)

pytestmark = pytest.mark.slow
OWN_DATA = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data\n"
LEFT_OUT = (  # what an update treats like the rest, and takes its time
    *("tests/", "benchmarks/", "docs/", "deploy/", "flows/", "service/"),
    *(
        f"penumbra/{room}/"
        for room in ("cli", "data", "drafting", "logs", "registry", "reviews", "simulation", "training")
    ),
)


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace texts of a file, each of which is there once."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, (path, old)
        text = text.replace(old, new)
    path.write_text(text)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def make_own(project: Path) -> None:
    """What a team does: its problem, data and README, some settings, a dependency, a line of the engine."""
    (project / "problem/source.py").write_text('"""Our rows."""\n')
    (project / "problem/stores.csv").write_text("store\n1\n")
    (project / "problem/rules.py").unlink()
    (project / "README.md").write_text("# Ours\n")
    (project / "data.dvc").write_text(OWN_DATA)
    edit(project / "settings.toml", ("today = 2013-04-01 ", 'today = "now"      '), ("port = 3000 ", "port = 3300 "))
    edit(project / "pyproject.toml", ('  "click>=8.2",\n', '  "click>=8.2",\n  "holidays>=0.80",\n'))
    append(project / "penumbra/core/task.py", "\n# A line of ours.\n")
    (project / "SECURITY.md").unlink()


def release_next_engine(template: Path) -> None:
    """What a release does: settings, dependencies, code that is changed, renamed, deleted; and another example."""
    edit(
        template / "settings.toml",
        ("[service]\n", "[service]\nfirst_new = 1             # a key that is new\n"),
        ("max_records = 10_000 ", "max_records = 20_000 "),
    )
    append(template / "settings.toml", "\n[new_section]\nsecond_new = 2\n")
    edit(template / "pyproject.toml", ('  "numpy>=2.3",\n', '  "numpy>=2.4",\n'))
    code = template / "penumbra/core/task.py"
    code.write_text("# A line of the engine's.\n" + code.read_text())
    run_git(template, "mv", "monitoring/charts.py", "monitoring/drawings.py")
    run_git(template, "mv", "penumbra/core/metrics", "penumbra/core/scores")
    run_git(template, "rm", "--quiet", "monitoring/faults/units.py")
    for name in ("problem/source.py", "problem/rules.py", "problem/new_in_the_example.py", "SECURITY.md", "data.dvc"):
        (template / name).write_text("# Of the new revision.\n")
    (template / "README.md").write_text("# The engine now\n")


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    """An edited project after its update, whose last commit is the state before."""
    template = copy_repository(tmp_path_factory.mktemp("template") / "penumbra", LEFT_OUT)
    commit_all(template, "0.2.0")
    project = generate_project(template, tmp_path_factory.mktemp("projects") / "late-parcels")
    commit_all(project)
    make_own(project)
    commit_all(project)
    release_next_engine(template)
    commit_all(template, "0.3.0")
    update_project(project)
    return project


def test_what_the_team_owns_is_not_touched(updated):
    changed = run_git(updated, "status", "--porcelain", "--", "problem", "README.md", "data.dvc", "SECURITY.md")
    assert changed == ""
    assert not (updated / "problem/rules.py").exists()


def test_new_settings_arrive_and_those_of_the_team_stay(updated):
    settings = tomllib.loads((updated / "settings.toml").read_text())
    assert (settings["data"]["today"], settings["registry"]["model"]) == ("now", "late-parcels")
    assert settings["service"]["port"] == 3300
    assert (settings["service"]["first_new"], settings["service"]["max_records"]) == (1, 20_000)
    assert settings["new_section"] == {"second_new": 2}
    assert "first_new = 1             # a key that is new\n" in (updated / "settings.toml").read_text()


def test_edits_of_the_engine_and_of_its_dependencies_are_merged(updated):
    code = (updated / "penumbra/core/task.py").read_text()
    assert code.startswith("# A line of the engine's.\n")
    assert code.endswith("\n# A line of ours.\n")
    wanted = tomllib.loads((updated / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"holidays>=0.80", "numpy>=2.4"} <= set(wanted)


def test_renamed_and_deleted_files_of_the_engine_follow(updated):
    gone = ("monitoring/charts.py", "monitoring/faults/units.py", "penumbra/core/metrics")
    assert [name for name in gone if (updated / name).exists()] == []
    assert (updated / "monitoring/drawings.py").exists()
    assert (updated / "penumbra/core/scores/losses.py").exists()
    assert (updated / "PENUMBRA.md").read_text().endswith("\n# The engine now\n")


def test_nothing_is_left_to_be_resolved(updated):
    assert run_git(updated, "diff", "--check") == ""
    assert run_git(updated, "ls-files", "--unmerged") == ""
    assert [*updated.rglob("*.rej"), *updated.rglob("*.orig")] == []
    assert "_commit: 0.3.0\n" in (updated / ".copier-answers.yml").read_text()


def generate_pair(folder: Path, project: Path, **answers: str) -> tuple[Path, Path]:
    """A template of few files with its first tag, and a project, which isn't committed."""
    template = copy_rendered_files(folder / "penumbra")
    commit_all(template, "0.2.0")
    return template, generate_project(template, project, **{"name": "late-parcels", **answers})


def change_the_example(template: Path) -> None:
    """What a release does to the example: other values for it; and a key and a comment that are the engine's."""
    edit(
        template / "settings.toml",
        ("today = 2013-04-01        # the flows' clock", "today = 2013-05-01        # the clock of all flows"),
        ('  "reframed_boosting", ', '  "new_boosting", "reframed_boosting", '),
        ("threshold = 0.3 ", "threshold = 0.4 "),
        ('candidate = "gradient_boosting"', 'candidate = "new_boosting"'),
        ("delay_hours = 24 ", "delay_hours = 48 "),
        ("accept = []               # features", 'accept = [                # features\n  "temp",\n]\n#'),
        ("accept = []               # days", 'accept = ["2013-07-08"]   # days'),
        ("port = 3000 ", "port = 3456 "),
        ("[service]\n", "[service]\nfirst_new = 1\n"),
    )


def read_settings(project: Path) -> dict:
    return tomllib.loads((project / "settings.toml").read_text())


def read_settings_as_made(project: Path) -> dict:
    return yaml.safe_load((project / ".copier-answers.yml").read_text())["settings_as_made"]


@pytest.mark.parametrize("answers", [{}, {"start": "empty", "task": "number"}], ids=["flights", "empty"])
def test_settings_that_fit_the_problem_stay_though_the_example_changes(tmp_path, answers):
    template, project = generate_pair(tmp_path, tmp_path / "project", **answers)
    edit(project / "settings.toml", ("threshold = 0.3 ", "threshold = 0.2 "))
    commit_all(project)
    before, made = read_settings(project), read_settings_as_made(project)
    change_the_example(template)
    commit_all(template, "0.3.0")
    update_project(project)
    service = {**before["service"], "port": 3456, "first_new": 1}
    assert read_settings(project) == {**before, "service": service}
    assert read_settings_as_made(project) == made
    assert "# the clock of all flows" in (project / "settings.toml").read_text()
    assert run_git(project, "ls-files", "--unmerged") == ""


def read_advice(key: str) -> str:
    """The command that copier prints after an update, without the tests that it runs."""
    message = yaml.safe_load((REPOSITORY / "copier.yml").read_text())[key]
    [command] = [line.strip() for line in message.splitlines() if "git commit" in line]
    return command.replace("make lint test", "true")


def run_advice(project: Path) -> int:
    names = {f"GIT_{who}_{what}": "tests" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = read_advice("_message_after_update")
    return subprocess.run(command, shell=True, cwd=project, env={**os.environ, **names}, capture_output=True).returncode


def test_what_is_advised_after_an_update_commits_new_files_too(tmp_path):
    template, project = generate_pair(tmp_path, tmp_path / "project")
    commit_all(project)
    (template / "penumbra/brandnew").mkdir(parents=True)
    (template / "penumbra/brandnew/code.py").write_text('"""New."""\n')
    commit_all(template, "0.3.0")
    update_project(project)
    assert run_advice(project) == 0
    assert run_git(project, "status", "--porcelain") == ""
    assert run_git(project, "ls-files", "penumbra") == "penumbra/brandnew/code.py\n"


def read_commands(heading: str) -> str:
    """The commands of the first block below a heading of the page."""
    page = (REPOSITORY / "docs/template.md").read_text().split(f"\n{heading}\n")[1]
    block = page.split("```console\n")[1].split("```")[0]
    return "\n".join(line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))


def test_taking_your_side_of_the_conflicts_keeps_what_else_the_engine_changed(tmp_path):
    template, project = generate_pair(tmp_path, tmp_path / "project")
    edit(project / "settings.toml", ("workers = 1 ", "workers = 4 "))
    commit_all(project)
    edit(
        template / "settings.toml",
        ("workers = 1 ", "workers = 2 "),
        ("keep_days = 30 ", "keep_days = 31 "),
        ("[service]\n", "[service]\nfirst_new = 1\n"),
    )
    commit_all(template, "0.3.0")
    update_project(project)
    subprocess.run(read_commands("### Conflicts"), shell=True, cwd=project, check=True, capture_output=True)
    settings = read_settings(project)
    assert (settings["service"]["workers"], settings["service"]["first_new"]) == (4, 1)
    assert settings["log"]["keep_days"] == 31
    assert run_git(project, "ls-files", "--unmerged") == ""
    assert [name for name in run_git(project, "status", "--porcelain").splitlines() if name.startswith("??")] == []


def test_where_both_changed_a_line_both_are_in_the_file_and_git_knows_it(tmp_path):
    template, project = generate_pair(tmp_path, tmp_path / "project")
    edit(project / "settings.toml", ("workers = 1 ", "workers = 4 "))
    commit_all(project)
    edit(template / "settings.toml", ("workers = 1 ", "workers = 2 "), ("keep_days = 30 ", "keep_days = 31 "))
    commit_all(template, "0.3.0")
    update_project(project)
    text = (project / "settings.toml").read_text()
    before, after = text.split("<<<<<<< before updating\n")[1].split(">>>>>>> after updating\n")[0].split("=======\n")
    assert (before.split()[:3], after.split()[:3]) == (["workers", "=", "4"], ["workers", "=", "2"])
    assert "keep_days = 31 " in text
    assert run_git(project, "diff", "--name-only", "--diff-filter=U") == "settings.toml\n"
    assert run_advice(project) != 0
    run_git(project, "checkout", "--ours", "settings.toml")
    assert tomllib.loads((project / "settings.toml").read_text())["service"]["workers"] == 4


def test_a_project_in_a_folder_of_a_repository_is_updated_there(tmp_path):
    top = tmp_path / "everything"
    template, project = generate_pair(tmp_path, top / "projects/parcels")
    (project / "problem/rules.py").unlink()
    (top / "settings.toml").write_text("of others\n")
    commit_all(top)
    edit(template / "settings.toml", ("workers = 1 ", "workers = 2 "))
    (template / "problem/rules.py").write_text("# Of the new revision.\n")
    commit_all(template, "0.3.0")
    update_project(project)
    assert tomllib.loads((project / "settings.toml").read_text())["service"]["workers"] == 2
    assert run_git(top, "status", "--porcelain").split() == [
        *("M", "projects/parcels/.copier-answers.yml"),
        *("M", "projects/parcels/settings.toml"),
    ]


def test_the_engines_tests_can_be_had_later(tmp_path):
    _, project = generate_pair(tmp_path, tmp_path / "project")
    commit_all(project)
    assert not (project / "examples").exists()
    update_project(project, engine_tests=True)
    assert (project / "examples/empty_number/schema.py").exists()
    assert run_git(project, "status", "--porcelain").split() == ["M", ".copier-answers.yml", "??", "examples/"]


def test_another_answer_for_start_task_or_name_changes_nothing_that_is_the_teams(tmp_path):
    _, project = generate_pair(tmp_path, tmp_path / "project")
    commit_all(project)
    update_project(project, start="empty", task="number", name="other")
    assert run_git(project, "status", "--porcelain").split() == ["M", ".copier-answers.yml"]
