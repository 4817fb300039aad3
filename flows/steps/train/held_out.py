"""A model on held-out rows, all of it out of sample: its losses beside the baseline's and the live model's, its scores
with their intervals, and where it does worst. No part of it waits for the model that is released."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import polars as pl

from flows.steps.prediction_losses import measure_loss_ceiling
from flows.steps.train.live_model import LivePredictions, predict_with_live
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan, read_training_rows
from flows.steps.train.trials.attempts import compute_once
from penumbra.core.columns import DAY_COLUMN, INPUTS_COLUMN, LOSS_COLUMN, MODEL_COLUMN, name_loss_column
from penumbra.core.metrics.group_metrics import compute_group_values, select_groups, sum_by_group
from penumbra.core.metrics.losses import LossClipping, compute_loss_ceiling, compute_row_losses
from penumbra.core.settings import PromotionSettings, Settings
from penumbra.registry.pointers import LIVE_ALIAS
from penumbra.training.evaluation import bootstrap, metric_intervals, slices
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.fit import compute_baseline
from penumbra.training.gate.fairness import GroupSums
from penumbra.training.split import select_worst_failures

COMPARED_MODELS = ("candidate", "baseline", "live")
HeldOutPart = Literal["validation", "test"]


@dataclass(frozen=True)
class HeldOutEvaluation:
    """What a model does on held-out rows.

    `rows` has a row for each held-out row (see `build_loss_table`); `clipped` those that are compared, their losses
    clipped, as many of each model's as `clipping` says; `intervals` the candidate's scores by metric; `live` the live
    model that it was compared with; `worst` the slices where the candidate is surely worse than elsewhere on the same
    day; `failed` the rows on which the live model failed; `compared` the days on which candidate and live model were
    compared (see `sum_compared_days`); `is_same` whether both predict the very same on all of these; `groups` what both
    do by group of the sensitive columns on the rows that are compared, None where the problem has none.
    """

    rows: pl.DataFrame
    clipped: pl.DataFrame
    clipping: LossClipping
    intervals: dict[str, bootstrap.Interval]
    live: LivePredictions | None
    worst: pl.DataFrame
    failed: pl.DataFrame
    compared: pl.DataFrame
    is_same: bool
    groups: GroupSums | None


def evaluate_held_out(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, job: TrialJob, part: HeldOutPart
) -> HeldOutEvaluation:
    """Evaluate a candidate on held-out batches, of which the predictions are beside the matrices; once against each
    live version.

    Args:
        settings: Sections [registry] and [promotion] (`loss`, `loss_ceiling`), and those that the rows are read by.
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of the candidate and the baseline.
        job: The candidate with its parameters.
        part: Which batches of the plan's split are judged.

    Returns:
        The evaluation.
    """
    from penumbra.registry.models import ModelRegistry

    version = ModelRegistry(settings.registry).version(LIVE_ALIAS)
    evaluate = partial(_evaluate_rows, settings, plan, matrices, job, part)
    return compute_once(matrices, f"held-out-{part}-{job}-beside-{version}", evaluate)


def score_named_slices(plan: TrainingPlan, matrices: Matrices, job: TrialJob, rows: pl.DataFrame) -> pl.DataFrame:
    """Score a candidate by slice of the test batches, of which the predictions are beside the matrices; once.

    Args:
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of the candidate.
        job: The candidate with its parameters.
        rows: The rows of these, as `build_loss_table` gives them.

    Returns:
        A row for each slice and metric with its interval; the columns are those of
        `penumbra.training.evaluation.slices.score_slices`, among them "slice" and "metric" (String).
    """

    def score() -> pl.DataFrame:
        predictions = matrices.arrays.read(f"test-{job}")
        labels, days = matrices.read_evaluation_set(plan.split.test)[1], rows[DAY_COLUMN].to_numpy()
        by_slice = rows.select(list(matrices.problem.slices.SLICES))
        return slices.score_slices(matrices.task, labels, predictions, days, by_slice)

    return compute_once(matrices, f"slices-test-{job}", score)


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


def sum_groups(
    threshold: float,
    matrices: Matrices,
    job: TrialJob,
    part: HeldOutPart,
    batches: Sequence[str],
    rows: pl.DataFrame,
    live: LivePredictions | None,
) -> GroupSums | None:
    """Sum what candidate and live model do by group of the problem's sensitive columns.

    Args:
        threshold: The setting `training.threshold`; the live model decides by its own.
        matrices: The matrices of the run, with the predictions of the candidate and the baseline.
        job: The candidate with its parameters.
        part: The part of the split that the predictions are named by.
        batches: The batches of that part.
        rows: The rows of these batches, as `read_training_rows` gives them.
        live: The live model's predictions of them, None if there is no live model.

    Returns:
        The sums, of the rows that the live model has predictions of if it has any; None without sensitive columns.
    """
    schema, task = matrices.problem.schema, matrices.task
    if not schema.SENSITIVE:
        return None
    live = live if live is not None and live.known.any() else None
    known = np.ones(rows.height, bool) if live is None else live.known
    labels = matrices.read_evaluation_set(batches)[1][known]
    groups = select_groups(schema, rows).filter(known)
    days = rows.select(matrices.problem.slices.DAY).to_series().filter(known)

    def sum_model(predictions: np.ndarray, decides_from: float) -> pl.DataFrame:
        values = compute_group_values(task, labels, np.asarray(predictions)[known], decides_from)
        return sum_by_group(groups, values, days)

    of_candidate, of_baseline = (matrices.arrays.read(f"{part}-{name}") for name in (job, "baseline"))
    unit = float(np.abs(of_baseline[known] - labels).mean()) if task.kind == "regression" else 1.0
    of_live = None
    if live is not None:
        of_live = sum_model(live.predictions, float(live.facts.get("threshold", threshold)))
    return GroupSums(sum_model(of_candidate, threshold), of_live, task.kind, unit, list(schema.SENSITIVE))


def clip_compared_losses(losses: pl.DataFrame, ceiling: float) -> tuple[pl.DataFrame, LossClipping]:
    """Clip the losses that the gate compares, so that no single row decides.

    Args:
        losses: A table of `build_loss_table`.
        ceiling: The most that a row's loss counts.

    Returns:
        The table with losses (Float64) of at most that, NaN kept; and how many each of the models has above it.
    """
    known = {model: name for model in COMPARED_MODELS if (name := name_loss_column(model)) in losses.columns}
    shares = {model: float(np.mean(losses[name].to_numpy() > ceiling)) for model, name in known.items()}
    return losses.with_columns(pl.col(*known.values()).clip(upper_bound=ceiling)), LossClipping(ceiling, shares)


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


def _evaluate_rows(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, job: TrialJob, part: HeldOutPart
) -> HeldOutEvaluation:
    rows = read_training_rows(settings, matrices.problem, batches := getattr(plan.split, part))
    live = predict_with_live(settings.registry, matrices.problem, rows)
    losses = build_loss_table(matrices, job, part, batches, rows, live)
    labels, days = matrices.read_evaluation_set(batches)[1], losses[DAY_COLUMN].to_numpy()
    predictions = matrices.arrays.read(f"{part}-{job}")
    ceiling = measure_gate_ceiling(settings.promotion, matrices, batches, live)
    compared = losses if live is None or not live.known.any() else losses.filter(live.known)
    clipped, clipping = clip_compared_losses(compared, ceiling)
    features, of_candidate = rows[INPUTS_COLUMN].struct.unnest(), losses[name_loss_column("candidate")].to_numpy()
    return HeldOutEvaluation(
        rows=losses,
        clipped=clipped,
        clipping=clipping,
        intervals=metric_intervals.compute_defined_intervals(matrices.task, labels, predictions, days),
        live=live,
        worst=slices.find_worst_slices(features, of_candidate, days),
        failed=find_live_failures(live, rows, losses),
        compared=sum_compared_days(clipped),
        is_same=live is not None and live.has_same(predictions),
        groups=sum_groups(settings.training.threshold, matrices, job, part, batches, rows, live),
    )
