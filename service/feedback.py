"""`POST /feedback`: what really happened, by prediction id or by key; in the label log before the answer leaves.

A label is accepted here and judged elsewhere: what it is attached to is found by the indexer (service/indexer.py).
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

from service import metrics
from service.messages import STRICT, Reader, Record, fields
from service.refusals import Refused
from stores.labels import Label, Terms
from stores.log import ID, Writer, encode

BY_ID = "prediction_id"
AN_ID = "019fa1c2d3e4b5a69-0"
SOURCE = "feedback"
RETRY = (b"retry-after", b"5")

logger = logging.getLogger("service.feedback")


class Accepted(TypedDict):
    """The label is in the log. `attached`, `duplicate`, `correction` or `orphan` is what it becomes in the index."""

    label_id: str
    outcome: Literal["accepted"]


class Feedback:
    """One worker's way from labels that keep the contract to the label log. Runs on the event loop."""

    def __init__(self, contract: Reader, terms: Terms, log: Writer) -> None:
        self.contract = contract
        self.terms = terms
        self.log = log

    def one(self, record: Record, began: float) -> Accepted:
        return self._append([self._entry(record)])[0]

    async def many(self, records: Sequence[Record], began: float) -> list[Accepted]:
        return self._append(await asyncio.to_thread(lambda: [self._entry(record) for record in records]))

    def count(self, status: int, n_records: int, seconds: float) -> None:
        """Record one finished request in the metrics."""
        metrics.count_feedback(status, n_records)

    def _append(self, entries: Sequence[bytes]) -> list[Accepted]:
        """Raises Refused where the log can't be written. What it kept of a list all the same does no harm when the list
        comes again: those are duplicates."""
        failed_before = self.log.failing
        try:
            self.log.recover()
            ids = self.log.append(entries)
        except OSError as error:
            if not failed_before:
                logger.error("the label log can't be written, labels are refused: %s", error)
            raise Refused(503, "the label log can't be written: send this again", headers=[RETRY]) from None
        return [{"label_id": name, "outcome": "accepted"} for name in ids]

    def _entry(self, record: Record) -> bytes:
        outcome = {name: record[name] for name in self.terms.outcome}
        key = () if record[BY_ID] else [record[name] for name in self.terms.key]
        return encode(Label(dt.datetime.now(dt.UTC), SOURCE, outcome, key, record[BY_ID] or ""))


def contract(schema: ModuleType | Any, max_records: int) -> Reader:
    """Reads labels by the problem's schema: the outcome columns, and a prediction's id or all columns of the key."""
    terms, columns = Terms.of(schema), fields(schema.Labelled)
    members: Any = {
        BY_ID: (Annotated[str, StringConstraints(pattern=f"^{ID.pattern}$")], None),
        **{name: (columns[name][0], None) for name in terms.key},
        **{name: (columns[name][0], ...) for name in terms.outcome},
    }
    doc = "What happened: the outcome, with the id of a prediction or the key of its row."
    model = create_model("Feedback", __base__=_base(terms), __doc__=doc, **members)
    return Reader(model, max_records, "nothing was recorded")


def examples(schema: ModuleType | Any) -> list[Record]:
    """Labels of the problem's example: by prediction id, and by key where there is one."""
    key = {name: schema.EXAMPLE[name] for name in schema.Row.primary_key()}
    return [{**way, **schema.OUTCOME} for way in ({BY_ID: AN_ID}, key) if way]


def _base(terms: Terms) -> type[BaseModel]:
    ways = [way for way in ([BY_ID], list(terms.key)) if way]

    exactly_one: Any = {"oneOf": [{"required": way} for way in ways]}

    class Base(BaseModel):
        model_config = ConfigDict(**STRICT, json_schema_extra=exactly_one)

        @model_validator(mode="after")
        def names_a_row(self) -> "Base":
            if faults := _faults(self.__dict__, terms.key):
                raise PydanticCustomError("check", "Value error", {"faults": faults})
            return self

    return Base


def _faults(values: Record, key: Sequence[str]) -> list[dict[str, Any]]:
    given = [name for name in key if values[name] is not None]
    if values[BY_ID] is None and not given:
        ways = ["the id of a prediction", ", ".join(key)]
        return [{"field": BY_ID, "expected": " or ".join(filter(None, ways))}]
    if values[BY_ID] is not None:
        return [{"field": name, "value": values[name], "expected": f"no value beside {BY_ID}"} for name in given]
    return [{"field": name, "expected": "a value: it is part of the key"} for name in key if name not in given]
