"""Load on a server from a few connections, and what became of every request."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

JSON_HEADERS = {"content-type": "application/json"}


@dataclass
class HttpLoad:
    """Sends the bodies over and over, `pause` seconds after each answer. `answers` are (number of the body, status,
    what came back); `dropped` counts requests whose connection ended before an answer, which are not sent again."""

    port: int
    bodies: Sequence[bytes]
    connections: int = 4
    pause: float = 0.005
    answers: list[tuple[int, int, Any]] = field(default_factory=list)
    dropped: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _numbers: Any = field(default_factory=itertools.count)

    @contextmanager
    def run_in_background(self) -> Iterator["HttpLoad"]:
        """Under way within the block; at its end every request has its answer, or none to come."""
        self._stop.clear()
        threads = [threading.Thread(target=self._send) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for_more(self, answers: int) -> None:
        """Wait until so many more answers have come, however busy the machine is."""
        enough, end = len(self.answers) + answers, time.monotonic() + 120
        while len(self.answers) < enough:
            assert time.monotonic() < end, f"only {len(self.answers)} answers came, {enough} were waited for"
            time.sleep(0.02)

    def run_until(self, answers: int) -> "HttpLoad":
        with self.run_in_background():
            self.wait_for_more(answers)
        return self

    def _send(self) -> None:
        connection: Any = None
        while not self._stop.is_set():
            number = next(self._numbers) % len(self.bodies)
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", "/predict", self.bodies[number], JSON_HEADERS)
                answer = connection.getresponse()
                self.answers.append((number, answer.status, json.loads(answer.read())))
            except (OSError, http.client.HTTPException):
                self.dropped += 1
                connection = connection and connection.close()
                time.sleep(0.05)
            time.sleep(self.pause)
        if connection:
            connection.close()
