"""What an ingest came to, in words: the data version and the labels."""

import problem.schema
from penumbra.core.settings import PROJECT_ROOT, DataSettings, load_settings
from penumbra.data import versions
from penumbra.data.batches import DataStore
from penumbra.logs.index import LogIndex
from penumbra.registry import code_version


def report_data_version(data: DataSettings, batches: list[str]) -> str:
    """Record the data folder's content and say what came of it; commit the pointer file where the settings say so."""
    version = versions.record_data_version(data)
    lines = [f"data version {version.md5}: {len(batches)} batches, {batches[0]} to {batches[-1]}"]
    if version.problem:
        lines.append(f"not in the remote {data.remote} yet, the next ingest tries again: {version.problem}")
    if version.changed:
        lines.append(_commit_pointer(data, f"Data until {batches[-1]}"))
    return "\n".join(lines)


def attach_batch_labels(store: DataStore) -> str:
    """Write the batches' outcomes into the label log; those that are there already cost a look."""
    index = LogIndex.from_settings(load_settings(), problem.schema)
    new = sum(index.attach_labels(store.rows(batch)) for batch in store.batches())
    return f"{new:,} labels are new"


def _commit_pointer(data: DataSettings, message: str) -> str:
    pointer = versions.get_dvc_file(data)
    if data.commit:
        code_version.commit_file(PROJECT_ROOT, pointer.absolute(), message)
        return f"committed {pointer}: {message}"
    return f"the version is new; record it with: git add {pointer} && git commit -m '{message}'"
