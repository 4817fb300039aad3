"""Look-ups of one answer by its id, in threads of their own: where a store is away, they alone wait for it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from penumbra.registry.lineage import UnknownPrediction
from penumbra.storage.shared.store_failures import StoreError
from service.http.refusals import RequestRefused

LOOK_UP_THREADS = 4
MAX_LOOK_UPS = 32  # under way or waiting for a thread; more are refused
READ_METHODS = ("GET", "HEAD")
RETRY_HEADER = (b"retry-after", b"5")

logger = logging.getLogger("service.http.endpoints")


class LookUps:
    """Answers `GET <prefix><id>`. Nothing else of the service uses its threads, which read files and the store."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UP_THREADS, "look-up")
        self._places = threading.BoundedSemaphore(MAX_LOOK_UPS)

    async def answer(
        self, look_up: Callable[[str], Any], method: str, entry_id: str
    ) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
        """Answer one request.

        Args:
            look_up: Returns what msgspec can encode, raises UnknownPrediction where there is nothing, and StoreError
                where that can't be found out.
            method: The request's method in HTTP.
            entry_id: The id; any text is allowed.

        Returns:
            Status, body and headers of the response: 404 for an unknown id, 503 where the store is away or too many
            look-ups are under way.
        """
        try:
            return 200, msgspec.json.encode(await asyncio.wrap_future(self._start(look_up, method, entry_id))), ()
        except UnknownPrediction as error:
            refused = RequestRefused(404, str(error))
        except StoreError as error:
            refused = RequestRefused(503, f"it can't be looked up now: {error}", headers=[RETRY_HEADER])
        except RequestRefused as error:
            refused = error
        except Exception:
            logger.exception("the look-up of %r failed", entry_id)
            refused = RequestRefused(500, "unexpected error, see the service's log")
        return refused.status, refused.encode_body(), tuple(refused.headers)

    def _start(self, look_up: Callable[[str], Any], method: str, entry_id: str) -> Future[Any]:
        if method not in READ_METHODS:
            raise RequestRefused(405, f"{method} is not possible here: GET", headers=[(b"allow", b"GET")])
        if not self._places.acquire(blocking=False):
            raise RequestRefused(503, f"{MAX_LOOK_UPS} look-ups are under way: try again", headers=[RETRY_HEADER])
        started = self._threads.submit(look_up, entry_id)
        started.add_done_callback(lambda done: self._places.release())
        return started
