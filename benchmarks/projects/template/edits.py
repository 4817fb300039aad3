"""How much a person edits for data of their own: the finished project beside the empty one that it began as."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.projects.own_data.project import StepFailed
from benchmarks.projects.template.own_tables import OwnTable
from tests.helpers.template_copies import commit_all, generate_project, run_git

TODAY = 'today = "now"'


@dataclass(frozen=True)
class Edits:
    """What was edited.

    Attributes:
        files: The files that were changed, written or deleted, without the data.
        lines: The lines that were written.
    """

    files: list[str]
    lines: int


def measure_edits(template: Path, table: OwnTable, folder: Path) -> Edits:
    """Finish an empty project for a data set, see that its tests pass, and count what was edited.

    Args:
        template: A git repository with the template.
        table: The data set.
        folder: A new folder.

    Returns:
        What was edited.

    Raises:
        StepFailed: The finished project's tests don't pass.
    """
    project = generate_project(template, folder / table.name, start="empty", task=table.task)
    table.write_csv(project)
    commit_all(project)
    finish_project(project, table)
    _require_sound_problem(project)
    run_git(project, "add", "--all")
    changed = [line.split("\t") for line in run_git(project, "diff", "--cached", "--numstat").splitlines()]
    return Edits([file for _, _, file in changed], sum(int(added) for added, _, _ in changed))


def finish_project(project: Path, table: OwnTable) -> None:
    """Do what a person does by hand: write schema and source, write or delete features, and set the clock.

    Args:
        project: The generated project.
        table: The data set.
    """
    for name, path in table.list_files().items():
        (project / "problem" / name).unlink()
        if path:
            shutil.copy(path, project / "problem" / name)
    settings = project / "settings.toml"
    lines = [TODAY if line.startswith("today = ") else line for line in settings.read_text().splitlines()]
    settings.write_text("\n".join([*lines, ""]))


def _require_sound_problem(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "problem_tests", "-q", "-p", "no:cacheprovider"]
    environ = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise StepFailed(f"the tests of {project.name} fail:\n{done.stdout[-3000:]}")
