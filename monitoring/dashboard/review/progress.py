"""How far reviewers have come: what was done today, what is open, how far they agree, and what follows from it."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.index import LogIndex
from penumbra.reviews.error_rates import describe_error, measure_case_errors
from penumbra.reviews.queue import CaseState, ReviewQueue

RECENT_DAYS = 30  # the cases that estimates are made of were picked in so many days
DONE_KINDS = ("answer", "cannot_tell", "adjudicate")


def describe_progress(settings: Settings, problem: Problem) -> dict[str, Any]:
    """Describe the progress of all reviewers.

    Args:
        settings: The settings, of which the section `review` is read.
        problem: The user's problem, with the schema.

    Returns:
        `today`, the number of cases done since midnight UTC by reviewer; `statuses`, the number of cases by status;
        `facts`, pairs of a name and words: how wrong the decisions of all rows were that cases of the last 30 days were
        picked from.
    """
    now, queue = dt.datetime.now(dt.UTC), ReviewQueue.read(settings.review.folder)
    done = Counter(
        action.reviewer
        for state in queue.states.values()
        for action in state.actions.values()
        if action.kind in DONE_KINDS and action.time.date() == now.date()
    )
    recent = [state for state in queue.states.values() if now - state.picked <= dt.timedelta(days=RECENT_DAYS)]
    return {"today": done, "statuses": queue.count_statuses(), "facts": _describe_error_rate(settings, problem, recent)}


def _describe_error_rate(settings: Settings, problem: Problem, states: Sequence[CaseState]) -> list[tuple[str, str]]:
    if not states:
        return []
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    estimate, kind = measure_case_errors(index, states), index.label_spec.task.kind
    return [("decisions", describe_error(estimate, kind))]
