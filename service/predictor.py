"""From records that keep the contract to answers that are in the prediction log. HTTP knows nothing of this."""

import asyncio
import datetime as dt
import logging
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from service import metrics, rules
from service.answers import Answer, wording
from service.decider import NO_MODEL, Decider, RefusedByRules, Said, Share, caught
from service.live import Live
from service.messages import Contract, Record
from service.refusals import Refused
from stores.lineage import UNLOGGED
from stores.log import Writer, encode
from stores.predictions import Broken, Entry, Refusal, broken, refused
from task import Task

TEND_SECONDS, KEEP_SECONDS = 0.1, 1.0

Drafted = tuple[Said, bytes]  # what is said of a record, and its entry for the log

logger = logging.getLogger("service.predictor")


class Predictor:
    """One worker's contract, live model and prediction log. All but the scoring of lists runs on the event loop."""

    def __init__(self, contract: Contract, task: Task, live: Live, log: Writer, share: Share | None = None) -> None:
        self.contract = contract
        self.live = live
        self.log = log
        self.refusals = Writer(refused(log.folder))
        self.broken = Writer(broken(log.folder))
        self._kept = 0.0
        self.tally = metrics.Tally()
        self._decider = Decider(live, contract, share)
        self._word = wording(task)

    def one(self, record: Record, began: float) -> Answer:
        """The answer to one record whose request arrived at `began` (by `time.perf_counter`). Raises Refused where
        a rule says so, where there is no live model, or where nothing has an answer."""
        (answer,) = self.each([(record, began)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def each(self, asked: Sequence[tuple[Record, float]]) -> list[Answer | Exception]:
        """What `one` answers to each of a few, or in its place what it raises: their requests arrived together, and all
        answers are in the log by one write. On the event loop only."""
        said = self._decider.each([record for record, _ in asked])
        drafts = [caught(self._draft, *pair) for pair in zip(asked, said, strict=True)]
        good = [draft for draft in drafts if not isinstance(draft, Exception)]
        answers = iter(self._answers(good) if good else ())
        return [draft if isinstance(draft, Exception) else next(answers) for draft in drafts]

    async def many(self, records: Sequence[Record], began: float) -> list[Answer]:
        """The answers in the records' order, all of one model version, or with a canary of two; scored in a thread."""
        try:
            said, entries = await asyncio.to_thread(self._score, records, began)
        except RefusedByRules as by_rules:
            raise self._refusal(by_rules, len(records)) from None
        return self._answers([(one, encode(entry)) for one, entry in zip(said, entries, strict=True)])

    def count(self, status: int, n_records: int, seconds: float) -> None:
        """Record one finished request in the metrics."""
        self.tally.add(status, n_records, seconds)

    def readiness(self) -> dict[str, Any]:
        """`ready` with the live version, and the canary's where there is one, or with the reason why not."""
        if self.live.model is None:
            return {"ready": False, "reason": NO_MODEL}
        if self.log.failing:
            return {"ready": False, "reason": f"the prediction log {self.log.folder} can't be written"}
        beside = {"canary": canary.version} if (canary := self.live.canary) else {}
        return {"ready": True, "model_version": self.live.model.version, **beside}

    async def tend(self) -> None:
        """Follow the pointer to the live model and the state of the disk, and hand on the metrics, for ever."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                self.tally.flush()
                self.log.recover()
                self.refusals.recover()
                self._keep_broken()
                if self.live.changed():
                    await asyncio.to_thread(self.live.refresh)
            except Exception:
                logger.exception("following the live model failed, trying again")

    def _keep_broken(self) -> None:
        """Leave to the monitor what broke the contract, a line a second at most: nothing else is kept of it."""
        self.broken.recover()
        if not self.contract.broken or time.monotonic() - self._kept < KEEP_SECONDS:
            return
        fields, self.contract.broken, self._kept = self.contract.broken, Counter(), time.monotonic()
        entry = Broken(dt.datetime.now(dt.UTC), fields.pop("", 0), fields)
        self.broken.append([encode(entry)])

    def _score(self, records: Sequence[Record], began: float) -> tuple[list[Said], list[Entry]]:
        said = self._decider.many(records)
        return said, [self._entry(record, one, began) for record, one in zip(records, said, strict=True)]

    def _draft(self, asked: tuple[Record, float], said: Said | Exception) -> Drafted:
        if isinstance(said, RefusedByRules):
            raise self._refusal(said)
        if isinstance(said, Exception):
            raise said
        return said, encode(self._entry(asked[0], said, asked[1]))

    def _answers(self, drafts: Sequence[Drafted]) -> list[Answer]:
        """Once all of them are in the log."""
        ids, logged = self._logged([entry for _, entry in drafts])
        return [self._answer(name, said, logged) for name, (said, _) in zip(ids, drafts, strict=True)]

    def _entry(self, record: Record, said: Said, began: float) -> Entry:
        model, inputs, output, decision, marks = said
        micros = round((time.perf_counter() - began) * 1e6)
        now = dt.datetime.now(dt.UTC)
        return Entry(now, self.contract.version, record, inputs, output, decision, model, micros, **marks)

    def _answer(self, name: str, said: Said, logged: bool) -> Answer:
        answer = {"prediction_id": name, **self._word(said.output, said.decision), "model_version": said.model}
        if not logged:
            answer["logged"] = False
        return {**answer, **said.marks} if said.marks else answer

    def _refusal(self, by_rules: RefusedByRules, total: int | None = None) -> Refused:
        """Keep what is refused, and say so; `total` is the length of the list that it came in."""
        now, version, model = dt.datetime.now(dt.UTC), self.contract.version, by_rules.model
        kept = [Refusal(now, version, record, rule.name, model) for _, record, rule in by_rules.refused]
        try:
            self.refusals.append([encode(refusal) for refusal in kept])
        except OSError:
            metrics.log_failures.inc(len(kept))
        return rules.refusal([(index if total else None, rule) for index, _, rule in by_rules.refused], total or 1)

    def _logged(self, entries: Sequence[bytes]) -> tuple[list[str], bool]:
        """Prediction ids, and whether the log has them."""
        failed_before = self.log.failing
        try:
            return self.log.append(entries), True
        except OSError as error:
            metrics.log_failures.inc(len(entries))
            if not failed_before:
                logger.error("the prediction log can't be written, answers go out without it: %s", error)
            return [f"{UNLOGGED}{secrets.token_hex(8)}" for _ in entries], False
