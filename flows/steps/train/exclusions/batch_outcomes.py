"""The outcomes of batches: how many rows have one that can be learnt from, and what is wrong with the others."""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.steps.train.exclusions.excluded_days import ExcludedDays, drop_excluded_days
from penumbra.core.columns import WEIGHT_COLUMN
from penumbra.core.text.counts import format_count
from penumbra.data.batches import DataStore
from penumbra.data.flywheel_manifest import is_flywheel_batch
from penumbra.training.fit import select_labelled_rows
from penumbra.training.split import format_batch_spans


@dataclass(frozen=True)
class BatchOutcomes:
    """What can be learnt from a batch.

    Attributes:
        rows: Rows with an outcome, on days without faults.
        known: Rows with an outcome, on whatever day.
        lost: Rows whose outcome is NaN or infinite.
        is_weighted: Whether some of them stand for more rows than others: nothing is judged on such a batch.
    """

    rows: int
    known: int
    lost: int
    is_weighted: bool


def count_batch_outcomes(store: DataStore, excluded: ExcludedDays) -> dict[str, BatchOutcomes]:
    """Count what can be learnt from each admitted batch.

    Args:
        store: The data store.
        excluded: What `find_excluded_days` returned.

    Returns:
        The outcomes by batch, oldest first.
    """
    return {batch: _count_outcomes(store, batch, excluded) for batch in store.batches()}


def _count_outcomes(store: DataStore, batch: str, excluded: ExcludedDays) -> BatchOutcomes:
    schema = store.problem.schema
    outcome = [name for name in schema.Labelled.columns() if name not in schema.Row.columns()]
    rows = store.weighted_rows(batch, [schema.TIME, *outcome])
    known = select_labelled_rows(rows, schema.target())
    learnt = drop_excluded_days(known, schema, excluded)
    lost = rows.select(schema.target().is_not_null().sum()).item() - known.height
    return BatchOutcomes(learnt.height, known.height, lost, bool((learnt[WEIGHT_COLUMN] != 1).any()))


def compute_excluded_share(outcomes: Mapping[str, BatchOutcomes]) -> float:
    """Compute the share of the rows with an outcome that are on days with faults.

    Args:
        outcomes: What `count_batch_outcomes` returned.

    Returns:
        The share, from 0 to 1; 0 where no row has an outcome.
    """
    known = sum(batch.known for batch in outcomes.values())
    return 1 - sum(batch.rows for batch in outcomes.values()) / known if known else 0.0


def describe_outcomes(outcomes: Mapping[str, BatchOutcomes]) -> list[str]:
    """Describe what is wrong with the outcomes of batches, in a line for all that lack the same.

    Args:
        outcomes: What `count_batch_outcomes` returned.

    Returns:
        Sentences without a full stop; none if nothing is.
    """
    spoilt = [batch for batch, found in outcomes.items() if found.lost]
    fetched = [batch for batch in outcomes if not is_flywheel_batch(batch)]
    empty = [batch for batch in fetched if not outcomes[batch].known + outcomes[batch].lost]
    latest = next((batch for batch in reversed(fetched) if batch not in empty), "")
    place = {batch: number for number, batch in enumerate(fetched)}
    waiting = [batch for batch in empty if place[batch] > place.get(latest, -1)]
    without = empty[: len(empty) - len(waiting)]
    sentences = []
    if spoilt:
        lost = sum(outcomes[batch].lost for batch in spoilt)
        names = format_batch_spans(spoilt, list(outcomes))
        sentences.append(
            f"{names}: {format_count(lost, 'outcome is', 'outcomes are')} NaN or infinite, from which nothing is learnt"
        )
    if without:
        sentences.append(f"{format_batch_spans(without, fetched)}: no row has an outcome")
    if waiting:
        sentences.append(f"{format_batch_spans(waiting, fetched)}: no row has an outcome yet")
    return sentences
