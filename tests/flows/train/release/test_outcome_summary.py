"""What a training says of its winner and of those that it chose from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.steps.train.release import bundle_completion
from flows.steps.train.release.outcome_summary import describe_outcome, summarise_outcome
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from tests.helpers.models.finished_trainings import finish_training, fit_trial, train_live_orders


def make_outcome(revision: str = "5e9fc217aa", **losses: float) -> Any:
    """The outcome of a training whose candidates have these losses on validation."""
    trials = [Trial(TrialJob(name), 0, 0, 0, {"log_loss": loss}, {}) for name, loss in losses.items()]
    return SimpleNamespace(
        plan=SimpleNamespace(
            facts={"data_version": "7e8721d0aa.dir", "revision": revision},
            split=SimpleNamespace(all=["2024-01"], validation=["2023-12"], test=["2024-01"]),
        ),
        matrices=SimpleNamespace(problem=None),
        gate=SimpleNamespace(live=None, report="gate: pass"),
        trials=trials,
        tested=[SimpleNamespace(candidate="forest", scores={"log_loss": 0.5})],
        remarks=[],
        unreleased=[],
        winner=SimpleNamespace(candidate="forest"),
    )


@pytest.mark.parametrize(
    ("revision", "shown"), [("5e9fc217aa", "5e9fc217"), ("5e9fc217aa+changes", "5e9fc217+changes")]
)
def test_the_summary_says_where_the_code_differs_from_its_commit(revision: str, shown: str) -> None:
    assert f"(data 7e8721d0, code {shown})." in summarise_outcome(make_outcome(revision)).origin


def test_all_candidates_stand_above_the_winner_with_the_best_first() -> None:
    text = describe_outcome(summarise_outcome(make_outcome(linear=0.6, forest=0.4, baseline=0.7)), "2", "candidate")
    lines = [line.split()[:2] for line in text.splitlines()[2:6]]
    assert text.startswith("The candidates on 2023-12, the best first:\n")
    assert lines == [["log-loss"], ["forest", "0.4000"], ["linear", "0.6000"], ["baseline", "0.7000"]]
    assert text.splitlines()[7].startswith("Version 2 is the candidate: forest")


def test_the_live_recipe_that_stays_though_another_is_the_best_is_said_to_stay() -> None:
    made = make_outcome(linear=0.6, forest=0.61, baseline=0.7)
    made.winner, made.gate = TrialJob("forest"), SimpleNamespace(live=None, report="gate: pass", is_same=True)
    kept = "linear has the lowest loss, but isn't shown to be better than forest, the live model's recipe, which stays."
    assert kept not in describe_outcome(summarise_outcome(made), "2", "candidate")
    made.gate.live = SimpleNamespace(version="1", unfit=None, facts={})
    made.plan.fingerprint_recipe = str
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("flows.steps.train.release.outcome_summary._is_same_model", lambda *_: False)
        assert kept in describe_outcome(summarise_outcome(made), "2", "candidate")
        made.unreleased = ["linear"]
        assert kept not in describe_outcome(summarise_outcome(made), "2", "candidate")


def test_one_candidate_alone_has_no_table_of_candidates() -> None:
    text = describe_outcome(summarise_outcome(make_outcome(forest=0.4, baseline=0.7)), "2", "candidate")
    assert text.startswith("Version 2 is the candidate: forest")


@pytest.mark.slow
def test_a_candidate_that_is_the_live_model_says_that_its_shadow_shows_nothing(
    tmp_path: Path, migrated_database: Path
) -> None:
    run = train_live_orders(tmp_path, migrated_database)
    made = finish_training(run, fit_trial(run))
    bundle_completion.complete_bundle(made)
    text = describe_outcome(summarise_outcome(made), "2", "candidate")
    assert "It predicts the same as version 1, which is live, the same recipe fitted on the same rows" in text
    assert "equal here: for this comparison one recipe was fitted on the same batches, 2024-01 to 2024-03." in text
    training = made.settings.training.model_copy(update={"threshold": made.settings.training.threshold / 2})
    lower = replace(made, settings=made.settings.model_copy(update={"training": training}))
    bundle_completion.complete_bundle(lower)
    assert "It predicts the same" not in describe_outcome(summarise_outcome(lower), "2", "candidate")
