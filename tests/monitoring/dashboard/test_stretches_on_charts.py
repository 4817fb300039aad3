"""What charts say of an alarm that more days than the window's raise."""

from monitoring.dashboard.overview.window_charts import build_window_charts
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.windows.window_records import LargestDrift, WindowLoss
from tests.helpers.recorded_windows import make_window


def test_a_chart_says_over_which_days_and_that_the_alarm_lies_below_the_line():
    loss = WindowLoss(900, 0.5, 0.4, 0.6, 0.7, longer=StretchLoss(56, 0.55, 0.52))
    window = make_window(0, drift=LargestDrift(1.2, "temp", 28, "higher"), loss=loss)
    drift, losses = build_window_charts([window], "log-loss")[:2]
    assert drift.about.endswith("Last: 1.20 (temp, higher over the last 28 days).")
    assert "Last: 0.5000 (0.5500, over the last 56 days)." in losses.about
    assert "below the dashed line" in losses.about


def test_of_the_window_alone_nothing_is_said_of_days():
    drift, losses = build_window_charts([make_window(0)], "log-loss")[:2]
    assert " days" not in drift.about.split("Last:")[1] + losses.about.split("Last:")[1]
    assert "below the dashed line" not in losses.about
