"""A day of the loop, from the morning's labels to the last request: everything that `make` runs by hand or by clock."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.schema
import settings
from flows.asking import prediction
from flows.promotion import promoting
from flows.replaying import sabotage, stage, traffic
from flows.replaying.stage import Service
from flows.replaying.traffic import Day
from flows.watch import retraining, watching
from monitoring.losses import losses
from problem.features import FEATURES
from settings import Data, Settings
from stores import bundle
from stores.index import Index
from stores.joined import answered
from stores.ledger import Entry, Ledger
from stores.lineage import BUNDLES
from stores.models import Models
from stores.pointers import POINTER
from task import Task
from training.prepare import labels_of

DELAY = 2  # mornings after which the labels of a day are all due
SETTLED = dt.timedelta(days=3)  # answers are seconds old where days have passed
FIRST_VERSION = "1"
World = dict[dt.date, Day]


class Life:
    """The loop's own state is in its stores; here is only what is needed to go on with it."""

    def __init__(self, chosen: Settings, first: dt.date) -> None:
        self.settings, self.first = chosen, first
        self.models, self.task = Models(chosen.registry), Task.of(problem.schema)
        self.resumed = True

    def begin(self) -> None:
        """The first model, of the batches that are complete on the first day."""
        self._set_clock(self.first)
        if POINTER not in self._aliases():
            stage.run("ingest")
            stage.run("train")

    def live(self, service: Service, world: World, day: dt.date, faulty: bool, sabotaged: bool) -> dict[str, Any]:
        """A day; what came of it, as plain JSON."""
        before = len(self._entries())
        self._set_clock(day)
        self._report(service, world.get(day - dt.timedelta(days=DELAY)))
        self._watch()
        service.shadowed(self._aliases())
        self._promote()
        service.answers(self._aliases()[POINTER])
        version = sabotage.register(self.settings) if sabotaged else ""
        told = self._ask(service, world[day], faulty)
        entries = [_of(entry) for entry in self._entries()[before:]]
        return {"day": str(day), **told, "sabotaged": version, "entries": entries}

    def _set_clock(self, day: dt.date) -> None:
        os.environ["PENUMBRA_DATA__TODAY"] = str(day)
        self.settings = settings.load()

    def _report(self, service: Service, day: Day | None) -> None:
        """What became of the day before yesterday's rows."""
        if day:
            service.post("/feedback", traffic.encoded(day.labels))

    def _watch(self) -> None:
        watching.watch(self.settings)
        retraining.respond(self.settings, lambda: stage.run("ingest"), lambda reason: stage.run("train"))

    def _promote(self) -> None:
        """The same as `make promote`."""
        now = dt.datetime.now(dt.UTC) + SETTLED
        cases = promoting.judge(self.settings, promoting.begin(self.settings), None, now)
        promoting.act(self.settings, cases)

    def _ask(self, service: Service, day: Day, faulty: bool) -> dict[str, Any]:
        """Send the day's requests, those that weren't answered before a kill; the day's losses, as they were served and
        as the first version's answers to the same would have been."""
        requests = traffic.in_celsius(day.requests) if faulty else day.requests
        said = self._answered_before(requests)
        if (rows := np.flatnonzero(np.isnan(said))).size:
            said[rows] = [prediction(each) for each in service.post("/predict", traffic.encoded(requests[rows]))]
        never = self._first_version().score(requests)
        known = day.truth.is_not_null().to_numpy()
        truth = labels_of(day.truth.alias("label").to_frame().filter(known), self.task)
        served, unchanged = (self._lost(truth, each[known]) for each in (said, never))
        return {
            "version": self._aliases()[POINTER],
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
        index = Index.of(self.settings, problem.schema)
        index.catch_up()
        return answered(index, requests).fill_null(np.nan).to_numpy().copy()

    def _first_version(self) -> bundle.Bundle:
        return bundle.read(self.settings.service.state / BUNDLES / FIRST_VERSION, FEATURES, FIRST_VERSION)

    def _lost(self, truth: np.ndarray, said: np.ndarray) -> float:
        return float(losses(self.task, truth, said, self.settings.promotion.loss, np.inf).sum())

    def _aliases(self) -> dict[str, str]:
        return self.models.aliases() or {}

    def _entries(self) -> list[Entry]:
        return Ledger(self.settings.ledger.folder).entries()


def world(chosen: Settings) -> Data:
    """Where the year's batches are kept, out of sight of the loop."""
    return chosen.data.model_copy(update={"folder": Path("world/data"), "derived": Path("world/derived")})


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    return dict(json.loads(json.dumps(facts, default=str)))


def _of(entry: Entry) -> dict[str, Any]:
    """What the story tells of an entry of the ledger."""
    kept = {name: getattr(entry, name) for name in ("number", "kind", "verdict", "reason")}
    return {**kept, "versions": dict(entry.versions)}
