"""Packages of which only those modules are loaded that something is taken from."""

import ast
import functools
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
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


def spare_package(package: str, modules: Sequence[str]) -> None:
    """Let some modules of a package be imported without the package's own code, which runs before any other module.

    Many a package imports all of itself in an order in which its modules find each other; one that only has classes of
    errors can be had without. Nothing is done to a package that was imported before.

    Args:
        package: Its full name.
        modules: The full names of the modules that need nothing of it but each other.
    """
    sys.meta_path.insert(0, _SparedPackageFinder(package, modules))


class _PackageFinder(MetaPathFinder):
    """Finds packages that are deferred, and nothing else."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return _find_deferred(fullname, path, target, _PackageLoader) if fullname in self._packages else None


class _SparedPackageFinder(MetaPathFinder):
    """Finds a package whose code isn't run, and runs it before a module that isn't among those that do without."""

    def __init__(self, package: str, modules: Sequence[str]) -> None:
        self._package, self._modules = package, tuple(f"{name}." for name in modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._package:
            return _find_deferred(fullname, path, target, _SparedPackageLoader)
        if not fullname.startswith(f"{self._package}.") or f"{fullname}.".startswith(self._modules):
            return None
        package = sys.modules[self._package]
        if isinstance(package.__loader__, _SparedPackageLoader) and package.__loader__.is_deferred:
            package.__loader__.run(package)
            return _find_loaded(fullname)
        return None


class _PackageLoader(SourceFileLoader):
    """Runs a package's `__init__.py` only for a name that it makes itself."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a function `__getattr__`, which finds the names that it doesn't have yet."""
        self.is_deferred = True
        self._sources: dict[str, tuple[str, str]] = {}
        module.__getattr__ = functools.partial(self._find_name, module)  # type: ignore[method-assign]

    def run(self, module: ModuleType) -> None:
        """Run the package's `__init__.py`."""
        self.is_deferred = False
        vars(module).pop("__getattr__", None)
        super().exec_module(module)

    def _find_name(self, module: ModuleType, name: str) -> Any:
        if not self._sources:
            self._sources.update(_read_sources(self.get_data(self.path), self.name))
        if name in self._sources:
            origin, original = self._sources[name]
            value = getattr(importlib.import_module(origin), original)
            setattr(module, name, value)
            return value
        is_special = name.startswith("__") and name not in ("__all__", "__version__")
        if not is_special and importlib.util.find_spec(f"{self.name}.{name}"):
            return importlib.import_module(f"{self.name}.{name}")
        if is_special:
            raise self._describe_missing(module, name)
        return self._make_name(module, name)

    def _make_name(self, module: ModuleType, name: str) -> Any:
        if not _may_make(self.get_data(self.path), name):
            raise self._describe_missing(module, name)
        self.run(module)
        return getattr(module, name)

    def _describe_missing(self, module: ModuleType, name: str) -> AttributeError:
        return AttributeError(f"module {self.name!r} has no attribute {name!r}", name=name, obj=module)


class _SparedPackageLoader(_PackageLoader):
    """Runs a package's `__init__.py` for any name that it may have."""

    def _find_name(self, module: ModuleType, name: str) -> Any:
        return self._make_name(module, name)


class _LoadedLoader(Loader):
    """Gives a module that was loaded while it was looked for, in place of a second one."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing but give the module its specification back."""
        module.__spec__ = self._spec


def _find_deferred(
    fullname: str, path: Sequence[str] | None, target: ModuleType | None, loader: type[_PackageLoader]
) -> ModuleSpec | None:
    spec = PathFinder.find_spec(fullname, path, target)
    if spec and isinstance(spec.loader, SourceFileLoader):
        spec.loader = loader(fullname, spec.loader.path)
    return spec


def _find_loaded(fullname: str) -> ModuleSpec | None:
    """A specification by which the import that looks for a module finds the one that was loaded meanwhile, if it was.

    Where a module appears while it is looked for, importlib takes the specification that the module has.
    """
    module = sys.modules.get(fullname)
    if module is None:
        return None
    spec = ModuleSpec(fullname, _LoadedLoader(module))
    module.__spec__ = spec
    return spec


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
