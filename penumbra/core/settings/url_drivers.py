"""The libraries that the URLs in the settings take: whether they are there is found out before any work is done."""

import contextlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penumbra.core.settings import Settings, SettingsError, find_setting_source
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.installation import describe_installation
from penumbra.core.text.masking import mask_address

ARTIFACT_MODULES = {  # which MLflow imports when it first uses such a store
    "s3": "boto3",
    "gs": "google.cloud.storage",
    "wasbs": "azure.storage.blob",
    "abfss": "azure.storage.filedatalake",
    "hdfs": "pyarrow",
    "sftp": "pysftp",
}
DVC_SCHEMES = ("file", "remote")  # which DVC opens by itself
EXTRAS = {"psycopg": "cluster", "boto3": "train", "dvc": "train", "sqlalchemy": "train", "dvc_s3": "s3", "s3fs": "s3"}


def require_drivers(settings: Settings, names: Sequence[str] = ()) -> None:
    """Check that the libraries are installed which the URLs in the settings take.

    Args:
        settings: The settings.
        names: The dotted names of the settings to check; all that can hold a URL if none is named.

    Raises:
        SettingsError: One is missing, or a URL has a scheme that nothing here can open; names the setting, its source
            and what to install.
    """
    for name in names or MODULE_FINDERS:
        section, key = name.split(".")
        address = str(getattr(getattr(settings, section), key))
        if problem := _describe_problem(name, address):
            raise SettingsError(f"{find_setting_source(name)}: {name} = {mask_address(address)!r} {problem}")


def _describe_problem(name: str, address: str) -> str:
    if not (scheme := get_scheme(address)):
        return ""
    try:
        module = MODULE_FINDERS[name](address, scheme)
    except KeyError:
        return f"has a scheme that is not known: {scheme}"
    except ModuleNotFoundError as error:
        module = str(error.name)
    except ImportError as error:
        return f"has a driver that can't be imported: {error}"
    return (
        f"takes {module}, which isn't installed: {_describe_remedy(module)}"
        if module and not _has_module(module)
        else ""
    )


def _find_database_module(address: str, scheme: str) -> str:
    """Import the driver of a database: one may be there without the library that it takes itself."""
    if scheme in ("http", "https", "sqlite"):
        return ""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with contextlib.suppress(ArgumentError):  # it is no database's, as MLflow says better
        make_url(address).get_dialect().import_dbapi()
    return ""


def _find_artifact_module(_: str, scheme: str) -> str:
    return ARTIFACT_MODULES.get(scheme, "")


def _find_remote_module(_: str, scheme: str) -> str:
    from dvc.fs import known_implementations

    return "" if scheme in DVC_SCHEMES else _get_package(known_implementations[scheme])


def _find_store_module(_: str, scheme: str) -> str:
    from fsspec.registry import known_implementations

    return _get_package(known_implementations[scheme])


def _get_package(registered: Mapping[str, Any]) -> str:
    """The package of a file system as registries of fsspec's kind have it."""
    return str(registered["class"]).partition(".")[0]


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of "google.cloud.storage" there is no "google"
        return False


def _describe_remedy(module: str) -> str:
    extra = EXTRAS.get(module)
    return describe_installation(extra) if extra else f"install {module}"


MODULE_FINDERS: dict[str, Callable[[str, str], str]] = {
    "registry.tracking": _find_database_module,
    "registry.artifacts": _find_artifact_module,
    "data.remote": _find_remote_module,
    "log.archive": _find_store_module,
    "cluster.state": _find_store_module,
}
