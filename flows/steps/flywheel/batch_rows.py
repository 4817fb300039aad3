"""The rows of a flywheel batch: which labelled answers become rows, and what the engine notes of each."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import (
    ID_COLUMN,
    MODEL_COLUMN,
    ORIGIN_COLUMN,
    PROBABILITY_COLUMN,
    SELECTED_COLUMN,
    SURENESS_COLUMN,
    WEIGHT_COLUMN,
)
from penumbra.data.batches import DataStore
from penumbra.data.flywheel import (
    OUTCOME_ORIGIN,
    PEOPLE_ORIGIN,
    build_flywheel_frame,
    decode_flywheel_rows,
)
from penumbra.data.partitions.conversion import convert_columns
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries.labelled_answers import LabelledAnswer
from penumbra.training.labelling_weights import count_represented_rows


@dataclass(frozen=True)
class SortedAnswers:
    """Labelled answers by what becomes of them.

    Attributes:
        kept: Those that become rows.
        of_source: How many the source has.
        unsigned: How many have a label of people who aren't named.
    """

    kept: list[LabelledAnswer]
    of_source: int
    unsigned: int


def sort_answers(
    store: DataStore, answers: Sequence[LabelledAnswer], known: Mapping[str, Mapping[str, Any]]
) -> SortedAnswers:
    """Tell the answers that become rows from those that don't.

    Rows of the source are the source's. A row of an earlier flywheel batch becomes one again where its outcome is
    another by now, or came after what people said, so that it stands for itself, as those do that weren't picked.
    Without an outcome, only such a row becomes one, so that what was wrong is no longer learnt.

    Args:
        store: The data store.
        answers: Labelled answers.
        known: The rows of the flywheel batches, as `read_known_outcomes` returns them.

    Returns:
        The answers that become rows in their order, and counts of the others.
    """
    signed = [answer for answer in answers if answer.is_signed]
    new = [answer for answer in signed if _is_news(answer, known.get(answer.key))]
    of_source = _mask_source_rows(store, new)
    kept = [answer for answer, is_there in zip(new, of_source, strict=True) if not is_there]
    return SortedAnswers(kept, sum(of_source), len(answers) - len(signed))


def read_known_outcomes(store: DataStore) -> dict[str, Mapping[str, Any]]:
    """Read what the flywheel batches have as the outcomes of their rows.

    Args:
        store: The data store.

    Returns:
        Outcome and origin of each row by the key's text, as the last batch that has the row.
    """
    batches = store.flywheel_batches()
    rows = (row for batch in batches for row in decode_flywheel_rows(batch, store.read_raw_files(batch)))
    return extract_outcomes(LabelSpec.from_schema(store.problem.schema), rows)


def extract_outcomes(spec: LabelSpec, rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Extract the outcomes of rows of flywheel batches.

    Args:
        spec: What the contract says of labels.
        rows: The rows, the earliest batch's first.

    Returns:
        As `read_known_outcomes`.
    """
    encode, names = KeyEncoder(spec.key).encode_values, (*spec.outcome, ORIGIN_COLUMN)
    return {encode([row.get(name) for name in spec.key]): {name: row.get(name) for name in names} for row in rows}


def build_batch_rows(
    answers: Sequence[LabelledAnswer],
    picked: Container[str],
    observed: Sequence[bool | str],
    outcome_names: Sequence[str],
) -> list[dict[str, Any]]:
    """Build the rows of a batch.

    Args:
        answers: The labelled answers.
        picked: The ids of those of the answers whose rows were picked for people.
        observed: The problem's `OBSERVED_DECISIONS`.
        outcome_names: The columns of the outcome.

    Returns:
        A dictionary for each row, see `penumbra.data.flywheel.encode_flywheel_files`.
    """
    by_people = np.array([answer.is_of_people for answer in answers], bool)
    given = np.array([answer.label.probability for answer in answers], float)
    probabilities = np.where(by_people & (given > 0), given, 1.0)
    explored = np.array([answer.answer.explored for answer in answers], bool)
    seen = np.array([_is_observed(answer.decision, observed) for answer in answers], bool)
    shares = np.array([answer.answer.explore_share for answer in answers], float)
    known = by_people | np.array([answer.id in picked for answer in answers], bool)
    counts = count_represented_rows(probabilities, known, explored, shares)
    chances = np.where(explored & ~by_people, shares, probabilities)
    selected = bool(observed) & seen & ~explored & ~by_people
    return [
        {
            **answer.record,
            **{name: answer.label.label.get(name) for name in outcome_names},
            ID_COLUMN: answer.id,
            MODEL_COLUMN: answer.model,
            ORIGIN_COLUMN: _name_origin(answer),
            PROBABILITY_COLUMN: float(chances[at]),
            WEIGHT_COLUMN: float(counts[at]),
            SURENESS_COLUMN: answer.label.sureness,
            SELECTED_COLUMN: bool(selected[at]),
        }
        for at, answer in enumerate(answers)
    ]


def count_by(values: Sequence[str]) -> dict[str, int]:
    """Return how often each of some values stands there, the values sorted."""
    return dict(sorted(Counter(values).items()))


def _is_news(answer: LabelledAnswer, known: Mapping[str, Any] | None) -> bool:
    if known is None:
        return answer.has_target
    said = {**answer.label.label, ORIGIN_COLUMN: _name_origin(answer)}
    return any(said.get(name) != value for name, value in known.items())


def _name_origin(answer: LabelledAnswer) -> str:
    return PEOPLE_ORIGIN if answer.is_of_people else OUTCOME_ORIGIN


def _mask_source_rows(store: DataStore, answers: Sequence[LabelledAnswer]) -> list[bool]:
    """Mark the answers whose key is that of a row of the source; a key that can't be read is none."""
    key = {name: store.problem.schema.Row.columns()[name].dtype for name in store.problem.schema.Row.primary_key()}
    rows = build_flywheel_frame([answer.record for answer in answers], list(key))
    typed = convert_columns(rows, key)
    there = store.read_keys(store.source_batches()).select(*key, pl.lit(value=True).alias("there")).unique(list(key))
    return typed.join(there, on=list(key), how="left", maintain_order="left")["there"].fill_null(value=False).to_list()


def _is_observed(decision: Any, observed: Sequence[bool | str]) -> bool:
    """Whether an outcome can be seen under a decision, as the index has it: a Boolean is 0 or 1 there."""
    return not observed or decision in observed
