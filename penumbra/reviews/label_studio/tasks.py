"""Cases of the review queue as tasks of Label Studio.

A task's `data` has the `case`, the prediction's id by which its annotations are found again, and the `record`, a table
of the row. Where reviews aren't blind it also has `said`: what the service answered, and why the row was picked; and a
prediction of Label Studio where the target is an outcome column itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from penumbra.core.predictions import is_of_another_task
from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.append_log import encode_json
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.replicas.log_union import find_logged_prediction
from penumbra.reviews.label_form import YES_NO, format_output
from penumbra.reviews.label_studio.configuration import (
    OUTCOME_PREFIX,
    RECORD,
    SAID,
    build_labelling_config,
)
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.storage.atomic import replace_file

CASE = "case"  # of a task's data: the prediction's id


@dataclass(frozen=True)
class ExportedTasks:
    """What was written for Label Studio.

    Attributes:
        count: How many tasks.
        configuration: The file with the labelling configuration.
        missing: The cases that have no task, as their row isn't in the prediction log any more.
    """

    count: int
    configuration: Path
    missing: tuple[str, ...]


def export_tasks(settings: Settings, problem: Problem, path: Path, is_all: bool) -> ExportedTasks:
    """Write cases as tasks of Label Studio, and beside them the labelling configuration.

    Args:
        settings: The settings, with the logs' folders and `review.blind`.
        problem: The problem.
        path: The JSON file to write; the configuration has its name with the suffix .xml.
        is_all: Whether to write all cases, or those only that are open.

    Returns:
        What was written.

    Raises:
        OSError: A file can't be written.
    """
    queue, is_blind = ReviewQueue.read(settings.review.folder), settings.review.blind
    states = queue.states.values() if is_all else queue.list_cases("open")
    entries = {state.case.prediction: _find_prediction(settings, state) for state in states}
    tasks = [
        _make_task(state, entry, problem.schema, is_blind)
        for state in states
        if (entry := entries[state.case.prediction]) is not None
    ]
    configuration = path.with_suffix(".xml")
    replace_file(configuration, build_labelling_config(problem.schema, is_blind))
    replace_file(path, encode_json(tasks))
    return ExportedTasks(len(tasks), configuration, tuple(name for name, entry in entries.items() if entry is None))


def _find_prediction(settings: Settings, state: CaseState) -> dict[str, Any] | None:
    try:
        return find_logged_prediction(settings, state.case.prediction)
    except DamagedArchive:
        return None


def _make_task(state: CaseState, entry: Mapping[str, Any], schema: ProblemSchema, is_blind: bool) -> dict[str, Any]:
    data = {CASE: state.case.prediction, RECORD: _show_values(entry["record"])}
    if is_blind:
        return {"data": data}
    said = {name: entry[name] for name in ("decision", "model", "rules") if name in entry}
    task = Task.from_schema(schema)
    output = format_output(task, entry["output"])
    data[SAID] = _show_values({**said, "output": output, "reasons": state.case.reasons})
    is_other = is_of_another_task(task, entry["output"], entry["decision"])
    return {"data": data, "predictions": [] if is_other else list(_make_predictions(entry, schema.target()))}


def _show_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as Label Studio's table shows them; it shows nothing for a bool."""
    return {name: YES_NO[value] if isinstance(value, bool) else value for name, value in values.items()}


def _make_predictions(entry: Mapping[str, Any], target: pl.Expr) -> Iterable[dict[str, Any]]:
    """The decision as an answer, where it can be one: the target is an outcome column itself."""
    if target.meta.is_column():
        region = _make_region(target.meta.output_name(), entry["decision"])
        yield {"model_version": entry["model"], "result": [region]}


def _make_region(column: str, decision: Any) -> dict[str, Any]:
    control = {"from_name": OUTCOME_PREFIX + column, "to_name": RECORD}
    if isinstance(decision, bool):
        decision = YES_NO[decision]
    if isinstance(decision, str):
        return {**control, "type": "choices", "value": {"choices": [decision]}}
    return {**control, "type": "number", "value": {"number": decision}}
