"""The data version that is recorded: restored from the remote or rebuilt, and the next one recorded."""

import subprocess

from flows.steps.shared import shared_data
from flows.steps.shared.shared_folders import fetch_folders, list_partition_folders
from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import PROJECT_ROOT, DataSettings, load_settings
from penumbra.core.text.counts import format_count
from penumbra.core.text.masking import mask_address
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import list_source_batches
from penumbra.data.versioning import versions
from penumbra.data.versioning.dvc_file import read_dvc_content
from penumbra.data.versioning.origin import DataOrigin
from penumbra.data.versioning.restoring import pull_data
from penumbra.registry import code_version


class IngestRefused(RuntimeError):
    """There is nothing to ingest, or it can't become what is recorded; says why and what to do."""


def find_foreign_origin(store: DataStore) -> DataOrigin | None:
    """Find out whether the recorded data version is of another problem, whose place this one has taken.

    Args:
        store: The data store.

    Returns:
        The origin of the version that the .dvc file names, if that is of another problem, and none of its data is here;
        else None.

    Raises:
        IngestRefused: The data folder has batches of another problem.
        DamagedDvcFile: The .dvc file isn't one.
    """
    data, batches = store.settings, store.batches()
    origin = DataOrigin.from_meta(versions.read_recorded_meta(data))
    is_foreign = origin is not None and not origin.is_of(store.problem)
    if not batches:
        return origin if is_foreign else None
    is_recorded = is_foreign and versions.compute_data_version(data) == versions.read_recorded_version(data)
    if is_recorded or set(batches).isdisjoint(batch.name for batch in list_source_batches(store.problem)):
        raise IngestRefused(
            f"{data.folder}/ has the batches {batches[0]} to {batches[-1]} of another problem than problem/: "
            "`penumbra start-over` sets its data, models, logs and ledger aside"
        )
    return None


def restore_recorded_data(store: DataStore) -> str:
    """Fill an empty data folder with the recorded version from the remote, where the remote has it.

    A version of another problem is left alone, and said so.

    Args:
        store: The data store.

    Returns:
        The recorded version (md5) if the folder is empty and the remote lacks it, so that it is to be rebuilt from the
        source; "" otherwise.

    Raises:
        IngestRefused: The data folder has batches of another problem.
        DamagedDvcFile: The .dvc file isn't one.
    """
    if origin := find_foreign_origin(store):
        pointer = versions.get_dvc_file(store.settings)
        print(f"{pointer} names data of another problem, {origin}: a new history begins; git keeps the old {pointer}")
        return ""
    recorded = "" if store.batches() else versions.read_recorded_version(store.settings)
    if not recorded or not (problem := pull_data(store.settings)):
        return ""
    pointer = versions.get_dvc_file(store.settings)
    print(f"{pointer} names data version {recorded}, which can't be had ({problem}): it is rebuilt from the source")
    return recorded


def require_rebuilt_version(store: DataStore, version: str) -> None:
    """Refuse staged batches that aren't the recorded version, where it is being rebuilt.

    Args:
        store: The data store, with the batches staged.
        version: The version (md5) that `restore_recorded_data` returned; "" accepts any batches.

    Raises:
        IngestRefused: The staged batches don't make the version.
    """
    if not version or version in store.staged_versions():
        return
    data = store.settings
    raise IngestRefused(
        f"the remote lacks data version {version}, which {data.folder}.dvc names, and the source's batches until "
        f"data.today = {data.today} don't make it: set data.remote or data.today right, or remove {data.folder}.dvc to "
        "begin a history of your own"
    )


def complete_data_folder(store: DataStore, accepted: list[str], version_to_rebuild: str) -> None:
    """Bring the recorded version and the admitted batches here, where another machine has admitted them.

    Args:
        store: The data store.
        accepted: The batches that this ingest has admitted, which are still staged where machines share their state.
        version_to_rebuild: What `restore_recorded_data` returned.

    Raises:
        RestoreFailed: The remote lacks the recorded version.
        StagingLost: One of the batches isn't staged.
        StoreError: The store of what machines share refuses, or is away.
        OSError: A file can't be written.
    """
    settings = load_settings()
    if not settings.cluster.state:
        return
    if not version_to_rebuild and not find_foreign_origin(store):
        shared_data.fill_data_folder(settings)
    fetch_folders(list_partition_folders(settings))
    if accepted:
        store.admit(accepted)


def report_data_version(store: DataStore) -> str:
    """Record the data folder's content as a version, and commit the .dvc file if `data.commit` says so.

    Machines that share their state find it from then on.

    Args:
        store: The data store.

    Returns:
        A line with the version, and lines about the remote and about git where there is something to say.

    Raises:
        IngestRefused: There is no batch; or the remote doesn't get it, where other machines would look for it.
        PointerMoved: Another ingest has recorded a version meanwhile.
    """
    settings, data, batches, of_source = load_settings(), store.settings, store.batches(), store.source_batches()
    if not of_source:
        raise IngestRefused("no batch that has arrived has rows: there is nothing to record")
    before = read_dvc_content(versions.get_dvc_file(data))
    origin = DataOrigin.of_batches(of_source, store.problem)
    version = versions.record_data_version(data, origin.to_meta(), store.checksums)
    lines = [
        f"data version {version.md5}: {format_count(len(batches), 'batch', 'batches')}, {batches[0]} to {batches[-1]}"
    ]
    remote = mask_address(data.remote)
    if version.problem and settings.cluster.state:
        raise IngestRefused(
            f"nothing is recorded, since other machines look into the remote {remote}: {version.problem}"
        )
    if version.problem:
        lines.append(f"not in the remote {remote} yet, the next ingest tries again: {version.problem}")
    shared_data.publish_pointer(settings, before)
    if not settings.cluster.state or is_git_checkout(data.folder.absolute()):
        lines += _commit_pointer(data, f"Data until {batches[-1]}", version.changed)
    return "\n".join(lines)


def _commit_pointer(data: DataSettings, message: str, is_new: bool) -> list[str]:
    """Commit the .dvc file if the settings say so and git lacks it, whichever ingest has written it."""
    pointer = versions.get_dvc_file(data)
    if not data.commit:
        advice = f"the version is new; record it with: git add {pointer} && git commit -m '{message}'"
        return [advice] if is_new else []
    try:
        if not code_version.has_uncommitted_changes(PROJECT_ROOT, pointer.absolute()):
            return []
        code_version.commit_file(PROJECT_ROOT, pointer.absolute(), message)
    except subprocess.CalledProcessError as error:
        raise IngestRefused(f"git doesn't commit {pointer} (data.commit = true): {error.stderr.strip()}") from None
    return [f"committed {pointer}: {message}"]
