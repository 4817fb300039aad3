"""This repository as a template of copier, in revisions of its own, and projects that are generated from it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.helpers.checkout import REPOSITORY

GIT = ("git", "-c", "user.name=Tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false")
RENDERED = ("copier.yml", "*.jinja", "problem/**/*", "examples/**/*.py", "settings.toml", "README.md", "data.dvc")


def run_git(folder: Path, *words: str) -> str:
    """Run git in a folder.

    Args:
        folder: The folder.
        words: The command and its options.

    Returns:
        What it wrote.

    Raises:
        subprocess.CalledProcessError: git refuses.
    """
    return subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def list_tracked_files() -> list[str]:
    """List the files of this repository that git tracks, or would if they were added."""
    listed = run_git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return sorted(name for name in set(listed.split("\0")) if (REPOSITORY / name).is_file())


def copy_repository(folder: Path, left_out: tuple[str, ...] = ()) -> Path:
    """Copy this repository as it is now, without its history.

    Args:
        folder: The folder to make.
        left_out: Folders that aren't copied, with their slash.

    Returns:
        The folder.
    """
    for name in (name for name in list_tracked_files() if not name.startswith(left_out)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def copy_rendered_files(folder: Path) -> Path:
    """Copy what answers have a part in, which is generated in a tenth of the time.

    Args:
        folder: The folder to make.

    Returns:
        The folder.
    """
    for path in (path for pattern in RENDERED for path in REPOSITORY.glob(pattern) if path.is_file()):
        if "__pycache__" not in path.parts:
            (folder / path.relative_to(REPOSITORY)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.relative_to(REPOSITORY))
    return folder


def commit_all(folder: Path, tag: str = "") -> None:
    """Commit everything in a folder, which becomes a repository if it is none.

    Args:
        folder: The folder.
        tag: A tag for the commit; "": none.
    """
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--allow-empty", "--message", tag or "a change")
    if tag:
        run_git(folder, "tag", tag)
        run_git(folder, "gc", "--quiet")  # copier renders the path of every loose object


def generate_project(template: Path, folder: Path, **answers: Any) -> Path:
    """Generate a project without asking.

    Args:
        template: The template's folder.
        folder: The folder to make.
        answers: Answers that aren't the default ones.

    Returns:
        The project's folder.
    """
    import copier

    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)
    return folder


def update_project(folder: Path, **answers: Any) -> None:
    """Take the template's latest tag into a project, without asking.

    Args:
        folder: The project's folder, in which everything is committed.
        answers: Answers that have changed.
    """
    import copier

    copier.run_update(folder, data=answers, defaults=True, overwrite=True, quiet=True)
