"""Packages of which only those modules are loaded that something is taken from."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any


def defer_modules(*packages: str) -> None:
    """Let packages load none of their modules before a name of them is asked for; then only the one that has it.

    Many a package imports all of its modules, so that `from package import name` finds every name: who takes three
    names pays for hundreds of modules. Where a name comes from stands in the package's `__init__.py`, which is read
    for it, and run for names that it doesn't import. Nothing is done to a package that was imported before.

    Args:
        *packages: Their full names.
    """
    sys.meta_path.insert(0, _PackageFinder(packages))


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


class _PackageLoader(SourceFileLoader):
    """Runs a package's `__init__.py` only for a name that it makes itself."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a function `__getattr__`, which finds the names that it doesn't have yet."""
        sources: dict[str, tuple[str, str]] = {}

        def find_name(name: str) -> Any:
            if not sources:
                sources.update(_read_sources(self.get_data(self.path), self.name))
            if name in sources:
                origin, original = sources[name]
                value = getattr(importlib.import_module(origin), original)
                setattr(module, name, value)
                return value
            is_special = name.startswith("__") and name not in ("__all__", "__version__")
            if not is_special and importlib.util.find_spec(f"{self.name}.{name}"):
                return importlib.import_module(f"{self.name}.{name}")
            if is_special or not _may_make(self.get_data(self.path), name):
                raise AttributeError(f"module {self.name!r} has no attribute {name!r}", name=name, obj=module)
            vars(module).pop("__getattr__", None)
            super(_PackageLoader, self).exec_module(module)
            return getattr(module, name)

        module.__getattr__ = find_name  # type: ignore[method-assign]


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
        if origin != package:  # the names of others are modules of the package
            sources |= {alias.asname or alias.name: (origin, alias.name) for alias in each.names}
    return sources
