"""`penumbra overview`: the loop on one page, made from the records alone (monitoring/dashboard/server.py serves it)."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mlflow.exceptions import MlflowException

from monitoring.dashboard import cards, flow_runs, window_charts
from monitoring.dashboard.flow_runs import FlowRun
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows import DamagedWindow, Window, WindowStore
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data.dvc_file import DamagedDvcFile
from penumbra.registry.ledger import BrokenLedger, Ledger, LedgerEntry
from penumbra.registry.models import ModelRegistry
from penumbra.scheduling.schedule import compute_next_runs
from penumbra.storage.atomic import replace_file

SHOWN_PARTS = ("source",)  # of the problem
PAGE_FILE, PAGE_TEMPLATE, CARDS_FOLDER = "overview.html", "overview.html", "cards"
TARGET_BY_FLOW = {"IngestFlow": "ingest", "TrainFlow": "train", "MonitorFlow": "monitor", "PromoteFlow": "promote"}
MAX_ENTRIES = 8
MAX_ENTRY_REASON = 240
NO_WINDOWS_MESSAGE = "make monitor does a pass; before that, make train and make serve."
UNREADABLE_ERRORS = (BrokenLedger, DamagedDvcFile, DamagedWindow, MlflowException, OSError)

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class PageAddresses:
    """Where MLflow's and Evidently's pages are."""

    mlflow: str
    evidently: str


@dataclass
class ProblemCollector:
    """Asks for what may be unreadable; what is, is told on the page in place of what was asked for."""

    problems: list[str] = field(default_factory=list)

    def try_read(self, what: Callable[[], ResultT], otherwise: Any) -> ResultT:
        try:
            return what()
        except UNREADABLE_ERRORS as error:
            self.problems.append(str(error).split("\n")[0])
            return otherwise


def write_overview(settings: Settings, problem: Problem, addresses: PageAddresses | None = None) -> Path:
    """Make the page anew, with the cards of the flows' last runs beside it; returns its path."""
    folder = settings.monitor.folder
    folder.mkdir(parents=True, exist_ok=True)
    facts = _collect_facts(settings, problem, addresses or _default_addresses(settings))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(PAGE_TEMPLATE).render(page=facts)
    replace_file(folder / PAGE_FILE, page.encode())
    return folder / PAGE_FILE


def _collect_facts(settings: Settings, problem: Problem, to: PageAddresses) -> dict[str, Any]:
    """All that the template shows."""
    asked, models = ProblemCollector(), ModelRegistry(settings.registry)
    windows: list[Window] = asked.try_read(WindowStore(settings.monitor.folder).read, [])
    entries: list[LedgerEntry] = asked.try_read(Ledger(settings.ledger.folder).entries, [])
    unknown = cards.OverviewCard("unknown", [])
    candidate, progress = asked.try_read(
        lambda: cards.build_candidate_card(models, entries, to.mlflow), (unknown, None)
    )
    reports = ReportWorkspace(settings.monitor.folder, models.name)
    return {
        "model": models.name,
        "made": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "links": [("MLflow", to.mlflow), ("Evidently", f"{to.evidently}/projects/{reports.project}")],
        "status": _describe_status(windows),
        "data": asked.try_read(lambda: cards.build_data_card(settings, problem), unknown),
        "live": asked.try_read(lambda: cards.build_live_card(settings, models, entries, to.mlflow), unknown),
        "candidate": candidate,
        "progress": progress,
        "labels": cards.build_label_card(windows),
        "charts": window_charts.build_window_charts(windows),
        "windows": asked.try_read(
            lambda: window_charts.build_window_table(windows, reports, settings.monitor.folder), []
        ),
        "shown": f"{min(len(windows), window_charts.MAX_TABLE_WINDOWS)} of {len(windows)}",
        "flows": asked.try_read(lambda: _describe_flows(settings), []),
        "entries": [_format_entry(entry) for entry in reversed(entries[-MAX_ENTRIES:])],
        "problems": asked.problems,
    }


def _describe_status(windows: Sequence[Window]) -> dict[str, str]:
    if not windows:
        return {"verdict": "nothing watched yet", "days": "", "reason": NO_WINDOWS_MESSAGE, "risen": ""}
    last = windows[-1]
    return {
        "verdict": last.verdict,
        "days": cards.format_window_days(last),
        "reason": last.reason,
        "risen": cards.describe_degraded_slices(windows),
    }


def _describe_flows(settings: Settings) -> list[dict[str, str]]:
    """Each flow's last run; its card is copied beside the page, so that both can be moved together."""
    ran = {run.flow: run for run in flow_runs.list_latest_flow_runs(list(TARGET_BY_FLOW))}
    due = compute_next_runs(settings.schedule, dt.datetime.now().astimezone())
    following = {
        name: f"{due[name]:%Y-%m-%d %H:%M %Z}" if name in due else _describe_unscheduled(name, due)
        for name in TARGET_BY_FLOW.values()
    }
    return [
        _describe_flow(name, ran.get(flow), settings.monitor.folder) | {"next": following[name]}
        for flow, name in TARGET_BY_FLOW.items()
    ]


def _describe_unscheduled(name: str, due: dict[str, dt.datetime]) -> str:
    if name == "train":
        return "when a window asks for it"
    return "never by itself" if due else "by hand: penumbra schedule"


def _describe_flow(name: str, run: FlowRun | None, folder: Path) -> dict[str, str]:
    if run is None:
        return {"name": name, "last": "never", "state": "", "took": "", "card": ""}
    return {
        "name": name,
        "last": f"{run.begun:%Y-%m-%d %H:%M} UTC",
        "state": run.state(dt.datetime.now(dt.UTC)),
        "took": f"{(run.ended - run.begun).total_seconds():,.0f} s" if run.ended else "",
        "card": _copy_card(run, folder / CARDS_FOLDER / f"{name}.html", folder) if run.card else "",
    }


def _copy_card(run: FlowRun, page: Path, folder: Path) -> str:
    page.parent.mkdir(exist_ok=True)
    replace_file(page, run.card.encode())
    return str(page.relative_to(folder))


def _format_entry(entry: LedgerEntry) -> dict[str, str]:
    return {
        "number": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M}",
        "what": f"{entry.kind}: {entry.verdict}" if entry.kind == "verdict" else entry.kind,
        "versions": ", ".join(f"{role} {version}" for role, version in entry.versions.items()),
        "actor": entry.actor,
        "reason": entry.reason if len(entry.reason) <= MAX_ENTRY_REASON else f"{entry.reason[: MAX_ENTRY_REASON - 1]}…",
    }


def _default_addresses(settings: Settings) -> PageAddresses:
    at = f"http://{settings.dashboard.host}"
    return PageAddresses(f"{at}:{settings.dashboard.first_port + 1}", f"{at}:{settings.dashboard.first_port + 2}")
