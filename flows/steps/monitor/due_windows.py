"""What a pass of `make monitor` judges: the windows that are due, each entered where something is new."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
from mlflow.exceptions import MlflowException

from flows.steps.monitor import alarms, retraining, watched_model, window_signals
from flows.steps.monitor.outcomes import OutcomeReader
from flows.steps.monitor.watched_model import WatchedModel
from flows.steps.monitor.window_signals import WindowSpan, get_day_start
from monitoring.response import WindowSignals, decide_response
from monitoring.windows import DamagedWindow, DayFault, Window, WindowStore
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.logs.index import LogIndex
from penumbra.logs.profiles import ProfileStore
from penumbra.logs.queries.daily import count_daily_answers
from penumbra.registry.ledger import BrokenLedger, Ledger
from penumbra.registry.manifest import BrokenBundle
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS
from penumbra.storage.locks import PassInProgress, hold_pass_lock

MONITOR_ERRORS = (
    PassInProgress,
    BrokenBundle,
    BrokenLedger,
    DamagedWindow,
    MlflowException,
    SettingsError,
    ProblemError,
)


@dataclass
class MonitorPass:
    """What a pass has at hand, and what it has to tell."""

    settings: Settings
    problem: Problem
    now: dt.datetime
    index: LogIndex
    models: ModelRegistry
    profiles: ProfileStore
    ledger: Ledger
    loaded: dict[str, WatchedModel] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    def model(self, name: str) -> WatchedModel:
        if name not in self.loaded:
            self.loaded[name] = watched_model.load_watched_model(self.settings, self.problem, self.models, name)
        return self.loaded[name]


def get_flow_time(settings: Settings) -> dt.datetime:
    """The flows' now: the beginning of the settings' `data.today`, until the real day is reached."""
    return min(dt.datetime.now(dt.UTC), get_day_start(settings.data.today))


def judge_due_windows(settings: Settings, problem: Problem) -> list[str]:
    """Judge every window that is due and wasn't judged with all its labels yet; returns the alarms that are new.

    Raises Busy where another pass is at it, BrokenBundle, BrokenLedger, Damaged, and what the registry raises.
    """
    with hold_pass_lock(settings.monitor.folder, "watch"):
        begun = _begin_pass(settings, problem)
        rows = count_daily_answers(begun.index)
        for begin in _list_due_windows(settings, rows, begun.now):
            _judge_window(begun, rows, begin)
        last = rows["day"][-1] if rows.height else None
        return [*begun.alarms, *alarms.record_silence(settings, last, begun.now.date())]


def _begin_pass(settings: Settings, problem: Problem) -> MonitorPass:
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    profiles = ProfileStore(
        settings.monitor.folder, settings.service.predictions, problem.schema, problem.features.FEATURES
    )
    models, ledger = ModelRegistry(settings.registry), Ledger(settings.ledger.folder)
    begun = MonitorPass(settings, problem, get_flow_time(settings), index, models, profiles, ledger)
    profiles.update(lambda name: begun.model(name).reference)
    return begun


def _list_due_windows(settings: Settings, rows: pl.DataFrame, now: dt.datetime) -> list[dt.date]:
    """The first days of the windows to be judged, which lie fixed in the calendar: over, and not judged before all of
    their labels were due."""
    if rows.is_empty():
        return []
    length = dt.timedelta(days=settings.monitor.window_days)
    delay = dt.timedelta(hours=settings.labels.delay_hours)
    judged = {
        each.begin: each.judged >= get_day_start(each.end) + delay
        for each in WindowStore(settings.monitor.folder).read()
    }
    first, last = rows["day"][0], min(rows["day"][-1], now.date() - length)
    start = first - dt.timedelta(days=(first - dt.date(1970, 1, 1)).days % settings.monitor.window_days)
    every = [start + number * length for number in range(max(0, (last - start) // length + 1))]
    waiting = [begin for begin in every if not judged.get(begin)]
    return [begin for begin in waiting if begin not in judged or now >= get_day_start(begin + length) + delay]


def _judge_window(begun: MonitorPass, rows: pl.DataFrame, begin: dt.date) -> None:
    """Record the window, after the ledger has what is new of it: killed in between, it is judged again, and entered
    once."""
    settings = begun.settings
    end = begin + dt.timedelta(days=settings.monitor.window_days)
    name = _find_main_model(rows, begin, end)
    if name is None:
        return
    model = begun.model(name)
    by_day = dict(rows.group_by("day").agg(pl.col("rows").sum()).iter_rows())
    window = _build_window(begun, model, WindowSpan(begin, end, begun.now, by_day))
    before = [each for each in WindowStore(settings.monitor.folder).read() if each.begin < begin]
    begun.alarms += alarms.record_alarm(settings, window, before, str(model.facts.get("data_version", "")))
    WindowStore(settings.monitor.folder).write(window)


def _find_main_model(rows: pl.DataFrame, begin: dt.date, end: dt.date) -> str | None:
    """The model that answered most of the window; None where there are no rows."""
    within = rows.filter(pl.col("day") >= begin, pl.col("day") < end)
    found = within.group_by("model").agg(pl.col("rows").sum()).sort("rows", "model", descending=True)
    return found["model"][0] if found.height else None


def _build_window(begun: MonitorPass, model: WatchedModel, place: WindowSpan) -> Window:
    settings = begun.settings
    binning = begun.profiles.binning(model.version)
    drift = window_signals.measure_drift(settings, begun.profiles, model, place)
    came = OutcomeReader(settings, begun.index, model, binning, place).outcomes()
    lost = window_signals.measure_losses(settings, came, model, binning)
    found = list(window_signals.list_window_faults(settings, begun.index, model, place))
    candidate = (begun.models.aliases() or {}).get(CANDIDATE_ALIAS)
    largest, loss, entries = drift.get("drift"), lost["loss"], begun.ledger.entries()
    seen = WindowSignals(
        faults=_format_faults(found),
        column=largest.column if largest else "",
        ratio=largest and largest.ratio,
        loss=loss and loss.mean,
        threshold=loss and loss.threshold,
        age=model.age(place.end),
        has_newer_data=retraining.has_new_data(settings, begun.problem, entries),
    )
    verdict = decide_response(seen, place.end, alarms.list_retrained_ends(entries, place.begin), settings.monitor)
    rows = sum(count for day, count in place.rows.items() if place.begin <= day < place.end)
    return Window(
        begin=place.begin,
        end=place.end,
        model=model.version,
        rows=rows,
        verdict=verdict.verdict,
        reason=verdict.reason,
        judged=place.now,
        shadow=window_signals.measure_disagreement(begun.index, candidate, model, place),
        faults=found,
        **drift,
        **lost,
    )


def _format_faults(faults: Sequence[DayFault]) -> list[str]:
    """A sentence for each fault, however many days it lasts."""
    first = {(each.what, each.column): each for each in reversed(faults)}
    ordered = sorted(first.values(), key=lambda each: (each.day, each.column))
    return [f"{each.day}: {each.text} ({each.cause})" for each in ordered]
