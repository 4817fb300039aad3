"""The newest batches of the source in a data store of their own: the sample that a change is tried on."""

import contextlib
from collections.abc import Callable, Mapping

from penumbra.core.problem import Problem
from penumbra.core.raw_files import RawContent
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchEmpty, BatchRefused, fetch_batch_files
from penumbra.training.fit import select_labelled_rows

FetchFiles = Callable[[Problem, str], Mapping[str, RawContent]]


def admit_newest_batches(
    store: DataStore,
    batches: int,
    rows: int,
    held_out: int = 0,
    most: int | None = None,
    fetch: FetchFiles = fetch_batch_files,
) -> list[str]:
    """Admit the newest batches of the source, until there are enough.

    Args:
        store: The data store, which is filled.
        batches: How many batches with outcomes there have to be.
        rows: How many rows with an outcome those batches have to have that aren't held out.
        held_out: How many of the newest batches with outcomes don't count for `rows`.
        most: How many batches with outcomes to admit; None for as many as it takes.
        fetch: Fetches the raw files of a batch.

    Returns:
        The names of the admitted batches that have outcomes, newest first: fewer than asked for where the source has
        no more.

    Raises:
        SourceFailed: The source can't be read.
        BatchRefused: A batch is refused, or none has outcomes.
    """
    arrived, target = store.arrived(), store.problem.schema.target()
    if not arrived:
        raise BatchRefused(
            f"batches() of problem/source.py lists none that is complete by data.today, {store.settings.today}"
        )
    found: dict[str, int] = {}
    for batch in reversed(arrived):
        has_enough = len(found) >= batches and sum([*found.values()][held_out:]) >= rows
        if has_enough or len(found) == most:
            break
        with contextlib.suppress(BatchEmpty):
            if batch not in store.batches():
                store.stage(batch, fetch(store.problem, batch))
                store.admit([batch])
            if count := select_labelled_rows(store.rows(batch), target).height:
                found[batch] = count
    if not found:
        raise BatchRefused(f"the newest batches, down to {batch}, have no row with an outcome")
    return list(found)
