"""Lines of the prediction log as frames of one layout, whatever lines there are."""

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.logs.daily.frames import LogFrameReader


@pytest.mark.parametrize("lines", [[], [b""], [b"{torn"]])
def test_lines_of_which_none_counts_have_the_columns_of_those_that_do(lines: list[bytes]) -> None:
    reader = LogFrameReader(load_problem(["schema"]).schema)
    rows = reader.read_aligned(lines)
    assert (rows.height, reader.has_profile_columns(rows)) == (len(lines), True)
