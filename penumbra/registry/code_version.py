"""Which code this is: the git revision, the environment, and a fingerprint of everything a model depends on."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RECORDED_LIBRARIES = ("scikit-learn", "numpy", "polars", "onnx", "onnxruntime", "mlflow", "dvc", "metaflow")


class NoGitRevision(RuntimeError):
    """The code has no git revision to record."""


def read_git_revision(root: Path) -> str:
    """The git commit of the checkout, with "+changes" where the work tree differs from it."""
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        raise NoGitRevision(
            f"{root} is no git checkout with a commit: models record the revision that made them; "
            "run `git init && git add -A && git commit -m start` first"
        ) from None
    return commit + ("+changes" if _run_git(root, "status", "--porcelain") else "")


def describe_environment(root: Path) -> dict[str, str]:
    """Python, platform, the lock file's digest, and the versions of the libraries that shape a model."""
    versions = {name: importlib.metadata.version(name) for name in RECORDED_LIBRARIES}
    lock = hashlib.sha256((root / "locks" / "runtime.lock").read_bytes()).hexdigest()
    return {"python": platform.python_version(), "platform": platform.platform(), "lock": lock, **versions}


def hash_files(root: Path, patterns: Iterable[str]) -> dict[str, str]:
    """The sha256 of each file, by its path below root; `patterns` are globs there."""
    files = sorted(path for pattern in patterns for path in root.glob(pattern))
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compute_fingerprint(root: Path, patterns: Iterable[str], *facts: Any) -> str:
    """A digest of files (by glob patterns below root) and of facts that JSON can hold."""
    text = json.dumps([hash_files(root, patterns), facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def commit_file(root: Path, file: Path, message: str) -> None:
    """Commit one file and nothing else. Raises subprocess.CalledProcessError where git refuses."""
    _run_git(root, "add", "--", str(file))
    _run_git(root, "commit", "--quiet", "-m", message, "--", str(file))


def _run_git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()
