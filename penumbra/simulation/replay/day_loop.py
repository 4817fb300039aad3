"""One day of the loop, from the morning's labels to the last request, with all that `make` runs by hand or by clock."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.monitor import due_windows, retraining
from flows.steps.promote import verdicts
from penumbra.core.http_client import extract_prediction
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings, Settings, load_settings
from penumbra.core.task import Task
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import find_first_outputs
from penumbra.registry import bundle
from penumbra.registry.ledger import Ledger, LedgerEntry
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import BUNDLES_FOLDER, LIVE_ALIAS
from penumbra.simulation.replay import sabotage, sandbox, traffic
from penumbra.simulation.replay.sandbox import RunningService
from penumbra.simulation.replay.traffic import TrafficDay
from penumbra.training.fit import extract_labels

LABEL_DELAY_DAYS = 2  # mornings after which the labels of a day are all due
SETTLING_TIME = dt.timedelta(days=3)  # answers are seconds old where days have passed
FIRST_VERSION = "1"
DaysByDate = dict[dt.date, TrafficDay]


class DayLoop:
    """Plays days of the loop in the current folder, whose stores have all of the loop's state.

    `resumed` is true until a day's requests are sent: only then can some have been answered before this process.
    """

    def __init__(self, settings: Settings, problem: Problem, first: dt.date) -> None:
        """Prepare to play from `first` on, with the settings of the replay's folder."""
        self.settings, self.problem, self.first = settings, problem, first
        self.models, self.task = ModelRegistry(settings.registry), Task.from_schema(problem.schema)
        self.resumed = True

    def train_first_model(self) -> None:
        """Train the first model, of the batches that are complete on the first day, unless there is a live one."""
        self._set_clock(self.first)
        if LIVE_ALIAS not in self._aliases():
            sandbox.run_replay_flow("ingest")
            sandbox.run_replay_flow("train")

    def run_day(
        self, service: RunningService, traffic_days: DaysByDate, day: dt.date, faulty: bool, sabotaged: bool
    ) -> dict[str, Any]:
        """Play one day: labels, monitor, retraining, promotion, requests.

        Args:
            service: The running service.
            traffic_days: The requests and labels by date.
            day: The date to play.
            faulty: Whether its weather feed is in the wrong unit.
            sabotaged: Whether somebody registers a sabotaged candidate on it.

        Returns:
            Plain JSON: the day, the live version, numbers of rows and labels, the sums of losses as served and of the
            first version, the sabotaged version ("" for none), and the new entries of the ledger.
        """
        before = len(self._entries())
        self._set_clock(day)
        self._send_labels(service, traffic_days.get(day - dt.timedelta(days=LABEL_DELAY_DAYS)))
        self._monitor()
        service.wait_for_shadow(self._aliases())
        self._promote()
        service.wait_for_version(self._aliases()[LIVE_ALIAS])
        version = sabotage.register_sabotaged(self.settings, self.problem) if sabotaged else ""
        figures = self._send_requests(service, traffic_days[day], faulty)
        entries = [_summarise_entry(entry) for entry in self._entries()[before:]]
        return {"day": str(day), **figures, "sabotaged": version, "entries": entries}

    def _set_clock(self, day: dt.date) -> None:
        os.environ["PENUMBRA_DATA__TODAY"] = str(day)
        self.settings = load_settings()

    def _send_labels(self, service: RunningService, day: TrafficDay | None) -> None:
        """Report the outcomes of a day's rows to the service."""
        if day:
            service.post("/feedback", traffic.encode_records(day.labels))

    def _monitor(self) -> None:
        due_windows.judge_due_windows(self.settings, self.problem)
        retraining.respond_to_verdict(
            self.settings,
            self.problem,
            lambda: sandbox.run_replay_flow("ingest"),
            lambda reason: sandbox.run_replay_flow("train"),
        )

    def _promote(self) -> None:
        """Judge and act as `make promote` does, with labels due as if days had passed."""
        now = dt.datetime.now(dt.UTC) + SETTLING_TIME
        cases = verdicts.judge_cases(self.settings, self.problem, verdicts.prepare_aliases(self.settings), None, now)
        verdicts.act_on_cases(self.settings, cases)

    def _send_requests(self, service: RunningService, day: TrafficDay, faulty: bool) -> dict[str, Any]:
        """Send the day's requests that weren't answered before a kill.

        Returns the sums of the losses as they were served, and as the first version's answers would have been.
        """
        requests = traffic.convert_to_celsius(day.requests) if faulty else day.requests
        served = self._read_earlier_answers(requests)
        if (rows := np.flatnonzero(np.isnan(served))).size:
            served[rows] = [
                extract_prediction(answer)
                for answer in service.post("/predict", traffic.encode_records(requests[rows]))
            ]
        unchanged = self._read_first_version().score(requests)
        known = day.truth.is_not_null().to_numpy()
        truth = extract_labels(day.truth.filter(known), self.task)
        losses = [self._sum_losses(truth, predictions[known]) for predictions in (served, unchanged)]
        return {
            "version": self._aliases()[LIVE_ALIAS],
            "rows": len(served),
            "labels": len(truth),
            "loss": losses[0],
            "never": losses[1],
        }

    def _read_earlier_answers(self, requests: pl.DataFrame) -> np.ndarray:
        """Return the answers that were given before this process began: float64 [n], NaN for none."""
        if not self.resumed:
            return np.full(requests.height, np.nan)
        self.resumed = False
        index = LogIndex.from_settings(self.settings, self.problem.schema)
        index.catch_up()
        return find_first_outputs(index, requests).fill_null(np.nan).to_numpy().copy()

    def _read_first_version(self) -> bundle.Bundle:
        folder = self.settings.service.state / BUNDLES_FOLDER / FIRST_VERSION
        return bundle.read_bundle(folder, self.problem, FIRST_VERSION)

    def _sum_losses(self, truth: np.ndarray, predictions: np.ndarray) -> float:
        return float(compute_clipped_losses(self.task, truth, predictions, self.settings.promotion.loss, np.inf).sum())

    def _aliases(self) -> dict[str, str]:
        return self.models.aliases() or {}

    def _entries(self) -> list[LedgerEntry]:
        return Ledger(self.settings.ledger.folder).entries()


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


def _summarise_entry(entry: LedgerEntry) -> dict[str, Any]:
    """Return the fields of a ledger entry that the report shows."""
    fields = {name: getattr(entry, name) for name in ("number", "kind", "verdict", "reason")}
    return {**fields, "versions": dict(entry.versions)}
