"""Stopping a flow with one sentence instead of a traceback."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from metaflow.exception import MetaflowException

from flows.steps import REASON_VARIABLE
from penumbra.cluster.metaflow_config import REFUSED_EXIT_CODE
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.masking import mask_text
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.store_failures import StoreError


class FlowStopped(MetaflowException):
    """A flow can't go on for a reason that its user can mend; Metaflow prints the message without a traceback."""

    headline = "Stopped"


class FlowRefused(FlowStopped):
    """A flow was refused for what it would be refused for again."""


class FlowTakenOver(FlowStopped):
    """Another machine has taken the lease under which a flow worked: what this one made counts no more."""


@contextlib.contextmanager
def stop_with_one_sentence(*errors: type[Exception]) -> Iterator[None]:
    """Turn expected errors into a message without a traceback, as a context manager.

    Expected everywhere is that what machines share can't be reached, or that another machine has taken a lease. Whoever
    started the flow finds the message in the file that the environment names, too.

    Args:
        errors: The exception classes that are expected; others pass through with their traceback.

    Raises:
        FlowTakenOver: With the message of a lease that was lost.
        FlowRefused: With the message of an expected error that another attempt doesn't mend.
        FlowStopped: With the message of another expected error.
    """
    expected: tuple[type[Exception], ...] = (*errors, StoreError)
    try:
        yield
    except LeaseLost as error:
        raise FlowTakenOver(_leave_reason(error)) from None
    except expected as error:
        stopped = FlowRefused if isinstance(error, LastingRefusal) else FlowStopped
        raise stopped(_leave_reason(error)) from None


@contextlib.contextmanager
def end_refused_pods() -> Iterator[None]:
    """End the pod of a step that was refused by an exit code after which Argo doesn't start another one.

    A context manager around a flow. On one machine Metaflow's own code stays, as it retries nothing of that.

    Raises:
        SystemExit: As Metaflow ends the process, but for the code.
    """
    try:
        yield
    except SystemExit as end:
        if is_deployed() and isinstance(end.__context__, FlowRefused):
            sys.exit(REFUSED_EXIT_CODE)
        raise


def is_deployed() -> bool:
    """Return whether this process runs as a deployed flow, in Argo Workflows."""
    return "ARGO_WORKFLOW_NAME" in os.environ


def _leave_reason(error: Exception) -> str:
    reason = mask_text(str(error))
    if file := os.environ.get(REASON_VARIABLE):
        Path(file).write_text(reason)
    return reason
