"""The predictor: from valid records to answers that are in the prediction log. It knows nothing of HTTP."""

import asyncio
import datetime as dt
import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from penumbra.core.task import Task
from penumbra.logs.append_log import encode_json, encode_lines
from penumbra.logs.schema import BrokenCountEntry, PredictionEntry, RefusalEntry
from service.http import metrics
from service.http.refusals import RequestRefused, build_rule_refusal
from service.http.requests.record_reader import Contract, RecordDict
from service.http.requests.responses import AnswerBody, make_answer_formatter
from service.inference.details import OPTIONS, DetailThread, DetailValues
from service.inference.idempotency.keyed_answers import KeyedAnswers
from service.inference.idempotency.request_claims import ClaimJournal, KeyedRequest, name_record
from service.inference.models.canary_share import CanaryShare
from service.inference.models.live_model import LiveModels
from service.inference.pipeline import InferencePipeline, try_call
from service.inference.runs.batch_run import RefusedByRules, ScoredRecord
from service.inference.scoring_marks import WorkerMarks
from service.inference.service_logs import ServiceLogs

MAINTENANCE_SECONDS, BROKEN_LOG_SECONDS = 0.1, 1.0
MAX_CLAIM_STEPS = 256
LOAD_PATIENCE_SECONDS = 60.0  # loading a model may keep the event loop waiting for so long

DraftedAnswer = tuple[ScoredRecord, bytes]  # a scored record, and its encoded log entry

logger = logging.getLogger("service.inference.predictor")


