"""The limits of a version's sets and intervals: measured on rows that the fits which predict them don't know."""

import msgspec
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from flows.steps.train import final_fit
from flows.steps.train.plan import read_training_rows
from flows.steps.train.release import bundle_completion, conformal_calibration
from flows.steps.train.trials import attempts, screening
from penumbra.core.day_folds import assign_day_folds
from penumbra.core.metrics.conformal import ConformalLimits, describe_uncertainty
from penumbra.registry.bundles import bundle
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.rejection import TrainingRefused
from tests.helpers.models.finished_trainings import finish_training, fit_trial
from tests.helpers.models.training_runs import FEW_ROWS, prepare_run
from tests.helpers.problems.orders import load_orders

JOB = TrialJob("boosting")
IMPORT = "from sklearn.ensemble import HistGradientBoostingClassifier"
BOOSTED = """return HistGradientBoostingClassifier(
        categorical_features=columns.categorical, max_iter=20, max_leaf_nodes=6, random_state=1
    )"""
CODES = {
    "boosting": BOOSTED,
    "memory": "return sklearn.tree.DecisionTreeClassifier(random_state=1)",
    "cascade": "from penumbra.patterns import Cascade; tree = sklearn.tree.DecisionTreeClassifier; "
    "return Cascade(tree(max_depth=2), tree(max_depth=6), budget=0.01)",
    "not compiled": "return sklearn.ensemble.BaggingClassifier(random_state=1)",
}


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Prepares a training of one candidate with this code on the orders."""

    def prepare_orders(name="boosting", candidate="Candidate(boosting)", **settings):
        code = [
            (
                IMPORT,
                "import sklearn.ensemble, sklearn.tree; from sklearn.ensemble import HistGradientBoostingClassifier",
            ),
            (BOOSTED, CODES[name]),
            ('CANDIDATES = {"boosting": Candidate(boosting)}', f'CANDIDATES = {{"boosting": {candidate}}}'),
        ]
        problem = load_orders(tmp_path, source=FEW_ROWS, candidates=code)
        return prepare_run(tmp_path / "run", problem, monkeypatch, **settings)

    return prepare_orders


def read_days(run, batches):
    rows = read_training_rows(run.settings, run.matrices.problem, batches)
    return rows[run.matrices.problem.schema.TIME].dt.date().to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boosting", "memory"])
def test_across_days_each_row_is_predicted_by_a_fit_on_the_other_spans(prepare, name):
    run = prepare(name, uncertainty__method="cross")
    conformal_calibration.write_cross_predictions(run.matrices, JOB, run.plan.split)
    inputs, labels = run.matrices.read_evaluation_set(run.plan.split.all)
    spans = PredefinedSplit(assign_day_folds(read_days(run, run.plan.split.all), 5))
    estimator = clone(run.matrices.make_estimator(JOB))
    expected = cross_val_predict(estimator, inputs, labels, cv=spans, method="predict_proba")[:, 1]
    found = run.matrices.arrays.read("cross-boosting")
    assert found == pytest.approx(expected)
    if name == "memory":  # which knows each row that it has learnt
        assert (found.round() == labels).mean() < 0.9


@pytest.mark.slow
def test_a_candidate_with_a_window_is_measured_on_the_batches_that_it_learns_from(prepare):
    run = prepare("boosting", "Candidate(boosting, window=2)", uncertainty__method="cross")
    conformal_calibration.write_cross_predictions(run.matrices, JOB, run.plan.split)
    latest = run.plan.split.all[-2:]
    assert len(run.matrices.arrays.read("cross-boosting")) == len(read_days(run, latest))
    found = conformal_calibration.calibrate_winner(run.settings.uncertainty, run.matrices, JOB, run.plan.split)
    assert (found.method, found.rows) == ("cross", len(read_days(run, latest)))


@pytest.mark.slow
def test_held_out_rows_that_count_for_more_than_one_have_no_part(prepare):
    run = prepare()
    attempts.run_lane(run.matrices, [JOB], run.plan.split)
    final_fit.score_winner(run.settings, run.matrices, JOB, run.plan.split)
    held_out = run.plan.split.validation + run.plan.split.test
    rows = len(run.matrices.read_evaluation_set(held_out)[1])
    calibrate = conformal_calibration.calibrate_winner
    assert calibrate(run.settings.uncertainty, run.matrices, JOB, run.plan.split).rows == rows
    weights = np.ones(len(run.matrices.arrays.read("labels")))
    weights[-5:] = 2
    run.matrices.arrays.write("weights", weights)
    assert calibrate(run.settings.uncertainty, run.matrices, JOB, run.plan.split).rows == rows - 5


@pytest.mark.slow
def test_a_candidate_that_learns_from_a_single_day_is_left_out_across_days_before_anything_is_fitted(prepare):
    run = prepare("boosting", "Candidate(boosting, window=1)", uncertainty__method="cross")
    screen = screening.screen_candidates
    assert screen(run.matrices, ["boosting"], run.plan.split) == []
    latest = len(read_days(run, run.plan.split.all[-1:]))
    days = np.array(run.matrices.arrays.read("days"))
    days[-latest:] = days[-1]
    run.matrices.arrays.write("days", days)
    with pytest.raises(TrainingRefused, match=rf'uncertainty\.method is "cross".*all {latest:,} rows that it learns'):
        screen(run.matrices, ["boosting"], run.plan.split)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boosting", "cascade", "not compiled"])
@pytest.mark.parametrize("method", ["split", "cross"])
def test_a_version_has_the_limits_of_its_training_whatever_its_model_is(prepare, name, method):
    run = prepare(name, uncertainty__method=method, uncertainty__coverage="0.8")
    made = finish_training(run, fit_trial(run, JOB))
    loaded = bundle.read_bundle(bundle_completion.complete_bundle(made), run.matrices.problem)
    expected = conformal_calibration.calibrate_winner(run.settings.uncertainty, run.matrices, JOB, run.plan.split)
    assert loaded.limits == expected
    assert (expected.coverage, expected.method) == (0.8, method)
    assert (loaded.session is None) == (name == "not compiled")
    inputs, labels = run.matrices.read_evaluation_set(run.plan.split.test)
    if method == "split":  # by the same fits the share is kept on the very rows, exactly
        reference = bundle.read_reference_rows(loaded.path)
        known = reference["penumbra.label"].to_numpy(), reference["penumbra.prediction"].to_numpy()
        assert expected == ConformalLimits.calibrate(loaded.task, *known, 0.8)
        assert expected.find_covered(*known).mean() >= 0.8
    described = describe_uncertainty(expected, loaded.predictions(inputs))
    assert len(described) == len(labels)
    assert msgspec.json.decode(msgspec.json.encode(described)) == described
