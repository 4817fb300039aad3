"""The rows that reports of windows are made of."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest

from flows.steps.monitor.window_reports import publish_waiting_windows, sample_live_rows
from monitoring.windows.window_store import WindowStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import PredictionEntry
from tests.helpers.logs import prediction_logs
from tests.helpers.models import monitored_model as world
from tests.helpers.models import recorded_windows, registered_versions
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


@pytest.mark.slow
def test_a_window_whose_version_is_gone_keeps_none_of_the_others_from_having_reports(
    tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.make_live_model(tmp_path, database)
    world.log_monitored_days(tmp_path, 7)
    world.run_monitor_pass(tmp_path, world.SECOND + world.ONE_DAY)
    settings = world.make_monitor_settings(tmp_path, world.DONE)
    gone = msgspec.structs.replace(recorded_windows.make_window(-1), model="0")
    WindowStore(settings.monitor.folder).write(gone)
    pages = [page.parent.name for page in publish_waiting_windows(settings, world.PROBLEM)]
    assert set(pages) == {str(world.WINDOW_BEGIN)}
    assert f"{gone.days}: no reports: version 0 is no longer in the registry" in capsys.readouterr().out
    assert list(publish_waiting_windows(settings, world.PROBLEM)) == []
