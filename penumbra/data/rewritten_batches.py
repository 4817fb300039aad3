"""Admitted batches that the source has rewritten since: they are told, and what was admitted stays.

A source says by the `fingerprint` of a batch that its files may have changed; then they are fetched and compared with
what was admitted. That they are the same is noted, so that nothing is fetched while the fingerprint stays.

<derived>/compared.json   by batch, a digest of the fingerprint and the admitted files that were compared
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl

from penumbra.core.problem import Problem
from penumbra.core.raw_files import RawContent, RawFiles, hash_contents, write_raw_files
from penumbra.core.text.quoting import list_names
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchRefused, fetch_batch_files, list_source_batches, parse_batch_files
from penumbra.storage.cache import JSON, FileCache

COMPARED_FILE = "compared"  # in the folder of what is derived


def find_rewritten_batches(store: DataStore, but: str = "") -> list[str]:
    """Find the admitted batches of which the source gives other rows now.

    Args:
        store: The data store.
        but: A batch that is about to be fetched anew; "" for none.

    Returns:
        A sentence for each, which names its files and says what to do; for one that can't be fetched, why.

    Raises:
        SourceFailed: The source can't list its batches.
        OSError: A file can't be written.
    """
    known, admitted = FileCache(store.settings.derived, JSON), {*store.source_batches()} - {but}
    compared, same, sentences = known.find(COMPARED_FILE) or {}, dict[str, str](), list[str]()
    for batch in list_source_batches(store.problem):
        fingerprint = getattr(batch, "fingerprint", "")
        if not fingerprint or batch.name not in admitted:
            continue
        state = msgspec.json.encode([str(fingerprint), sorted(store.sums(batch.name).items())])
        digest = hashlib.sha256(state).hexdigest()
        if compared.get(batch.name) != digest and (sentence := _compare_batch(store, batch.name)):
            sentences.append(sentence)
        else:
            same[batch.name] = digest
    if same != compared:
        known.save(COMPARED_FILE, same)
    return sentences


def _compare_batch(store: DataStore, batch: str) -> str:
    """What is to be said of a batch; "" where the source gives the rows that were admitted."""
    try:
        names = _list_changed_files(store, batch, fetch_batch_files(store.problem, batch))
    except BatchRefused as error:
        return f"{batch} can't be compared with what was admitted: {error}"
    if not names:
        return ""
    return (
        f"{batch}: the source has changed {list_names(names)} since the batch was admitted, and gives other rows now; "
        f"what was admitted stays. `penumbra ingest --again {batch}` fetches and checks it anew, which makes a new "
        "data version"
    )


def _list_changed_files(store: DataStore, batch: str, fetched: Mapping[str, RawContent]) -> list[str]:
    """The names of the files that differ from those admitted; none where the rows don't."""
    if hash_contents(fetched) == store.sums(batch):
        return []
    admitted = store.read_raw_files(batch)
    with tempfile.TemporaryDirectory(prefix="penumbra-compared-") as folder:
        found = write_raw_files(Path(folder), fetched)
        names = [name for name in sorted({*admitted, *found}) if admitted.sums.get(name) != found.sums.get(name)]
        return [] if not names or _has_same_rows(store.problem, batch, admitted, found) else names


def _has_same_rows(problem: Problem, batch: str, admitted: RawFiles, found: RawFiles) -> bool:
    """Whether files of different bytes have the same rows, in whatever order; not where one can't be read."""
    try:
        return _digest_rows(problem, batch, admitted) == _digest_rows(problem, batch, found)
    except (BatchRefused, pl.exceptions.PolarsError):
        return False


def _digest_rows(problem: Problem, batch: str, files: RawFiles) -> tuple[object, ...]:
    """Columns, their dtypes, and the sum of the rows' hashes, which this process alone can compare."""
    rows = parse_batch_files(problem, batch, files).lazy()
    schema = sorted(rows.collect_schema().items())
    hashes = pl.struct([pl.col(name) for name, _ in schema]).hash()
    digest = rows.select(count=pl.len(), sum=hashes.sum()).collect(engine="streaming")
    return (schema, *digest.row(0))
