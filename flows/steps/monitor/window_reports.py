"""Reports of windows: rows are sampled, compared with reference and candidate, and the pages kept and logged."""

import datetime as dt
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from flows.steps import model_version
from flows.steps.model_version import ModelVersion
from monitoring.reports import evidently_reports, spared_work
from monitoring.reports.columns import ReportSides, build_report_frame, sample_by_hash
from monitoring.reports.window_figures import build_figures, describe_window, extract_distances
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_records import Window
from penumbra.core.columns import (
    CANDIDATE_OUTPUT_COLUMN,
    ID_COLUMN,
    LABEL_COLUMN,
    OUTPUT_COLUMN,
    PREDICTION_COLUMN,
    ROW_NUMBER_COLUMN,
)
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import samples
from penumbra.logs.queries.bottom_k import MAX_WINDOW_ROWS
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.queries.shadow import read_shadow_outputs
from penumbra.logs.schema import STATUS_OK
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS
from penumbra.registry.tracking.run_records import FinishedRun

REFERENCE_SAMPLE_SEED = 2013
DATA_REPORT, QUALITY_REPORT, CANDIDATE_REPORT, CANDIDATE_QUALITY_REPORT = (
    "data",
    "quality",
    "candidate",
    "candidate-quality",
)


@dataclass(frozen=True)
class ReportSources:
    """What the rows of a report are read from."""

    settings: Settings
    problem: Problem
    index: LogIndex
    models: ModelRegistry


def publish_waiting_windows(settings: Settings, problem: Problem) -> Iterator[Path]:
    """Publish the reports of each window whose record has none yet.

    For a process that does nothing else (see reports.py): Evidently is adapted to this work while it lasts, and memory
    is freed before each further window only.

    Args:
        settings: The settings; logs, registry, bundles and the monitor's folder are read.
        problem: The problem, with schema, source and features.

    Yields:
        The pages as they are written. A window counts as published once all of its pages are; one of a version that
        can't be compared any more has none, which is printed.

    Raises:
        BrokenBundle: The bundle of a window's model is damaged.
        DamagedWindow: A window's record is damaged.
        MlflowException: The registry can't be read or written.
    """
    index = LogIndex.of_all_replicas(settings, problem.schema)
    sources = ReportSources(settings, problem, index, ModelRegistry(settings.registry))
    workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    with spared_work.spare_needless_work(Task.from_schema(problem.schema)):
        for number, window in enumerate(workspace.list_unpublished()):
            if number:
                gc.collect()
            try:
                yield from _publish_window(sources, workspace, window)
            except UnfitBundle as reason:  # later windows have theirs
                print(f"{window.days}: no reports: {reason}")
                workspace.mark_published(window, [])


def _publish_window(sources: ReportSources, workspace: ReportWorkspace, window: Window) -> list[Path]:
    start = time.time()
    pages = workspace.write(window, _build_snapshots(sources, window))
    run = log_window_run(sources.models, window, pages, start)
    workspace.mark_published(window, list(pages), run)
    return list(pages.values())


def _build_snapshots(sources: ReportSources, window: Window) -> dict[str, Any]:
    """Snapshots by kind of report; kinds that can't be made of these rows are left out."""
    with model_version.open_model_version(sources.settings, sources.problem, sources.models, window.model) as model:
        model.require_comparable()
        contract = sources.problem.schema.Row.columns()
        dtypes = {name: contract[name].dtype for name in model.read_columns}
        rows = sample_live_rows(sources.index, window, dtypes)
        live = _build_live_sides(model, rows, dtypes)
    snapshots = {
        DATA_REPORT: evidently_reports.build_data_report(
            live,
            extract_distances(window),
            build_figures(window, len(live.columns().left_out)),
            describe_window(window),
            **_build_snapshot_metadata(window, DATA_REPORT),
        ),
        QUALITY_REPORT: evidently_reports.build_quality_report(
            live, **_build_snapshot_metadata(window, QUALITY_REPORT)
        ),
        **_build_candidate_snapshots(window, _build_candidate_sides(sources, rows, live.threshold)),
    }
    return {kind: snapshot for kind, snapshot in snapshots.items() if snapshot is not None}


def _build_candidate_snapshots(window: Window, sides: ReportSides | None) -> dict[str, Any]:
    if sides is None:
        return {}
    builders = {
        CANDIDATE_REPORT: evidently_reports.build_prediction_report,
        CANDIDATE_QUALITY_REPORT: evidently_reports.build_quality_report,
    }
    return {kind: build(sides, **_build_snapshot_metadata(window, kind)) for kind, build in builders.items()}


