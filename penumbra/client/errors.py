"""What a request can end with, other than an answer."""

from collections.abc import Sequence
from typing import Any

from penumbra.client.responses import ProblemDetail

MAX_SHOWN_DETAILS = 3


class ClientError(Exception):
    """A request has no answer.

    Attributes:
        answered: Of a list or a table that was sent in several requests, the answers to the records before.
    """

    answered: Any = ()


class InvalidRecord(ClientError, ValueError):
    """A record can't be said in JSON, so that it wasn't sent."""


class ServiceUnreachable(ClientError):
    """No connection, or none that held until the whole answer, within the deadline; its cause is httpx' error."""


class RequestFailed(ClientError):
    """The service refused the request, or failed.

    Attributes:
        status: The HTTP status.
        error: The service's sentence.
        details: Each fault that it found.
    """

    def __init__(self, status: int, error: str, details: Sequence[ProblemDetail] = ()) -> None:
        super().__init__(status, error, details)
        self.status = status
        self.error = error
        self.details = details

    def __str__(self) -> str:
        """Say status, sentence and the first faults."""
        lines = [_describe_detail(detail) for detail in self.details[:MAX_SHOWN_DETAILS]]
        rest = len(self.details) - MAX_SHOWN_DETAILS
        return "\n".join([f"{self.status}: {self.error}", *lines, *([f"  and {rest} more"] if rest > 0 else [])])


class InvalidRequest(RequestFailed):
    """The contract or a business rule refuses what was sent, however often it is sent."""


class TooLarge(InvalidRequest):
    """More bytes or records than the service accepts in one request."""


class NotPermitted(RequestFailed):
    """There is no valid API key, it is for something else, or the service doesn't answer this machine."""


class UnknownId(RequestFailed):
    """There is no such prediction, or it wasn't left to people."""


class KeyConflict(RequestFailed):
    """A request with the same idempotency key is under way, or can't be answered as before."""


class ServiceOverloaded(RequestFailed):
    """The service was too busy until the deadline."""


class ServiceUnavailable(RequestFailed):
    """There was no live model, or no log or store, or it took too long, until the deadline."""


class ServiceFailed(RequestFailed):
    """The service failed, or who answers at the address isn't this service, or one that this client doesn't know."""


ERROR_BY_STATUS: dict[int, type[RequestFailed]] = {
    400: InvalidRequest,
    401: NotPermitted,
    403: NotPermitted,
    404: UnknownId,
    405: InvalidRequest,
    409: KeyConflict,
    413: TooLarge,
    415: InvalidRequest,
    422: InvalidRequest,
    429: ServiceOverloaded,
    500: ServiceFailed,
    503: ServiceUnavailable,
}
# What the connection, or a proxy before the service, may say; it is in no document of the service.
ERROR_BY_OTHER_STATUS: dict[int, type[RequestFailed]] = {
    408: ServiceUnavailable,
    414: TooLarge,
    421: NotPermitted,
    431: TooLarge,
    502: ServiceUnavailable,
    504: ServiceUnavailable,
}


ONLY_THE_SERVICES = (InvalidRequest, UnknownId, KeyConflict)  # what nobody but the service itself can say


def build_error(status: int, error: str, details: Sequence[ProblemDetail] = ()) -> RequestFailed:
    """Build the exception of a refusal by the service.

    Args:
        status: The HTTP status.
        error: The service's sentence.
        details: The faults that it found.

    Returns:
        The exception, of the class that the status stands for.
    """
    return _find_class(status)(status, error, details)


def build_foreign_error(status: int, shown: str, address: str) -> RequestFailed:
    """Build the exception of a refusal in another form than the service's: a proxy's, or of who else listens there.

    Args:
        status: The HTTP status.
        shown: The beginning of the body.
        address: What was asked.

    Returns:
        The exception, of the class that the status stands for, unless only the service can say that.
    """
    kind = _find_class(status)
    if kind not in (ServiceFailed, *ONLY_THE_SERVICES):
        return kind(status, shown or "no reason was given")
    return ServiceFailed(
        status, f"{address}: this is no answer of the service: {shown!r}. Is the address the service's?"
    )


def _find_class(status: int) -> type[RequestFailed]:
    return (ERROR_BY_STATUS | ERROR_BY_OTHER_STATUS).get(status, ServiceFailed)


def _describe_detail(detail: ProblemDetail) -> str:
    where = "" if detail.index is None else f"record {detail.index}: "
    what = detail.field or (f"rule {detail.rule}" if detail.rule else "it" if detail.value else "")
    value = f" is {detail.value}" if detail.value else ""
    return f"  {where}{what}{value}: expected {detail.expected}" if what else f"  {where}{detail.expected}"
