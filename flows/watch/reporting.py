"""Reports on the windows that have none yet: rows sampled, held against reference and candidate, kept and logged."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import polars as pl

import problem.features
import problem.schema
from counts import watched
from flows.promotion import bundled
from flows.watch import figures
from monitoring.reportable import sample
from settings import Settings
from stores import samples
from stores.drawn import MOST
from stores.index import Index
from stores.joined import joined
from stores.models import Models, Run
from stores.pointers import CANDIDATE
from stores.reports import Reports
from stores.shadow import OK
from stores.shadowed import shadowed
from stores.windows import Window, Windows
from task import Task

SEED = 2013
DATA, QUALITY, AGAINST_CANDIDATE, CANDIDATE_QUALITY = "data", "quality", "candidate", "candidate-quality"


def publish(chosen: Settings) -> list[Path]:
    """Make the reports of each window whose record has none yet; returns their pages. Costs nothing where all have.

    Raises BrokenBundle, and what the registry raises; what was begun is made anew by the next call.
    """
    reports = Reports(chosen.monitor.folder, chosen.registry.model)
    waiting = [window for window in Windows(chosen.monitor.folder).read() if not reports.is_published(window)]
    if not waiting:
        return []
    index, models = Index.of(chosen, problem.schema), Models(chosen.registry)
    index.catch_up()
    return [page for window in waiting for page in _publish(chosen, index, models, reports, window)]


def _publish(chosen: Settings, index: Index, models: Models, reports: Reports, window: Window) -> list[Path]:
    begun, snapshots = time.time(), _snapshots(chosen, index, models, window)
    pages = reports.write(window, snapshots)
    run = _log(models, window, pages, begun)
    reports.seal(window, list(pages), run)
    return list(pages.values())


def _snapshots(chosen: Settings, index: Index, models: Models, window: Window) -> dict[str, Any]:
    """By kind; those that nothing can be said in are left out."""
    from monitoring import reports

    rows = _live(index, window)
    with bundled.version(chosen, models, window.model) as live:
        threshold = live.facts.get("threshold")
        reference = side(sample(_numbered(live.reference), ["number"], MOST, SEED), "prediction", threshold, _task())
    sides = reports.Sides(side(rows, "output", threshold, _task()), reference, _task(), _declared(), threshold)
    usable = sides.columns()
    numbers, said = figures.figures(window, len(usable.left_out)), figures.words(window)
    made = {
        DATA: reports.data(sides, figures.distances(window), numbers, said, **_about(window, DATA)),
        QUALITY: reports.quality(sides, **_about(window, QUALITY)),
        **_beside_candidate(index, models, window, rows, threshold),
    }
    return {kind: snapshot for kind, snapshot in made.items() if snapshot is not None}


def _beside_candidate(
    index: Index, models: Models, window: Window, rows: pl.DataFrame, threshold: float | None
) -> dict[str, Any]:
    """The candidate's predictions of the same rows, where it is in the shadow."""
    from monitoring import reports

    candidate = (models.aliases() or {}).get(CANDIDATE)
    if candidate is None:
        return {}
    said = shadowed(index, candidate, ids=rows["id"].to_list()).filter(status=OK)
    both = rows.join(said.select("id", said="output"), on="id", how="inner").with_columns(_as_output(rows))
    sides = reports.Sides(
        side(both, "said", threshold, _task()), side(both, "output", threshold, _task()), _task(), {}, threshold
    )
    return {
        AGAINST_CANDIDATE: reports.predictions(sides, **_about(window, AGAINST_CANDIDATE)),
        CANDIDATE_QUALITY: reports.quality(sides, **_about(window, CANDIDATE_QUALITY)),
    }


def _live(index: Index, window: Window) -> pl.DataFrame:
    """A sample of the window's rows: what was asked, answered and reported of them."""
    rows = samples.sampled(index, window.model, window.begin, window.end, _declared())
    answers = joined(index, ids=rows["id"].to_list()).select("id", "output", label="target")
    return answers.join(rows, on="id", how="inner")


def side(rows: pl.DataFrame, output: str, threshold: float | None, task: Task) -> pl.DataFrame:
    """The columns that a report reads (see monitoring/reports.py)."""
    said = pl.col(output)
    if task.kind == "binary":
        return rows.with_columns(prediction=said, decision=said >= threshold)
    if task.kind == "regression":
        return rows.with_columns(prediction=said, decision=said)
    classes = pl.Series(task.classes)
    best = said.arr.arg_max().replace_strict(range(len(classes)), classes, return_dtype=pl.String, default=None)
    chances = [said.arr.get(number).alias(name) for number, name in enumerate(task.classes)]
    label = pl.col("label").to_physical().replace_strict(range(len(classes)), classes, return_dtype=pl.String)
    return rows.with_columns(*chances, prediction=best, decision=best, label=label)


def _as_output(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("said").cast(rows.schema["output"])


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_row_index("number")


def _declared() -> dict[str, Any]:
    """The contract's columns that features read, with their dtypes."""
    row = problem.schema.Row.columns()
    return {name: row[name].dtype for name in watched(problem.features.FEATURES, problem.schema.TIME)}


def _task() -> Task:
    return Task.of(problem.schema)


def _about(window: Window, kind: str) -> dict[str, Any]:
    last = window.end - dt.timedelta(days=1)
    name = f"{window.begin} to {last}: {kind.replace('-', ' ')}, {window.verdict}"
    tags = [kind, window.verdict, f"version {window.model}"]
    return {"name": name, "tags": tags, "timestamp": dt.datetime.combine(window.begin, dt.time())}


def _log(models: Models, window: Window, pages: dict[str, Path], begun: float) -> str:
    """Metrics and pages in a run of the window's own, the same one however often it is judged."""
    found = models.latest(1, f"tags.window = '{window.begin}'")
    if found:
        for page in pages.values():
            models.client.log_artifact(found[0].id, str(page), "reports")
        return found[0].id
    numbers = {f"{each.group} {each.series}": each.value for each in figures.figures(window, 0)}
    tags = {"window": str(window.begin), "verdict": window.verdict, "model_version": window.model}
    run = Run(f"window {window.begin}", begun, time.time(), metrics=numbers, tags=tags)
    return models.record(run, artifacts={"reports": next(iter(pages.values())).parent})
