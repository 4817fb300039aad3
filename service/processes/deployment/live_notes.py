"""The note in the state folder that tells the workers why the registry's live version doesn't answer, or not yet."""

from collections.abc import Sequence
from pathlib import Path

from penumbra.core.problem import Problem
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.pointers import LIVE_REFUSED_FILE, read_note
from penumbra.storage.sealed import remove_sealed_file, replace_sealed_file

NO_REGISTERED_MODEL = (
    "the registry has no live model yet: `make train` makes the first, which is picked up without a restart"
)


def note_absence(state: Path, version: str | None) -> None:
    """Note that the live version is on its way, or that there is none; a note of why it is refused stays.

    Args:
        state: The service's state folder.
        version: The registry's live version, or None where it names none.
    """
    known = read_note(state / LIVE_REFUSED_FILE)
    reason = f"version {version} is live in the registry and is being fetched" if version else NO_REGISTERED_MODEL
    if known in ("", NO_REGISTERED_MODEL) and known != reason:
        state.mkdir(parents=True, exist_ok=True)
        replace_sealed_file(state / LIVE_REFUSED_FILE, reason)


def forget_absence(state: Path) -> None:
    """Remove the note, which says what was so when it was written.

    Args:
        state: The service's state folder.
    """
    remove_sealed_file(state / LIVE_REFUSED_FILE)


def require_usable(state: Path, problem: Problem, version: str, signers: Sequence[str], folder: Path) -> None:
    """Read a bundle that is to be live, and note why it can't be, if it doesn't fit the problem.

    Args:
        state: The service's state folder.
        problem: The problem, with schema and features.
        version: The version.
        signers: Public keys, one of which must have signed the bundle, if any.
        folder: The folder of the bundle.

    Raises:
        BrokenBundle: The bundle is damaged.
        UnfitBundle: The problem has changed so that the version can't answer, or it isn't signed.
    """
    try:
        bundle.read_bundle(folder, problem, version, signers)
    except UnfitBundle as error:
        replace_sealed_file(state / LIVE_REFUSED_FILE, str(error))
        raise
    forget_absence(state)
