"""The Evidently workspace with its dashboard, and each report as a page beside it.

<monitor>/evidently                           the workspace, one project, for `evidently ui`
<monitor>/reports/<first day>/<kind>.html     the same reports, each a page that needs nothing else
<monitor>/reports/<first day>/published.json  which record of the window the reports are of; written last

The id of a report in the workspace is derived from window and kind, so a pass that is killed or repeated never leaves
two copies. Only `ReportWorkspace.write` imports Evidently; the rest is cheap.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monitoring.reports.foreign_pages import render_snapshot, seal_page
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.storage.atomic import replace_file
from penumbra.storage.sealed import hash_file, read_derived_file, remove_sealed_file, replace_sealed_file

EVIDENTLY_FOLDER, REPORT_PAGES_FOLDER, PUBLISHED_FILE = "evidently", "reports", "published.json"
SNAPSHOTS_FOLDER = "snapshots"  # where Evidently's workspace looks for them, in the form of `Snapshot.dumps`
PROJECT_NAMESPACE = uuid.UUID("2f0e9a52-0000-5000-8000-70656e756d62")
PANEL_METRIC = "Exact"  # the class in monitoring/reports/evidently_reports.py


@dataclass(frozen=True)
class DashboardPanel:
    """A panel of the dashboard: the figures of one group over the windows.

    Attributes:
        group: The `group` of its figures.
        title: The panel's title.
        about: Its subtitle.
        plot: Evidently's `plot_type`.
        size: Evidently's `size`.
    """

    group: str
    title: str
    about: str
    plot: str = "line"
    size: str = "half"


DASHBOARD_PANELS = (
    DashboardPanel("verdict", "Verdict", "0 is ok, 1 investigate, 2 retrain, 3 wait.", "bar", "full"),
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
        "On mature labels, with its confidence band and threshold; with its band what was estimated without labels.",
    ),
    DashboardPanel("calibration", "Calibration", "Expected calibration error."),
    DashboardPanel("labels", "Label coverage", "Share of the labels that are due which have arrived."),
    DashboardPanel(
        "coverage",
        "Prediction sets with the truth",
        "Share of rows whose set or interval held the truth, on mature labels, with its band and the promise.",
    ),
    DashboardPanel(
        "shadow",
        "Shadow disagreement",
        "Mean difference of the candidate's predictions from the live model's, beside its noise floor.",
    ),
    DashboardPanel("rows", "Rows", "Answered in the window.", "bar"),
    DashboardPanel("faults", "Data faults and columns left out", "Named in the report of the window.", "bar"),
)


class _Published(msgspec.Struct, frozen=True):
    """Which record of the window the reports are of, their kinds and run; and the SHA-256 of each file by its path."""

    sha256: str
    kinds: list[str]
    run: str = ""
    files: dict[str, str] = {}


@dataclass(frozen=True)
class ReportWorkspace:
    """The reports of all windows of a model.

    Attributes:
        folder: The settings' `monitor.folder`.
        name: The name of the registered model, which is the project's name too.
    """

    folder: Path
    name: str

    @property
    def workspace(self) -> Path:
        """The folder of the Evidently workspace."""
        return self.folder / EVIDENTLY_FOLDER

    @property
    def project(self) -> uuid.UUID:
        """The id of the project in the workspace."""
        return uuid.uuid5(PROJECT_NAMESPACE, self.name)

    @property
    def has_project(self) -> bool:
        """Whether the workspace has the project, which the first reports make."""
        return (self.workspace / str(self.project)).is_dir()

    def list_unpublished(self) -> list[Window]:
        """List the windows whose record has no reports yet.

        Returns:
            The records, the earliest first.

        Raises:
            DamagedWindow: A window's record is damaged.
        """
        return [window for window in WindowStore(self.folder).read() if not self.is_published(window)]

    def is_published(self, window: Window) -> bool:
        """Say whether there are reports of exactly this record of the window.

        Args:
            window: The window's record.

        Returns:
            Whether its reports are whole.
        """
        published = self._published(window)
        return published is not None and published.sha256 == _hash_window(window)

    def unpublish_damaged(self) -> list[str]:
        """Forget the reports of which a page or a snapshot isn't what was written, so that they are made again.

        Returns:
            A sentence for each damaged file.

        Raises:
            DamagedWindow: A window's record is damaged.
        """
        said = []
        for window in WindowStore(self.folder).read():
            published = self._published(window)
            damaged = (
                [name for name, digest in published.files.items() if not self._is_whole(name, digest)]
                if published
                else []
            )
            said += [
                f"{self.folder / name} is not what was written: the window's reports are made again" for name in damaged
            ]
            if damaged:
                remove_sealed_file(self._receipt(window))
        return said

    def _is_whole(self, name: str, digest: str) -> bool:
        return (self.folder / name).is_file() and hash_file(self.folder / name) == digest

    def pages(self, window: Window) -> dict[str, Path]:
        """List the published pages of a window.

        Args:
            window: The window's record.

        Returns:
            The path of each page by kind of report; empty where none were published.
        """
        published = self._published(window)
        return {kind: self._page(window, kind) for kind in published.kinds} if published else {}

    def run(self, window: Window) -> str:
        """Find the MLflow run that a window's pages were logged to.

        Args:
            window: The window's record.

        Returns:
            The run's id, or "" where there is none.
        """
        published = self._published(window)
        return published.run if published else ""

    def write(self, window: Window, snapshots: Mapping[str, Any]) -> dict[str, Path]:
        """Write snapshots to the workspace and as pages, in place of earlier ones of the window. Imports Evidently.

        Args:
            window: The window's record.
            snapshots: Evidently snapshots by kind of report.

        Returns:
            The page of each report by kind.
        """
        latest = max([*WindowStore(self.folder).read(), window], key=lambda known: known.begin)
        self._prepare_workspace(latest)
        (self.workspace / str(self.project) / SNAPSHOTS_FOLDER).mkdir(exist_ok=True)
        for kind, snapshot in snapshots.items():
            page = self._page(window, kind)
            page.parent.mkdir(parents=True, exist_ok=True)
            replace_file(page, seal_page(render_snapshot(snapshot), snapshot.get_name() or kind).encode())
            replace_file(self._snapshot(window, kind), snapshot.dumps().encode())
        return {kind: self._page(window, kind) for kind in snapshots}

    def mark_published(self, window: Window, kinds: list[str], run: str = "") -> None:
        """Record that the reports of this record of the window are whole.

        Args:
            window: The window's record.
            kinds: The kinds of report that were written.
            run: The id of the MLflow run that they were logged to, "" for none.
        """
        written = [path for kind in kinds for path in (self._page(window, kind), self._snapshot(window, kind))]
        files = {str(path.relative_to(self.folder)): hash_file(path) for path in written if path.is_file()}
        receipt = _Published(_hash_window(window), kinds, run, files)
        self._receipt(window).parent.mkdir(parents=True, exist_ok=True)
        replace_sealed_file(self._receipt(window), msgspec.json.encode(receipt))

    def build_snapshot_id(self, window: Window, kind: str) -> uuid.UUID:
        """Derive the id of a report in the workspace.

        Args:
            window: The window's record.
            kind: The kind of report.

        Returns:
            The same id for every record of the same window.
        """
        return uuid.uuid5(self.project, f"{window.begin} {kind}")

    def _prepare_workspace(self, latest: Window) -> None:
        """Create project and dashboard where needed; the verdict on the `latest` window heads the dashboard."""
        from evidently.sdk.models import DashboardModel, ProjectModel
        from evidently.ui.storage.local.base import LocalState

        # What Evidently's `Workspace` keeps files with, without its server.
        workspace = LocalState(str(self.workspace))
        try:
            workspace.read_project(self.project)
        except FileNotFoundError:
            workspace.write_project(ProjectModel(id=self.project, name=self.name, description="One report a window."))
        panels = [_build_verdict_panel(latest), *(_build_panel(panel) for panel in DASHBOARD_PANELS)]
        workspace.write_dashboard(self.project, DashboardModel(tabs=[], panels=panels))

    def _page(self, window: Window, kind: str) -> Path:
        return self.folder / REPORT_PAGES_FOLDER / str(window.begin) / f"{kind}.html"

    def _snapshot(self, window: Window, kind: str) -> Path:
        """Where Evidently's workspace has a report."""
        name = f"{self.build_snapshot_id(window, kind)}.json"
        return self.workspace / str(self.project) / SNAPSHOTS_FOLDER / name

    def _receipt(self, window: Window) -> Path:
        return self.folder / REPORT_PAGES_FOLDER / str(window.begin) / PUBLISHED_FILE

    def _published(self, window: Window) -> _Published | None:
        try:
            return msgspec.json.decode(read_derived_file(self._receipt(window)) or b"", type=_Published)
        except msgspec.MsgspecError:
            return None


def _build_verdict_panel(window: Window) -> Any:
    from evidently.sdk.panels import text_panel

    return text_panel(f"The latest window, {window.days}: {window.verdict}", window.reason)


def _build_panel(panel: DashboardPanel) -> Any:
    from evidently.sdk.models import DashboardPanelPlot, PanelMetric

    figures = PanelMetric(metric=PANEL_METRIC, metric_labels={"group": panel.group}, legend="{{series}}")
    plot = {"plot_type": panel.plot}
    return DashboardPanelPlot(
        title=panel.title, subtitle=panel.about, size=panel.size, values=[figures], plot_params=plot
    )


def _hash_window(window: Window) -> str:
    return hashlib.sha256(msgspec.json.encode(window)).hexdigest()
