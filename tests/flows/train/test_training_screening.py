"""What is said before anything is fitted, and what becomes of candidates that fail."""

import json
from functools import partial

import numpy as np
import pytest

from flows.steps.doctor import examination
from flows.steps.train import evaluation, excluded_days, experiment_run, final_fit, final_jobs
from flows.steps.train.release import bundle_completion, outcome
from flows.steps.train.trials import attempts, screening, selection
from penumbra.core.problem import ProblemError
from penumbra.core.settings import SettingsError
from penumbra.data.batches import DataStore
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import CARD_FILE
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.rejection import TrainingRefused
from tests.helpers.models.finished_trainings import finish_training
from tests.helpers.models.training_runs import FEW_ROWS, admit_batches, prepare_run
from tests.helpers.problems.orders import load_orders

BOOSTED = """return HistGradientBoostingClassifier(
        categorical_features=columns.categorical, max_iter=20, max_leaf_nodes=6, random_state=1
    )"""
NEVER_NULL = ("amount = dy.Float64(nullable=True", "amount = dy.Float64(nullable=False")
IMPORT = "from sklearn.ensemble import HistGradientBoostingClassifier"
BOOSTING = 'CANDIDATES = {"boosting": Candidate(boosting)}'


@pytest.fixture
def run_orders(tmp_path, monkeypatch):
    """Prepares a run on the orders with few rows and some text replaced."""

    def prepare(settings=(), **changes):
        changes["source"] = [*FEW_ROWS, *changes.get("source", [])]
        return prepare_run(tmp_path / "run", load_orders(tmp_path, **changes), monkeypatch, **dict(settings))

    return prepare


def make_candidate(code):
    """The replacements that make `boosting` this code."""
    return [(IMPORT, "import sklearn.ensemble, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing"),
            (BOOSTED, code)]  # fmt: skip


def try_boosting(run):
    (result,) = attempts.run_lane(run.matrices, [TrialJob("boosting")], run.plan.split)
    return result


# The target


def test_a_target_of_the_numbers_0_and_1_is_refused_when_the_problem_is_loaded(tmp_path):
    schema = [("churned = dy.Bool(nullable=True)", "churned = dy.Int8(nullable=True, min=0, max=1)")]
    with pytest.raises(ProblemError, match=r"the numbers 0 and 1 of 'churned': write pl.col\(\"churned\"\) == 1"):
        load_orders(tmp_path, schema=schema)


def test_a_target_that_is_1_is_binary(tmp_path):
    schema = [
        ("churned = dy.Bool(nullable=True)", "churned = dy.Int8(nullable=True, min=0, max=1)"),
        ('return pl.col("churned")', 'return pl.col("churned") == 1'),
    ]
    assert load_orders(tmp_path, schema=schema)


