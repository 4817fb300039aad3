"""Pointers: files in the service's state folder that name the version behind each alias.

As they are files, the version that answers can be changed without the registry. Each is sealed
(penumbra/storage/sealed.py), so that none is followed in which a byte has changed.

<state>/live, candidate, previous, canary  a version each, replaced as a whole
<state>/rolled-back                        a rollback that the registry doesn't know of yet
<state>/canary-ended                       the version that is no canary any more, whatever the registry says
<state>/followed                           the number of the shared ledger's last move that was followed here
<state>/refused                            the candidate that the deployer doesn't let into the shadow, and why
<state>/live-refused                       why the registry's live version isn't deployed, or not yet; that it has none
<state>/unfit/<version>                    why the code of the service can't answer with a version that is here
"""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from penumbra.logs.shadow.shadow_log import SHADOW_ROLES
from penumbra.storage.locks import hold_file_lock
from penumbra.storage.sealed import DamagedFile, read_sealed_file, remove_sealed_file, replace_sealed_file

LIVE_ALIAS: Final = "live"
PREVIOUS_ALIAS: Final = "previous"
CANDIDATE_ALIAS: Final = "candidate"
CANARY_ALIAS: Final = "canary"
BUNDLES_FOLDER, RUNS_FOLDER = "bundles", "runs"
ROLLBACK_PIN_FILE, CANARY_ENDED_FILE, POINTERS_LOCK_FILE = "rolled-back", "canary-ended", "pointers.lock"
SERVICE_LOCK_FILE = "service.lock"  # held while a service works in the state folder
LIVE_REFUSED_FILE, REFUSED_FILE = "live-refused", "refused"
FOLLOWED_FILE = "followed"
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
        The version; None if the file is missing or damaged, or names none.
    """
    try:
        version = read_sealed_file(state / pointer).decode().strip()
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


def read_shadow_versions(state: Path) -> dict[str, str]:
    """Read which versions answer in the shadow.

    Args:
        state: The service's state folder.

    Returns:
        The version by role, in the order of `SHADOW_ROLES`.
    """
    found = {role: find_shadow_version(state, role) for role in SHADOW_ROLES}
    return {role: version for role, version in found.items() if version}


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
            replace_sealed_file(state / PREVIOUS_ALIAS, old)
        replace_sealed_file(state / LIVE_ALIAS, new)
        return True


def roll_back_pointers(state: Path, pin: RollbackPin) -> None:
    """Let the version of a rollback answer from now on.

    If the process is killed between the writes, the deployer completes them.

    Args:
        state: The service's state folder.
        pin: The rollback.
    """
    with hold_pointer_lock(state):
        replace_sealed_file(state / ROLLBACK_PIN_FILE, msgspec.json.encode(pin).decode())
        replace_sealed_file(state / PREVIOUS_ALIAS, pin.previous)
        replace_sealed_file(state / LIVE_ALIAS, pin.live)


def end_canary(state: Path) -> str | None:
    """Let the live model alone answer from now on.

    Args:
        state: The service's state folder.

    Returns:
        The version that was the canary, None if there was none.
    """
    with hold_pointer_lock(state):
        if version := read_pointer(state, CANARY_ALIAS):
            replace_sealed_file(state / CANARY_ENDED_FILE, version)
            remove_sealed_file(state / CANARY_ALIAS)
    return version


def read_ended_canary(state: Path) -> str | None:
    """Read the version that is no canary any more, though the registry doesn't know that yet.

    Args:
        state: The service's state folder.

    Returns:
        The version, None if there is none.

    Raises:
        DamagedFile: The file isn't what was written; nothing may be taken for a canary then.
    """
    try:
        return read_sealed_file(state / CANARY_ENDED_FILE).decode().strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{state / CANARY_ENDED_FILE}: {error}") from None


def read_rollback_pin(state: Path) -> RollbackPin | None:
    """Read the rollback that the registry doesn't know of yet.

    Args:
        state: The service's state folder.

    Returns:
        The rollback, None if there is none.

    Raises:
        DamagedFile: The file isn't what was written: which version was rolled back to is in the ledger alone then.
    """
    try:
        return msgspec.json.decode(read_sealed_file(state / ROLLBACK_PIN_FILE), type=RollbackPin)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{state / ROLLBACK_PIN_FILE}: {error}") from None


def clear_rollback_pin(state: Path, pin: RollbackPin) -> None:
    """Remove the pin of a rollback that the registry agrees with by now; the pin of a newer rollback stays.

    Args:
        state: The service's state folder.
        pin: The rollback.
    """
    with hold_pointer_lock(state):
        if read_rollback_pin(state) == pin:
            remove_sealed_file(state / ROLLBACK_PIN_FILE)


def read_note(path: Path) -> str:
    """Read a text that the deployer left in the state folder for others.

    Args:
        path: The file.

    Returns:
        The text; "" where there is none, or it isn't what was written.
    """
    try:
        return read_sealed_file(path).decode()
    except (OSError, UnicodeDecodeError):
        return ""


def read_refusal(state: Path) -> tuple[str, str]:
    """Read which candidate the deployer doesn't let into the shadow.

    Args:
        state: The service's state folder.

    Returns:
        The version and the reason; both "" where none is refused.
    """
    version, newline, reason = read_note(state / REFUSED_FILE).partition("\n")
    return (version, reason.strip()) if newline else ("", "")


@contextlib.contextmanager
def hold_pointer_lock(state: Path) -> Iterator[None]:
    """Hold the lock that lets one process at a time change the pointers, as a context manager.

    It is never held during calls of the registry.

    Args:
        state: The service's state folder, which holds the lock file.
    """
    with hold_file_lock(state / POINTERS_LOCK_FILE):
        yield
