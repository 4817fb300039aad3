"""What is said before anything is fitted, and what becomes of candidates that fail."""

from functools import partial

import pytest

from flows.steps.doctor import examination
from flows.steps.train import experiment_run, final_fit
from flows.steps.train.trials import attempts, screening, selection
from penumbra.core.problem import ProblemError
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.rejection import TrainingRefused
from tests.flows.train.trained_orders import BOOSTED, IMPORT, try_boosting
from tests.helpers.problems.orders import load_orders

NEVER_NULL = ("amount = dy.Float64(nullable=True", "amount = dy.Float64(nullable=False")
BOOSTING = 'CANDIDATES = {"boosting": Candidate(boosting)}'


def make_candidate(code):
    """The replacements that make `boosting` this code."""
    return [(IMPORT, "import sklearn.ensemble, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing"),
            (BOOSTED, code)]  # fmt: skip


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


@pytest.mark.slow
def test_classifiers_beside_a_numeric_target_are_named_and_nothing_is_trained(run_orders):
    run = run_orders(schema=[('pl.col("churned")', 'pl.col("churned").cast(pl.Float64)')])
    with pytest.raises(TrainingRefused, match=r"DummyClassifier is no regressor and target\(\) gives numbers"):
        screening.screen_run(run.matrices, ["boosting"], run.plan)
    with pytest.raises(TrainingRefused, match="boosting is left out: a HistGradientBoostingClassifier is no regressor"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


@pytest.mark.slow
@pytest.mark.parametrize(("above", "remarks"), [("1", 0), ("2", 1)])
def test_a_candidate_that_cuts_what_it_learns_elsewhere_than_the_target_is_named(run_orders, above, remarks):
    code = f"from penumbra.patterns import Reframed; return Reframed(sklearn.linear_model.Ridge(), above={above})"
    learns = 'Candidate(boosting, learns=pl.col("churned") * 2.0)'
    changes = [(BOOSTING, f"import polars as pl\n\n{BOOSTING.replace('Candidate(boosting)', learns)}")]
    run = run_orders(candidates=[*make_candidate(code), *changes])
    found = [said for said in screening.screen_run(run.matrices, ["boosting"], run.plan)[1] if "boosting" in said]
    assert len(found) == remarks


@pytest.mark.slow
def test_a_pipeline_that_refuses_gaps_is_tried_where_the_contract_has_none(run_orders):
    code = (
        "return sklearn.pipeline.make_pipeline("
        "sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression())"
    )
    run = run_orders(schema=[NEVER_NULL], candidates=make_candidate(code))
    assert isinstance(try_boosting(run), Trial)
    assert isinstance(final_fit.try_release(run.matrices, TrialJob("boosting"), run.plan.split), ServingMeasurements)


@pytest.mark.slow
def test_one_that_refuses_gaps_is_left_out_where_the_contract_has_some(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.linear_model.LogisticRegression()"))
    assert "put a SimpleImputer before it" in try_boosting(run).reason


@pytest.mark.slow
def test_an_experiment_refuses_what_a_training_leaves_out(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.linear_model.LogisticRegression()"))
    with pytest.raises(TrainingRefused, match=r"boosting is left out: .*; put a SimpleImputer before it"):
        experiment_run.ship_sample(run.matrices, "boosting", run.plan.split)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_category_of_more_than_255_values_costs_the_candidate(run_orders):
    run = run_orders(features=[('Category("region")', 'Category("order_id")')])
    assert "a category of boosting may have at most 255 values: fold rare ones" in try_boosting(run).reason


@pytest.mark.slow
def test_an_estimator_of_the_users_own_type_cannot_be_shipped(run_orders):
    own = """import sklearn.dummy

    class Own(sklearn.dummy.DummyClassifier):
        pass

    return Own()"""
    reason = try_boosting(run_orders(candidates=make_candidate(own))).reason
    assert reason.startswith("model.skops: holds orders_")
    assert "take an estimator that compiles (docs/patterns.md) or is made of scikit-learn's own types" in reason


@pytest.mark.slow
def test_a_candidate_that_ends_its_process_politely_is_left_out(run_orders):
    run = run_orders(candidates=make_candidate("raise SystemExit('enough')"))
    with pytest.raises(TrainingRefused, match=r"candidates.py, line 12: SystemExit: enough"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


@pytest.mark.slow
def test_a_failing_candidate_is_located_in_the_users_file(run_orders):
    run = run_orders(candidates=make_candidate("return sklearn.ensemble.Forest()"))
    with pytest.raises(TrainingRefused, match=r"candidates.py, line 12: AttributeError: module .* has no attribute"):
        screening.screen_candidates(run.matrices, ["boosting"], run.plan.split)


@pytest.mark.slow
def test_a_process_that_died_in_a_trial_is_not_tried_again(run_orders):
    run = run_orders()
    died = partial(attempts.attempt_once, run.matrices, "boosting")

    def vanish():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        died(vanish)
    assert "its process crashed or was killed" in try_boosting(run).reason


@pytest.mark.slow
def test_what_was_tried_before_the_process_died_is_not_tried_again(run_orders):
    run = run_orders()
    first = try_boosting(run)
    assert try_boosting(run) == first


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_doctor_that_fails_is_skipped_with_the_reason(run_orders, monkeypatch):
    run = run_orders()
    monkeypatch.setattr(examination, "list_unaccepted_findings", lambda *_: 1 / 0)
    assert (
        final_fit.examine_data(run.settings, run.matrices) == "the doctor failed: ZeroDivisionError: division by zero"
    )


@pytest.mark.slow
def test_where_none_can_be_released_nothing_is_registered(run_orders):
    run = run_orders()
    attempts.attempt_once(run.matrices, "boosting", partial(int, "x"), "final-release-boosting")
    try_boosting(run)
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    with pytest.raises(TrainingRefused, match="nothing was registered: boosting is left out: ValueError"):
        final_fit.settle_winner(run.settings, run.plan, run.matrices, [TrialJob("boosting")], baseline)


@pytest.mark.slow
def test_a_failing_baseline_has_a_sentence_of_its_own(run_orders):
    run = run_orders(candidates=[('DummyClassifier(strategy="prior")', 'DummyClassifier(strategy="mode")')])
    with pytest.raises(TrainingRefused, match=r"nothing can be compared with baseline\(\) .*strategy"):
        screening.require_baseline(run.matrices, run.plan.split)
