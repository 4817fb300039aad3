"""Libraries, imported without others that they load at once and that nobody here uses through them."""

import importlib
import sys

UNUSED = {"dataframely": "sqlalchemy", "sklearn.base": "pandas"}


def import_lean(library: str) -> None:
    """Import a library without the one that it would load in vain; who imports that one gets it nevertheless.

    scikit-learn loads pandas, which it asks for again where it uses it, and dataframely SQLAlchemy for the tables that
    it can make of schemas: together a quarter of what importing them takes, in time and memory. Nothing is done where
    either was imported before.

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
