"""Tables and pictures of a training run, for the Metaflow card and beside the MLflow run."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from flows.steps.train.held_out import score_named_slices
from flows.steps.train.release.outcome import TrainingOutcome
from flows.steps.train.release.outcome_summary import format_candidate_table
from penumbra.core.metrics.losses import compute_row_losses, get_primary_metric
from penumbra.core.text.intervals import format_limits
from penumbra.core.text.quoting import fence_text
from penumbra.core.text.tables import align_columns, format_number, wrap_lines
from penumbra.training.evaluation import charts, group_scores
from penumbra.training.evaluation.evaluate import Trial, get_metric_title

CARD_WIDTH = 96  # characters of a line in Metaflow's card, on a screen of 1,200 pixels
CURVE_CHARTS = (
    ("ROC", "roc", "false_positive_rate", "true_positive_rate"),
    ("Precision and recall", "pr", "recall", "precision"),
    ("Calibration: what was predicted, what happened", "calibration", "predicted", "observed"),
)
ChartSpecs = dict[str, charts.VegaLiteSpec]


def build_evaluation_charts(outcome: TrainingOutcome, by_slice: pl.DataFrame) -> ChartSpecs:
    """Build the pictures of a training run.

    Args:
        outcome: The result of the run.
        by_slice: The winner's scores by slice, with the columns of `score_named_slices`.

    Returns:
        Vega-Lite specifications by name: the curves of winner, baseline and live model ("roc", "pr", "calibration", as
        far as the task has them), "batches" and, where the problem has slices, "slices" with the loss, those of
        `build_feature_charts`, and "gate".
    """
    specs = {
        kind: charts.build_curve_chart(title, points, x, y)
        for title, kind, x, y in CURVE_CHARTS
        if (points := [{"model": t.candidate, **point} for t in outcome.tested for point in t.curves.get(kind, [])])
    }
    metric = get_primary_metric(outcome.matrices.task)
    losses = [point for name in (str(outcome.winner), "baseline") for point in _losses_by_batch(outcome, name)]
    specs["batches"] = charts.build_batch_chart("Loss by batch, each learnt from earlier ones", losses, metric)
    of_metric = by_slice.filter(pl.col("metric") == metric).with_columns(model=pl.lit(outcome.winner.candidate))
    if of_metric.height:
        title = "Loss by slice, with 95 % intervals over days"
        specs["slices"] = charts.build_slice_chart(title, of_metric.to_dicts())
    specs |= build_feature_charts(outcome.tested[0])
    report = outcome.gate.report
    specs["gate"] = charts.build_gate_chart(f"Gate: {report.overall}", report.facts()["checks"])
    return specs


def build_feature_charts(tested: Trial) -> ChartSpecs:
    """Build the pictures of what a model makes of its features.

    Args:
        tested: Its trial, with the curves of `penumbra.training.evaluation.inspection.inspect_model`.

    Returns:
        Vega-Lite specifications by name: "importance" and "dependence", where the model could be asked for them.
    """
    model, points = tested.candidate, tested.curves["dependence"]
    importance = [{**row, "model": model, "slice": row["feature"]} for row in tested.curves["importance"]]
    title, specs = "Loss that a shuffled feature costs, least to most", {}
    if importance:
        specs["importance"] = charts.build_slice_chart(title, importance)
    if points:
        by_feature: dict[str, list[dict[str, Any]]] = {point["feature"]: [] for point in points}
        for point in points:
            by_feature[point["feature"]].append({**point, "model": point["class"] or model})
        specs["dependence"] = charts.stack_charts(*map(_build_dependence_chart, by_feature.values()))
    return specs


def _build_dependence_chart(points: list[dict[str, Any]]) -> charts.VegaLiteSpec:
    title = f"Mean prediction by {points[0]['feature']}, all else as it is"
    if isinstance(points[0]["value"], str):
        unbounded = {"low": None, "high": None}
        by_value = [{**each, "slice": each["value"], "value": each["predicted"], **unbounded} for each in points]
        return charts.build_slice_chart(title, by_value)
    return charts.build_curve_chart(title, points, "value", "predicted")


def write_evaluation(outcome: TrainingOutcome) -> ChartSpecs:
    """Write tables as CSV and text, and pictures as SVG, to the run's evaluation folder.

    Args:
        outcome: The result of the run.

    Returns:
        The pictures, as `build_evaluation_charts` gives them.
    """
    from vl_convert import vegalite_to_svg

    by_slice = score_named_slices(outcome.plan, outcome.matrices, outcome.winner, outcome.gate.rows)
    folder = outcome.evaluation_folder
    specs = build_evaluation_charts(outcome, by_slice)
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(by_slice, folder / "slices.csv")
    if groups := outcome.gate.groups:
        _write_table(group_scores.score_groups(groups.candidate), folder / "groups.csv")
        _write_table(group_scores.compare_groups(groups.candidate, groups.kind), folder / "fairness.csv")
    _write_table(outcome.gate.worst, folder / "worst.csv")
    (folder / "gate.txt").write_text(f"{outcome.gate.report}\n")
    for name, spec in specs.items():
        (folder / f"{name}.svg").write_text(vegalite_to_svg(spec))
    return specs


def _write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV, in which a number that isn't finite is an empty field: a limit that days can't tell."""
    finite = (pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in table.select(cs.float()).columns)
    table.with_columns(*finite).write_csv(path)


