"""What a worker inherits from the worker host by the fork. A worker of `bentoml serve` inherits nothing."""

from dataclasses import dataclass

from service.connections.connection_share import ConnectionShare
from service.http.access.access_control import KeyDigests


@dataclass(frozen=True)
class WorkerInheritance:
    """The digests of the API keys, which are in no environment, and its share of the connections, if there are other
    workers."""

    keys: KeyDigests
    share: ConnectionShare | None = None


inherited: WorkerInheritance | None = None
