"""The budget of a block of rows that people look at: what may be picked of it, and from when on it is drawn."""

import datetime as dt

from penumbra.core.settings import ReviewSettings
from penumbra.reviews.queue import ReviewQueue

LEAST_BY_CLOCK = 8  # rows that a block's budget has
DAY = dt.timedelta(days=1)


def compute_budget(queue: ReviewQueue, settings: ReviewSettings, budget: float | None = None) -> float:
    """Compute how many rows may be picked of the next block.

    Args:
        queue: All blocks and cases at this moment.
        settings: The setting `per_day`, of which nothing older than a day is left over, and `chance_share`, which stays
            however many rows were deferred to people.
        budget: What has been added since the last block; None for `per_day` by the time since then, and where there is
            no block yet for a day and the time since the first row was deferred. Where the clock was put back behind
            the last block, it is taken to have been put back by that much, at most by a day.

    Returns:
        The rows that were left over and those that have been added, less those that were deferred.
    """
    budget = settings.per_day * _count_days(queue) if budget is None else budget
    left = max(queue.blocks[-1].budget - queue.blocks[-1].picked, 0.0) if queue.blocks else 0.0
    free = max(budget - count_deferred(queue), settings.chance_share * budget)
    return min(left + free, max(settings.per_day, budget))


def compute_least_budget(settings: ReviewSettings, budget: float | None = None) -> int:
    """Compute how many rows a block has to have a budget for, so that rows are picked of it.

    Args:
        settings: The setting `per_day`.
        budget: As for `compute_budget`.

    Returns:
        By the clock `LEAST_BY_CLOCK`, or a day's rows where that is less; 1 where a budget was given.
    """
    return 1 if budget is not None else max(int(min(LEAST_BY_CLOCK, settings.per_day)), 1)


def _count_days(queue: ReviewQueue) -> float:
    """The days for which no budget was given yet."""
    if not queue.blocks:
        since = min((state.picked for state in queue.list_deferred()), default=queue.now)
        return 1 + max((queue.now - since) / DAY, 0.0)
    passed = (queue.now - queue.blocks[-1].time) / DAY
    return passed if passed >= 0 else min(-passed, 1.0)


def count_deferred(queue: ReviewQueue) -> int:
    """Return how many deferred rows of the `queue` haven't been taken off a budget yet."""
    return len(queue.list_deferred()) - sum(block.deferred for block in queue.blocks)
