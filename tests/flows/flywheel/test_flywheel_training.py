"""Training with flywheel batches: weights reach the fit, nothing is judged on picked rows, and it can be reproduced."""

import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest

from flows.steps.doctor import examination
from flows.steps.model_version import ModelVersion
from flows.steps.train import live_model, matrices, matrix_writing, plan
from monitoring.dashboard.overview.cards import build_data_card
from penumbra.core.columns import FLYWHEEL_COLUMN, WEIGHT_COLUMN
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import bring_back_files, find_changed_files
from penumbra.data.versioning.restoring import restore_data_version
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.fit import fit_estimator
from tests.helpers.files import make_dvc_repository
from tests.helpers.models.training_runs import prepare_run
from tests.helpers.problems.fed_orders import feed, log_answer, log_order, log_outcome, open_fed_project, open_store

BATCH = "2024-04+flywheel-2024-06-01"


def log_labelled_orders(folder, probabilities=(0.05, 1.0), count=40):
    """As many orders of May, labelled by people; every other one was picked with the first chance."""
    for number in range(1, count + 1):
        name = log_order(folder, number, day=1 + number % 28)
        log_answer(folder, name, churned=number % 3 == 0, probability=probabilities[number % 2])


def record_version(folder, settings):
    make_dvc_repository(folder)
    return versions.record_data_version(settings.data)


def fit_boosting(made, batches):
    estimator = made.make_estimator(TrialJob("boosting"))
    fit_estimator(estimator, made.build_training_set("boosting", batches))
    return estimator


