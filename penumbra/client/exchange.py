"""One request with all of its attempts, without I/O: what is sent, how long to wait, and what an answer means."""

import datetime as dt
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import httpx
import msgspec

from penumbra.client.errors import (
    ClientError,
    RequestFailed,
    ServiceFailed,
    ServiceUnreachable,
    build_error,
    build_foreign_error,
)
from penumbra.client.responses import ProblemBody

RETRIED_STATUSES = frozenset([408, 429, 502, 503, 504])
CONFLICT = 409  # is retried where the service says after how long
MAX_SHOWN_BODY = 200
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError, httpx.TooManyRedirects)

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a request is tried.

    A request is sent again where the connection failed, and at 408, 429, 502, 503 and 504: after a random time of up to
    `first_wait_seconds`, then twice as long, …, but not before the service wishes (`Retry-After`). Each has an
    idempotency key, so it is logged once all the same.

    Attributes:
        deadline_seconds: For a request with all of its attempts, from the beginning of its turn; each part of a long
            list is a request.
        attempt_seconds: For one attempt; the service itself gives up after `service.timeout_seconds`.
        first_wait_seconds: The longest wait after the first attempt.
        max_wait_seconds: The longest wait after any attempt.
    """

    deadline_seconds: float = 60.0
    attempt_seconds: float = 35.0
    first_wait_seconds: float = 0.1
    max_wait_seconds: float = 5.0


@dataclass
class Exchange(Generic[Result]):
    """One request: `begin`, send `method`, `path`, `headers` and `body` within `begin_attempt` seconds, tell what came.

    Attributes:
        method: The method in HTTP.
        path: The path, with the query.
        decode: Makes the result of the body of an answer.
        policy: How often it is tried.
        headers: The headers.
        body: The body.
        accepted: The statuses of an answer that `decode` reads.
        is_retried: Whether it is tried more than once.
    """

    method: str
    path: str
    decode: Callable[[bytes], Result]
    policy: RetryPolicy
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    accepted: frozenset[int] = frozenset([200])
    is_retried: bool = True
    _address: str = ""
    _began: float = field(default_factory=time.monotonic)
    _attempts: int = 0
    _attempt_end: float = 0.0

    def begin(self, url: str) -> None:
        """Count the time from now on; `url` is the service's address as errors show it."""
        self._began, self._address = time.monotonic(), url.rstrip("/")

    def begin_attempt(self) -> float:
        """Return the seconds that the attempt may take that begins now."""
        seconds = max(min(self.policy.attempt_seconds, self._compute_rest()), 0.001)
        self._attempt_end = time.monotonic() + seconds
        return seconds

    def collect(self, chunks: Iterable[bytes]) -> bytes:
        """Join the chunks of a body as they arrive.

        Args:
            chunks: The chunks.

        Returns:
            The body.

        Raises:
            httpx.ReadTimeout: They take longer than the attempt may.
        """
        body = []
        for chunk in chunks:
            body.append(chunk)
            if time.monotonic() > self._attempt_end:
                raise httpx.ReadTimeout("the answer isn't complete")
        return b"".join(body)

    def compute_wait(self, error: Exception) -> float:
        """Compute after how long to send it again, as the connection failed.

        Args:
            error: What the connection failed with.

        Returns:
            The time in seconds.

        Raises:
            ServiceUnreachable: There is no time left, or it would fail again.
        """
        if isinstance(error, httpx.LocalProtocolError):  # its words may show a header, which may be a secret
            raise ServiceUnreachable(f"{self._describe()}: this client can't send it as HTTP") from None
        reason = f"{self._describe()}: {type(error).__name__}: {error}"
        if isinstance(error, HOPELESS):
            raise ServiceUnreachable(reason) from error
        try:
            return self._wait_or_raise(ServiceUnreachable(reason), 0.0)
        except ServiceUnreachable as unreachable:
            raise unreachable from error

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> tuple[float, None] | tuple[None, Result]:
        """Read an answer.

        Args:
            status: Its HTTP status.
            headers: Its headers, by name in any case.
            body: Its body.

        Returns:
            The result as the second of the pair; or, as the first, after how many seconds to send it again.

        Raises:
            RequestFailed: The request is refused, or there is no time left.
            ServiceFailed: The answer is another one than the service's.
        """
        if status in self.accepted:
            try:
                return None, self.decode(body)
            except (msgspec.MsgspecError, ValueError) as error:
                reason = f"{self._describe()}: this is no answer of the service, {error}: {body[:MAX_SHOWN_BODY]!r}"
                raise ServiceFailed(status, reason) from error
        refused, wish = self._read_refusal(status, body), _read_retry_after(headers.get("retry-after", ""))
        if status in RETRIED_STATUSES or (status == CONFLICT and wish is not None):
            return self._wait_or_raise(refused, wish or 0.0), None
        raise refused

    def _read_refusal(self, status: int, body: bytes) -> RequestFailed:
        try:
            problem = msgspec.json.decode(body, type=ProblemBody)
        except msgspec.MsgspecError:
            return build_foreign_error(status, body[:MAX_SHOWN_BODY].decode(errors="replace"), self._describe())
        return build_error(status, problem.error, problem.details)

    def _describe(self) -> str:
        return f"{self.method} {self._address}{self.path}"

    def _wait_or_raise(self, error: ClientError, least: float) -> float:
        longest = min(self.policy.first_wait_seconds * 2**self._attempts, self.policy.max_wait_seconds)
        wait = max(random.uniform(0, longest), least)
        self._attempts += 1
        if not self.is_retried or wait >= self._compute_rest():
            raise error
        return wait

    def _compute_rest(self) -> float:
        return self._began + self.policy.deadline_seconds - time.monotonic()


def _read_retry_after(value: str) -> float | None:
    """Read the header: seconds, or a date; None where it is neither."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(value) - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
