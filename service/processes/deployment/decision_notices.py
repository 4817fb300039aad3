"""Notices of deferred answers, posted from a thread of the indexer process, where a slow webhook holds nobody up."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing

from penumbra.core.settings import Settings
from penumbra.core.text.errors import describe_error
from penumbra.reviews.notifier import DecisionNotifier
from service.processes.workers.process_control import sleep_while_running

NOTICE_POLL_SECONDS, MAX_NOTICE_WAIT_SECONDS = 2.0, 600.0

logger = logging.getLogger("service.processes.indexer")


def start_notices(settings: Settings, running: Callable[[], bool]) -> None:
    """Start a thread that tells the webhook of `review.webhook`, if there is one, until it is time to stop.

    Args:
        settings: The settings of reviews.
        running: Returns False when it is time to stop.
    """
    if settings.review.webhook:
        notifier = DecisionNotifier(settings)
        threading.Thread(target=run_notices, args=(notifier, running), daemon=True).start()


def run_notices(notifier: DecisionNotifier, running: Callable[[], bool], poll: float = NOTICE_POLL_SECONDS) -> None:
    """Tell what is new at intervals, longer and longer ones while the webhook can't be reached.

    Args:
        notifier: It is closed in the end.
        running: Returns False when it is time to stop.
        poll: Seconds between two looks at the review log.
    """
    wait, last_reason = poll, ""
    with closing(notifier):
        while running():
            reason = _try_notify(notifier)
            wait = min(wait * 2, MAX_NOTICE_WAIT_SECONDS) if reason else poll
            if reason and reason != last_reason:
                logger.error("the webhook can't be told of deferred answers, trying again: %s", reason)
            last_reason = reason
            sleep_while_running(wait, running)


def _try_notify(notifier: DecisionNotifier) -> str:
    """Why it didn't work out; "" where it did."""
    try:
        return notifier.notify()
    except Exception as error:  # such as a full disk: it is told again later
        return describe_error(error)
