"""The Metaflow card of a training run: the words, the tables and the pictures."""

from typing import Any

import numpy as np

from flows.record import Outcome
from training import charts, summary
from training.evaluate import losses, primary

CURVES = (
    ("ROC", "roc", "false_positive_rate", "true_positive_rate"),
    ("Precision and recall", "pr", "recall", "precision"),
    ("Calibration: what was predicted, what happened", "calibration", "predicted", "observed"),
)


def card(made: Outcome, text: str) -> None:
    """Fill the current step's card."""
    from metaflow import current
    from metaflow.cards import Markdown, VegaChart

    add = current.card.append
    validated = summary.table([(str(trial.job), trial.scores) for trial in made.trials])
    add(Markdown(f"# Training\n```\n{text}\n```"))
    add(Markdown(f"## All candidates on validation\n```\n{validated}\n```"))
    add(Markdown("## On the test batches"))
    for chart in pictures(made):
        add(VegaChart(chart))


def pictures(made: Outcome) -> list[charts.Spec]:
    """The curves of winner, baseline and live model, and the loss by batch."""
    drawn = [
        charts.curve(title, points, x, y)
        for title, kind, x, y in CURVES
        if (points := [{"model": t.candidate, **point} for t in made.tested for point in t.curves.get(kind, [])])
    ]
    points = [point for name in (str(made.winner), "baseline") for point in _by_batch(made, name)]
    title = "Loss by batch, each learnt from earlier ones"
    return [*drawn, charts.by_batch(title, points, primary(made.matrices.task))]


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
