"""The registry brought in line with the ledger: its aliases derived anew, the ledger's entries as tags of versions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penumbra.core.settings import Settings
from penumbra.core.text.masking import mask_address
from penumbra.registry import aliases
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry, format_versions
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

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
        if _is_move(entry) and (entry.kind != "verdict" or derived.get(CANDIDATE_ALIAS) == candidate):
            derived = aliases.compute_aliases_after(entry, derived)
        elif candidate and entry.verdict in ("pass", "not enough data") and LIVE_ALIAS in derived:
            derived[CANDIDATE_ALIAS] = candidate
    return derived


def finish_last_move(models: aliases.AliasRegistry, entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Move the aliases by the ledger's last move, if a process was killed after it was entered; the caller holds the
    lock.

    A move is done once its versions are tagged with its entry. Aliases that somebody has set otherwise since stay.

    Args:
        models: The registry.
        entries: The ledger's entries, oldest first.

    Returns:
        The version behind each alias by now.

    Raises:
        AliasesChanged: Somebody else moved an alias meanwhile.
    """
    current = models.aliases() or {}
    last = next((entry for entry in reversed(entries) if _is_move(entry)), None)
    if last is None or not _can_follow(last, current) or _is_tagged(models, last):
        return current
    after = aliases.compute_aliases_after(last, current)
    is_of_live = last.kind in ("promotion", "rollback")
    aliases.move_aliases(models, current, after, last.time if is_of_live else None)
    return after


def require_history(settings: Settings, versions: Mapping[str, str] | None, entries: Sequence[LedgerEntry]) -> None:
    """Check that a live model has a past here, before anything is judged or entered that would begin another one.

    Registration enters a version in the ledger before it becomes live. So a live model that the ledger doesn't name is
    another project's, or the ledger is elsewhere. Where it is lost, it begins anew beside the answers that there are.

    Args:
        settings: Sections [registry], [cluster], [ledger] and [service] are read.
        versions: The version behind each alias; None if there is no model.
        entries: All entries of the ledger.

    Raises:
        BrokenLedger: There is a live model that no entry names though some name others, or neither such an entry nor an
            answer.
    """
    live, log = (versions or {}).get(LIVE_ALIAS), settings.service.predictions
    named = {version for entry in entries for version in entry.versions.values()}
    if live is None or live in named or (not named and _has_answers(log)):
        return
    ledger = mask_address(settings.cluster.state) or settings.ledger.folder
    missing = "" if named else f", and {log} has no answer"
    raise BrokenLedger(
        f"version {live} of {settings.registry.model} is live in {mask_address(settings.registry.tracking)}, but the "
        f"ledger of {ledger} doesn't name it{missing}. If it is another project's, give this one another name in "
        "registry.model. If it is this one's, set cluster.state, or ledger.folder and service.predictions, to where "
        "its ledger and answers are (if they are lost, the service has to answer first). Nothing was judged or changed"
    )


def rebuild_aliases(settings: Settings, entries: Sequence[LedgerEntry]) -> str:
    """Set the registry's aliases to what the ledger says, and tag its versions with the ledger's entries.

    Args:
        settings: Sections [registry] and [ledger] are read.
        entries: The ledger's entries, oldest first.

    Returns:
        A line for each alias that changed, or one sentence if none did or there is no model.

    Raises:
        BrokenLedger: The live model is another project's.
        AliasesChanged: Somebody else moved an alias meanwhile.
    """
    from penumbra.registry.models import ModelRegistry

    models, ledger, derived = ModelRegistry(settings.registry), open_ledger(settings), derive_aliases(entries)
    with aliases.hold_alias_lock(ledger):
        if (before := models.aliases()) is None:
            address = mask_address(settings.registry.tracking)
            return f"The registry {address} has no model {settings.registry.model}: nothing to rebuild."
        if LIVE_ALIAS in before and LIVE_ALIAS not in derived:
            return (
                f"The ledger {settings.ledger.folder} has no promotion, and version {before[LIVE_ALIAS]} is live: "
                "nothing was changed. `make train` finishes a training that was cut short."
            )
        require_history(settings, before, entries)
        others = {alias: version for alias, version in before.items() if alias not in aliases.ALIAS_MOVE_ORDER}
        aliases.move_aliases(models, before, others | derived)
    tag_ledger_entries(models, ledger, entries)
    changed = sorted(alias for alias in aliases.ALIAS_MOVE_ORDER if before.get(alias) != derived.get(alias))
    lines = [f"{alias}: {before.get(alias, 'none')} -> {derived.get(alias, 'none')}" for alias in changed]
    return "\n".join(lines or ["The registry's aliases are what the ledger says."])


def tag_ledger_entries(models: "ModelRegistry", ledger: Ledger, entries: Sequence[LedgerEntry]) -> None:
    """Tag model versions with the ledger's entries about them, where the tag is missing.

    One process does it at a time, as MLflow fails where two set a new tag at once.

    Args:
        models: The registry.
        ledger: The ledger, which has the lock.
        entries: The ledger's entries.
    """
    with aliases.hold_alias_lock(ledger):
        for version in {version for entry in entries for version in entry.versions.values()}:
            present = models.tags(version)
            for entry in entries:
                if version in entry.versions.values() and (name := _name_tag(entry)) not in present:
                    models.tag(version, name, _format_tag(entry)[:MAX_TAG_LENGTH])


def _has_answers(log: Path) -> bool:
    from penumbra.logs.append_log import read_segment_sizes
    from penumbra.logs.archiving.archive_parts import list_parts  # imports fsspec, which a rollback does without

    return any(read_segment_sizes(log).values()) or bool(list_parts(log))


def _format_tag(entry: LedgerEntry) -> str:
    event = f"{entry.time:%Y-%m-%d %H:%M:%S} {entry.kind} {entry.verdict}"
    return f"{event} ({format_versions(entry)}) by {entry.actor}: {entry.reason}"


def _is_move(entry: LedgerEntry) -> bool:
    """Tell whether an entry moves aliases by itself; the gate's verdicts do where there is a live version."""
    is_rejection = entry.verdict == "reject" and CANDIDATE_ALIAS in entry.versions
    return entry.kind in ("promotion", "rollback", "canary") or (is_rejection and OVERTAKEN_KEY not in entry.evidence)


def _can_follow(last: LedgerEntry, current: Mapping[str, str]) -> bool:
    """Tell whether these may be the aliases before a move, or while it is carried out."""
    live, versions = current.get(LIVE_ALIAS), last.versions
    if last.kind in ("promotion", "rollback"):
        return live in (versions.get(PREVIOUS_ALIAS), versions[LIVE_ALIAS])
    if last.kind == "canary" and last.verdict == "ended":
        return current.get(CANARY_ALIAS) == versions[CANARY_ALIAS]
    judged = versions[CANARY_ALIAS if last.kind == "canary" else CANDIDATE_ALIAS]
    return (live, current.get(CANDIDATE_ALIAS)) == (versions.get(LIVE_ALIAS), judged)


def _is_tagged(models: aliases.AliasRegistry, entry: LedgerEntry) -> bool:
    return all(_name_tag(entry) in models.tags(version) for version in set(entry.versions.values()))


def _name_tag(entry: LedgerEntry) -> str:
    return f"ledger.{entry.number:05}"
