"""Pointers: files in the service's state folder that name the version behind each alias.

As they are files, the version that answers can be changed without the registry.

<state>/live, candidate, previous, canary  a version each, replaced as a whole
<state>/rolled-back                        a rollback that the registry doesn't know of yet
<state>/canary-ended                       the version that is no canary any more, whatever the registry says
<state>/live-refused                       why the deployer doesn't deploy the registry's live version
<state>/unfit/<version>                    why the code of the service can't answer with a version that is here
"""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from penumbra.storage.atomic import replace_file
from penumbra.storage.locks import hold_file_lock

LIVE_ALIAS: Final = "live"
PREVIOUS_ALIAS: Final = "previous"
CANDIDATE_ALIAS: Final = "candidate"
CANARY_ALIAS: Final = "canary"
BUNDLES_FOLDER, RUNS_FOLDER = "bundles", "runs"
ROLLBACK_PIN_FILE, CANARY_ENDED_FILE, POINTERS_LOCK_FILE = "rolled-back", "canary-ended", "pointers.lock"
LIVE_REFUSED_FILE = "live-refused"
UNFIT_FOLDER = "unfit"


class RollbackPin(msgspec.Struct, frozen=True):
    """A rollback that overrides any older state of the registry.

    Attributes:
        live: The version that answers since then.
        previous: The version that answered before.
        time: When the rollback happened, in UTC.
    """

    live: str
    previous: str
    time: dt.datetime


def read_pointer(state: Path, pointer: str = LIVE_ALIAS) -> str | None:
    """Read the version that a pointer names.

    Args:
        state: The service's state folder.
        pointer: The alias, which is the file's name.

    Returns:
        The version; None if the file is missing or names none.
    """
    try:
        version = (state / pointer).read_text().strip()
    except (OSError, ValueError):
        return None
    return version if version and Path(version).name == version else None


def find_shadow_version(state: Path, role: str) -> str | None:
    """Find the version that answers in the shadow in a role.

    The live model answers in the shadow only while there is a canary, which answers a share of the requests in its
    place: so the two can be compared on those rows too.

    Args:
        state: The service's state folder.
        role: An alias, such as "candidate" or "live".

    Returns:
        The version, None if nothing answers in this role.
    """
    return None if role == LIVE_ALIAS and not (state / CANARY_ALIAS).exists() else read_pointer(state, role)


def swap_live_pointer(state: Path, old: str | None, new: str) -> bool:
    """Point to another live version, unless the pointer moved or somebody rolled back meanwhile.

    Args:
        state: The service's state folder.
        old: The version that the pointer is expected to name, None for no pointer; it becomes the previous version.
        new: The version that is to answer.

    Returns:
        Whether the pointer was moved.
    """
    with hold_pointer_lock(state):
        if read_pointer(state) != old or read_rollback_pin(state):
            return False
        if old is not None:
            replace_file(state / PREVIOUS_ALIAS, old)
        replace_file(state / LIVE_ALIAS, new)
        return True


def roll_back_pointers(state: Path, pin: RollbackPin) -> None:
    """Let the version of a rollback answer from now on.

    If the process is killed between the writes, the deployer completes them.

    Args:
        state: The service's state folder.
        pin: The rollback.
    """
    with hold_pointer_lock(state):
        replace_file(state / ROLLBACK_PIN_FILE, msgspec.json.encode(pin).decode())
        replace_file(state / PREVIOUS_ALIAS, pin.previous)
        replace_file(state / LIVE_ALIAS, pin.live)


def end_canary(state: Path) -> str | None:
    """Let the live model alone answer from now on.

    Args:
        state: The service's state folder.

    Returns:
        The version that was the canary, None if there was none.
    """
    with hold_pointer_lock(state):
        if version := read_pointer(state, CANARY_ALIAS):
            replace_file(state / CANARY_ENDED_FILE, version)
            (state / CANARY_ALIAS).unlink(missing_ok=True)
    return version


def read_rollback_pin(state: Path) -> RollbackPin | None:
    """Read the rollback that the registry doesn't know of yet.

    Args:
        state: The service's state folder.

    Returns:
        The rollback, None if there is none.
    """
    try:
        return msgspec.json.decode((state / ROLLBACK_PIN_FILE).read_bytes(), type=RollbackPin)
    except (OSError, msgspec.MsgspecError):
        return None


def clear_rollback_pin(state: Path, pin: RollbackPin) -> None:
    """Remove the pin of a rollback that the registry agrees with by now; the pin of a newer rollback stays.

    Args:
        state: The service's state folder.
        pin: The rollback.
    """
    with hold_pointer_lock(state):
        if read_rollback_pin(state) == pin:
            (state / ROLLBACK_PIN_FILE).unlink()


@contextlib.contextmanager
def hold_pointer_lock(state: Path) -> Iterator[None]:
    """Hold the lock that lets one process at a time change the pointers, as a context manager.

    It is never held during calls of the registry.

    Args:
        state: The service's state folder, which holds the lock file.
    """
    with hold_file_lock(state / POINTERS_LOCK_FILE):
        yield
