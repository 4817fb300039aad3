"""A few of the flips of `penumbra bench faults`, on a small state of every store."""

import random
from collections.abc import Iterator

import pytest

from benchmarks.faults.corruption import flipped_bytes
from benchmarks.faults.corruption.flipped_bytes import FlipBench, open_flip_bench

pytestmark = pytest.mark.slow
SAMPLE = ("raw batch", "pointer", "prediction log", "window")


@pytest.fixture(scope="module")
def bench() -> Iterator[FlipBench]:
    with open_flip_bench() as made:
        yield made


def test_a_changed_byte_in_any_of_these_kinds_is_named(bench: FlipBench) -> None:
    draw = random.Random(flipped_bytes.SEED)
    flips = [flip for flip in bench.list_flips() if flip.kind in SAMPLE]
    chosen = [draw.choice([flip for flip in flips if flip.kind == kind]) for kind in SAMPLE]
    outcomes = [bench.try_flip(flip) for flip in chosen]
    assert [each for each in outcomes if each.outcome == "undetected"] == []


def test_every_kind_of_file_is_in_the_state_and_there_are_forty_flips(bench: FlipBench) -> None:
    flips = bench.list_flips()
    assert {flip.kind for flip in flips} == set(flipped_bytes.KINDS)
    assert len(flips) >= 40
