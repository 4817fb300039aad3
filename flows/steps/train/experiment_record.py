"""The end of an experiment: the gate on the validation batches, the MLflow run, and the words about both."""

from flows.steps.train import gate_evaluation
from flows.steps.train.batch_words import describe_batches
from flows.steps.train.final_fit import score_baseline
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from flows.steps.train.release import run_record
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.registry.runs import RunRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.storage.cache import RunReceipts
from penumbra.training.evaluation.evaluate import Trial, format_score_table
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.split import Split


def conclude_experiment(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, best: Trial, cost: ServingMeasurements
) -> str:
    """Compare the trial with baseline and live model on the validation batches, and record it in MLflow.

    Args:
        settings: Those that the gate needs, and sections [registry] and [training].
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of the trial.
        best: The trial with the lowest loss.
        cost: What its model would cost to serve.

    Returns:
        The words that `penumbra experiment` ends with, which are also kept as the latest receipt.

    Raises:
        TrainingRefused: The baseline can't be fitted.
    """
    baseline = score_baseline(matrices, plan.split.train, plan.split.validation, "validation")
    gate = gate_evaluation.evaluate_gate(settings, plan, matrices, best.job, "validation", cost)
    metrics = {**best.scores, **best.report, **run_record.build_comparable_metrics(best, gate, cost)}
    tags = run_record.build_run_tags(plan, best.job, "experiment", gate)
    run = FinishedRun(f"experiment {best.job}", best.began, best.ended, best.job.parameters, metrics, tags)
    key = matrices.arrays.folder.name  # the flow's run: a retry completes what its first attempt has begun to record
    run_id = RunRegistry(settings.registry).record(run, data_version=plan.facts["data_version"], key=key)
    text = _describe_experiment(matrices.problem, best, baseline, plan.split, str(gate.report), run_id)
    RunReceipts(settings.training.folder).write_latest(text)
    return text


def _describe_experiment(problem: Problem, best: Trial, baseline: Trial, split: Split, gate: str, run_id: str) -> str:
    figures = "".join(f", {name} = {value}" for name, value in {**best.job.parameters, **best.report}.items())
    return "\n".join(
        [
            f"{best.candidate}{figures}",
            f"fitted on {describe_batches(problem, split.train)} in {best.fit_seconds:.1f} s, scored on "
            f"{describe_batches(problem, split.validation)} (the test batches stay unseen):",
            "",
            format_score_table([(each.candidate, each.scores) for each in (best, baseline)]),
            "",
            gate,
            "",
            f"MLflow run {run_id[:8]}. Next: `penumbra compare`, or name it in training.candidates and `make train`.",
            "",
        ]
    )
