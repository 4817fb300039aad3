"""The pointers in the service's state: which version answers, and which stands behind it. They are files, so that it
takes no registry to change what is answered.

<state>/live, candidate, previous, canary  a version each, replaced as a whole
<state>/rolled-back                        a rollback that the registry doesn't know of yet
<state>/canary-ended                       the version that is no canary any more, whatever the registry says
"""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec

from penumbra.storage.atomic import replace_file
from penumbra.storage.locks import hold_file_lock

LIVE_ALIAS, PREVIOUS_ALIAS, CANDIDATE_ALIAS, CANARY_ALIAS = "live", "previous", "candidate", "canary"
BUNDLES_FOLDER, RUNS_FOLDER = "bundles", "runs"
ROLLBACK_PIN_FILE, CANARY_ENDED_FILE, POINTERS_LOCK_FILE = "rolled-back", "canary-ended", "pointers.lock"


class RollbackPin(msgspec.Struct, frozen=True):
    """Since `time` `live` answers in place of `previous`, whatever an older state of the registry says."""

    live: str
    previous: str
    time: dt.datetime


def read_pointer(state: Path, pointer: str = LIVE_ALIAS) -> str | None:
    """The version that a pointer file names, or None."""
    try:
        version = (state / pointer).read_text().strip()
    except (OSError, ValueError):
        return None
    return version if version and Path(version).name == version else None


def find_shadow_version(state: Path, role: str) -> str | None:
    """Who answers in the shadow in this role. The live model does as long as a canary answers in its place, so that the
    two can be compared on those rows too."""
    return None if role == LIVE_ALIAS and not (state / CANARY_ALIAS).exists() else read_pointer(state, role)


def swap_live_pointer(state: Path, old: str | None, new: str) -> bool:
    """Point to another live version, where the pointer is still at `old` and nobody rolled back meanwhile; the old one
    becomes the previous. Return whether that was so."""
    with hold_pointer_lock(state):
        if read_pointer(state) != old or read_rollback_pin(state):
            return False
        if old is not None:
            replace_file(state / PREVIOUS_ALIAS, old)
        replace_file(state / LIVE_ALIAS, new)
        return True


def roll_back_pointers(state: Path, pin: RollbackPin) -> None:
    """Let the pin's version answer from now on. A process killed between the writes leaves the rest to the deployer."""
    with hold_pointer_lock(state):
        replace_file(state / ROLLBACK_PIN_FILE, msgspec.json.encode(pin).decode())
        replace_file(state / PREVIOUS_ALIAS, pin.previous)
        replace_file(state / LIVE_ALIAS, pin.live)


def end_canary(state: Path) -> str | None:
    """Let the live model alone answer from now on; returns the version that was the canary."""
    with hold_pointer_lock(state):
        if version := read_pointer(state, CANARY_ALIAS):
            replace_file(state / CANARY_ENDED_FILE, version)
            (state / CANARY_ALIAS).unlink(missing_ok=True)
    return version


def read_rollback_pin(state: Path) -> RollbackPin | None:
    """The rollback that the registry doesn't know of, if there is one."""
    try:
        return msgspec.json.decode((state / ROLLBACK_PIN_FILE).read_bytes(), type=RollbackPin)
    except (OSError, msgspec.MsgspecError):
        return None


def clear_rollback_pin(state: Path, pin: RollbackPin) -> None:
    """The registry agrees with this one; one that was made since then stays."""
    with hold_pointer_lock(state):
        if read_rollback_pin(state) == pin:
            (state / ROLLBACK_PIN_FILE).unlink()


@contextlib.contextmanager
def hold_pointer_lock(state: Path) -> Iterator[None]:
    """One process at a time changes the pointers; never held while the registry is asked."""
    with hold_file_lock(state / POINTERS_LOCK_FILE):
        yield
