"""What a training run came to, to look at: tables and pictures, in the Metaflow card and beside the MLflow run."""

from typing import Any

import numpy as np
import polars as pl

from flows.steps.train.registration import TrainingOutcome
from penumbra.core.metrics import get_primary_metric, row_losses
from penumbra.training import charts, slices, summary
from problem.slices import SLICES

CURVE_CHARTS = (
    ("ROC", "roc", "false_positive_rate", "true_positive_rate"),
    ("Precision and recall", "pr", "recall", "precision"),
    ("Calibration: what was predicted, what happened", "calibration", "predicted", "observed"),
)
ChartSpecs = dict[str, charts.VegaLiteSpec]


def build_evaluation_charts(made: TrainingOutcome, by_slice: pl.DataFrame) -> ChartSpecs:
    """By name: the curves of winner, baseline and live model, the loss by batch and by slice, the gate."""
    drawn = {
        kind: charts.build_curve_chart(title, points, x, y)
        for title, kind, x, y in CURVE_CHARTS
        if (points := [{"model": t.candidate, **point} for t in made.tested for point in t.curves.get(kind, [])])
    }
    metric = get_primary_metric(made.matrices.task)
    points = [point for name in (str(made.winner), "baseline") for point in _losses_by_batch(made, name)]
    drawn["batches"] = charts.build_batch_chart("Loss by batch, each learnt from earlier ones", points, metric)
    shown = by_slice.filter(pl.col("metric") == metric).with_columns(model=pl.lit(made.winner.candidate))
    drawn["slices"] = charts.build_slice_chart("Loss by slice, with 95 % intervals over days", shown.to_dicts())
    drawn["gate"] = charts.build_gate_chart(f"Gate: {made.held.report.overall}", made.held.report.facts()["checks"])
    return drawn


def score_winner_slices(made: TrainingOutcome) -> pl.DataFrame:
    """The winner's scores by slice of the test batches, with their intervals."""
    said = made.matrices.arrays.read(f"test-{made.winner}")
    labels = made.matrices.judged(made.plan.split.test)[1]
    rows = made.held.rows
    return slices.score_slices(made.matrices.task, labels, said, rows["day"].to_numpy(), rows.select(list(SLICES)))


def write_evaluation(made: TrainingOutcome) -> ChartSpecs:
    """Write tables as CSV and text and pictures as SVG; return the pictures."""
    from vl_convert import vegalite_to_svg

    by_slice = score_winner_slices(made)
    drawn = build_evaluation_charts(made, by_slice)
    made.evaluation_folder.mkdir(parents=True, exist_ok=True)
    by_slice.write_csv(made.evaluation_folder / "slices.csv")
    made.held.worst.write_csv(made.evaluation_folder / "worst.csv")
    (made.evaluation_folder / "gate.txt").write_text(f"{made.held.report}\n")
    for name, chart in drawn.items():
        (made.evaluation_folder / f"{name}.svg").write_text(vegalite_to_svg(chart))
    return drawn


def fill_training_card(made: TrainingOutcome, text: str, drawn: ChartSpecs) -> None:
    """Fill the current step's card."""
    from metaflow import current
    from metaflow.cards import Markdown, Table, VegaChart

    add = current.card.append
    validated = summary.format_score_table([(str(trial.job), trial.scores) for trial in made.trials])
    tested = summary.format_score_table([(made.winner.candidate, made.held.intervals)])
    add(Markdown(f"# Training\n```\n{text}\n```"))
    add(Markdown(f"## All candidates on validation\n```\n{validated}\n```"))
    add(Markdown(f"## On the test batches, with 95 % intervals over days\n```\n{tested}\n```"))
    for chart in drawn.values():
        add(VegaChart(chart))
    add(Markdown("## Where it is surely worse than elsewhere on the same day"))
    worst = made.held.worst
    add(Table([[str(value) for value in row] for row in worst.rows()], headers=worst.columns))


def _losses_by_batch(made: TrainingOutcome, name: str) -> list[dict[str, Any]]:
    split, matrices = made.plan.split, made.matrices
    points = []
    for part, batches in (("validation", split.validation), ("test", split.test)):
        ends = np.cumsum([matrices.arrays.sizes[batch] for batch in batches])[:-1]
        said = np.split(matrices.arrays.read(f"{part}-{name}"), ends)
        for batch, predictions in zip(batches, said, strict=True):
            loss = float(row_losses(matrices.task, matrices.judged([batch])[1], predictions).mean())
            points.append({"model": name, "batch": batch, get_primary_metric(matrices.task): loss})
    return points
