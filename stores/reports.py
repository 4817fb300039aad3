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

from stores.segments import replace
from stores.windows import Window, Windows

os.environ.setdefault("DO_NOT_TRACK", "1")

WORKSPACE, PAGES, PUBLISHED = "evidently", "reports", "published.json"
OURS = uuid.UUID("2f0e9a52-0000-5000-8000-70656e756d62")
METRIC = "Exact"  # of monitoring/reports.py


@dataclass(frozen=True)
class Panel:
    """A panel of the dashboard: the figures of a group over the windows."""

    group: str
    title: str
    about: str
    plot: str = "line"
    size: str = "half"


PANELS = (
    Panel("verdict", "Verdict", "0 is ok, 1 investigate, 2 retrain.", "bar", "full"),
    Panel(
        "drift",
        "Drift by column",
        "Distance from the reference as a share of its threshold: above 1 is an alarm.",
        size="full",
    ),
    Panel("prediction", "Drift of the predictions", "Their distance from the reference, and its threshold."),
    Panel(
        "loss",
        "Loss",
        "On mature labels, with its confidence band and threshold; estimated from the scores alone beside it.",
    ),
    Panel("calibration", "Calibration", "Expected calibration error."),
    Panel("labels", "Label coverage", "Share of the labels that are due which have arrived."),
    Panel(
        "shadow",
        "Shadow disagreement",
        "Mean difference of the candidate's predictions from the live model's, beside its noise floor.",
    ),
    Panel("rows", "Rows", "Answered in the window.", "bar"),
    Panel("faults", "Data faults and columns left out", "Named in the report of the window.", "bar"),
)


class _Published(msgspec.Struct, frozen=True):
    sha256: str
    kinds: list[str]
    run: str = ""


@dataclass(frozen=True)
class Reports:
    """`folder` is the settings' `monitor.folder`, `name` that of the model."""

    folder: Path
    name: str

    @property
    def workspace(self) -> Path:
        return self.folder / WORKSPACE

    @property
    def project(self) -> uuid.UUID:
        return uuid.uuid5(OURS, self.name)

    def is_published(self, window: Window) -> bool:
        """Are there reports of this very record of the window?"""
        found = self._published(window)
        return found is not None and found.sha256 == _sha256(window)

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
        state = self._prepared(max([*Windows(self.folder).read(), window], key=lambda each: each.begin))
        for kind, snapshot in snapshots.items():
            page = self._page(window, kind)
            page.parent.mkdir(parents=True, exist_ok=True)
            replace(page, _titled(snapshot.get_html_str(as_iframe=False), snapshot.get_name() or kind).encode())
            state.write_snapshot(self.project, self.snapshot(window, kind), snapshot.to_snapshot_model())
        return {kind: self._page(window, kind) for kind in snapshots}

    def seal(self, window: Window, kinds: list[str], run: str = "") -> None:
        """Say that the reports of this record of the window are whole, and where they were logged."""
        receipt = _Published(_sha256(window), kinds, run)
        replace(self.folder / PAGES / str(window.begin) / PUBLISHED, msgspec.json.encode(receipt))

    def snapshot(self, window: Window, kind: str) -> uuid.UUID:
        """The id of a report in the workspace."""
        return uuid.uuid5(self.project, f"{window.begin} {kind}")

    def _prepared(self, window: Window) -> Any:
        """The workspace's state, once project and dashboard are there; the latest `window` heads the dashboard."""
        from evidently.sdk.models import DashboardModel, ProjectModel
        from evidently.ui.workspace import Workspace

        made = Workspace.create(str(self.workspace))
        if made.get_project(self.project) is None:
            made.add_project(ProjectModel(id=self.project, name=self.name, description="One report a window."))
        panels = [_latest(window), *(_drawn(panel) for panel in PANELS)]
        made.save_dashboard(self.project, DashboardModel(tabs=[], panels=panels))
        return made.state

    def _page(self, window: Window, kind: str) -> Path:
        return self.folder / PAGES / str(window.begin) / f"{kind}.html"

    def _published(self, window: Window) -> _Published | None:
        try:
            content = (self.folder / PAGES / str(window.begin) / PUBLISHED).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(content, type=_Published)


def _latest(window: Window) -> Any:
    from evidently.sdk.panels import text_panel

    last = window.end - dt.timedelta(days=1)
    return text_panel(f"The latest window, {window.begin} to {last}: {window.verdict}", window.reason)


def _drawn(panel: Panel) -> Any:
    from evidently.sdk.models import DashboardPanelPlot, PanelMetric

    figures = PanelMetric(metric=METRIC, metric_labels={"group": panel.group}, legend="{{series}}")
    kind = {"plot_type": panel.plot}
    return DashboardPanelPlot(
        title=panel.title, subtitle=panel.about, size=panel.size, values=[figures], plot_params=kind
    )


def _sha256(window: Window) -> str:
    return hashlib.sha256(msgspec.json.encode(window)).hexdigest()


def _titled(page: str, title: str) -> str:
    """The page with a title, which Evidently's have none of."""
    return page.replace("<head>", f"<head>\n<title>{html.escape(title)}</title>", 1)
