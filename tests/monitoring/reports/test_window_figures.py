"""What a report is made of: predictions, decisions and labels of each kind of task, and a window in words."""

import datetime as dt

import polars as pl
import pytest

from monitoring.drift.column_drift import ColumnDrift
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.reports import window_figures
from monitoring.reports.columns import build_report_frame
from monitoring.windows.window_records import RealisedCoverage, WindowLoss, has_alarm
from penumbra.core.histograms import DegradedSlice
from penumbra.core.task import Task
from tests.helpers.models import recorded_windows

NAMES = ("penumbra.prediction", "penumbra.decision", "penumbra.label")
WEATHER = Task("multiclass", ("clear", "rain"))


def test_a_probability_becomes_a_decision_by_the_threshold():
    rows = pl.DataFrame({"output": [0.2, 0.3, None], "penumbra.label": [True, None, False]})
    assert build_report_frame(rows, "output", 0.3, Task("binary"))["penumbra.decision"].to_list() == [False, True, None]


def test_probabilities_become_a_column_for_each_class_and_the_most_probable_one():
    rows = pl.DataFrame(
        {
            "output": pl.Series([[0.7, 0.3], [0.1, 0.9]], dtype=pl.Array(pl.Float64, 2)),
            "penumbra.label": pl.Series(["rain", None], dtype=pl.Enum(WEATHER.classes)),
        }
    )
    made = build_report_frame(rows, "output", None, WEATHER)
    assert made.select("penumbra.class.clear", "penumbra.class.rain", *NAMES).rows() == [
        (0.7, 0.3, "clear", "clear", "rain"),
        (0.1, 0.9, "rain", "rain", None),
    ]


def test_a_number_is_its_own_decision():
    rows = pl.DataFrame({"output": [12.5], "penumbra.label": [11.0]})
    assert build_report_frame(rows, "output", None, Task("regression")).select(NAMES).row(0) == (12.5, 12.5, 11)


def values(window):
    return {(figure.group, figure.series): figure.value for figure in window_figures.build_figures(window, 2)}


def test_a_window_s_figures_are_those_of_its_record():
    found = values(recorded_windows.make_window(0, "investigate", ratio=0.5))
    assert found["verdict", "verdict"] == 1
    assert found["drift", "temp"] == pytest.approx(0.5)
    assert found["drift", "penumbra.threshold"] == 1
    assert found["labels", "arrived of those due"] == pytest.approx(6050 / 6100)
    assert (found["faults", "faults"], found["faults", "columns left out"]) == (1, 2)


def test_what_isn_t_known_has_no_figure():
    names = ("loss", "estimated", "labels", "calibration", "coverage", "shadow", "prediction")
    unknown = dict.fromkeys(names)
    found = values(recorded_windows.make_window(0, columns={}, drift=None, faults=[], **unknown))
    assert {group for group, _ in found} == {"verdict", "rows", "faults"}


def test_sets_that_hold_the_truth_less_often_than_promised_are_said_to_and_no_others():
    held = recorded_windows.make_window(0, coverage=RealisedCoverage(900, 0.87, 0.83, 0.91, 0.9))
    short = recorded_windows.make_window(0, coverage=RealisedCoverage(900, 0.85, 0.81, 0.89, 0.9))
    assert values(short)["coverage", "held the truth"] == 0.85
    assert values(short)["coverage", "promised"] == 0.9
    subject = "prediction sets that held the truth"
    assert window_figures.describe_window(held)[subject] == "87.0% (83.0% to 91.0%), where 90% are promised"
    assert (
        window_figures.describe_window(short)[subject] == "85.0% (81.0% to 89.0%), short of the 90% that are promised"
    )
    assert not has_alarm(short)


def test_a_column_without_any_spread_has_no_figure_that_isn_t_a_number():
    found = values(recorded_windows.make_window(0, columns={"temp": ColumnDrift(float("inf"), 0.1)}))
    assert ("drift", "temp") not in found


def test_words_say_all_that_was_counted_those_nearest_to_an_alarm_first():
    window = recorded_windows.make_window(0, "retrain", ratio=1.5, loss=WindowLoss(100, 0.5, 0.4, 0.6, None))
    said = window_figures.describe_window(window)
    assert said["verdict"] == "retrain: temp drifted"
    assert said["loss"] == "0.5000 (0.4000 to 0.6000) over 100 labels"
    assert said["drift: temp"] == "0.1500, with a threshold of 0.1000, an alarm"
    assert [name for name in said if name.startswith("drift")] == [
        "drift of the predictions",
        "drift: temp",
        "drift: carrier",
    ]


def test_where_the_loss_has_risen_is_said_beside_what_it_was():
    window = recorded_windows.make_window(0, slices=[DegradedSlice("carrier", "EV", 1200, 0.61, 0.55, 0.67, 0.45)])
    said = window_figures.describe_window(window)["loss where carrier is EV"]
    assert said == "0.6100 (0.5500 to 0.6700) over 1,200 labels, above the 0.4500 of the reference"


def test_each_fault_is_named_with_its_likely_cause():
    said = window_figures.describe_window(recorded_windows.make_window(0, "investigate"))
    day = dt.date(2013, 4, 1)
    assert said["fault: frozen temp"] == f"{day}: 61.2 in all of 120 rows (a sensor that stopped)"


def test_a_stretch_longer_than_the_window_is_named_with_its_own_figures():
    drift = {"temp": ColumnDrift(0.2, 0.1, 28, "higher")}
    loss = WindowLoss(100, 0.5, 0.4, 0.6, 0.7, longer=StretchLoss(56, 0.55, 0.52))
    said = window_figures.describe_window(recorded_windows.make_window(0, columns=drift, loss=loss))
    assert said["drift: temp"].startswith("0.2000, higher over the last 28 days, with a threshold of 0.1000")
    assert said["loss over the last 56 days"] == "0.5500; an alarm above 0.5200"
