"""The record of watched windows."""

import datetime as dt

import msgspec
import pytest

from monitoring.drift.column_drift import ColumnDrift
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.windows.window_days import describe_stretch
from monitoring.windows.window_records import (
    DayFault,
    EstimatedLoss,
    LabelArrivals,
    LargestDrift,
    RealisedCoverage,
    ShadowDisagreement,
    Window,
    WindowLoss,
)
from monitoring.windows.window_store import DamagedWindow, WindowStore
from penumbra.core.histograms import DegradedSlice
from penumbra.storage.sealed import get_seal_path

DAY = dt.date(2013, 4, 1)
FAULT = DayFault(DAY, "nulls", "temp", "20 % of temp are missing", "a source fell away")


def window(begin=DAY, **facts):
    facts = {"model": "1", "rows": 6000, "verdict": "ok", "reason": "all is as it was", **facts}
    return Window(begin=begin, end=begin + dt.timedelta(7), judged=dt.datetime(2013, 4, 9, tzinfo=dt.UTC), **facts)


WHOLE = window(
    columns={"temp": ColumnDrift(0.2, 0.1)},
    prediction=ColumnDrift(0.01, 0.1),
    drift=LargestDrift(2.0, "temp"),
    loss=WindowLoss(5800, 0.49, 0.47, 0.51, 0.55),
    labels=LabelArrivals(6000, 5800),
    calibration=0.02,
    coverage=RealisedCoverage(5800, 0.91, 0.89, 0.93, 0.9),
    shadow=ShadowDisagreement(6000, 0.03, None),
    faults=[FAULT],
    slices=[DegradedSlice("carrier", "EV", 1200, 0.61, 0.55, 0.67, 0.45)],
)


def test_what_is_written_of_a_window_is_what_is_read(tmp_path):
    WindowStore(tmp_path).write(WHOLE)
    assert WindowStore(tmp_path).read() == [WHOLE]


def test_a_record_from_before_slices_were_looked_at_is_read(tmp_path):
    path = WindowStore(tmp_path).write(window())
    path.write_text(path.read_text().replace(',\n "slices": []', ""))
    get_seal_path(path).unlink()  # nor had it a seal
    assert "slices" not in path.read_text()
    assert WindowStore(tmp_path).read() == [window()]


def test_windows_come_in_the_order_of_their_days(tmp_path):
    days = [DAY + dt.timedelta(7 * step) for step in (2, 0, 1)]
    for day in days:
        WindowStore(tmp_path).write(window(day))
    assert [each.begin for each in WindowStore(tmp_path).read()] == sorted(days)


def test_a_window_judged_anew_replaces_its_record(tmp_path):
    WindowStore(tmp_path).write(window())
    WindowStore(tmp_path).write(WHOLE)
    assert WindowStore(tmp_path).read() == [WHOLE]


def test_before_the_first_pass_there_are_no_windows(tmp_path):
    assert WindowStore(tmp_path / "nowhere").read() == []


def test_a_file_that_was_begun_and_never_finished_is_no_window(tmp_path):
    path = WindowStore(tmp_path).write(WHOLE)
    path.with_name(f".{path.name}-123").write_bytes(path.read_bytes()[:50])
    assert WindowStore(tmp_path).read() == [WHOLE]


def test_a_damaged_record_is_named(tmp_path):
    path = WindowStore(tmp_path).write(WHOLE)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DamagedWindow, match=path.name):
        WindowStore(tmp_path).read()


def test_a_distance_is_seen_in_proportion_to_its_threshold():
    assert ColumnDrift(0.2, 0.1).ratio == pytest.approx(2)


@pytest.mark.parametrize(
    ("days", "shift", "words"),
    [
        (None, "", ""),
        (7, "", ""),
        (7, "lower", ", lower"),
        (28, "", ", over the last 28 days"),
        (28, "higher", ", higher over the last 28 days"),
    ],
)
def test_over_which_days_something_moved_is_said_where_it_isn_t_the_window(days, shift, words):
    assert describe_stretch(days, 7, shift) == words


def test_a_loss_that_is_high_over_more_days_alone_is_an_alarm():
    calm = WindowLoss(5800, 0.49, 0.47, 0.51, 0.55)
    assert not calm.is_high
    assert not msgspec.structs.replace(calm, longer=StretchLoss(28, 0.49, 0.5)).is_high
    assert msgspec.structs.replace(calm, longer=StretchLoss(28, 0.51, 0.5)).is_high
    assert msgspec.structs.replace(calm, mean=0.56).is_high


def test_a_record_of_an_earlier_release_has_no_stretches():
    distance = msgspec.json.decode(b'{"distance": 0.2, "threshold": 0.1}', type=ColumnDrift)
    loss = msgspec.json.decode(b'{"labels": 9, "mean": 1, "low": 1, "high": 1, "threshold": 2}', type=WindowLoss)
    assert (distance.days, distance.shift, loss.longer) == (None, "", None)


def test_an_estimate_of_an_earlier_version_is_read_with_the_method_that_it_had():
    kept = msgspec.json.decode(b'{"mean": 0.5, "low": 0.4, "high": 0.6, "assumes": "calibration"}', type=EstimatedLoss)
    assert (kept.basis, kept.effective_days) == ("by the calibration of scores on the reference", None)
