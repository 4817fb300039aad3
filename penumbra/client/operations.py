"""What the client asks the service: each operation as an exchange, and long lists as several."""

import dataclasses
import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from penumbra.client import tables
from penumbra.client.errors import InvalidRecord, RequestFailed
from penumbra.client.exchange import Exchange, RetryPolicy
from penumbra.client.records import encode_record
from penumbra.client.responses import FeedbackResponse, PredictResponse, ReadinessResponse, ReviewResponse

PREDICT, FEEDBACK = ("POST", "/predict"), ("POST", "/feedback")
EXPLAIN, REVIEW = ("GET", "/explain/{id}"), ("GET", "/reviews/{id}")
READY, ALIVE, METRICS = ("GET", "/readyz"), ("GET", "/livez"), ("GET", "/metrics")
JSON_HEADERS = {"content-type": "application/json"}
KEY_HEADER, RANGE_HEADER = "idempotency-key", "content-range"
MAX_KEY_LENGTH = 255
KEY_PATTERN = re.compile(r"(?! )[ !#-\[\]-~]{1,255}(?<! )")  # printable ASCII, but for quote and backslash
MAX_RECORDS, MAX_BODY_BYTES = 10_000, 8_388_608  # as the service's settings are by default
MAX_CONNECTIONS = 50

Answer = TypeVar("Answer")


class Part(Protocol):
    """A part of a list that is sent in one request."""

    @property
    def start(self) -> int:
        """The position of its first record in the list."""

    @property
    def is_last(self) -> bool:
        """Whether the list ends with it."""

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
    is_last: bool

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
        return (
            RecordPart(self.start, self.lines[:middle], False),
            RecordPart(self.start + middle, self.lines[middle:], self.is_last),
        )


@dataclasses.dataclass(frozen=True)
class PartSender(Generic[Answer]):
    """Makes the exchange of each part of a list.

    The idempotency key of a part is made of the list's `key` and the part's first position alone, and what the service
    compares has all the rest: body, end, and whether the list ends there. So with the same key the same list in the
    same parts is the same requests, and another list, or other parts, are refused where they begin to differ.
    """

    path: str
    decode: Callable[[bytes], list[Answer]]
    policy: RetryPolicy
    key: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: JSON_HEADERS)
    count: Callable[[list[Answer]], int] = len

    def make_exchange(self, part: Part) -> Exchange[list[Answer]]:
        """Return the exchange of a `part`."""
        headers = {**self.headers, KEY_HEADER: self._name_part(part.start)}
        if part.start or not part.is_last:
            end = part.start + part.n_records
            headers[RANGE_HEADER] = f"records {part.start}-{end - 1}/{end if part.is_last else '*'}"
        return Exchange("POST", self.path, partial(self._decode, part.n_records), self.policy, headers, part.encode())

    def _name_part(self, start: int) -> str:
        place = f"#{start}" if start else ""
        fits = len(self.key) + len(place) <= MAX_KEY_LENGTH
        return (self.key if fits else hashlib.sha256(self.key.encode()).hexdigest()) + place

    def _decode(self, n_records: int, body: bytes) -> list[Answer]:
        answers = self.decode(body)
        if self.count(answers) != n_records:
            raise ValueError(f"{self.count(answers)} answers to {n_records} records")
        return answers


class Operations:
    """The operations of the service as exchanges; `Client` and `AsyncClient` send them."""

    def __init__(self, policy: RetryPolicy, max_records: int, max_body_bytes: int) -> None:
        self.policy = policy
        self.max_records = max_records
        self.max_body_bytes = max_body_bytes

    def predict(self, record: Any, key: str | None, options: Mapping[str, bool]) -> Exchange[PredictResponse]:
        """Return the exchange that predicts for a `record`, with the query's `options` and an idempotency `key`."""
        headers = {**JSON_HEADERS, KEY_HEADER: resolve_key(key)}
        path = add_query(PREDICT[1], options)
        return Exchange(PREDICT[0], path, decode_prediction, self.policy, headers, encode_record(record))

    def predict_parts(self, key: str | None, options: Mapping[str, bool]) -> PartSender[PredictResponse]:
        """Return what sends the parts of a list of records, with the query's `options` and an idempotency `key`."""
        path = add_query(PREDICT[1], options)
        return PartSender(path, decode_predictions, self.policy, resolve_key(key))

    def predict_table(self, table: Any, key: str | None, options: Mapping[str, bool]) -> PartSender[Any]:
        """Return what sends the parts of a `table`, with the query's `options` and an idempotency `key`."""
        path, decode = add_query(PREDICT[1], options), partial(tables.decode_answers, table)
        return PartSender(path, decode, self.policy, resolve_key(key), tables.ARROW_HEADERS, tables.count_rows)

    def send_label(self, label: Any) -> Exchange[FeedbackResponse]:
        """Return the exchange that sends one `label`."""
        return Exchange(*FEEDBACK, decode_feedback, self.policy, JSON_HEADERS, encode_record(label))

    def label_parts(self) -> PartSender[FeedbackResponse]:
        """Return what sends the parts of a list of labels."""
        return PartSender(FEEDBACK[1], decode_feedbacks, self.policy, resolve_key())

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

        Raises:
            InvalidRecord: One can't be said in JSON.
        """
        start, size, lines = 0, 0, list[bytes]()
        try:
            for line in map(encode_record, records):
                if lines and (len(lines) == self.max_records or size + len(line) + 2 > self.max_body_bytes):
                    yield RecordPart(start, lines, is_last=False)
                    start, size, lines = start + len(lines), 0, []
                lines.append(line)
                size += len(line) + 1
        except InvalidRecord as error:
            raise InvalidRecord(f"record {start + len(lines)}: {error}") from None
        if lines:
            yield RecordPart(start, lines, is_last=True)


def resolve_key(key: str | None = None) -> str:
    """Return an idempotency key.

    Args:
        key: The one that is given; by default a new one is made.

    Returns:
        The key.

    Raises:
        ValueError: The service takes no such key.
    """
    if key is None:
        return str(uuid.uuid4())
    if not KEY_PATTERN.fullmatch(key):
        raise ValueError(
            f"the idempotency key is {key[:100]!r}: expected 1 to {MAX_KEY_LENGTH} printable characters of ASCII, no "
            "quotes and backslashes, and no space at its ends"
        )
    return key


def add_query(path: str, options: Mapping[str, bool]) -> str:
    """Add to a path a query of the options that are true.

    Args:
        path: The path of an operation.
        options: Each option's value by its name.

    Returns:
        The path, with a query where an option is true.

    Raises:
        ValueError: An option is neither true nor false.
    """
    for name, is_set in options.items():
        if is_set not in (True, False):
            raise ValueError(f"the option {name} is {is_set!r}: expected True or False")
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


decode_prediction = msgspec.json.Decoder(PredictResponse).decode
decode_predictions = msgspec.json.Decoder(list[PredictResponse]).decode
decode_feedback = msgspec.json.Decoder(FeedbackResponse).decode
decode_feedbacks = msgspec.json.Decoder(list[FeedbackResponse]).decode
decode_review = msgspec.json.Decoder(ReviewResponse).decode
decode_readiness = msgspec.json.Decoder(ReadinessResponse).decode
decode_object = msgspec.json.Decoder(dict[str, Any]).decode
