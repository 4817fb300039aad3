"""The winner's last jobs, which tasks of their own do side by side: its release, its evaluation, the doctor's look."""

from flows.steps.train import final_fit
from flows.steps.train.gate_evaluation import compare_forms
from flows.steps.train.held_out import evaluate_held_out, score_named_slices
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.settings import Settings
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.gate.gate_checks import ServingMeasurements


def release_winner_once(settings: Settings, plan: TrainingPlan, matrices: Matrices, winner: TrialJob) -> None:
    """Release the winner, and compare its answers in each form; the results are found again by whoever needs them.

    Args:
        settings: Those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run.
        winner: The candidate with its parameters.
    """
    if isinstance(final_fit.try_release(matrices, winner, plan.split), ServingMeasurements):
        compare_forms(settings, plan, matrices, winner, "test")


def evaluate_winner_once(settings: Settings, plan: TrainingPlan, matrices: Matrices, winner: TrialJob) -> list[Trial]:
    """Score winner and baseline on the test batches, and evaluate the winner there; the results are found again.

    Args:
        settings: Sections [registry] and [promotion], and those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run.
        winner: The candidate with its parameters.

    Returns:
        The baseline's trials on validation and test batches.

    Raises:
        TrainingRefused: The baseline fails.
    """
    baseline = final_fit.score_baseline_parts(matrices, plan.split)
    if isinstance(final_fit.try_scores(settings, matrices, winner, plan.split), Trial):
        rows = evaluate_held_out(settings, plan, matrices, winner, "test").rows
        score_named_slices(plan, matrices, winner, rows)
    return baseline
