"""What a worker inherits from the worker host by the fork. A worker of `bentoml serve` inherits nothing."""

from dataclasses import dataclass

from service.http.access.access_control import KeyDigests


@dataclass(frozen=True)
class WorkerInheritance:
    """The digests of the API keys, which are in no environment."""

    keys: KeyDigests


inherited: WorkerInheritance | None = None
