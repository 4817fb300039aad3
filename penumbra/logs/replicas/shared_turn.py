"""Turns at logs that machines share: what has to be logged once over all of them is logged by one at a time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from penumbra.core.settings import Settings
from penumbra.logs.replicas.log_shipping import ship_logs
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.storage.shared.lease import LeaseLost, hold_lease


@contextlib.contextmanager
def take_shared_turn(settings: Settings, work: str, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Let nobody else do this work for the block, which begins with what others have logged and ends by shipping.

    Where there is one machine, nothing happens.

    Args:
        settings: The folders of the logs, and `cluster.state`.
        work: What is done, in a word, such as "reviews".
        names: The names of the logs that are read and written, as in `SharedLogs`; segments are to be closed in the
            block.

    Yields:
        A check to be called before anything is logged: it raises LeaseLost where the turn is somebody else's by now.

    Raises:
        DamagedArchive: A part of the archive isn't what was shipped.
        LeaseLost: Somebody else took over, as this machine was silent for too long; nothing is shipped then.
        StoreError: The store refuses, or is away; what was logged is shipped at the next turn.
    """
    logs = SharedLogs.from_settings(settings)
    if logs is None:
        yield lambda: None
        return
    with hold_lease(logs.state.locate("leases"), work, work) as lease:
        fetch_logs(settings, names)
        try:
            yield lease.check
        finally:
            with contextlib.suppress(LeaseLost):  # which the end of the lease says
                lease.check()
                ship_logs(logs, names)
