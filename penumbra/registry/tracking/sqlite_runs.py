"""Runs of a registry that is an SQLite file, by SQL: MLflow's store takes two seconds of processor time to load.

What is written is, row by row, what MLflow's client writes of the same run (`mlflow_runs.py`).
"""

import re
import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from penumbra.registry.tracking.run_records import (
    KEY_TAG,
    BegunRun,
    RecordedRun,
    RunContents,
    build_contents,
    convert_to_milliseconds,
)
from penumbra.registry.tracking.sqlite_registry import get_local_path, open_tables

PLAIN_NAME = re.compile(r"\w[\w. :-]{0,249}")  # of a tag, metric or parameter: MLflow takes it as it is
EXPERIMENT_QUERY = """
SELECT experiment_id, artifact_location FROM experiments
WHERE workspace = 'default' AND name = ? AND lifecycle_stage = 'active'
"""
STAGE_QUERY = "SELECT lifecycle_stage FROM experiments WHERE workspace = 'default' AND name = ?"
TAGGED_RUN_QUERY = """
SELECT run_uuid, status FROM runs JOIN tags USING (run_uuid) JOIN experiments USING (experiment_id)
WHERE workspace = 'default' AND experiments.name = ? AND key = ? AND value = ? AND runs.lifecycle_stage = 'active'
ORDER BY start_time DESC, run_uuid
"""
RUN_QUERY = "SELECT start_time FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
METRICS_QUERY = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND NOT is_nan"
TAGS_QUERY = "SELECT key, value FROM tags WHERE run_uuid = ?"
ARTIFACTS_QUERY = "SELECT artifact_uri FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
RUN_STATEMENT = """
INSERT INTO runs (
    run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version,
    lifecycle_stage, artifact_uri, experiment_id, deleted_time
) VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'FINISHED', ?, ?, '', 'active', ?, ?, NULL)
"""
METRIC_STATEMENTS = [
    f"INSERT INTO {table} (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)"
    for table in ("metrics", "latest_metrics")
]
TEXT_STATEMENT = "INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)"


def read_experiment_stage(database: Path, experiment: str) -> str:
    """Read whether an experiment is there.

    Args:
        database: The registry's file, which exists.
        experiment: The experiment's name.

    Returns:
        "active", or "deleted"; "" if there is none.

    Raises:
        sqlite3.Error: As of `find_finished_run`.
    """
    with open_tables(database) as db:
        (stage,) = db.execute(STAGE_QUERY, (experiment,)).fetchone() or ("",)
    return str(stage)


def find_finished_run(database: Path, experiment: str, tag: str, value: str) -> str:
    """Find the latest finished run with a tag.

    Args:
        database: The registry's file, which exists.
        experiment: The experiment's name.
        tag: The tag's name.
        value: Its value.

    Returns:
        The run's id, "" if there is none.

    Raises:
        sqlite3.Error: The file can't be read, is locked for more than ten seconds, or isn't the pinned MLflow's.
    """
    with open_tables(database) as db:
        found = db.execute(TAGGED_RUN_QUERY, (experiment, tag, value)).fetchall()
    return next((run_id for run_id, status in found if status == "FINISHED"), "")


def read_run(database: Path, run_id: str) -> RecordedRun | None:
    """Read a run.

    Args:
        database: The registry's file, which exists.
        run_id: The run's id.

    Returns:
        The run, with its long tags shortened; None if there is no such run.

    Raises:
        sqlite3.Error: As of `find_finished_run`.
    """
    with open_tables(database) as db:
        found = db.execute(RUN_QUERY, (run_id,)).fetchone()
        metrics, tags = (dict(db.execute(query, (run_id,)).fetchall()) for query in (METRICS_QUERY, TAGS_QUERY))
    return RecordedRun(run_id, found[0] / 1000, metrics, tags) if found else None


def find_artifact_folder(database: Path, run_id: str) -> Path | None:
    """Find the folder with the artifacts of a run.

    Args:
        database: The registry's file, which exists.
        run_id: The run's id.

    Returns:
        The folder; None if there is no such run, or its artifacts aren't in a folder of this machine.

    Raises:
        sqlite3.Error: As of `find_finished_run`.
    """
    with open_tables(database) as db:
        (address,) = db.execute(ARTIFACTS_QUERY, (run_id,)).fetchone() or ("",)
    return get_local_path(address)


