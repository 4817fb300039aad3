"""The overview: the whole loop on one page, made from the records alone."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from monitoring.dashboard.model_cards.card_reader import CARDS_FOLDER, link_card_page
from monitoring.dashboard.overview import cards, flow_runs, window_charts
from monitoring.dashboard.overview.flow_runs import FlowRun
from monitoring.dashboard.overview.review_card import build_review_card
from monitoring.dashboard.overview.undrawn_charts import collect_chart_facts
from monitoring.dashboard.page_templates import render_page
from monitoring.dashboard.sites import REVIEW_PATH
from monitoring.faults.arrivals import STALE_KEY
from monitoring.reports.foreign_pages import seal_page
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_days import describe_missing_windows
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import DamagedWindow, WindowStore
from penumbra.approvals.requests import list_requests
from penumbra.core.metrics.losses import describe_loss
from penumbra.core.problem import Problem
from penumbra.core.settings import DashboardSettings, ScheduleSettings, Settings, SettingsError
from penumbra.core.task import Task
from penumbra.core.text.quoting import shorten_text
from penumbra.data.versioning.dvc_file import DamagedDvcFile
from penumbra.logs.append_log import read_segment_sizes
from penumbra.logs.lag_alarms import list_lag_alarms
from penumbra.registry.errors import MlflowException
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry
from penumbra.registry.history.shared_ledger import BRIEF_PATIENCE_SECONDS, open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import read_shadow_versions
from penumbra.scheduling.schedule import compute_next_runs
from penumbra.storage.atomic import replace_file

SHOWN_PARTS = ("source",)  # of the problem
PAGE_FILE, PAGE_TEMPLATE = "overview.html", "overview.html"
TARGET_BY_FLOW = {"IngestFlow": "ingest", "TrainFlow": "train", "MonitorFlow": "monitor", "PromoteFlow": "promote"}
MAX_ENTRIES = 8
RECENT_WINDOWS = 4  # before the last one: whether they were ok is told beside its verdict
MAX_ENTRY_REASON = 240
UNREADABLE_ERRORS = (BrokenLedger, DamagedDvcFile, DamagedWindow, MlflowException, SettingsError, OSError)

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class PageAddresses:
    """Addresses of the pages that the overview links to.

    Attributes:
        mlflow: The address of MLflow's pages.
        evidently: The address of Evidently's pages.
        review: The address of the review page.
    """

    mlflow: str
    evidently: str
    review: str = REVIEW_PATH


@dataclass
class ProblemCollector:
    """Reads what may be unreadable, and collects the errors for the page.

    Attributes:
        problems: The first line of each error.
    """

    problems: list[str] = field(default_factory=list)

    def try_read(self, what: Callable[[], ResultT], otherwise: Any) -> ResultT:
        """Call a function that reads something.

        Args:
            what: The function.
            otherwise: The result where it fails with one of `UNREADABLE_ERRORS`.

        Returns:
            The function's result, or `otherwise`.
        """
        try:
            return what()
        except UNREADABLE_ERRORS as error:
            self.problems.append(str(error).split("\n")[0])
            return otherwise


def write_overview(
    settings: Settings, problem: Problem, addresses: PageAddresses | None = None, flow_run: str = ""
) -> Path:
    """Write the page anew, with the cards of the flows' last runs beside it.

    Args:
        settings: The settings, of which the page shows nearly every section.
        problem: The user's problem, which names the batches.
        addresses: Where MLflow's and Evidently's pages are; None for the ports of the settings' section `dashboard`.
        flow_run: The id of the flow's run that writes the page as the last thing that it does, and is done by then.

    Returns:
        The page.
    """
    folder = settings.monitor.folder
    folder.mkdir(parents=True, exist_ok=True)
    facts = _collect_facts(settings, problem, addresses or _default_addresses(settings.dashboard), flow_run)
    page = render_page(Path(__file__).parent, PAGE_TEMPLATE, facts)
    replace_file(folder / PAGE_FILE, page.encode())
    return folder / PAGE_FILE


def _collect_facts(settings: Settings, problem: Problem, addresses: PageAddresses, flow_run: str) -> dict[str, Any]:
    """All that the template shows."""
    reader, models = ProblemCollector(), ModelRegistry(settings.registry)
    shadow, now = read_shadow_versions(settings.service.state), dt.datetime.now(dt.UTC)
    reader.problems += reader.try_read(lambda: list_lag_alarms(settings, shadow, now), [])
    windows: list[Window] = reader.try_read(WindowStore(settings.monitor.folder).read, [])
    entries: list[LedgerEntry] = reader.try_read(open_ledger(settings, BRIEF_PATIENCE_SECONDS).entries, [])
    unknown = cards.OverviewCard("unknown", [])
    candidate, progress = reader.try_read(
        lambda: cards.build_candidate_card(models, entries, addresses.mlflow), (unknown, None)
    )
    loss = reader.try_read(lambda: describe_loss(Task.from_schema(problem.schema), settings.promotion.loss), "loss")
    reports = ReportWorkspace(settings.monitor.folder, models.name)
    flows = reader.try_read(lambda: _describe_flows(settings.monitor.folder, settings.schedule, flow_run), [])
    live = reader.try_read(lambda: cards.build_live_card(models, entries, addresses.mlflow), unknown)
    has_answers = any(read_segment_sizes(settings.service.predictions).values())
    steps = {"make train": live.title != "none", "make serve": has_answers}
    return {
        "model": models.name,
        "made": f"{now:%Y-%m-%d %H:%M} UTC",
        "links": _list_links(addresses, reports),
        "status": _describe_status(windows, entries, _describe_missing_verdict(settings, flows, steps)),
        **_describe_requests(entries, settings.promotion.approvers),
        "data": reader.try_read(lambda: cards.build_data_card(settings.data, problem), unknown),
        "live": live,
        "candidate": candidate,
        "model_cards": _link_model_cards(models, (live, candidate), settings.monitor.folder),
        "progress": progress,
        "labels": cards.build_label_card(windows, has_answers),
        "reviews": reader.try_read(lambda: build_review_card(settings, problem, addresses.review), unknown),
        **collect_chart_facts(windows, loss, settings.monitor.folder, problem.schema.SENSITIVE),
        "why": window_charts.build_window_explanation(windows, settings.monitor.folder),
        "windows": reader.try_read(
            lambda: window_charts.build_window_table(windows, reports, settings.monitor.folder), []
        ),
        "shown": f"{min(len(windows), window_charts.MAX_TABLE_WINDOWS)} of {len(windows)}",
        "flows": flows,
        "entries": [_format_entry(entry) for entry in reversed(entries[-MAX_ENTRIES:])],
        "problems": reader.problems,
    }


def _link_model_cards(models: ModelRegistry, shown: Sequence[cards.OverviewCard], folder: Path) -> dict[str, str]:
    """The addresses of the pages with the cards of the versions that are shown, by version."""
    return {each.version: link_card_page(models, each.version, folder) for each in shown if each.version}


def _describe_requests(entries: Sequence[LedgerEntry], approvers: int) -> dict[str, Any]:
    """What waits for people: a sentence for each approval, and how many investigations are open."""
    every = (request.require_approvers(approvers) for request in list_requests(entries))
    waiting = [request for request in every if request.status == "waiting"]
    asked = [request for request in waiting if request.kind != "investigation"]
    numbers = [str(request.number) for request in waiting if request.kind == "investigation"]
    return {
        "waiting": [f"{request.describe_waiting()}: {request}" for request in asked],
        "investigations": f"Investigations that nobody has ended: {', '.join(numbers)}" if numbers else "",
    }


def _list_links(addresses: PageAddresses, reports: ReportWorkspace) -> list[tuple[str, str]]:
    """The pages of others by name; of MLflow's the models, as its first one is about traces."""
    return [
        ("MLflow", f"{addresses.mlflow}/#/models"),
        ("Evidently", _find_evidently_page(addresses.evidently, reports)),
    ]


