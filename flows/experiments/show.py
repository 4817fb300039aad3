"""What a training run came to, to look at: tables and pictures, in the Metaflow card and beside the MLflow run."""

from typing import Any

import numpy as np
import polars as pl

from flows.experiments.record import Outcome
from problem.slices import SLICES
from training import charts, slices, summary
from training.evaluate import losses, primary

CURVES = (
    ("ROC", "roc", "false_positive_rate", "true_positive_rate"),
    ("Precision and recall", "pr", "recall", "precision"),
    ("Calibration: what was predicted, what happened", "calibration", "predicted", "observed"),
)
Pictures = dict[str, charts.Spec]


def pictures(made: Outcome, by_slice: pl.DataFrame) -> Pictures:
    """By name: the curves of winner, baseline and live model, the loss by batch and by slice, the gate."""
    drawn = {
        kind: charts.curve(title, points, x, y)
        for title, kind, x, y in CURVES
        if (points := [{"model": t.candidate, **point} for t in made.tested for point in t.curves.get(kind, [])])
    }
    metric = primary(made.matrices.task)
    points = [point for name in (str(made.winner), "baseline") for point in _by_batch(made, name)]
    drawn["batches"] = charts.by_batch("Loss by batch, each learnt from earlier ones", points, metric)
    shown = by_slice.filter(pl.col("metric") == metric).with_columns(model=pl.lit(made.winner.candidate))
    drawn["slices"] = charts.by_slice("Loss by slice, with 95 % intervals over days", shown.to_dicts())
    drawn["gate"] = charts.gate(f"Gate: {made.held.report.overall}", made.held.report.facts()["checks"])
    return drawn


def scores_by_slice(made: Outcome) -> pl.DataFrame:
    """The winner's scores by slice of the test batches, with their intervals."""
    said = made.matrices.arrays.read(f"test-{made.winner}")
    labels = made.matrices.judged(made.plan.split.test)[1]
    rows = made.held.rows
    return slices.by_slice(made.matrices.task, labels, said, rows["day"].to_numpy(), rows.select(list(SLICES)))


def files(made: Outcome) -> Pictures:
    """Write tables as CSV and text and pictures as SVG; return the pictures."""
    from vl_convert import vegalite_to_svg

    by_slice = scores_by_slice(made)
    drawn = pictures(made, by_slice)
    made.evaluation.mkdir(parents=True, exist_ok=True)
    by_slice.write_csv(made.evaluation / "slices.csv")
    made.held.worst.write_csv(made.evaluation / "worst.csv")
    (made.evaluation / "gate.txt").write_text(f"{made.held.report}\n")
    for name, chart in drawn.items():
        (made.evaluation / f"{name}.svg").write_text(vegalite_to_svg(chart))
    return drawn


def card(made: Outcome, text: str, drawn: Pictures) -> None:
    """Fill the current step's card."""
    from metaflow import current
    from metaflow.cards import Markdown, Table, VegaChart

    add = current.card.append
    validated = summary.table([(str(trial.job), trial.scores) for trial in made.trials])
    tested = summary.table([(made.winner.candidate, made.held.intervals)])
    add(Markdown(f"# Training\n```\n{text}\n```"))
    add(Markdown(f"## All candidates on validation\n```\n{validated}\n```"))
    add(Markdown(f"## On the test batches, with 95 % intervals over days\n```\n{tested}\n```"))
    for chart in drawn.values():
        add(VegaChart(chart))
    add(Markdown("## Where it is surely worse than elsewhere on the same day"))
    worst = made.held.worst
    add(Table([[str(value) for value in row] for row in worst.rows()], headers=worst.columns))


def _by_batch(made: Outcome, name: str) -> list[dict[str, Any]]:
    split, matrices = made.plan.split, made.matrices
    points = []
    for part, batches in (("validation", split.validation), ("test", split.test)):
        ends = np.cumsum([matrices.arrays.sizes[batch] for batch in batches])[:-1]
        said = np.split(matrices.arrays.read(f"{part}-{name}"), ends)
        for batch, predictions in zip(batches, said, strict=True):
            loss = float(losses(matrices.task, matrices.judged([batch])[1], predictions).mean())
            points.append({"model": name, "batch": batch, primary(matrices.task): loss})
    return points
