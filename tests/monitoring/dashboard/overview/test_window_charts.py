"""What charts and table of the overview say: of losses in thousands, of estimates, of alarms that many days raise."""

from pathlib import Path
from typing import Any

import pytest

from monitoring.dashboard.overview.undrawn_charts import (
    MATURE_LABELS,
    collect_chart_facts,
    describe_undrawn_charts,
)
from monitoring.dashboard.overview.window_charts import build_window_charts, build_window_table
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_records import (
    AttributionDrift,
    EstimatedLoss,
    GroupDifference,
    LargestDrift,
    RealisedCoverage,
    ShadowDisagreement,
    Window,
    WindowLoss,
)
from tests.helpers.models.recorded_windows import make_window

# Each value of a window is a chart, which takes a while to draw, and most tests look at one.
DRAWN = ("drift", "loss", "estimated", "labels", "coverage", "shadow")


def make_window_of(number: int = 0, **values: Any) -> Window:
    return make_window(number, **{**dict.fromkeys(DRAWN), **values})


@pytest.mark.slow
def test_the_loss_is_called_by_its_name_and_nothing_is_said_of_an_estimate_that_there_isnt():
    windows = [make_window_of(n, loss=WindowLoss(900, 6077.1, 5000.0, 7000.0, None)) for n in (0, 1)]
    (chart,) = [each for each in build_window_charts(windows, "squared error") if each.id == "loss"]
    assert chart.title == "Squared error"
    assert chart.about == "The mean of a row on mature labels, with its confidence band. Last: 6,077.1."


def test_the_disagreement_of_the_shadow_names_the_version_that_was_the_candidate():
    windows = [make_window_of(shadow=ShadowDisagreement(900, 0.25, None, "3"))]
    (chart,) = [each for each in build_window_charts(windows, "log-loss") if each.id == "shadow"]
    assert chart.about.endswith("Last: 0.2500, of version 3.")


@pytest.mark.slow
def test_an_estimate_is_described_with_what_it_assumes():
    (chart,) = [each for each in build_window_charts([make_window(0)], "log-loss") if each.id == "loss"]
    assert (
        "Dotted: estimated without labels, by the calibration of scores on the reference; assuming that the scores are "
        "calibrated. Last: 0.4950." in chart.about
    )


def test_before_the_labels_come_a_regression_has_an_estimate_on_chart_and_table(tmp_path):
    guess = EstimatedLoss(6100.0, 5800.0, 6400.0, "that equal inputs stay", "by a model of the losses", 900.0, 31.2)
    windows = [make_window_of(estimated=guess)]
    (chart,) = [each for each in build_window_charts(windows, "squared error") if each.id == "loss"]
    assert "by a model of the losses, worth 900 rows and 31 days; assuming that equal inputs stay" in chart.about
    assert "Last: 6,100.0 (estimated)." in chart.about
    (row,) = build_window_table(windows, ReportWorkspace(tmp_path, "model"), tmp_path)
    assert row["loss"] == "6,100.0 (estimated)"


def test_a_chart_says_over_which_days_and_that_the_alarm_lies_below_the_line():
    loss = WindowLoss(900, 0.5, 0.4, 0.6, 0.7, longer=StretchLoss(56, 0.55, 0.52))
    window = make_window_of(drift=LargestDrift(1.2, "temp", 28, "higher"), loss=loss)
    drift, losses = build_window_charts([window], "log-loss")[:2]
    assert drift.about.endswith("Last: 1.20 (temp, higher over the last 28 days).")
    assert "Last: 0.5000 (0.5500, over the last 56 days)." in losses.about
    assert "below the dashed line" in losses.about


def test_coverage_of_sets_is_drawn_beside_the_promise_and_is_no_alarm():
    short = make_window_of(coverage=RealisedCoverage(900, 0.85, 0.81, 0.89, 0.9))
    (chart,) = [each for each in build_window_charts([short], "log-loss") if each.id == "coverage"]
    assert chart.about.endswith("Last: 85.0% (81.0% to 89.0%), short of the 90% that are promised.")
    assert "alarm" not in chart.svg


@pytest.mark.slow
def test_of_the_window_alone_nothing_is_said_of_days():
    drift, losses = build_window_charts([make_window(0)], "log-loss")[:2]
    assert " days" not in drift.about.split("Last:")[1] + losses.about.split("Last:")[1]
    assert "below the dashed line" not in losses.about


def test_each_sensitive_column_has_a_chart_of_the_difference_that_the_gate_judges():
    odds = GroupDifference("sex", "equalized_odds", 0.125, 0.0625, 0.1875, "f", "m", 0.2)
    groups = [GroupDifference("sex", "demographic_parity", 0.5, 0.4, 0.6, "f", "m"), odds]
    charts = {each.id: each for each in build_window_charts([make_window_of(groups=groups)], "log-loss")}
    assert charts["groups-1"].title == "Difference in equalized odds by sex"
    assert charts["groups-1"].about.endswith("Last: 0.1250 (f above m).")
    assert "groups-2" not in charts


@pytest.mark.slow
def test_what_is_not_drawn_is_told_with_what_it_takes() -> None:
    windows = [make_window(0, coverage=None, groups=[], attributions=None)]
    charts = build_window_charts(windows, "log-loss")
    assert list(describe_undrawn_charts(windows, charts, ["sex"])) == [
        f"Prediction sets with the truth: {MATURE_LABELS}",
        "Change of the model's reasons: the model can't be explained, or answered too few rows of a window",
        f"Difference by sex: {MATURE_LABELS}, in two groups that have rows enough",
    ]
    (*_, groups) = describe_undrawn_charts(windows, charts, [])
    assert groups == "Differences between groups: no column is named in SENSITIVE of problem/schema.py"
    assert list(describe_undrawn_charts([], [], ["sex"])) == []


def test_the_change_of_the_models_reasons_names_the_feature_that_has_changed_most() -> None:
    found = AttributionDrift(300, 0.125, "dest", 0.081, 0.206, {"dest": (0.1, 0.3)})
    charts = {each.id: each for each in build_window_charts([make_window_of(attributions=found)], "log-loss")}
    chart = charts["attributions"]
    assert chart.title == "Change of the model's reasons"
    assert chart.about.endswith("Never an alarm. Last: 12.5% (dest: 8.1% before, 20.6% now).")


def test_of_more_windows_than_the_charts_show_what_is_not_drawn_is_of_the_same_ones(tmp_path: Path) -> None:
    older = make_window(0, groups=[GroupDifference("sex", "mean_error", 0.1, 0.05, 0.15, "m", "f", 0.2)])
    facts = collect_chart_facts([older, *map(make_window_of, range(1, 61))], "log-loss", tmp_path, ["sex"])
    assert (facts["charts"], facts["charted"]) == ([], ", the latest 60 of 61")
    assert f"Difference by sex: {MATURE_LABELS}, in two groups that have rows enough" in facts["undrawn"]
    assert any(each.startswith("Drift: no window was compared") for each in facts["undrawn"])
