"""The end of a training run: its bundle, its MLflow runs, its version and alias, its words and its card."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from flows import plan as planning
from problem.features import FEATURES
from settings import Data, Settings
from stores import bundle, versions
from stores.models import Models, Run
from stores.receipts import Receipts
from task import Task
from training import charts, known, summary
from training.evaluate import losses, primary
from training.prepare import labels_of
from training.trial import Trial, scored

LIVE, CANDIDATE = "live", "candidate"


def compare_with_live(chosen: Settings, plan: planning.Plan, models: Models) -> list[Trial]:
    """The live model on the same test rows. Nothing where there is none, where it has learnt from these rows, or where
    it can't be read by this code (it was made for other features)."""
    version = models.version(LIVE)
    if not version:
        return []
    rows = planning.rows(chosen, plan.split.test)
    try:
        said = _said_by(models, version, rows)
    except bundle.BrokenBundle as reason:
        print(f"no comparison with live version {version}: {reason}")
        return []
    if said is None:
        print(f"no comparison with live version {version}: it has learnt from {summary.span(plan.split.test)}")
        return []
    task = Task.of(problem.schema)
    return [scored(f"live (version {version})", task, labels_of(rows, task), said)]


def _said_by(models: Models, version: str, rows: pl.DataFrame) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        models.download(version, Path(folder) / version)
        return _held_out(bundle.read(Path(folder) / version, FEATURES, version), rows)


def _held_out(live: bundle.Bundle, rows: pl.DataFrame) -> Any:
    """What the live model says, or said out of sample, of rows; None where it has only seen them in training."""
    if not set(rows["batch"].unique()) & set(live.facts["train"] + live.facts["validation"] + live.facts["test"]):
        return live.score(rows)
    key = problem.schema.Row.primary_key()
    said = rows.join(pl.read_parquet(live.path / "reference.parquet"), on=key, how="left", maintain_order="left")
    return None if said["prediction"].has_nulls() else said["prediction"].to_numpy()


def write_bundle(chosen: Settings, plan: planning.Plan, score: Any, scores: dict[str, float]) -> Path:
    """Complete the folder that holds the compiled model already."""
    made = score.matrices
    folder = made.arrays.folder / "bundle"
    facts = {
        "candidate": score.winner.candidate,
        "parameters": score.winner.parameters,
        "task": dataclasses.asdict(made.task),
        "threshold": chosen.training.threshold,
        "metrics": scores,
        "baseline": known.baseline(made.task, made.arrays.read("labels")),
        "counts": known.counts(made.arrays.read("inputs"), made.columns["categorical"], made.tables),
        **plan.facts,
    }
    bundle.seal(folder, facts, FEATURES, made.tables)
    return folder


def write_runs(
    models: Models, plan: planning.Plan, trials: list[Trial], finals: list[Trial], folder: Path, parity: float
) -> str:
    """One run with the bundle, and one child a candidate; returns the run's id."""
    winner = finals[0]
    metrics = {f"test_{key}": value for key, value in winner.scores.items()} | {"compiled_parity": parity}
    tags = {key: plan.facts[key] for key in ("data_version", "revision", "fingerprint")}
    tags |= {key: json.dumps(plan.facts[key]) for key in ("settings", "environment")}
    began = min(trial.began for trial in trials)
    params = {"candidate": winner.candidate, **{key: plan.facts[key] for key in ("train", "validation", "test")}}
    run = Run(f"train {winner.candidate}", began, winner.ended, params, metrics, tags)
    pointer = versions.pointer(Data(**plan.facts["settings"]["data"]))
    run_id = models.record(run, artifacts={"bundle": folder, "data": pointer}, data_version=plan.facts["data_version"])
    for trial in trials:
        child = Run(
            str(trial.job),
            trial.began,
            trial.ended,
            trial.job.parameters,
            {"fit_seconds": trial.fit_seconds, **trial.scores, **trial.report},
        )
        models.record(child, parent=run_id)
    return run_id


def words(version: str, alias: str, winner: str, plan: planning.Plan, finals: list[Trial]) -> str:
    """The last thing that `make train` says."""
    state = f"Version {version} is live" if alias == LIVE else f"Version {version} is the candidate"
    facts = plan.facts
    advice = {
        LIVE: "Next: `make serve` answers with it on POST /predict.",
        CANDIDATE: "Next: it is scored in the shadow of the live model, which goes on answering.",
    }
    return "\n".join(
        [
            f"{state}: {winner}, fitted on {summary.span(plan.split.all)}",
            f"(data {facts['data_version'][:8]}, code {facts['revision'][:8]}). "
            f"Its recipe, fitted on the batches before, scored on {summary.span(plan.split.test)}:",
            "",
            summary.table([(trial.candidate, trial.scores) for trial in finals]),
            "",
            advice[alias],
            "",
        ]
    )


def show(score: Any, trials: list[Trial], finals: list[Trial], text: str) -> None:
    """Fill the step's Metaflow card: the words, the tables and the pictures."""
    from metaflow import current
    from metaflow.cards import Markdown, VegaChart

    add = current.card.append
    add(Markdown(f"# Training\n```\n{text}\n```"))
    add(
        Markdown(
            f"## All candidates on validation\n```\n{summary.table([(t.candidate, t.scores) for t in trials])}\n```"
        )
    )
    add(Markdown("## On the test batches"))
    for title, kind, x, y in CURVES:
        points = [{"model": trial.candidate, **point} for trial in finals for point in trial.curves[kind]]
        add(VegaChart(charts.curve(title, points, x, y)))
    points = [point for name in (str(score.winner), "baseline") for point in _by_batch(score, name)]
    add(
        VegaChart(charts.by_batch("Loss by batch, each learnt from earlier ones", points, primary(score.matrices.task)))
    )


def _by_batch(score: Any, name: str) -> list[dict[str, Any]]:
    split, made = score.plan.split, score.matrices
    points = []
    for part, batches in (("validation", split.validation), ("test", split.test)):
        said = np.split(made.arrays.read(f"{part}-{name}"), np.cumsum([made.arrays.sizes[b] for b in batches])[:-1])
        for batch, predictions in zip(batches, said, strict=True):
            loss = float(losses(made.task, made.judged([batch])[1], predictions).mean())
            points.append({"model": name, "batch": batch, primary(made.task): loss})
    return points


CURVES = (
    ("ROC", "roc", "false_positive_rate", "true_positive_rate"),
    ("Precision and recall", "pr", "recall", "precision"),
    ("Calibration: what was predicted, what happened", "calibration", "predicted", "observed"),
)


def register(score: Any, trials: list[Trial], parity: float) -> str:
    """Everything in its order; returns the words. `score` is the task that scored the winner on the test batches."""
    chosen, plan = score.settings, score.plan
    models = Models(chosen.registry)
    finals = [*score.tested, *compare_with_live(chosen, plan, models)]
    folder = write_bundle(chosen, plan, score, finals[0].scores)
    recorded = write_runs(models, plan, trials, finals, folder, parity)
    version = models.register(
        recorded, "bundle", {"fingerprint": plan.fingerprint, "data_version": plan.facts["data_version"]}
    )
    alias = CANDIDATE if models.version(LIVE) else LIVE
    models.point(alias, version)
    text = words(version, alias, score.winner.candidate, plan, finals)
    Receipts(chosen.training.folder).keep(plan.fingerprint, text)
    show(score, trials, finals, text)
    return text
