"""A small project with something in every store, made in seconds: data, models, service, logs, windows, ledger."""

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.monitor import due_windows
from monitoring.reports.workspace import REPORT_PAGES_FOLDER, ReportWorkspace
from monitoring.windows.window_store import WindowStore
from penumbra.core.columns import INPUTS_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.contract.contract_changes import describe_contract
from penumbra.core.histograms import Profile
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import DataStore
from penumbra.data.failure_set import FailureSet
from penumbra.data.versioning import versions
from penumbra.data.versioning.origin import DataOrigin
from penumbra.logs.append_log import list_segments
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import LabelEntry, PredictionEntry, ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.shadow.shadow_log import ShadowLog
from penumbra.registry.bundles import bundle_writing
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.storage.cache import RunReceipts
from penumbra.training.fit import build_matrix
from penumbra.training.onnx.compile import compile_model
from service.processes.archiver import archive_due_segments
from service.processes.deployment.version_deployment import deploy_candidate, deploy_live

BATCHES, MODEL, THRESHOLD = ("2024-01", "2024-02"), "orders", 0.5
SHADOW_DAYS = dt.date(2024, 2, 1), dt.date(2024, 3, 1)
FOLDERS = {
    "data__folder": "data",
    "data__derived": "var/data",
    "data__remote": "var/remote",
    "training__folder": "var/train",
    "training__failures": "var/failures",
    "registry__artifacts": "var/artifacts",
    "service__state": "var/service",
    "service__predictions": "var/predictions",
    "labels__folder": "var/labels",
    "review__folder": "var/reviews",
    "ledger__folder": "var/ledger",
    "monitor__folder": "var/monitor",
}


def make_state_settings(folder: Path) -> Settings:
    """Make settings that keep everything below a folder.

    Args:
        folder: The project's folder.

    Returns:
        The settings.
    """
    values = {name: str(folder / place) for name, place in FOLDERS.items()}
    values |= {"registry__tracking": f"sqlite:///{folder}/var/mlflow.db", "registry__model": MODEL}
    values |= {"data__today": "2024-04-01", "training__candidates": "boosting"}
    return load_settings(environ={f"PENUMBRA_{name.upper()}": value for name, value in values.items()})


def make_state(folder: Path, problem: Problem) -> Settings:
    """Make the state.

    Args:
        folder: An empty folder, which becomes the project's.
        problem: The orders.

    Returns:
        The settings.
    """
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    Repo.init(str(folder), no_scm=True).close()
    settings = make_state_settings(folder)
    store = _admit_batches(settings, problem)
    rows = store.rows(BATCHES[0]).with_columns(problem.schema.target().alias(LABEL_COLUMN))
    _register_versions(settings, problem, rows)
    _log_answers(settings, problem, store.rows(BATCHES[1]))
    _watch_windows(settings, problem)
    RunReceipts(settings.training.folder).save("f" * 64, "Version 1 is live")
    RunReceipts(settings.training.folder).save_facts("e" * 64, [])
    failed = rows.head(5).with_columns(pl.lit("1").alias("penumbra.model"), pl.lit(2.0).alias("penumbra.loss"))
    FailureSet(settings.training.failures, problem.schema.Row).add(failed)
    return settings


def _admit_batches(settings: Settings, problem: Problem) -> DataStore:
    store = DataStore(settings.data, problem)
    for batch in BATCHES:
        files = problem.source.fetch(batch)
        store.stage(batch, {name: content.replace(b",north,", b",nowhere,", 3) for name, content in files.items()})
    store.admit(BATCHES)
    versions.record_data_version(settings.data, DataOrigin.of_batches(BATCHES, problem).to_meta())
    return store


def _register_versions(settings: Settings, problem: Problem, rows: pl.DataFrame) -> None:
    """Two versions: 1 is live, 2 the candidate, and the service has both."""
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    for number in (1, 2):
        made = _make_bundle(settings.data.folder.parent.with_name("made") / str(number), problem, rows, number)
        run = models.record(FinishedRun("train", 0, 1, {"depth": number}, {"loss": 0.5}), artifacts={"bundle": made})
        models.register(run, "bundle", {"data_version": "d", "fingerprint": "f"})
    models.set_alias("live", "1")
    models.set_alias("candidate", "2")
    actor = {"actor": "ann", "reason": "because"}
    ledger.append(LedgerEvent(kind="verdict", verdict="pass", versions={"candidate": "1"}, **actor))
    ledger.append(LedgerEvent(kind="promotion", verdict="promote", versions={"live": "1"}, **actor))
    ledger.append(LedgerEvent(kind="verdict", verdict="pass", versions={"candidate": "2", "live": "1"}, **actor))
    deploy_live(models, settings.service.state, problem)
    deploy_candidate(models, settings.service.state)


