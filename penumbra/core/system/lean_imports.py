"""Libraries, imported without others that they load at once and that nobody here uses through them."""

import contextlib
import functools
import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

UNUSED = {
    "dataframely": ("sqlalchemy",),
    "sklearn.base": ("pandas", "scipy.stats"),
    "sklearn.compose": ("scipy.stats",),
    "sklearn.linear_model": ("scipy.stats",),
    "sklearn.ensemble": ("pandas", "scipy.stats"),
    "sklearn.discriminant_analysis": ("scipy.stats",),
}
UNUSED_BY_REPORTS = (  # what Evidently imports for texts and embeddings, beside SciPy's statistics
    *("sklearn.decomposition", "sklearn.feature_extraction.text", "sklearn.linear_model", "sklearn.model_selection"),
    *("sklearn.pipeline", "scipy.stats"),
)
DEFERRED = UNUSED_BY_REPORTS  # of which libraries take functions and classes by name as they are loaded
PLACEHOLDERS = {  # what dataframely takes for modules that it doesn't find, and which modules these are
    "sa": "sqlalchemy",
    "sa_mssql": "sqlalchemy.dialects.mssql",
    "sa_postgresql": "sqlalchemy.dialects.postgresql",
}


def import_lean(library: str, *names: str) -> None:
    """Import a library without those that it would load in vain; who imports one of them gets it nevertheless.

    scikit-learn loads pandas, which it asks for again where it uses it, and SciPy's statistics, which are then loaded
    when it calls the first of their functions. dataframely loads SQLAlchemy for the tables that it can make of schemas,
    which it then loads when it makes the first. Nothing is hidden that was imported before, nor from other threads:
    where there are any, all is loaded.

    Args:
        library: One of `UNUSED`.
        *names: What of it is loaded, too, where the library loads its modules by the names that are asked for.

    Raises:
        ImportError: The library isn't installed.
    """
    if library in sys.modules:
        return
    has_transformers = "sklearn.compose" in sys.modules
    with hide_modules(UNUSED[library]) as hidden:
        module = importlib.import_module(library)
        for name in names:
            getattr(module, name)
    if "sqlalchemy" in hidden:
        _fill_placeholders()
    if "sklearn.compose" in sys.modules and not has_transformers:
        _spare_pandas()


def spare_sqlalchemy() -> None:
    """Let dataframely be imported as `import_lean` does, whoever imports it first from now on."""
    sys.meta_path.insert(0, _DataframelyFinder())


class _DataframelyFinder:
    """Finds dataframely, and nothing else. The abstract class of finders takes longer to import than all of this."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "dataframely" else None
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _DataframelyLoader(fullname, spec.loader.path)
        return spec


class _DataframelyLoader(SourceFileLoader):
    """Loads dataframely without SQLAlchemy."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the package's `__init__.py`."""
        with hide_modules(UNUSED[self.name]) as hidden:
            super().exec_module(module)
        if hidden:
            _fill_placeholders()


@contextlib.contextmanager
def hide_modules(names: Sequence[str]) -> Iterator[list[str]]:
    """Let modules that aren't imported yet not be found, or be deferred, as a context manager.

    Another thread would miss them: where there is any, nothing is hidden.

    Args:
        names: Full names of modules. Of those in `DEFERRED` functions can be imported, which load the module as they
            are called; others can't be imported within the block.

    Yields:
        The names of those that are hidden.
    """
    absent = [name for name in names if name not in sys.modules] if threading.active_count() == 1 else []
    hidden = {name: DeferredName(name) if name in DEFERRED else None for name in absent}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield absent
    finally:
        for name, placeholder in hidden.items():
            if sys.modules.get(name, name) is placeholder:
                del sys.modules[name]


class DeferredName:
    """A name of a module that is imported when the name is called, as are the names below it."""

    def __init__(self, module: str, *names: str) -> None:
        """Take the `module`, and the `names` that lead from it to what this stands for."""
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        """Return a `name` below this one, or what stands for it until the module is imported."""
        if name.startswith("__"):
            raise AttributeError(f"{self._module} isn't imported yet, and {name} isn't known before")
        if isinstance(sys.modules.get(self._module), ModuleType):
            return getattr(self._load(), name)
        return DeferredName(self._module, *self._names, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call what this stands for."""
        return self._load()(*arguments, **options)

    def __reduce__(self) -> tuple[type["DeferredName"], tuple[str, ...]]:
        """Copies, and pickles, are what this is: a name."""
        return DeferredName, (self._module, *self._names)

    def _load(self) -> Any:
        if isinstance(sys.modules.get(self._module), DeferredName):  # called by what is imported without it
            del sys.modules[self._module]
        return functools.reduce(getattr, self._names, importlib.import_module(self._module))


def _fill_placeholders() -> None:
    """Let dataframely's placeholders of SQLAlchemy be its modules, imported when something of them is asked for."""
    compat = importlib.import_module("dataframely._compat")
    for name, module in PLACEHOLDERS.items():
        getattr(compat, name).module = module
    compat._DummyModule.__getattr__ = lambda self, name: getattr(importlib.import_module(self.module), name)


def _spare_pandas() -> None:
    """Let a ColumnTransformer look for pandas' missing values only where there can be any: once pandas is imported."""
    transformer = importlib.import_module("sklearn.compose").ColumnTransformer
    validate = transformer._validate_output

    def validate_output(self: Any, result: Any) -> None:
        with hide_modules(["pandas"]):
            validate(self, result)

    transformer._validate_output = validate_output
