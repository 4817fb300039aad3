"""Packages of which only those modules are loaded that something is taken from."""

import ast
import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

SCIPY_PACKAGES = ("scipy.integrate", "scipy.interpolate", "scipy.optimize")  # scikit-learn takes little of each
PUBLIC_NAMES = re.compile(rb"^__all__ = (\[[\s\w'\",#]*\])$", re.MULTILINE)


def defer_modules(*packages: str) -> None:
    """Let packages load none of their modules before a name of them is asked for; then only the one that has it.

    Many a package imports all of its modules, so that `from package import name` finds every name: who takes three
    names pays for hundreds of modules. Where a name comes from stands in the package's `__init__.py`, which is read
    for it, and run for names that it doesn't import. Nothing is done to a package that was imported before.

    Args:
        *packages: Their full names.
    """
    sys.meta_path.insert(0, _PackageFinder(packages))


def load_before_package(module: str) -> None:
    """Load a module of a package without the package's own code, which otherwise runs before any of its modules.

    Many a package imports all of itself; one that only has classes of errors can be had without. The package is loaded
    as ever when anything else of it is imported, and has the module then. Nothing is done where it was imported before.

    Args:
        module: The full name of a module that needs nothing of its package but modules of which the same is true.
    """
    name = module.partition(".")[0]
    spec = None if name in sys.modules else PathFinder.find_spec(name)
    if spec is None:
        return
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    try:
        importlib.import_module(module)
    finally:
        del sys.modules[name]
    sys.meta_path.insert(0, _BegunPackageFinder(package))


class _PackageFinder(MetaPathFinder):
    """Finds packages that are deferred, and nothing else."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _PackageLoader(fullname, spec.loader.path)
        return spec


class _BegunPackageFinder(MetaPathFinder):
    """Finds a package of which modules were loaded before it, and nothing else."""

    def __init__(self, package: ModuleType) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._package.__name__:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _BegunPackageLoader(fullname, spec.loader.path)
            spec.loader.package = self._package
        return spec


class _BegunPackageLoader(SourceFileLoader):
    """Runs the code of a package in the module that has those that were loaded before as its attributes."""

    package: ModuleType

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the package."""
        return self.package


class _PackageLoader(SourceFileLoader):
    """Runs a package's `__init__.py` only for a name that it makes itself, as a module of the package."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a function `__getattr__`, which finds the names that it doesn't have yet."""
        self._sources: dict[str, tuple[str, str]] = {}
        module.__getattr__ = functools.partial(self._find_name, module)  # type: ignore[method-assign]

    def _find_name(self, module: ModuleType, name: str) -> Any:
        if not self._sources:
            self._sources.update(_read_sources(self.get_data(self.path), self.name))
        is_special = name.startswith("__") and name not in ("__all__", "__version__")
        if name not in self._sources and not is_special and importlib.util.find_spec(f"{self.name}.{name}"):
            return importlib.import_module(f"{self.name}.{name}")
        if name not in self._sources and (is_special or not _may_make(self.get_data(self.path), name)):
            raise AttributeError(f"module {self.name!r} has no attribute {name!r}", name=name, obj=module)
        origin, original = self._sources.get(name, (f"{self.name}.__init__", name))
        value = getattr(importlib.import_module(origin), original)
        setattr(module, name, value)
        return value


def _may_make(source: bytes, name: str) -> bool:
    """Whether a package's `__init__.py` makes a name, as far as its text tells. Metaflow asks each module for one."""
    return any(each in source for each in (name.encode(), b"import *", b"__getattr__", b"globals("))


def _read_sources(source: bytes, package: str) -> dict[str, tuple[str, str]]:
    """By each name that a package imports from its modules or others: the module, and the name there."""
    sources = dict[str, tuple[str, str]]()
    for each in ast.parse(source).body:
        if not isinstance(each, ast.ImportFrom):
            continue
        origin = importlib.util.resolve_name("." * each.level + (each.module or ""), package)
        if each.names[0].name == "*":
            sources |= {name: (origin, name) for name in _read_public_names(origin)}
        elif origin != package:  # the names of others are modules of the package
            sources |= {alias.asname or alias.name: (origin, alias.name) for alias in each.names}
    return sources


def _read_public_names(module: str) -> list[str]:
    """The list `__all__` that a module begins with; none where its text doesn't tell."""
    spec = importlib.util.find_spec(module)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        return []
    found = PUBLIC_NAMES.search(spec.loader.get_data(spec.loader.path))
    return list(ast.literal_eval(found[1].decode())) if found else []
