"""A day of the loop, from the morning's labels to the last request: everything that `make` runs by hand or by clock."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows.steps.monitor import due_windows, retraining
from flows.steps.promote import verdicts
from penumbra.core.http_client import extract_prediction
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.settings import DataSettings, Settings, load_settings
from penumbra.core.task import Task
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import find_first_outputs
from penumbra.registry import bundle
from penumbra.registry.ledger import Ledger, LedgerEntry
from penumbra.registry.lineage import BUNDLES_FOLDER
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import LIVE_ALIAS
from penumbra.simulation.replay import sabotage, sandbox, traffic
from penumbra.simulation.replay.sandbox import RunningService
from penumbra.simulation.replay.traffic import TrafficDay
from penumbra.training.fit import extract_labels
from problem.features import FEATURES

LABEL_DELAY_DAYS = 2  # mornings after which the labels of a day are all due
SETTLING_TIME = dt.timedelta(days=3)  # answers are seconds old where days have passed
FIRST_VERSION = "1"
DaysByDate = dict[dt.date, TrafficDay]


class DayLoop:
    """The loop's own state is in its stores; here is only what is needed to go on with it."""

    def __init__(self, settings: Settings, first: dt.date) -> None:
        self.settings, self.first = settings, first
        self.models, self.task = ModelRegistry(settings.registry), Task.from_schema(problem.schema)
        self.resumed = True

    def train_first_model(self) -> None:
        """The first model, of the batches that are complete on the first day."""
        self._set_clock(self.first)
        if LIVE_ALIAS not in self._aliases():
            sandbox.run_replay_flow("ingest")
            sandbox.run_replay_flow("train")

    def run_day(
        self, service: RunningService, world: DaysByDate, day: dt.date, faulty: bool, sabotaged: bool
    ) -> dict[str, Any]:
        """A day; what came of it, as plain JSON."""
        before = len(self._entries())
        self._set_clock(day)
        self._report(service, world.get(day - dt.timedelta(days=LABEL_DELAY_DAYS)))
        self._watch()
        service.wait_for_shadow(self._aliases())
        self._promote()
        service.wait_for_version(self._aliases()[LIVE_ALIAS])
        version = sabotage.register_sabotaged(self.settings) if sabotaged else ""
        told = self._send_requests(service, world[day], faulty)
        entries = [_summarise_entry(entry) for entry in self._entries()[before:]]
        return {"day": str(day), **told, "sabotaged": version, "entries": entries}

    def _set_clock(self, day: dt.date) -> None:
        os.environ["PENUMBRA_DATA__TODAY"] = str(day)
        self.settings = load_settings()

    def _report(self, service: RunningService, day: TrafficDay | None) -> None:
        """What became of the day before yesterday's rows."""
        if day:
            service.post("/feedback", traffic.encode_records(day.labels))

    def _watch(self) -> None:
        due_windows.judge_due_windows(self.settings)
        retraining.respond_to_verdict(
            self.settings, lambda: sandbox.run_replay_flow("ingest"), lambda reason: sandbox.run_replay_flow("train")
        )

    def _promote(self) -> None:
        """The same as `make promote`."""
        now = dt.datetime.now(dt.UTC) + SETTLING_TIME
        cases = verdicts.judge_cases(self.settings, verdicts.prepare_aliases(self.settings), None, now)
        verdicts.act_on_cases(self.settings, cases)

    def _send_requests(self, service: RunningService, day: TrafficDay, faulty: bool) -> dict[str, Any]:
        """Send the day's requests, those that weren't answered before a kill; the day's losses, as they were served and
        as the first version's answers to the same would have been."""
        requests = traffic.convert_to_celsius(day.requests) if faulty else day.requests
        said = self._answered_before(requests)
        if (rows := np.flatnonzero(np.isnan(said))).size:
            said[rows] = [
                extract_prediction(each) for each in service.post("/predict", traffic.encode_records(requests[rows]))
            ]
        never = self._first_version().score(requests)
        known = day.truth.is_not_null().to_numpy()
        truth = extract_labels(day.truth.alias("label").to_frame().filter(known), self.task)
        served, unchanged = (self._sum_losses(truth, each[known]) for each in (said, never))
        return {
            "version": self._aliases()[LIVE_ALIAS],
            "rows": len(said),
            "labels": len(truth),
            "loss": served,
            "never": unchanged,
        }

    def _answered_before(self, requests: pl.DataFrame) -> np.ndarray:
        """Float64 [n], NaN for what nobody answered; only a day that was begun before this process can have any."""
        if not self.resumed:
            return np.full(requests.height, np.nan)
        self.resumed = False
        index = LogIndex.from_settings(self.settings, problem.schema)
        index.catch_up()
        return find_first_outputs(index, requests).fill_null(np.nan).to_numpy().copy()

    def _first_version(self) -> bundle.Bundle:
        return bundle.read_bundle(self.settings.service.state / BUNDLES_FOLDER / FIRST_VERSION, FEATURES, FIRST_VERSION)

    def _sum_losses(self, truth: np.ndarray, said: np.ndarray) -> float:
        return float(compute_clipped_losses(self.task, truth, said, self.settings.promotion.loss, np.inf).sum())

    def _aliases(self) -> dict[str, str]:
        return self.models.aliases() or {}

    def _entries(self) -> list[LedgerEntry]:
        return Ledger(self.settings.ledger.folder).entries()


def make_source_settings(settings: Settings) -> DataSettings:
    """Where the year's batches are kept, out of sight of the loop."""
    return settings.data.model_copy(update={"folder": Path("world/data"), "derived": Path("world/derived")})


def to_plain_json(facts: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    return dict(json.loads(json.dumps(facts, default=str)))


def _summarise_entry(entry: LedgerEntry) -> dict[str, Any]:
    """What the story tells of an entry of the ledger."""
    kept = {name: getattr(entry, name) for name in ("number", "kind", "verdict", "reason")}
    return {**kept, "versions": dict(entry.versions)}