def test_classifiers_beside_a_numeric_target_are_named_and_nothing_is_trained(run_orders):
    run = run_orders(schema=[('pl.col("churned")', 'pl.col("churned").cast(pl.Float64)')])
    with pytest.raises(TrainingRefused, match=r"DummyClassifier is no regressor and target\(\) gives numbers"):
        screening.screen_run(run.matrices, ["boosting"], run.plan)
    with pytest.raises(TrainingRefused, match="boosting is left out: a HistGradientBoostingClassifier is no regressor"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


# Candidates


def test_a_pipeline_that_refuses_gaps_is_tried_where_the_contract_has_none(run_orders):
    code = (
        "return sklearn.pipeline.make_pipeline("
        "sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression())"
    )
    run = run_orders(schema=[NEVER_NULL], candidates=make_candidate(code))
    assert isinstance(try_boosting(run), Trial)
    assert isinstance(final_fit.try_release(run.matrices, TrialJob("boosting"), run.plan.split), ServingMeasurements)


def test_one_that_refuses_gaps_is_left_out_where_the_contract_has_some(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.linear_model.LogisticRegression()"))
    assert "put a SimpleImputer before it" in try_boosting(run).reason


def test_an_experiment_refuses_what_a_training_leaves_out(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.linear_model.LogisticRegression()"))
    with pytest.raises(TrainingRefused, match=r"boosting is left out: .*; put a SimpleImputer before it"):
        experiment_run.ship_sample(run.matrices, "boosting", run.plan.split)


@pytest.mark.parametrize(
    "code",
    [
        "make_pipeline(sklearn.preprocessing.SplineTransformer(), sklearn.linear_model.LogisticRegression())",
        "make_pipeline(sklearn.preprocessing.StandardScaler(), "
        "sklearn.neural_network.MLPClassifier(solver='sgd', max_iter=5))",
        "sklearn.calibration.CalibratedClassifierCV(sklearn.naive_bayes.GaussianNB(), method='temperature')",
        "sklearn.gaussian_process.GaussianProcessClassifier()",
    ],
)
def test_what_is_made_of_scikit_learns_own_types_is_shipped(run_orders, code):
    imports = "import sklearn.calibration, sklearn.gaussian_process, sklearn.naive_bayes, sklearn.neural_network"
    code = f"from sklearn.pipeline import make_pipeline; {imports}; return {code}"
    run = run_orders(schema=[NEVER_NULL], candidates=make_candidate(code))
    attempts.require_shippable(run.matrices, TrialJob("boosting"), run.plan.split)


def test_a_category_of_more_than_255_values_costs_the_candidate(run_orders):
    run = run_orders(features=[('Category("region")', 'Category("order_id")')])
    assert "a category of boosting may have at most 255 values: fold rare ones" in try_boosting(run).reason


def test_an_estimator_of_the_users_own_type_cannot_be_shipped(run_orders):
    own = """import sklearn.dummy

    class Own(sklearn.dummy.DummyClassifier):
        pass

    return Own()"""
    reason = try_boosting(run_orders(candidates=make_candidate(own))).reason
    assert reason.startswith("model.skops: holds orders_")
    assert "take an estimator that compiles (docs/patterns.md) or is made of scikit-learn's own types" in reason


def test_a_candidate_that_ends_its_process_politely_is_left_out(run_orders):
    run = run_orders(candidates=make_candidate("raise SystemExit('enough')"))
    with pytest.raises(TrainingRefused, match=r"candidates.py, line 12: SystemExit: enough"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


def test_a_failing_candidate_is_located_in_the_users_file(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.ensemble.Forest()"))
    with pytest.raises(TrainingRefused, match=r"candidates.py, line 12: AttributeError: module .* has no attribute"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


def test_a_process_that_died_in_a_trial_is_not_tried_again(run_orders):
    run = run_orders()
    died = partial(attempts.attempt_once, run.matrices, "boosting")

    def vanish():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        died(vanish)
    assert "its process crashed or was killed" in try_boosting(run).reason


def test_what_was_tried_before_the_process_died_is_not_tried_again(run_orders):
    run = run_orders()
    first = try_boosting(run)
    assert try_boosting(run) == first


def test_where_the_best_candidate_cannot_be_released_the_next_best_goes(run_orders, monkeypatch):
    twice = [(BOOSTING, 'CANDIDATES = {"boosting": Candidate(boosting), "same": Candidate(boosting)}')]
    run = run_orders(candidates=twice)
    jobs = [TrialJob("boosting"), TrialJob("same")]
    trials, rejections = selection.split_results(attempts.run_lane(run.matrices, jobs, run.plan.split))
    assert (len(trials), rejections) == (2, [])
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    attempts.attempt_once(run.matrices, "boosting", partial(int, "x"), "final-release-boosting")
    final = final_fit.settle_winner(run.settings, run.plan, run.matrices, jobs, baseline)
    assert (final.winner.candidate, [each.candidate for each in final.rejections]) == ("same", ["boosting"])
    assert {path.name for path in (run.matrices.arrays.folder / "bundle").iterdir()} == {
        "attributions.npz",
        "model.onnx",
        "probe.npz",
        "reference.parquet",
    }


def test_a_doctor_that_fails_is_skipped_with_the_reason(run_orders, monkeypatch):
    run = run_orders()
    monkeypatch.setattr(examination, "list_unaccepted_findings", lambda *_: 1 / 0)
    assert (
        final_fit.examine_data(run.settings, run.matrices) == "the doctor failed: ZeroDivisionError: division by zero"
    )


def test_where_none_can_be_released_nothing_is_registered(run_orders):
    run = run_orders()
    attempts.attempt_once(run.matrices, "boosting", partial(int, "x"), "final-release-boosting")
    try_boosting(run)
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    with pytest.raises(TrainingRefused, match="nothing was registered: boosting is left out: ValueError"):
        final_fit.settle_winner(run.settings, run.plan, run.matrices, [TrialJob("boosting")], baseline)


def test_a_failing_baseline_has_a_sentence_of_its_own(run_orders):
    run = run_orders(candidates=[('DummyClassifier(strategy="prior")', 'DummyClassifier(strategy="mode")')])
    with pytest.raises(TrainingRefused, match=r"nothing can be compared with baseline\(\) .*strategy"):
        screening.require_baseline(run.matrices, run.plan.split)


# Batches

KNOWN = '"churned": str(churned).lower(),'


def test_a_newest_batch_without_outcomes_is_left_for_later(run_orders):
    run = run_orders(source=[(KNOWN, '"churned": "" if day.month == 4 else str(churned).lower(),')])
    assert (run.plan.split.all, run.plan.facts["remarks"]) == (
        ["2024-01", "2024-02", "2024-03"],
        ["2024-04: no row has an outcome yet"],
    )


def test_no_outcome_at_all_is_said(run_orders):
    with pytest.raises(
        ValueError,
        match=r"training needs at least 3 batches .* there are 0: none;.*4 batches, 2024-01 to 2024-04: no row",
    ):
        run_orders(source=[(KNOWN, '"churned": "",')])


def test_a_newest_batch_of_one_class_is_scored_by_what_is_defined_and_said(run_orders):
    run = run_orders(source=[(KNOWN, '"churned": "false" if day.month == 4 else str(churned).lower(),')])
    _, remarks = screening.screen_run(run.matrices, ["boosting"], run.plan)
    assert remarks == [
        "all 300 rows of 2024-04 have the outcome False: not enough data to tell how well a model tells outcomes apart"
    ]
    try_boosting(run)
    tested = final_fit.score_winner(run.settings, run.matrices, TrialJob("boosting"), run.plan.split)
    assert list(tested.scores) == ["log_loss"]


def test_a_batch_with_faults_on_every_day_is_left_out(tmp_path):
    problem = load_orders(tmp_path, source=FEW_ROWS)
    settings = admit_batches(tmp_path / "data", problem)
    faulty = {f"2024-02-{day:02}": [["age", "age is frozen"]] for day in range(1, 30)}
    found = excluded_days.count_batch_outcomes(DataStore(settings.data, problem), faulty)
    assert [each.rows for each in found.values()] == [310, 0, 310, 300]


def test_training_rows_of_one_class_are_refused(run_orders):
    run = run_orders(source=[(KNOWN, '"churned": "false" if day.month < 3 else str(churned).lower(),')])
    with pytest.raises(TrainingRefused, match=r"all 600 training rows \(2024-01 to 2024-02\) have the outcome False"):
        screening.screen_run(run.matrices, ["boosting"], run.plan)


ENUM = [
    ("churned = dy.Bool(nullable=True)", 'churned = dy.Enum(["no", "yes", "moved", "died"], nullable=True)'),
    ('OUTCOME = {"churned": False}', 'OUTCOME = {"churned": "no"}'),
]
CLASSES = [
    (KNOWN, '"churned": "moved" if day.month == 4 and n == 3 else ("yes" if churned else "no"),'),
    ('for name in ("member", "churned")', 'for name in ("member",)'),
]


def test_a_class_that_the_training_rows_lack_has_no_probability_until_it_is_learnt(run_orders):
    run = run_orders(schema=ENUM, source=CLASSES)
    _, remarks = screening.screen_run(run.matrices, ["boosting"], run.plan)
    assert remarks == [
        "the training rows (2024-01 to 2024-02) have no 'moved', which first occurs in 2024-04: it is given the "
        "probability 0 until it has been learnt",
        "the training rows (2024-01 to 2024-02) have no 'died', which occurs in no batch: it is given the "
        "probability 0 until it has been learnt",
    ]
    assert isinstance(try_boosting(run), Trial)
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    job = TrialJob("boosting")
    final_fit.settle_winner(run.settings, run.plan, run.matrices, [job], baseline)
    session, _ = bundle.load_bundle_model(run.matrices.arrays.folder / "bundle", ["model.onnx"])
    inputs = np.asarray(run.matrices.read_evaluation_set(["2024-04"])[0])
    (answers,) = session.run(None, {"inputs": inputs})
    assert answers.shape == (300, 4)
    assert (answers[:, 2].max() > 0.01, answers[:, 3].max()) == (True, 0.0)
    np.testing.assert_allclose(answers.sum(axis=1), 1)


NUMBER = [('pl.col("churned")', 'pl.when("churned").then(1.5).otherwise(pl.lit(1.0) / 0)')]


def test_outcomes_that_are_infinite_are_no_outcomes_and_said(run_orders):
    run = run_orders(schema=NUMBER)
    assert np.isfinite(run.matrices.arrays.read("labels")).all()
    assert run.plan.facts["remarks"][0].endswith("outcomes are NaN or infinite, from which nothing is learnt")


# To the end

SPENT = [
    ("churned = dy.Bool(nullable=True)", "churned = dy.Float64(nullable=True)"),
    ('OUTCOME = {"churned": False}', 'OUTCOME = {"churned": 20.5}'),
]
AMOUNTS = [(KNOWN, '"churned": str(amount),'), ('for name in ("member", "churned")', 'for name in ("member",)')]
REGRESSION = [
    (IMPORT, IMPORT.replace("Classifier", "Regressor")),
    ("return HistGradientBoostingClassifier(", "return HistGradientBoostingRegressor("),
    ("from sklearn.dummy import DummyClassifier", "from sklearn.dummy import DummyRegressor"),
    ('DummyClassifier(strategy="prior")', "DummyRegressor()"),
]
ODD_RUNS = {
    "no slices": {},
    "one class in the test batch": {
        "source": [(KNOWN, '"churned": "true" if day.month == 4 else str(churned).lower(),')]
    },
    "numbers": {"schema": SPENT, "source": AMOUNTS, "candidates": REGRESSION},
    "large numbers": {
        "schema": [*SPENT, ('pl.col("churned")', 'pl.col("churned") * 1e60')],
        "source": AMOUNTS,
        "candidates": REGRESSION,
    },
    "equal numbers in the test batch": {
        "schema": SPENT,
        "source": [*AMOUNTS, ("str(amount)", "str(amount if day.month < 4 else 3.0)")],
        "candidates": REGRESSION,
    },
    "a class that is new in the test batch": {"schema": ENUM, "source": CLASSES},
    "a day a batch": {"source": [("for n in range((after - first).days)", "for n in range(1)")]},
    "a row a day": {"source": [("ROWS_PER_DAY = 10", "ROWS_PER_DAY = 1")]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_RUNS)
def test_odd_rows_end_in_a_verdict(run_orders, name):
    run = run_orders(**ODD_RUNS[name])
    rejections, remarks = screening.screen_run(run.matrices, ["boosting"], run.plan)
    trials, _ = selection.split_results([*rejections, try_boosting(run)])
    ranking = selection.rank_candidates(run.settings, run.plan, run.matrices, trials)
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    final = final_fit.settle_winner(run.settings, run.plan, run.matrices, ranking, baseline)
    made = outcome.evaluate_winner(run.settings, run.plan, run.matrices, final, trials, remarks)
    evaluation.write_evaluation(made)
    assert made.gate.report.overall in ("pass", "fail", "not enough data")
    assert "\n".join(remarks) in outcome.describe_outcome(outcome.summarise_outcome(made), "1", "live")
    bundle_completion.complete_bundle(made)
    card = (run.matrices.arrays.folder / "bundle" / CARD_FILE).read_text()
    assert f"The verdict: {made.gate.report.overall}." in card
    assert "not recorded" not in card


def test_what_a_task_has_evaluated_is_not_evaluated_again(run_orders, monkeypatch):
    run = run_orders()
    parts = run.settings, run.plan, run.matrices
    trial = try_boosting(run)
    final_jobs.release_winner_once(*parts, trial.job)
    baseline = final_jobs.evaluate_winner_once(*parts, trial.job)
    for name in ("find_worst_slices", "score_slices"):
        monkeypatch.delattr(f"penumbra.training.evaluation.slices.{name}")
    monkeypatch.delattr("flows.steps.train.release.served_forms.compare_served_forms")
    final = final_fit.settle_winner(*parts, [trial.job], baseline)
    made = outcome.evaluate_winner(*parts, final, [trial], [])
    assert set(evaluation.write_evaluation(made)) >= {"roc", "gate"}
    assert "forms" in {check.name for check in made.gate.report.checks}


@pytest.mark.slow
def test_a_training_is_judged_by_the_loss_of_the_setting(run_orders):
    by_quantile = (
        "return HistGradientBoostingRegressor(",
        'return HistGradientBoostingRegressor(loss="quantile", quantile=0.9,',
    )
    candidates = [*REGRESSION, by_quantile]
    run = run_orders({"promotion__loss": "quantile_0.9"}, schema=SPENT, source=AMOUNTS, candidates=candidates)
    _, remarks = screening.screen_run(run.matrices, ["boosting"], run.plan)
    assert remarks[-1].startswith("by quantile loss (0.9) the baseline of problem/candidates.py loses")
    trial = try_boosting(run)
    made = finish_training(run, trial, remarks)
    assert (next(iter(trial.scores)), next(iter(made.gate.intervals))) == ("quantile_0.9", "quantile_0.9")
    assert trial.scores["coverage"] == pytest.approx(0.9, abs=0.1)
    checks = {check.name: check for check in made.gate.report.checks}
    assert checks["baseline"].sentence.startswith("quantile loss (0.9) less the baseline model's: -")
    assert checks["compiled"].measured < 1e-9
    facts = json.loads((bundle_completion.complete_bundle(made) / "bundle.json").read_text())
    assert facts["task"]["loss"] == "quantile_0.9"
    assert facts["baseline"] == np.quantile(run.matrices.arrays.read("labels"), 0.9)


def test_a_loss_that_does_not_fit_the_target_stops_a_training_at_the_start(run_orders):
    with pytest.raises(
        SettingsError, match=r"promotion.loss = 'absolute_error': .* is classes: expected auto, log_loss"
    ):
        run_orders({"promotion__loss": "absolute_error"})


def test_numbers_whose_squared_errors_overflow_are_refused(run_orders):
    large = [*SPENT, ('pl.col("churned")', 'pl.col("churned") * 1e100')]
    run = run_orders(schema=large, source=AMOUNTS, candidates=REGRESSION)
    with pytest.raises(TrainingRefused, match=r"the outcomes go up to .*e\+102, and squared errors of numbers above"):
        screening.check_outcomes(run.matrices, run.plan.split)


@pytest.mark.parametrize(
    ("target", "outcome_of_all"), [("pl.col('churned') * 0.0 + 3", "3.0"), ("pl.col('churned') & False", "False")]
)
def test_equal_outcomes_are_refused_at_the_start(run_orders, target, outcome_of_all):
    run = run_orders(schema=[('pl.col("churned")', target)])
    with pytest.raises(TrainingRefused, match=f"training rows .* have the outcome {outcome_of_all}: nothing can be"):
        screening.screen_run(run.matrices, ["boosting"], run.plan)
