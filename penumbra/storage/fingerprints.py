"""Fingerprints: the keys under which results are kept, made of all code, tables and facts that a result depends on.

The code is whatever a module imports, at load time or within a function. Of the engine only the rooms count that a
result is computed by; of the project's own packages (`problem/`, and those that it imports) every module that is
imported, and every file that isn't Python: a lookup table may be read by any of them. Not seen are files elsewhere:
what is read from there belongs into the raw files that `problem/source.py` fetches.
"""

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ENGINE_PACKAGES = frozenset({"penumbra", "flows", "service", "monitoring", "deploy", "benchmarks", "tests"})
RUNTIME_LOCK = "locks/runtime.lock"
PYTHON_SUFFIXES = (".py", ".pyc")
Lister = Callable[[str], frozenset[str]]
IMPORT_STATEMENT = re.compile(r"^[ \t]*((?:from|import)[ \t](?:[^\n(\\]|\\\n)*(?:\([^)]*\))?)", re.MULTILINE)


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
    found = ([path] if (path := root / pattern).is_file() else root.glob(pattern) for pattern in patterns)
    files = sorted(path for paths in found for path in paths)
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
    return sorted(map_imports(root, entry_modules))


def map_imports(root: Path, entry_modules: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Map what some modules import, directly or through others, as `list_imported_modules` lists it.

    Args:
        root: As for `list_imported_modules`.
        entry_modules: As for `list_imported_modules`.

    Returns:
        By the dotted name of each of those modules: its package, and the names that it imports, whose modules may be
        elsewhere.

    Raises:
        FileNotFoundError: An entry module is not below `root`.
    """
    waiting = [module for entry in entry_modules for module in _expand_package(root, entry)]
    list_names, imports, seen = functools.cache(_list_names), dict[str, tuple[str, ...]](), set[str]()
    while waiting:
        module = waiting.pop()
        if module not in seen and (file := _find_module_file(root, module, list_names)):
            imports[module] = module.rpartition(".")[0], *_list_imports(file, module)
            waiting += imports[module]
        seen.add(module)
    return imports


def list_module_files(root: Path, entry_modules: Iterable[str], rooms: Iterable[str]) -> list[str]:
    """List the files of the modules that some modules import, as far as they count.

    Args:
        root: The folder that dotted names begin at.
        entry_modules: As for `list_imported_modules`.
        rooms: Dotted names of the engine's packages and modules. What is of the engine and isn't one of them, or inside
            one, is left out.

    Returns:
        Paths relative to `root`, with slashes: the modules in alphabetic order, then the files of the project's own
        packages that aren't Python; fit as `patterns` of `compute_fingerprint`.

    Raises:
        FileNotFoundError: An entry module is not below `root`.
    """
    inside = tuple(f"{room}." for room in rooms)
    modules = list_imported_modules(root, entry_modules)
    counted = [name for name in modules if is_own_module(name) or f"{name}.".startswith(inside)]
    own = sorted({name.partition(".")[0] for name in modules if is_own_module(name)})
    tables = [path for package in own for path in list_table_files(root / package)]
    return [path.relative_to(root).as_posix() for path in (*list_module_paths(root, counted), *tables)]


def list_result_files(root: Path, entry_modules: Iterable[str], rooms: Iterable[str]) -> list[str]:
    """List the files that a result depends on: those of `list_module_files`, and the lock of the libraries.

    Args:
        root: The folder of the project.
        entry_modules: As for `list_imported_modules`.
        rooms: As for `list_module_files`.

    Returns:
        Paths relative to `root`, fit as `patterns` of `compute_fingerprint`.

    Raises:
        FileNotFoundError: An entry module is not below `root`.
    """
    return [RUNTIME_LOCK, *list_module_files(root, entry_modules, rooms)]


def list_module_paths(root: Path, modules: Iterable[str]) -> list[Path]:
    """List the files of modules.

    Args:
        root: The folder that dotted names begin at.
        modules: Dotted names; those that aren't below `root` are left out.

    Returns:
        A path for each of the others.
    """
    list_names = functools.cache(_list_names)
    files = (_find_module_file(root, name, list_names) for name in modules)
    return [file for file in files if file]


def is_own_module(name: str) -> bool:
    """Tell whether a module is the project's own.

    Args:
        name: Its dotted name; it lies below the project's folder.

    Returns:
        False for the engine's.
    """
    return name.partition(".")[0] not in ENGINE_PACKAGES


def list_table_files(folder: Path) -> list[Path]:
    """List the files below a folder that aren't Python, such as lookup tables.

    Args:
        folder: A folder; where it is missing there are none.

    Returns:
        The files in alphabetic order, without hidden ones and caches.
    """
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in PYTHON_SUFFIXES)
    return [path for path in found if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)]


def list_library_versions(root: Path, modules: Iterable[str]) -> dict[str, str]:
    """List the installed libraries that modules import, with their versions.

    Args:
        root: The folder that dotted names begin at.
        modules: Dotted names of modules below `root`.

    Returns:
        The version by name of the library.
    """
    list_names = functools.cache(_list_names)
    found = ((_find_module_file(root, module, list_names), module) for module in modules)
    names = {name.partition(".")[0] for file, module in found if file for name in _list_imports(file, module)}
    foreign = sorted(names - sys.stdlib_module_names - ENGINE_PACKAGES)
    versions = {name: _find_library_version(name) for name in foreign if not _find_module_file(root, name, list_names)}
    return {name: version for name, version in versions.items() if version}


def _expand_package(root: Path, entry: str) -> Iterator[str]:
    file, folder = _find_module_file(root, entry, _list_names), root.joinpath(*entry.split("."))
    if file is None and not folder.is_dir():
        raise FileNotFoundError(f"there is no module {entry} below {root}")
    yield entry
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(root).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def _list_names(folder: str) -> frozenset[str]:
    """List the names in a folder; there are none where it is missing or a file."""
    try:
        return frozenset(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _find_module_file(root: Path, module: str, list_names: Lister) -> Path | None:
    """Find the file of a module; who looks for many gives a cache of `_list_names`, which reads each folder once."""
    package, _, name = module.rpartition(".")
    folder = f"{root}{os.sep}{package.replace('.', os.sep)}"
    names = list_names(folder)
    if name in names and "__init__.py" in list_names(f"{folder}{os.sep}{name}"):
        return Path(folder, name, "__init__.py")
    return Path(folder, f"{name}.py") if f"{name}.py" in names else None


def _list_imports(file: Path, module: str) -> tuple[str, ...]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _read_imports(file.read_text(encoding="utf-8"), package)


def _find_library_version(name: str) -> str:
    """Find the version of the library that a package belongs to, "" if it is none's."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        libraries = _map_packages_to_libraries().get(name, ())
        return ", ".join(f"{library} {importlib.metadata.version(library)}" for library in sorted({*libraries}))


@functools.cache
def _map_packages_to_libraries() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


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
        yield from ast.parse("\n".join(IMPORT_STATEMENT.findall(source))).body
    except SyntaxError:
        yield from ast.walk(ast.parse(source))


def _resolve_relative(statement: ast.ImportFrom, package: str) -> list[str]:
    parts = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
    return [*parts, *([statement.module] if statement.module else [])]
