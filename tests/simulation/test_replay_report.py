"""What a replay prints at its end."""

import json

import pytest

from penumbra.core.settings import load_settings
from penumbra.simulation.replay import report

DAY = {"version": "1", "fault": "", "columns": [], "sabotaged": "", "entries": [], "rows": 24}


def make_steps(losses, **first):
    days = [{**DAY, "day": f"2024-05-0{n}", "labels": 20 if loss else 0} for n, loss in enumerate(losses, start=1)]
    days = [{**day, "loss": 20 * loss, "never": 20 * loss} for day, loss in zip(days, losses, strict=True)]
    return [{**days[0], **first}, *days[1:]]


def test_large_losses_do_not_run_together():
    steps = make_steps([8_123_456.5, 7_000_000.0])
    assert report.format_version_table(steps).splitlines() == [
        "version  from        to          days  rows       loss  version 1",
        "1        2024-05-01  2024-05-02     2    48  7,561,728  7,561,728",
        "all      2024-05-01  2024-05-02     2    48  7,561,728  7,561,728",
    ]


@pytest.fixture
def settings(tmp_path):
    loaded = load_settings(environ={})
    return loaded.model_copy(update={"monitor": loaded.monitor.model_copy(update={"folder": tmp_path})})


def test_the_loss_has_its_own_name_and_the_fault_is_told_with_its_column(settings, tmp_path):
    steps = make_steps([400.0, 300.0], fault="amount is missing from all rows", columns=["amount"], sabotaged="2")
    words = report.write_replay_report(settings, steps, "squared_error", tmp_path)
    assert "The fault: 2024-05-01: amount is missing from all rows; the monitor noticed nothing." in words
    assert "The saboteur: version 2 was never promoted." in words
    figures = json.loads(words.splitlines()[-1])
    assert (figures["served_squared_error"], figures["fault_noticed"]) == (350.0, False)
    page = (tmp_path / report.REPORT_FILE).read_text()
    assert "Squared error a row" in page
    assert "amount is missing" in page


def test_days_without_labels_have_no_loss_and_no_fault_is_said_so(settings, tmp_path):
    words = report.write_replay_report(settings, make_steps([0.0, 0.0], sabotaged="2"), "log_loss", tmp_path)
    assert "none, as no column could be altered within the contract" in words
    figures = json.loads(words.splitlines()[-1])
    assert (figures["served_log_loss"], figures["fault_noticed"]) == (None, None)
