"""The gate on a run's rows: the candidate beside the baseline and the live model, all of them out of sample."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from flows import doctor
from flows.experiments import against, plan
from flows.experiments.against import Live
from flows.experiments.matrices import Matrices
from flows.experiments.plan import Plan
from problem.slices import DAY, SLICES
from settings import Settings
from stores import bundle, measure
from training import bootstrap, gate, slices
from training.evaluate import losses
from training.failures import worst_failures
from training.release import TOLERANCE, Release, ship
from training.split import Split
from training.trial import Job

CALIBRATION = "calibration_error"


@dataclass(frozen=True)
class Held:
    """What the gate says; the rows it says it of, with losses and slices; the candidate's scores with intervals; the
    live model that it was held against; where the candidate is surely worse than elsewhere on the same day; and the
    rows on which the live model failed."""

    report: gate.Report
    rows: pl.DataFrame
    intervals: dict[str, bootstrap.Interval]
    live: Live | None
    worst: pl.DataFrame
    failed: pl.DataFrame


def hold(chosen: Settings, made: Plan, matrices: Matrices, job: Job, part: str, shipped: gate.Shipped) -> Held:
    """The gate on the batches of `part` ("validation" or "test"), of which the predictions are beside the matrices."""
    batches = getattr(made.split, part)
    rows = plan.rows(chosen, batches)
    live = against.live_on(chosen, rows)
    frame = compared(matrices, job, part, batches, rows, live)
    labels, days = matrices.judged(batches)[1], frame["day"].to_numpy()
    intervals = bootstrap.intervals(matrices.task, labels, matrices.arrays.read(f"{part}-{job}"), days)
    known = frame if live is None or not live.known.any() else frame.filter(live.known)
    rule: gate.Rule = "non-inferiority" if live and live.facts.get("recipe") == made.recipe(job) else "superiority"
    findings = [] if os.environ.get("DOCTOR") == "off" else doctor.findings(chosen)
    report = gate.judge(chosen.gate, known, rule, shipped, intervals.get(CALIBRATION), findings)
    worst = slices.worst(rows["inputs"].struct.unnest(), frame["candidate"].to_numpy(), days)
    return Held(report, frame, intervals, live, worst, failures(live, rows, frame))


def compared(
    matrices: Matrices, job: Job, part: str, batches: Sequence[str], rows: pl.DataFrame, live: Live | None
) -> pl.DataFrame:
    """A row for each row: its day, the losses of candidate, baseline and live model, and the slices it belongs to."""
    labels = matrices.judged(batches)[1]
    said = {"candidate": matrices.arrays.read(f"{part}-{job}"), "baseline": matrices.arrays.read(f"{part}-baseline")}
    if live is not None and live.known.any():
        said["live"] = live.said
    lost = {name: losses(matrices.task, labels, np.asarray(each)) for name, each in said.items()}
    return rows.select(day=DAY, **SLICES).with_columns(**{name: pl.Series(loss) for name, loss in lost.items()})


def failures(live: Live | None, rows: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows on which the live model was the furthest off, for the validation set that grows with them."""
    if live is None or "live" not in frame.columns:
        return pl.DataFrame()
    of_live = rows.with_columns(day=frame["day"], loss=frame["live"], model=pl.lit(live.version))
    return worst_failures(of_live.filter(live.known))


def cost(made: Release, ask: measure.Ask | None, rows: np.ndarray) -> gate.Shipped:
    """What a model costs to serve, tried on rows of the matrix. `ask` answers where it isn't compiled."""
    model: Any = bundle.session(made.model) if made.compiled else ask
    parity = made.parity if made.compiled else None
    return gate.Shipped(measure.single_row_us(model, rows), len(made.model), parity, TOLERANCE)


def shipped(fitted: Any, matrices: Matrices, split: Split) -> tuple[Release, gate.Shipped]:
    """A fitted estimator as it would be served, and what that costs."""
    check = matrices.judged(split.validation)[0]
    made = ship(fitted, check, matrices.columns["categorical"], matrices.task)
    ask = fitted.predict if matrices.task.kind == "regression" else fitted.predict_proba
    return made, cost(made, ask, made.probe)
