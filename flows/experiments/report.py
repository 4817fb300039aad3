"""What an ingest came to, in words: the data version and the labels."""

import problem.schema
from settings import ROOT, Data, load
from stores import code, versions
from stores.data import DataStore
from stores.index import Index


def recorded(data: Data, batches: list[str]) -> str:
    """Record the data folder's content and say what came of it; commit the pointer file where the settings say so."""
    version = versions.record(data)
    lines = [f"data version {version.md5}: {len(batches)} batches, {batches[0]} to {batches[-1]}"]
    if version.problem:
        lines.append(f"not in the remote {data.remote} yet, the next ingest tries again: {version.problem}")
    if version.changed:
        lines.append(_git(data, f"Data until {batches[-1]}"))
    return "\n".join(lines)


def labelled(store: DataStore) -> str:
    """Write the batches' outcomes into the label log; those that are there already cost a look."""
    index = Index.of(load(), problem.schema)
    new = sum(index.attach(store.rows(batch)) for batch in store.batches())
    return f"{new:,} labels are new"


def _git(data: Data, message: str) -> str:
    pointer = versions.pointer(data)
    if data.commit:
        code.commit(ROOT, pointer.absolute(), message)
        return f"committed {pointer}: {message}"
    return f"the version is new; record it with: git add {pointer} && git commit -m '{message}'"
