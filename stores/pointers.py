"""The pointers in the service's state: which version answers, and which stands behind it. They are files, so that it
takes no registry to change what is answered.

<state>/live, candidate, previous, canary  a version each, replaced as a whole
<state>/rolled-back                        a rollback that the registry doesn't know of yet
<state>/canary-ended                       the version that is no canary any more, whatever the registry says
"""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from stores.locks import held

POINTER, PREVIOUS, CANDIDATE, CANARY = "live", "previous", "candidate", "canary"
PIN, ENDED, LOCK = "rolled-back", "canary-ended", "pointers.lock"


class Pin(msgspec.Struct, frozen=True):
    """Since `time` `live` answers in place of `previous`, whatever an older state of the registry says."""

    live: str
    previous: str
    time: dt.datetime


def pointed(state: Path, pointer: str = POINTER) -> str | None:
    """The version that a pointer file names, or None."""
    try:
        version = (state / pointer).read_text().strip()
    except (OSError, ValueError):
        return None
    return version if version and Path(version).name == version else None


def in_shadow(state: Path, role: str) -> str | None:
    """Who answers in the shadow in this role. The live model does as long as a canary answers in its place, so that the
    two can be compared on those rows too."""
    return None if role == POINTER and not (state / CANARY).exists() else pointed(state, role)


def write(path: Path, content: str) -> None:
    """Replace a file as a whole."""
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    aside.write_text(content)
    os.replace(aside, path)


def swap(state: Path, old: str | None, new: str) -> bool:
    """Point to another live version, where the pointer is still at `old` and nobody rolled back meanwhile; the old one
    becomes the previous. Return whether that was so."""
    with alone(state):
        if pointed(state) != old or pinned(state):
            return False
        if old is not None:
            write(state / PREVIOUS, old)
        write(state / POINTER, new)
        return True


def roll_back(state: Path, pin: Pin) -> None:
    """Let the pin's version answer from now on. A process killed between the writes leaves the rest to the deployer."""
    with alone(state):
        write(state / PIN, msgspec.json.encode(pin).decode())
        write(state / PREVIOUS, pin.previous)
        write(state / POINTER, pin.live)


def end_canary(state: Path) -> str | None:
    """Let the live model alone answer from now on; returns the version that was the canary."""
    with alone(state):
        if version := pointed(state, CANARY):
            write(state / ENDED, version)
            (state / CANARY).unlink(missing_ok=True)
    return version


def pinned(state: Path) -> Pin | None:
    """The rollback that the registry doesn't know of, if there is one."""
    try:
        return msgspec.json.decode((state / PIN).read_bytes(), type=Pin)
    except (OSError, msgspec.MsgspecError):
        return None


def unpin(state: Path, pin: Pin) -> None:
    """The registry agrees with this one; one that was made since then stays."""
    with alone(state):
        if pinned(state) == pin:
            (state / PIN).unlink()


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """One process at a time changes the pointers; never held while the registry is asked."""
    with held(state / LOCK):
        yield
