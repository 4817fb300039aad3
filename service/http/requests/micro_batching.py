"""Micro-batching: plain requests of one turn of the event loop share one call of the model and one write to the log.

No answer leaves before that write.
"""

import asyncio
import time
from collections.abc import Callable

from service.http.asgi import JSON_HEADER, Headers, RawResponse, encode_response
from service.http.endpoints import build_error_response
from service.http.requests.record_reader import RecordDict
from service.http.requests.responses import AnswerBody
from service.inference.pipeline import try_call
from service.inference.predictor import Predictor

RespondCallback = Callable[[RawResponse], None]


class MicroBatcher:
    """The requests of one worker that are answered at the end of the current turn of the event loop."""

    def __init__(self, predictor: Callable[[], Predictor]) -> None:
        """Keep `predictor`, which is called at each request, as BentoML creates the predictor at start-up."""
        self._predictor = predictor
        self._waiting: list[tuple[RespondCallback, RecordDict, float]] = []

    def try_accept(self, headers: Headers, body: bytes, respond: RespondCallback) -> bool:
        """Accept a POST if its body is one JSON record.

        Args:
            headers: The request's headers.
            body: Its complete body.
            respond: Called once: at once with a refusal, or later with an answer.

        Returns:
            False where the body is, or may be, anything else; `respond` is not called then.
        """
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
        """Log and answer the requests that wait."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        answers = try_call(self._predictor().answer_coalesced, [(record, began) for _, record, began in waiting])
        outcomes = [answers] * len(waiting) if isinstance(answers, Exception) else answers
        for (respond, _, began), answer in zip(waiting, outcomes, strict=True):
            self._answer(respond, answer, began)

    def _answer(self, respond: RespondCallback, answer: AnswerBody | Exception, began: float) -> None:
        predictor = self._predictor()
        if isinstance(answer, Exception):
            response, n_records = build_error_response(predictor, answer), 0
        else:
            response, n_records = (200, encode_response(answer), ()), 1
        respond(response)
        predictor.count_request(response[0], n_records, time.perf_counter() - began)