def _build_live_sides(model: ModelVersion, rows: pl.DataFrame, dtypes: dict[str, Any]) -> ReportSides:
    """The window's rows beside a sample of its model's reference, which is by time, too."""
    task, threshold = model.task, model.facts.get("threshold")
    numbered = model.whole_reference.with_row_index(ROW_NUMBER_COLUMN)
    sample = sample_by_hash(numbered, [ROW_NUMBER_COLUMN], MAX_WINDOW_ROWS, REFERENCE_SAMPLE_SEED)
    reference = sample.sort(model.problem.schema.TIME, maintain_order=True)
    return ReportSides(
        build_report_frame(rows, OUTPUT_COLUMN, threshold, task),
        build_report_frame(reference, PREDICTION_COLUMN, threshold, task),
        task,
        dtypes,
        threshold,
    )


def _build_candidate_sides(sources: ReportSources, rows: pl.DataFrame, threshold: float | None) -> ReportSides | None:
    """The candidate's predictions of the same rows beside the live model's; None where none is in the shadow."""
    candidate = (sources.models.aliases() or {}).get(CANDIDATE_ALIAS)
    if candidate is None:
        return None
    task, ids = Task.from_schema(sources.problem.schema), rows[ID_COLUMN].to_list()
    answers = read_shadow_outputs(sources.index, candidate, ids=ids).filter(status=STATUS_OK)
    output = pl.col("output").cast(rows.schema[OUTPUT_COLUMN]).alias(CANDIDATE_OUTPUT_COLUMN)
    named = answers.select(pl.col("id").alias(ID_COLUMN), output)
    both = rows.join(named, on=ID_COLUMN, how="inner", maintain_order="left")
    return ReportSides(
        build_report_frame(both, CANDIDATE_OUTPUT_COLUMN, threshold, task),
        build_report_frame(both, OUTPUT_COLUMN, threshold, task),
        task,
        {},
        threshold,
    )


def sample_live_rows(index: LogIndex, window: Window, dtypes: dict[str, Any]) -> pl.DataFrame:
    """Sample a window's rows, by time, as reports draw them.

    Args:
        index: The index of the logs.
        window: The window.
        dtypes: The columns to read.

    Returns:
        These with the id, the live model's output and the label of each row, the earliest first.
    """
    rows = samples.read_sampled_records(index, window.model, window.begin, window.end, dtypes)
    answers = (
        join_labels(index, ids=rows[ID_COLUMN].to_list())
        .sort("event", maintain_order=True)
        .select(
            pl.col("id").alias(ID_COLUMN), pl.col("output").alias(OUTPUT_COLUMN), pl.col("target").alias(LABEL_COLUMN)
        )
    )
    return answers.join(rows, on=ID_COLUMN, how="inner", maintain_order="left")


def log_window_run(models: ModelRegistry, window: Window, pages: dict[str, Path], start: float) -> str:
    """Log figures and pages to the window's MLflow run, which is the same one however often it is judged.

    Args:
        models: The registry.
        window: The window.
        pages: The pages by kind of report, all in one folder.
        start: When work on them began, in seconds since the epoch.

    Returns:
        The run's id.

    Raises:
        MlflowException: MLflow refuses or can't be reached.
    """
    metrics = {f"{figure.group} {figure.series}": figure.value for figure in build_figures(window, 0)}
    tags = {"window": str(window.begin), "verdict": window.verdict, "model_version": window.model}
    if known := models.find_finished_run("window", str(window.begin)):
        models.update_run(known, metrics, tags)
        models.log_files(known, pages.values(), "reports")
        return known
    run = FinishedRun(f"window {window.begin}", start, time.time(), metrics=metrics, tags=tags)
    return models.record(run, artifacts={"reports": next(iter(pages.values())).parent}, key=f"window {window.begin}")


def _build_snapshot_metadata(window: Window, kind: str) -> dict[str, Any]:
    """Evidently's `name`, `tags` and `timestamp` of a snapshot, which its pages show."""
    name = f"{window.days}: {kind.replace('-', ' ')}, {window.verdict}"
    tags = [kind, window.verdict, f"version {window.model}"]
    return {"name": name, "tags": tags, "timestamp": dt.datetime.combine(window.begin, dt.time())}
