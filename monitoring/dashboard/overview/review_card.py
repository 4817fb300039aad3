"""The overview's card of the review queue."""

import datetime as dt

from monitoring.dashboard.overview.cards import OverviewCard, format_moment
from penumbra.core.problem import Problem
from penumbra.core.settings import ReviewSettings, Settings
from penumbra.logs.indexing.index import LogIndex
from penumbra.reviews.measures.error_rates import describe_mean_error
from penumbra.reviews.measures.summary import summarise_reviews
from penumbra.reviews.queue import ReviewQueue

REVIEW_DAYS = 7  # days whose cases are counted


def build_review_card(settings: Settings, problem: Problem, address: str) -> OverviewCard:
    """Build the card of the review queue: what waits, and what the answers of the last week say of all rows.

    Args:
        settings: Section [review], and those that the index of the logs needs.
        problem: The user's problem, with the schema.
        address: The address of the review page.

    Returns:
        The card.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    queue, index = ReviewQueue.read(settings.review.folder), LogIndex.from_settings(settings, problem.schema)
    if not queue.states:
        return OverviewCard("none picked", [("next", _describe_next(settings.review))], address)
    summary = summarise_reviews(queue, index, queue.now - dt.timedelta(days=REVIEW_DAYS))
    lines = [("oldest", format_moment(summary.oldest))] if summary.oldest else []
    lines += [("to adjudicate", f"{summary.conflicts:,}")] if summary.conflicts else []
    lines.append(("decided", f"{summary.decided:,} in {REVIEW_DAYS} days"))
    lines.append(("errors", describe_mean_error(summary.error, index.label_spec.task.kind)))
    lines += [("agreement", str(summary.agreement))] if summary.agreement.cases else []
    return OverviewCard(f"{summary.open:,} open", lines, address)


def _describe_next(settings: ReviewSettings) -> str:
    if not settings.per_day:
        return "only what a rule defers to people, as review.per_day is 0"
    return f"picked by make serve, every {settings.every_minutes:g} minutes"
