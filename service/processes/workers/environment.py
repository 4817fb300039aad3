"""The environment of the service's processes: what is off in libraries, and who is given which secret. Cheap to import.

The settings aren't read here, as the worker host starts before they are (service/processes/workers/head_start.py).
"""

from collections.abc import Mapping

from penumbra.core.project_root import API_KEY_PREFIX
from penumbra.registry import REGISTRY_ENVIRONMENT, SIGNING_KEY_VARIABLE

STORE_READERS = (  # predictions are explained out of the archive, too
    "service",
    "indexer",
    "archiver",
    "deployer",
    "shipper",
)
SECRET_USERS = {  # by the beginning of a variable's name; no other process is given it
    "AWS_": STORE_READERS,
    "FSSPEC_": STORE_READERS,
    "MLFLOW_TRACKING_": ("deployer",),
    API_KEY_PREFIX: (),
    "PENUMBRA_MONITOR__WEBHOOK": (),
    "PENUMBRA_REVIEW__WEBHOOK": ("indexer",),
    SIGNING_KEY_VARIABLE: (),
}
QUIET_ENVIRONMENT = {
    **REGISTRY_ENVIRONMENT,
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_QUIET": "True",
    "MALLOC_ARENA_MAX": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
}


def list_hidden_variables(name: str) -> tuple[str, ...]:
    """List the beginnings of the variables that a process isn't given.

    Args:
        name: The process, such as "service" or "deployer".

    Returns:
        The prefixes of their names.
    """
    return tuple(prefix for prefix, users in SECRET_USERS.items() if name not in users)


def hide_variables(environment: Mapping[str, str], hidden: tuple[str, ...]) -> dict[str, str]:
    """Return an `environment` without the variables whose names begin like one of `hidden`."""
    return {name: value for name, value in environment.items() if not name.startswith(hidden)}
