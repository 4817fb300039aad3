"""The split of batches by time."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penumbra.training.split import Split, split_batches

BATCHES = ["2013-01", "2013-02", "2013-03", "2013-04"]


def test_the_latest_batches_judge_the_ones_before_choose_and_the_rest_teaches():
    parts = split_batches(BATCHES, validation=1, test=1)
    assert (parts.train, parts.validation, parts.test) == (["2013-01", "2013-02"], ["2013-03"], ["2013-04"])


@given(st.sets(st.integers(1, 99), min_size=1, max_size=20), st.integers(1, 5), st.integers(1, 5), st.randoms())
def test_no_batch_is_used_before_or_beside_an_earlier_one(numbers, validation, test, random):
    assume(len(numbers) > validation + test)
    batches = [f"{number:02}" for number in numbers]
    random.shuffle(batches)
    parts = split_batches(batches, validation, test)
    assert parts.all == sorted(batches)
    assert (len(parts.validation), len(parts.test)) == (validation, test)
    assert max(parts.train) < min(parts.validation) <= max(parts.validation) < min(parts.test)


@pytest.mark.parametrize("batches", [[], BATCHES[:1], BATCHES[:2]])
def test_too_few_batches_are_refused_with_what_is_needed_and_what_is_there(batches):
    with pytest.raises(
        ValueError, match=rf"at least 3 batches.*there are {len(batches)}: {', '.join(batches) or 'none'}.*ingest"
    ):
        split_batches(batches, validation=1, test=1)


def test_a_batch_that_nothing_is_judged_on_teaches_candidates_if_it_is_older_and_else_the_released_model_alone():
    split = split_batches(["1", "1+", "2", "3", "3+", "4", "4+"], 1, 1, ["1+", "3+", "4+"])
    assert split == Split(["1", "1+", "2"], ["3"], ["4"], ["3+", "4+"])
    assert split.all == ["1", "1+", "2", "3", "4", "3+", "4+"]
