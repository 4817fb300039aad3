"""Imports, where the last window seems to be due, what its loss is estimated with: most passes judge none."""

from flows.steps.monitor.due_windows import is_latest_window_due
from monitoring.estimation.boosting import import_boosting
from penumbra.core.settings import load_settings

if is_latest_window_due(load_settings()):
    import_boosting()