def fill_training_card(outcome: TrainingOutcome, text: str, specs: ChartSpecs) -> None:
    """Fill the Metaflow card of the current step.

    Args:
        outcome: The result of the run.
        text: The words that `make train` ends with.
        specs: The pictures.
    """
    from metaflow import current
    from metaflow.cards import Markdown, Table, VegaChart

    add = current.card.append
    tested = align_columns([[get_metric_title(name), str(score)] for name, score in outcome.gate.intervals.items()])
    add(Markdown(f"# Training\n{fence_text(wrap_lines(text, CARD_WIDTH))}"))
    add(Markdown(f"## All candidates on validation\n{fence_text(format_candidate_table(outcome.trials))}"))
    add(
        Markdown(
            f"## {outcome.winner.candidate} on the test batches, with 95 % intervals over days\n{fence_text(tested)}"
        )
    )
    for spec in specs.values():
        add(VegaChart(spec))
    add(Markdown("## Where it is surely worse than elsewhere on the same day"))
    add(Table(list_surely_worse(outcome.gate.worst), headers=["slice", "rows", "days", "more loss, 95 % interval"]))


def list_surely_worse(worst: pl.DataFrame) -> list[list[str]]:
    """List the slices whose lower limit is above 0, of those that look worst.

    Args:
        worst: The columns of `penumbra.training.evaluation.slices.find_worst_slices`.

    Returns:
        Of each slice its name, rows, days, and the excess loss with its limits, as text.
    """
    return [
        [name, f"{rows:,}", f"{days}", f"{format_number(excess)} {format_limits(low, high)}"]
        for name, rows, days, excess, low, high in worst.filter(pl.col("low") > 0).iter_rows()
    ]


def _losses_by_batch(outcome: TrainingOutcome, name: str) -> list[dict[str, Any]]:
    split, matrices = outcome.plan.split, outcome.matrices
    metric, points = get_primary_metric(matrices.task), []
    for part, batches in (("validation", split.validation), ("test", split.test)):
        ends = np.cumsum([matrices.arrays.sizes[batch] for batch in batches])[:-1]
        by_batch = np.split(matrices.arrays.read(f"{part}-{name}"), ends)
        for batch, predictions in zip(batches, by_batch, strict=True):
            labels = matrices.read_evaluation_set([batch])[1]
            loss = float(compute_row_losses(matrices.task, labels, predictions).mean())
            points.append({"model": name, "batch": batch, metric: loss})
    return points
