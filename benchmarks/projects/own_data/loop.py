"""The whole loop on one problem, over real processes and HTTP: each target passed, or why not."""

import contextlib
import datetime as dt
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.projects.own_data.project import PROBLEMS, ProjectCopy, StepFailed, convert_to_json

SERVED_ROWS, SINGLE_ROWS, LIST_ROWS = 300, 3, 100
REPLAY_DAYS = 3
DELAY_HOURS = {"diabetes": 240, "orders": 240, "tickets": 480}  # of labels; the others' are due within seconds
BATCHES = 5  # of the source: three to begin with, one for the second training, one that is asked for
NAMES = sorted(path.parent.name for path in PROBLEMS.glob("*/schema.py"))


@dataclass
class Target:
    """A stretch of the loop.

    Attributes:
        name: Its name.
        seconds: How long it took.
        fault: Why it isn't passed; "" where it is.
    """

    name: str
    seconds: float
    fault: str = ""


@dataclass
class Loop:
    """The loop on one problem, target by target."""

    project: ProjectCopy
    delay_hours: float
    answers: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    last_answer: dict[str, Any] = field(default_factory=dict)
    service: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        """Read the problem and the dates of its batches."""
        self.problem = self.project.load_problem()
        self.batches = self.problem.source.batches()[:BATCHES]
        self.first_day, self.second_day, self.last_day = (batch.complete for batch in self.batches[-3:])
        self.middle_day = self.second_day + (self.last_day - self.second_day) / 2

    def ingest(self) -> None:
        """Admit the batches that are complete on the first day."""
        text = self.run("ingest", day=self.first_day)
        expect(f"{len(self.batches) - 2}" in text, f"the batches are counted: {text[-500:]}")

    def train(self) -> None:
        """Make the first model, which becomes live."""
        text = self.run("train", "--skip-doctor", day=self.first_day)
        expect("Version 1 is live" in text, f"version 1 is live: {text[-1500:]}")

    def examine(self) -> None:
        """Have the doctor look at it, over HTTP too."""
        text = self.run("doctor", day=self.first_day, codes=(0, 3))
        expect("the service gives training's predictions" in text, f"nothing is skewed: {text[-1500:]}")

    def start(self) -> None:
        """Start the service, with the processes beside it."""
        self.service.enter_context(self.project.serve())

    def stop(self) -> None:
        """Ask once more, and stop the service."""
        if self.records:
            self.last_answer = self.project.post("/predict", self.records[0])
        self.service.close()

    def serve(self) -> None:
        """Ask for the rows of the last batch, one by one and in lists; both ways agree, and bad records are refused."""
        self.read_served_rows()
        singles = [self.project.post("/predict", record) for record in self.records[:SINGLE_ROWS]]
        for start in range(0, len(self.records), LIST_ROWS):
            self.answers += self.project.post("/predict", self.records[start : start + LIST_ROWS])
        for single, listed in zip(singles, self.answers, strict=False):
            expect(drop_id(single) == drop_id(listed), f"{single} and in a list {listed}")
        self.project.post("/predict", {**self.records[0], self.problem.schema.TIME: "soon"}, expected=422)

    def feed_back(self) -> None:
        """Report the outcomes of two thirds; each finds its prediction."""
        known: list[dict[str, Any]] = [
            {"prediction_id": answer["prediction_id"], **outcome}
            for answer, outcome in zip(self.answers, self.outcomes, strict=True)
            if None not in outcome.values()
        ]
        known = known[: len(known) * 2 // 3]
        for start in range(0, len(known), LIST_ROWS):
            self.project.post("/feedback", known[start : start + LIST_ROWS])
        counts = json.loads(self.run("labels", "--json", day=self.last_day))
        attached = sum(row["labelled"] for row in counts["by_model"])  # who was asked for twice may count twice
        holds = len(known) <= attached <= len(known) + SINGLE_ROWS
        expect(holds, f"the {len(known)} labels are attached, not {attached}: {counts}")

    def monitor(self) -> None:
        """Judge the windows that are over, with Evidently's pages; the live model is old, so it is trained anew."""
        text = self.run("monitor", day=self.middle_day)
        pages = list((self.project.folder / "var/monitor").rglob("*.html"))
        expect(bool(pages), f"there are reports: {text[-1500:]}")
        receipt = (self.project.folder / "var/train/receipts/latest.txt").read_text()
        expect("ersion 2" in receipt, f"version 2 is the candidate: {receipt[:500]} {text[-1500:]}")

    def shadow(self) -> None:
        """Let the candidate score what was asked before."""
        asked = len(self.answers) + SINGLE_ROWS

        def has_scored() -> bool:
            models = json.loads(self.run("shadow", "--json", day=self.middle_day))["models"]
            return any((row["role"], row["answered"]) == ("candidate", asked) for row in models)

        self.project.wait_until(has_scored, f"the candidate has scored {asked} rows", 60)

    def promote(self) -> None:
        """Weigh the candidate; the verdict is in the ledger."""
        text = self.run("promote", day=self.last_day)
        entries = json.loads(self.run("history", "--json", day=self.last_day))
        expect(any(entry["versions"].get("candidate") == "2" for entry in entries), f"a verdict: {text[-1500:]}")

    def overview(self) -> None:
        """Write the loop on one page, in whole sentences."""
        path = self.project.folder / self.run("overview", day=self.last_day).split()[-1]
        page = path.read_text()
        expect("Version" in page or "version" in page, "the page names versions")
        for word in (" nan", "None", "unknown to unknown", "assuming ."):
            expect(word not in page, f"the page has no {word!r}: …{page[max(0, page.find(word) - 200) :][:400]}")

    def explain(self) -> None:
        """Trace an answer back to its batches."""
        text = self.run("explain", self.answers[0]["prediction_id"], day=self.last_day)
        expect(self.batches[0].name in text, f"the raw batches are named: {text[-1500:]}")

    def reproduce(self) -> None:
        """Train the live model again, to the last bit."""
        self.run("reproduce", "1", day=self.last_day)

    def pack(self) -> None:
        """Build a bento, and ask it."""
        folder = self.run("bento", day=self.last_day).split()[-1]
        expected = drop_id(self.last_answer)
        with self.project.serve(
            sys.executable, "-m", "bentoml", "serve", folder, "--host", "127.0.0.1", "--port", str(self.project.port)
        ):
            answer = drop_id(self.project.post("/predict", self.records[0]))
        expect(answer == expected, f"the bento answers {answer}, the service {expected}")

    def replay(self) -> None:
        """Play some days with a fault and a saboteur."""
        self.run("replay", "--days", str(REPLAY_DAYS), day=self.second_day)

    def backtest(self) -> None:
        """Compare policies over the later batches."""
        self.run("backtest", day=self.first_day)

    def run(self, *words: str, day: dt.date, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command on a day by the flows' clock, and return what it wrote."""
        return self.project.run_command(
            *words, codes=codes, data__today=day.isoformat(), labels__delay_hours=self.delay_hours
        )

    def read_served_rows(self) -> None:
        """Read rows of the last batch as records and outcomes, from the source."""
        schema = self.problem.schema
        text = self.problem.source.parse(self.problem.source.fetch(self.batches[-1].name)).head(SERVED_ROWS)
        row, labelled = schema.Row.columns(), schema.Labelled.columns()
        for values in text.iter_rows(named=True):
            typed = {name: convert_to_json(values[name], labelled[name].dtype) for name in labelled}
            self.records.append({name: typed[name] for name in row})
            self.outcomes.append({name: typed[name] for name in labelled if name not in row})


def run_loop(name: str, folder: Path, python: Sequence[str] = (sys.executable,)) -> list[Target]:
    """Run the whole loop on one of the problems.

    Args:
        name: One of `NAMES`.
        folder: A folder for the project's copy; it is made.
        python: What commands are run by.

    Returns:
        The targets in their order; those after a fault are tried as well.
    """
    delay = DELAY_HOURS.get(name, 0.001)
    candidates = {"training__candidates": "boosting,linear", "replay__candidate": "boosting"}
    project = ProjectCopy(folder, PROBLEMS / name, python, **candidates)
    loop = Loop(project, delay)
    targets = [run_target(step) for step in (loop.ingest, loop.train, loop.examine, loop.start)]
    targets += [run_target(step) for step in (loop.serve, loop.feed_back, loop.monitor, loop.shadow, loop.promote)]
    after = (loop.stop, loop.overview, loop.explain, loop.reproduce, loop.pack, loop.replay, loop.backtest)
    return targets + [run_target(step) for step in after]


def run_target(step: Callable[[], None]) -> Target:
    """Run a target, and time it.

    Args:
        step: A method of `Loop`.

    Returns:
        The target.
    """
    began = time.perf_counter()
    fault = ""
    try:
        step()
    except StepFailed as error:
        fault = str(error)
    except Exception:
        fault = traceback.format_exc(limit=-3)
    return Target(step.__name__, time.perf_counter() - began, fault)


def expect(holds: bool, what: str) -> None:
    """Raise StepFailed unless something holds."""
    if not holds:
        raise StepFailed(f"expected that {what}")


def drop_id(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer without its id."""
    return {name: value for name, value in answer.items() if name != "prediction_id"}
