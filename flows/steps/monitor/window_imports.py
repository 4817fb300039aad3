"""Imports, where the last window seems to be due, what its loss is estimated with: most passes judge none."""

from flows.steps.monitor.due_windows import is_latest_window_due
from penumbra.core.settings import load_settings
from penumbra.core.system.lean_imports import import_lean

if is_latest_window_due(load_settings()):
    import_lean("sklearn.ensemble")
