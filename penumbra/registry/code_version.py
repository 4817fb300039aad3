"""The version of the code: the git revision, the environment, and a fingerprint of everything a model depends on."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

RECORDED_LIBRARIES = ("scikit-learn", "numpy", "polars", "onnx", "onnxruntime", "mlflow", "dvc", "metaflow")

IMPORT_STATEMENT = re.compile(r"^[ \t]*((?:from|import)[ \t](?:[^\n(\\]|\\\n)*(?:\([^)]*\))?)", re.MULTILINE)


class NoGitRevision(RuntimeError):
    """The code has no git revision to record."""


def read_git_revision(root: Path) -> str:
    """Read the git commit of a checkout.

    Args:
        root: A folder in the checkout.

    Returns:
        The commit's hash, with "+changes" appended if the work tree differs from it.

    Raises:
        NoGitRevision: git isn't installed, or `root` is in no checkout with a commit.
    """
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        raise NoGitRevision(
            f"{root} is no git checkout with a commit: models record the revision that made them; "
            "run `git init && git add -A && git commit -m start` first"
        ) from None
    return commit + ("+changes" if _run_git(root, "status", "--porcelain") else "")


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


def hash_files(root: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Compute the SHA-256 of files.

    Args:
        root: The folder that paths are relative to.
        patterns: Glob patterns, or paths, below `root`.

    Returns:
        The digest of each file in hexadecimal, by its path relative to `root` with slashes.

    Raises:
        OSError: A file can't be read.
    """
    files = sorted(path for pattern in patterns for path in root.glob(pattern))
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compute_fingerprint(root: Path, patterns: Iterable[str], *facts: Any) -> str:
    """Compute one digest of files and facts.

    Args:
        root: The folder that paths are relative to.
        patterns: Glob patterns, or paths, below `root`.
        facts: Anything of JSON's types; other values count by their text.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        OSError: A file can't be read.
    """
    text = json.dumps([hash_files(root, patterns), facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def list_imported_modules(root: Path, entry_modules: Iterable[str]) -> list[str]:
    """List the modules below a folder that some modules import, directly or through others, at load time or later.

    Args:
        root: The folder that dotted names begin at.
        entry_modules: Dotted names of modules and packages below `root`; a package stands for all its modules, as
            modules may be imported by a name that only stands in a string.

    Returns:
        The dotted names in alphabetic order: the entry modules, what they import, and the packages of all of these.
        Modules from elsewhere (the standard library, installed packages) are not among them.

    Raises:
        FileNotFoundError: An entry module is not below `root`.
    """
    waiting = [module for entry in entry_modules for module in _expand_package(root, entry)]
    modules: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module not in modules and (file := _find_module_file(root, module)):
            modules.add(module)
            parent = module.rpartition(".")[0]
            package = module if file.name == "__init__.py" else parent
            waiting += [parent, *_read_imports(file.read_text(encoding="utf-8"), package)]
    return sorted(modules)


def list_module_files(root: Path, entry_modules: Iterable[str], rooms: Iterable[str]) -> list[str]:
    """List the files of the modules that some modules import, as far as they are in some rooms.

    Args:
        root: The folder that dotted names begin at.
        entry_modules: As for `list_imported_modules`.
        rooms: Dotted names of packages and modules. What isn't one of them, or inside one, is left out.

    Returns:
        Paths relative to `root`, with slashes, in alphabetic order of the modules; fit as `patterns` of
        `compute_fingerprint`.

    Raises:
        FileNotFoundError: An entry module is not below `root`.
    """
    inside = tuple(f"{room}." for room in rooms)
    modules = [name for name in list_imported_modules(root, entry_modules) if f"{name}.".startswith(inside)]
    files = (_find_module_file(root, name) for name in modules)
    return [file.relative_to(root).as_posix() for file in files if file]


def _expand_package(root: Path, entry: str) -> Iterator[str]:
    file = _find_module_file(root, entry)
    if file is None:
        raise FileNotFoundError(f"there is no module {entry} below {root}")
    yield entry
    for path in sorted(file.parent.rglob("*.py") if file.name == "__init__.py" else ()):
        yield path.relative_to(root).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def _find_module_file(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split(".")) if module else root
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if module and file.is_file()), None)


@functools.cache
def _read_imports(source: str, package: str) -> tuple[str, ...]:
    """Return the dotted names in a module's import statements; of `from a import b` both "a" and "a.b"."""
    names: list[str] = []
    for statement in _parse_import_statements(source):
        if isinstance(statement, ast.Import):
            names += [imported.name for imported in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            base = ".".join(_resolve_relative(statement, package))
            names += [base, *(f"{base}.{imported.name}" for imported in statement.names)]
    return tuple(names)


def _parse_import_statements(source: str) -> Iterator[ast.AST]:
    """Parse the lines that begin with "import" or "from", in a tenth of the time that parsing the whole file takes.

    The whole file is parsed if one of these lines is no statement, such as a line of a docstring.
    """
    try:
        yield from [node for text in IMPORT_STATEMENT.findall(source) for node in ast.parse(text).body]
    except SyntaxError:
        yield from ast.walk(ast.parse(source))


def _resolve_relative(statement: ast.ImportFrom, package: str) -> list[str]:
    parts = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
    return [*parts, *([statement.module] if statement.module else [])]


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


def _run_git(root: Path, *arguments: str) -> str:
    git = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return git.stdout.strip()
