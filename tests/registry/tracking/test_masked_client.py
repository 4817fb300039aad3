"""Errors of a registry that can't be reached or is none."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from penumbra.core.settings import RegistrySettings
from penumbra.core.system.http_client import find_free_port
from penumbra.registry.models import ModelRegistry
from tests.helpers.planted_secrets import PLANTED

ADDRESSES = {
    "another database's name": "postgres://me:{secret}@127.0.0.1/base",
    "an unescaped password": "postgres://me:a'{secret} b@127.0.0.1/base",
    "a driver that isn't installed": "mssql+pymssql://me:{secret}@127.0.0.1/base",
    "a server that is away": "http://me:{secret}@127.0.0.1:{port}",
    "a token of a server that is away": "http://{secret}@127.0.0.1:{port}",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_an_unreachable_registry_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = address.format(secret=PLANTED, port=find_free_port())
    models = ModelRegistry(RegistrySettings(tracking=uri, artifacts="a", model="m", signed_by=[]))
    calls: list[Any] = [models.aliases, lambda: models.version("live"), lambda: models.download("1", tmp_path / "1")]
    for call in calls:
        with pytest.raises(MlflowException) as error:
            call()
        assert PLANTED not in str(error.value)
        assert error.value.__cause__ is None
