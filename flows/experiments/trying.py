"""What an experiment does in its steps: a quick look, the whole, a verdict."""

import time

from flows.experiments import gating, record
from flows.experiments.finals import BASELINE
from flows.experiments.matrices import Matrices
from flows.experiments.plan import Plan
from settings import Settings
from stores.models import Models, Run
from stores.receipts import Receipts
from training import summary, trial
from training.gate import Shipped
from training.search import thinned
from training.split import Split
from training.trial import Job, Trial


def only(chosen: Settings, name: str) -> Settings:
    """The settings as they are for a run that tries one candidate."""
    training = chosen.training.model_copy(update={"candidates": [name]})
    return chosen.model_copy(update={"training": training})


def quick_look(made: Matrices, chosen: Settings, split: Split) -> str:
    """One candidate on a sample of the training rows, judged on all validation rows."""
    (name,) = chosen.training.candidates
    whole, began = made.lesson(name, split.train, withhold=True), time.time()
    sample = thinned(whole, min(1.0, chosen.training.quick_rows / len(whole.y)))
    done, _ = trial.run(Job(name), made.task, made.estimator(Job(name)), sample, made.judged(split.validation))
    metric = next(iter(done.scores))
    return (
        f"A quick look at {name}: {summary.TITLES[metric]} {done.loss:.4f} on {summary.span(split.validation)}, "
        f"learnt from {len(sample.y):,} of {len(whole.y):,} rows in {time.time() - began:.1f} s"
    )


def in_full(made: Matrices, job: Job, split: Split) -> tuple[Trial, Shipped]:
    """The candidate on all training rows, and what it would cost to serve."""
    done, fitted = made.try_out(job, split.train, split.validation, "validation")
    return done, gating.shipped(fitted, made, split)[1]


def judged(chosen: Settings, plan: Plan, made: Matrices, best: Trial, cost: Shipped) -> str:
    """Hold the trial against baseline and live model on the validation batches, record it, and say what came of it."""
    baseline, _ = made.try_out(BASELINE, plan.split.train, plan.split.validation, "validation")
    held = gating.hold(chosen, plan, made, best.job, "validation", cost)
    metrics = {**best.scores, **best.report, **record.comparable(best, held, cost)}
    tags = record.tags(plan, best.job, "experiment", held)
    run = Run(f"experiment {best.job}", best.began, best.ended, best.job.parameters, metrics, tags)
    run_id = Models(chosen.registry).record(run, data_version=plan.facts["data_version"])
    found = "".join(f", {name} = {value}" for name, value in {**best.job.parameters, **best.report}.items())
    text = "\n".join(
        [
            f"{best.candidate}{found}",
            f"fitted on {summary.span(plan.split.train)} in {best.fit_seconds:.1f} s, scored on "
            f"{summary.span(plan.split.validation)} (the test batches stay unseen):",
            "",
            summary.table([(trial.candidate, trial.scores) for trial in (best, baseline)]),
            "",
            str(held.report),
            "",
            f"MLflow run {run_id[:8]}. Next: `make compare`, or name it in training.candidates and `make train`.",
            "",
        ]
    )
    Receipts(chosen.training.folder).say(text)
    return text