def insert_run(database: Path, experiment: str, begun: BegunRun) -> str | None:
    """Record a run with its artifacts, or nothing of it, with the rows that `mlflow_runs.record_run` writes in steps.

    Args:
        database: The registry's file, which exists.
        experiment: The experiment's name.
        begun: The run.

    Returns:
        The run's id; None where nothing was written as MLflow has to write it: where there is no such experiment, it
        keeps artifacts elsewhere than in a folder, the run has a name or a data version that MLflow looks at, or it was
        begun by a process that was killed.

    Raises:
        sqlite3.Error: As of `find_finished_run`, or the file can't be written.
        OSError: An artifact can't be copied.
    """
    contents = build_contents(begun)
    names = [*contents.tags, *contents.params, *contents.metrics]
    if begun.data_version or not all(map(PLAIN_NAME.fullmatch, names)):
        return None
    with open_tables(database, "rw") as db:
        db.execute("BEGIN IMMEDIATE")
        keyed = db.execute(TAGGED_RUN_QUERY, (experiment, KEY_TAG, begun.key)).fetchone() if begun.key else None
        if keyed:
            return str(keyed[0]) if keyed[1] == "FINISHED" else None
        number, location = db.execute(EXPERIMENT_QUERY, (experiment,)).fetchone() or (None, "")
        if (place := get_local_path(location)) is None:
            return None
        run_id = uuid.uuid4().hex
        folder = place / run_id / "artifacts"
        start, end = map(convert_to_milliseconds, (begun.run.start, begun.run.end))
        db.execute(RUN_STATEMENT, (run_id, contents.tags["mlflow.runName"], start, end, str(folder), number))
        _insert_contents(db, run_id, contents, end)
        try:
            _write_artifacts(folder, begun, contents.long_texts)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # an interrupt may also come when it is just committed
                shutil.rmtree(folder.parent, ignore_errors=True)
            raise
    return run_id


def replace_values(database: Path, run_id: str, contents: RunContents, end: int) -> bool | None:
    """Give a recorded run other values of its tags and metrics, as `mlflow_runs.log_values` does.

    Args:
        database: The registry's file, which exists.
        run_id: The run's id.
        contents: The tags and metrics.
        end: When they were known, in milliseconds since the epoch.

    Returns:
        True; None where MLflow has to do it: there is no such run, or one of the names is one that MLflow looks at.

    Raises:
        sqlite3.Error: As of `find_finished_run`, or the file can't be written.
    """
    if not all(map(PLAIN_NAME.fullmatch, [*contents.tags, *contents.metrics])):
        return None
    with open_tables(database, "rw") as db:
        db.execute("BEGIN IMMEDIATE")
        if not db.execute(RUN_QUERY, (run_id,)).fetchone():
            return None
        known = dict(db.execute(METRICS_QUERY, (run_id,)))
        changed = {key: value for key, value in contents.metrics.items() if known.get(key) != value}
        db.executemany("DELETE FROM tags WHERE run_uuid = ? AND key = ?", [(run_id, key) for key in contents.tags])
        db.executemany("DELETE FROM latest_metrics WHERE run_uuid = ? AND key = ?", [(run_id, key) for key in changed])
        _insert_contents(db, run_id, replace(contents, metrics=changed), end)
        db.execute("COMMIT")
    return True


def copy_artifact(source: Path, folder: Path) -> None:
    """Copy a file, or the files of a folder, to where MLflow keeps them.

    Args:
        source: The file or folder.
        folder: The folder that they go to, which is made where it isn't there.

    Raises:
        OSError: One can't be read or written.
    """
    if source.is_dir():
        shutil.copytree(source, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)


def _insert_contents(db: sqlite3.Connection, run_id: str, contents: RunContents, end: int) -> None:
    for table, texts in (("tags", contents.tags), ("params", contents.params)):
        db.executemany(TEXT_STATEMENT.format(table=table), [(run_id, key, value) for key, value in texts.items()])
    rows = [(run_id, key, value, end) for key, value in contents.metrics.items()]
    for statement in METRIC_STATEMENTS:
        db.executemany(statement, rows)


def _write_artifacts(folder: Path, begun: BegunRun, long_texts: Mapping[str, str]) -> None:
    for path, text in long_texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path, source in begun.artifacts.items():
        copy_artifact(source, folder / path)
