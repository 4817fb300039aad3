"""`POST /feedback`: what really happened, by prediction id or by key; in the label log before the answer leaves.

A label is accepted here and judged elsewhere: what it is attached to is found by the indexer (service/processes/indexer.py).
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, create_model, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from penumbra.logs.append_log import ENTRY_ID_PATTERN, LogWriter, encode_json
from penumbra.logs.labels import LabelSpec
from penumbra.logs.schema import LabelEntry
from service.http import metrics
from service.http.record_reader import STRICT_CONFIG, RecordDict, RecordReader, build_model_fields
from service.http.refusals import RequestRefused

PREDICTION_ID_FIELD = "prediction_id"
EXAMPLE_ID = "019fa1c2d3e4b5a69-0"
FEEDBACK_SOURCE = "feedback"
RETRY_HEADER = (b"retry-after", b"5")

logger = logging.getLogger("service.http.feedback")


class Accepted(TypedDict):
    """The label is in the log. `attached`, `duplicate`, `correction` or `orphan` is what it becomes in the index."""

    label_id: str
    outcome: Literal["accepted"]


class FeedbackEndpoint:
    """One worker's way from labels that keep the contract to the label log. Runs on the event loop."""

    def __init__(self, contract: RecordReader, terms: LabelSpec, log: LogWriter) -> None:
        self.contract = contract
        self.terms = terms
        self.log = log

    def answer_one(self, record: RecordDict, began: float) -> Accepted:
        return self._append([self._entry(record)])[0]

    async def answer_batch(self, records: Sequence[RecordDict], began: float) -> list[Accepted]:
        return self._append(await asyncio.to_thread(lambda: [self._entry(record) for record in records]))

    def count(self, status: int, n_records: int, seconds: float) -> None:
        """Record one finished request in the metrics."""
        metrics.count_feedback_request(status, n_records)

    def _append(self, entries: Sequence[bytes]) -> list[Accepted]:
        """Raises Refused where the log can't be written. What it kept of a list all the same does no harm when the list
        comes again: those are duplicates."""
        failed_before = self.log.is_failing
        try:
            self.log.recover()
            ids = self.log.append(entries)
        except OSError as error:
            if not failed_before:
                logger.error("the label log can't be written, labels are refused: %s", error)
            raise RequestRefused(
                503, "the label log can't be written: send this again", headers=[RETRY_HEADER]
            ) from None
        return [{"label_id": name, "outcome": "accepted"} for name in ids]

    def _entry(self, record: RecordDict) -> bytes:
        outcome = {name: record[name] for name in self.terms.outcome}
        key = () if record[PREDICTION_ID_FIELD] else [record[name] for name in self.terms.key]
        return encode_json(
            LabelEntry(dt.datetime.now(dt.UTC), FEEDBACK_SOURCE, outcome, key, record[PREDICTION_ID_FIELD] or "")
        )


def build_label_reader(schema: ModuleType | Any, max_records: int) -> RecordReader:
    """Reads labels by the problem's schema: the outcome columns, and a prediction's id or all columns of the key."""
    terms, columns = LabelSpec.from_schema(schema), build_model_fields(schema.Labelled)
    members: Any = {
        PREDICTION_ID_FIELD: (Annotated[str, StringConstraints(pattern=f"^{ENTRY_ID_PATTERN.pattern}$")], None),
        **{name: (columns[name][0], None) for name in terms.key},
        **{name: (columns[name][0], ...) for name in terms.outcome},
    }
    doc = "What happened: the outcome, with the id of a prediction or the key of its row."
    model = create_model("Feedback", __base__=_make_base_model(terms), __doc__=doc, **members)
    return RecordReader(model, max_records, "nothing was recorded")


def build_label_examples(schema: ModuleType | Any) -> list[RecordDict]:
    """Labels of the problem's example: by prediction id, and by key where there is one."""
    key = {name: schema.EXAMPLE[name] for name in schema.Row.primary_key()}
    return [{**way, **schema.OUTCOME} for way in ({PREDICTION_ID_FIELD: EXAMPLE_ID}, key) if way]


def _make_base_model(terms: LabelSpec) -> type[BaseModel]:
    ways = [way for way in ([PREDICTION_ID_FIELD], list(terms.key)) if way]

    exactly_one: Any = {"oneOf": [{"required": way} for way in ways]}

    class Base(BaseModel):
        model_config = ConfigDict(**STRICT_CONFIG, json_schema_extra=exactly_one)

        @model_validator(mode="after")
        def names_a_row(self) -> "Base":
            if faults := _find_key_faults(self.__dict__, terms.key):
                raise PydanticCustomError("check", "Value error", {"faults": faults})
            return self

    return Base


def _find_key_faults(values: RecordDict, key: Sequence[str]) -> list[dict[str, Any]]:
    given = [name for name in key if values[name] is not None]
    if values[PREDICTION_ID_FIELD] is None and not given:
        ways = ["the id of a prediction", ", ".join(key)]
        return [{"field": PREDICTION_ID_FIELD, "expected": " or ".join(filter(None, ways))}]
    if values[PREDICTION_ID_FIELD] is not None:
        return [
            {"field": name, "value": values[name], "expected": f"no value beside {PREDICTION_ID_FIELD}"}
            for name in given
        ]
    return [{"field": name, "expected": "a value: it is part of the key"} for name in key if name not in given]
