"""Rollbacks that were made on another machine: the ledger that machines share tells of them, registry or not."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.core.text.errors import describe_error
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, find_last_move
from penumbra.registry.history.ledger_head import EMPTY_HEAD
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    FOLLOWED_FILE,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    RollbackPin,
    end_canary,
    read_note,
    read_pointer,
    roll_back_pointers,
)
from penumbra.storage.sealed import replace_sealed_file
from service.processes.workers.process_control import sleep_while_running

FOLLOW_SECONDS = 2.0
STORE_PATIENCE_SECONDS = 1.0
MOVE_KINDS = ("promotion", "rollback", "canary")

logger = logging.getLogger("service.processes.deployment.deployer")


def start_following_rollbacks(settings: Settings, running: Callable[[], bool]) -> None:
    """Start a thread that does here what was rolled back elsewhere, where machines share a ledger.

    Args:
        settings: Sections [cluster], [ledger] and [service] are read.
        running: Returns False when it is time to stop.
    """
    if settings.cluster.state:
        threading.Thread(target=_follow_rollbacks, args=(settings, running), daemon=True).start()


class RollbackWatch:
    """Reads what is new in the ledger, and does here what it says of rollbacks."""

    def __init__(self, ledger: Ledger, state: Path) -> None:
        """Watch this `ledger` for the service whose state folder is `state`; nothing is read yet."""
        self._ledger, self._state = ledger, state
        self._end = EMPTY_HEAD
        self._last: LedgerEntry | None = None

    def follow_last_move(self) -> str:
        """Go back to the version that the ledger's last move went back to, or end the canary that it ended, once.

        What was moved here since, such as by the registry's aliases, stays.

        Returns:
            A sentence about what was done; "" for nothing.

        Raises:
            BrokenLedger: The ledger is damaged; the next call reads all of it.
            OSError: It can't be read, or the state folder can't be written.
        """
        begin, self._end = self._end, EMPTY_HEAD  # from where the next call reads, unless this one comes to an end
        entries, self._end = self._ledger.read_after(begin)
        self._last = find_last_move(entries, MOVE_KINDS) or self._last
        return _follow_move(self._state, self._last) if self._last else ""


def _follow_move(state: Path, last: LedgerEntry) -> str:
    followed = read_note(state / FOLLOWED_FILE)
    if followed and last.number <= int(followed):
        return ""
    live, previous = last.versions.get(LIVE_ALIAS, ""), last.versions.get(PREVIOUS_ALIAS)
    canary, said = last.versions.get(CANARY_ALIAS), ""
    if last.kind == "rollback" and previous and _is_overtaken(state, LIVE_ALIAS, previous, last):
        if not (state / BUNDLES_FOLDER / live).is_dir():
            return f"version {live}, which entry {last.number} of the ledger goes back to, isn't here"
        roll_back_pointers(state, RollbackPin(live, previous, last.time))
        said = f"version {live} answers in place of version {previous}: entry {last.number} of the ledger"
    has_ended = last.kind == "canary" and last.verdict == "ended"
    if has_ended and canary and _is_overtaken(state, CANARY_ALIAS, canary, last):
        end_canary(state)
        said = f"version {canary} is the canary no more: entry {last.number} of the ledger"
    replace_sealed_file(state / FOLLOWED_FILE, str(last.number))
    return said


def _is_overtaken(state: Path, pointer: str, version: str, last: LedgerEntry) -> bool:
    """Whether a pointer names this version since before a move: by the clocks only in a folder that followed none."""
    if read_pointer(state, pointer) != version:
        return False
    return (state / FOLLOWED_FILE).exists() or (state / pointer).stat().st_mtime < last.time.timestamp()


def _follow_rollbacks(settings: Settings, running: Callable[[], bool]) -> None:
    watch, message = RollbackWatch(open_ledger(settings, STORE_PATIENCE_SECONDS), settings.service.state), ""
    while running():
        try:
            said = watch.follow_last_move()
        except Exception as error:  # such as a store that is away
            said = f"the shared ledger can't be followed, trying again: {describe_error(error)}"
        if said and said != message:
            logger.warning(said)
        message = said
        sleep_while_running(FOLLOW_SECONDS, running)
