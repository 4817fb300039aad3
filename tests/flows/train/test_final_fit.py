"""The winner's last jobs: its reference is what a version is watched by."""

import pytest

from flows.steps.train import final_fit
from flows.steps.train.trials import attempts
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.registry.bundles import bundle
from penumbra.training.evaluation.evaluate import TrialJob
from tests.helpers.models.training_runs import FEW_ROWS, prepare_run
from tests.helpers.problems.orders import load_orders

NEVER_IN_THE_WEST = ("str(churned).lower(),", 'str(churned).lower() if region != "west" else "",')


@pytest.mark.slow
def test_rows_without_an_outcome_are_kept_beside_the_reference_with_predictions(tmp_path, monkeypatch):
    problem = load_orders(tmp_path, source=[*FEW_ROWS, NEVER_IN_THE_WEST])
    run, job = prepare_run(tmp_path / "run", problem, monkeypatch), TrialJob("boosting")
    attempts.run_lane(run.matrices, [job], run.plan.split)
    final_fit.score_winner(run.settings, run.matrices, job, run.plan.split)
    folder = run.matrices.arrays.folder / "bundle"
    reference, unlabelled = bundle.read_reference_rows(folder), bundle.read_unlabelled_rows(folder)
    assert reference.schema == unlabelled.schema
    assert set(reference["region"]) == {"north", "south"}
    assert set(unlabelled["region"]) == {"west"}
    assert unlabelled[LABEL_COLUMN].is_null().all()
    assert unlabelled[PREDICTION_COLUMN].is_between(0, 1, closed="none").all()
    assert reference["order_id"].n_unique() + unlabelled["order_id"].n_unique() == 10 * 61  # March and April
