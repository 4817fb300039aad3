"""Plain requests that arrive together are answered together: those of one turn of the event loop share one call of the
model and one write to the prediction log, and not one answer leaves before it."""

import asyncio
import time
from collections.abc import Callable

from service.http.asgi import JSON_HEADER, Headers, RawResponse, build_error_response, encode_response
from service.http.record_reader import RecordDict
from service.http.responses import AnswerBody
from service.inference.pipeline import try_call
from service.inference.predictor import Predictor

RespondCallback = Callable[[RawResponse], None]


class MicroBatcher:
    """The requests of one worker that wait for the turn's end."""

    def __init__(self, predictor: Callable[[], Predictor]) -> None:
        """`predictor` is asked for at each request, as there is none before BentoML's start-up."""
        self._predictor = predictor
        self._waiting: list[tuple[RespondCallback, RecordDict, float]] = []

    def try_accept(self, headers: Headers, body: bytes, respond: RespondCallback) -> bool:
        """Answer a POST of this body, if that is one record; false where it is, or may be, something else. `respond` is
        called once, now with a refusal or later with an answer."""
        if body[:1] != b"{" or JSON_HEADER not in headers:
            return False
        began, predictor = time.perf_counter(), self._predictor()
        record = try_call(predictor.contract.parse_one, body)
        if isinstance(record, Exception):
            self._answer(respond, record, began)
            return True
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((respond, record, began))
        return True

    def flush(self) -> None:
        """Log what waits, and answer it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        answers = try_call(self._predictor().answer_coalesced, [(record, began) for _, record, began in waiting])
        each = [answers] * len(waiting) if isinstance(answers, Exception) else answers
        for (respond, _, began), answer in zip(waiting, each, strict=True):
            self._answer(respond, answer, began)

    def _answer(self, respond: RespondCallback, answer: AnswerBody | Exception, began: float) -> None:
        predictor = self._predictor()
        if isinstance(answer, Exception):
            response, records = build_error_response(predictor, answer), 0
        else:
            response, records = (200, encode_response(answer), ()), 1
        respond(response)
        predictor.count(response[0], records, time.perf_counter() - began)
