"""The whole loop, two weeks of it: the real service, flows and stores; killed once on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.simulation.replay import report
from penumbra.simulation.replay.run import plan_replay
from penumbra.storage.journal import Journal

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.xdist_group("replay")]


def start_replay(folder: Path) -> subprocess.Popen[str]:
    environ = {**os.environ, "PENUMBRA_REPLAY__FOLDER": str(folder), "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", "penumbra.cli.app", "replay", "--days", "14"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environ,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay") / "place"


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, Any]:
    """The last line of a replay that was killed after its third day, and went on."""
    process = start_replay(folder)
    while process.poll() is None and len(Journal(folder / "diary.jsonl").steps()) < 3:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output, _ = start_replay(folder).communicate()
    last = output.splitlines()[-1]
    assert last.startswith("{"), output
    return dict(json.loads(last))


def test_it_goes_on_after_a_kill_and_plays_each_day_once(figures: dict[str, Any], folder: Path) -> None:
    days = [step["day"] for step in Journal(folder / "diary.jsonl").steps()]
    assert days == [str(day) for day in plan_replay(load_settings(environ={}), load_problem(), 14).days]
    assert figures["days"] == 14


def test_the_fault_is_noticed_and_the_sabotaged_candidate_never_promoted(figures: dict[str, Any]) -> None:
    assert figures["fault_noticed"]
    assert not figures["sabotage_promoted"]


def test_a_batch_arrives_a_model_is_made_of_it_earns_its_place_and_does_better(figures: dict[str, Any]) -> None:
    assert (figures["promotions"], figures["rollbacks"]) == (1, 0)
    assert figures["served_log_loss"] < figures["never_log_loss"]


def test_people_answer_what_is_picked_each_day_and_the_estimate_covers_the_true_error_rate(
    figures: dict[str, Any], folder: Path
) -> None:
    reviews = [step["reviews"] for step in Journal(folder / "diary.jsonl").steps()]
    assert [review["cases"] for review in reviews] == [load_settings(environ={}).replay.reviews_per_day] * 14
    assert {status for review in reviews for status in review["statuses"]} <= {"decided", "cannot tell"}
    assert figures["reviewed"] == sum(review["statuses"]["decided"] for review in reviews)
    assert figures["error_rate_low"] <= figures["true_error_rate"] <= figures["error_rate_high"]
    assert 0 < figures["agreement"] <= 1


def test_the_report_needs_nothing_else_and_shows_every_decision(figures: dict[str, Any], folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert not {"src=", "<script", "<link"} & set(page.split())
    for text in (each for step in Journal(folder / "diary.jsonl").steps() for each in report.describe_decisions(step)):
        assert text.split(":")[0] in page
