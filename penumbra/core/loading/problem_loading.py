"""The loader of `problem/`: it imports the files, fills in what is optional, and checks everything once."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from typing_extensions import get_protocol_members

from penumbra.core.checks.problem_checks import PART_CHECKS, find_impossible_dtypes
from penumbra.core.checks.rule_checks import find_uncounted_columns
from penumbra.core.checks.type_checks import describe_expectation, has_expected_type
from penumbra.core.loading.problem_defaults import OPTIONAL_FILES, OPTIONAL_NAMES
from penumbra.core.problem import PROBLEM_PARTS, Problem, ProblemError, ProblemSchema
from penumbra.core.settings import PROJECT_ROOT

PROBLEM_PACKAGE = "problem"
SERVED_PARTS = ("schema", "features", "rules")  # what answering requests needs: no training library is imported
SOURCE_OBJECT = "SOURCE"  # of problem/source.py: what its functions are the methods of, if they don't stand there
MAX_VALUE_LENGTH = 60  # of a value in an error message


def load_problem(parts: Sequence[str] = tuple(PROBLEM_PARTS), package: str = PROBLEM_PACKAGE) -> Problem:
    """Import and check the user's folder.

    Args:
        parts: The files to load, of those in `PROBLEM_PARTS`; the schema is loaded with any of them.
        package: The import name of the folder.

    Returns:
        The problem with these parts, each with exactly the names of its protocol. It pickles as its name: a process
        that unpickles it loads the folder itself, which was checked where it was pickled.

    Raises:
        ProblemError: A file or a required name is missing, a file can't be imported, a value has the wrong type, or
            values don't fit together; everything that is wrong is named, each with file, name and expectation.
    """
    modules = _import_parts(package, [name for name in PROBLEM_PARTS if name in {"schema", *parts}])
    _raise_faults(package, {name: _find_missing_and_mistyped(name, module) for name, module in modules.items()})
    _raise_faults(package, {"schema": find_impossible_dtypes(cast(ProblemSchema, modules["schema"]))})
    problem = LoadedProblem(package, modules)
    schema = problem.loaded["schema"]
    _raise_faults(package, {name: PART_CHECKS[name](part, schema) for name, part in problem.loaded.items()})
    if {"features", "rules"} <= problem.loaded.keys():
        _raise_faults(package, {"rules": find_uncounted_columns(problem.rules.RULES, problem.features.FEATURES)})
    return cast(Problem, problem)


class LoadedProblem:
    """The parts of a problem that were loaded, with what stands for the optional names that they leave out."""

    def __init__(self, package: str, modules: Mapping[str, ModuleType | None]) -> None:
        """Take the names of the protocols, and only those, out of the modules.

        Args:
            package: The import name of the folder.
            modules: The module of each part, with the schema's first; None where an optional file is absent.
        """
        self.package = package
        self.files = {name: Path(str(module.__file__)) for name, module in modules.items() if module}
        self.purpose = inspect.getdoc(importlib.import_module(package)) or ""
        self.source_notes = inspect.getdoc(modules["source"]) or "" if modules.get("source") else ""
        self.loaded: dict[str, Any] = {}
        for name, module in modules.items():
            part = SimpleNamespace(**_collect_names(name, module))
            self.loaded[name] = part
            for key in _list_members(name) - vars(part).keys():
                setattr(part, key, OPTIONAL_NAMES[key](self.loaded["schema"]))

    def __getattr__(self, name: str) -> Any:
        loaded = vars(self).get("loaded", {})
        if name in loaded:
            return loaded[name]
        loads = f": load_problem(parts={[*loaded, name]}) does that" if name in PROBLEM_PARTS else ""
        raise AttributeError(f"the loaded problem has no part {name!r}{loads}")

    def __reduce__(self) -> tuple[Any, ...]:
        return load_checked_problem, (tuple(self.loaded), self.package)


def load_checked_problem(parts: Sequence[str] = tuple(PROBLEM_PARTS), package: str = PROBLEM_PACKAGE) -> Problem:
    """Load a folder that was checked before, as by another process: the checks take time, and start polars' threads.

    Args:
        parts: The files to load, of those in `PROBLEM_PARTS`, with the schema.
        package: The import name of the folder.

    Returns:
        The problem with these parts, as `load_problem` returns it.
    """
    return cast(Problem, LoadedProblem(package, _import_parts(package, parts)))


def _import_parts(package: str, names: Sequence[str]) -> dict[str, ModuleType | None]:
    if str(PROJECT_ROOT) not in sys.path:
        sys.path.append(str(PROJECT_ROOT))  # an installed command looks among installed packages only
    return {name: _import_part(package, name) for name in names}


def _import_part(package: str, name: str) -> ModuleType | None:
    """The module of a part, or None where an optional file is absent. Raises ProblemError."""
    try:
        if importlib.util.find_spec(package) and importlib.util.find_spec(f"{package}.{name}"):
            return importlib.import_module(f"{package}.{name}")
    except Exception as error:  # whatever the user's file does when it is imported
        raise ProblemError(f"{_locate_error(package, name, error)}: {type(error).__name__}: {error}") from error
    if name in OPTIONAL_FILES and importlib.util.find_spec(package):
        return None
    required = ", ".join(sorted(_list_members(name) - OPTIONAL_NAMES.keys()))
    raise ProblemError(f"{_name_file(package, name)} is missing: expected a Python file with {required}")


def _locate_error(package: str, name: str, error: Exception) -> str:
    """File and line of the user's code at which importing it failed."""
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((str(error.filename), error.lineno))
    for filename, line in reversed(places):
        if Path(filename).parent in folders:
            return f"{_name_file(package, Path(filename).stem)}, line {line}"
    return _name_file(package, name)


def _find_missing_and_mistyped(name: str, module: ModuleType | None) -> Iterator[str]:
    names = _collect_names(name, module)
    for key in sorted(_list_members(name)) if module else ():
        if key in names:
            if not has_expected_type(key, names[key]):
                yield f"{key} is {_shorten(names[key])}: expected {describe_expectation(key)}"
        elif key not in OPTIONAL_NAMES:
            yield f"{key} is missing: expected {describe_expectation(key)}"


def _collect_names(name: str, module: ModuleType | None) -> dict[str, Any]:
    """The names of a part that a module has; those of a source may be the methods of its `SOURCE`."""
    source = [getattr(module, SOURCE_OBJECT, None)] if name == "source" else []
    return {key: getattr(each, key) for each in (*source, module) for key in _list_members(name) if hasattr(each, key)}


def _raise_faults(package: str, faults: Mapping[str, Iterable[str]]) -> None:
    """Raise ProblemError where there are sentences about any part."""
    sentences = [f"{_name_file(package, name)}: {fault}" for name, found in faults.items() for fault in found]
    if sentences:
        raise ProblemError("; ".join(sentences))


def _list_members(name: str) -> frozenset[str]:
    return frozenset(get_protocol_members(PROBLEM_PARTS[name]))


def _name_file(package: str, name: str) -> str:
    return f"{package.replace('.', '/')}/{name}.py"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"a {type(value).__name__}"
