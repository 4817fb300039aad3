"""The registry's errors, handled without importing MLflow before there is one."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager


@contextlib.contextmanager
def handle_registry_errors(handle: Callable[..., AbstractContextManager[None]]) -> Iterator[None]:
    """Handle the registry's errors, whose classes take a second to import: only where there is an error.

    Args:
        handle: Makes the context manager that expects some classes of errors, as `stop_with_one_sentence` does.
    """
    try:
        yield
    except Exception:
        from penumbra.registry.models import REGISTRY_ERRORS

        with handle(*REGISTRY_ERRORS):
            raise
