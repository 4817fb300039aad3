"""One day of the loop, from the morning's labels to the last request, with all that `make` runs by hand or by clock."""

import contextlib
import datetime as dt
import io
import json
import math
import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.ingest import ingestion, recorded_version
from flows.steps.ingest.admission import check_admitted_batches
from flows.steps.monitor import due_windows, retraining
from flows.steps.monitor.monitor_pass import KnownModels, learn_model
from flows.steps.prediction_losses import compute_known_losses, extract_predictions
from flows.steps.processes.flow_forks import FlowRunner
from flows.steps.processes.flow_locks import list_work_locks
from flows.steps.promote import verdicts
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings, Settings, load_settings
from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import read_day_answers
from penumbra.registry.bundles import bundle
from penumbra.registry.history.ledger_entries import LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import BUNDLES_FOLDER, CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.simulation.replay import sabotage, sandbox
from penumbra.simulation.replay.faults import InjectedFault
from penumbra.simulation.replay.reviewers import SimulatedReviewers
from penumbra.simulation.replay.sandbox import ReplayFailed, RunningService
from penumbra.simulation.replay.traffic import Traffic, TrafficDay, encode_records
from penumbra.storage.cache import RunReceipts

FIRST_VERSION = "1"


class DayLoop:
    """Plays days of the loop in the current folder, whose stores have all of the loop's state.

    A day's rows are sent in their order, so that its answers in the log are those to its first rows, whoever sent them.
    """

    def __init__(self, settings: Settings, problem: Problem, traffic: Traffic, runner: FlowRunner) -> None:
        """Prepare to play rows of the `traffic`, with the settings of the replay's folder and what runs flows there."""
        self.settings, self.problem, self.traffic, self.runner = settings, problem, traffic, runner
        self.models, self.task = ModelRegistry(settings.registry), Task.from_schema(problem.schema)
        self.index = LogIndex.from_settings(settings, problem.schema)
        self.label_days = count_label_days(settings)
        self._beside = ThreadPoolExecutor(1)
        self.known = KnownModels(beside=self._beside)
        self._learning = self._begin_learning()
        self.reviewers = SimulatedReviewers(settings, problem)

    def run_day(
        self, service: RunningService, day: dt.date, fault: InjectedFault | None, sabotaged: bool
    ) -> dict[str, Any]:
        """Play one day: labels, monitor, retraining, promotion, requests, reviews.

        Args:
            service: The running service.
            day: The date to play.
            fault: The fault of its requests, None for none.
            sabotaged: Whether somebody registers a sabotaged candidate on it.

        Returns:
            Plain JSON: the day, the live version, numbers of rows and labels, the sums of losses as served and of the
            first version, what people answered (see `SimulatedReviewers`), words and columns of the fault ("" for
            none), the sabotaged version ("" for none), and the new entries of the ledger.
        """
        before = len(self._entries())
        self.settings = set_clock(day)
        self._send_labels(service, self.traffic.select_day(day - dt.timedelta(days=self.label_days)))
        self._monitor()
        service.wait_for_shadow(self._aliases(), self.index.catch_up)
        self._promote()
        service.wait_for_version(self._aliases()[LIVE_ALIAS])
        version = sabotage.register_sabotaged(self.settings, self.problem) if sabotaged else ""
        rows = self.traffic.select_day(day)
        figures = self._send_requests(service, rows, fault)
        service.wait_for_shadow(self._aliases(), self.index.catch_up)
        figures["reviews"] = self.reviewers.review_day(rows, self._read_answers(day))
        self._learning.result()  # which the next morning's pass asks for
        entries = [_summarise_entry(entry) for entry in self._entries()[before:]]
        wrong = {"fault": fault.words if fault else "", "columns": fault.columns if fault else (), "sabotaged": version}
        return {"day": str(day), **figures, **wrong, "entries": entries}

    def close(self) -> None:
        """Close the logs that reviewers write, and end what is done beside the days."""
        self._beside.shutdown()
        self.reviewers.close()

    def _begin_learning(self) -> Future[None]:
        """Begin to learn, beside the days, what the monitor will ask of the model that is to answer next."""
        aliases = self._aliases()
        version = aliases.get(CANDIDATE_ALIAS, aliases[LIVE_ALIAS])
        return self._beside.submit(learn_model, self.settings, self.problem, self.known, version)

    def _send_labels(self, service: RunningService, day: TrafficDay) -> None:
        """Report the outcomes of a day's rows to the service, by key or else by the answers' ids."""
        labels = day.labels
        if not self.problem.schema.Row.primary_key():
            answers = self._read_answers(day.date)
            labels = labels.head(answers.height).with_columns(answers["id"].alias("prediction_id"))
        self._post(service, "/feedback", labels)

    def _monitor(self) -> None:
        due_windows.judge_due_windows(self.settings, self.problem, self.known)
        retraining.respond_to_verdict(self.settings, self.problem, ingest_arrived_batches, lambda reason: self._train())

    def _train(self) -> bool:
        """Train as the monitor does; a failure is told, and the days go on, as they do in earnest."""
        try:
            sandbox.run_training(self.runner)
        except ReplayFailed as error:
            print(error)
            return False
        self._learning = self._begin_learning()  # while the shadow takes the candidate in
        return True

    def _promote(self) -> None:
        """Judge and act as `make promote` does, with labels due as if days had passed."""
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=self.label_days + 1)  # answers are seconds old
        cases = verdicts.judge_cases(self.settings, self.problem, verdicts.prepare_aliases(self.settings), None, now)
        verdicts.act_on_cases(self.settings, cases)

    def _send_requests(self, service: RunningService, day: TrafficDay, fault: InjectedFault | None) -> dict[str, Any]:
        """Send the day's requests that weren't answered before a kill.

        Returns the sums of the losses as they were served, and as the first version's answers would have been.
        """
        requests = fault.alter_rows(day.requests) if fault else day.requests
        self._post(service, "/predict", requests[self._read_answers(day.date).height :])
        served = extract_predictions(self.task, self._read_answers(day.date)["output"])
        unchanged = self._first_version.score(requests) if requests.height else served
        losses = [
            compute_known_losses(self.task, self.settings.promotion.loss, day.truth, predictions, np.inf)
            for predictions in (served, unchanged)
        ]
        return {
            "version": self._aliases()[LIVE_ALIAS],
            "rows": len(served),
            "labels": int(np.isfinite(losses[0]).sum()),
            "loss": float(np.nansum(losses[0])),
            "never": float(np.nansum(losses[1])),
        }

    def _post(self, service: RunningService, path: str, rows: pl.DataFrame) -> None:
        for part in rows.iter_slices(self.settings.service.max_records):
            if part.height:
                service.post(path, encode_records(part))

    def _read_answers(self, day: dt.date) -> pl.DataFrame:
        """Return ids, outputs and decisions of the answers to the first rows of a day, in the order of the rows."""
        self.index.catch_up()
        return read_day_answers(self.index, day)

    @cached_property
    def _first_version(self) -> bundle.Bundle:
        folder = self.settings.service.state / BUNDLES_FOLDER / FIRST_VERSION
        return bundle.read_bundle(folder, self.problem, FIRST_VERSION)

    def _aliases(self) -> dict[str, str]:
        return self.models.aliases() or {}

    def _entries(self) -> list[LedgerEntry]:
        return open_ledger(self.settings).entries()


