"""The gate on a run's rows: the candidate beside the baseline and the live model, all of them out of sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from flows.steps.doctor import examination
from flows.steps.prediction_losses import measure_loss_ceiling
from flows.steps.train import served_forms
from flows.steps.train.live_model import LivePredictions, predict_with_live
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan, read_training_rows
from flows.steps.train.trials.screening import describe_single_class
from penumbra.core.columns import DAY_COLUMN, INPUTS_COLUMN, LOSS_COLUMN, MODEL_COLUMN, name_loss_column
from penumbra.core.metrics.losses import (
    compute_loss_ceiling,
    compute_row_losses,
    describe_clipping,
    describe_loss,
)
from penumbra.core.settings import PromotionSettings, Settings
from penumbra.training import bootstrap, gate, slices
from penumbra.training.evaluate import TrialJob
from penumbra.training.fit import compute_baseline
from penumbra.training.gate_checks import ServingMeasurements
from penumbra.training.gate_comparisons import ComparisonRule
from penumbra.training.split import select_worst_failures

CALIBRATION_METRIC = "calibration_error"
COMPARED_MODELS = ("candidate", "baseline", "live")
HeldOutPart = Literal["validation", "test"]


@dataclass(frozen=True)
class GateOutcome:
    """The gate's report, and what it was computed from.

    `rows` has a row for each held-out row (see `build_loss_table`); `intervals` the candidate's scores by metric;
    `live` the live model that it was compared with; `worst` the slices where the candidate is surely worse than
    elsewhere on the same day; `failed` the rows on which the live model failed; `compared` the days on which candidate
    and live model were compared (see `sum_compared_days`).
    """

    report: gate.GateReport
    rows: pl.DataFrame
    intervals: dict[str, bootstrap.Interval]
    live: LivePredictions | None
    worst: pl.DataFrame
    failed: pl.DataFrame
    compared: pl.DataFrame


def evaluate_gate(
    settings: Settings,
    plan: TrainingPlan,
    matrices: Matrices,
    job: TrialJob,
    part: HeldOutPart,
    shipped: ServingMeasurements,
    doctor_skipped: str = "",
) -> GateOutcome:
    """Run the gate on held-out batches, of which the predictions are beside the matrices.

    Args:
        settings: Sections [gate] and [promotion] (`loss`, `loss_ceiling`), and those that the doctor and the reading of
            rows need.
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of the candidate and the baseline.
        job: The candidate with its parameters.
        part: Which batches of the plan's split are judged.
        shipped: What was measured of the model that would be served.
        doctor_skipped: Why the doctor doesn't run; "" to let it run.

    Returns:
        The report, and what it was computed from.
    """
    rows = read_training_rows(settings, matrices.problem, batches := getattr(plan.split, part))
    live = predict_with_live(settings.registry, matrices.problem, rows)
    losses = build_loss_table(matrices, job, part, batches, rows, live)
    labels, days = matrices.read_evaluation_set(batches)[1], losses[DAY_COLUMN].to_numpy()
    predictions = matrices.arrays.read(f"{part}-{job}")
    intervals = bootstrap.compute_defined_intervals(matrices.task, labels, predictions, days)
    ceiling = measure_gate_ceiling(settings.promotion, matrices, batches, live)
    compared = losses if live is None or not live.known.any() else losses.filter(live.known)
    compared, clipping = clip_compared_losses(compared, ceiling)
    skipped = list_skipped_checks(live, doctor_skipped)
    findings = None if doctor_skipped else examination.list_unaccepted_findings(settings, matrices.problem)
    calibration, rule = intervals.get(CALIBRATION_METRIC), choose_comparison_rule(plan, job, live)
    released = served_forms.open_released_model(matrices, locate_model(matrices, job, part))
    forms = served_forms.compare_served_forms(matrices.problem, released, rows)
    words = describe_loss(matrices.task, matrices.task.loss), describe_single_class(matrices, batches)
    report = gate.run_gate_checks(
        settings.gate, compared, rule, shipped, calibration, findings, skipped, *words, forms, clipping
    )
    worst = slices.find_worst_slices(
        rows[INPUTS_COLUMN].struct.unnest(), losses[name_loss_column("candidate")].to_numpy(), days
    )
    failed = find_live_failures(live, rows, losses)
    by_day = sum_compared_days(compared)
    return GateOutcome(report, losses, intervals, live, worst, failed, by_day)


def locate_model(matrices: Matrices, job: TrialJob, part: HeldOutPart) -> Path:
    """Locate the files of a model in the form in which it is served.

    Args:
        matrices: The matrices of the run.
        job: The candidate with its parameters.
        part: The batches that it is judged on: "test" for the winner of a training.

    Returns:
        A folder, that of the bundle for the winner.
    """
    return matrices.arrays.folder / ("bundle" if part == "test" else f"bundle-{job}")


def read_skip_reason(doctor: str) -> str:
    """Read the parameter `doctor` of the training flow.

    Args:
        doctor: "on", or "skipped: <reason>".

    Returns:
        The reason; "" for "on".

    Raises:
        ValueError: It is neither.
    """
    word, _, reason = doctor.partition(": ")
    if doctor != "on" and (word != "skipped" or not reason.strip()):
        raise ValueError(f"doctor = {doctor!r}: expected 'on' or 'skipped: <reason>'")
    return reason.strip()


def choose_comparison_rule(plan: TrainingPlan, job: TrialJob, live: LivePredictions | None) -> ComparisonRule:
    """Choose how a candidate is compared with the live model.

    Args:
        plan: The plan of the run.
        job: The candidate with its parameters.
        live: The live model, None if there is none.

    Returns:
        "non-inferiority" for the live model's own recipe on newer data, "superiority" for any other.
    """
    return "non-inferiority" if live and live.facts.get("recipe") == plan.fingerprint_recipe(job) else "superiority"


def list_skipped_checks(live: LivePredictions | None, doctor_skipped: str = "") -> dict[str, str]:
    """List the gate's checks that can't or mustn't run.

    Args:
        live: The live model's predictions, None where there is no live model.
        doctor_skipped: Why the doctor doesn't run; "" if it does.

    Returns:
        The reason by name of check.
    """
    skipped = {"doctor": doctor_skipped} if doctor_skipped else {}
    if live is not None and not live.known.any():
        skipped |= dict.fromkeys(("live", "slices"), live.why_unknown)
    return skipped


def build_loss_table(
    matrices: Matrices,
    job: TrialJob,
    part: HeldOutPart,
    batches: Sequence[str],
    rows: pl.DataFrame,
    live: LivePredictions | None,
) -> pl.DataFrame:
    """Build the table of losses that the gate works on.

    Args:
        matrices: The matrices of the run, with the predictions of the candidate and the baseline.
        job: The candidate with its parameters.
        part: The part of the split that the predictions are named by.
        batches: The batches of that part.
        rows: The rows of these batches, as `read_training_rows` gives them.
        live: The live model's predictions of them, None if there is no live model.

    Returns:
        A row for each of `rows`: `penumbra.day` (Date), the losses of candidate, baseline and, where the live model has
        predictions, live (`name_loss_column`; Float64, NaN where it has none), and a column for each slice of the
        problem.
    """
    labels = matrices.read_evaluation_set(batches)[1]
    names = {"candidate": str(job), "baseline": "baseline"}
    predictions = {model: matrices.arrays.read(f"{part}-{name}") for model, name in names.items()}
    if live is not None and live.known.any():
        predictions["live"] = live.predictions
    losses = {
        model: compute_row_losses(matrices.task, labels, np.asarray(given)) for model, given in predictions.items()
    }
    parts = matrices.problem.slices
    table = rows.select(parts.DAY.alias(DAY_COLUMN), *(each.alias(name) for name, each in parts.SLICES.items()))
    return table.with_columns(pl.Series(name_loss_column(model), loss) for model, loss in losses.items())


def sum_compared_days(losses: pl.DataFrame) -> pl.DataFrame:
    """Sum the losses of candidate and live model by day: the days on which a rare loss would have shown.

    Args:
        losses: The columns of `build_loss_table`.

    Returns:
        A row for each day on which both have a loss: `day` (Date), `rows`, and `difference` (Float64), the sum of the
        live model's losses less the candidate's.
    """
    live, candidate = name_loss_column("live"), name_loss_column("candidate")
    if live not in losses.columns:
        return pl.DataFrame(schema={"day": pl.Date, "rows": pl.UInt32, "difference": pl.Float64})
    paired = losses.select(day=DAY_COLUMN, difference=pl.col(live) - pl.col(candidate))
    known = paired.filter(pl.col("difference").is_finite())
    return known.group_by("day").agg(rows=pl.len(), difference=pl.col("difference").sum()).sort("day")


def measure_gate_ceiling(
    settings: PromotionSettings, matrices: Matrices, batches: Sequence[str], live: LivePredictions | None
) -> float:
    """Measure the most that a row's loss counts in the gate.

    Args:
        settings: Section [promotion] (`loss`, `loss_ceiling`).
        matrices: The matrices of the run.
        batches: The held-out batches, which have no say.
        live: The live model's predictions, None if there is no live model.

    Returns:
        The ceiling: by the live model's reference or, where it has none, by the best constant on all rows before.
    """
    task = matrices.task
    if live is not None and live.reference is not None and live.reference.height:
        return measure_loss_ceiling(task, settings, live.reference)
    names = list(matrices.arrays.sizes)
    labels = matrices.read_evaluation_set(names[: names.index(batches[0])])[1]
    constant = np.array(compute_baseline(task, labels))
    losses = compute_row_losses(task, labels, np.broadcast_to(constant, (len(labels), *constant.shape)))
    return compute_loss_ceiling(task, labels, losses, settings.loss_ceiling)


def clip_compared_losses(losses: pl.DataFrame, ceiling: float) -> tuple[pl.DataFrame, str]:
    """Clip the losses that the gate compares, so that no single row decides.

    Args:
        losses: A table of `build_loss_table`.
        ceiling: The most that a row's loss counts.

    Returns:
        The table with losses (Float64) of at most that, NaN kept; and how many the candidate has above it in words.
    """
    known = [name for model in COMPARED_MODELS if (name := name_loss_column(model)) in losses.columns]
    share = float((losses[name_loss_column("candidate")] > ceiling).mean() or 0)  # type: ignore[arg-type]
    return losses.with_columns(pl.col(known).clip(upper_bound=ceiling)), describe_clipping(share, ceiling)


def find_live_failures(live: LivePredictions | None, rows: pl.DataFrame, losses: pl.DataFrame) -> pl.DataFrame:
    """Find the rows on which the live model was the furthest off, for the set of failures that grows with them.

    Args:
        live: The live model's predictions of the rows, None if there is no live model.
        rows: Rows as `read_training_rows` gives them.
        losses: Their losses, as `build_loss_table` gives them.

    Returns:
        Some of `rows`, with the columns `penumbra.day` (Date), `penumbra.loss` (Float64) and `penumbra.model` (String,
        the live version); without columns if there is no live model, or none of the rows is new to it.
    """
    if live is None or name_loss_column("live") not in losses.columns:
        return pl.DataFrame()
    of_live = rows.with_columns(
        losses[DAY_COLUMN],
        losses[name_loss_column("live")].alias(LOSS_COLUMN),
        pl.lit(live.version).alias(MODEL_COLUMN),
    )
    return select_worst_failures(of_live.filter(live.known))
