"""The check of the registry against what it must agree with: bundles with their manifests, aliases with the ledger."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.registry.aliases import ALIAS_MOVE_ORDER
from penumbra.registry.bundles.manifest import BrokenBundle, verify_bundle
from penumbra.registry.history.ledger_sync import derive_aliases
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import BUNDLES_FOLDER

CHECKED_TAGS = ("data_version", "fingerprint")  # of a version, which its bundle has too


def check_registry(models: ModelRegistry, settings: Settings) -> Iterator[str]:
    """Check the database, the aliases, and each version's bundle and tags.

    A damaged bundle is brought back from the service's copy, where that is whole and the registry keeps files here.

    Args:
        models: The registry.
        settings: Sections [service] (`state`) and [ledger] are read.

    Yields:
        A sentence for each bundle that was brought back.

    Raises:
        BrokenBundle: Something isn't what was registered; says all that is wrong.
        BrokenLedger: The ledger is damaged.
        MlflowException: The registry can't be read.
    """
    if (aliases := models.aliases()) is None:
        return
    faults = []
    for version in models.list_versions():
        try:
            yield from _check_version(models, version, settings.service.state / BUNDLES_FOLDER / version)
        except BrokenBundle as error:
            faults.append(str(error))
    known = {alias: aliases[alias] for alias in ALIAS_MOVE_ORDER if alias in aliases}
    if (entries := open_ledger(settings).entries()) and known != (said := derive_aliases(entries)):
        faults.append(f"the registry's aliases are {known}, the ledger says {said}: see `penumbra history --rebuild`")
    if faults:
        raise BrokenBundle("; ".join(faults))


def _check_version(models: ModelRegistry, version: str, copy: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / version
        models.download(version, folder)
        try:
            facts = verify_bundle(folder)
        except BrokenBundle as error:
            facts = _bring_back(models, version, copy, error)
            yield f"{str(error).replace(str(folder), f'the registry: version {version}')}; brought back from {copy}"
    tags = models.tags(version)
    if wrong := [name for name in CHECKED_TAGS if name in tags and tags[name] != facts.get(name)]:
        raise BrokenBundle(
            f"version {version} of the registry: its tags {', '.join(wrong)} aren't what its bundle says"
        )


def _bring_back(models: ModelRegistry, version: str, copy: Path, error: BrokenBundle) -> dict[str, object]:
    target = Path(models.get_bundle_address(version).removeprefix("file://"))
    try:
        facts = verify_bundle(copy)
    except BrokenBundle:
        raise BrokenBundle(f"version {version} of the registry: {error}; the service has no whole copy") from None
    if not target.is_dir():
        raise BrokenBundle(f"version {version} of the registry: {error}; {copy} is whole, upload it") from None
    shutil.copytree(copy, target, dirs_exist_ok=True)
    return facts
