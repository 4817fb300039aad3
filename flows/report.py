"""A data version, in words."""

from settings import ROOT, Data
from stores import code, versions


def recorded(data: Data, batches: list[str]) -> str:
    """Record the data folder's content and say what came of it; commit the pointer file where the settings say so."""
    version = versions.record(data)
    lines = [f"data version {version.md5}: {len(batches)} batches, {batches[0]} to {batches[-1]}"]
    if version.problem:
        lines.append(f"not in the remote {data.remote} yet, the next ingest tries again: {version.problem}")
    if version.changed:
        lines.append(_git(data, f"Data until {batches[-1]}"))
    return "\n".join(lines)


def _git(data: Data, message: str) -> str:
    pointer = versions.pointer(data)
    if data.commit:
        code.commit(ROOT, pointer.absolute(), message)
        return f"committed {pointer}: {message}"
    return f"the version is new; record it with: git add {pointer} && git commit -m '{message}'"
