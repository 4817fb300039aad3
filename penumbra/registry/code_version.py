"""The version of the code: the git revision and the environment. See also penumbra/storage/fingerprints.py.

<root>/REVISION   the revision of a copy of the project that is no git checkout, such as the one in an image
"""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

REVISION_FILE = "REVISION"
RECORDED_LIBRARIES = ("scikit-learn", "numpy", "polars", "onnx", "onnxruntime", "mlflow", "dvc", "metaflow")


class NoCodeRevision(RuntimeError):
    """The code has no revision to record."""


def read_code_revision(root: Path) -> str:
    """Read the revision of a project: the git commit of a checkout or, where there is none, what its image names.

    Args:
        root: The folder of the project.

    Returns:
        The commit's hash, with "+changes" appended if the work tree below `root` differs from it. DVC's pointers don't
        count: they name data, whose version is recorded beside this.

    Raises:
        NoCodeRevision: `root` is in no git checkout with a commit, or git isn't installed; and it has no file REVISION.
    """
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return _read_revision_file(root)
    return commit + ("+changes" if _run_git(root, "status", "--porcelain", "--", ".", ":(exclude)*.dvc") else "")


def _read_revision_file(root: Path) -> str:
    try:
        revision = (root / REVISION_FILE).read_text().strip()
    except FileNotFoundError:
        revision = ""
    if not revision:
        raise NoCodeRevision(
            f"{root} is no git checkout with a commit, and has no file {REVISION_FILE} that names one: models record "
            "the revision that made them; run `git init && git add -A && git commit -m start` first, or build the "
            f"image with {REVISION_FILE}, which `git rev-parse HEAD` prints"
        )
    return revision


def describe_environment(root: Path) -> dict[str, str]:
    """Describe the environment that a model is trained in.

    Args:
        root: The folder that holds locks/runtime.lock.

    Returns:
        "python" and "platform"; "lock", the SHA-256 of the lock file; and the version of each library that shapes a
        model, by its name.

    Raises:
        importlib.metadata.PackageNotFoundError: One of these libraries isn't installed.
        OSError: The lock file can't be read.
    """
    versions = {name: importlib.metadata.version(name) for name in RECORDED_LIBRARIES}
    lock = hashlib.sha256((root / "locks" / "runtime.lock").read_bytes()).hexdigest()
    return {"python": platform.python_version(), "platform": platform.platform(), "lock": lock, **versions}


def commit_file(root: Path, file: Path, message: str) -> None:
    """Commit one file and nothing else to git.

    Args:
        root: A folder in the checkout.
        file: The file's path, absolute or relative to `root`.
        message: The commit message.

    Raises:
        subprocess.CalledProcessError: git refuses, for example as the file has no changes.
        OSError: git isn't installed.
    """
    _run_git(root, "add", "--", str(file))
    _run_git(root, "commit", "--quiet", "-m", message, "--", str(file))


def has_uncommitted_changes(root: Path, file: Path) -> bool:
    """Tell whether git lacks a file as it is.

    Args:
        root: A folder in the checkout.
        file: The file's path, absolute or relative to `root`.

    Returns:
        True where the file is new, or differs from the last commit.

    Raises:
        subprocess.CalledProcessError: `root` is no checkout.
        OSError: git isn't installed.
    """
    return bool(_run_git(root, "status", "--porcelain", "--", str(file)))


def has_untracked_files(root: Path, path: str) -> bool:
    """Tell whether git neither has files nor is told to ignore them.

    Args:
        root: The folder of the project.
        path: The path of a file or folder, or a glob, absolute or relative to `root`.

    Returns:
        True where one of the files there is such, and where `root` is in no checkout.
    """
    try:
        return bool(_run_git(root, "ls-files", "--others", "--exclude-standard", "--", path))
    except (OSError, subprocess.CalledProcessError):
        return True


def _run_git(root: Path, *arguments: str) -> str:
    git = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return git.stdout.strip()
