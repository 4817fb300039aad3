"""`make history`: the ledger as a table; one entry with its evidence; and the registry's aliases rebuilt from it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from flows.labels import table
from settings import Settings, SettingsError, load
from stores import moves
from stores.ledger import BrokenLedger, Entry, Ledger
from stores.pointers import CANARY, CANDIDATE, POINTER

if TYPE_CHECKING:
    from stores.models import Models

WIDTH = 80
LONGEST_TAG = 5000
OVERTAKEN = "overtaken"  # in the evidence of a verdict that moved nothing


def overview(entries: Sequence[Entry]) -> str:
    """A line for each entry, newest last."""
    if not entries:
        return "The ledger is empty: `make train` makes its first entries."
    return table(pl.DataFrame([_line(entry) for entry in entries]))


def expanded(entries: Sequence[Entry], number: str) -> str:
    """One entry whole, as JSON. Raises LookupError."""
    found = [entry for entry in entries if str(entry.number) == number]
    if not found:
        raise LookupError(f"the ledger has no entry {number}: it has {len(entries)}")
    return msgspec.json.format(msgspec.json.encode(found[0]), indent=2).decode()


def told(entries: Sequence[Entry]) -> dict[str, str]:
    """The aliases that the ledger's entries lead to: the gate lets a version in as candidate where there is a live one,
    a promotion takes it out again, and so does a rejection."""
    aliases: dict[str, str] = {}
    for entry in entries:
        candidate = entry.versions.get(CANDIDATE)
        if entry.kind in ("promotion", "rollback"):
            aliases = moves.after(entry, aliases)
        elif entry.kind == "canary":
            aliases = _beside(entry, aliases)
        elif (
            candidate
            and entry.verdict == "reject"
            and OVERTAKEN not in entry.evidence
            and aliases.get(CANDIDATE) == candidate
        ):
            aliases = moves.without(aliases, candidate)
        elif candidate and entry.verdict in ("pass", "not enough data") and POINTER in aliases:
            aliases[CANDIDATE] = candidate
    return aliases


def rebuild(chosen: Settings, entries: Sequence[Entry]) -> str:
    """Bring the registry's aliases to what the ledger says, and its entries to the versions' tags."""
    from stores.models import Models

    models, wanted = Models(chosen.registry), told(entries)
    with moves.alone(chosen.ledger.folder):
        if (before := models.aliases()) is None:
            return f"The registry {chosen.registry.tracking} has no model {chosen.registry.model}: nothing to rebuild."
        ours = {alias: version for alias, version in before.items() if alias not in moves.ORDER}
        moves.move(models, before, ours | wanted)
    export(models, chosen.ledger.folder, entries)
    changed = sorted(alias for alias in moves.ORDER if before.get(alias) != wanted.get(alias))
    lines = [f"{each}: {before.get(each, 'none')} -> {wanted.get(each, 'none')}" for each in changed]
    return "\n".join(lines or ["The registry's aliases are what the ledger says."])


def export(models: "Models", ledger: Path, entries: Sequence[Entry]) -> None:
    """Each entry as a tag of the model versions that it is about, where it isn't one yet: by one process at a time, as
    MLflow fails where two set a new tag at once."""
    with moves.alone(ledger):
        for version in {version for entry in entries for version in entry.versions.values()}:
            there = models.tags(version)
            for entry in entries:
                if version in entry.versions.values() and (name := f"ledger.{entry.number:05}") not in there:
                    models.tag(version, name, _sentence(entry)[:LONGEST_TAG])


def _line(entry: Entry) -> Mapping[str, str]:
    return {
        "entry": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M:%S}",
        "kind": entry.kind,
        "verdict": entry.verdict,
        "versions": _versions(entry),
        "actor": entry.actor,
        "reason": entry.reason if len(entry.reason) <= WIDTH else f"{entry.reason[: WIDTH - 1]}…",
    }


def _sentence(entry: Entry) -> str:
    when, what = f"{entry.time:%Y-%m-%d %H:%M:%S}", f"{entry.kind} {entry.verdict}"
    return f"{when} {what} ({_versions(entry)}) by {entry.actor}: {entry.reason}"


def _versions(entry: Entry) -> str:
    return ", ".join(f"{role} {version}" for role, version in entry.versions.items())


def _beside(entry: Entry, aliases: Mapping[str, str]) -> dict[str, str]:
    """After a canary began or was ended by a person."""
    version = entry.versions[CANARY]
    return moves.without(aliases, version) if entry.verdict == "ended" else {**aliases, CANARY: version}


def main(words: list[str]) -> None:
    """Nothing, the number of an entry, or "rebuild". Exits with 1 and one sentence where the ledger isn't whole."""
    try:
        chosen = load()
        entries = Ledger(chosen.ledger.folder).entries()
        if words == ["rebuild"]:
            print(rebuild(chosen, entries))
        else:
            print(expanded(entries, words[0]) if words else overview(entries))
    except (BrokenLedger, LookupError, SettingsError, moves.Overtaken) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