def _find_evidently_page(address: str, reports: ReportWorkspace) -> str:
    """The project's page; before there are reports, Evidently's first."""
    return f"{address}/projects/{reports.project}" if reports.has_project else address


def _describe_missing_verdict(
    settings: Settings, flows: Sequence[dict[str, str]], steps: Mapping[str, bool]
) -> dict[str, str]:
    """What is shown before any window was judged: that no pass was done, or why it judged none; `steps` come before."""
    missing = " and ".join(step for step, is_done in steps.items() if not is_done)
    reason = f"make monitor does a pass{f'; before that, {missing}' if missing else ''}."
    status = {"verdict": "nothing has been watched yet", "where": "", "reason": reason, "risen": ""}
    if any(flow["name"] == "monitor" and flow["state"] for flow in flows):
        reason = describe_missing_windows(settings.monitor.window_days, settings.data.today)
        return status | {"verdict": "no verdict yet", "reason": reason}
    return status


def _describe_status(
    windows: Sequence[Window], entries: Sequence[LedgerEntry], status: dict[str, str]
) -> dict[str, str]:
    """The last window's verdict, or that rows have stopped arriving, which no window says; else this status."""
    if windows:
        last = windows[-1]
        where, risen = f"in the window {last.days}{_count_alarms(windows)}", cards.describe_degraded_slices(windows)
        status = {"verdict": last.verdict, "where": where, "reason": last.reason, "risen": risen}
    if silence := _find_open_silence(windows, entries):
        before = f"; {status['verdict']} {status['where']}: {status['reason']}" if windows else ""
        where = f"since {silence.evidence[STALE_KEY]}"
        return status | {"verdict": silence.verdict, "where": where, "reason": f"{silence.reason}{before}"}
    return status


