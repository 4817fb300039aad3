"""Stopping a flow with one sentence instead of a traceback."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from metaflow.exception import MetaflowException

from flows.steps import REASON_VARIABLE
from penumbra.core.text.masking import mask_text
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_store import StoreError


class FlowStopped(MetaflowException):
    """A flow can't go on for a reason that its user can mend; Metaflow prints the message without a traceback."""

    headline = "Stopped"


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
        FlowStopped: With the message of another expected error.
    """
    expected: tuple[type[Exception], ...] = (*errors, StoreError)
    try:
        yield
    except LeaseLost as error:
        raise FlowTakenOver(_leave_reason(error)) from None
    except expected as error:
        raise FlowStopped(_leave_reason(error)) from None


def _leave_reason(error: Exception) -> str:
    reason = mask_text(str(error))
    if file := os.environ.get(REASON_VARIABLE):
        Path(file).write_text(reason)
    return reason
