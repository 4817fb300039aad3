"""The overview's cards: data, live model, candidate and labels, as registry, ledger and windows have them."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import problem
import problem.source
from settings import Settings
from stores import versions
from stores.data import DataStore
from stores.ledger import Entry, last_move
from stores.models import Models
from stores.moves import SINCE
from stores.pointers import CANARY, CANDIDATE, POINTER, PREVIOUS
from stores.windows import Window

WORST = 3  # slices that are named

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """A title, what it leads to ("" for nothing), and pairs of a name and what is known."""

    title: str
    lines: Lines
    address: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the evidence has come: `done` of `whole` days."""

    done: int
    whole: int

    @property
    def words(self) -> str:
        return f"{self.done} of about {self.whole} days of evidence"


def data(chosen: Settings) -> Card:
    """The recorded version, what is in it, and how old it is on the flows' clock."""
    batches, version = DataStore(chosen.data, problem).batches(), versions.recorded(chosen.data)
    if not batches or not version:
        return Card("none", [("next", "make ingest")])
    complete = {batch.name: batch.complete for batch in problem.source.batches()}
    lines = [("batches", f"{len(batches)}: {batches[0]} to {batches[-1]}")]
    if until := complete.get(batches[-1]):
        age = (chosen.data.today - until).days
        lines.append(("age", f"complete until {until}, {_days(age)} before the flows' clock"))
    return Card(version[:8], lines)


def live(chosen: Settings, models: Models, entries: Sequence[Entry], base: str) -> Card:
    aliases = models.aliases() or {}
    if POINTER not in aliases:
        return Card("none", [("next", "make train")])
    version = aliases[POINTER]
    lines = [("since", _since(models, version, entries)), *_made(models, version)]
    lines += [(role, f"version {aliases[role]}") for role in (PREVIOUS, CANARY) if role in aliases]
    return Card(f"version {version}", lines, _address(base, models, version))


def candidate(models: Models, entries: Sequence[Entry], base: str) -> tuple[Card, Progress | None]:
    """The candidate with the last verdict on it, and how far its evidence has come."""
    version = (models.aliases() or {}).get(CANDIDATE)
    if version is None:
        return Card("none", [("next", "make train makes one of newer data, or a retraining")]), None
    said = [entry for entry in entries if entry.kind == "verdict" and entry.versions.get(CANDIDATE) == version]
    judged = said[-1] if said else None
    lines = [*_made(models, version), *(_verdict(judged) if judged else [("verdict", "none yet: make promote")])]
    facts = (judged.evidence.get("evidence") if judged else None) or {}
    return Card(f"version {version}", lines, _address(base, models, version)), _progress(facts)


def labels(windows: Sequence[Window]) -> Card:
    """The coverage of the latest window that has labels due."""
    known = [window for window in windows if window.labels and window.labels.due]
    if not known:
        return Card("none due", [("next", "labels come by POST /feedback and with the batches of make ingest")])
    last = known[-1]
    lines = [("window", days(last))]
    if last.labels:
        lines.append(("arrived", f"{last.labels.arrived:,} of {last.labels.due:,} due"))
        if last.calibration is not None:
            lines.append(("calibration", f"{last.calibration:.3f}"))
        return Card(f"{last.labels.arrived / last.labels.due:.1%} of those due", lines)
    return Card("none due", lines)


def days(window: Window) -> str:
    """Its days, the last included."""
    return f"{window.begin} to {window.end - dt.timedelta(days=1)}"


def risen(windows: Sequence[Window]) -> str:
    """Where the last window whose loss is known loses more than the reference did; "" for nowhere."""
    last = next((each for each in reversed(windows) if each.loss), None)
    if last is None or not last.slices:
        return ""
    worst = (f"{each.column} is {each.value} ({each.reference:.4f} → {each.mean:.4f})" for each in last.slices[:WORST])
    return f"Loss of {days(last)} has risen most where {', '.join(worst)}."


def _verdict(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{entry.verdict} ({entry.time:%Y-%m-%d %H:%M})"
    facts: dict[str, Any] = entry.evidence.get("evidence") or {}
    if "days" in facts:
        yield "evidence", f"{facts['days']:,} days, {facts['labels']:,} labels"
    if "better" in facts:
        yield "odds", f"{facts['better']:.3g} for better, {facts['worse']:.3g} for worse"
    if not facts:
        yield "reason", entry.reason


def _progress(facts: dict[str, Any]) -> Progress | None:
    needed = facts.get("days_needed")
    return Progress(facts["days"], facts["days"] + needed) if needed else None


def _since(models: Models, version: str, entries: Sequence[Entry]) -> str:
    """By the version's tag, or the ledger's last move, or else the version's own age."""
    if tagged := models.tags(version).get(SINCE):
        return _moment(dt.datetime.fromisoformat(tagged))
    last = last_move(entries)
    if last and last.versions.get(POINTER) == version:
        return _moment(last.time)
    made = models.client.get_model_version(models.name, version).creation_timestamp
    return _moment(dt.datetime.fromtimestamp(made / 1000, dt.UTC))


def _made(models: Models, version: str) -> Iterator[tuple[str, str]]:
    run = models.client.get_run(models.run_of(version)).data
    if "candidate" in run.params:
        yield "recipe", run.params["candidate"]
    if learnt := [batch for part in ("train", "validation", "test") for batch in _words(run.params.get(part, ""))]:
        yield "learnt from", f"{min(learnt)} to {max(learnt)}"
    if made_of := models.tags(version).get("data_version"):
        yield "data", made_of[:8]


def _words(listed: str) -> list[str]:
    """Of a list as MLflow keeps it, "['2013-01', '2013-02']"."""
    return [word.strip(" '\"") for word in listed.strip("[]").split(",") if word.strip()]


def _address(base: str, models: Models, version: str) -> str:
    return f"{base}/#/models/{models.name}/versions/{version}"


def _moment(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"
