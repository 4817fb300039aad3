"""`POST /feedback`: labels by prediction id or by key, written to the label log before the answer leaves.

A label is only accepted here. Which prediction it belongs to is found by the indexer
(service/processes/indexer.py).
"""

import asyncio
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.core.contract.record_models import STRICT_CONFIG, NamedModel, create_named_model
from penumbra.core.problem import ProblemSchema
from penumbra.logs.append_log import ENTRY_ID_PATTERN, LogWriter, encode_json
from penumbra.logs.labels import LabelSpec
from penumbra.logs.schema import FEEDBACK_SOURCE, LabelEntry
from service.http import metrics
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import RecordDict, RecordReader
from service.inference.idempotency.request_claims import KeyedRequest

PREDICTION_ID_FIELDS = ("prediction_id", "penumbra.prediction_id")  # the second where a column is called as the first
EXAMPLE_ID = "019fa1c2d3e4b5a69-0"
RETRY_HEADER = (b"retry-after", b"5")


class Accepted(TypedDict):
    """The label is in the log. The index later calls it `attached`, `duplicate`, `correction` or `orphan`."""

    label_id: str
    outcome: Literal["accepted"]


class FeedbackEndpoint:
    """Writes valid labels to one worker's label log. Runs on the event loop. Its requests have no options."""

    options: Mapping[str, str] = {}

    def __init__(self, contract: RecordReader, spec: LabelSpec, log: LogWriter) -> None:
        self.contract = contract
        self.spec = spec
        self.log = log

    async def answer_one(self, record: RecordDict, began: float, options: Collection[str] = ()) -> Accepted:
        """Log one label.

        Args:
            record: The label as parsed by the contract.
            began: When the request arrived; not used.
            options: None.

        Returns:
            The label's id, with outcome "accepted".

        Raises:
            RequestRefused: 503, the label log can't be written.
        """
        return self._append([self._encode_entry(record)])[0]

    async def answer_batch(
        self, records: Sequence[RecordDict], began: float, options: Collection[str] = ()
    ) -> list[Accepted]:
        """Log a list of labels; they are encoded in a thread.

        Args:
            records: The labels as parsed by the contract.
            began: When the request arrived; not used.
            options: None.

        Returns:
            The id of each label in the list's order, with outcome "accepted".

        Raises:
            RequestRefused: 503, the label log can't be written.
        """
        return self._append(await asyncio.to_thread(lambda: [self._encode_entry(record) for record in records]))

    async def answer_once(
        self, request: KeyedRequest, records: Any, began: float, options: Collection[str] = ()
    ) -> tuple[Any, int]:
        """Log a label, or a list of them; repeated ones do no harm, as the index knows them for duplicates.

        Args:
            request: What the request is known by; not used.
            records: The label, or a list of them, as parsed by the contract.
            began: When the request arrived; not used.
            options: None.

        Returns:
            What `answer_one` or `answer_batch` returns, and the number of labels.

        Raises:
            RequestRefused: 503, the label log can't be written.
        """
        if isinstance(records, dict):
            return await self.answer_one(records, began), 1
        return await self.answer_batch(records, began), len(records)

    def count_request(self, status: int, n_records: int, seconds: float) -> None:
        """Count one finished request by HTTP `status`, with `n_records` labels; `seconds` is not used."""
        metrics.count_feedback_request(status, n_records)

    def _append(self, entries: Sequence[bytes]) -> list[Accepted]:
        """Write entries to the log, in one write.

        Where a list fails, a part of it may be in the log. Sending the list again does no harm: those become
        duplicates.

        Raises:
            RequestRefused: 503, the label log can't be written.
        """
        try:
            self.log.recover()
            ids = self.log.append(entries)
        except OSError:
            raise RequestRefused(
                503, "the label log can't be written: send this again", headers=[RETRY_HEADER]
            ) from None
        return [{"label_id": name, "outcome": "accepted"} for name in ids]

    def _encode_entry(self, record: RecordDict) -> bytes:
        outcome, prediction = {name: record[name] for name in self.spec.outcome}, record[choose_id_field(self.spec)]
        key = () if prediction else [record[name] for name in self.spec.key]
        return encode_json(LabelEntry(dt.datetime.now(dt.UTC), FEEDBACK_SOURCE, outcome, key, prediction or ""))


