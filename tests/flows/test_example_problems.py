"""The same machinery on three classes: ingest, train, gate, serve, experiment, compare."""

import json
import urllib.request

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.http_client import find_free_port
from tests.helpers.flow_workspace import SKIP_DOCTOR, Workspace
from tests.helpers.servers.local_service import wait_until

pytestmark = pytest.mark.slow

CANDIDATES = "boosting, logistic"
ANSWER = {"prediction_id", "probabilities", "decision", "model_version"}
LATER = {"data__today": "2013-05-01"}
ALL = ["504", "100%"]  # of a week: rows, and labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory, migrated_database):
    space = Workspace(tmp_path_factory.mktemp("sky"))
    space.use_database(migrated_database)
    space.use_problem(PROJECT_ROOT / "examples" / "sky")
    space.settings = {"training__candidates": CANDIDATES, "service__port": str(find_free_port())}
    space.ingest(**space.settings)
    space.run(*space.flow("train"), **space.settings)
    return space


def example():
    """The record that the documentation shows."""
    return json.dumps(load_problem(["schema"], "examples.sky").schema.EXAMPLE).encode()


def post(space, body):
    url = f"http://127.0.0.1:{space.settings['service__port']}/predict"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=10))


def answers(space):
    try:
        return post(space, example())
    except OSError:
        return None


def test_the_first_model_does_not_fail_at_the_gate_and_is_live(trained):
    assert "Version 1 is live" in trained.latest_receipt
    assert "gate: pass" in trained.latest_receipt or "gate: not enough data" in trained.latest_receipt


def test_the_service_answers_in_the_tasks_own_words(trained):
    process = trained.start("-m", "service", **trained.settings)
    try:
        wait_until(lambda: answers(trained), seconds=60)
        one, (first, second) = post(trained, example()), post(trained, b"[%b,%b]" % (example(), example()))
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert set(one) == ANSWER
    assert [{**each, "prediction_id": ""} for each in (first, second)] == [{**one, "prediction_id": ""}] * 2


def test_the_doctor_finds_that_the_service_gives_trainings_predictions(trained):
    output, _ = trained.run_unchecked("-m", "flows.steps.doctor.examination", **trained.settings)
    assert "ok       the service gives training's predictions" in output


def test_an_experiment_looks_quickly_first_and_ends_with_a_verdict_beside_the_live_model(trained):
    output = trained.run(
        str(PROJECT_ROOT / "flows/experiment.py"), "--no-pylint", "run", "--only", "boosting", **trained.settings
    )
    first, *_ = (line for line in output.splitlines() if "A quick look at boosting" in line)
    assert "on 2013-02, learnt from" in first
    assert {"baseline", "live", "latency", "size", "compiled", "doctor"} <= {
        line.split()[0] for line in trained.latest_receipt.splitlines() if line.strip()
    }


def test_runs_are_compared_with_what_changed_between_them(trained):
    text = trained.run(*trained.command("compare", "--last", "2"), **trained.settings)
    assert ["run", "when", "kind", "candidate"] in [line.split()[:4] for line in text.splitlines()]
    assert "train" in text
    assert "→" in text


def test_a_month_later_the_new_model_is_held_against_the_live_one(trained):
    trained.ingest(**trained.settings, **LATER)
    trained.run(*trained.flow("train"), *SKIP_DOCTOR, **trained.settings, **LATER)
    lines = {line.split()[0]: line for line in trained.latest_receipt.splitlines() if line.strip()}
    assert "non-inferiority" in lines["live"] or "superiority" in lines["live"]
    assert lines["gate:"] in ("gate: pass", "gate: fail", "gate: not enough data")


def test_an_experiment_with_an_unknown_name_says_what_there_is(trained):
    flow = str(PROJECT_ROOT / "flows/experiment.py")
    output, code = trained.run_unchecked(flow, "--no-pylint", "run", "--only", "oracle", **trained.settings)
    assert code != 0
    assert "names oracle: problem/candidates.py has boosting" in output
    assert "Traceback" not in output


def test_the_monitor_judges_windows_of_any_kind_of_task(trained):
    apart = {
        name: str(trained.folder / name)
        for name in ("service__predictions", "labels__folder", "review__folder", "monitor__folder")
    }
    settings = {**trained.settings, **apart, **LATER, "monitor__on_drift": "False", "monitor__every_days": "0"}
    trained.ingest(**settings)
    said = trained.run("-m", "tests.helpers.april_monitoring", **settings)
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.startswith("2013-04-")}
    assert {begin: line[2:4] for begin, line in lines.items()} == {"2013-04-04": ALL, "2013-04-11": ALL}
    assert all(float(line[line.index("of") - 1]) > 0 for line in lines.values()), said
    assert said.splitlines()[-2:] == [
        "reports: data.html quality.html data.html quality.html",
        "overview: overview.html",
    ]
