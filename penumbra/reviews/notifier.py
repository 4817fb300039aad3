"""Tells a webhook what has become of deferred answers: once for each decision, and where the default counts."""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.core.system.webhook import WEBHOOK_PAUSE_SECONDS, post_message
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.reviews.deferred import DeferredState, find_deferred_state
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ReviewNotice, put_time_after
from penumbra.storage.locks import acquire_lock

NOTIFY_LOCK_FILE = "notify.lock"
MAX_NEWS_AGE = dt.timedelta(days=7)  # what is older isn't told any more


class DecisionNotifier:
    """Posts to the webhook of `review.webhook`. Only one at a time does, over all processes.

    The review log notes what was told after it was told: after a kill between the two it is told again, with the same
    id.
    """

    def __init__(self, settings: Settings, pause: float = WEBHOOK_PAUSE_SECONDS) -> None:
        """Take address and folder from `settings`; `pause` is in seconds, before the second try to reach it."""
        self._settings = settings
        self._url, self._folder, self._pause = settings.review.webhook, settings.review.folder, pause
        hours = settings.limit_segment_hours(settings.log.segment_hours)
        self._writer = LogWriter(settings.review.folder, settings.log.segment_mb, hours)

    def notify(self, now: dt.datetime | None = None) -> str:
        """Tell what is new; nothing where another process is at it.

        Args:
            now: The time (UTC); the clock's by default.

        Returns:
            Why the webhook wasn't reached, at which the rest is left for later; "" otherwise.

        Raises:
            OSError: The review log can't be read or written.
        """
        now = now or dt.datetime.now(dt.UTC)
        if not self._url or not any(_list_news(self._folder, now)):
            return ""
        try:
            lock = acquire_lock(self._folder / NOTIFY_LOCK_FILE)
        except BlockingIOError:
            return ""
        try:
            with take_shared_turn(self._settings, "notices", ("reviews",)) as check:
                return self._tell_and_close(now, check)
        finally:
            os.close(lock)

    def close(self) -> None:
        """Close the segment of the review log that this notifier writes."""
        self._writer.close()

    def _tell_and_close(self, now: dt.datetime, check: Callable[[], None]) -> str:
        """What isn't closed isn't shipped to other replicas, which would tell it again."""
        try:
            return self._tell_news(now, check)
        finally:
            if self._settings.cluster.state:
                self.close()

    def _tell_news(self, now: dt.datetime, check: Callable[[], None]) -> str:
        for name, case, found in _list_news(self._folder, now):
            message = {"text": f"review of {name}: {found.status}", "prediction_id": name, "status": found.status}
            check()
            if reason := post_message(self._url, message, self._pause):
                return reason
            self._writer.recover()
            earlier = [found.time or now, *([case.notice.time] if case.notice else [])]
            self._writer.append([encode_json(ReviewNotice(name, found.status, put_time_after(now, earlier)))])
        return ""


def _list_news(folder: Path, now: dt.datetime) -> Iterator[tuple[str, CaseState, DeferredState]]:
    if folder.exists():
        for name, case in ReviewQueue.read(folder, now).states.items():
            if found := _find_news(case, now):
                yield name, case, found


def _find_news(case: CaseState, now: dt.datetime) -> DeferredState | None:
    """What has become of a deferred answer, unless the webhook knows that already or it is old."""
    if case.case.due is None:
        return None
    found, told = find_deferred_state(case.case.due, case, now), case.notice
    if found.time is None or found.time < now - MAX_NEWS_AGE:
        return None
    return None if told and told.status == found.status and told.time >= found.time else found
