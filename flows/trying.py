"""What an experiment does in its steps: a quick look, the whole, a verdict."""

import time
from typing import Any

from flows import gating, plan, record
from flows.matrices import SEARCHES, Matrices
from flows.plan import Plan
from settings import Settings
from training import summary, trial
from training.cost import Cost
from training.search import thinned
from training.split import Split
from training.trial import Job, Trial

BASELINE = Job("baseline")


def only(chosen: Settings, name: str) -> Settings:
    """The settings as they are for a run that tries one candidate."""
    training = chosen.training.model_copy(update={"candidates": [name]})
    return chosen.model_copy(update={"training": training})


def quick_look(made: Matrices, chosen: Settings, split: Split) -> str:
    """One candidate and the baseline on a sample of the training rows, judged on all validation rows."""
    (name,) = chosen.training.candidates
    whole, began = made.lesson(name, split.train, withhold=True), time.time()
    sample = thinned(whole, min(1.0, chosen.training.quick_rows / len(whole.y)))
    done, _ = trial.run(Job(name), made.task, made.estimator(Job(name)), sample, made.judged(split.validation))
    (metric, loss), *_ = done.scores.items()
    return (
        f"A quick look at {name}: {metric} {loss:.4f} on {summary.span(split.validation)}, learnt from "
        f"{len(sample.y):,} of {len(whole.y):,} rows in {time.time() - began:.1f} s"
    )


def in_full(made: Matrices, job: Job, split: Split) -> tuple[Trial, Cost]:
    """The candidate on all training rows, and what it would cost to serve."""
    done, estimator = made.try_out(job, split.train, split.validation, "validation")
    return done, gating.cost(estimator, made, split)


def judged(chosen: Settings, plan: Plan, made: Matrices, best: Trial, cost: Cost) -> str:
    """Hold the trial against baseline and live model on the validation batches, record it, and say what came of it."""
    made.try_out(BASELINE, plan.split.train, plan.split.validation, "validation")
    report = gating.hold(chosen, plan, made, best.job, plan.split.validation, "validation", cost)
