"""`penumbra explain-window`: the latest alarm or any window, for people and for machines."""

import datetime as dt
import json

import pytest

from monitoring.explanations.records import Explanation
from monitoring.windows.window_store import WindowStore
from tests.helpers.command_line import run_command_line
from tests.helpers.models.recorded_windows import FIRST_WINDOW_BEGIN, make_explanation, make_window


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PENUMBRA_MONITOR__FOLDER", str(tmp_path))
    return WindowStore(tmp_path)


def test_the_latest_window_with_an_alarm_is_explained(store):
    store.write(make_window(0, "retrain", 1.6))
    store.write(make_window(1))
    result = run_command_line("explain-window")
    assert result.exit_code == 0
    assert result.stdout == (
        "2013-04-01 to 2013-04-07, version 1: retrain: temp drifted\n\n"
        "temp: 1.60 times its threshold, since about 2013-04-01 (2013-03-30 to 2013-04-02): "
        "higher: quartiles 29, 37, 44 → 59, 66, 73\n\n"
        "Loss: 0.5100 over 6,000 labels, +0.0600 (+0.0200 to +0.1000) against the 0.4500 of the reference, since about "
        "2013-04-01 (2013-03-30 to 2013-04-02). The rows aren't clearly of a harder kind, +0.0150 (-0.0100 to +0.0400) "
        "(25% of the rise); the same rows lose more than they did on the reference, +0.0450 (+0.0100 to +0.0800) (75%)."
        "\n\n"
        "                                         mean loss       95 % interval  of the change\n"
        "change of the loss                         +0.0600  +0.0200 to +0.1000           100%\n"
        "  shift of the inputs                      +0.0150  -0.0100 to +0.0400            25%\n"
        "    temp                                   +0.0120  +0.0000 to +0.0240            20%\n"
        "    all other columns, and combinations    +0.0030  -0.0100 to +0.0200             5%\n"
        "  change of the relation                   +0.0450  +0.0100 to +0.0800            75%\n"
        "    where carrier is EV                    +0.0200  +0.0100 to +0.0300            33%\n"
        "Slices overlap, with each other and with the other parts.\n\n"
        "dest: 5.0% of the rows have a value that the reference never had, and count as average ones\n"
    )


def test_without_any_alarm_the_latest_window_is_explained(store):
    store.write(make_window(0, explanation=Explanation(limits=["The labels aren't due yet."])))
    assert run_command_line("explain-window").stdout == (
        "2013-04-01 to 2013-04-07, version 1: ok: nothing is beyond its threshold\n\n"
        "No column is beyond its threshold; temp is nearest, at 0.50 times.\n\n"
        "The labels aren't due yet.\n"
    )


def test_a_window_is_found_by_any_of_its_days_and_printed_for_machines(store):
    for number in range(3):
        store.write(make_window(number, explanation=make_explanation(FIRST_WINDOW_BEGIN)))
    result = run_command_line("explain-window", str(FIRST_WINDOW_BEGIN + dt.timedelta(days=9)), "--json")
    found = json.loads(result.stdout)
    assert (found["begin"], found["verdict"]) == ("2013-04-08", "ok")
    assert found["explanation"]["loss"]["relation"]["amount"] == 0.045
    assert found["explanation"]["since"] == {
        "day": "2013-04-01",
        "low": "2013-03-30",
        "high": "2013-04-02",
        "is_open": False,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["2013-06-01"], "no window has 2013-06-01: those that are kept are from 2013-04-01 to 2013-04-07"),
        ([], "was judged by a version that kept no explanation: remove"),
    ],
)
def test_what_can_t_be_explained_is_refused_in_a_sentence(store, words, said):
    store.write(make_window(0, explanation=None))
    result = run_command_line("explain-window", *words)
    assert result.exit_code == 1
    assert said in result.stderr


def test_its_help_names_the_day_as_its_usage_does():
    said = run_command_line("explain-window", "--help").stdout
    assert "[DAY]" in said
    assert "has the day DAY:" in said
    assert "%Y" not in said


def test_before_any_window_it_names_the_command_that_judges_them(store):
    result = run_command_line("explain-window")
    assert result.exit_code == 1
    assert "Nothing has been judged yet: `penumbra monitor`" in result.stderr
    assert "data.today" not in result.stderr
