"""A recipe of another name that predicts what the live model's did is the same one: only words have changed."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.steps.train.matrix_writing import write_matrices
from flows.steps.train.plan import TrainingPlan
from flows.steps.train.release import bundle_completion
from flows.steps.train.trials import selection
from penumbra.registry.bundles.manifest import read_manifest
from penumbra.registry.bundles.version_facts import have_same_recipe
from penumbra.training.evaluation.evaluate import TrialJob
from tests.helpers.models.finished_trainings import finish_training, fit_trial, train_live_orders
from tests.helpers.models.training_runs import PreparedRun

LIVE, OTHER = TrialJob("boosting"), TrialJob("boosting", 1, {"max_leaf_nodes": 2})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> PreparedRun:
    """A run on orders whose model is live."""
    return train_live_orders(tmp_path_factory.mktemp("project"), migrated_database)


@pytest.fixture
def reworded(trained: PreparedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedRun:
    """The next run on the same data, by code that differs from the live model's, as far as its bytes tell."""
    name = TrainingPlan.fingerprint_recipe
    monkeypatch.setattr(TrainingPlan, "fingerprint_recipe", lambda plan, job: f"reworded {name(plan, job)}")
    problem, batches = trained.matrices.problem, trained.plan.split.all
    return replace(trained, matrices=write_matrices(trained.settings, problem, batches, tmp_path / "run"))


@pytest.mark.slow
def test_changed_words_are_the_same_recipe_at_the_gate_and_in_the_shadow(reworded: PreparedRun) -> None:
    made = finish_training(reworded, fit_trial(reworded, LIVE))
    check = {check.name: check for check in made.gate.report.checks}["live"]
    assert "non-inferiority, for the same predictions as version 1's recipe, has the upper limit" in check.sentence
    assert (check.measured, check.verdict) == (0, "pass")
    assert made.gate.live
    facts = read_manifest(bundle_completion.complete_bundle(made))
    assert facts["recipe"] != made.gate.live.facts["recipe"] == facts["same_recipe"]
    assert have_same_recipe(made.gate.live.facts, facts)


@pytest.mark.slow
def test_a_recipe_that_predicts_otherwise_has_to_be_better(reworded: PreparedRun) -> None:
    made = finish_training(reworded, fit_trial(reworded, OTHER))
    assert "; superiority has the upper limit below 0" in str(made.gate.report)
    assert made.gate.live
    facts = read_manifest(bundle_completion.complete_bundle(made))
    assert "same_recipe" not in facts
    assert not have_same_recipe(made.gate.live.facts, facts)


@pytest.mark.slow
def test_the_live_recipe_in_other_words_stays_where_another_only_looks_better(reworded: PreparedRun) -> None:
    others = (TrialJob("boosting", trees, {"max_iter": trees}) for trees in (15, 18, 19, 21, 25))
    trials = [fit_trial(reworded, job) for job in (LIVE, *others)]
    assert min(trials, key=lambda trial: trial.loss).job != LIVE
    assert selection.rank_candidates(reworded.settings, reworded.plan, reworded.matrices, trials)[0] == LIVE
