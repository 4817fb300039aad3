"""A project whose data folder has the orders of January, recorded as a version."""

import functools
import shutil
import tempfile
from pathlib import Path

import pytest

from flows.steps.ingest import ingestion, recorded_version
from penumbra.core.problem import Problem
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from tests.helpers.files import make_dvc_repository
from tests.helpers.problems.orders import Replacements, load_orders

FOLDERS = ("DATA", "LABELS", "REVIEW", "TRAINING", "LEDGER")


def record_january(folder: Path, monkeypatch: pytest.MonkeyPatch, source: Replacements = ()) -> DataStore:
    """Have the batch 2024-01 ingested, without its labels, in the project that steps of an ingest work in from now on.

    Args:
        folder: The folder that gets everything.
        monkeypatch: Sets the environment, and what opens the data store.
        source: Replacements in the orders' source.

    Returns:
        The data store.
    """
    problem, recorded = _record_orders(tuple(source))
    shutil.copytree(recorded.name, folder, dirs_exist_ok=True)
    return _enter_project(folder, monkeypatch, problem)


@functools.cache
def _record_orders(source: tuple[tuple[str, str], ...]) -> tuple[Problem, "tempfile.TemporaryDirectory[str]"]:
    """The loaded problem and the folder of a project with the batch: tests get copies."""
    made = tempfile.TemporaryDirectory(prefix="penumbra-january-")
    folder = Path(made.name)
    make_dvc_repository(folder)
    problem = load_orders(folder, source=source)
    with pytest.MonkeyPatch.context() as patch:
        store = _enter_project(folder, patch, problem)
        store.admit(ingestion.check_batches(store, ["2024-01"]))
        recorded_version.report_data_version(store)
    return problem, made


def _enter_project(folder: Path, monkeypatch: pytest.MonkeyPatch, problem: Problem) -> DataStore:
    for section in FOLDERS:
        monkeypatch.setenv(f"PENUMBRA_{section}__FOLDER", str(folder / section.lower()))
    monkeypatch.setenv("PENUMBRA_SERVICE__PREDICTIONS", str(folder / "predictions"))
    monkeypatch.setenv("PENUMBRA_DATA__DERIVED", str(folder / "derived"))
    monkeypatch.setenv("PENUMBRA_DATA__REMOTE", "")
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", "2024-02-01")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    monkeypatch.setattr(ingestion, "open_data_store", lambda: DataStore(load_settings().data, problem))
    return ingestion.open_data_store()
