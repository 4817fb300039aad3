"""A load that costs little: single records at a steady rate, and a label for each a second after its answer.

One thread, raw sockets, one request under way on each connection, bodies of a fixed length. It sleeps between turns, so
that it leaves the processors to those that are measured. Run as a process of its own:
`python -m benchmarks.faults.load.labelled_load PORT PER_SECOND SECONDS`.
"""

import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field

from benchmarks.serving.serve.load_generator import encode_post
from problem.schema import CARRIERS, EXAMPLE

TURN_SECONDS = 0.002
LABEL_DELAY_SECONDS = 1.0
CONNECTIONS = 24  # for records, and as many for labels
ANSWER_SECONDS = 60.0  # to wait for any answer
FLIGHTS, SHUFFLE = 9000, 7919  # numbers of four digits by carrier and hour; a prime, so that keys come in no order
RECORD, LABEL = "/predict", "/feedback"


@dataclass
class LoadCounts:
    """What was sent and answered.

    Attributes:
        predictions: Records answered with a 200.
        labels: Labels answered with a 200.
        refused: Other answers, by status.
        late: The longest time that a request was sent after it was due, in seconds.
    """

    predictions: int = 0
    labels: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    late: float = 0.0


class LabelledLoad:
    """Sends records when they are due, and labels once their records are answered."""

    def __init__(self, port: int, per_second: float, seconds: float) -> None:
        self.counts = LoadCounts()
        self._answered_at = 0.0
        self._per_second, self._total = per_second, round(per_second * seconds)
        self._records: deque[tuple[float, int]] = deque()  # when due, and the number
        self._labels: deque[tuple[float, int]] = deque()
        self._idle: dict[str, deque[socket.socket]] = {
            RECORD: deque(),
            LABEL: deque(),
        }  # in turns, so that none is idle for long
        self._selector = selectors.EpollSelector()
        self._busy: dict[socket.socket, tuple[str, int]] = {}
        self._parts: dict[socket.socket, bytes] = {}
        for path in (RECORD, LABEL):
            for _ in range(CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(connection, selectors.EVENT_READ, path)
                self._idle[path].append(connection)
        self._forms = {RECORD: encode_form(RECORD, EXAMPLE), LABEL: encode_form(LABEL, {"arr_delay": 42})}

    def run(self) -> LoadCounts:
        """Send all, and return the counts once all is answered."""
        began, due = time.monotonic(), 0
        while self._busy or self._records or self._labels or due < self._total:
            now = time.monotonic()
            while due < self._total and began + due / self._per_second <= now:
                self._records.append((began + due / self._per_second, due))
                due += 1
            self._send_due(RECORD, self._records, now)
            self._send_due(LABEL, self._labels, now)
            self._receive_answers()
            if now - max(began, self._answered_at) > ANSWER_SECONDS:
                raise TimeoutError(f"no answer for {ANSWER_SECONDS:g} s: {self.counts}")
            time.sleep(max(0.0, TURN_SECONDS - (time.monotonic() - now)))
        return self.counts

    def _send_due(self, path: str, waiting: deque[tuple[float, int]], now: float) -> None:
        idle = self._idle[path]
        while idle and waiting and waiting[0][0] <= now:
            due, number = waiting.popleft()
            self.counts.late = max(self.counts.late, now - due)
            connection = idle.popleft()
            self._busy[connection] = path, number
            connection.sendall(self._forms[path] % make_key(number))

    def _receive_answers(self) -> None:
        for key, _ in self._selector.select(0):
            connection: socket.socket = key.fileobj  # type: ignore[assignment]
            content = self._parts.pop(connection, b"") + connection.recv(1 << 16)
            head, end, body = content.partition(b"\r\n\r\n")
            if not content:
                raise ConnectionError("the service closed a connection")
            if not end or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
                self._parts[connection] = content
                continue
            self._count_answer(*self._busy.pop(connection), head.split(b" ", 2)[1].decode())
            self._idle[key.data].append(connection)

    def _count_answer(self, path: str, number: int, status: str) -> None:
        self._answered_at = time.monotonic()
        if status != "200":
            self.counts.refused[status] = self.counts.refused.get(status, 0) + 1
        elif path == LABEL:
            self.counts.labels += 1
        else:
            self.counts.predictions += 1
            self._labels.append((time.monotonic() + LABEL_DELAY_SECONDS, number))


def encode_form(path: str, fields: dict[str, object]) -> bytes:
    """Encode a POST of some fields and a key, with places for the key's values; each key has the same length."""
    marked = {**fields, "carrier": "%b", "flight": "%d", "time_hour": "%b"}
    body = json.dumps(marked).replace('"%d"', "%d").encode()
    length = len(body % make_key(0))
    head = encode_post(path, bytes(length)).partition(b"\r\n\r\n")[0]
    return head + b"\r\n\r\n" + body


def make_key(number: int) -> tuple[bytes, int, bytes]:
    """Make the key of a record: carrier, flight and hour, another one for each of 100 million numbers."""
    hour, place = divmod(number, len(CARRIERS) * FLIGHTS)
    place = place * SHUFFLE % (len(CARRIERS) * FLIGHTS)
    carrier, flight = CARRIERS[place // FLIGHTS], 1000 + place % FLIGHTS
    day, hour = divmod(hour, 24)
    return carrier.encode(), flight, b"2013-%02d-%02dT%02d:00:00Z" % (day // 28 % 12 + 1, day % 28 + 1, hour)


if __name__ == "__main__":
    print(json.dumps(asdict(LabelledLoad(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])).run())))
