"""A project whose data folder has the orders of January, recorded as a version."""

from pathlib import Path

import pytest

from flows.steps.ingest import ingestion, recorded_version
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from tests.helpers.files import make_dvc_repository
from tests.helpers.problems.orders import Replacements, load_orders

FOLDERS = ("DATA", "LABELS", "REVIEW", "TRAINING", "LEDGER")


def record_january(folder: Path, monkeypatch: pytest.MonkeyPatch, source: Replacements = ()) -> DataStore:
    """Ingest the batch 2024-01, without its labels, in the project that the steps of an ingest work in from now on.

    Args:
        folder: The folder that gets everything.
        monkeypatch: Sets the environment, and what opens the data store.
        source: Replacements in the orders' source.

    Returns:
        The data store.
    """
    for section in FOLDERS:
        monkeypatch.setenv(f"PENUMBRA_{section}__FOLDER", str(folder / section.lower()))
    monkeypatch.setenv("PENUMBRA_SERVICE__PREDICTIONS", str(folder / "predictions"))
    monkeypatch.setenv("PENUMBRA_DATA__DERIVED", str(folder / "derived"))
    monkeypatch.setenv("PENUMBRA_DATA__REMOTE", "")
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", "2024-02-01")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    make_dvc_repository(folder)
    problem = load_orders(folder, source=source)
    monkeypatch.setattr(ingestion, "open_data_store", lambda: DataStore(load_settings().data, problem))
    store = ingestion.open_data_store()
    store.admit(ingestion.check_batches(store, ["2024-01"]))
    recorded_version.report_data_version(store)
    return store
