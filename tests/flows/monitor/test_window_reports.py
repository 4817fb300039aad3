"""The rows that reports of windows are made of."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from flows.steps.monitor.window_reports import sample_live_rows
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import PredictionEntry
from tests.helpers.logs import prediction_logs
from tests.helpers.models import registered_versions
from tests.helpers.problems.orders import load_orders

NOON = dt.datetime(2024, 6, 10, 12, tzinfo=dt.UTC)


def test_the_rows_of_a_report_are_in_the_order_of_their_times_however_they_were_asked(tmp_path: Path) -> None:
    problem, settings = load_orders(tmp_path), registered_versions.make_registry_settings(tmp_path)
    row = {"region": "west", "amount": 20.0, "age": 40, "member": True}
    for hour in (9, 3, 6):
        order = {**row, "order_id": hour, "at": NOON.replace(hour=hour)}
        prediction_logs.log_predictions(tmp_path, PredictionEntry(NOON, "c", order, [], 0.5, True, "1", 80))
    window: Any = SimpleNamespace(model="1", begin=NOON.date(), end=NOON.date() + dt.timedelta(days=1))
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    rows = sample_live_rows(index, window, {"order_id": pl.Int64()})
    assert rows["order_id"].to_list() == [3, 6, 9]
