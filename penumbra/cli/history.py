"""`make history`: the ledger as a table; one entry with its evidence; and the registry's aliases rebuilt from it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from penumbra.cli.label_report import format_table
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.registry import aliases as moves
from penumbra.registry.ledger import BrokenLedger, Ledger, LedgerEntry
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS

if TYPE_CHECKING:
    from penumbra.registry.models import ModelRegistry

MAX_REASON_WIDTH = 80
MAX_TAG_LENGTH = 5000
OVERTAKEN_KEY = "overtaken"  # in the evidence of a verdict that moved nothing


def format_ledger(entries: Sequence[LedgerEntry]) -> str:
    """A line for each entry, newest last."""
    if not entries:
        return "The ledger is empty: `make train` makes its first entries."
    return format_table(pl.DataFrame([_build_row(entry) for entry in entries]))


def format_ledger_entry(entries: Sequence[LedgerEntry], number: str) -> str:
    """One entry whole, as JSON. Raises LookupError."""
    found = [entry for entry in entries if str(entry.number) == number]
    if not found:
        raise LookupError(f"the ledger has no entry {number}: it has {len(entries)}")
    return msgspec.json.format(msgspec.json.encode(found[0]), indent=2).decode()


def derive_aliases(entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """The aliases that the ledger's entries lead to: the gate lets a version in as candidate where there is a live one,
    a promotion takes it out again, and so does a rejection."""
    aliases: dict[str, str] = {}
    for entry in entries:
        candidate = entry.versions.get(CANDIDATE_ALIAS)
        if entry.kind in ("promotion", "rollback"):
            aliases = moves.compute_aliases_after(entry, aliases)
        elif entry.kind == "canary":
            aliases = _apply_canary(entry, aliases)
        elif (
            candidate
            and entry.verdict == "reject"
            and OVERTAKEN_KEY not in entry.evidence
            and aliases.get(CANDIDATE_ALIAS) == candidate
        ):
            aliases = moves.drop_version(aliases, candidate)
        elif candidate and entry.verdict in ("pass", "not enough data") and LIVE_ALIAS in aliases:
            aliases[CANDIDATE_ALIAS] = candidate
    return aliases


def rebuild_aliases(settings: Settings, entries: Sequence[LedgerEntry]) -> str:
    """Bring the registry's aliases to what the ledger says, and its entries to the versions' tags."""
    from penumbra.registry.models import ModelRegistry

    models, wanted = ModelRegistry(settings.registry), derive_aliases(entries)
    with moves.hold_alias_lock(settings.ledger.folder):
        if (before := models.aliases()) is None:
            return (
                f"The registry {settings.registry.tracking} has no model {settings.registry.model}: nothing to rebuild."
            )
        ours = {alias: version for alias, version in before.items() if alias not in moves.ALIAS_MOVE_ORDER}
        moves.move_aliases(models, before, ours | wanted)
    tag_ledger_entries(models, settings.ledger.folder, entries)
    changed = sorted(alias for alias in moves.ALIAS_MOVE_ORDER if before.get(alias) != wanted.get(alias))
    lines = [f"{each}: {before.get(each, 'none')} -> {wanted.get(each, 'none')}" for each in changed]
    return "\n".join(lines or ["The registry's aliases are what the ledger says."])


def tag_ledger_entries(models: "ModelRegistry", ledger: Path, entries: Sequence[LedgerEntry]) -> None:
    """Each entry as a tag of the model versions that it is about, where it isn't one yet: by one process at a time, as
    MLflow fails where two set a new tag at once."""
    with moves.hold_alias_lock(ledger):
        for version in {version for entry in entries for version in entry.versions.values()}:
            there = models.tags(version)
            for entry in entries:
                if version in entry.versions.values() and (name := f"ledger.{entry.number:05}") not in there:
                    models.tag(version, name, _format_tag(entry)[:MAX_TAG_LENGTH])


def _build_row(entry: LedgerEntry) -> Mapping[str, str]:
    return {
        "entry": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M:%S}",
        "kind": entry.kind,
        "verdict": entry.verdict,
        "versions": _format_versions(entry),
        "actor": entry.actor,
        "reason": entry.reason if len(entry.reason) <= MAX_REASON_WIDTH else f"{entry.reason[: MAX_REASON_WIDTH - 1]}…",
    }


def _format_tag(entry: LedgerEntry) -> str:
    when, what = f"{entry.time:%Y-%m-%d %H:%M:%S}", f"{entry.kind} {entry.verdict}"
    return f"{when} {what} ({_format_versions(entry)}) by {entry.actor}: {entry.reason}"


def _format_versions(entry: LedgerEntry) -> str:
    return ", ".join(f"{role} {version}" for role, version in entry.versions.items())


def _apply_canary(entry: LedgerEntry, aliases: Mapping[str, str]) -> dict[str, str]:
    """After a canary began or was ended by a person."""
    version = entry.versions[CANARY_ALIAS]
    return moves.drop_version(aliases, version) if entry.verdict == "ended" else {**aliases, CANARY_ALIAS: version}


def main(words: list[str]) -> None:
    """Nothing, the number of an entry, or "rebuild". Exits with 1 and one sentence where the ledger isn't whole."""
    try:
        settings = load_settings()
        entries = Ledger(settings.ledger.folder).entries()
        if words == ["rebuild"]:
            print(rebuild_aliases(settings, entries))
        else:
            print(format_ledger_entry(entries, words[0]) if words else format_ledger(entries))
    except (BrokenLedger, LookupError, SettingsError, moves.AliasesChanged) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
