"""Libraries, imported without others that they load at once and that nobody here uses through them."""

import importlib
import sys

UNUSED = {"dataframely": "sqlalchemy", "sklearn.base": "pandas"}
PLACEHOLDERS = {  # what dataframely takes for modules that it doesn't find, and which modules these are
    "sa": "sqlalchemy",
    "sa_mssql": "sqlalchemy.dialects.mssql",
    "sa_postgresql": "sqlalchemy.dialects.postgresql",
}


def import_lean(library: str) -> None:
    """Import a library without the one that it would load in vain; who imports that one gets it nevertheless.

    scikit-learn loads pandas, which it asks for again where it uses it, and dataframely SQLAlchemy for the tables that
    it can make of schemas, which it then loads when it makes the first: together a quarter of what importing them
    takes, in time and memory. Nothing is done where either was imported before.

    Args:
        library: "dataframely" or "sklearn.base".

    Raises:
        ImportError: The library isn't installed.
    """
    if {library, UNUSED[library]} & sys.modules.keys():
        return
    sys.modules[UNUSED[library]] = None  # type: ignore[assignment]
    try:
        importlib.import_module(library)
    finally:
        del sys.modules[UNUSED[library]]
    if library == "dataframely":
        _fill_placeholders()


def _fill_placeholders() -> None:
    """Let dataframely's placeholders of SQLAlchemy be its modules, imported when something of them is asked for."""
    compat = importlib.import_module("dataframely._compat")
    for name, module in PLACEHOLDERS.items():
        getattr(compat, name).module = module
    compat._DummyModule.__getattr__ = lambda self, name: getattr(importlib.import_module(self.module), name)
