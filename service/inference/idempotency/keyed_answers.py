"""Answers to requests with an idempotency key: a repeated request gets the answer of the first one, out of the log."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import repeat
from typing import Any

from penumbra.logs.archiving.archive_parts import DamagedArchive
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import RecordDict
from service.http.requests.responses import MARK_NAMES
from service.inference.details import DetailValues
from service.inference.idempotency.request_claims import (
    Claim,
    ClaimedAnswers,
    ClaimJournal,
    KeyedRequest,
    read_claimed_answers,
)
from service.inference.runs.batch_run import ScoredRecord
from service.inference.service_logs import ServiceLog, name_unlogged

WAIT_SECONDS, LOOK_SECONDS = 2.0, 0.005  # for a request with the same key that is being logged; between two looks
RETURN_SECONDS = 0.5  # in which a segment of the log that was deleted while it was open is there again
RETRY_HEADER = (b"retry-after", b"1")
OTHER_REQUEST = (
    "this idempotency key was sent with another request, or with a list in other parts: take a new key for what is new"
)

NamedPrediction = tuple[str, ScoredRecord, bool]  # id, what was predicted, whether it is in the log
Scored = tuple[Sequence[ScoredRecord], Sequence[bytes], DetailValues]  # with the entries for the log
ScoreRest = Callable[[Sequence[RecordDict], int], Awaitable[Scored]]


class KeyedAnswers:
    """Has each request with a key logged once, however often, wherever on this machine and whenever it is repeated."""

    def __init__(self, journal: ClaimJournal, log: ServiceLog) -> None:
        self.journal = journal
        self._log = log

    async def predict_once(
        self, request: KeyedRequest, records: Sequence[RecordDict], score: ScoreRest
    ) -> tuple[list[NamedPrediction], DetailValues]:
        """Predict for a request, or find what was predicted for it.

        Args:
            request: The request.
            records: Its records.
            score: Scores the records from a position on; returns what was predicted, the entries for the log, and the
                details.

        Returns:
            Id and prediction of each record and whether it is in the log, and the details of those, at the end, that
            were predicted now.

        Raises:
            RequestRefused: 422, the key belongs to another request; 409, that is under way; 503, whether there is one
                can't be found out; or what `score` raises.
        """
        began = time.monotonic()
        while True:
            can_return = time.monotonic() < began + RETURN_SECONDS
            claims, known = await self._find(request, len(records), can_return)
            start = len(known.entries)
            if start == len(records):
                return list(map(_read_prediction, known.entries)), ()
            if not known.is_pending:
                scored, entries, details = await score(records[start:], start)
                if logged := self._log_once(request, start, claims, entries):
                    new = zip(logged[0], scored, repeat(logged[1]))
                    return [*map(_read_prediction, known.entries), *new], details
            if time.monotonic() > began + WAIT_SECONDS:
                refused = "a request with this idempotency key is under way: send this again"
                raise RequestRefused(409, refused, headers=[RETRY_HEADER])
            await asyncio.sleep(LOOK_SECONDS)

    async def _find(
        self, request: KeyedRequest, n_records: int, can_return: bool
    ) -> tuple[list[Claim], ClaimedAnswers]:
        try:
            claims = self.journal.find(request)
            if not claims:
                return [], ClaimedAnswers([], False)
            if claims[0].request.body != request.body:
                raise RequestRefused(422, OTHER_REQUEST)
            if n_records == 1:  # a thread would take longer than that
                return claims, read_claimed_answers(self._log.folder, claims, 1, can_return)
            return claims, await asyncio.to_thread(
                read_claimed_answers, self._log.folder, claims, n_records, can_return
            )
        except (OSError, DamagedArchive) as error:
            raise _refuse_for_now(error) from None

    def _log_once(
        self, request: KeyedRequest, start: int, claims: Sequence[Claim], entries: Sequence[bytes]
    ) -> tuple[list[str], bool] | None:
        """Log entries as `append_or_name` does; returns None where somebody else has claimed the request by now.

        Nothing else runs on the event loop from the claim until the entries are in the log.
        """
        try:
            place = self._log.reserve()
        except OSError:
            return name_unlogged(len(entries)), False
        try:
            if not self.journal.claim(request, place, start, claims):
                return None
        except OSError as error:
            raise _refuse_for_now(error) from None
        return self._log.append_or_name(entries)


def _read_prediction(entry: dict[str, Any]) -> NamedPrediction:
    """What an entry of the log says was answered."""
    marks = {name: entry[name] for name in MARK_NAMES if name in entry}
    inputs = [math.nan if value is None else value for value in entry["inputs"]]
    scored = ScoredRecord(entry["record"], entry["model"], inputs, entry["output"], entry["decision"], marks)
    return entry["id"], scored, True


def _refuse_for_now(error: Exception) -> RequestRefused:
    reason = f"whether this idempotency key was sent before can't be found out ({error}): send this again"
    return RequestRefused(503, reason, headers=[RETRY_HEADER])