@pytest.fixture
def fed(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_labelled_orders(tmp_path)
    feed(settings, problem)
    record_version(tmp_path, settings)
    return settings, problem


@pytest.mark.slow
def test_rows_that_were_picked_are_learnt_from_and_nothing_is_judged_on_them(fed):
    split = plan.make_plan(*fed).split
    assert (split.train, split.validation, split.test) == (["2024-01", "2024-02"], ["2024-03"], ["2024-04"])
    assert (split.release_only, split.all[-1]) == ([BATCH], BATCH)


@pytest.mark.slow
def test_a_batch_whose_rows_all_stand_for_themselves_is_judged_on_like_any_other(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    for number in range(1, 41):
        log_order(tmp_path, number)
        log_outcome(tmp_path, number, churned=number % 3 == 0)
    feed(settings, problem)
    record_version(tmp_path, settings)
    split = plan.make_plan(settings, problem).split
    assert (split.validation, split.test, split.release_only) == (["2024-04"], [BATCH], [])


@pytest.mark.slow
def test_the_released_model_counts_rows_by_their_weights_and_trials_have_none(fed, tmp_path):
    made = matrix_writing.write_matrices(*fed, ["2024-01", "2024-04", BATCH], tmp_path / "run")
    training = made.build_training_set("boosting", ["2024-01", "2024-04", BATCH])
    assert training.weights[:-40].tolist() == [1.0] * (len(training.y) - 40)
    assert training.weights[-40:].mean() == pytest.approx(1)
    root = 20**0.5
    assert set(np.round(training.weights[-40:], 6)) == {round(2 * root / (root + 1), 6), round(2 / (root + 1), 6)}
    weighted = fit_boosting(made, ["2024-01", "2024-04", BATCH]).predict_proba(training.inputs)
    plain = made.make_estimator(TrialJob("boosting"))
    fit_estimator(plain, dataclasses.replace(training, weights=None))
    assert np.abs(weighted - plain.predict_proba(training.inputs)).max() > 0.001


@pytest.mark.slow
def test_without_picked_rows_no_weights_are_written_and_the_fit_is_the_same_to_the_last_bit(tmp_path, monkeypatch):
    settings, problem = open_fed_project(tmp_path)
    before = matrix_writing.write_matrices(settings, problem, ["2024-01", "2024-02"], tmp_path / "before")
    for number in range(1, 41):
        log_order(tmp_path, number)
        log_outcome(tmp_path, number, churned=number % 3 == 0)
    feed(settings, problem)
    after = matrix_writing.write_matrices(settings, problem, ["2024-01", "2024-02", BATCH], tmp_path / "after")
    assert not after.arrays.has(matrices.WEIGHTS_ARRAY)
    inputs, _ = before.read_evaluation_set(["2024-02"])
    models = [fit_boosting(made, ["2024-01", "2024-02"]) for made in (before, after)]
    first, second = (model.predict_proba(inputs) for model in models)
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_candidate_that_takes_no_weights_is_left_out_with_the_remedy(tmp_path, monkeypatch):
    from flows.steps.train.trials.attempts import attempt_once

    settings, problem = open_fed_project(
        tmp_path,
        candidates=[
            (
                "from sklearn.ensemble import HistGradientBoostingClassifier",
                "from sklearn.neighbors import KNeighborsClassifier",
            ),
            (
                "HistGradientBoostingClassifier(\n        categorical_features=columns.categorical, max_iter=20, "
                "max_leaf_nodes=6, random_state=1\n    )",
                "KNeighborsClassifier()",
            ),
        ],
    )
    log_labelled_orders(tmp_path)
    feed(settings, problem)
    made = matrix_writing.write_matrices(settings, problem, ["2024-01", BATCH], tmp_path / "run")
    rejection = attempt_once(made, "boosting", lambda: fit_boosting(made, ["2024-01", BATCH]))
    assert str(rejection.reason).startswith("KNeighborsClassifier takes no weights of rows (its fit has no")


@pytest.mark.slow
def test_what_the_source_brings_later_was_learnt_by_a_model_that_learnt_it_from_the_flywheel(fed, tmp_path):
    settings, problem = fed
    store = open_store(settings, problem)
    lines = [f"{number},2024-05-01T12:00:00,west,20.0,40,true,false\n" for number in (1, 1001)]
    store.stage("2024-05", {"orders.csv": ("order_id,at,region,amount,age,member,churned\n" + "".join(lines)).encode()})
    store.admit(["2024-05"])
    rows = plan.read_training_rows(settings, problem, ["2024-05"])
    assert rows.select("order_id", FLYWHEEL_COLUMN, WEIGHT_COLUMN).rows() == [(1, BATCH, 1.0), (1001, None, 1.0)]

    class Live:
        facts = {"train": ["2024-01"], "validation": ["2024-02"], "test": ["2024-03"], "release_only": [BATCH]}
        task, path = matrices.Task("binary"), tmp_path

        def score(self, rows):
            return np.full(rows.height, 0.5)

    pl.DataFrame({"penumbra.batch": [], "penumbra.label": [], "penumbra.prediction": []}).write_parquet(
        tmp_path / "reference.parquet"
    )
    assert str(live_model.predict_held_out(Live(), rows, ["order_id"]).tolist()) == "[nan, 0.5]"


@pytest.mark.slow
def test_a_restored_version_with_a_flywheel_batch_gives_the_same_matrices(fed, tmp_path):
    settings, problem = fed
    split = plan.make_plan(settings, problem).split
    first = matrix_writing.write_matrices(settings, problem, split.all, tmp_path / "first")
    pointer = versions.get_dvc_file(settings.data).read_text()
    restore_data_version(settings.data, pointer, tmp_path / "restored")
    data = settings.data.model_copy(update={"folder": tmp_path / "restored", "derived": tmp_path / "derived again"})
    then = settings.model_copy(update={"data": data})
    second = matrix_writing.write_matrices(then, problem, split.all, tmp_path / "second")
    for name in ("inputs", "labels", "weights"):
        np.testing.assert_array_equal(first.arrays.read(name), second.arrays.read(name))


@pytest.mark.slow
def test_the_doctor_examines_the_sources_rows(fed):
    data = examination.ExaminedData(open_store(*fed))
    assert (data.batches[-1], data.rows["penumbra.batch"].n_unique()) == ("2024-04", 4)


@pytest.mark.slow
def test_the_overview_counts_flywheel_batches_apart_and_a_model_is_as_new_as_what_it_learnt(fed, tmp_path):
    settings, problem = fed
    lines = dict(build_data_card(settings.data, problem).lines)
    assert lines["batches"] == "4: 2024-01 to 2024-04"
    assert lines["flywheel"] == "1 more of what was labelled, until 2024-06-01"
    facts = {"train": ["2024-01"], "test": ["2024-04"], "release_only": [BATCH]}
    assert ModelVersion(tmp_path, facts, problem).learnt == dt.date(2024, 6, 1)


@pytest.mark.slow
def test_a_changed_byte_of_a_flywheel_batch_is_brought_back(fed, tmp_path):
    settings, _ = fed
    file = settings.data.folder / "batches" / BATCH / "rows.ndjson"
    before = file.read_bytes()
    file.write_bytes(before.replace(b'"penumbra.weight":20.0', b'"penumbra.weight":90.0'))
    bring_back_files(settings.data, find_changed_files(settings.data))
    assert file.read_bytes() == before


@pytest.mark.slow
def test_a_run_on_orders_is_planned_as_before_where_no_batch_was_made(tmp_path, monkeypatch):
    _, problem = open_fed_project(tmp_path / "other")
    run = prepare_run(tmp_path, problem, monkeypatch)
    assert run.plan.split.release_only == run.plan.facts["release_only"] == []
    assert run.matrices.read_weights(run.plan.split.all) is None
