"""The trial that an earlier training made on the same rows is found again, and any other is not."""

from dataclasses import replace

import numpy as np
import pytest

from flows.steps.train.matrix_writing import write_matrices
from flows.steps.train.trials import attempts, kept_trials
from penumbra.training.evaluation.evaluate import TrialJob

JOB = TrialJob("boosting")


@pytest.fixture
def tried(run_orders):
    """A run of four months, beside which the winner's trial of a run of three is kept."""
    run = run_orders()
    split, folder = run.plan.split, run.matrices.arrays.folder.parent / "earlier"
    earlier = write_matrices(run.settings, run.matrices.problem, split.before_test, folder)
    trial, _ = earlier.try_candidate(JOB, split.train, split.validation, "test")
    kept_trials.keep_trial(earlier, trial, split.train, split.validation, "test")
    return run, earlier, trial


def find(run, job=JOB):
    return kept_trials.find_trial(run.matrices, job, run.plan.split.train, run.plan.split.validation, "validation")


def rewrite(run, name, place, change):
    values = np.array(run.matrices.arrays.read(name))
    values[place] = change(values[place])
    run.matrices.arrays.write(name, values)


@pytest.mark.slow
def test_a_month_later_the_winners_trial_on_the_test_batches_is_not_made_again(tried, monkeypatch, capsys):
    run, earlier, trial = tried
    monkeypatch.delattr("flows.steps.train.matrices.run_trial")
    (found,) = attempts.run_lane(run.matrices, [JOB], run.plan.split)
    assert "boosting was tried on the same rows by an earlier training" in capsys.readouterr().out
    assert found == replace(trial, began=found.began, ended=found.ended)
    assert trial.ended <= found.began == found.ended
    kept = earlier.arrays.read(f"test-{JOB}")
    np.testing.assert_array_equal(run.matrices.arrays.read(f"validation-{JOB}"), kept)


@pytest.mark.slow
def test_codes_of_categories_count_by_their_order_as_other_batches_bring_other_values(tried):
    run, _, _ = tried
    (position, *_) = run.matrices.columns["categorical"]
    rewrite(run, "inputs", np.s_[:, position], lambda codes: 2 * codes + 1)
    assert find(run)
    rewrite(run, "inputs", np.s_[:, position], np.negative)
    assert not find(run)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inputs", "labels", "lesson/withheld"])
@pytest.mark.parametrize("row", [0, -1], ids=["learnt", "of the test batch"])
def test_another_row_that_is_learnt_from_is_another_trial_and_one_of_the_test_batch_is_none(tried, name, row):
    run, _, _ = tried
    rewrite(run, name, row, lambda values: values == 0)
    assert bool(find(run)) == (row == -1)


@pytest.mark.slow
def test_other_parameters_and_another_loss_are_another_trial(tried):
    run, _, _ = tried
    task = replace(run.matrices.task, loss="brier")
    assert not find(run, replace(JOB, parameters={"max_leaf_nodes": 3}))
    assert not find(replace(run, matrices=replace(run.matrices, task=task)))
    assert find(run)
