"""The settings of this process that pods get as environment variables: what differs from the image's settings.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.settings import ENV_PREFIX, Settings, list_setting_variables, load_settings
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_settings, mask_text

WORKERS_VARIABLE = "METAFLOW_RUN_MAX_WORKERS"  # to so many tasks a step deals its jobs
STORE_PROCESSES = {"METAFLOW_S3_WORKER_COUNT": "4"}  # Metaflow starts one an object, up to 64, on a core or two
STORE_VARIABLES = ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")  # where the object store is, of clients of S3
SHARED_PLACES = ("data.remote", "registry.tracking", "registry.artifacts", "log.archive")  # which all pods have to see
LOCAL_SCHEMES = ("file", "sqlite")


@dataclass(frozen=True)
class PodSettings:
    """Which variables of this process go to pods.

    Attributes:
        passed: Those that pods get, by name.
        secret: The names of those that they don't get, as they carry a secret.
        local: The names of those that they don't get, as they name a place on this machine's disk; beside them those
            that pods lack, as settings.toml names such a place for what all pods have to see.
    """

    passed: dict[str, str]
    secret: list[str]
    local: list[str]


def read_pod_settings(settings: Settings, environ: Mapping[str, str]) -> PodSettings:
    """Tell the variables that pods get from those that they must not have.

    Args:
        settings: The settings, overridden by `environ`.
        environ: The environment of this process.

    Returns:
        The variables `PENUMBRA_SECTION__KEY` that make the settings differ from those of settings.toml, with those that
        say where the object store is; how many pods of a step run at once, and how many processes a pod fetches with.
    """
    file = load_settings(environ={})
    names = [name for name in list_setting_variables(environ) if _read(settings, name) != _read(file, name)]
    given = {name: environ[name] for name in sorted([*STORE_VARIABLES, *names]) if name in environ}
    secret = [name for name, text in given.items() if _is_secret(name, text)]
    local = {name for name, text in given.items() if _is_local(text)} | _list_local_places(settings)
    passed = {name: text for name, text in given.items() if name not in {*secret, *local}}
    workers = {WORKERS_VARIABLE: str(settings.cluster.parallel_pods)}
    return PodSettings({**workers, **STORE_PROCESSES, **passed}, secret, sorted(local))


def _is_secret(name: str, text: str) -> bool:
    key = name.rpartition("__")[2].lower()
    return mask_settings({key: text}) != {key: text} or mask_text(text) != text


def _is_local(text: str) -> bool:
    return Path(text).is_absolute() or get_scheme(text) in LOCAL_SCHEMES


def _list_local_places(settings: Settings) -> set[str]:
    """The variables of what all pods have to see, where it is on this machine's disk."""
    names = [f"{ENV_PREFIX}{place.replace('.', '__').upper()}" for place in SHARED_PLACES]
    places = {name: str(_read(settings, name)) for name in names}
    return {name for name, place in places.items() if place and (_is_local(place) or not get_scheme(place))}


def _read(settings: Settings, variable: str) -> Any:
    """The value of the setting that a variable is of."""
    section, key = variable.removeprefix(ENV_PREFIX).lower().split("__")
    return getattr(getattr(settings, section), key)
