"""Imports, where the registry is no SQLite file, what the tasks of a pass need of MLflow: a file is asked by SQL."""

import importlib

from flows.steps.processes.task_forks import REGISTRY_MODULES
from penumbra.core.settings import load_settings
from penumbra.registry.tracking.sqlite_registry import get_database_path

if get_database_path(load_settings().registry.tracking) is None:
    for module in REGISTRY_MODULES:
        importlib.import_module(module)
