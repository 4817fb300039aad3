"""What an experiment does in its steps: a quick look, the whole, a verdict."""

import time

from flows.steps.train import gate_evaluation, registration
from flows.steps.train.final_fit import BASELINE_JOB
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.settings import Settings
from penumbra.registry.models import FinishedRun, ModelRegistry
from penumbra.storage.receipts import RunReceipts
from penumbra.training import summary, trial
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.search import thin_training_set
from penumbra.training.split import Split
from penumbra.training.trial import Trial, TrialJob


def restrict_to_candidate(settings: Settings, name: str) -> Settings:
    """The settings as they are for a run that tries one candidate."""
    training = settings.training.model_copy(update={"candidates": [name]})
    return settings.model_copy(update={"training": training})


def try_sample(made: Matrices, settings: Settings, split: Split) -> str:
    """One candidate on a sample of the training rows, judged on all validation rows."""
    (name,) = settings.training.candidates
    whole, began = made.build_training_set(name, split.train, withhold=True), time.time()
    sample = thin_training_set(whole, min(1.0, settings.training.quick_rows / len(whole.y)))
    done, _ = trial.run_trial(
        TrialJob(name), made.task, made.estimator(TrialJob(name)), sample, made.judged(split.validation)
    )
    metric = next(iter(done.scores))
    return (
        f"A quick look at {name}: {summary.METRIC_TITLES[metric]} {done.loss:.4f} on {summary.format_batch_range(split.validation)}, "
        f"learnt from {len(sample.y):,} of {len(whole.y):,} rows in {time.time() - began:.1f} s"
    )


def run_full_trial(made: Matrices, job: TrialJob, split: Split) -> tuple[Trial, ServingMeasurements]:
    """The candidate on all training rows, and what it would cost to serve."""
    done, fitted = made.try_candidate(job, split.train, split.validation, "validation")
    return done, gate_evaluation.build_measured_release(fitted, made, split)[1]


def conclude_experiment(
    settings: Settings, plan: TrainingPlan, made: Matrices, best: Trial, cost: ServingMeasurements
) -> str:
    """Hold the trial against baseline and live model on the validation batches, record it, and say what came of it."""
    baseline, _ = made.try_candidate(BASELINE_JOB, plan.split.train, plan.split.validation, "validation")
    held = gate_evaluation.evaluate_gate(settings, plan, made, best.job, "validation", cost)
    metrics = {**best.scores, **best.report, **registration.build_comparable_metrics(best, held, cost)}
    tags = registration.build_run_tags(plan, best.job, "experiment", held)
    run = FinishedRun(f"experiment {best.job}", best.began, best.ended, best.job.parameters, metrics, tags)
    run_id = ModelRegistry(settings.registry).record(run, data_version=plan.facts["data_version"])
    found = "".join(f", {name} = {value}" for name, value in {**best.job.parameters, **best.report}.items())
    text = "\n".join(
        [
            f"{best.candidate}{found}",
            f"fitted on {summary.format_batch_range(plan.split.train)} in {best.fit_seconds:.1f} s, scored on "
            f"{summary.format_batch_range(plan.split.validation)} (the test batches stay unseen):",
            "",
            summary.format_score_table([(trial.candidate, trial.scores) for trial in (best, baseline)]),
            "",
            str(held.report),
            "",
            f"MLflow run {run_id[:8]}. Next: `make compare`, or name it in training.candidates and `make train`.",
            "",
        ]
    )
    RunReceipts(settings.training.folder).write_latest(text)
    return text
