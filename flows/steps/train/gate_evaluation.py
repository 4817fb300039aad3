"""The gate on a run's rows: the candidate beside the baseline and the live model, all of them out of sample."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from flows.steps.doctor import examination
from flows.steps.train import live_model, plan
from flows.steps.train.live_model import LivePredictions
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.metrics import row_losses
from penumbra.core.settings import Settings
from penumbra.registry import bundle, serving_cost
from penumbra.training import bootstrap, gate, slices
from penumbra.training.failures import select_worst_failures
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.gate_comparisons import ComparisonRule
from penumbra.training.release import PARITY_TOLERANCE, Release, build_release
from penumbra.training.split import Split
from penumbra.training.trial import TrialJob
from problem.slices import DAY, SLICES

CALIBRATION_METRIC = "calibration_error"


@dataclass(frozen=True)
class GateOutcome:
    """What the gate says; the rows it says it of, with losses and slices; the candidate's scores with intervals; the
    live model that it was held against; where the candidate is surely worse than elsewhere on the same day; and the
    rows on which the live model failed."""

    report: gate.GateReport
    rows: pl.DataFrame
    intervals: dict[str, bootstrap.Interval]
    live: LivePredictions | None
    worst: pl.DataFrame
    failed: pl.DataFrame


def evaluate_gate(
    settings: Settings,
    made: TrainingPlan,
    matrices: Matrices,
    job: TrialJob,
    part: str,
    shipped: ServingMeasurements,
) -> GateOutcome:
    """The gate on the batches of `part` ("validation" or "test"), of which the predictions are beside the matrices."""
    batches = getattr(made.split, part)
    rows = plan.read_training_rows(settings, batches)
    live = live_model.predict_with_live(settings, rows)
    frame = build_loss_table(matrices, job, part, batches, rows, live)
    labels, days = matrices.judged(batches)[1], frame["day"].to_numpy()
    intervals = bootstrap.compute_metric_intervals(matrices.task, labels, matrices.arrays.read(f"{part}-{job}"), days)
    known = frame if live is None or not live.known.any() else frame.filter(live.known)
    rule: ComparisonRule = (
        "non-inferiority" if live and live.facts.get("recipe") == made.fingerprint_recipe(job) else "superiority"
    )
    skipped = list_skipped_checks(live)
    findings = None if "doctor" in skipped else examination.list_unaccepted_findings(settings)
    calibration = intervals.get(CALIBRATION_METRIC)
    report = gate.run_gate_checks(settings.gate, known, rule, shipped, calibration, findings, skipped)
    worst = slices.find_worst_slices(rows["inputs"].struct.unnest(), frame["candidate"].to_numpy(), days)
    return GateOutcome(report, frame, intervals, live, worst, find_live_failures(live, rows, frame))


def list_skipped_checks(live: LivePredictions | None) -> dict[str, str]:
    """List the gate's checks that can't or mustn't run.

    Args:
        live: The live model's predictions, None where there is no live model.

    Returns:
        The reason by name of check.
    """
    skipped = {"doctor": "DOCTOR=off"} if os.environ.get("DOCTOR") == "off" else {}
    if live is not None and not live.known.any():
        skipped |= dict.fromkeys(("live", "slices"), f"version {live.version} has learnt from all of these rows")
    return skipped


def build_loss_table(
    matrices: Matrices,
    job: TrialJob,
    part: str,
    batches: Sequence[str],
    rows: pl.DataFrame,
    live: LivePredictions | None,
) -> pl.DataFrame:
    """A row for each row: its day, the losses of candidate, baseline and live model, and the slices it belongs to."""
    labels = matrices.judged(batches)[1]
    said = {"candidate": matrices.arrays.read(f"{part}-{job}"), "baseline": matrices.arrays.read(f"{part}-baseline")}
    if live is not None and live.known.any():
        said["live"] = live.said
    lost = {name: row_losses(matrices.task, labels, np.asarray(each)) for name, each in said.items()}
    return rows.select(day=DAY, **SLICES).with_columns(**{name: pl.Series(loss) for name, loss in lost.items()})


def find_live_failures(live: LivePredictions | None, rows: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows on which the live model was the furthest off, for the validation set that grows with them."""
    if live is None or "live" not in frame.columns:
        return pl.DataFrame()
    of_live = rows.with_columns(day=frame["day"], loss=frame["live"], model=pl.lit(live.version))
    return select_worst_failures(of_live.filter(live.known))


def measure_serving_cost(
    made: Release, ask: serving_cost.ScoreFunction | None, rows: np.ndarray
) -> ServingMeasurements:
    """What a model costs to serve, tried on rows of the matrix. `ask` answers where it isn't compiled."""
    model: Any = bundle.open_onnx_session(made.model) if made.compiled else ask
    parity = made.parity if made.compiled else None
    return ServingMeasurements(
        serving_cost.measure_single_row_us(model, rows), len(made.model), parity, PARITY_TOLERANCE
    )


def build_measured_release(fitted: Any, matrices: Matrices, split: Split) -> tuple[Release, ServingMeasurements]:
    """A fitted estimator as it would be served, and what that costs."""
    check = matrices.judged(split.validation)[0]
    made = build_release(fitted, check, matrices.columns["categorical"], matrices.task)
    ask = fitted.predict if matrices.task.kind == "regression" else fitted.predict_proba
    return made, measure_serving_cost(made, ask, made.probe)
