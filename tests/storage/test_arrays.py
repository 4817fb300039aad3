"""The matrices of a run, shared between processes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage.arrays import ArrayStore

BATCHES = ["2013-01", "2013-02", "2013-03", "2013-04"]
INPUTS = np.array([[0.0], [1.0], [2.0], [3.0]])


@given(st.dictionaries(st.sampled_from(BATCHES), st.integers(0, 4), min_size=1), st.data())
def test_a_part_has_exactly_the_rows_of_its_batches(tmp_path_factory, sizes, data):
    owner = np.repeat(list(sizes), list(sizes.values()))
    stored = ArrayStore(tmp_path_factory.mktemp("run"), sizes)
    stored.write("inputs", np.arange(len(owner) * 2.0).reshape(-1, 2))
    stored.write("labels", owner)
    first = data.draw(st.integers(0, len(sizes) - 1))
    settings = list(sizes)[first : data.draw(st.integers(first + 1, len(sizes)))]
    np.testing.assert_array_equal(stored.part(settings, "labels"), owner[np.isin(owner, settings)])
    np.testing.assert_array_equal(stored.part(settings, "inputs")[:, 0], 2.0 * np.flatnonzero(np.isin(owner, settings)))


def test_processes_share_the_matrices_and_none_can_change_them(tmp_path):
    stored = ArrayStore(tmp_path / "run", {"a": 4})
    stored.write("inputs", INPUTS)
    read = stored.read("inputs")
    assert isinstance(read, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 9
