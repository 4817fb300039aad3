"""Reports on windows: an Evidently workspace with a dashboard, and each report as a page beside it.

<monitor>/evidently                           the workspace, one project, for `evidently ui`
<monitor>/reports/<first day>/<kind>.html     the same reports, each a page that needs nothing else
<monitor>/reports/<first day>/published.json  of which record of the window they are; written last

A report's place in the workspace follows from window and kind, so that none is there twice however often a pass is
killed or repeated. Evidently takes seconds to import: nothing here does so before it has to.
"""

import datetime as dt
import hashlib
import html
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monitoring.windows import Window, WindowStore
from penumbra.storage.atomic import replace_file

os.environ.setdefault("DO_NOT_TRACK", "1")

EVIDENTLY_FOLDER, REPORT_PAGES_FOLDER, PUBLISHED_FILE = "evidently", "reports", "published.json"
PROJECT_NAMESPACE = uuid.UUID("2f0e9a52-0000-5000-8000-70656e756d62")
PANEL_METRIC = "Exact"  # of monitoring/reports/evidently_reports.py


@dataclass(frozen=True)
class DashboardPanel:
    """A panel of the dashboard: the figures of a group over the windows."""

    group: str
    title: str
    about: str
    plot: str = "line"
    size: str = "half"


DASHBOARD_PANELS = (
    DashboardPanel("verdict", "Verdict", "0 is ok, 1 investigate, 2 retrain.", "bar", "full"),
    DashboardPanel(
        "drift",
        "Drift by column",
        "Distance from the reference as a share of its threshold: above 1 is an alarm.",
        size="full",
    ),
    DashboardPanel("prediction", "Drift of the predictions", "Their distance from the reference, and its threshold."),
    DashboardPanel(
        "loss",
        "Loss",
        "On mature labels, with its confidence band and threshold; estimated from the scores alone beside it.",
    ),
    DashboardPanel("calibration", "Calibration", "Expected calibration error."),
    DashboardPanel("labels", "Label coverage", "Share of the labels that are due which have arrived."),
    DashboardPanel(
        "shadow",
        "Shadow disagreement",
        "Mean difference of the candidate's predictions from the live model's, beside its noise floor.",
    ),
    DashboardPanel("rows", "Rows", "Answered in the window.", "bar"),
    DashboardPanel("faults", "Data faults and columns left out", "Named in the report of the window.", "bar"),
)


class _Published(msgspec.Struct, frozen=True):
    sha256: str
    kinds: list[str]
    run: str = ""


@dataclass(frozen=True)
class ReportWorkspace:
    """`folder` is the settings' `monitor.folder`, `name` that of the model."""

    folder: Path
    name: str

    @property
    def workspace(self) -> Path:
        return self.folder / EVIDENTLY_FOLDER

    @property
    def project(self) -> uuid.UUID:
        return uuid.uuid5(PROJECT_NAMESPACE, self.name)

    def is_published(self, window: Window) -> bool:
        """Are there reports of this very record of the window?"""
        found = self._published(window)
        return found is not None and found.sha256 == _hash_window(window)

    def pages(self, window: Window) -> dict[str, Path]:
        """The pages of a window by kind; none where they are of another record of it."""
        found = self._published(window)
        return {kind: self._page(window, kind) for kind in found.kinds} if found else {}

    def run(self, window: Window) -> str:
        """The MLflow run that a window's pages were logged to, "" where there is none."""
        found = self._published(window)
        return found.run if found else ""

    def write(self, window: Window, snapshots: Mapping[str, Any]) -> dict[str, Path]:
        """Keep snapshots by kind, in place of earlier ones of the window; returns their pages."""
        state = self._prepare_workspace(max([*WindowStore(self.folder).read(), window], key=lambda each: each.begin))
        for kind, snapshot in snapshots.items():
            page = self._page(window, kind)
            page.parent.mkdir(parents=True, exist_ok=True)
            replace_file(page, _add_title(snapshot.get_html_str(as_iframe=False), snapshot.get_name() or kind).encode())
            state.write_snapshot(self.project, self.build_snapshot_id(window, kind), snapshot.to_snapshot_model())
        return {kind: self._page(window, kind) for kind in snapshots}

    def mark_published(self, window: Window, kinds: list[str], run: str = "") -> None:
        """Say that the reports of this record of the window are whole, and where they were logged."""
        receipt = _Published(_hash_window(window), kinds, run)
        replace_file(
            self.folder / REPORT_PAGES_FOLDER / str(window.begin) / PUBLISHED_FILE, msgspec.json.encode(receipt)
        )

    def build_snapshot_id(self, window: Window, kind: str) -> uuid.UUID:
        """The id of a report in the workspace."""
        return uuid.uuid5(self.project, f"{window.begin} {kind}")

    def _prepare_workspace(self, window: Window) -> Any:
        """The workspace's state, once project and dashboard are there; the latest `window` heads the dashboard."""
        from evidently.sdk.models import DashboardModel, ProjectModel
        from evidently.ui.workspace import Workspace

        made = Workspace.create(str(self.workspace))
        if made.get_project(self.project) is None:
            made.add_project(ProjectModel(id=self.project, name=self.name, description="One report a window."))
        panels = [_build_verdict_panel(window), *(_build_panel(panel) for panel in DASHBOARD_PANELS)]
        made.save_dashboard(self.project, DashboardModel(tabs=[], panels=panels))
        return made.state

    def _page(self, window: Window, kind: str) -> Path:
        return self.folder / REPORT_PAGES_FOLDER / str(window.begin) / f"{kind}.html"

    def _published(self, window: Window) -> _Published | None:
        try:
            content = (self.folder / REPORT_PAGES_FOLDER / str(window.begin) / PUBLISHED_FILE).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(content, type=_Published)


def _build_verdict_panel(window: Window) -> Any:
    from evidently.sdk.panels import text_panel

    last = window.end - dt.timedelta(days=1)
    return text_panel(f"The latest window, {window.begin} to {last}: {window.verdict}", window.reason)


def _build_panel(panel: DashboardPanel) -> Any:
    from evidently.sdk.models import DashboardPanelPlot, PanelMetric

    figures = PanelMetric(metric=PANEL_METRIC, metric_labels={"group": panel.group}, legend="{{series}}")
    kind = {"plot_type": panel.plot}
    return DashboardPanelPlot(
        title=panel.title, subtitle=panel.about, size=panel.size, values=[figures], plot_params=kind
    )


def _hash_window(window: Window) -> str:
    return hashlib.sha256(msgspec.json.encode(window)).hexdigest()


def _add_title(page: str, title: str) -> str:
    """The page with a title, which Evidently's have none of."""
    return page.replace("<head>", f"<head>\n<title>{html.escape(title)}</title>", 1)
