"""What is shown of a training run: charts and tables."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from penumbra.core.metrics.curves import compute_curves
from penumbra.core.task import Task
from penumbra.training.evaluation import charts
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.evaluation.evaluate import format_score_table
from penumbra.training.split import format_batch_range

BINARY = Task("binary")
LABELS = np.array([False, False, True, True])

# Charts


def test_curves_and_charts_are_plain_json():
    points = [
        {"model": "a", **point} for point in compute_curves(BINARY, LABELS, np.array([0.1, 0.6, 0.4, 0.9]))["roc"]
    ]
    chart = charts.build_curve_chart("ROC", points, "false_positive_rate", "true_positive_rate")
    assert json.loads(json.dumps(chart)) == chart
    assert chart["data"]["values"] == points


def test_a_chart_by_batch_shows_its_metric_over_batches():
    encoding = charts.build_batch_chart("Brier", [{"model": "a", "batch": "2013-01", "brier": 0.2}], "brier")[
        "encoding"
    ]
    assert (encoding["x"]["field"], encoding["y"]["field"]) == ("batch", "brier")


def test_a_chart_by_slice_is_plain_json_with_infinite_limits_too():
    rows = [{"model": "a", "slice": "origin=EWR", "value": 0.4, "low": float("-inf"), "high": float("inf")}]
    chart = charts.build_slice_chart("Loss by slice", rows)
    assert json.loads(json.dumps(chart, allow_nan=False)) == chart
    assert chart["data"]["values"] == [rows[0] | {"low": None, "high": None}]


def test_a_chart_of_the_gate_has_a_colour_for_each_verdict():
    checks = [{"name": "size", "verdict": "pass", "sentence": "megabytes"}]
    squares = charts.build_gate_chart("Gate", checks)["layer"][0]["encoding"]
    assert squares["color"]["scale"]["domain"] == ["pass", "fail", "not enough data", "skipped"]


def test_a_curve_of_shares_goes_from_0_to_1_and_one_of_numbers_does_not():
    shares, minutes = ([{"model": "a", "predicted": value, "observed": value}] for value in (0.5, 30.0))
    scales = [
        charts.build_curve_chart("", rows, "predicted", "observed")["encoding"]["x"]["scale"]
        for rows in (shares, minutes)
    ]
    assert scales == [{"domain": [0, 1]}, {"zero": False}]


# Summary


def test_a_table_has_a_line_for_each_model_and_a_column_for_each_metric():
    scores = {"log_loss": 0.5, "brier": 0.25, "roc_auc": 0.75, "pr_auc": 0.4, "calibration_error": 0.0125}
    head, *lines = format_score_table([("forest", scores), ("a longer name", scores)]).splitlines()
    assert head.split() == ["log-loss", "Brier", "ROC", "AUC", "PR", "AUC", "calibration"]
    assert [line.split()[-5:] for line in lines] == [["0.5000", "0.2500", "0.7500", "0.4000", "0.0125"]] * 2
    assert len({len(head), *map(len, lines)}) == 1


def test_a_table_shows_intervals_where_there_are_any():
    scores = {"log_loss": Interval(0.48449, 0.47011, 0.499), "brier": 0.25}
    head, first, second = format_score_table([("live", scores), ("baseline", {"log_loss": 0.5})]).splitlines()
    assert head.split() == ["log-loss", "Brier"]
    assert first.split() == ["live", "0.4845", "[0.470,", "0.499]", "0.2500"]
    assert second.split() == ["baseline", "0.5000"]


def test_a_table_of_another_task_has_its_metrics():
    head, _ = format_score_table([("forest", {"squared_error": 4.0, "rmse": 2.0, "r2": 0.5})]).splitlines()
    assert head.split() == ["squared", "error", "RMSE", "R²"]


@pytest.mark.parametrize(
    ("batches", "words"), [(["2013-01"], "2013-01"), (["2013-01", "2013-02", "2013-03"], "2013-01 to 2013-03")]
)
def test_a_span_names_the_first_and_last_batch(batches, words):
    assert format_batch_range(batches) == words


DRAW_DATES = """
from vl_convert import vegalite_to_svg
from monitoring.charts import build_line_chart
from penumbra.training.evaluation.charts import build_model_history_chart, build_time_chart

dates = ["2024-05-03", "2024-05-04", "2024-05-10"]
points = [{"model": "a", "date": date, "begin": date, "value": 1.0, "said": date, "mark": ""} for date in dates]
bars = [{"model": "version 1", "begin": dates[0], "end": dates[1]}]
marks = [{"date": dates[1], "verdict": "promote"}]
print(vegalite_to_svg(build_time_chart("", points)))
print(vegalite_to_svg(build_model_history_chart("", points, marks, bars, {"promote": "#2e7d32"})))
print(vegalite_to_svg(build_line_chart(points)))
"""


@pytest.mark.slow
def test_a_date_is_drawn_on_that_date_whatever_the_time_zone_of_the_machine():
    drawn = [
        subprocess.run([sys.executable, "-c", DRAW_DATES], env={**os.environ, "TZ": zone}, capture_output=True).stdout
        for zone in ("UTC", "America/New_York")
    ]
    assert b"04 May" in drawn[0]
    assert drawn[1] == drawn[0]