def _make_bundle(folder: Path, problem: Problem, rows: pl.DataFrame, number: int) -> Path:
    from sklearn.tree import DecisionTreeClassifier

    matrix, encoder = build_matrix(rows, problem.features.FEATURES)
    model = DecisionTreeClassifier(max_depth=3 + number, random_state=number).fit(matrix, rows[LABEL_COLUMN].to_numpy())
    chances = model.predict_proba(matrix)
    bundle_writing.write_model_files(folder, compile_model(model, matrix.shape[1]), matrix[:20], chances[:20])
    bundle_writing.write_reference_rows(
        folder, rows.drop(INPUTS_COLUMN).with_columns(pl.Series(PREDICTION_COLUMN, chances[:, 1]))
    )
    facts: dict[str, Any] = {"threshold": THRESHOLD, "data_version": "d", "fingerprint": "f", "train": [BATCHES[0]]}
    facts |= {"contract": describe_contract(problem.schema.Row)}
    bundle_writing.seal_bundle(folder, facts, encoder.kinds, encoder.tables)
    return folder


def _log_answers(settings: Settings, problem: Problem, rows: pl.DataFrame) -> None:
    """Half of the answers are in the archive alone, half in segments that are still here; labels are of all."""
    half = rows.height // 2
    _log_part(settings, problem, rows.head(half))
    LogIndex.from_settings(settings, problem.schema).catch_up()
    list(archive_due_segments(settings, problem, dt.datetime.now(dt.UTC) + dt.timedelta(days=40)))
    _log_part(settings, problem, rows.tail(rows.height - half))
    LogIndex.from_settings(settings, problem.schema).catch_up()


def _log_part(settings: Settings, problem: Problem, rows: pl.DataFrame) -> None:
    from tests.helpers.logs.prediction_logs import append_to_new_segment  # loads a problem, which starts threads

    outcome = [name for name in problem.schema.Labelled.columns() if name not in problem.schema.Row.columns()]
    records = rows.select(problem.schema.Row.columns().keys()).to_dicts()
    chances = np.random.default_rng(len(records)).uniform(0.1, 0.9, len(records)).tolist()
    now = dt.datetime.now(dt.UTC)
    ids = append_to_new_segment(
        settings.service.predictions,
        [
            PredictionEntry(now, "c", record, [], chance, chance >= THRESHOLD, "1", 80)
            for record, chance in zip(records, chances, strict=True)
        ],
    )
    labels = zip(ids, rows.select(outcome).to_dicts(), strict=True)
    append_to_new_segment(
        settings.labels.folder, [LabelEntry(now, "feedback", label, prediction=name) for name, label in labels]
    )
    _log_shadow(settings, ids, chances, now)


def _log_shadow(settings: Settings, ids: list[str], chances: list[float], now: dt.datetime) -> None:
    log = ShadowLog(settings.service.shadow_log, settings.service.predictions)
    path = list_segments(settings.service.predictions)[-1]
    if "2" not in log.state.models:
        log.append(ShadowStart("2", now, {path.stem: 0}, []))
    rows = [ShadowRow(name, "2", now, chance, chance >= THRESHOLD) for name, chance in zip(ids, chances, strict=True)]
    log.append(ShadowBatch("2", path.stem, 0, path.stat().st_size, {"ok": len(rows)}), rows)
    log.close()


def _watch_windows(settings: Settings, problem: Problem) -> None:
    """Judge every window, and write a page for each in place of Evidently's, which takes seconds."""
    due_windows.judge_due_windows(settings, problem)
    read_candidate_profiles(settings, problem)
    reports = ReportWorkspace(settings.monitor.folder, MODEL)
    for window in WindowStore(settings.monitor.folder).read():
        page = settings.monitor.folder / REPORT_PAGES_FOLDER / str(window.begin) / "data.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<html><body>{window.reason}</body></html>")
        reports.mark_published(window, ["data"])


def read_candidate_profiles(settings: Settings, problem: Problem) -> dict[dt.date, Profile]:
    """Read the profiles of what the candidate said in the shadow, which are counted and kept where they aren't yet.

    Args:
        settings: Of a state whose windows are judged.
        problem: The orders.

    Returns:
        The profiles by day, in the bins of the live model's predictions.
    """
    folder, index = settings.monitor.folder, LogIndex.from_settings(settings, problem.schema)
    binning = ProfileStore(folder, settings.service.predictions, problem.schema).binning("1")
    return ShadowProfileStore(folder, index).read("2", binning, *SHADOW_DAYS)
