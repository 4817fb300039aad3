"""What the page shows of a case: the row, its neighbours, and what models and rules say of it."""

import functools
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from monitoring.dashboard.review.row_comparison import RowComparison
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.predictions import is_of_another_task
from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries.lookup import read_shadow_results
from penumbra.logs.replicas.log_union import find_logged_prediction
from penumbra.registry.bundles.bundle import read_bundle
from penumbra.registry.bundles.manifest import BrokenBundle
from penumbra.registry.pointers import BUNDLES_FOLDER, read_pointer, read_shadow_versions
from penumbra.reviews.label_form import format_output, format_target
from penumbra.reviews.queue import CaseState
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract

KEPT_ROWS, KEPT_MODELS = 500, 2
LARGEST_EXACT = 2**53 - 1  # whole numbers above it aren't exact in a browser
NEIGHBOUR_COUNT, NEIGHBOUR_COLUMNS = 5, 4


class CaseReader:
    """Reads all that a reviewer needs to judge cases. May be used by one thread at a time."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Read rows from the logs and models that the settings name, by the problem's contract."""
        schema = problem.schema
        self._settings, self._problem = settings, problem
        self._task = Task.from_schema(schema)
        self._outcome = _list_outcome_columns(schema)
        self._contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)
        self._describe_row = functools.lru_cache(KEPT_ROWS)(self._read_row)
        self._compare = functools.lru_cache(KEPT_MODELS)(self._load_comparison)

    def describe_case(self, state: CaseState, has_opinions: bool) -> dict[str, Any]:
        """Describe a case for the page.

        Args:
            state: The case.
            has_opinions: Whether to say what models and rules say, and why the row was picked.

        Returns:
            `case`, `picked` and `due`; `columns`, those that mattered most for the prediction first, `neighbours`, and
            a `problem` where the row can't be read or compared, else "". With opinions also `said`, as
            `describe_opinions` returns it.
        """
        case = state.case
        try:
            row = self._describe_row(case.prediction)
        except LookupError as error:
            row = {"problem": str(error), "columns": [], "neighbours": None}
        shown = {"case": case.prediction, "picked": state.picked, "due": case.due, **row}
        return {**shown, "said": self.describe_opinions(state)} if has_opinions else shown

    def describe_opinions(self, state: CaseState) -> dict[str, Any]:
        """Describe what models and rules say of a case.

        Args:
            state: The case.

        Returns:
            `models`, a pair (who, what) for the answer of the service and of each model in the shadow; `rules`, the
            names of those that fired; `reasons` why the row was picked, and the `probability` that it had.
        """
        found = self._find_entry(state.case.prediction) or {}
        return {
            "models": [*self._describe_answer(found), *self._describe_shadow(state.case.prediction)],
            "rules": found.get("rules", []),
            "reasons": state.case.reasons,
            "probability": state.case.probability,
        }

    def _find_entry(self, prediction: str) -> dict[str, Any] | None:
        try:
            return find_logged_prediction(self._settings, prediction)
        except DamagedArchive:
            return None

    def _read_row(self, prediction: str) -> dict[str, Any]:
        entry = self._find_entry(prediction)
        if entry is None:
            raise LookupError("the row isn't in the prediction log any more")
        record = entry["record"]
        try:
            (relevance, near), problem = self._compare_row(record, entry["model"]), ""
        except Exception as error:  # a model may raise anything, on this row or on one that it is compared with
            relevance, near, problem = {}, None, f"the model fails beside its reference rows ({type(error).__name__})"
        ranked = sorted(record, key=lambda name: -relevance.get(name, 0.0))
        most = max(relevance.values(), default=0.0) or 1.0
        columns = [(name, _keep_digits(record[name]), round(relevance.get(name, 0.0) / most, 3)) for name in ranked]
        neighbours = self._describe_neighbours(near, ranked[:NEIGHBOUR_COLUMNS])
        return {"columns": columns, "neighbours": neighbours, "problem": problem}

    def _compare_row(self, record: Mapping[str, Any], model: str) -> tuple[dict[str, float], pl.DataFrame | None]:
        """Relevance by column and the nearest rows; neither where the row or the model can't be used any more."""
        row, comparison = self._read_frame(record), self._compare(model)
        if row is None or comparison is None:
            return {}, None
        return comparison.measure_relevance(row), comparison.find_neighbours(row, NEIGHBOUR_COUNT)

    def _read_frame(self, record: Mapping[str, Any]) -> pl.DataFrame | None:
        """The row as a frame; None where it kept an earlier contract and doesn't keep this one."""
        try:
            return self._contract.to_frame([self._contract.parse_one(msgspec.json.encode(record))])
        except RequestRefused:
            return None

    def _load_comparison(self, version: str) -> RowComparison | None:
        state, registry = self._settings.service.state, self._settings.registry
        for name in filter(None, (version, read_pointer(state))):
            try:
                loaded = read_bundle(state / BUNDLES_FOLDER / name, self._problem, name, registry.signed_by)
                return RowComparison(loaded)
            except (BrokenBundle, OSError):  # it is deleted here some time after another version has taken its place
                continue
        return None

    def _describe_neighbours(self, near: pl.DataFrame | None, names: Sequence[str]) -> dict[str, Any] | None:
        if near is None or near.is_empty():
            return None
        shown = [name for name in (*self._outcome, *names) if name in near.columns]
        outcomes = [format_target(self._task, label) for label in near[LABEL_COLUMN]]
        rows = [[_keep_digits(value) for value in row] for row in near.select(shown).rows()]
        return {"columns": shown, "rows": list(zip(outcomes, rows, strict=True))}

    def _describe_answer(self, entry: Mapping[str, Any]) -> list[tuple[str, str]]:
        if not entry:
            return []
        has_words = self._task.kind == "binary" and not is_of_another_task(self._task, entry["output"])
        decided = has_words and f": {format_target(self._task, entry['decision'])}"
        by = f", answered by {entry['fallback']}" if entry.get("fallback") else ""
        said = format_output(self._task, entry["output"])
        return [(f"the service (version {entry['model']}{by})", f"{said}{decided or ''}")]

    def _describe_shadow(self, prediction: str) -> list[tuple[str, str]]:
        try:
            results = read_shadow_results(self._settings.labels.folder, prediction)
        except sqlite3.Error:
            return []
        roles = {version: role for role, version in read_shadow_versions(self._settings.service.state).items()}
        return [
            (
                f"{roles.get(result['model'], 'a model')} (version {result['model']})",
                format_output(self._task, result["output"]) if "output" in result else "no answer",
            )
            for result in results
        ]


def _keep_digits(value: Any) -> Any:
    return str(value) if isinstance(value, int) and abs(value) > LARGEST_EXACT else value


def _list_outcome_columns(schema: ProblemSchema) -> list[str]:
    """The contract's outcome columns, without one that is the target itself."""
    target = schema.target().meta
    return [
        name
        for name in LabelSpec.from_schema(schema).outcome
        if not (target.is_column() and target.output_name() == name)
    ]
