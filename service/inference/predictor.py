"""From records that keep the contract to answers that are in the prediction log. HTTP knows nothing of this."""

import asyncio
import datetime as dt
import logging
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from penumbra.core.task import Task
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.schema import (
    BrokenCountEntry,
    PredictionEntry,
    RefusalEntry,
    get_broken_counts_folder,
    get_refusals_folder,
)
from penumbra.registry.lineage import UNLOGGED_PREFIX
from service.http import metrics
from service.http.record_reader import Contract, RecordDict
from service.http.refusals import RequestRefused
from service.http.responses import AnswerBody, make_answer_formatter
from service.inference import rule_engine
from service.inference.live_model import LiveModels
from service.inference.pipeline import (
    NO_LIVE_MODEL,
    CanaryShare,
    InferencePipeline,
    RefusedByRules,
    ScoredRecord,
    try_call,
)

MAINTENANCE_SECONDS, BROKEN_LOG_SECONDS = 0.1, 1.0

DraftedAnswer = tuple[ScoredRecord, bytes]  # what is said of a record, and its entry for the log

logger = logging.getLogger("service.inference.predictor")


class Predictor:
    """One worker's contract, live model and prediction log. All but the scoring of lists runs on the event loop."""

    def __init__(
        self, contract: Contract, task: Task, live: LiveModels, log: LogWriter, share: CanaryShare | None = None
    ) -> None:
        self.contract = contract
        self.live = live
        self.log = log
        self.refusals = LogWriter(get_refusals_folder(log.folder))
        self.broken = LogWriter(get_broken_counts_folder(log.folder))
        self._kept = 0.0
        self.tally = metrics.RequestTally()
        self._decider = InferencePipeline(live, contract, share)
        self._word = make_answer_formatter(task)

    def answer_one(self, record: RecordDict, began: float) -> AnswerBody:
        """The answer to one record whose request arrived at `began` (by `time.perf_counter`). Raises Refused where
        a rule says so, where there is no live model, or where nothing has an answer."""
        (answer,) = self.answer_coalesced([(record, began)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer_coalesced(self, asked: Sequence[tuple[RecordDict, float]]) -> list[AnswerBody | Exception]:
        """What `one` answers to each of a few, or in its place what it raises: their requests arrived together, and all
        answers are in the log by one write. On the event loop only."""
        said = self._decider.predict_coalesced([record for record, _ in asked])
        drafts = [try_call(self._draft, *pair) for pair in zip(asked, said, strict=True)]
        good = [draft for draft in drafts if not isinstance(draft, Exception)]
        answers = iter(self._log_and_answer(good) if good else ())
        return [draft if isinstance(draft, Exception) else next(answers) for draft in drafts]

    async def answer_batch(self, records: Sequence[RecordDict], began: float) -> list[AnswerBody]:
        """The answers in the records' order, all of one model version, or with a canary of two; scored in a thread."""
        try:
            said, entries = await asyncio.to_thread(self._score, records, began)
        except RefusedByRules as by_rules:
            raise self._refusal(by_rules, len(records)) from None
        return self._log_and_answer([(one, encode_json(entry)) for one, entry in zip(said, entries, strict=True)])

    def count(self, status: int, n_records: int, seconds: float) -> None:
        """Record one finished request in the metrics."""
        self.tally.add(status, n_records, seconds)

    def readiness(self) -> dict[str, Any]:
        """`ready` with the live version, and the canary's where there is one, or with the reason why not."""
        if self.live.model is None:
            return {"ready": False, "reason": NO_LIVE_MODEL}
        if self.log.is_failing:
            return {"ready": False, "reason": f"the prediction log {self.log.folder} can't be written"}
        beside = {"canary": canary.version} if (canary := self.live.canary) else {}
        return {"ready": True, "model_version": self.live.model.version, **beside}

    async def run_maintenance(self) -> None:
        """Follow the pointer to the live model and the state of the disk, and hand on the metrics, for ever."""
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                self.tally.flush()
                self.log.recover()
                self.refusals.recover()
                self._log_broken_records()
                if self.live.has_changed():
                    await asyncio.to_thread(self.live.refresh)
            except Exception:
                logger.exception("following the live model failed, trying again")

    def _log_broken_records(self) -> None:
        """Leave to the monitor what broke the contract, a line a second at most: nothing else is kept of it."""
        self.broken.recover()
        if not self.contract.broken or time.monotonic() - self._kept < BROKEN_LOG_SECONDS:
            return
        fields, self.contract.broken, self._kept = self.contract.broken, Counter(), time.monotonic()
        entry = BrokenCountEntry(dt.datetime.now(dt.UTC), fields.pop("", 0), fields)
        self.broken.append([encode_json(entry)])

    def _score(self, records: Sequence[RecordDict], began: float) -> tuple[list[ScoredRecord], list[PredictionEntry]]:
        said = self._decider.predict_batch(records)
        return said, [self._entry(record, one, began) for record, one in zip(records, said, strict=True)]

    def _draft(self, asked: tuple[RecordDict, float], said: ScoredRecord | Exception) -> DraftedAnswer:
        if isinstance(said, RefusedByRules):
            raise self._refusal(said)
        if isinstance(said, Exception):
            raise said
        return said, encode_json(self._entry(asked[0], said, asked[1]))

    def _log_and_answer(self, drafts: Sequence[DraftedAnswer]) -> list[AnswerBody]:
        """Once all of them are in the log."""
        ids, logged = self._write_to_log([entry for _, entry in drafts])
        return [self._answer(name, said, logged) for name, (said, _) in zip(ids, drafts, strict=True)]

    def _entry(self, record: RecordDict, said: ScoredRecord, began: float) -> PredictionEntry:
        model, inputs, output, decision, marks = said
        micros = round((time.perf_counter() - began) * 1e6)
        now = dt.datetime.now(dt.UTC)
        return PredictionEntry(now, self.contract.version, record, inputs, output, decision, model, micros, **marks)

    def _answer(self, name: str, said: ScoredRecord, logged: bool) -> AnswerBody:
        answer = {"prediction_id": name, **self._word(said.output, said.decision), "model_version": said.model}
        if not logged:
            answer["logged"] = False
        return {**answer, **said.marks} if said.marks else answer

    def _refusal(self, by_rules: RefusedByRules, total: int | None = None) -> RequestRefused:
        """Keep what is refused, and say so; `total` is the length of the list that it came in."""
        now, version, model = dt.datetime.now(dt.UTC), self.contract.version, by_rules.model
        kept = [RefusalEntry(now, version, record, rule.name, model) for _, record, rule in by_rules.refused]
        try:
            self.refusals.append([encode_json(refusal) for refusal in kept])
        except OSError:
            metrics.log_failures.inc(len(kept))
        return rule_engine.build_rule_refusal(
            [(index if total else None, rule) for index, _, rule in by_rules.refused], total or 1
        )

    def _write_to_log(self, entries: Sequence[bytes]) -> tuple[list[str], bool]:
        """Prediction ids, and whether the log has them."""
        failed_before = self.log.is_failing
        try:
            return self.log.append(entries), True
        except OSError as error:
            metrics.log_failures.inc(len(entries))
            if not failed_before:
                logger.error("the prediction log can't be written, answers go out without it: %s", error)
            return [f"{UNLOGGED_PREFIX}{secrets.token_hex(8)}" for _ in entries], False
