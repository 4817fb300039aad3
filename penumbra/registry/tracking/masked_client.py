"""MLflow's client with errors that don't show the password in the registry's address, which MLflow writes into them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from mlflow import MlflowClient
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException
from sqlalchemy.exc import SQLAlchemyError

from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address, mask_text
from penumbra.registry.errors import MlflowException


class _ModelClient(MlflowClient):
    """MLflow's client of a name that is a model's.

    MLflow reads the model with all its versions, before each alias and tag that it sets, to see that it is no prompt;
    `ModelRegistry` looks once.
    """

    def _raise_if_prompt(self, name: str) -> None:
        pass


class MaskedClient:
    """MLflow's client, whose errors don't show the password in the registry's address."""

    def __init__(self, uri: str) -> None:
        """Take the registry's address; nothing is connected yet."""
        self._uri = uri
        self._client = _ModelClient(tracking_uri=uri, registry_uri=uri)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method `name` of MLflow's client, with masked errors."""
        return mask_registry_errors(self._uri)(getattr(self._client, name))


@contextlib.contextmanager
def mask_registry_errors(uri: str) -> Iterator[None]:
    """Mask the secrets of the registry's address in errors, as a context manager or decorator.

    Args:
        uri: The registry's address.

    Raises:
        MlflowException: MLflow refuses or can't be reached, knows no such registry, or a library below it fails.
    """
    try:
        yield
    except UnsupportedModelRegistryStoreURIException:
        known = "sqlite:///…, postgresql://…, mysql://… or https://…"
        raise MlflowException(f"registry.tracking = {mask_address(uri)!r} is no registry: expected {known}") from None
    except MlflowException as error:
        error.message = mask_text(str(error).replace(uri, mask_address(uri)))
        error.args = (error.message,)
        raise error from None
    except (SQLAlchemyError, ImportError) as error:
        raise MlflowException(f"{mask_address(uri)}: {describe_error(error)}") from None
