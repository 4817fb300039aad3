"""A monitor pass: judges the windows that are due and enters what is new in the ledger."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl
from mlflow.exceptions import MlflowException

from flows.steps.flow_locks import hold_monitor_pass
from flows.steps.monitor import alarms, retraining, watched_model, window_limits, window_signals
from flows.steps.monitor.drift_signals import measure_drift, read_model_profiles
from flows.steps.monitor.explanations import WindowExplainer
from flows.steps.monitor.outcomes import OutcomeReader
from flows.steps.monitor.unlabelled_loss import UnlabelledLosses
from flows.steps.monitor.watched_model import WatchedModel
from flows.steps.monitor.window_signals import WindowSpan, get_day_start
from monitoring.response import WindowSignals, decide_response
from monitoring.window_store import DamagedWindow, WindowStore
from monitoring.windows import DayFault, Window, describe_stretch, format_window_days
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.data.source_reader import SourceFailed
from penumbra.logs.daily.profiles import ProfileStore, ReferenceLoader
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.index import LogIndex
from penumbra.logs.lag_alarms import list_lag_alarms
from penumbra.logs.queries.daily import count_daily_answers
from penumbra.logs.replicas.heartbeats import ReplicaCoverage
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.registry import ledger_sync
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle
from penumbra.registry.ledger import BrokenLedger, Ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, read_shadow_versions
from penumbra.registry.shared_ledger import open_ledger
from penumbra.storage.sealed import DamagedFile
from penumbra.storage.sqlite import remove_database
from penumbra.storage.work_lock import PassInProgress

MONITOR_ERRORS = (
    *(PassInProgress, BrokenBundle, BrokenLedger, DamagedWindow, DamagedFile),
    *(MlflowException, SettingsError, ProblemError, SourceFailed),
)


@dataclass
class MonitorPass:
    """What a monitor pass reads from, and the alarms that it raised.

    Attributes:
        settings: The settings.
        problem: The user's problem.
        now: The flows' time.
        index: The index of predictions and labels.
        models: The model registry.
        profiles: The daily profiles of answers.
        ledger: The ledger.
        explainer: What explains the windows.
        unlabelled: What estimates their loss.
        coverage: How far the replicas have shipped their logs; None where there is one machine.
        loaded: The models that were loaded so far, by version.
        alarms: The new alarms so far, a sentence each.
    """

    settings: Settings
    problem: Problem
    now: dt.datetime
    index: LogIndex
    models: ModelRegistry
    profiles: ProfileStore
    ledger: Ledger
    explainer: WindowExplainer
    unlabelled: UnlabelledLosses
    coverage: ReplicaCoverage | None = None
    loaded: dict[str, WatchedModel] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    def model(self, name: str) -> WatchedModel:
        """Load a model, once a pass.

        Args:
            name: The version's number.

        Returns:
            The model.

        Raises:
            BrokenBundle: The bundle is damaged.
            MlflowException: The registry can't be read.
        """
        if name not in self.loaded:
            self.loaded[name] = watched_model.load_watched_model(self.settings, self.problem, self.models, name)
        return self.loaded[name]


def get_flow_time(today: dt.date) -> dt.datetime:
    """Get the flows' time.

    Args:
        today: The settings' `data.today`.

    Returns:
        The beginning of that day (UTC), or the real time where that is earlier.
    """
    return min(dt.datetime.now(dt.UTC), get_day_start(today))


def judge_due_windows(settings: Settings, problem: Problem) -> list[str]:
    """Judge every window that is due and wasn't yet judged with all of its labels.

    Args:
        settings: The settings.
        problem: The user's problem.

    Returns:
        The alarms that are new, a sentence each, and who is behind with the logs as long as that lasts.

    Raises:
        PassInProgress: Another pass is running.
        BrokenBundle: The bundle of a window's model is damaged.
        BrokenLedger: The ledger is damaged, or the live model's past isn't here.
        MlflowException: The registry can't be read.
    """
    with hold_monitor_pass(settings, "watch"):
        for sentence in WindowStore(settings.monitor.folder).set_damaged_aside():
            print(sentence)
        behind = list_lag_alarms(settings, read_shadow_versions(settings.service.state), dt.datetime.now(dt.UTC))
        monitor_pass = _begin_pass(settings, problem)
        rows = count_daily_answers(monitor_pass.index)
        due = _list_due_windows(settings, rows, monitor_pass.now)
        for number, begin in enumerate(due, 1):
            end = begin + dt.timedelta(days=settings.monitor.window_days)
            outcome = _judge_window(monitor_pass, rows, begin, end)
            print(f"{format_window_days(begin, end)}: {outcome} ({number} of {len(due)})", flush=True)
        last = rows["day"][-1] if rows.height else None
        silence = alarms.record_silence(settings, last, monitor_pass.now.date())
        return [*monitor_pass.alarms, *silence, *alarms.record_archive_failure(settings), *behind]


def make_reference_loader(settings: Settings, problem: Problem) -> ReferenceLoader:
    """Make what profiles learn a model's bins from.

    Args:
        settings: The settings.
        problem: The user's problem.

    Returns:
        A function from a model's version to the profiled columns of its reference; None where it can't be compared.
    """
    return partial(_find_profiled_reference, _make_pass(settings, problem))


def _begin_pass(settings: Settings, problem: Problem) -> MonitorPass:
    fetched = fetch_logs(settings)
    monitor_pass = _make_pass(settings, problem)
    if fetched:  # windows that end after that wait for the replicas that have yet to ship
        monitor_pass.coverage = fetched.coverage
        monitor_pass.now = min(monitor_pass.now, fetched.coverage.find_complete_until())
        monitor_pass.alarms += fetched.damaged
    ledger_sync.require_history(settings, monitor_pass.models.aliases(), monitor_pass.ledger.entries())
    monitor_pass.index.catch_up()
    _update_profiles(monitor_pass)
    return monitor_pass


def _make_pass(settings: Settings, problem: Problem) -> MonitorPass:
    index = LogIndex.from_settings(settings, problem.schema)
    profiles = ProfileStore(settings.monitor.folder, settings.service.predictions, problem.schema)
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    now, explainer = get_flow_time(settings.data.today), WindowExplainer(settings)
    unlabelled = UnlabelledLosses(index, settings.promotion.loss)
    return MonitorPass(settings, problem, now, index, models, profiles, ledger, explainer, unlabelled)


def _update_profiles(monitor_pass: MonitorPass) -> None:
    """Count what was appended to the log; profiles that are damaged are made again."""
    try:
        monitor_pass.profiles.update(partial(_find_profiled_reference, monitor_pass))
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise
        print(f"{monitor_pass.profiles.path} is damaged ({error}): it is made again from the logs")
        remove_database(monitor_pass.profiles.path)
        monitor_pass.profiles.update(partial(_find_profiled_reference, monitor_pass))


def _find_profiled_reference(monitor_pass: MonitorPass, name: str) -> pl.DataFrame | None:
    try:
        return monitor_pass.model(name).profiled_reference
    except UnfitBundle:
        return None


def _list_due_windows(settings: Settings, rows: pl.DataFrame, now: dt.datetime) -> list[dt.date]:
    """List the first days of the windows to judge.

    Windows lie fixed in the calendar. Those are due that are over and weren't judged, or were judged before all of
    their labels were due and can be judged with them now.
    """
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


def _judge_window(monitor_pass: MonitorPass, rows: pl.DataFrame, begin: dt.date, end: dt.date) -> str:
    """Judge a window, enter what is new in the ledger, then write the window's record; return the verdict, or why none.

    A pass that is killed in between judges the window again and enters it once.
    """
    settings = monitor_pass.settings
    name = _find_main_model(rows, begin, end)
    if name is None:
        return "no row was answered"
    try:
        model = monitor_pass.model(name)
    except UnfitBundle as reason:
        return str(reason)
    by_day = dict(rows.group_by("day").agg(pl.col("rows").sum()).iter_rows())
    window = _build_window(monitor_pass, model, WindowSpan(begin, end, monitor_pass.now, by_day))
    before = [each for each in WindowStore(settings.monitor.folder).read() if each.begin < begin]
    monitor_pass.alarms += alarms.record_alarm(settings, window, before, str(model.facts.get("data_version", "")))
    WindowStore(settings.monitor.folder).write(window)
    return window.verdict


def _find_main_model(rows: pl.DataFrame, begin: dt.date, end: dt.date) -> str | None:
    """The model that answered most of the window; None where there are no rows."""
    within = rows.filter(pl.col("day") >= begin, pl.col("day") < end)
    found = within.group_by("model").agg(pl.col("rows").sum()).sort("rows", "model", descending=True)
    return found["model"][0] if found.height else None


def _build_window(monitor_pass: MonitorPass, model: WatchedModel, span: WindowSpan) -> Window:
    settings = monitor_pass.settings
    shadow = ShadowProfileStore(settings.monitor.folder, monitor_pass.index)
    known = read_model_profiles(shadow, monitor_pass.profiles, model, span)
    drift, unjudged = measure_drift(settings.monitor, known, span)
    binning = known.binning
    reader = OutcomeReader(settings, monitor_pass.index, model, binning, span)
    memory = window_signals.find_memory_span(settings.monitor, known, span)
    before, outcomes = replace(reader, span=memory).outcomes(), reader.outcomes()
    losses = window_signals.measure_losses(settings, outcomes, before, model, binning)
    recent = dict(zip([*memory.days, *span.days], [*before, *outcomes], strict=True))
    faults = list(window_signals.list_window_faults(settings.monitor, monitor_pass.index, model, span))
    candidate = (monitor_pass.models.aliases() or {}).get(CANDIDATE_ALIAS)
    largest, entries = drift.get("drift"), monitor_pass.ledger.entries()
    loss = losses["loss"]
    nearest = loss and (loss.longer or loss)
    shortage = monitor_pass.unlabelled.describe_shortage(model)
    limits = list(
        window_limits.list_window_limits(settings, model, known, span, outcomes, before, loss, unjudged, shortage)
    )
    limits += _describe_missing(monitor_pass.coverage, span)
    signals = WindowSignals(
        faults=_format_faults(faults),
        column=largest.column if largest else "",
        ratio=largest and largest.ratio,
        stretch=describe_stretch(largest.days, settings.monitor.window_days, largest.shift) if largest else "",
        loss=nearest and nearest.mean,
        threshold=nearest and nearest.threshold,
        loss_stretch=describe_stretch(loss.longer.days, settings.monitor.window_days) if loss and loss.longer else "",
        age=model.age(span.end),
        limits=limits,
        has_newer_data=retraining.has_new_data(settings.data, monitor_pass.problem, entries),
    )
    verdict = decide_response(signals, span.end, alarms.list_retrained_ends(entries, span.begin), settings.monitor)
    rows = sum(count for day, count in span.rows.items() if span.begin <= day < span.end)
    return Window(
        begin=span.begin,
        end=span.end,
        model=model.version,
        rows=rows,
        verdict=verdict.verdict,
        reason=verdict.reason,
        judged=span.now,
        shadow=window_signals.measure_disagreement(monitor_pass.index, candidate, model, span),
        faults=faults,
        explanation=monitor_pass.explainer.explain(model, known, span, recent, {**drift, **losses}),
        limits=limits,
        estimated=monitor_pass.unlabelled.estimate(model, span),
        **drift,
        **losses,
    )


def _describe_missing(coverage: ReplicaCoverage | None, span: WindowSpan) -> list[str]:
    """What a window lacks as a replica was lost with it."""
    begin, end = get_day_start(span.begin), get_day_start(span.end)
    if coverage is None or not coverage.list_lost_within(begin, end):
        return []
    if missing := coverage.count_missing(begin, end):
        return [f"{missing:,} answers are missing, which replicas that were lost had not shipped yet"]
    return ["what replicas that were lost answered after their last heartbeat is missing"]


def _format_faults(faults: Sequence[DayFault]) -> list[str]:
    """A sentence for each fault, however many days it lasts."""
    first = {(each.what, each.column): each for each in reversed(faults)}
    ordered = sorted(first.values(), key=lambda each: (each.day, each.column))
    return [f"{each.span}: {each.text} ({each.cause})" for each in ordered]
