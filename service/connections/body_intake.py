"""The body of a request as it arrives: what is kept of it, and how long the rest may take."""

from service.connections.bounds import MIN_BYTES_PER_SECOND, PATIENCE_SECONDS, ConnectionBounds
from service.http.access.guard import build_timeout_refusal
from service.http.asgi import Headers
from service.http.refusals import RequestRefused


class BodyIntake:
    """The body of the request at hand on one connection.

    `content` is what has come of it so far, or None outside of a body; `since` is when the first part of one came that
    was not complete at once, by the event loop's clock, or 0.
    """

    def __init__(self, bounds: ConnectionBounds) -> None:
        self.content: bytes | bytearray | None = None
        self.since = 0.0
        self._bounds = bounds
        self._limit = 0

    def begin(self, is_admitted: bool) -> None:
        """Begin a body; unless its sender `is_admitted`, it has to be empty."""
        self.content = b""
        self._limit = self._bounds.max_body_bytes if is_admitted else 0

    def add(self, part: bytes) -> None:
        """Keep a `part` of the body."""
        if not self.content:
            self.content = part
        else:
            self.content = self.content if isinstance(self.content, bytearray) else bytearray(self.content)
            self.content += part

    def complete(self) -> bytes:
        """End the body, as it is complete.

        Returns:
            The body.

        Raises:
            RequestRefused: 413, it is larger than it may be.
        """
        content = self.content or b""
        self.drop()
        if len(content) > self._limit:
            raise self._build_size_refusal()
        return bytes(content)

    def drop(self) -> None:
        """Forget the body."""
        self.content, self.since = None, 0.0

    def require_small(self, headers: Headers) -> None:
        """Refuse a body that is larger than it may be, or says that it will be.

        Args:
            headers: The request's headers.

        Raises:
            RequestRefused: 413.
        """
        stated = next((int(value) for name, value in headers if name == b"content-length"), 0)
        if max(len(self.content or b""), stated) > self._limit:
            raise self._build_size_refusal()

    def compute_deadline(self) -> float:
        """Compute until when more of the body has to come.

        Returns:
            The time by the event loop's clock: at `MIN_BYTES_PER_SECOND` after `PATIENCE_SECONDS`, and for the whole
            body at most the settings' time for a request.
        """
        allowed = PATIENCE_SECONDS + len(self.content or b"") / MIN_BYTES_PER_SECOND
        return self.since + min(self._bounds.timeout_seconds, allowed)

    def build_late_refusal(self, now: float) -> RequestRefused:
        """Build the refusal of a body that isn't complete in time.

        Args:
            now: The time by the event loop's clock, in seconds.

        Returns:
            503 as for any request that takes too long, or 408 if it was too slow before that.
        """
        if now - self.since >= self._bounds.timeout_seconds:
            return build_timeout_refusal(self._bounds.timeout_seconds)
        return RequestRefused(408, f"the body came too slowly: at least {MIN_BYTES_PER_SECOND} bytes a second")

    def _build_size_refusal(self) -> RequestRefused:
        return RequestRefused(413, f"the body is larger than {self._limit} bytes: send fewer records at a time")
