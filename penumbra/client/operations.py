"""What the client asks the service: each operation as an exchange, and long lists as several."""

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from penumbra.client import tables
from penumbra.client.errors import RequestFailed
from penumbra.client.exchange import Exchange, RetryPolicy
from penumbra.client.responses import FeedbackResponse, PredictResponse, ReadinessResponse, ReviewResponse

PREDICT, FEEDBACK = ("POST", "/predict"), ("POST", "/feedback")
EXPLAIN, REVIEW = ("GET", "/explain/{id}"), ("GET", "/reviews/{id}")
READY, ALIVE, METRICS = ("GET", "/readyz"), ("GET", "/livez"), ("GET", "/metrics")
JSON_HEADERS = {"content-type": "application/json"}
KEY_HEADER = "idempotency-key"
MAX_RECORDS, MAX_BODY_BYTES = 10_000, 8_388_608  # as the service's settings are by default

Answer = TypeVar("Answer")


class Part(Protocol):
    """A part of a list that is sent in one request."""

    @property
    def start(self) -> int:
        """The position of its first record in the list."""

    @property
    def n_records(self) -> int:
        """The number of its records."""

    def encode(self) -> bytes:
        """Return the body of its request."""

    def split(self) -> tuple["Part", "Part"]:
        """Return its two halves."""


class RecordPart(NamedTuple):
    """Records that are sent together, each as JSON."""

    start: int
    lines: list[bytes]

    @property
    def n_records(self) -> int:
        """The number of records."""
        return len(self.lines)

    def encode(self) -> bytes:
        """Return the body of the request."""
        return b"[" + b",".join(self.lines) + b"]"

    def split(self) -> tuple["RecordPart", "RecordPart"]:
        """Return its two halves."""
        middle = len(self.lines) // 2
        return RecordPart(self.start, self.lines[:middle]), RecordPart(self.start + middle, self.lines[middle:])


@dataclasses.dataclass(frozen=True)
class PartSender(Generic[Answer]):
    """Makes the exchange of each part of a list; the same list with the same `key` is sent in the same requests."""

    path: str
    decode: Callable[[bytes], list[Answer]]
    policy: RetryPolicy
    key: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: JSON_HEADERS)

    def make_exchange(self, part: Part) -> Exchange[list[Answer]]:
        """Return the exchange of a `part`."""
        headers = {**self.headers, KEY_HEADER: f"{self.key}/{part.start}-{part.start + part.n_records}"}
        return Exchange("POST", self.path, self.decode, self.policy, headers, part.encode())