def _count_alarms(windows: Sequence[Window]) -> str:
    """Count the windows before the last one whose verdict is none of "ok", where its own is; "" for none."""
    before = windows[-1 - RECENT_WINDOWS : -1]
    alarmed = sum(each.verdict != "ok" for each in before)
    return f", not in {alarmed} of the {len(before)} before it" if alarmed and windows[-1].verdict == "ok" else ""


def _find_open_silence(windows: Sequence[Window], entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The last verdict that no rows arrive, unless a window has begun after the last day that had any."""
    found = [entry for entry in entries if STALE_KEY in entry.evidence]
    if found and all(str(each.begin) <= found[-1].evidence[STALE_KEY] for each in windows):
        return found[-1]
    return None


def _describe_flows(folder: Path, schedule: ScheduleSettings, flow_run: str) -> list[dict[str, str]]:
    """Each flow's last run, of which this one is at its end; its card is copied beside the page, so that both can be
    moved together."""
    latest, now = flow_runs.list_latest_flow_runs(list(TARGET_BY_FLOW)), dt.datetime.now(dt.UTC)
    ran = {run.flow: replace(run, good=True, ended=now) if run.run == flow_run else run for run in latest}
    due = compute_next_runs(schedule, dt.datetime.now().astimezone())
    following = {
        name: f"{due[name]:%Y-%m-%d %H:%M %Z}" if name in due else _describe_unscheduled(name, due)
        for name in TARGET_BY_FLOW.values()
    }
    return [
        _describe_flow(name, ran.get(flow), folder) | {"next": following[name]} for flow, name in TARGET_BY_FLOW.items()
    ]


def _describe_unscheduled(name: str, due: dict[str, dt.datetime]) -> str:
    if name == "train":
        return "when a window asks for it"
    return "never by itself" if due else "when it is run, or daily by penumbra schedule"


def _describe_flow(name: str, run: FlowRun | None, folder: Path) -> dict[str, str]:
    if run is None:
        return {"name": name, "last": "never", "state": "", "took": "", "card": ""}
    return {
        "name": name,
        "last": f"{run.begun:%Y-%m-%d %H:%M} UTC",
        "state": run.state,
        "took": f"{(run.ended - run.begun).total_seconds():,.0f} s" if run.ended and run.state != "running" else "",
        "card": _copy_card(run, folder / CARDS_FOLDER / f"{name}.html", folder) if run.card else "",
    }


def _copy_card(run: FlowRun, page: Path, folder: Path) -> str:
    page.parent.mkdir(exist_ok=True)
    replace_file(page, seal_page(run.card).encode())
    return str(page.relative_to(folder))


def _format_entry(entry: LedgerEntry) -> dict[str, str]:
    return {
        "number": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M}",
        "what": f"{entry.kind}: {entry.verdict}" if entry.kind in ("verdict", "approval") else entry.kind,
        "versions": ", ".join(f"{role} {version}" for role, version in entry.versions.items()),
        "actor": entry.actor,
        "reason": shorten_text(entry.reason, MAX_ENTRY_REASON),
    }


def _default_addresses(dashboard: DashboardSettings) -> PageAddresses:
    at = f"http://{dashboard.host}"
    overview, mlflow, evidently = (f"{at}:{dashboard.first_port + offset}" for offset in range(3))
    return PageAddresses(mlflow, evidently, overview + REVIEW_PATH)
