"""Lines that are checked together are left out as each is alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.append_log import CHECK_BYTES, LogWriter, is_line_whole, list_segments
from penumbra.logs.line_decoding import blank_damaged_lines


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    writer = LogWriter(folder)
    writer.append([b'{"model":"1"}', b'{"model":"22"}', b'{"model":"333"}'])
    writer.close()
    return list_segments(folder)[0].read_bytes().splitlines()


@given(st.integers(0, 2), st.integers(0, 10**6), st.integers(1, 255))
def test_a_line_of_which_a_byte_has_changed_is_left_out_and_its_neighbours_are_not(logged, number, place, change):
    lines, changed = list(logged), bytearray(logged[number])
    changed[place % (len(changed) - CHECK_BYTES)] ^= change
    lines[number] = bytes(changed)
    assert blank_damaged_lines(lines) == [*logged[:number], b"", *logged[number + 1 :]]


@given(st.lists(st.sampled_from([b"", b"}", b'{"model":"1"}', b',"crc":"00000000"}']), max_size=3), st.integers(0, 3))
def test_lines_without_a_checksum_are_told_together_as_they_are_alone(logged, others, place):
    lines = [*logged[:place], *others, *logged[place:]]
    assert blank_damaged_lines(lines) == [line if is_line_whole(line) else b"" for line in lines]


def test_lines_that_are_whole_are_the_same_list(logged):
    assert blank_damaged_lines(logged) is logged
