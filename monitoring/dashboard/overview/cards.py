"""Cards of the overview: data, live model, candidate and labels, from registry, ledger and windows."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.windows.window_records import Window
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.tables import format_number
from penumbra.data.batches import DataStore
from penumbra.data.flywheel_manifest import read_period_end
from penumbra.data.source_reader import SourceFailed, list_source_batches
from penumbra.data.versioning import versions
from penumbra.promotion.reasons import describe_evidence_days
from penumbra.registry.aliases import LIVE_SINCE_TAG
from penumbra.registry.history.ledger_entries import LedgerEntry, find_last_move
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS
from penumbra.sources.row_reading import find_row_reading

MAX_CARD_SLICES = 3  # slices that are named
NO_DUE_LABELS = "no judged window has labels that are due; penumbra labels counts those of all rows"

CardLines = list[tuple[str, str]]


@dataclass(frozen=True)
class OverviewCard:
    """A card.

    Attributes:
        title: Its title.
        lines: Pairs of a name and what is known.
        address: The page that it links to; "" for none.
        version: The model version that it is about; "" for none.
    """

    title: str
    lines: CardLines
    address: str = ""
    version: str = ""


@dataclass(frozen=True)
class EvidenceProgress:
    """How far the evidence for a promotion has come.

    Attributes:
        done: Days of evidence so far.
        whole: Days that are needed in all.
        block_days: The days of a block: one with rows counts as so many.
    """

    done: int
    whole: int
    block_days: int = 1

    @property
    def words(self) -> str:
        """The progress as a sentence."""
        blocks = f", in blocks of {self.block_days}" if self.block_days > 1 else ""
        return f"{self.done} of about {format_count(self.whole, 'day')} of evidence{blocks}"


def build_data_card(data: DataSettings, problem: Problem) -> OverviewCard:
    """Build the card of the recorded data version: its batches, and its age on the flows' clock.

    Args:
        data: The settings' section `data`.
        problem: The user's problem, which names the batches.

    Returns:
        The card.
    """
    store, version = DataStore(data, problem), versions.read_recorded_version(data)
    batches, made = store.source_batches(), store.flywheel_batches()
    if not batches or not version:
        return OverviewCard("none", [("next", "penumbra ingest")])
    lines = [("batches", f"{len(batches)}: {batches[0]} to {batches[-1]}")]
    try:
        complete = {batch.name: batch.complete for batch in list_source_batches(problem)}
    except SourceFailed as error:  # a database that is away
        complete, lines = {}, [*lines, ("age", f"not known: {error}")]
    if find_row_reading(problem).has_made_up_days:
        lines.append(("age", "not known: the days are made up, as the rows have no time"))
    elif until := complete.get(batches[-1]):
        lines.append(("age", f"complete until {until}, {_describe_age(until, data.today)}"))
    if made:
        lines.append(("flywheel", f"{len(made)} more of what was labelled, until {read_period_end(made[-1])}"))
    return OverviewCard(version[:8], lines)


def build_live_card(models: ModelRegistry, entries: Sequence[LedgerEntry], base: str) -> OverviewCard:
    """Build the card of the live model: since when, its recipe, and the other roles.

    Args:
        models: The model registry.
        entries: The ledger's entries.
        base: The address of MLflow's pages.

    Returns:
        The card.

    Raises:
        MlflowException: The registry can't be read.
    """
    aliases = models.aliases() or {}
    if LIVE_ALIAS not in aliases:
        return OverviewCard("none", [("next", "make train")])
    version = aliases[LIVE_ALIAS]
    lines = [("since", _format_live_since(models, version, entries)), *_recipe_lines(models, version)]
    lines += [(role, f"version {aliases[role]}") for role in (PREVIOUS_ALIAS, CANARY_ALIAS) if role in aliases]
    return OverviewCard(f"version {version}", lines, _version_address(base, models, version), version)


def build_candidate_card(
    models: ModelRegistry, entries: Sequence[LedgerEntry], base: str
) -> tuple[OverviewCard, EvidenceProgress | None]:
    """Build the card of the candidate with the last verdict on it.

    Args:
        models: The model registry.
        entries: The ledger's entries.
        base: The address of MLflow's pages.

    Returns:
        The card, and how far its evidence has come; None where that is unknown.

    Raises:
        MlflowException: The registry can't be read.
    """
    version = (models.aliases() or {}).get(CANDIDATE_ALIAS)
    if version is None:
        return OverviewCard("none", [("next", "make train makes one of newer data, or a retraining")]), None
    verdicts = [e for e in entries if e.kind == "verdict" and e.versions.get(CANDIDATE_ALIAS) == version]
    judged = verdicts[-1] if verdicts else None
    lines = [
        *_recipe_lines(models, version),
        *(_verdict_lines(judged) if judged else [("verdict", "none yet: make promote")]),
    ]
    facts = (judged.evidence.get("evidence") if judged else None) or {}
    card = OverviewCard(f"version {version}", lines, _version_address(base, models, version), version)
    return card, _evidence_progress(facts)


def build_label_card(windows: Sequence[Window], has_answers: bool) -> OverviewCard:
    """Build the card of the label coverage of the latest window that has labels due.

    Args:
        windows: The windows, the earliest first.
        has_answers: Whether the service has answered a row.

    Returns:
        The card.
    """
    known = [(window, window.labels) for window in windows if window.labels and window.labels.due]
    if not (known or has_answers):
        return OverviewCard(
            "none due", [("next", "labels come by POST /feedback and with the batches of penumbra ingest")]
        )
    if not known:
        return OverviewCard("none yet", [("why", NO_DUE_LABELS)])
    last, labels = known[-1]
    lines = [("window", last.days), ("arrived", f"{labels.arrived:,} of {labels.due:,} due")]
    if last.calibration is not None:
        lines.append(("calibration", f"{last.calibration:.3f}"))
    return OverviewCard(f"{format_share(labels.arrived / labels.due)} of those due", lines)


def describe_degraded_slices(windows: Sequence[Window]) -> str:
    """Name the slices with higher loss of the last window whose loss is known.

    Args:
        windows: The windows, the earliest first.

    Returns:
        A sentence with three slices at most; "" where there are none.
    """
    last = next((each for each in reversed(windows) if each.loss), None)
    if last is None or not last.slices:
        return ""
    worst = (
        f"{each.column} is {each.value} ({format_number(each.reference)} → {format_number(each.mean)})"
        for each in last.slices[:MAX_CARD_SLICES]
    )
    return f"Loss of {last.days} has risen most where {', '.join(worst)}."


def _verdict_lines(entry: LedgerEntry) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{entry.verdict} ({entry.time:%Y-%m-%d %H:%M})"
    yield "reason", entry.reason
    facts: dict[str, Any] = entry.evidence.get("evidence") or {}
    if "days" in facts:
        yield "evidence", describe_evidence_size(facts)
    if "better" in facts and facts.get("days"):
        yield "odds", describe_odds(facts)
    if waits_for := entry.evidence.get("waits_for"):
        yield "waits", waits_for[0]


def _evidence_progress(facts: dict[str, Any]) -> EvidenceProgress | None:
    needed = facts.get("days_needed")
    return EvidenceProgress(facts["days"], facts["days"] + needed, facts.get("block_days", 1)) if needed else None


def _format_live_since(models: ModelRegistry, version: str, entries: Sequence[LedgerEntry]) -> str:
    """By the version's tag, or the ledger's last move, or else the version's own age."""
    if tagged := models.tags(version).get(LIVE_SINCE_TAG):
        return format_moment(dt.datetime.fromisoformat(tagged))
    last = find_last_move(entries)
    if last and last.versions.get(LIVE_ALIAS) == version:
        return format_moment(last.time)
    return format_moment(models.find_creation_time(version))


