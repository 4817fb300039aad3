"""Lineage of an answer, with how far its review has come where it was picked for one."""

from typing import Any

from penumbra.core.settings import Settings
from penumbra.registry.lineage import explain_prediction
from penumbra.reviews.queue import CaseState, ReviewQueue


def explain_reviewed_prediction(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """Trace a prediction back to its model version, data and labels, and say how far its review has come.

    Args:
        settings: Sections [service], [labels] and [review] are read.
        prediction_id: The id that came with the answer.

    Returns:
        As `explain_prediction` returns it, and "review": the case's "status", how many "reviewers" are asked, and who
        has "answered", their names sorted; None where the prediction wasn't picked.

    Raises:
        UnknownPrediction: The id isn't in the log, or the archive that has it is damaged.
        StoreError: As `find_prediction` raises it.
    """
    facts = explain_prediction(settings, prediction_id)
    state = ReviewQueue.read(settings.review.folder).states.get(prediction_id)
    return {**facts, "review": state and _describe_state(state)}


def _describe_state(state: CaseState) -> dict[str, Any]:
    return {"status": state.status, "reviewers": state.case.reviewers, "answered": sorted(state.answered_by)}
