"""What a monitor pass reads from: logs, index, profiles, models and ledger, each brought up to date once."""

import datetime as dt
import sqlite3
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from flows.steps.monitor.measures import watched_model
from flows.steps.monitor.measures.explanations import WindowExplainer
from flows.steps.monitor.measures.unlabelled_loss import UnlabelledLosses
from flows.steps.monitor.measures.watched_model import WatchedModel
from flows.steps.monitor.measures.window_signals import get_day_start
from monitoring.estimation.loss_estimator import LossEstimator
from monitoring.explanations.loss_regression import LossRegression
from monitoring.windows.window_store import DamagedWindow
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.data.source_reader import SourceFailed
from penumbra.logs.daily.profiles import ProfileStore, ReferenceLoader
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.heartbeats import ReplicaCoverage
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle
from penumbra.registry.errors import MlflowException
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.storage.sealed import DamagedFile
from penumbra.storage.sqlite import remove_database
from penumbra.storage.work_lock import PassInProgress

MONITOR_ERRORS = (
    *(PassInProgress, BrokenBundle, BrokenLedger, DamagedWindow, DamagedFile),
    *(MlflowException, SettingsError, ProblemError, SourceFailed),
)


@dataclass(frozen=True)
class KnownModels:
    """What was learnt of models by version: a process that makes one pass after the other learns it once.

    Attributes:
        watched: The models that were loaded so far.
        regressions: What explains the losses of their references.
        estimators: What estimates losses without labels.
        beside: What a window's loss is estimated by while the rest of it is measured; None to do one after the other.
    """

    watched: dict[str, WatchedModel] = field(default_factory=dict)
    regressions: dict[str, LossRegression | None] = field(default_factory=dict)
    estimators: dict[str, LossEstimator] = field(default_factory=dict)
    beside: Executor | None = None


@dataclass
class MonitorPass:
    """What a monitor pass reads from.

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
        damaged: A sentence for each shipped segment of a log that is left out.
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
    damaged: list[str] = field(default_factory=list)

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


def make_reference_loader(settings: Settings, problem: Problem) -> ReferenceLoader:
    """Make what profiles learn a model's bins from.

    Args:
        settings: The settings.
        problem: The user's problem.

    Returns:
        A function from a model's version to the profiled columns of its reference; None where it can't be compared.
    """
    return partial(_find_profiled_reference, _make_pass(settings, problem))


def begin_monitor_pass(settings: Settings, problem: Problem, known: KnownModels | None = None) -> MonitorPass:
    """Bring the logs of all replicas here, and index and profiles up to date.

    Args:
        settings: The settings.
        problem: The user's problem.
        known: What earlier passes of this process with the same settings have learnt; None for nothing.

    Returns:
        The pass.

    Raises:
        BrokenBundle: The bundle of a model is damaged.
        BrokenLedger: The ledger is damaged, or the live model's past isn't here.
        MlflowException: The registry can't be read.
        StoreError: What machines share refuses, or is away.
    """
    fetched = fetch_logs(settings)
    monitor_pass = _make_pass(settings, problem, known)
    if fetched:  # windows that end after that wait for the replicas that have yet to ship
        monitor_pass.coverage = fetched.coverage
        monitor_pass.now = min(monitor_pass.now, fetched.coverage.find_complete_until())
        monitor_pass.damaged = fetched.damaged
    ledger_sync.require_history(settings, monitor_pass.models.aliases(), monitor_pass.ledger.entries())
    monitor_pass.index.catch_up()
    _update_profiles(monitor_pass)
    return monitor_pass


def learn_model(settings: Settings, problem: Problem, known: KnownModels, name: str) -> None:
    """Learn of a model what the passes of this process will ask of it, beside what else there is to do.

    Args:
        settings: The settings.
        problem: The user's problem.
        known: What passes have learnt, to which it is added; nothing is added of a model that can't be compared.
        name: The version's number.

    Raises:
        BrokenBundle: The bundle is damaged.
        MlflowException: The registry can't be read.
    """
    monitor_pass = _make_pass(settings, problem, known)
    with suppress(UnfitBundle):
        monitor_pass.unlabelled.learn(monitor_pass.model(name))


def _make_pass(settings: Settings, problem: Problem, known: KnownModels | None = None) -> MonitorPass:
    known = known or KnownModels()
    index = LogIndex.from_settings(settings, problem.schema)
    profiles = ProfileStore(settings.monitor.folder, settings.service.predictions, problem.schema)
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    now, explainer = get_flow_time(settings.data.today), WindowExplainer(settings, known.regressions)
    unlabelled = UnlabelledLosses(index, settings.promotion.loss, known.estimators, known.beside)
    learnt = explainer, unlabelled, None, known.watched
    return MonitorPass(settings, problem, now, index, models, profiles, ledger, *learnt)


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
