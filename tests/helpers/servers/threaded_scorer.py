"""A scorer process without a model, which has 16 threads, and does with each request what its batch's length says."""

import hashlib
import os
import sys
import threading
import time
from multiprocessing.connection import Connection

import msgspec

from penumbra.core.system.process_tree import adopt_orphans
from service.shadow.scorer_client import LoadResult, ScoreRequest, ShadowResult

THREADS = 16
BURN, HANG, WORK, FORK = range(4)  # what a request's `start` asks for
CONTENT = bytes(1 << 20)


def main() -> None:
    adopt_orphans()
    connection = Connection(int(sys.argv[1]))
    connection.send_bytes(msgspec.msgpack.encode(LoadResult()))
    while True:
        request = msgspec.msgpack.decode(connection.recv_bytes(), type=ScoreRequest)
        (burn, hang, work, fork_to_other_session)[request.start]()
        connection.send_bytes(msgspec.msgpack.encode([ShadowResult(0.5, True)]))


def burn(seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    run_in_threads(lambda: [hashlib.sha256(CONTENT) for _ in iter(lambda: time.monotonic() < end, False)])


def hang() -> None:
    run_in_threads(lambda: time.sleep(600))


def work() -> None:
    """Some 0.2 seconds of a processor, by all threads together."""
    run_in_threads(lambda: [hashlib.sha256(CONTENT) for _ in range(10)])


def fork_to_other_session() -> None:
    """Start a process that leaves group and session, and write its id to the file that is named for the bundle."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(sys.argv[2], "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()


def run_in_threads(task) -> None:
    threads = [threading.Thread(target=task) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
