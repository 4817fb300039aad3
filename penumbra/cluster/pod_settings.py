"""The settings of this process that pods get as environment variables: what differs from the image's settings.toml."""

from collections.abc import Mapping

from penumbra.core.settings import API_KEY_PREFIX, ENV_PREFIX, Settings, load_settings
from penumbra.core.text.masking import mask_settings

LOCAL_PLACES = ("data.remote", "registry.tracking", "registry.artifacts")


def list_pod_settings(settings: Settings, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """List the variables `PENUMBRA_SECTION__KEY` that make the settings differ from those of settings.toml.

    Args:
        settings: The settings, overridden by `environ`.
        environ: The environment of this process.

    Returns:
        The variables that pods get, by name; and the names of those that they don't get, as they carry a secret.
    """
    file = load_settings(environ={}).model_dump(mode="json")
    own = settings.model_dump(mode="json")
    passed, secret = {}, []
    for name in sorted(name for name in environ if name.startswith(ENV_PREFIX) and not name.startswith(API_KEY_PREFIX)):
        section, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        if own[section][key] == file[section][key]:
            continue
        if mask_settings({key: own[section][key]}) != {key: own[section][key]}:
            secret.append(name)
        else:
            passed[name] = environ[name]
    return passed, secret


def list_local_places(settings: Settings) -> list[str]:
    """List the settings that name a place on this machine's disk, where pods would look into a folder of their own.

    Args:
        settings: The settings.

    Returns:
        Their dotted names.
    """
    values = settings.model_dump(mode="json")
    places = {name: str(values[name.split(".")[0]][name.split(".")[1]]) for name in LOCAL_PLACES}
    return [name for name, place in places.items() if place and ("://" not in place or place.startswith("sqlite:"))]
