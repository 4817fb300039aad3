"""From records that keep the contract to answers that are in the prediction log. HTTP knows nothing of this."""

import asyncio
import datetime as dt
import logging
import math
import secrets
from collections.abc import Sequence
from typing import Any

from service import metrics
from service.live import Live, Model
from service.messages import Answer, Contract, Record
from service.refusals import Refused
from stores.lineage import UNLOGGED
from stores.log import Writer, encode
from stores.predictions import Entry

TEND_SECONDS = 0.1

NO_MODEL = "there is no live model yet: `make train` makes the first, which is picked up without a restart"

logger = logging.getLogger("service.predictor")


class Predictor:
    """One worker's contract, live model and prediction log. All but the scoring of lists runs on the event loop."""

    def __init__(self, contract: Contract, live: Live, log: Writer) -> None:
        self.contract = contract
        self.live = live
        self.log = log
        self.tally = metrics.Tally()

    def one(self, record: Record) -> Answer:
        """The answer to one record. Raises Refused where there is no live model or it has no answer."""
        model = self._model()
        probability = model.one(record)
        if not math.isfinite(probability):
            raise _no_answer(model)
        return self._answers(model, [probability], [self._entry(model, record, probability)])[0]

    async def many(self, records: Sequence[Record]) -> list[Answer]:
        """The answers in the records' order, all of one model version; scored in a thread."""
        model = self._model()
        probabilities, entries = await asyncio.to_thread(self._score, model, records)
        return self._answers(model, probabilities, entries)

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

    def _score(self, model: Model, records: Sequence[Record]) -> tuple[list[float], list[bytes]]:
        probabilities: list[float] = model.many(self.contract.frame(records)).tolist()
        if not all(map(math.isfinite, probabilities)):
            raise _no_answer(model)
        return probabilities, [self._entry(model, *pair) for pair in zip(records, probabilities, strict=True)]

    def _entry(self, model: Model, record: Record, probability: float) -> bytes:
        decision = probability >= model.threshold
        return encode(
            Entry(dt.datetime.now(dt.UTC), self.contract.version, record, probability, decision, model.version)
        )

    def _answers(self, model: Model, probabilities: Sequence[float], entries: Sequence[bytes]) -> list[Answer]:
        ids, logged = self._logged(entries)
        answers: list[Answer] = [
            {
                "prediction_id": name,
                "probability": probability,
                "decision": probability >= model.threshold,
                "model_version": model.version,
            }
            for name, probability in zip(ids, probabilities, strict=True)
        ]
        return answers if logged else [{**answer, "logged": False} for answer in answers]

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


def _no_answer(model: Model) -> Refused:
    return Refused(500, f"version {model.version} of the model has no answer (NaN): nothing was predicted")
