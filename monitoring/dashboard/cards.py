"""The overview's cards: data, live model, candidate and labels, as registry, ledger and windows have them."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.windows import Window
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data import versions
from penumbra.data.batches import DataStore
from penumbra.registry.aliases import LIVE_SINCE_TAG
from penumbra.registry.ledger import LedgerEntry, find_last_move
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

MAX_CARD_SLICES = 3  # slices that are named

CardLines = list[tuple[str, str]]


@dataclass(frozen=True)
class OverviewCard:
    """A title, what it leads to ("" for nothing), and pairs of a name and what is known."""

    title: str
    lines: CardLines
    address: str = ""


@dataclass(frozen=True)
class EvidenceProgress:
    """How far the evidence has come: `done` of `whole` days."""

    done: int
    whole: int

    @property
    def words(self) -> str:
        return f"{self.done} of about {self.whole} days of evidence"


def build_data_card(settings: Settings, problem: Problem) -> OverviewCard:
    """The recorded version, what is in it, and how old it is on the flows' clock."""
    batches, version = DataStore(settings.data, problem).batches(), versions.read_recorded_version(settings.data)
    if not batches or not version:
        return OverviewCard("none", [("next", "penumbra ingest")])
    complete = {batch.name: batch.complete for batch in problem.source.batches()}
    lines = [("batches", f"{len(batches)}: {batches[0]} to {batches[-1]}")]
    if until := complete.get(batches[-1]):
        age = (settings.data.today - until).days
        lines.append(("age", f"complete until {until}, {_format_days(age)} before the flows' clock"))
    return OverviewCard(version[:8], lines)


def build_live_card(
    settings: Settings, models: ModelRegistry, entries: Sequence[LedgerEntry], base: str
) -> OverviewCard:
    aliases = models.aliases() or {}
    if LIVE_ALIAS not in aliases:
        return OverviewCard("none", [("next", "make train")])
    version = aliases[LIVE_ALIAS]
    lines = [("since", _format_live_since(models, version, entries)), *_recipe_lines(models, version)]
    lines += [(role, f"version {aliases[role]}") for role in (PREVIOUS_ALIAS, CANARY_ALIAS) if role in aliases]
    return OverviewCard(f"version {version}", lines, _version_address(base, models, version))


def build_candidate_card(
    models: ModelRegistry, entries: Sequence[LedgerEntry], base: str
) -> tuple[OverviewCard, EvidenceProgress | None]:
    """The candidate with the last verdict on it, and how far its evidence has come."""
    version = (models.aliases() or {}).get(CANDIDATE_ALIAS)
    if version is None:
        return OverviewCard("none", [("next", "make train makes one of newer data, or a retraining")]), None
    said = [entry for entry in entries if entry.kind == "verdict" and entry.versions.get(CANDIDATE_ALIAS) == version]
    judged = said[-1] if said else None
    lines = [
        *_recipe_lines(models, version),
        *(_verdict_lines(judged) if judged else [("verdict", "none yet: make promote")]),
    ]
    facts = (judged.evidence.get("evidence") if judged else None) or {}
    return OverviewCard(f"version {version}", lines, _version_address(base, models, version)), _evidence_progress(facts)


def build_label_card(windows: Sequence[Window]) -> OverviewCard:
    """The coverage of the latest window that has labels due."""
    known = [window for window in windows if window.labels and window.labels.due]
    if not known:
        return OverviewCard(
            "none due", [("next", "labels come by POST /feedback and with the batches of penumbra ingest")]
        )
    last = known[-1]
    lines = [("window", format_window_days(last))]
    if last.labels:
        lines.append(("arrived", f"{last.labels.arrived:,} of {last.labels.due:,} due"))
        if last.calibration is not None:
            lines.append(("calibration", f"{last.calibration:.3f}"))
        return OverviewCard(f"{last.labels.arrived / last.labels.due:.1%} of those due", lines)
    return OverviewCard("none due", lines)


def format_window_days(window: Window) -> str:
    """Its days, the last included."""
    return f"{window.begin} to {window.end - dt.timedelta(days=1)}"


def describe_degraded_slices(windows: Sequence[Window]) -> str:
    """Where the last window whose loss is known loses more than the reference did; "" for nowhere."""
    last = next((each for each in reversed(windows) if each.loss), None)
    if last is None or not last.slices:
        return ""
    worst = (
        f"{each.column} is {each.value} ({each.reference:.4f} → {each.mean:.4f})"
        for each in last.slices[:MAX_CARD_SLICES]
    )
    return f"Loss of {format_window_days(last)} has risen most where {', '.join(worst)}."


def _verdict_lines(entry: LedgerEntry) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{entry.verdict} ({entry.time:%Y-%m-%d %H:%M})"
    facts: dict[str, Any] = entry.evidence.get("evidence") or {}
    if "days" in facts:
        yield "evidence", f"{facts['days']:,} days, {facts['labels']:,} labels"
    if "better" in facts:
        yield "odds", f"{facts['better']:.3g} for better, {facts['worse']:.3g} for worse"
    if not facts:
        yield "reason", entry.reason


def _evidence_progress(facts: dict[str, Any]) -> EvidenceProgress | None:
    needed = facts.get("days_needed")
    return EvidenceProgress(facts["days"], facts["days"] + needed) if needed else None


def _format_live_since(models: ModelRegistry, version: str, entries: Sequence[LedgerEntry]) -> str:
    """By the version's tag, or the ledger's last move, or else the version's own age."""
    if tagged := models.tags(version).get(LIVE_SINCE_TAG):
        return _format_moment(dt.datetime.fromisoformat(tagged))
    last = find_last_move(entries)
    if last and last.versions.get(LIVE_ALIAS) == version:
        return _format_moment(last.time)
    made = models.client.get_model_version(models.name, version).creation_timestamp
    return _format_moment(dt.datetime.fromtimestamp(made / 1000, dt.UTC))


def _recipe_lines(models: ModelRegistry, version: str) -> Iterator[tuple[str, str]]:
    run = models.client.get_run(models.find_run_id(version)).data
    if "candidate" in run.params:
        yield "recipe", run.params["candidate"]
    if learnt := [batch for part in ("train", "validation", "test") for batch in _parse_list(run.params.get(part, ""))]:
        yield "learnt from", f"{min(learnt)} to {max(learnt)}"
    if made_of := models.tags(version).get("data_version"):
        yield "data", made_of[:8]


def _parse_list(listed: str) -> list[str]:
    """Of a list as MLflow keeps it, "['2013-01', '2013-02']"."""
    return [word.strip(" '\"") for word in listed.strip("[]").split(",") if word.strip()]


def _version_address(base: str, models: ModelRegistry, version: str) -> str:
    return f"{base}/#/models/{models.name}/versions/{version}"


def _format_moment(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _format_days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"
