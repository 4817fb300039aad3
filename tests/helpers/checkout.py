"""A checkout with another problem: links to everything of this one but the files that a team makes its own.

The engine's tests run in one that has `examples/flights`, so that they don't depend on what `problem/` is. Code that is
imported from it takes it for the project's folder.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).absolute().parents[2]
FLIGHTS = REPOSITORY / "examples" / "flights"
SETTINGS, DATA_POINTER = "settings.toml", "data.dvc"
NOT_LINKED = {"problem", SETTINGS, DATA_POINTER, ".git", "data", "var", "__pycache__"}


def link_checkout(folder: Path, problem: Path = FLIGHTS) -> Path:
    """Make a checkout of links, with a git revision of its own.

    Args:
        folder: An empty folder.
        problem: What stands for `problem/` in it. If it has settings.toml and data.dvc, these stand for the others;
            otherwise those of the flights do.

    Returns:
        The folder.
    """
    for path in REPOSITORY.iterdir():
        if path.name not in NOT_LINKED:
            (folder / path.name).symlink_to(path)
    (folder / "problem").mkdir()
    for path in problem.iterdir():
        if path.name not in NOT_LINKED:
            (folder / "problem" / path.name).symlink_to(path)
    for name in (SETTINGS, DATA_POINTER):
        own = problem / name
        (folder / name).symlink_to(own if own.exists() else FLIGHTS / name)
    git = ["git", "-C", str(folder), "-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (folder / ".git" / "info" / "exclude").write_text("*\n")
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "start"], check=True)
    return folder


def import_from_checkout(folder: Path) -> None:
    """Let this process, and those that it starts, import the project's code from a checkout.

    Args:
        folder: The checkout.

    Raises:
        pytest.UsageError: Code of the project was imported before, from elsewhere.
    """
    if "penumbra" in sys.modules:
        raise pytest.UsageError("tests/ and problem_tests/ need a process each: run `pytest tests` by itself")
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
