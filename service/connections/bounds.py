"""What a peer may hold: the bounds that are settings, and those that nobody needs to change."""

import resource
from contextlib import suppress
from dataclasses import dataclass

from penumbra.core.settings import ServiceSettings

PATIENCE_SECONDS = 5.0  # for a head, until a body has to have its rate, and for a refused peer to stop sending
MIN_BYTES_PER_SECOND = 1000  # of a body that is sent, and of an answer that is read
MAX_HEAD_BYTES, MAX_HEADERS = 16_384, 100  # of request line and headers
MAX_PIPELINED = 32  # requests on one connection that wait for the answer to another one
MAX_HELD_BODIES = 8  # as many of the largest bodies are held while they are incomplete
MAX_DRAIN_FACTOR = 4  # so many times the largest body may come after a refusal, so that the sender sees it,
MAX_STRANGER_BYTES = 1 << 20  # and so much where the sender has shown no key
RESERVED_HANDLES = 128  # for files, models, and connections on their way out
MIN_CONNECTIONS = 16
CROWD_FACTOR = 2  # so many times the most connections there may be for a moment


@dataclass(frozen=True)
class ConnectionBounds:
    """Bounds from the settings: of a request's bytes and seconds, between two requests, and on all connections."""

    max_body_bytes: int
    timeout_seconds: float
    keep_alive_seconds: float
    max_connections: int

    def compute_drain_limit(self, is_admitted: bool) -> int:
        """Compute how much is read, and dropped, after a refusal.

        Args:
            is_admitted: Whether the peer has shown a key, or needs none.

        Returns:
            The most bytes; after them the connection is closed.
        """
        return MAX_DRAIN_FACTOR * self.max_body_bytes if is_admitted else MAX_STRANGER_BYTES

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "ConnectionBounds":
        """Read the bounds from settings, and raise this process's limit of file handles as far as it may.

        Args:
            settings: Section [service].

        Returns:
            The bounds, with fewer connections than the settings allow where there aren't as many handles.
        """
        possible = (_raise_handle_limit() - RESERVED_HANDLES - settings.max_concurrency) // CROWD_FACTOR
        connections = max(MIN_CONNECTIONS, min(settings.max_connections, possible))
        return cls(settings.max_body_bytes, settings.timeout_seconds, settings.keep_alive_seconds, connections)


def _raise_handle_limit() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] if hard != resource.RLIM_INFINITY else 2**31