class Operations:
    """The operations of the service as exchanges; `Client` and `AsyncClient` send them."""

    def __init__(self, policy: RetryPolicy, max_records: int, max_body_bytes: int) -> None:
        self.policy = policy
        self.max_records = max_records
        self.max_body_bytes = max_body_bytes

    def predict(self, record: Any, key: str | None, options: Mapping[str, bool]) -> Exchange[PredictResponse]:
        """Return the exchange that predicts for a `record`, with the query's `options` and an idempotency `key`."""
        headers = {**JSON_HEADERS, KEY_HEADER: key or make_key()}
        path = add_query(PREDICT[1], options)
        return Exchange(PREDICT[0], path, decode_prediction, self.policy, headers, encode_record(record))

    def predict_parts(self, key: str | None, options: Mapping[str, bool]) -> PartSender[PredictResponse]:
        """Return what sends the parts of a list of records, with the query's `options` and an idempotency `key`."""
        path = add_query(PREDICT[1], options)
        return PartSender(path, decode_predictions, self.policy, key or make_key())

    def predict_table(self, table: Any, key: str | None, options: Mapping[str, bool]) -> PartSender[Any]:
        """Return what sends the parts of a `table`, with the query's `options` and an idempotency `key`."""
        path, decode = add_query(PREDICT[1], options), partial(tables.decode_answers, table)
        return PartSender(path, decode, self.policy, key or make_key(), tables.ARROW_HEADERS)

    def send_label(self, label: Any) -> Exchange[FeedbackResponse]:
        """Return the exchange that sends one `label`."""
        return Exchange(*FEEDBACK, decode_feedback, self.policy, JSON_HEADERS, encode_record(label))

    def label_parts(self) -> PartSender[FeedbackResponse]:
        """Return what sends the parts of a list of labels."""
        return PartSender(FEEDBACK[1], decode_feedbacks, self.policy, make_key())

    def explain(self, prediction_id: str) -> Exchange[dict[str, Any]]:
        """Return the exchange that asks where the answer `prediction_id` came from."""
        return Exchange(*fill_path(EXPLAIN, prediction_id), decode_object, self.policy)

    def review(self, prediction_id: str) -> Exchange[ReviewResponse]:
        """Return the exchange that asks what has become of the answer `prediction_id`."""
        return Exchange(*fill_path(REVIEW, prediction_id), decode_review, self.policy)

    def readiness(self) -> Exchange[ReadinessResponse]:
        """Return the exchange that asks whether requests can be answered; an answer that says no is one, too."""
        return Exchange(*READY, decode_readiness, self.policy, accepted=frozenset([200, 503]), is_retried=False)

    def is_alive(self) -> Exchange[bool]:
        """Return the exchange that asks whether the process is alive."""
        return Exchange(*ALIVE, lambda _: True, self.policy, is_retried=False)

    def metrics(self) -> Exchange[str]:
        """Return the exchange that asks for the metrics."""
        return Exchange(*METRICS, bytes.decode, self.policy)

    def split(self, records: Iterable[Any]) -> Iterator[RecordPart]:
        """Split records, or labels, into parts that the service takes in one request.

        Args:
            records: The records, which are taken as they are needed.

        Yields:
            The parts in their order.
        """
        start, size, lines = 0, 0, list[bytes]()
        for line in map(encode_record, records):
            if lines and (len(lines) == self.max_records or size + len(line) + 2 > self.max_body_bytes):
                yield RecordPart(start, lines)
                start, size, lines = start + len(lines), 0, []
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield RecordPart(start, lines)


def make_key() -> str:
    """Return a new idempotency key."""
    return str(uuid.uuid4())


def encode_record(record: Any) -> bytes:
    """Encode a record or a label.

    Args:
        record: A mapping by column, or what msgspec encodes as an object. NumPy's scalars are Python's, NaN is null.

    Returns:
        The JSON.

    Raises:
        TypeError: It has a value that isn't of JSON.
    """
    return _encode(record)


def add_query(path: str, options: Mapping[str, bool]) -> str:
    """Return a `path` with a query of the `options` that are true."""
    query = "&".join(f"{name}=true" for name, is_set in options.items() if is_set)
    return f"{path}?{query}" if query else path


def fill_path(operation: tuple[str, str], entry_id: str) -> tuple[str, str]:
    """Return the method and the path of an `operation` on the entry with the id `entry_id`."""
    return operation[0], operation[1].replace("{id}", quote(entry_id, safe=""))


def shift_details(error: RequestFailed, start: int) -> None:
    """Let the details of `error`, the refusal of a part that begins at `start`, say the positions in the whole list."""
    error.details = [
        detail if detail.index is None else msgspec.structs.replace(detail, index=detail.index + start)
        for detail in error.details
    ]


def _unwrap_scalar(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a record has the value {value!r} of type {type(value).__name__}, which is none of JSON")


_encode = msgspec.json.Encoder(enc_hook=_unwrap_scalar).encode
decode_prediction = msgspec.json.Decoder(PredictResponse).decode
decode_predictions = msgspec.json.Decoder(list[PredictResponse]).decode
decode_feedback = msgspec.json.Decoder(FeedbackResponse).decode
decode_feedbacks = msgspec.json.Decoder(list[FeedbackResponse]).decode
decode_review = msgspec.json.Decoder(ReviewResponse).decode
decode_readiness = msgspec.json.Decoder(ReadinessResponse).decode
decode_object = msgspec.json.Decoder(dict[str, Any]).decode
