"""The source: its newest batches, and the same bytes whenever they are fetched."""

import tempfile
from pathlib import Path

import pytest

from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.raw_files import write_raw_files
from penumbra.data.source_reader import fetch_batch_files
from penumbra.training.doctor.checks import find_constant_target
from penumbra.training.fit import select_labelled_rows
from problem_tests.sample import Sample


def test_the_newest_batches_are_accepted(attempt: Sample | Exception) -> None:
    if isinstance(attempt, Exception):
        pytest.fail(str(attempt), pytrace=False)


def test_fetching_a_batch_twice_gives_the_same_bytes(sample: Sample) -> None:
    batch = sample.store.batches()[-1]
    first, second = (_fetch_sums(sample, batch) for _ in range(2))
    differing = [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]
    if differing:
        pytest.fail(
            f"problem/source.py: {', '.join(sorted(differing))} of batch {batch} has other bytes when it is fetched "
            "again, and data versions are made of bytes: leave out what changes, such as the time of fetching",
            pytrace=False,
        )


def test_the_outcome_varies(sample: Sample) -> None:
    for fault in find_constant_target(select_labelled_rows(sample.rows, sample.problem.schema.target())[LABEL_COLUMN]):
        if not sample.is_whole:
            pytest.skip(f"{fault.evidence} in the newest {len(sample.store.batches())} batches; older ones may differ")
        pytest.fail(f"{fault.column}: {fault.evidence}: {fault.remedy}", pytrace=False)


def _fetch_sums(sample: Sample, batch: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return write_raw_files(Path(folder), fetch_batch_files(sample.problem, batch)).sums