def set_clock(day: dt.date) -> Settings:
    """Let it be a `day` for this process and those that it starts; returns the settings, read again."""
    os.environ["PENUMBRA_DATA__TODAY"] = str(day)
    return load_settings()


def ingest_first_batches(day: dt.date) -> bool:
    """Ingest the batches that are complete on a day, unless there is a live model.

    Args:
        day: The day.

    Returns:
        Whether the first model is yet to be trained, of these batches.

    Raises:
        ReplayFailed: The ingest failed.
    """
    settings = set_clock(day)
    if LIVE_ALIAS in (ModelRegistry(settings.registry).aliases() or {}):
        return False
    _admit_arrived_batches()
    return True


def ingest_arrived_batches() -> bool:
    """Ingest as the monitor does; a failure is told, and the days go on, as they do in earnest.

    Returns:
        Whether it succeeded. A batch without rows is left out, and is no failure.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if not ingestion.settle_ingest():
                _admit_arrived_batches(attaches_labels=True)
    except ReplayFailed as error:
        print(error)
        return False
    return True


def train_first_model(settings: Settings, runner: FlowRunner) -> None:
    """Train the first model of the batches that are ingested.

    Args:
        settings: Sections [registry], [training] (`folder`) and [replay] (`candidate`) are read.
        runner: What runs the training.

    Raises:
        ReplayFailed: The training failed, or the model didn't pass the gate.
    """
    sandbox.run_training(runner)
    if LIVE_ALIAS not in (ModelRegistry(settings.registry).aliases() or {}):
        receipt = RunReceipts(settings.training.folder).read_latest()
        raise ReplayFailed(explain_missing_model(settings.replay.candidate, receipt or ""))


def make_source_settings(settings: Settings) -> DataSettings:
    """Make the settings of the data store that has the source's whole history, apart from the loop's own.

    Args:
        settings: Section [data] is read.

    Returns:
        The same section with folders of its own.
    """
    return settings.data.model_copy(update={"folder": Path("world/data"), "derived": Path("world/derived")})


def to_plain_json(facts: dict[str, Any]) -> dict[str, Any]:
    """Convert facts to what reading them back from JSON gives.

    Args:
        facts: Anything that JSON can hold; other values as texts.

    Returns:
        Dictionaries, lists, texts and numbers.
    """
    return dict(json.loads(json.dumps(facts, default=str)))


def explain_missing_model(candidate: str, receipt: str) -> str:
    """Explain why a replay has no model to begin with.

    Args:
        candidate: The candidate that was trained.
        receipt: What the training said.

    Returns:
        A sentence with the checks of the gate that failed, and the remedy.
    """
    lines = [line.split() for line in receipt.splitlines()]
    failed = ", ".join(words[0] for words in lines if len(words) > 3 and words[3] == "fail")
    return (
        f"the first model, {candidate}, isn't live, as it didn't pass the gate: {failed or receipt}; "
        "set replay.candidate to one that does"
    )


def count_label_days(settings: Settings) -> int:
    """Return the number of mornings after which the labels of a day are all due, by the `settings`' label delay."""
    return 1 + math.ceil(settings.labels.delay_hours / 24)


def _admit_arrived_batches(attaches_labels: bool = False) -> None:
    """Take the steps of the ingest flow, under its locks, without a process for each."""
    try:
        with contextlib.ExitStack() as held:
            for lock in list_work_locks("ingest", load_settings()):
                held.enter_context(lock)
            store = ingestion.open_data_store()
            store.staging.discard()
            version_to_rebuild = recorded_version.restore_recorded_data(store)
            check_admitted_batches(store)
            accepted = [ingestion.check_batches(store, batches) for batches in ingestion.share_batches_to_check(store)]
            recorded_version.require_rebuilt_version(store, version_to_rebuild)
            store.admit([batch for batches in accepted for batch in batches])
            recorded_version.report_data_version(store)
            if attaches_labels:
                ingestion.attach_batch_labels(store)
    except ingestion.INGEST_ERRORS as error:
        raise ReplayFailed(f"the ingest failed: {error}") from None


def _summarise_entry(entry: LedgerEntry) -> dict[str, Any]:
    """Return the fields of a ledger entry that the report shows."""
    fields = {name: getattr(entry, name) for name in ("number", "kind", "verdict", "reason")}
    return {**fields, "versions": dict(entry.versions)}
