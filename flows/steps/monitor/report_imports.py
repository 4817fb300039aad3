"""Imports Evidently, where the last window seems to be due or some window has no reports: beside its judgement."""

from flows.steps.monitor.due_windows import is_latest_window_due
from flows.steps.monitor.reports import import_evidently
from monitoring.reports.workspace import ReportWorkspace
from penumbra.core.settings import load_settings

settings = load_settings()
workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
if is_latest_window_due(settings) or workspace.list_unpublished():
    import_evidently()
