"""From records that keep the contract to answers that are in the prediction log. HTTP knows nothing of this."""

import asyncio
import datetime as dt
import logging
import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

from service import metrics
from service.answers import Answer, wording
from service.live import Live, Model
from service.messages import Contract, Record
from service.refusals import Refused
from stores.lineage import UNLOGGED
from stores.log import Writer, encode
from stores.predictions import Entry
from task import Task

TEND_SECONDS = 0.1

NO_MODEL = "there is no live model yet: `make train` makes the first, which is picked up without a restart"

logger = logging.getLogger("service.predictor")


class Predictor:
    """One worker's contract, live model and prediction log. All but the scoring of lists runs on the event loop."""

    def __init__(self, contract: Contract, task: Task, live: Live, log: Writer) -> None:
        self.contract = contract
        self.live = live
        self.log = log
        self.tally = metrics.Tally()
        self._word = wording(task)

    def one(self, record: Record, began: float) -> Answer:
        """The answer to one record whose request arrived at `began` (by `time.perf_counter`). Raises Refused where
        there is no live model or it has no answer."""
        model = self._model()
        inputs, output = model.one(record)
        return self._answers(model, [self._entry(model, record, inputs, output, began)])[0]

    async def many(self, records: Sequence[Record], began: float) -> list[Answer]:
        """The answers in the records' order, all of one model version; scored in a thread."""
        model = self._model()
        return self._answers(model, await asyncio.to_thread(self._score, model, records, began))

    def count(self, status: int, n_records: int, seconds: float) -> None:
        """Record one finished request in the metrics."""
        self.tally.add(status, n_records, seconds)

    def readiness(self) -> dict[str, Any]:
        """`ready` with the live version, or with the reason why not."""
        if self.live.model is None:
            return {"ready": False, "reason": NO_MODEL}
        if self.log.failing:
            return {"ready": False, "reason": f"the prediction log {self.log.folder} can't be written"}
        return {"ready": True, "model_version": self.live.model.version}

    async def tend(self) -> None:
        """Follow the pointer to the live model and the state of the disk, and hand on the metrics, for ever."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                self.tally.flush()
                self.log.recover()
                if self.live.changed():
                    await asyncio.to_thread(self.live.refresh)
            except Exception:
                logger.exception("following the live model failed, trying again")

    def _model(self) -> Model:
        if (model := self.live.model) is None:
            raise Refused(503, NO_MODEL, headers=[(b"retry-after", b"5")])
        return model

    def _score(self, model: Model, records: Sequence[Record], began: float) -> list[Entry]:
        inputs, predictions = model.many(self.contract.frame(records))
        rows = zip(records, inputs.tolist(), predictions.tolist(), strict=True)
        return [self._entry(model, *row, began) for row in rows]

    def _entry(self, model: Model, record: Record, inputs: list[float], output: Any, began: float) -> Entry:
        if not _finite(output):
            raise Refused(500, f"version {model.version} of the model has no answer (NaN): nothing was predicted")
        micros = round((time.perf_counter() - began) * 1e6)
        now, decision = dt.datetime.now(dt.UTC), model.decide(output)
        return Entry(now, self.contract.version, record, inputs, output, decision, model.version, micros)

    def _answers(self, model: Model, entries: Sequence[Entry]) -> list[Answer]:
        ids, logged = self._logged([encode(entry) for entry in entries])
        rest = {"model_version": model.version, **({} if logged else {"logged": False})}
        return [
            {"prediction_id": name, **self._word(entry.output, entry.decision), **rest}
            for name, entry in zip(ids, entries, strict=True)
        ]

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


def _finite(output: Any) -> bool:
    return all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)
