"""The real flows on real flights: ingest, then train, each in its own processes."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest

import problem.features
import problem.schema
from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.data.failure_set import FailureSet
from penumbra.registry.bundles import bundle
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.models import ModelRegistry
from tests.helpers.flow_workspace import FLOW_ENVIRONMENT, NEW_PYTHON, SKIP_DOCTOR, Workspace
from tests.helpers.problems.orders import write_orders

pytestmark = pytest.mark.slow

BROKEN = """
_fetch = fetch
def fetch(batch):
    files = _fetch(batch)
    if batch == "2013-02":
        {harm}
    return files
"""

REFUSED = """
_fetch = fetch
def fetch(batch):
    files = _fetch(batch)
    flights = files["flights.csv"]
    if batch == "2013-01":
        files["flights.csv"] = flights.replace(b",distance,", b",length,")
    elif batch == "2013-02":
        files["flights.csv"] = bytes(range(256)) * 40
    elif batch == "2013-03":
        files["flights.csv"] = flights.replace(b",EWR,", b",XXX,").replace(b",JFK,", b",XXX,")
    else:
        del files["weather.csv"]
    return files
"""
REFUSALS = {
    "2013-01": "has no column distance",
    "2013-02": "flights.csv",
    "2013-03": "break",
    "2013-04": "file weather.csv is missing",
}

SAME_RECIPE = {"training__candidates": "augmented_boosting"}
ORDERS = {"data__today": "2024-04-02", "training__candidates": "boosting"}
FEW_ORDERS = [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 30")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    space = Workspace(tmp_path_factory.mktemp("trained"))
    space.run(*space.flow("ingest"))
    space.output = space.run(*space.flow("train"))
    return space


@pytest.fixture
def fresh(tmp_path):
    return Workspace(tmp_path / "fresh")


def open_registry(space):
    registry = load_settings().registry.model_copy(
        update={"tracking": f"sqlite:///{space.folder}/var/mlflow.db", "artifacts": str(space.folder / "var/artifacts")}
    )
    return ModelRegistry(registry)


def read_registered_bundle(space, version, folder):
    open_registry(space).download(version, folder / "bundle")
    return bundle.read_bundle(folder / "bundle", load_problem(SERVED_PARTS), version)


def test_the_example_history_has_the_version_that_the_checkout_names(trained):
    assert trained.data_version == (PROJECT_ROOT / "data.dvc").read_text()


def test_the_first_model_becomes_live_and_the_last_words_say_so(trained):
    assert open_registry(trained).version("live") == "1"
    assert "Version 1 is live" in trained.latest_receipt


def test_the_last_words_compare_the_winner_with_the_baseline(trained):
    *_, winner, baseline = (line.split() for line in trained.latest_receipt.splitlines() if line.count(" 0.") == 5)
    assert baseline[0] == "baseline"
    assert float(winner[1]) < float(baseline[1])


def test_the_run_records_data_code_settings_and_environment_as_the_bundle_does(trained, tmp_path):
    facts = read_registered_bundle(trained, "1", tmp_path).facts
    models = open_registry(trained)
    run = models.client.get_run(models.client.get_model_version(models.name, "1").run_id)
    assert facts["data_version"] in trained.data_version
    assert run.data.tags["data_version"] == facts["data_version"]
    assert run.data.tags["revision"] == facts["revision"]
    assert json.loads(run.data.tags["settings"]) == facts["settings"]
    assert json.loads(run.data.tags["environment"]) == facts["environment"]


def test_each_candidate_has_a_child_run(trained):
    client = open_registry(trained).client
    runs = client.search_runs([client.get_experiment_by_name(load_settings().registry.model).experiment_id])
    children = {run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert children == {*load_settings().training.candidates, "baseline"}


def test_the_bundle_gives_the_scores_that_the_run_reports_as_held_out(trained, tmp_path):
    reference = pl.read_parquet(read_registered_bundle(trained, "1", tmp_path).path / "reference.parquet")
    test = reference.filter(pl.col("penumbra.batch") == "2013-03")
    losses = (
        pl.when("penumbra.label")
        .then(pl.col("penumbra.prediction").log())
        .otherwise((1 - pl.col("penumbra.prediction")).log())
    )
    facts = read_registered_bundle(trained, "1", tmp_path / "again").facts
    assert -test.select(losses.mean()).item() == pytest.approx(facts["metrics"]["log_loss"], abs=1e-12)


def test_the_bundle_knows_the_base_rate_and_how_much_was_learnt_of_each_value(trained, tmp_path):
    facts = read_registered_bundle(trained, "1", tmp_path).facts
    assert 0.1 < facts["baseline"] < 0.4
    assert list(facts["counts"]) == list(facts["tables"])
    assert sum(facts["counts"]["origin"].values()) > 1000


def test_the_card_shows_the_comparison_with_its_plots(trained):
    card = subprocess.run(
        [sys.executable, *trained.flow("train")[:-1], "card", "get", f"{find_run_id(trained)}/register"],
        cwd=trained.folder, env={**os.environ, "METAFLOW_USER": "tester", "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    specs = [part["spec"] for part in list_card_parts(card) if "spec" in part]
    titles = {chart["title"] for spec in specs for chart in spec.get("vconcat", [spec])}
    assert {title.split(":")[0].split(",")[0] for title in titles} >= {
        "ROC",
        "Precision and recall",
        "Calibration",
        "Loss by batch",
        "Loss by slice",
        "Gate",
        "Loss that a shuffled feature costs",
        "Mean prediction by carrier",
    }


def test_tables_and_pictures_stand_beside_the_run(trained, tmp_path):
    folder = open_registry(trained).download_artifact("1", "evaluation", tmp_path)
    assert "gate: pass" in (folder / "gate.txt").read_text()
    slices = pl.read_csv(folder / "slices.csv")
    assert {"carrier=UA", "origin=EWR", "month=2013-03"} <= set(slices["slice"])
    assert "<svg" in (folder / "roc.svg").read_text()


def test_the_verdict_and_the_first_promotion_are_in_the_ledger(trained):
    verdict, promotion = Ledger(trained.folder / "var/ledger").entries()[:2]
    assert (verdict.kind, verdict.verdict, verdict.versions) == ("verdict", "pass", {"candidate": "1"})
    assert {check["name"] for check in verdict.evidence["checks"]} >= {"baseline", "latency", "compiled", "doctor"}
    assert (promotion.kind, promotion.versions) == ("promotion", {"live": "1"})


def test_a_second_training_on_the_same_data_code_and_settings_does_nothing_and_says_why(trained):
    output = trained.run(*trained.command("train"))
    assert [name for name in ("flows/train.py", "TrainFlow") if name in output] == []
    assert "Nothing to train: version 1 was made from this data, code and settings" in trained.latest_receipt


def test_a_month_later_the_new_model_is_the_candidate_and_is_compared_with_the_live_one(trained):
    later = {"data__today": "2013-05-01", **SAME_RECIPE}
    assert "2013-04: 28,330 rows" in trained.ingest(**later)
    trained.run(*trained.flow("train"), *SKIP_DOCTOR, **later)
    assert open_registry(trained).version("live") == "1"
    assert open_registry(trained).version("candidate") == "2"
    assert "live (version 1)" in trained.latest_receipt
    failures = FailureSet(trained.folder / "var/failures", problem.schema.Row).read()
    assert set(failures["penumbra.model"]) == {"1"}
    assert set(failures["penumbra.batch"]) == {"2013-04"}


def test_refused_batches_stop_the_flow_with_a_sentence_each_and_leave_no_version(fresh, monkeypatch):
    monkeypatch.setitem(FLOW_ENVIRONMENT, "METAFLOW_RUN_MAX_WORKERS", "1")  # one task checks all
    fresh.append_to_source(REFUSED)
    output, code = fresh.run_unchecked(*fresh.flow("ingest"), data__today="2013-05-01")
    assert code != 0
    for batch, complaint in REFUSALS.items():
        assert re.search(f"batch {batch} refused: .*{complaint}", output), output
    assert "Traceback" not in output
    assert fresh.data_version == ""
    assert not (fresh.folder / "data").exists()


def test_bad_rows_below_the_limit_are_quarantined_counted_and_shown(fresh):
    one_percent = 'lines = files["flights.csv"].split(b"\\n"); files["flights.csv"] = b"\\n".join('
    one_percent += 'line.replace(b",EWR,", b",XXX,") if i % 50 == 0 else line for i, line in enumerate(lines))'
    fresh.append_to_source(BROKEN.format(harm=one_percent))
    output = fresh.ingest()
    rejected = pl.read_parquet(fresh.folder / "var/data/quarantine/2013-02.parquet")
    assert f"{rejected.height} of them quarantined" in output
    assert rejected["origin"].unique().to_list() == ["XXX"]


def test_killed_in_one_step_after_the_other_the_next_run_ends_well(fresh, tmp_path, migrated_database):
    fresh.use_database(migrated_database)
    undisturbed = Workspace(tmp_path / "undisturbed")
    for space in (fresh, undisturbed):
        space.use_problem(write_orders(tmp_path / "orders", source=FEW_ORDERS))
    ingest, train = fresh.flow("ingest"), (*fresh.flow("train"), *SKIP_DOCTOR)
    for flow, steps in ((ingest, ("admit", "finish")), (train, ("select", "register"))):
        for step in steps:
            kill_in_step(step, fresh.start(*flow, **ORDERS))
        fresh.run(*flow, **ORDERS)
    undisturbed.ingest(**ORDERS)
    assert fresh.data_version == undisturbed.data_version != ""
    assert open_registry(fresh).version("live") is not None


def test_where_the_remote_lacks_the_version_the_data_is_rebuilt_from_the_source_and_verified(fresh):
    shutil.copy(PROJECT_ROOT / "data.dvc", fresh.folder)
    fresh.ingest()
    assert fresh.data_version == (PROJECT_ROOT / "data.dvc").read_text()
    assert (fresh.folder / "data/batches/2013-03/flights.csv").exists()


def test_a_rebuild_that_is_not_what_data_dvc_names_stops_and_leaves_everything_as_it_was(fresh):
    shutil.copy(PROJECT_ROOT / "data.dvc", fresh.folder)
    fresh.append_to_source(BROKEN.format(harm='files["weather.csv"] = files["weather.csv"] + b"\\n"'))
    output, code = fresh.run_unchecked(*fresh.flow("ingest"))
    assert code != 0
    assert "the remote lacks data version" in output
    assert fresh.data_version == (PROJECT_ROOT / "data.dvc").read_text()
    assert not (fresh.folder / "data").exists()


def test_a_lost_data_folder_comes_back_from_the_remote_without_the_source(trained):
    before = trained.data_version
    shutil.rmtree(trained.folder / "data")
    trained.append_to_source("def fetch(batch):\n    raise OSError('the source is away')\n")
    trained.ingest(data__today="2013-05-01")
    shutil.rmtree(trained.overlay)
    assert trained.data_version == before
    assert len(list((trained.folder / "data/batches").iterdir())) == 4


def test_a_batch_that_was_mended_at_the_source_is_healed_by_reingesting_it(fresh):
    broken = 'files["flights.csv"] = files["flights.csv"].replace(b",LGA,ATL,", b",LGA,atl,")'
    fresh.append_to_source(BROKEN.format(harm=broken))
    first = fresh.ingest()
    assert "quarantined (dest|regex" in first
    assert "dest = 'atl'" in fresh.run(*fresh.command("quarantine"))
    shutil.rmtree(fresh.overlay)
    again = fresh.run(*fresh.flow("ingest"), "--again", "2013-02")
    assert "2013-02: 24,951 rows, all keep the contract" in again
    assert fresh.data_version == (PROJECT_ROOT / "data.dvc").read_text()
    assert "The quarantine is empty" in fresh.run(*fresh.command("quarantine"))


def test_a_models_data_is_restored_exactly_without_touching_the_work_tree(trained):
    work_tree = trained.data_version
    output = trained.run(*trained.command("restore", "1", "--into", "old"))
    names = {path.name for path in (trained.folder / "old/batches").iterdir()}
    assert "verified" in output
    assert names == {"2013-01", "2013-02", "2013-03"}
    assert trained.data_version == work_tree


def test_a_model_is_reproduced_to_the_last_bit(trained, monkeypatch):
    monkeypatch.setattr(trained, "python", NEW_PYTHON)
    assert "Metrics and predictions are identical." in trained.run(*trained.command("reproduce", "1"))


def test_training_without_data_stops_with_one_sentence(fresh):
    output, code = fresh.run_unchecked(*fresh.flow("train"))
    assert code != 0
    assert "run `penumbra ingest` first" in output
    assert "Traceback" not in output


def test_an_unknown_setting_stops_the_flow_with_one_sentence(fresh):
    for command in (fresh.flow("train"), fresh.command("train")):
        output, code = fresh.run_unchecked(*command, data__tomorrow="2013-01-01")
        assert code == 1
        assert "unknown setting data.tomorrow" in output
        assert "Traceback" not in output


def test_candidates_do_not_learn_from_the_live_models_failures_and_are_tried_on_them(trained):
    flow = (str(PROJECT_ROOT / "flows/experiment.py"), "--no-pylint", "run", "--only", "hard_negatives")
    later = {"data__today": "2013-07-01"}
    trained.ingest(**later)
    trained.run(*flow, **later)
    assert "loss_on_failures = " in trained.latest_receipt


def kill_in_step(step, process):
    """SIGKILL a flow with all its tasks just when one of this step has begun."""
    assert process.stdout is not None
    assert any(re.search(rf"/{step}/\d+ .*Task is starting", line) for line in process.stdout), step
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def list_card_parts(card):
    """The parts of a Metaflow card, which its page carries as base64."""
    encoded = next(
        text for text in re.findall(r"[A-Za-z0-9+/=]{400,}", card) if b'"components"' in base64.b64decode(text)
    )
    found, waiting = [], [json.loads(base64.b64decode(encoded))]
    while waiting:
        part = waiting.pop()
        children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        found += [part] if isinstance(part, dict) else []
        waiting += [child for child in children if isinstance(child, dict | list)]
    return found


def find_run_id(space):
    return next(line.split("run-id ")[1].split(")")[0] for line in space.output.splitlines() if "run-id" in line)
