"""Trainings that are prepared on few rows."""

import pytest

from tests.helpers.models.training_runs import FEW_ROWS, prepare_run
from tests.helpers.problems.orders import load_orders


@pytest.fixture
def run_orders(tmp_path, monkeypatch):
    """Prepares a run on the orders with few rows and some text replaced."""

    def prepare(settings=(), **changes):
        changes["source"] = [*FEW_ROWS, *changes.get("source", [])]
        return prepare_run(tmp_path / "run", load_orders(tmp_path, **changes), monkeypatch, **dict(settings))

    return prepare
