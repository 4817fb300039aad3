"""Packages of which only those modules are loaded that something is taken from."""

import ast
import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


def defer_modules(*packages: str) -> None:
    """Let packages load none of their modules before a name of them is asked for; then only the one that has it.

    Many a package imports all of its modules, so that `from package import name` finds every name: who takes three
    names pays for hundreds of modules. Where a name comes from stands in the package's `__init__.py`, which is read
    for it, and run for names that it doesn't import. Nothing is done to a package that was imported before.

    Args:
        *packages: Their full names, each after the package that it is in.

    Raises:
        ModuleNotFoundError: There is no such package.
    """
    for package in packages:
        if package not in sys.modules:
            _defer_package(package)


def _defer_package(package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = importlib.util.module_from_spec(spec)
    module.__getattr__ = _NameFinder(module, spec)  # type: ignore[method-assign]
    sys.modules[package] = module
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)


class _NameFinder:
    """A package's function `__getattr__`: finds names that the package doesn't have yet."""

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module, self._spec = module, spec
        self._sources: dict[str, tuple[str, str]] | None = None

    def __call__(self, name: str) -> Any:
        if self._sources is None:
            self._sources = _read_sources(self._spec)
        if name in self._sources:
            module, original = self._sources[name]
            value = getattr(importlib.import_module(module), original)
            setattr(self._module, name, value)
            return value
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self._spec.name!r} has no attribute {name!r}", name=name, obj=self._module)
        if importlib.util.find_spec(f"{self._spec.name}.{name}"):
            return importlib.import_module(f"{self._spec.name}.{name}")
        del self._module.__getattr__
        self._spec.loader.exec_module(self._module)  # type: ignore[union-attr]
        return getattr(self._module, name)


def _read_sources(spec: ModuleSpec) -> dict[str, tuple[str, str]]:
    """By each name that a package imports from its modules or others: the module, and the name there."""
    sources = dict[str, tuple[str, str]]()
    for each in ast.parse(Path(str(spec.origin)).read_bytes()).body:
        if not isinstance(each, ast.ImportFrom):
            continue
        module = importlib.util.resolve_name("." * each.level + (each.module or ""), spec.name)
        if module != spec.name:  # the names of others are modules of the package
            sources |= {alias.asname or alias.name: (module, alias.name) for alias in each.names}
    return sources
