"""Publication of reports on windows that have none: rows are sampled here, a process of its own makes the pages."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import problem.features
import problem.schema
from flows.steps import model_version
from monitoring.reports.client import ReportProcess, start_report_process
from monitoring.reports.columns import ReportSides, sample_by_hash
from monitoring.reports.window_figures import build_figures
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows import Window, WindowStore
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.index import LogIndex
from penumbra.logs.queries import samples
from penumbra.logs.queries.bottom_k import MAX_WINDOW_ROWS
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.shadow import read_shadow_outputs
from penumbra.logs.schema import STATUS_OK
from penumbra.registry.models import FinishedRun, ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS

REFERENCE_SAMPLE_SEED = 2013


@dataclass(frozen=True)
class ReportSources:
    """What the rows of a report are read from."""

    settings: Settings
    index: LogIndex
    models: ModelRegistry


def publish_reports(settings: Settings) -> list[Path]:
    """Publish the reports of each window whose record has none yet; starts no process where all have theirs.

    Args:
        settings: The settings; logs, registry, bundles and the monitor's folder are read.

    Returns:
        The pages that were written.

    Raises:
        ReportProcessFailed: The reports of a window couldn't be made. Those of earlier windows stay published, and the
            next call makes the others.
        BrokenBundle: The bundle of a window's model is damaged.
        DamagedWindow: A window's record is damaged.
        MlflowException: The registry can't be read or written.
    """
    workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    waiting = [window for window in WindowStore(settings.monitor.folder).read() if not workspace.is_published(window)]
    if not waiting:
        return []
    sources = ReportSources(
        settings, LogIndex.from_settings(settings, problem.schema), ModelRegistry(settings.registry)
    )
    with start_report_process(workspace.folder, workspace.name) as process:
        sources.index.catch_up()
        return [page for window in waiting for page in _publish_window(sources, process, workspace, window)]


def _publish_window(
    sources: ReportSources, process: ReportProcess, workspace: ReportWorkspace, window: Window
) -> list[Path]:
    start = time.time()
    rows = _sample_live_rows(sources.index, window)
    live = _build_live_sides(sources, window, rows)
    pages = process.write_reports(window, live, _build_candidate_sides(sources, rows, live.threshold))
    run = _log_window_run(sources.models, window, pages, start)
    workspace.mark_published(window, list(pages), run)
    return list(pages.values())


def _build_live_sides(sources: ReportSources, window: Window, rows: pl.DataFrame) -> ReportSides:
    """The window's rows beside a sample of its model's reference."""
    task = _get_problem_task()
    with model_version.open_model_version(sources.settings, sources.models, window.model) as model:
        threshold = model.facts.get("threshold")
        numbered = model.reference.with_row_index("number")
        reference = sample_by_hash(numbered, ["number"], MAX_WINDOW_ROWS, REFERENCE_SAMPLE_SEED)
    return ReportSides(
        build_report_frame(rows, "output", threshold, task),
        build_report_frame(reference, "prediction", threshold, task),
        task,
        _list_feature_dtypes(),
        threshold,
    )


def _build_candidate_sides(sources: ReportSources, rows: pl.DataFrame, threshold: float | None) -> ReportSides | None:
    """The candidate's predictions of the same rows beside the live model's; None where none is in the shadow."""
    candidate = (sources.models.aliases() or {}).get(CANDIDATE_ALIAS)
    if candidate is None:
        return None
    task, ids = _get_problem_task(), rows["id"].to_list()
    answers = read_shadow_outputs(sources.index, candidate, ids=ids).filter(status=STATUS_OK)
    both = rows.join(answers.select("id", candidate_output="output"), on="id", how="inner").with_columns(
        pl.col("candidate_output").cast(rows.schema["output"])
    )
    return ReportSides(
        build_report_frame(both, "candidate_output", threshold, task),
        build_report_frame(both, "output", threshold, task),
        task,
        {},
        threshold,
    )


def _sample_live_rows(index: LogIndex, window: Window) -> pl.DataFrame:
    """A sample of the window's rows with the live model's `output` and the `label`."""
    rows = samples.read_sampled_records(index, window.model, window.begin, window.end, _list_feature_dtypes())
    answers = join_labels(index, ids=rows["id"].to_list()).select("id", "output", label="target")
    return answers.join(rows, on="id", how="inner")


def build_report_frame(rows: pl.DataFrame, output: str, threshold: float | None, task: Task) -> pl.DataFrame:
    """Add the columns that a report reads (see `ReportSides`).

    Args:
        rows: Rows with `label` and the column `output`: Float64, or Array(Float64, classes) for several classes.
        output: The name of the column with a model's output.
        threshold: The probability from which on a binary decision is positive; unused for other tasks.
        task: The kind of prediction.

    Returns:
        The rows with `prediction` and `decision`. For several classes both are the most probable class (String), with
        a column of probabilities for each class, and `label` becomes the class's name.
    """
    predicted = pl.col(output)
    if task.kind == "binary":
        return rows.with_columns(prediction=predicted, decision=predicted >= threshold)
    if task.kind == "regression":
        return rows.with_columns(prediction=predicted, decision=predicted)
    classes = pl.Series(task.classes)
    best = predicted.arr.arg_max().replace_strict(range(len(classes)), classes, return_dtype=pl.String, default=None)
    probabilities = [predicted.arr.get(number).alias(name) for number, name in enumerate(task.classes)]
    label = pl.col("label").to_physical().replace_strict(range(len(classes)), classes, return_dtype=pl.String)
    return rows.with_columns(*probabilities, prediction=best, decision=best, label=label)


def _list_feature_dtypes() -> dict[str, Any]:
    """The contract's columns that features read, with their dtypes."""
    row = problem.schema.Row.columns()
    return {name: row[name].dtype for name in list_profiled_columns(problem.features.FEATURES, problem.schema.TIME)}


def _get_problem_task() -> Task:
    return Task.from_schema(problem.schema)


def _log_window_run(models: ModelRegistry, window: Window, pages: dict[str, Path], start: float) -> str:
    """Log figures and pages to the window's MLflow run, which is the same one however often it is judged.

    Returns the run's id."""
    known = models.find_latest_runs(1, f"tags.window = '{window.begin}'")
    if known:
        for page in pages.values():
            models.client.log_artifact(known[0].id, str(page), "reports")
        return known[0].id
    metrics = {f"{figure.group} {figure.series}": figure.value for figure in build_figures(window, 0)}
    tags = {"window": str(window.begin), "verdict": window.verdict, "model_version": window.model}
    run = FinishedRun(f"window {window.begin}", start, time.time(), metrics=metrics, tags=tags)
    return models.record(run, artifacts={"reports": next(iter(pages.values())).parent})
