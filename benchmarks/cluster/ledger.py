"""Appends to the ledger and readings of it: requests, and milliseconds beside the file of a single machine."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared.state import SharedState
from tests.helpers.servers.object_stores import launch_moto, launch_seaweed, make_bucket

APPENDS, MACHINES, HISTORY = 50, 4, 200
EVENT = LedgerEvent(kind="verdict", verdict="pass", actor="bench", reason="why " * 10, evidence={"days": [1.0] * 100})


def measure() -> dict[str, float]:
    """Print requests and times of appends and readings.

    Returns:
        `ledger_round_trips`: the most requests, one after the other, that an append took while nobody else appended.
    """
    with tempfile.TemporaryDirectory() as folder:
        alone = list(count_requests(Path(folder), machines=1))
        together = list(count_requests(Path(folder) / "together", MACHINES))
        times = dict(time_stores(Path(folder)))
    print(
        f"requests of an append: {max(alone)} alone, {statistics.mean(together):.1f} where {MACHINES} machines append"
    )
    print("as fast as they can\n")
    columns = ("append", "read, no news", "new machine")
    print(f"{f'milliseconds, {HISTORY} entries':<28}{''.join(f'{each:>19}' for each in columns)}")
    for name, each in times.items():
        print(f"{name:<28}{''.join(f'{value:>19.1f}' for value in each)}")
    return {"ledger_round_trips": max(alone)}


def count_requests(folder: Path, machines: int) -> Iterator[float]:
    """Count the requests of appends on moto's S3.

    Args:
        folder: For the machines' copies.
        machines: How many append at the same time; each turn is another machine's where it is one.

    Yields:
        The requests of an append; their mean where several append at once.
    """
    with launch_moto() as server, pytest.MonkeyPatch.context() as environment:
        state = SharedState(make_bucket(server, environment))
        ledgers = [SharedLedger(folder / str(number), state) for number in range(max(machines, 2))]
        ledgers[0].append(EVENT)
        for number in range(APPENDS):
            begin = len(server.requests)
            if machines == 1:
                ledgers[number % 2].append(EVENT)
            else:
                with ThreadPoolExecutor(machines) as threads:
                    list(threads.map(lambda ledger: ledger.append(EVENT), ledgers))
            yield (len(server.requests) - begin) / machines


def time_stores(folder: Path) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Time the ledger in a folder of one machine, in a folder that machines share, and on two servers of S3.

    Args:
        folder: For ledgers and copies.

    Yields:
        The name of the store, with milliseconds as `time_ledger` has them.
    """
    yield "file of one machine", time_ledger(lambda name: Ledger(folder / "file"))
    shared = SharedState(str(folder / "shared"))
    yield "shared folder", time_ledger(lambda name: SharedLedger(folder / name, shared))
    for store, launch in (("moto", launch_moto), ("SeaweedFS", launch_seaweed)):
        with launch() as server, pytest.MonkeyPatch.context() as environment:
            state = SharedState(make_bucket(server, environment))
            yield store, time_ledger(lambda name, state=state, store=store: SharedLedger(folder / store / name, state))


def time_ledger(open_copy: Callable[[str], Ledger]) -> tuple[float, ...]:
    """Time appends and readings.

    Args:
        open_copy: Opens the ledger as the machine of a name sees it.

    Returns:
        Milliseconds of an append, of a reading without news after `HISTORY` entries, and of the first
        reading by a new machine.
    """
    ledger = open_copy("one")
    ledger.append(EVENT)
    appends = [_time(lambda: ledger.append(EVENT)) for _ in range(HISTORY - 1)]
    ledger.entries()
    reads = [_time(ledger.entries) for _ in range(5)]
    return (
        statistics.median(appends),
        statistics.median(reads),
        _time(open_copy("two").entries),
    )


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)
