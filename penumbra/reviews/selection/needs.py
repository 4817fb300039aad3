"""The reasons for which people should look at a row: what a rule, the model, the shadow or the monitor says of it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from penumbra.core.contract.feature_specs import UnreadableFeature, read_features
from penumbra.core.encoding import UNSEEN_CODE
from penumbra.core.histograms import MISSING_CATEGORY, DegradedSlice
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.core.text.quoting import escape_text
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.line_decoding import add_record_fields, blank_damaged_lines, decode_each_line
from penumbra.logs.queries.shadow import measure_disagreements
from penumbra.logs.schema import ReviewedPrediction
from penumbra.registry.bundles.bundle import read_reference_rows
from penumbra.registry.bundles.manifest import BrokenBundle, read_manifest
from penumbra.registry.bundles.version_facts import find_bundle_limits, read_bundle_task
from penumbra.registry.pointers import BUNDLES_FOLDER
from penumbra.reviews.selection.uncertainty import ModelUncertainty

LARGEST_SHARE = 0.05  # of the differences between shadow and live, where both predict numbers
UNSEEN_MARK = str(UNSEEN_CODE).encode()
RowPlaces = Sequence[int] | np.ndarray


class ModelFacts(NamedTuple):
    """What is known of a model version: what it is unsure of, and at which of its inputs its categories are."""

    uncertainty: ModelUncertainty
    categories: Mapping[int, str]


class NeedFinder:
    """Reads lines of the prediction log, and finds the reasons of each row."""

    def __init__(
        self, settings: Settings, problem: Problem, index: LogIndex, slices: Sequence[DegradedSlice] = ()
    ) -> None:
        """Prepare to read.

        Args:
            settings: `service.state` has the bundles; section [uncertainty] is for those without limits.
            problem: The problem, with schema, features and rules.
            index: The index, which has taken in all that is read.
            slices: The slices whose loss has risen.
        """
        self._settings, self._problem, self._index = settings, problem, index
        self._silent = {rule.name for rule in problem.rules.RULES if not rule.then.review}
        self._slices: dict[str, dict[str, str]] = defaultdict(dict)
        for each in slices:
            self._slices[each.column][each.value] = f"slice {each.column} {each.value}"
        categories = [kind.columns[0] for kind in problem.features.FEATURES if kind.categorical]
        columns = list(dict.fromkeys([*categories, *self._slices]))
        self._values = {column: attrgetter(f"record.field{n}") for n, column in enumerate(columns)}
        projection = add_record_fields(ReviewedPrediction, {}, dict.fromkeys(columns, Any))
        self._decoder: Any = msgspec.json.Decoder(projection)
        self._models: dict[str, ModelFacts | None] = {}

    def read(self, content: bytes) -> list[Any]:
        """Read whole lines of the log.

        Args:
            content: The lines with their ends.

        Returns:
            A `ReviewedPrediction` with fields of the record for each line that can be read.
        """
        lines = blank_damaged_lines(content.split(b"\n")[:-1])
        return [row for row in decode_each_line(self._decoder, lines) if row is not None]

    def find_reasons(self, rows: Sequence[Any]) -> list[tuple[str, ...]]:
        """Find the reasons of rows.

        Args:
            rows: What `read` returned, or a part of it.

        Returns:
            The reasons of each row, as in `ReviewCase`; none where chance alone picks it.

        Raises:
            sqlite3.Error: The index can't be read.
        """
        found = [self._list_rules(row) if row.review else () for row in rows]
        for reason, places in (
            *self._find_disagreements(rows),
            *self._find_slices(rows),
            *self._find_model_needs(rows),
        ):
            for at in places:
                found[at] += (reason,)
        return found

    def _list_rules(self, row: Any) -> tuple[str, ...]:
        fired = [name for name in row.rules if name not in self._silent]
        return tuple(f"rule {name}" for name in [*fired, *row.failed_rules] or row.rules)

    def _find_disagreements(self, rows: Sequence[Any]) -> Iterator[tuple[str, RowPlaces]]:
        """The rows that a shadow model decides otherwise; of numbers the largest differences.

        Of a row that was explored it is the model's own decision that counts: whom chance decides otherwise must not
        change whom people are asked about, or the weights of both would be wrong.
        """
        task = self._index.label_spec.task
        measured = measure_disagreements(self._index, {row.id: _find_replaced(row, task) for row in rows})
        if measured:
            is_number = task.kind == "regression"
            least = float(np.quantile([*measured.values()], 1 - LARGEST_SHARE)) if is_number else 1.0
            yield "disagreement", [at for at, row in enumerate(rows) if measured.get(row.id, 0) >= least]

    def _find_slices(self, rows: Sequence[Any]) -> Iterator[tuple[str, RowPlaces]]:
        for column, reasons in self._slices.items():
            values = [_write_category(value) for value in map(self._values[column], rows)]
            for value, reason in reasons.items():
                yield reason, [at for at, each in enumerate(values) if each == value]

    def _find_model_needs(self, rows: Sequence[Any]) -> Iterator[tuple[str, RowPlaces]]:
        """What the model that answered was unsure of; rows that no model was asked for are left out."""
        answered: dict[str, list[int]] = defaultdict(list)
        for at, row in enumerate(rows):
            if bytes(row.inputs) != b"[]":
                answered[row.model].append(at)
        for version, places in answered.items():
            if facts := self._read_model(version):
                yield from _find_uncertain_rows(facts.uncertainty, rows, np.array(places))
                yield from self._find_unseen(facts.categories, rows, places)

    def _find_unseen(
        self, categories: Mapping[int, str], rows: Sequence[Any], places: Sequence[int]
    ) -> Iterator[tuple[str, RowPlaces]]:
        """The rows that have a value which the model never met: its code is that of a missing one."""
        marked = [at for at in places if UNSEEN_MARK in bytes(rows[at].inputs)]
        inputs = [msgspec.json.decode(rows[at].inputs) for at in marked]
        for position, column in categories.items():
            if column in self._values:
                read = self._values[column]
                coded = (at for at, each in zip(marked, inputs, strict=True) if each[position] == UNSEEN_CODE)
                yield f"unseen {column}", [at for at in coded if read(rows[at]) is not None]

    def _read_model(self, version: str) -> ModelFacts | None:
        if version not in self._models:
            self._models[version] = None
            with suppress(BrokenBundle, UnreadableFeature, OSError, KeyError, pl.exceptions.PolarsError):
                self._models[version] = self._read_bundle(self._settings.service.state / BUNDLES_FOLDER / version)
        return self._models[version]

    def _read_bundle(self, folder: Path) -> ModelFacts:
        facts = read_manifest(folder)
        kinds = read_features(facts["inputs"], self._problem.schema.Row, self._problem.features.FEATURES)
        threshold = float(facts.get("threshold", np.nan))
        reference = read_reference_rows(folder)
        limits = find_bundle_limits(facts, reference, self._settings.uncertainty)
        uncertainty = ModelUncertainty(read_bundle_task(facts), threshold, reference, limits)
        return ModelFacts(uncertainty, {at: kind.columns[0] for at, kind in enumerate(kinds) if kind.categorical})


def _find_replaced(row: Any, task: Task) -> bool | str | None:
    """What the model decided, where chance has replaced it; None where it hasn't."""
    if not row.explored:
        return None
    return task.classes[int(np.argmax(row.output))] if task.classes else not row.decision


def _find_uncertain_rows(
    uncertainty: ModelUncertainty, rows: Sequence[Any], places: np.ndarray
) -> Iterator[tuple[str, RowPlaces]]:
    outputs = np.array([rows[at].output for at in places])
    yield "close call", places[uncertainty.find_close_calls(outputs)]
    yield "wide set", places[uncertainty.find_wide_sets(outputs)]


def _write_category(value: Any) -> str:
    """A value of a record as slices are called by it."""
    if value is None:
        return MISSING_CATEGORY
    return escape_text(value if isinstance(value, str) else str(value).lower())
