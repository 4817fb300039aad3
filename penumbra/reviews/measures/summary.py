"""The review queue at a glance: what is open, what was decided, how wrong answers are, and how far people agree."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.measures.agreement import Agreement, measure_agreement
from penumbra.reviews.measures.error_rates import measure_case_errors
from penumbra.reviews.measures.estimates import WeightedEstimate
from penumbra.reviews.queue import CaseState, ReviewQueue


@dataclass(frozen=True)
class ReviewSummary:
    """The queue at one moment, and what was picked since another.

    Attributes:
        open: How many cases wait for an answer.
        conflicts: How many wait for somebody to adjudicate.
        oldest: When the oldest of both was picked (UTC); None where nothing waits.
        decided: How many cases people decided since then.
        error: The mean error of all rows that cases were picked from since then.
        agreement: How far those agree who answered the same one of these cases, each for themselves.
    """

    open: int
    conflicts: int
    oldest: dt.datetime | None
    decided: int
    error: WeightedEstimate
    agreement: Agreement


def summarise_reviews(queue: ReviewQueue, index: LogIndex, since: dt.datetime) -> ReviewSummary:
    """Summarise the review queue.

    Args:
        queue: The queue.
        index: The index of predictions and labels, up to date.
        since: From when on (UTC) cases are counted that are done.

    Returns:
        The summary.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    unfinished, conflicts = queue.list_unfinished(), queue.list_cases("conflict")
    recent = [state for state in queue.states.values() if state.picked >= since]
    return ReviewSummary(
        len(queue.list_cases("open")),
        len(conflicts),
        unfinished[0].picked if unfinished else None,
        sum(state.decided is not None and state.decided.time >= since for state in queue.states.values()),
        measure_case_errors(index, recent),
        measure_agreement(read_independent_targets(index.label_spec, recent), index.label_spec.task.kind),
    )


def read_independent_targets(spec: LabelSpec, states: Sequence[CaseState]) -> list[dict[str, Any]]:
    """Read what people answered, each for themselves, of the cases that two of them were asked about.

    Each one's first answer counts: after it they may have seen what models say, or may have talked.

    Args:
        spec: The contract's outcome columns, and the target that they make.
        states: Cases.

    Returns:
        Of each such case the target by reviewer.
    """
    said = [_read_independent_labels(state) for state in states if state.case.reviewers > 1]
    targets = iter(spec.compute_targets([label for labels in said for label in labels.values()]).to_list())
    return [{reviewer: next(targets) for reviewer in labels} for labels in said]


def _read_independent_labels(state: CaseState) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for action in state.history:
        if action.kind == "answer":
            labels.setdefault(action.reviewer, action.label)
        if len(labels) == state.case.reviewers:
            break
    return labels