class Predictor:
    """One worker's contract, live model and logs.

    Everything but the scoring of lists runs on the event loop.
    """

    options = OPTIONS

    def __init__(
        self,
        contract: Contract,
        task: Task,
        live: LiveModels,
        logs: ServiceLogs,
        share: CanaryShare | None = None,
        marks: WorkerMarks | None = None,
        claims: ClaimJournal | None = None,
    ) -> None:
        self.contract = contract
        self.live = live
        self.logs = logs
        self._broken_logged_at = 0.0
        self.tally = metrics.RequestTally()
        self.marks = marks or WorkerMarks(live.state)
        self._pipeline = InferencePipeline(live, contract, share, self.marks)
        self._keyed = KeyedAnswers(claims or ClaimJournal(live.state), logs.predictions)
        self._format_answer = make_answer_formatter(task)
        self._details = DetailThread()

    async def answer_one(self, record: RecordDict, began: float, options: Collection[str] = ()) -> AnswerBody:
        """Answer one record, and log the answer; its details are made in their thread.

        Args:
            record: The record as parsed by the contract.
            began: When its request arrived, by `time.perf_counter`, in seconds.
            options: The options that its request asks for.

        Returns:
            The answer.

        Raises:
            RequestRefused: A rule refuses the record, there is no live model, nothing has an answer, or the version has
                not what an option asks for.
        """
        models = self.live.get_loaded()
        scored, entry = self._draft((record, began), *self._pipeline.predict_coalesced([record]))
        details = await self._details.describe(models, [scored], options)
        (answer,) = self._log_and_answer([scored], [entry], details)
        return answer

    def answer_coalesced(self, arrivals: Sequence[tuple[RecordDict, float]]) -> list[AnswerBody | Exception]:
        """Answer a few records of requests that arrived together, with one write to the log. On the event loop only.

        Args:
            arrivals: Each record with its arrival time by `time.perf_counter`, in seconds.

        Returns:
            For each record the result of `answer_one`, or the exception that it raises.
        """
        scored = self._pipeline.predict_coalesced([record for record, _ in arrivals])
        drafts = [try_call(self._draft, *pair) for pair in zip(arrivals, scored, strict=True)]
        good = [draft for draft in drafts if not isinstance(draft, Exception)]
        answers = iter(self._log_and_answer(*zip(*good, strict=True)) if good else ())
        return [draft if isinstance(draft, Exception) else next(answers) for draft in drafts]

    async def answer_batch(
        self, records: Sequence[RecordDict], began: float, options: Collection[str] = ()
    ) -> list[AnswerBody]:
        """Answer a list of records, scored in a thread.

        Args:
            records: The records as parsed by the contract.
            began: When their request arrived, by `time.perf_counter`, in seconds.
            options: The options that their request asks for.

        Returns:
            The answers in the records' order.

        Raises:
            RequestRefused: Rules refuse at least one record, there is no live model, nothing has an answer, or a
                version has not what an option asks for.
        """
        models = self.live.get_loaded()
        try:
            scored, entries = await asyncio.to_thread(self._score, records, began)
        except RefusedByRules as by_rules:
            raise self._log_and_refuse(by_rules, len(records)) from None
        details = await self._details.describe(models | self.live.get_loaded(), scored, options)
        return self._log_and_answer(scored, entries, details)

    async def answer_once(
        self,
        request: KeyedRequest,
        records: RecordDict | Sequence[RecordDict],
        began: float,
        options: Collection[str] = (),
    ) -> tuple[AnswerBody | list[AnswerBody], int]:
        """Answer a request with an idempotency key; one that is repeated gets what the log has of the first.

        Args:
            request: What the request is known by.
            records: The record, or a list of them, as parsed by the contract.
            began: When its request arrived, by `time.perf_counter`, in seconds.
            options: The options that it asks for.

        Returns:
            The answer, or the answers in the records' order, and how many of them weren't given before.

        Raises:
            RequestRefused: As of `answer_one` and `answer_batch`; 422 where the key belongs to another request, 409
                while that is under way, or where the version that answered is gone and an option asks for more of it.
        """
        is_list, asked = not isinstance(records, dict), [records] if isinstance(records, dict) else records
        score = partial(self._score_once, request, began, options, len(asked) if is_list else None)
        named, details = await self._keyed.predict_once(request, asked, score)
        answers, n_new = [self._make_answer(*each) for each in named], len(details)
        if options:
            earlier = [scored for _, scored, _ in named[: len(named) - n_new]]
            details = [*await self._describe_again(earlier, options), *details]
            answers = _add_details(answers, details)
        return answers if is_list else answers[0], n_new

    def count_request(self, status: int, n_records: int, seconds: float) -> None:
        """Count one finished request by HTTP `status`, `n_records` answered, and `seconds` from arrival to answer."""
        self.tally.add(status, n_records, seconds)

    def describe_readiness(self) -> dict[str, Any]:
        """Describe whether requests can be answered and logged.

        Returns:
            `ready` with `model_version` and, where there is one, `canary`; or `ready` false with the `reason`.
        """
        if self.live.model is None:
            return {"ready": False, "reason": self.live.explain_absence()}
        if reason := self.logs.describe_failures():
            return {"ready": False, "reason": reason}
        extra = {"canary": canary.version} if (canary := self.live.canary) else {}
        return {"ready": True, "model_version": self.live.model.version, **extra}

    async def run_maintenance(self) -> None:
        """Follow pointers and disk, and pass on the metrics, ten times a second until cancelled."""
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                self.tally.flush()
                self.logs.recover()
                await self._read_claims()
                self._log_broken_records()
                self._pipeline.blocked.refresh()
                if self.live.has_changed():
                    with self.marks.extend_patience(LOAD_PATIENCE_SECONDS):
                        await asyncio.to_thread(self.live.refresh)
            except Exception:
                logger.exception("following the live model failed, trying again")

    async def _read_claims(self) -> None:
        """Read what was claimed, in steps between which requests are answered; the rest is left to the next time."""
        with suppress(OSError):  # a request that needs the claims says so
            for _ in range(MAX_CLAIM_STEPS):
                if self._keyed.journal.catch_up():
                    return
                await asyncio.sleep(0)

    def _log_broken_records(self) -> None:
        """Write the counts of records that broke the contract for the monitor, at most one line a second."""
        if not self.contract.broken_counts or time.monotonic() - self._broken_logged_at < BROKEN_LOG_SECONDS:
            return
        counts, self.contract.broken_counts = self.contract.broken_counts, Counter()
        self._broken_logged_at, fields = time.monotonic(), dict(counts)
        entry = BrokenCountEntry(dt.datetime.now(dt.UTC), fields.pop("", 0), fields)
        try:
            self.logs.broken_counts.append([encode_json(entry)])
        except OSError:
            self.contract.broken_counts.update(counts)

    def _score(self, records: Sequence[RecordDict], began: float) -> tuple[list[ScoredRecord], list[bytes]]:
        scored = self._pipeline.predict_batch(records)
        return scored, encode_lines(self._make_entries(scored, began))

    def _draft(self, arrival: tuple[RecordDict, float], scored: ScoredRecord | Exception) -> DraftedAnswer:
        if isinstance(scored, RefusedByRules):
            raise self._log_and_refuse(scored)
        if isinstance(scored, Exception):
            raise scored
        return scored, encode_json(*self._make_entries([scored], arrival[1]))

    def _log_and_answer(
        self, scored: Sequence[ScoredRecord], entries: Sequence[bytes], details: DetailValues = ()
    ) -> list[AnswerBody]:
        """Write the entries to the log, then return the answers."""
        ids, logged = self.logs.predictions.append_or_name(entries)
        answers = [self._make_answer(name, each, logged) for name, each in zip(ids, scored, strict=True)]
        return _add_details(answers, details) if any(details) else answers

    async def _score_once(
        self,
        request: KeyedRequest,
        began: float,
        options: Collection[str],
        total: int | None,
        records: Sequence[RecordDict],
        start: int,
    ) -> tuple[Sequence[ScoredRecord], Sequence[bytes], DetailValues]:
        """Score the records of a request from the position `start` on; `total` is the length of the list that they came
        in. Returns what was predicted, the entries for the log, and the details."""
        try:
            if total is None:
                scored = [self._pipeline.predict_one(records[0])]
            else:
                scored = await asyncio.to_thread(self._pipeline.predict_batch, records)
        except RefusedByRules as by_rules:
            raise self._log_and_refuse(by_rules, total, start) from None
        details = await self._details.describe(self.live.get_loaded(), scored, options)
        entries = self._make_entries(scored, began)
        for position, entry in enumerate(entries, start):
            entry.request = name_record(request, position)
        return scored, encode_lines(entries), details or [{}] * len(scored)

    async def _describe_again(self, scored: Sequence[ScoredRecord], options: Collection[str]) -> DetailValues:
        """Make the details of answers that were given before."""
        models = self.live.get_loaded()
        if gone := {each.model for each in scored} - models.keys():
            reason = f"version {min(gone)} gave this answer, and is not loaded any more: ask without options or anew"
            raise RequestRefused(409, reason)
        return await self._details.describe(models, scored, options)

    def _make_entries(self, scored: Sequence[ScoredRecord], began: float) -> list[PredictionEntry]:
        """Make the log entries of the records of one request."""
        micros, now, version = (
            round((time.perf_counter() - began) * 1e6),
            dt.datetime.now(dt.UTC),
            self.contract.version,
        )
        return [
            PredictionEntry(now, version, line, inputs, output, decision, model, micros, **marks)
            for line, model, inputs, output, decision, marks in scored
        ]

    def _make_answer(self, name: str, scored: ScoredRecord, logged: bool) -> AnswerBody:
        _, model, _, output, decision, marks = scored
        answer = self._format_answer(name, output, decision, model)
        if not logged:  # nobody will see it, so nobody can decide it later
            shown = {field: mark for field, mark in marks.items() if field not in ("pending", "due")}
            return {**answer, "logged": False, **shown}
        return {**answer, **marks} if marks else answer

    def _log_and_refuse(self, by_rules: RefusedByRules, total: int | None = None, start: int = 0) -> RequestRefused:
        """Log refused records, and return the refusal; `total` is the length of the list that they came in, of which
        those before `start` were answered earlier."""
        now, version, model = dt.datetime.now(dt.UTC), self.contract.version, by_rules.model
        entries = [RefusalEntry(now, version, record, rule.name, model) for _, record, rule in by_rules.refused]
        with suppress(OSError):
            self.logs.refusals.append([encode_json(refusal) for refusal in entries])
        return build_rule_refusal(
            [(start + index if total else None, rule) for index, _, rule in by_rules.refused], total or 1, start
        )


def _add_details(answers: Sequence[AnswerBody], details: DetailValues) -> list[AnswerBody]:
    return [{**answer, **more} for answer, more in zip(answers, details, strict=True)]
