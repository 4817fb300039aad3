"""The folder of the project: the checkout with `settings.toml`, `problem/` and `flows/`; and what variables of the
environment that are about it begin with. Cheap to import."""

import os
from pathlib import Path

SETTINGS_FILE = "settings.toml"
ENV_PREFIX = "PENUMBRA_"
API_KEY_PREFIX = ENV_PREFIX + "KEYS__"  # no settings: see service/http/access/access_control.py
CODE_ROOT = Path(__file__).absolute().parents[2]  # the folder that `penumbra` is in, links not followed


def find_project_root(code_root: Path = CODE_ROOT) -> Path:
    """Find the folder of the project: the one with settings.toml.

    Args:
        code_root: The folder that the package `penumbra` is in: the checkout's, or that of installed packages.

    Returns:
        `code_root` if it has settings.toml; else the nearest folder that has one, at or above the working directory;
        else the working directory: `load_settings` says then that the file is missing.
    """
    if (code_root / SETTINGS_FILE).is_file():
        return code_root
    return find_enclosing_project(Path.cwd()) or Path.cwd()


def find_enclosing_project(folder: Path) -> Path | None:
    """Find the project that a folder belongs to.

    Args:
        folder: A folder.

    Returns:
        The nearest folder with settings.toml, at or above `folder`; None if there is none.
    """
    folder = folder.absolute()
    return next((parent for parent in (folder, *folder.parents) if (parent / SETTINGS_FILE).is_file()), None)


def extend_python_path(root: Path) -> str:
    """Return this process's variable PYTHONPATH with the folder `root` at its end, for processes that it starts."""
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(root)]))


def is_git_checkout(root: Path) -> bool:
    """Tell whether a folder is in a git checkout, without asking git, which an image may lack.

    Args:
        root: The folder.

    Returns:
        Whether it or a folder above it has `.git`.
    """
    root = root.absolute()
    return any((folder / ".git").exists() for folder in (root, *root.parents))
