"""Plain requests that arrive together are answered together: those of one turn of the event loop share one write to the
prediction log, and not one answer leaves before it."""

import asyncio
import time
from collections.abc import Callable

from service.http import CONTENT_TYPE, Headers, Response, encode, failure
from service.predictor import Drafted, Predictor

Respond = Callable[[Response], None]


class Together:
    """The requests of one worker that wait for the turn's end."""

    def __init__(self, predictor: Callable[[], Predictor]) -> None:
        """`predictor` is asked for at each request, as there is none before BentoML's start-up."""
        self._predictor = predictor
        self._waiting: list[tuple[Respond, Drafted, float]] = []

    def take(self, headers: Headers, body: bytes, respond: Respond) -> bool:
        """Answer a POST of this body, if that is one record; false where it is, or may be, something else. `respond` is
        called once, now with a refusal or later with an answer."""
        if body[:1] != b"{" or CONTENT_TYPE not in headers:
            return False
        began, predictor = time.perf_counter(), self._predictor()
        try:
            drafted = predictor.draft(predictor.contract.one(body), began)
        except Exception as error:
            self._respond(respond, failure(predictor, error), 0, began)
        else:
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self.flush)
            self._waiting.append((respond, drafted, began))
        return True

    def flush(self) -> None:
        """Log what waits, and answer it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        predictor, records = self._predictor(), 1
        try:
            answers = predictor.answers([drafted for _, drafted, _ in waiting])
            responses: list[Response] = [(200, encode(answer), ()) for answer in answers]
        except Exception as error:
            responses, records = [failure(predictor, error)] * len(waiting), 0
        for (respond, _, began), response in zip(waiting, responses, strict=True):
            self._respond(respond, response, records, began)

    def _respond(self, respond: Respond, response: Response, n_records: int, began: float) -> None:
        respond(response)
        self._predictor().count(response[0], n_records, time.perf_counter() - began)
