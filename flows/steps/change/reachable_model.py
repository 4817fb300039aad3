"""The live model as far as it can be reached from here: a pipeline's machine may have no way to the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penumbra.core.settings import RegistrySettings
from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address
from penumbra.registry.bundles.manifest import verify_bundle
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import LIVE_ALIAS
from penumbra.registry.tracking.sqlite_registry import has_database

SERVER_NEEDED = "a machine of the pipeline needs the address of a server in registry.tracking (docs/ci.md)"


@dataclass(frozen=True)
class ReachableModel:
    """The live model, or why there is none to compare with.

    Args:
        version: Its number; "" for none.
        facts: The content of its bundle.json.
        reason: Why it can't be reached, as a clause; "" if it can.
    """

    version: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def find_reachable_model(registry: RegistrySettings, folder: Path) -> ReachableModel:
    """Fetch the live model's bundle, whatever stands in the way of it.

    Args:
        registry: Section [registry] of the settings.
        folder: A new folder for the bundle.

    Returns:
        The model with the facts of its bundle; or the reason for having none.
    """
    address = mask_address(registry.tracking)
    if not registry.tracking:
        return ReachableModel(reason=f"registry.tracking names no registry: {SERVER_NEEDED}")
    if not has_database(registry.tracking):
        return ReachableModel(reason=f"there is no registry at {address}: {SERVER_NEEDED}")
    models = ModelRegistry(registry)
    try:
        if (version := models.version(LIVE_ALIAS)) is None:
            return ReachableModel(reason=f"the registry at {address} has no live version of {registry.model} yet")
        models.download(version, folder / version)
        return ReachableModel(version, verify_bundle(folder / version))
    except Exception as error:  # each kind of registry and of store has its own
        return ReachableModel(reason=f"the registry at {address} can't be asked: {describe_error(error)}")


def hide_registry(registry: RegistrySettings, folder: Path) -> RegistrySettings:
    """Name a registry that isn't there, so that nothing is compared with a model that can't be reached.

    Args:
        registry: Section [registry] of the settings.
        folder: An empty folder.

    Returns:
        The same section with other addresses.
    """
    places = {"tracking": f"sqlite:///{folder / 'none.db'}", "artifacts": str(folder / "artifacts")}
    return registry.model_copy(update=places)
