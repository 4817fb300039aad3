import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from monitoring.windows.window_records import Window, WindowLoss
from monitoring.windows.window_store import WindowStore
from penumbra.core.histograms import DegradedSlice
from penumbra.reviews.selection.degraded_slices import read_degraded_slices
from penumbra.storage.sealed import DamagedFile

MONDAY = dt.date(2013, 4, 1)
RISEN = DegradedSlice("carrier", "EV", 1200, 0.61, 0.55, 0.67, 0.45)
LOSS = WindowLoss(5800, 0.49, 0.47, 0.51, 0.55)


def write_window(folder: Path, week: int, **facts: Any) -> Path:
    begin = MONDAY + dt.timedelta(7 * week)
    judged = dt.datetime(2013, 5, 1, tzinfo=dt.UTC)
    end = begin + dt.timedelta(7)
    window = Window(begin=begin, end=end, judged=judged, model="1", rows=6000, verdict="ok", reason="quiet", **facts)
    return WindowStore(folder).write(window)


def test_the_degraded_slices_are_those_of_the_last_window_whose_loss_is_known(tmp_path: Path) -> None:
    assert read_degraded_slices(tmp_path) == []
    write_window(tmp_path, 0, loss=LOSS, slices=[RISEN])
    write_window(tmp_path, 1)
    assert read_degraded_slices(tmp_path) == [RISEN]
    write_window(tmp_path, 2, loss=LOSS)
    assert read_degraded_slices(tmp_path) == []


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = write_window(tmp_path, 0, loss=LOSS, slices=[RISEN])
    path.write_text(path.read_text().replace("0.61", "0.91"))
    with pytest.raises(DamagedFile, match=path.name):
        read_degraded_slices(tmp_path)