def choose_id_field(spec: LabelSpec) -> str:
    """Choose the name of the field with a prediction's id.

    Args:
        spec: The columns of key and outcome, which stand beside it in a label.

    Returns:
        "prediction_id", or "penumbra.prediction_id" where one of them is called that.
    """
    return PREDICTION_ID_FIELDS[PREDICTION_ID_FIELDS[0] in (*spec.key, *spec.outcome)]


def build_label_reader(schema: ProblemSchema, max_records: int) -> RecordReader:
    """Build the reader of labels: the outcome columns, with a prediction's id or all columns of the key.

    Args:
        schema: The problem's schema.
        max_records: The most labels in one request.

    Returns:
        A reader whose pydantic model is called "Feedback".
    """
    spec, columns = LabelSpec.from_schema(schema), build_model_fields(schema.Labelled)
    shown: Any = {"pattern": f"^{ENTRY_ID_PATTERN.pattern}$"}
    id_type = Annotated[str, AfterValidator(_require_prediction_id), Field(json_schema_extra=shown)]
    members: Any = {
        choose_id_field(spec): (id_type, None if spec.key else ...),
        **{name: (columns[name][0], None) for name in spec.key},
        **{name: (columns[name][0], ...) for name in spec.outcome},
    }
    doc = "What happened: the outcome, with the id of a prediction or the key of its row."
    model = create_named_model("Feedback", _make_base_model(spec), doc, members)
    return RecordReader(model, max_records, "nothing was recorded")


def build_label_examples(schema: ProblemSchema) -> list[RecordDict]:
    """Build the example labels for the OpenAPI document.

    Args:
        schema: The problem's schema, with its `EXAMPLE` and `OUTCOME`.

    Returns:
        One label by prediction id, and one by key where the contract has a primary key.
    """
    by_id = {choose_id_field(LabelSpec.from_schema(schema)): EXAMPLE_ID}
    by_key = {name: schema.EXAMPLE[name] for name in schema.Row.primary_key()}
    return [{**way, **schema.OUTCOME} for way in (by_id, by_key) if way]


def _require_prediction_id(value: str) -> str:
    if not ENTRY_ID_PATTERN.fullmatch(value):
        raise PydanticCustomError("prediction_id", "Input should be the prediction_id of an answer")
    return value


def _make_base_model(spec: LabelSpec) -> type[NamedModel]:
    id_field = choose_id_field(spec)
    ways = [way for way in ([id_field], list(spec.key)) if way]

    exactly_one: Any = {"oneOf": [{"required": way} for way in ways]}

    class Base(NamedModel):
        model_config = ConfigDict(**STRICT_CONFIG, json_schema_extra=exactly_one)

        @model_validator(mode="after")
        def require_one_key(self) -> "Base":
            if faults := _find_key_faults(self.values, id_field, list(spec.key)):
                raise PydanticCustomError("check", "Value error", {"faults": faults})
            return self

    return Base


def _find_key_faults(values: RecordDict, id_field: str, key: Sequence[str]) -> list[dict[str, Any]]:
    given = [name for name in key if values[name] is not None]
    if values[id_field] is None and not given:
        return [{"field": id_field, "expected": f"the id of a prediction or {', '.join(key)}"}]
    if values[id_field] is not None:
        return [{"field": name, "value": values[name], "expected": f"no value beside {id_field}"} for name in given]
    return [{"field": name, "expected": "a value: it is part of the key"} for name in key if name not in given]
