"""`make overview`: the loop on one page, made from the records alone (flows/page/pages.py serves it)."""

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mlflow.exceptions import MlflowException

from flows import scheduling
from flows.page import course, seen
from settings import Settings, SettingsError, load
from stores import flowruns, segments
from stores.flowruns import FlowRun
from stores.ledger import BrokenLedger, Entry, Ledger
from stores.models import Models
from stores.reports import Reports
from stores.windows import Damaged, Window, Windows

PAGE, TEMPLATE, CARDS = "overview.html", "overview.html", "cards"
FLOWS = {"IngestFlow": "ingest", "TrainFlow": "train", "MonitorFlow": "monitor", "PromoteFlow": "promote"}
ENTRIES = 8
LONGEST = 240
NOTHING = "make monitor does a pass; before that, make train and make serve."
UNREADABLE = (BrokenLedger, Damaged, MlflowException, OSError)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Addresses:
    """Where MLflow's and Evidently's pages are."""

    mlflow: str
    evidently: str


@dataclass
class Collector:
    """Asks for what may be unreadable; what is, is told on the page in place of what was asked for."""

    problems: list[str] = field(default_factory=list)

    def ask(self, what: Callable[[], Found], otherwise: Found) -> Found:
        try:
            return what()
        except UNREADABLE as error:
            self.problems.append(str(error).split("\n")[0])
            return otherwise


def write(chosen: Settings, addresses: Addresses | None = None) -> Path:
    """Make the page anew, with the cards of the flows' last runs beside it; returns its path."""
    folder = chosen.monitor.folder
    folder.mkdir(parents=True, exist_ok=True)
    facts = _facts(chosen, addresses or _addresses(chosen))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(page=facts)
    segments.replace(folder / PAGE, page.encode())
    return folder / PAGE


def _facts(chosen: Settings, to: Addresses) -> dict[str, Any]:
    """All that the template shows."""
    asked, models = Collector(), Models(chosen.registry)
    windows: list[Window] = asked.ask(Windows(chosen.monitor.folder).read, [])
    entries: list[Entry] = asked.ask(Ledger(chosen.ledger.folder).entries, [])
    unknown = seen.Card("unknown", [])
    candidate, progress = asked.ask(lambda: seen.candidate(models, entries, to.mlflow), (unknown, None))
    reports = Reports(chosen.monitor.folder, models.name)
    return {
        "model": models.name,
        "made": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "links": [("MLflow", to.mlflow), ("Evidently", f"{to.evidently}/projects/{reports.project}")],
        "status": _status(windows),
        "data": asked.ask(lambda: seen.data(chosen), unknown),
        "live": asked.ask(lambda: seen.live(chosen, models, entries, to.mlflow), unknown),
        "candidate": candidate,
        "progress": progress,
        "labels": seen.labels(windows),
        "charts": course.pictures(windows),
        "windows": asked.ask(lambda: course.table(windows, reports, chosen.monitor.folder), []),
        "shown": f"{min(len(windows), course.SHOWN)} of {len(windows)}",
        "flows": asked.ask(lambda: _flows(chosen), []),
        "entries": [_entry(entry) for entry in reversed(entries[-ENTRIES:])],
        "problems": asked.problems,
    }


def _status(windows: Sequence[Window]) -> dict[str, str]:
    if not windows:
        return {"verdict": "nothing watched yet", "days": "", "reason": NOTHING, "risen": ""}
    last = windows[-1]
    return {"verdict": last.verdict, "days": seen.days(last), "reason": last.reason, "risen": seen.risen(windows)}


def _flows(chosen: Settings) -> list[dict[str, str]]:
    """Each flow's last run; its card is copied beside the page, so that both can be moved together."""
    ran = {run.flow: run for run in flowruns.latest(list(FLOWS))}
    due = scheduling.due(dt.datetime.now().astimezone())
    following = {
        name: f"{due[name]:%Y-%m-%d %H:%M %Z}" if name in due else _unscheduled(name, due) for name in FLOWS.values()
    }
    return [
        _flow(name, ran.get(flow), chosen.monitor.folder) | {"next": following[name]} for flow, name in FLOWS.items()
    ]


def _unscheduled(name: str, due: dict[str, dt.datetime]) -> str:
    if name == "train":
        return "when a window asks for it"
    return "never by itself" if due else "by hand: make schedule"


def _flow(name: str, run: FlowRun | None, folder: Path) -> dict[str, str]:
    if run is None:
        return {"name": name, "last": "never", "state": "", "took": "", "card": ""}
    return {
        "name": name,
        "last": f"{run.begun:%Y-%m-%d %H:%M} UTC",
        "state": run.state(dt.datetime.now(dt.UTC)),
        "took": f"{(run.ended - run.begun).total_seconds():,.0f} s" if run.ended else "",
        "card": _copied(run, folder / CARDS / f"{name}.html", folder) if run.card else "",
    }


def _copied(run: FlowRun, page: Path, folder: Path) -> str:
    page.parent.mkdir(exist_ok=True)
    segments.replace(page, run.card.encode())
    return str(page.relative_to(folder))


def _entry(entry: Entry) -> dict[str, str]:
    return {
        "number": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M}",
        "what": f"{entry.kind}: {entry.verdict}" if entry.kind == "verdict" else entry.kind,
        "versions": ", ".join(f"{role} {version}" for role, version in entry.versions.items()),
        "actor": entry.actor,
        "reason": entry.reason if len(entry.reason) <= LONGEST else f"{entry.reason[: LONGEST - 1]}…",
    }


def _addresses(chosen: Settings) -> Addresses:
    at = f"http://{chosen.dashboard.host}"
    return Addresses(f"{at}:{chosen.dashboard.first_port + 1}", f"{at}:{chosen.dashboard.first_port + 2}")


def main() -> None:
    try:
        print(write(load()))
    except SettingsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