def _recipe_lines(models: ModelRegistry, version: str) -> Iterator[tuple[str, str]]:
    params = models.params(version)
    if "candidate" in params:
        yield "recipe", params["candidate"]
    if learnt := [batch for part in ("train", "validation", "test") for batch in _parse_list(params.get(part, ""))]:
        yield "learnt from", f"{min(learnt)} to {max(learnt)}"
    if made_of := models.tags(version).get("data_version"):
        yield "data", made_of[:8]


def _parse_list(listed: str) -> list[str]:
    """Of a list as MLflow keeps it, "['2024-01', '2024-02']"."""
    return [word.strip(" '\"") for word in listed.strip("[]").split(",") if word.strip()]


def _version_address(base: str, models: ModelRegistry, version: str) -> str:
    return f"{base}/#/models/{models.name}/versions/{version}"


def describe_evidence_size(facts: Mapping[str, Any]) -> str:
    """Describe how much a promotion's evidence rests on.

    Args:
        facts: The evidence, as the ledger has it: `days`, `labels` and `block_days` are read.

    Returns:
        Such as "49 days in blocks of 7, 700 labels".
    """
    days = describe_evidence_days(facts["days"], facts.get("block_days", 1))
    return f"{days}, {format_count(facts['labels'], 'label')}"


def describe_odds(facts: Mapping[str, Any]) -> str:
    """Describe the odds of a promotion's evidence.

    Args:
        facts: The evidence, as the ledger has it: `better` and `worse` are read.

    Returns:
        Such as "3.2 to 1 that it is better, 0.4 to 1 that it is worse".
    """
    return f"{facts['better']:.3g} to 1 that it is better, {facts['worse']:.3g} to 1 that it is worse"


def format_moment(time: dt.datetime) -> str:
    """Return a `time` (with its zone) to the minute, such as "2026-03-02 09:30 UTC"."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _describe_age(until: dt.date, today: dt.date) -> str:
    """How long ago that is on the flows' clock; which may have been set forward for the ingest alone."""
    if until > today:
        later = format_count((until - today).days, "day")
        return f"{later} after the flows' clock (data.today is {today} here, and was later for the ingest)"
    return f"{format_count((today - until).days, 'day')} before the flows' clock"
