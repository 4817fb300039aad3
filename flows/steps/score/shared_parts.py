"""Parts of tables where machines share their state: there before they are in the logs, and gone once all is done."""

import msgspec

from flows.steps.score.table_job import BEGUN_FILE, DONE_FILE, BegunTable, TableJob
from flows.steps.shared_folders import LAST_FILES, list_flow_folders
from penumbra.core.settings import Settings


def push_parts(settings: Settings, table: TableJob) -> None:
    """Bring what is done of a table to where other machines find it.

    Args:
        settings: With `cluster.state` set.
        table: The table.

    Raises:
        StoreError: The store refuses, or is away.
        OSError: A file can't be read.
    """
    from penumbra.storage.shared.mirror import Mirror

    for folder, url in list_flow_folders(settings, "score", table.job).items():
        Mirror(folder, url).push(LAST_FILES, table.folder.relative_to(folder).as_posix())


def remove_shared_parts(settings: Settings, job: str) -> None:
    """Remove what no machine needs any more: all but the receipts of tables that are done, and all earlier beginnings.

    Where machines share no state nothing is done.

    Args:
        settings: Sections [cluster] and [score] are read.
        job: The name of the scoring job.

    Raises:
        StoreError: The store refuses, or is away.
    """
    from penumbra.storage.shared.object_store import ObjectStore

    for url in list_flow_folders(settings, "score", job).values():
        store = ObjectStore(url)
        names = list(store.list_versions())
        begun = store.read_present(name for name in names if name.endswith(f"/{BEGUN_FILE}"))
        kept = tuple(
            f"{name.removesuffix(BEGUN_FILE)}{msgspec.json.decode(content, type=BegunTable).key}/"
            for name, content in begun.items()
        )
        done = tuple(place for place in kept if f"{place}{DONE_FILE}" in names)
        receipts = {f"{place}{DONE_FILE}" for place in done}
        store.delete(
            name
            for name in names
            if name not in begun and name not in receipts and (name.startswith(done) or not name.startswith(kept))
        )
