import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.shadow.shadow_state import add_span, find_gaps

cuts = st.lists(st.integers(0, 50), min_size=2, max_size=12, unique=True).map(sorted)


@given(cuts, st.randoms())
def test_pieces_in_any_order_come_together_to_one_span(points: list[int], random) -> None:
    pieces = list(itertools.pairwise(points))
    random.shuffle(pieces)
    spans = []
    for start, end in pieces:
        spans = add_span(spans, start, end)
    assert spans == [(points[0], points[-1])]


@given(cuts, st.data())
def test_spans_and_their_gaps_cover_everything_once(points: list[int], data: st.DataObject) -> None:
    spans: list[tuple[int, int]] = []
    for start, end in itertools.pairwise(points):
        if data.draw(st.booleans()):
            spans = add_span(spans, start, end)
    size = points[-1]
    covered = [position for start, end in [*spans, *find_gaps(spans, size)] for position in range(start, end)]
    assert sorted(covered) == list(range(size))


@pytest.mark.parametrize(("start", "end"), [(0, 11), (19, 30), (12, 15), (0, 40), (10, 20)])
def test_what_is_covered_can_not_be_covered_again(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="covered already"):
        add_span([(10, 20)], start, end)
