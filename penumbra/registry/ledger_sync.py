"""The registry brought in line with the ledger: its aliases derived anew, the ledger's entries as tags of versions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penumbra.core.settings import Settings
from penumbra.registry import aliases
from penumbra.registry.ledger import LedgerEntry, format_versions
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS

if TYPE_CHECKING:
    from penumbra.registry.models import ModelRegistry

MAX_TAG_LENGTH = 5000
OVERTAKEN_KEY = "overtaken"  # in the evidence of a verdict that moved nothing


def derive_aliases(entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Derive the registry's aliases from the ledger.

    The gate lets a version in as candidate where there is a live one; a promotion takes it out again, and so does a
    rejection.

    Args:
        entries: The ledger's entries, oldest first.

    Returns:
        The version behind each alias after the last entry.
    """
    derived: dict[str, str] = {}
    for entry in entries:
        candidate = entry.versions.get(CANDIDATE_ALIAS)
        if entry.kind in ("promotion", "rollback"):
            derived = aliases.compute_aliases_after(entry, derived)
        elif entry.kind == "canary":
            derived = _apply_canary(entry, derived)
        elif (
            candidate
            and entry.verdict == "reject"
            and OVERTAKEN_KEY not in entry.evidence
            and derived.get(CANDIDATE_ALIAS) == candidate
        ):
            derived = aliases.drop_version(derived, candidate)
        elif candidate and entry.verdict in ("pass", "not enough data") and LIVE_ALIAS in derived:
            derived[CANDIDATE_ALIAS] = candidate
    return derived


def rebuild_aliases(settings: Settings, entries: Sequence[LedgerEntry]) -> str:
    """Set the registry's aliases to what the ledger says, and tag its versions with the ledger's entries.

    Args:
        settings: Sections [registry] and [ledger] are read.
        entries: The ledger's entries, oldest first.

    Returns:
        A line for each alias that changed, or one sentence if none did or there is no model.

    Raises:
        AliasesChanged: Somebody else moved an alias meanwhile.
    """
    from penumbra.registry.models import ModelRegistry

    models, derived = ModelRegistry(settings.registry), derive_aliases(entries)
    with aliases.hold_alias_lock(settings.ledger.folder):
        if (before := models.aliases()) is None:
            return (
                f"The registry {settings.registry.tracking} has no model {settings.registry.model}: nothing to rebuild."
            )
        others = {alias: version for alias, version in before.items() if alias not in aliases.ALIAS_MOVE_ORDER}
        aliases.move_aliases(models, before, others | derived)
    tag_ledger_entries(models, settings.ledger.folder, entries)
    changed = sorted(alias for alias in aliases.ALIAS_MOVE_ORDER if before.get(alias) != derived.get(alias))
    lines = [f"{alias}: {before.get(alias, 'none')} -> {derived.get(alias, 'none')}" for alias in changed]
    return "\n".join(lines or ["The registry's aliases are what the ledger says."])


def tag_ledger_entries(models: "ModelRegistry", ledger: Path, entries: Sequence[LedgerEntry]) -> None:
    """Tag model versions with the ledger's entries about them, where the tag is missing.

    One process does it at a time, as MLflow fails where two set a new tag at once.

    Args:
        models: The registry.
        ledger: The ledger's folder, which holds the lock.
        entries: The ledger's entries.
    """
    with aliases.hold_alias_lock(ledger):
        for version in {version for entry in entries for version in entry.versions.values()}:
            present = models.tags(version)
            for entry in entries:
                if version in entry.versions.values() and (name := f"ledger.{entry.number:05}") not in present:
                    models.tag(version, name, _format_tag(entry)[:MAX_TAG_LENGTH])


def _format_tag(entry: LedgerEntry) -> str:
    event = f"{entry.time:%Y-%m-%d %H:%M:%S} {entry.kind} {entry.verdict}"
    return f"{event} ({format_versions(entry)}) by {entry.actor}: {entry.reason}"


def _apply_canary(entry: LedgerEntry, versions: Mapping[str, str]) -> dict[str, str]:
    """Return the aliases after a canary began or was ended by a person."""
    canary = entry.versions[CANARY_ALIAS]
    return aliases.drop_version(versions, canary) if entry.verdict == "ended" else {**versions, CANARY_ALIAS: canary}
