"""Where settings come from: `settings.toml`, and environment variables `PENUMBRA_SECTION__KEY`, which override it."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penumbra.core.project_root import API_KEY_PREFIX, ENV_PREFIX, SETTINGS_FILE, find_project_root
from penumbra.core.text.errors import LastingRefusal

PROJECT_ROOT = find_project_root()
LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://")  # of a Service, which Kubernetes gives to each pod of its namespace
LINK_SUFFIX = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9]\w*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")


class SettingsError(LastingRefusal):
    """A setting is unknown or has a value that can't be used; names the setting, its source and what was expected."""


def read_setting_values(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], set[tuple[str, ...]]]:
    """Read the settings as they stand there, unchecked.

    Args:
        path: The file.
        environ: Environment variables.

    Returns:
        The values by section and key; and section and key of those that the environment has replaced.

    Raises:
        SettingsError: The file is missing or no TOML, or a variable has no section or isn't in capitals.
    """
    values = _read_toml(path)
    return values, _apply_environment(values, environ)


def find_setting_variable(name: str) -> str:
    """Find the environment variable that a setting's value comes from.

    Args:
        name: The setting's dotted name, such as "service.port".

    Returns:
        The variable's name; "" where the value is that of settings.toml.
    """
    wanted = f"{ENV_PREFIX}{name.replace('.', '__')}".upper()
    return wanted if wanted in os.environ else ""


def find_setting_source(name: str) -> str:
    """Find where a setting's value comes from.

    Args:
        name: The setting's dotted name, such as "service.port".

    Returns:
        "environment variable …", or the path of settings.toml.
    """
    variable = find_setting_variable(name)
    return f"environment variable {variable}" if variable else str(PROJECT_ROOT / SETTINGS_FILE)


def list_setting_variables(environ: Mapping[str, str]) -> list[str]:
    """List the environment variables that are meant as settings, misspelt ones and those in small letters, too.

    Those aren't by which Kubernetes tells pods of a Service called "penumbra" or "penumbra-…", such as
    PENUMBRA_SERVICE_PORT: it gives a pod the Service's host and its address, tcp://…, with each of them.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        Their names.

    Source:
        https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    ours = [name for name in environ if name.upper().startswith(ENV_PREFIX) and not name.startswith(API_KEY_PREFIX)]
    hosts = (name.removesuffix("_SERVICE_HOST") for name in ours if name.endswith("_SERVICE_HOST"))
    links = [host for host in hosts if LINK_ADDRESS.match(environ.get(f"{host}_PORT", ""))]
    return [name for name in ours if not any(LINK_SUFFIX.fullmatch(name.removeprefix(link)) for link in links)]


def remove_api_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Remove API keys from an environment, for processes that check none.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        The environment without them.
    """
    return {name: value for name, value in environ.items() if not name.startswith(API_KEY_PREFIX)}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path} is missing: it holds every setting of the project; run this in the project's folder or below it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _apply_environment(values: dict[str, Any], environ: Any) -> set[tuple[str, ...]]:
    """Put the environment's values in place; return the keys of the settings that they replaced."""
    replaced: set[tuple[str, ...]] = set()
    for name in list_setting_variables(environ):
        if name != name.upper():  # service/processes/workers/environment.py hides secrets by their names
            raise SettingsError(f"environment variable {name}: expected capitals, {name.upper()}")
        keys = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        if len(keys) != 2:
            raise SettingsError(f"environment variable {name}: expected {ENV_PREFIX}SECTION__KEY")
        section = values.setdefault(keys[0], {})
        if isinstance(section, dict):
            section[keys[1]] = environ[name]
            replaced.add(keys)
    return replaced
