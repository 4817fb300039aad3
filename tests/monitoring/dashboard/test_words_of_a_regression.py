"""The overview of a model that predicts a number, whose losses are in thousands."""

import datetime as dt

import pytest

from monitoring.dashboard.overview.cards import build_data_card
from monitoring.dashboard.overview.window_charts import build_window_charts, build_window_table
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_records import EstimatedLoss, WindowLoss
from penumbra.core.settings import load_settings
from penumbra.sources import SqlQuery
from tests.helpers.orders import load_orders
from tests.helpers.recorded_windows import make_window


def test_the_loss_is_called_by_its_name_and_nothing_is_said_of_an_estimate_that_there_isnt():
    windows = [make_window(n, loss=WindowLoss(900, 6077.1, 5000.0, 7000.0, None), estimated=None) for n in (0, 1)]
    (chart,) = [each for each in build_window_charts(windows, "squared error") if each.id == "loss"]
    assert chart.title == "Squared error"
    assert chart.about == "The mean of a row on mature labels, with its confidence band. Last: 6,077.1."


def test_an_estimate_is_described_with_what_it_assumes():
    (chart,) = [each for each in build_window_charts([make_window(0)], "log-loss") if each.id == "loss"]
    assert (
        "Dotted: estimated without labels, by the calibration of scores on the reference; assuming that the scores are "
        "calibrated. Last: 0.4950." in chart.about
    )


def test_before_the_labels_come_a_regression_has_an_estimate_on_chart_and_table(tmp_path):
    guess = EstimatedLoss(6100.0, 5800.0, 6400.0, "that equal inputs stay", "by a model of the losses", 900.0, 31.2)
    windows = [make_window(0, loss=None, estimated=guess)]
    (chart,) = [each for each in build_window_charts(windows, "squared error") if each.id == "loss"]
    assert "by a model of the losses, worth 900 rows and 31 days; assuming that equal inputs stay" in chart.about
    assert "Last: 6,100.0 (estimated)." in chart.about
    (row,) = build_window_table(windows, ReportWorkspace(tmp_path, "model"), tmp_path)
    assert row["loss"] == "6,100.0 (estimated)"


@pytest.mark.parametrize(
    ("today", "words"),
    [
        ("2024-03-06", "complete until 2024-03-01, 5 days before the flows' clock"),
        ("2024-03-01", "complete until 2024-03-01, 0 days before the flows' clock"),
        (
            "2023-12-31",
            "complete until 2024-03-01, 61 days after the flows' clock "
            "(data.today is 2023-12-31 here, and was later for the ingest)",
        ),
    ],
)
def test_the_age_of_the_data_is_a_sentence_on_the_clock_of_this_process(tmp_path, today, words):
    """The clock of an ingest may have been set forward in its own environment."""
    places = {"FOLDER": tmp_path / "data", "DERIVED": tmp_path / "derived", "TODAY": today}
    data = load_settings(environ={f"PENUMBRA_DATA__{name}": str(value) for name, value in places.items()}).data
    (data.folder / "batches/2024-02").mkdir(parents=True)
    pointer = f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n"
    data.folder.with_suffix(".dvc").write_text(pointer)
    card = build_data_card(data, load_orders(tmp_path))
    assert dict(card.lines)["age"] == words, dt.date.fromisoformat(today)


def test_a_source_that_is_away_leaves_the_card_with_the_batches_that_there_are(tmp_path, monkeypatch):
    places = {"FOLDER": tmp_path / "data", "DERIVED": tmp_path / "derived"}
    data = load_settings(environ={f"PENUMBRA_DATA__{name}": str(value) for name, value in places.items()}).data
    (data.folder / "batches/2024-02").mkdir(parents=True)
    data.folder.with_suffix(".dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    problem = load_orders(tmp_path)
    monkeypatch.setattr(problem.source, "batches", lambda: SqlQuery("${GONE}", "", time="at").batches())
    lines = dict(build_data_card(data, problem).lines)
    assert lines["batches"] == "1: 2024-02 to 2024-02"
    assert "the environment variable GONE isn't set" in lines["age"]
