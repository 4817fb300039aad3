"""The settings of this process that pods get as environment variables: what differs from the image's settings.toml."""

from collections.abc import Mapping
from typing import Any

from penumbra.core.settings import ENV_PREFIX, Settings, list_setting_variables, load_settings
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_settings

WORKERS_VARIABLE = "METAFLOW_RUN_MAX_WORKERS"  # to so many tasks a step deals its jobs
STORE_VARIABLES = ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")  # where the object store is, of clients of S3
LOCAL_PLACES = ("data.remote", "registry.tracking", "registry.artifacts")


def list_pod_settings(settings: Settings, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """List the variables `PENUMBRA_SECTION__KEY` that make the settings differ from those of settings.toml.

    Args:
        settings: The settings, overridden by `environ`.
        environ: The environment of this process.

    Returns:
        The variables that pods get, by name, with those that say where the object store is; and the names of settings
        that they don't get, as they carry a secret.
    """
    file = load_settings(environ={})
    passed, secret = {name: environ[name] for name in STORE_VARIABLES if name in environ}, []
    for name in sorted(list_setting_variables(environ)):
        section, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        value = _read_setting(settings, section, key)
        if value == _read_setting(file, section, key):
            continue
        if mask_settings({key: value}) != {key: value}:
            secret.append(name)
        else:
            passed[name] = environ[name]
    return passed, secret


def list_pod_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """List the environment variables that pods get of this process.

    Args:
        settings: The settings, overridden by `environ`.
        environ: The environment of this process.

    Returns:
        Those of settings that differ, and how many pods of a step run at once; by name, without secrets.
    """
    return {WORKERS_VARIABLE: str(settings.cluster.parallel_pods), **list_pod_settings(settings, environ)[0]}


def list_local_places(settings: Settings) -> list[str]:
    """List the settings that name a place on this machine's disk, where pods would look into a folder of their own.

    Args:
        settings: The settings.

    Returns:
        Their dotted names.
    """
    places = {name: str(_read_setting(settings, *name.split("."))) for name in LOCAL_PLACES}
    return [name for name, place in places.items() if place and get_scheme(place) in ("", "file", "sqlite")]


def _read_setting(settings: Settings, section: str, key: str) -> Any:
    return getattr(getattr(settings, section), key)
