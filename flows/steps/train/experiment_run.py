"""The steps of an experiment: a trial on a sample, the full trial, the gate."""

import time

from flows.steps.train import gate_evaluation, run_record
from flows.steps.train.final_fit import BASELINE_JOB
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.settings import Settings
from penumbra.registry.models import FinishedRun, ModelRegistry
from penumbra.storage.cache import RunReceipts
from penumbra.training.evaluate import METRIC_TITLES, Trial, TrialJob, format_score_table, run_trial
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.search import thin_training_set
from penumbra.training.split import Split, format_batch_range


def restrict_to_candidate(settings: Settings, name: str) -> Settings:
    """Restrict the settings to one candidate.

    Args:
        settings: The settings of the project.
        name: The candidate's name in problem/candidates.py.

    Returns:
        The same settings, with `training.candidates` naming this candidate alone.
    """
    training = settings.training.model_copy(update={"candidates": [name]})
    return settings.model_copy(update={"training": training})


def try_sample(matrices: Matrices, name: str, split: Split, quick_rows: int) -> str:
    """Try a candidate on a sample of the training rows, scored on all validation rows.

    Args:
        matrices: The matrices of the run.
        name: The candidate's name.
        split: The batches of the run.
        quick_rows: The size of the sample, as in `training.quick_rows`.

    Returns:
        A sentence with the primary metric, the number of rows and the seconds it took.
    """
    job, began = TrialJob(name), time.time()
    all_rows = matrices.build_training_set(name, split.train, withhold=True)
    sample = thin_training_set(all_rows, min(1.0, quick_rows / len(all_rows.y)))
    evaluation_set = matrices.read_evaluation_set(split.validation)
    done, _ = run_trial(job, matrices.task, matrices.make_estimator(job), sample, evaluation_set)
    title = METRIC_TITLES[next(iter(done.scores))]
    return (
        f"A quick look at {name}: {title} {done.loss:.4f} on {format_batch_range(split.validation)}, "
        f"learnt from {len(sample.y):,} of {len(all_rows.y):,} rows in {time.time() - began:.1f} s"
    )


def run_full_trial(matrices: Matrices, job: TrialJob, split: Split) -> tuple[Trial, ServingMeasurements]:
    """Try a candidate on all training rows.

    Args:
        matrices: The matrices of the run.
        job: The candidate; with a seed its parameters are searched for.
        split: The batches of the run.

    Returns:
        The trial on the validation batches, and what the model would cost to serve.
    """
    done, fitted = matrices.try_candidate(job, split.train, split.validation, "validation")
    return done, gate_evaluation.build_measured_release(fitted, matrices, split)[1]


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
    """
    baseline, _ = matrices.try_candidate(BASELINE_JOB, plan.split.train, plan.split.validation, "validation")
    gate = gate_evaluation.evaluate_gate(settings, plan, matrices, best.job, "validation", cost)
    metrics = {**best.scores, **best.report, **run_record.build_comparable_metrics(best, gate, cost)}
    tags = run_record.build_run_tags(plan, best.job, "experiment", gate)
    run = FinishedRun(f"experiment {best.job}", best.began, best.ended, best.job.parameters, metrics, tags)
    run_id = ModelRegistry(settings.registry).record(run, data_version=plan.facts["data_version"])
    text = _describe_experiment(best, baseline, plan.split, str(gate.report), run_id)
    RunReceipts(settings.training.folder).write_latest(text)
    return text


def _describe_experiment(best: Trial, baseline: Trial, split: Split, gate: str, run_id: str) -> str:
    figures = "".join(f", {name} = {value}" for name, value in {**best.job.parameters, **best.report}.items())
    return "\n".join(
        [
            f"{best.candidate}{figures}",
            f"fitted on {format_batch_range(split.train)} in {best.fit_seconds:.1f} s, scored on "
            f"{format_batch_range(split.validation)} (the test batches stay unseen):",
            "",
            format_score_table([(each.candidate, each.scores) for each in (best, baseline)]),
            "",
            gate,
            "",
            f"MLflow run {run_id[:8]}. Next: `penumbra compare`, or name it in training.candidates and `make train`.",
            "",
        ]
    )
