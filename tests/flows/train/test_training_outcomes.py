"""Batches whose outcomes are missing, all the same, infinite or new: left out, refused, or scored as far as may be."""

import json
import re

import numpy as np
import pytest

from flows.steps.train import evaluation, final_fit, final_jobs
from flows.steps.train.exclusions import batch_outcomes
from flows.steps.train.release import bundle_completion, outcome, outcome_summary
from flows.steps.train.trials import screening, selection
from penumbra.core.settings import SettingsError
from penumbra.data.batches import DataStore
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import CARD_FILE
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.rejection import TrainingRefused
from tests.flows.train.trained_orders import IMPORT, try_boosting
from tests.helpers.models.finished_trainings import finish_training
from tests.helpers.models.training_runs import FEW_ROWS, admit_batches
from tests.helpers.problems.orders import load_orders

# Batches

KNOWN = '"churned": str(churned).lower(),'


@pytest.mark.slow
def test_a_newest_batch_without_outcomes_is_left_for_later(run_orders):
    run = run_orders(source=[(KNOWN, '"churned": "" if day.month == 4 else str(churned).lower(),')])
    assert (run.plan.split.all, run.plan.facts["remarks"]) == (
        ["2024-01", "2024-02", "2024-03"],
        ["2024-04: no row has an outcome yet"],
    )


@pytest.mark.slow
def test_no_outcome_at_all_is_said(run_orders):
    with pytest.raises(
        ValueError,
        match=r"training needs at least 3 batches .* there are 0: none;.*4 batches, 2024-01 to 2024-04: no row",
    ):
        run_orders(source=[(KNOWN, '"churned": "",')])


@pytest.mark.slow
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
    found = batch_outcomes.count_batch_outcomes(DataStore(settings.data, problem), faulty)
    assert [each.rows for each in found.values()] == [310, 0, 310, 300]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert "\n".join(remarks) in outcome_summary.describe_outcome(outcome_summary.summarise_outcome(made), "1", "live")
    bundle_completion.complete_bundle(made)
    card = (run.matrices.arrays.folder / "bundle" / CARD_FILE).read_text()
    assert f"The verdict: {made.gate.report.overall}." in card
    assert "not recorded" not in card


@pytest.mark.slow
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
    assert re.search(r", both on the [\d,]+ rows of \S+ to \S+ that they are fitted on: margins", remarks[-1])
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


@pytest.mark.slow
def test_a_loss_that_does_not_fit_the_target_stops_a_training_at_the_start(run_orders):
    with pytest.raises(
        SettingsError, match=r"promotion.loss = 'absolute_error': .* is classes: expected auto, log_loss"
    ):
        run_orders({"promotion__loss": "absolute_error"})


@pytest.mark.slow
def test_numbers_whose_squared_errors_overflow_are_refused(run_orders):
    large = [*SPENT, ('pl.col("churned")', 'pl.col("churned") * 1e100')]
    run = run_orders(schema=large, source=AMOUNTS, candidates=REGRESSION)
    with pytest.raises(TrainingRefused, match=r"the outcomes go up to .*e\+102, and squared errors of numbers above"):
        screening.check_outcomes(run.matrices, run.plan.split)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "outcome_of_all"), [("pl.col('churned') * 0.0 + 3", "3.0"), ("pl.col('churned') & False", "False")]
)
def test_equal_outcomes_are_refused_at_the_start(run_orders, target, outcome_of_all):
    run = run_orders(schema=[('pl.col("churned")', target)])
    with pytest.raises(TrainingRefused, match=f"training rows .* have the outcome {outcome_of_all}: nothing can be"):
        screening.screen_run(run.matrices, ["boosting"], run.plan)
