"""Reports on the windows that have none yet: rows sampled, held against reference and candidate, kept and logged."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import polars as pl

import problem.features
import problem.schema
from flows.steps import model_version
from flows.steps.monitor import report_figures
from monitoring.reports.columns import sample_by_hash
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
DATA_REPORT, QUALITY_REPORT, CANDIDATE_REPORT, CANDIDATE_QUALITY_REPORT = (
    "data",
    "quality",
    "candidate",
    "candidate-quality",
)


def publish_reports(settings: Settings) -> list[Path]:
    """Make the reports of each window whose record has none yet; returns their pages. Costs nothing where all have.

    Raises BrokenBundle, and what the registry raises; what was begun is made anew by the next call.
    """
    reports = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    waiting = [window for window in WindowStore(settings.monitor.folder).read() if not reports.is_published(window)]
    if not waiting:
        return []
    index, models = LogIndex.from_settings(settings, problem.schema), ModelRegistry(settings.registry)
    index.catch_up()
    return [page for window in waiting for page in _publish_window(settings, index, models, reports, window)]


def _publish_window(
    settings: Settings, index: LogIndex, models: ModelRegistry, reports: ReportWorkspace, window: Window
) -> list[Path]:
    begun, snapshots = time.time(), _build_snapshots(settings, index, models, window)
    pages = reports.write(window, snapshots)
    run = _log_window_run(models, window, pages, begun)
    reports.mark_published(window, list(pages), run)
    return list(pages.values())


def _build_snapshots(settings: Settings, index: LogIndex, models: ModelRegistry, window: Window) -> dict[str, Any]:
    """By kind; those that nothing can be said in are left out."""
    from monitoring.reports import evidently_reports

    rows = _sample_live_rows(index, window)
    with model_version.open_model_version(settings, models, window.model) as live:
        threshold = live.facts.get("threshold")
        reference = build_report_frame(
            sample_by_hash(_add_row_number(live.reference), ["number"], MAX_WINDOW_ROWS, REFERENCE_SAMPLE_SEED),
            "prediction",
            threshold,
            _get_problem_task(),
        )
    sides = evidently_reports.ReportSides(
        build_report_frame(rows, "output", threshold, _get_problem_task()),
        reference,
        _get_problem_task(),
        _list_feature_dtypes(),
        threshold,
    )
    usable = sides.columns()
    numbers, said = report_figures.build_figures(window, len(usable.left_out)), report_figures.describe_window(window)
    made = {
        DATA_REPORT: evidently_reports.build_data_report(
            sides,
            report_figures.extract_distances(window),
            numbers,
            said,
            **_build_snapshot_metadata(window, DATA_REPORT),
        ),
        QUALITY_REPORT: evidently_reports.build_quality_report(
            sides, **_build_snapshot_metadata(window, QUALITY_REPORT)
        ),
        **_build_candidate_snapshots(index, models, window, rows, threshold),
    }
    return {kind: snapshot for kind, snapshot in made.items() if snapshot is not None}


def _build_candidate_snapshots(
    index: LogIndex, models: ModelRegistry, window: Window, rows: pl.DataFrame, threshold: float | None
) -> dict[str, Any]:
    """The candidate's predictions of the same rows, where it is in the shadow."""
    from monitoring.reports import evidently_reports

    candidate = (models.aliases() or {}).get(CANDIDATE_ALIAS)
    if candidate is None:
        return {}
    said = read_shadow_outputs(index, candidate, ids=rows["id"].to_list()).filter(status=STATUS_OK)
    both = rows.join(said.select("id", said="output"), on="id", how="inner").with_columns(_cast_to_output(rows))
    sides = evidently_reports.ReportSides(
        build_report_frame(both, "said", threshold, _get_problem_task()),
        build_report_frame(both, "output", threshold, _get_problem_task()),
        _get_problem_task(),
        {},
        threshold,
    )
    return {
        CANDIDATE_REPORT: evidently_reports.build_prediction_report(
            sides, **_build_snapshot_metadata(window, CANDIDATE_REPORT)
        ),
        CANDIDATE_QUALITY_REPORT: evidently_reports.build_quality_report(
            sides, **_build_snapshot_metadata(window, CANDIDATE_QUALITY_REPORT)
        ),
    }


def _sample_live_rows(index: LogIndex, window: Window) -> pl.DataFrame:
    """A sample of the window's rows: what was asked, answered and reported of them."""
    rows = samples.read_sampled_records(index, window.model, window.begin, window.end, _list_feature_dtypes())
    answers = join_labels(index, ids=rows["id"].to_list()).select("id", "output", label="target")
    return answers.join(rows, on="id", how="inner")


def build_report_frame(rows: pl.DataFrame, output: str, threshold: float | None, task: Task) -> pl.DataFrame:
    """The columns that a report reads (see monitoring/reports/evidently_reports.py)."""
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


def _cast_to_output(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("said").cast(rows.schema["output"])


def _add_row_number(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_row_index("number")


def _list_feature_dtypes() -> dict[str, Any]:
    """The contract's columns that features read, with their dtypes."""
    row = problem.schema.Row.columns()
    return {name: row[name].dtype for name in list_profiled_columns(problem.features.FEATURES, problem.schema.TIME)}


def _get_problem_task() -> Task:
    return Task.from_schema(problem.schema)


def _build_snapshot_metadata(window: Window, kind: str) -> dict[str, Any]:
    last = window.end - dt.timedelta(days=1)
    name = f"{window.begin} to {last}: {kind.replace('-', ' ')}, {window.verdict}"
    tags = [kind, window.verdict, f"version {window.model}"]
    return {"name": name, "tags": tags, "timestamp": dt.datetime.combine(window.begin, dt.time())}


def _log_window_run(models: ModelRegistry, window: Window, pages: dict[str, Path], begun: float) -> str:
    """Metrics and pages in a run of the window's own, the same one however often it is judged."""
    found = models.find_latest_runs(1, f"tags.window = '{window.begin}'")
    if found:
        for page in pages.values():
            models.client.log_artifact(found[0].id, str(page), "reports")
        return found[0].id
    numbers = {f"{each.group} {each.series}": each.value for each in report_figures.build_figures(window, 0)}
    tags = {"window": str(window.begin), "verdict": window.verdict, "model_version": window.model}
    run = FinishedRun(f"window {window.begin}", begun, time.time(), metrics=numbers, tags=tags)
    return models.record(run, artifacts={"reports": next(iter(pages.values())).parent})
