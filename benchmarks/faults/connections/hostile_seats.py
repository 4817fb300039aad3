"""Peers without a key that hold on to a server: silent, slow, endless, large, unread, half-closed, garbled.

`python -m benchmarks.faults.connections.hostile_seats PORT SEATS SECONDS` keeps so many connections open, each taken
anew once the server has closed it, and prints for each kind how often that was and the longest that one was held, as
JSON.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice

PAUSE_SECONDS, DRIP_SECONDS = 0.5, 0.4  # until a seat is taken anew, and between two bytes of a slow sender
POST_HEAD = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n"
)
PROBE = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"
Misdeed = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def stay_silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    await _drip(writer, POST_HEAD[:-4])


async def drip_body(writer: asyncio.StreamWriter) -> None:
    writer.write(POST_HEAD)
    await _drip(writer, b"[" + b" " * 1000)


async def send_endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /predict HTTP/1.1\r\n")
    await _flood(writer, b"x-padding: more\r\n" * 500)


async def send_large_body(writer: asyncio.StreamWriter) -> None:
    writer.write(POST_HEAD)
    await _flood(writer, b"[" * 65_536)


async def close_one_side(writer: asyncio.StreamWriter) -> None:
    writer.write(POST_HEAD + b"[")
    writer.write_eof()
    await stay_silent(writer)


async def pipeline_garbage(writer: asyncio.StreamWriter) -> None:
    """Probes by the hundred whose answers nobody reads, and garbage after them."""
    await _flood(writer, PROBE * 300 + b"\x00garbage\r\n\r\n")


MISDEEDS: dict[str, Misdeed] = {
    "silent": stay_silent,
    "slow headers": drip_headers,
    "slow body": drip_body,
    "endless headers": send_endless_headers,
    "large body": send_large_body,
    "half-closed": close_one_side,
    "garbage in a pipeline": pipeline_garbage,
}
READS_NOTHING = frozenset(["garbage in a pipeline"])


async def take_seats(port: int, seats: int, seconds: float) -> dict[str, tuple[int, float]]:
    """Keep connections open, in turns of every kind.

    Args:
        port: The server's, on this machine.
        seats: The number of connections.
        seconds: For how long.

    Returns:
        By kind, how many connections there were, and the longest time that one was held, in seconds.
    """
    held: dict[str, list[float]] = {name: [] for name in MISDEEDS}
    end = time.monotonic() + seconds
    await asyncio.gather(*(_take_seat(port, name, end, held[name]) for name in islice(cycle(MISDEEDS), seats)))
    return {name: (len(times), round(max(times, default=0.0), 1)) for name, times in held.items()}


async def _take_seat(port: int, name: str, end: float, held: list[float]) -> None:
    while (left := end - time.monotonic()) > 0:
        began = time.monotonic()
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.wait_for(_misbehave(name, reader, writer), left)
        held.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)


async def _misbehave(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Behave as this kind does until the server closes the connection."""
    tasks = [asyncio.ensure_future(MISDEEDS[name](writer))]
    if name not in READS_NOTHING:
        tasks.append(asyncio.ensure_future(reader.read()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    for place in range(len(text)):
        writer.write(text[place : place + 1])
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


async def _flood(writer: asyncio.StreamWriter, text: bytes) -> None:
    while True:
        writer.write(text)
        await writer.drain()
        await asyncio.sleep(0)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(take_seats(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
