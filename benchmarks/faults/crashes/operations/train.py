"""The registration of a trained model, as the first one and as a candidate."""

import pickle
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.crashes.operations.operation import (
    MLFLOW_MODULES,
    Operation,
    describe_ledger,
    describe_registry,
    describe_runs,
)

OUTCOME_FILE = "outcome.pickle"
PRELOADED = (*MLFLOW_MODULES, "flows.steps.train.plan", "flows.steps.train.release.registration")


def prepare_outcome(folder: Path, has_live: bool) -> None:
    """Train on made-up orders up to the registration, and keep the result; with a live model: register it once."""
    from flows.steps.train import evaluation, final_fit, matrices, matrix_writing, plan
    from flows.steps.train.release import outcome
    from flows.steps.train.trials import attempts, selection
    from penumbra.data.versioning import versions
    from tests.helpers.models.training_runs import FEW_ROWS, admit_batches
    from tests.helpers.problems.orders import write_orders

    write_orders(folder / "code/killed_orders", source=FEW_ROWS)
    problem = _load_orders(folder)
    settings = admit_batches(folder, problem)
    versions.get_dvc_file(settings.data).write_text("outs:\n")
    versions.read_recorded_version = versions.compute_data_version  # there is no DVC here
    made = plan.make_plan(settings, problem)
    split = made.split
    written = matrix_writing.write_matrices(settings, problem, split.all, folder / "run")
    trials, _ = selection.split_results(
        attempts.run_lane(written, matrices.list_trial_jobs(problem, ["boosting"]), split)
    )
    ranking = selection.rank_candidates(settings, made, written, trials)
    final_fit.try_release(written, ranking[0], split)
    final_fit.try_scores(settings, written, ranking[0], split)
    baseline = final_fit.score_baseline_parts(written, split)
    final = final_fit.settle_winner(settings, made, written, ranking, baseline)
    result = outcome.evaluate_winner(
        settings, made, written, final, trials, [], "as nothing but the kills is looked at"
    )
    evaluation.write_evaluation(result)
    (folder / OUTCOME_FILE).write_bytes(pickle.dumps(result))
    if has_live:
        _register(folder)
        made.facts["fingerprint"] = "another"
        (folder / OUTCOME_FILE).write_bytes(pickle.dumps(result))


def run_registration(folder: Path) -> None:
    """Finish what was begun, then register unless this was trained already."""
    _load_orders(folder)
    _register(folder)


def describe_registration(folder: Path) -> Iterator[str]:
    """Yield a text for each alias, version, run, entry of the ledger, receipt and failed row."""
    _load_orders(folder)
    settings = _read_outcome(folder).settings
    for describe in (describe_registry, describe_runs, describe_ledger):
        yield from describe(settings)
    for path in sorted(folder.glob("train/receipts/*.txt")):
        yield f"{path.stem}: {path.read_text()}"
    yield from (f"begun: {path.name}" for path in folder.glob("train/registration.msgpack"))


def _register(folder: Path) -> None:
    from flows.steps.train import plan
    from flows.steps.train.release import registration

    outcome = _read_outcome(folder)
    registration.prepare_registration(outcome.settings)
    if plan.find_trained_version(outcome.plan, outcome.settings) is None:
        registration.register_outcome(outcome)


def _read_outcome(folder: Path) -> Any:
    return pickle.loads((folder / OUTCOME_FILE).read_bytes())  # noqa: S301 - the harness wrote it itself


def _load_orders(folder: Path) -> Any:
    sys.path.insert(0, str(folder / "code"))
    from penumbra.core.loading.problem_loading import load_problem

    return load_problem(package="killed_orders")


def _make_operation(has_live: bool, leaves: str) -> Operation:
    prepare = partial(prepare_outcome, has_live=has_live)
    return Operation(prepare, run_registration, describe_registration, leaves, PRELOADED)


OPERATIONS = {"train": _make_operation(False, "alias: live 1"), "retrain": _make_operation(True, "alias: candidate 2")}
