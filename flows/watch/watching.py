"""What a pass of `make monitor` judges: the windows that are due, each entered where something is new."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
from mlflow.exceptions import MlflowException

import problem.features
import problem.schema
from flows.watch import alarms, retraining, watched, windowing
from flows.watch.settling import Reader
from flows.watch.watched import Watched
from flows.watch.windowing import Place, midnight
from monitoring.response import Seen, decide
from settings import Settings, SettingsError
from stores.asked import counts
from stores.index import Index
from stores.ledger import BrokenLedger, Ledger
from stores.models import Models
from stores.passes import Busy, alone
from stores.pointers import CANDIDATE
from stores.profiles import Profiles
from stores.sealed import BrokenBundle
from stores.windows import Damaged, Fault, Window, Windows

EXPECTED = (Busy, BrokenBundle, BrokenLedger, Damaged, MlflowException, SettingsError)


@dataclass
class Pass:
    """What a pass has at hand, and what it has to tell."""

    chosen: Settings
    now: dt.datetime
    index: Index
    models: Models
    profiles: Profiles
    ledger: Ledger
    loaded: dict[str, Watched] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    def model(self, name: str) -> Watched:
        if name not in self.loaded:
            self.loaded[name] = watched.load(self.chosen, self.models, name)
        return self.loaded[name]


def clock(chosen: Settings) -> dt.datetime:
    """The flows' now: the beginning of the settings' `data.today`, until the real day is reached."""
    return min(dt.datetime.now(dt.UTC), midnight(chosen.data.today))


def watch(chosen: Settings) -> list[str]:
    """Judge every window that is due and wasn't judged with all its labels yet; returns the alarms that are new.

    Raises Busy where another pass is at it, BrokenBundle, BrokenLedger, Damaged, and what the registry raises.
    """
    with alone(chosen.monitor.folder, "watch"):
        begun = _begin(chosen)
        rows = counts(begun.index)
        for begin in _due(chosen, rows, begun.now):
            _judge(begun, rows, begin)
        last = rows["day"][-1] if rows.height else None
        return [*begun.alarms, *alarms.of_silence(chosen, last, begun.now.date())]


def _begin(chosen: Settings) -> Pass:
    index = Index.of(chosen, problem.schema)
    index.catch_up()
    profiles = Profiles(chosen.monitor.folder, chosen.service.predictions, problem.schema, problem.features.FEATURES)
    models, ledger = Models(chosen.registry), Ledger(chosen.ledger.folder)
    begun = Pass(chosen, clock(chosen), index, models, profiles, ledger)
    profiles.update(lambda name: begun.model(name).reference)
    return begun


def _due(chosen: Settings, rows: pl.DataFrame, now: dt.datetime) -> list[dt.date]:
    """The first days of the windows to be judged, which lie fixed in the calendar: over, and not judged before all of
    their labels were due."""
    if rows.is_empty():
        return []
    length = dt.timedelta(days=chosen.monitor.window_days)
    delay = dt.timedelta(hours=chosen.labels.delay_hours)
    judged = {each.begin: each.judged >= midnight(each.end) + delay for each in Windows(chosen.monitor.folder).read()}
    first, last = rows["day"][0], min(rows["day"][-1], now.date() - length)
    start = first - dt.timedelta(days=(first - dt.date(1970, 1, 1)).days % chosen.monitor.window_days)
    every = [start + number * length for number in range(max(0, (last - start) // length + 1))]
    waiting = [begin for begin in every if not judged.get(begin)]
    return [begin for begin in waiting if begin not in judged or now >= midnight(begin + length) + delay]


def _judge(begun: Pass, rows: pl.DataFrame, begin: dt.date) -> None:
    """Record the window, after the ledger has what is new of it: killed in between, it is judged again, and entered
    once."""
    chosen = begun.chosen
    end = begin + dt.timedelta(days=chosen.monitor.window_days)
    name = _answering(rows, begin, end)
    if name is None:
        return
    model = begun.model(name)
    by_day = dict(rows.group_by("day").agg(pl.col("rows").sum()).iter_rows())
    window = _look(begun, model, Place(begin, end, begun.now, by_day))
    before = [each for each in Windows(chosen.monitor.folder).read() if each.begin < begin]
    begun.alarms += alarms.enter(chosen, window, before, str(model.facts.get("data_version", "")))
    Windows(chosen.monitor.folder).write(window)


def _answering(rows: pl.DataFrame, begin: dt.date, end: dt.date) -> str | None:
    """The model that answered most of the window; None where there are no rows."""
    within = rows.filter(pl.col("day") >= begin, pl.col("day") < end)
    found = within.group_by("model").agg(pl.col("rows").sum()).sort("rows", "model", descending=True)
    return found["model"][0] if found.height else None


def _look(begun: Pass, model: Watched, place: Place) -> Window:
    chosen = begun.chosen
    binning = begun.profiles.binning(model.version)
    drift = windowing.drifted(chosen, begun.profiles, model, place)
    came = Reader(chosen, begun.index, model, binning, place).outcomes()
    lost = windowing.lost(chosen, came, model, binning)
    found = list(windowing.faults(chosen, begun.index, model, place))
    candidate = (begun.models.aliases() or {}).get(CANDIDATE)
    largest, loss, entries = drift.get("drift"), lost["loss"], begun.ledger.entries()
    seen = Seen(
        faults=_words(found),
        column=largest.column if largest else "",
        ratio=largest and largest.ratio,
        loss=loss and loss.mean,
        threshold=loss and loss.threshold,
        age=model.age(place.end),
        newer=retraining.newer(chosen, entries),
    )
    verdict = decide(seen, place.end, alarms.retrained(entries, place.begin), chosen.monitor)
    rows = sum(count for day, count in place.rows.items() if place.begin <= day < place.end)
    return Window(
        begin=place.begin,
        end=place.end,
        model=model.version,
        rows=rows,
        verdict=verdict.verdict,
        reason=verdict.reason,
        judged=place.now,
        shadow=windowing.beside(begun.index, candidate, model, place),
        faults=found,
        **drift,
        **lost,
    )


def _words(faults: Sequence[Fault]) -> list[str]:
    """A sentence for each fault, however many days it lasts."""
    first = {(each.what, each.column): each for each in reversed(faults)}
    ordered = sorted(first.values(), key=lambda each: (each.day, each.column))
    return [f"{each.day}: {each.text} ({each.cause})" for each in ordered]
