import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penumbra.reviews.selection.sampling import PriorityDraw, draw_by_priority, hash_uniforms, mix_weights

WEIGHTS = st.integers(1, 30).flatmap(lambda rows: arrays(float, rows, elements=st.floats(1e-6, 1e3)))
REASONS = st.lists(st.lists(st.sampled_from("abc"), unique=True), min_size=1, max_size=20)


def draw(weights, count, seed=0):
    return draw_by_priority(weights, 1 - np.random.default_rng(seed).random(len(weights)), count)


@given(WEIGHTS, st.integers(0, 40), st.integers(0, 1000))
def test_exactly_as_many_rows_as_asked_for_are_picked(weights, count, seed):
    picked, chances = draw(weights, count, seed)
    assert picked.sum() == min(count, len(weights))
    assert np.all((chances[picked] > 0) & (chances[picked] <= 1))


@given(WEIGHTS, st.integers(0, 1000))
def test_where_there_are_no_more_rows_than_asked_for_all_are_picked_for_certain(weights, seed):
    picked, chances = draw(weights, len(weights), seed)
    assert picked.all()
    assert (chances == 1).all()


def test_nothing_is_picked_where_nothing_is_asked_for():
    picked, chances = draw(np.ones(3), 0)
    assert not picked.any()
    assert not chances.any()


def test_of_equal_priorities_the_first_are_picked():
    picked, chances = draw_by_priority(np.ones(4), np.full(4, 0.5), 2)
    assert picked.tolist() == [True, True, False, False]
    assert chances.tolist() == [0.5] * 4


def test_a_row_of_no_weight_is_never_picked():
    picked, chances = draw(np.array([1.0, 0, 1, 0]), 3)
    assert picked.tolist() == [True, False, True, False]
    assert chances.tolist() == [1, 0, 1, 0]


def test_a_row_is_picked_for_certain_only_where_its_weight_exceeds_the_limit():
    picked, chances = draw_by_priority(np.array([8.0, 1, 1]), np.array([1.0, 0.25, 0.5]), 1)
    assert picked.tolist() == [True, False, False]
    assert chances.tolist() == [1, 0.25, 0.25]


@pytest.mark.parametrize("count", [1, 5, 25])
def test_the_weighted_sum_of_the_picked_rows_is_without_bias(count):
    rows = np.random.default_rng(1)
    weights, values = rows.exponential(size=50), rows.normal(1, 2, 50)
    totals = []
    for seed in range(4000):
        picked, chances = draw(weights, count, seed)
        totals.append((values[picked] / chances[picked]).sum())
    error = np.std(totals) / np.sqrt(len(totals))
    assert np.mean(totals) == pytest.approx(values.sum(), abs=3 * error)


@given(REASONS, st.floats(0, 1))
def test_the_weights_sum_to_one_and_chance_has_its_share_of_them(reasons, chance_share):
    weights = mix_weights(reasons, chance_share)
    assert weights.sum() == pytest.approx(1)
    if any(reasons):
        assert weights.min() >= chance_share / len(reasons) * (1 - 1e-9)


def test_a_rare_reason_weighs_as_much_as_a_frequent_one():
    weights = mix_weights([["rule a"], ["close call"], ["close call"], []], 0.2)
    assert weights.tolist() == pytest.approx([0.45, 0.25, 0.25, 0.05])


def test_a_row_with_two_reasons_has_the_weight_of_both():
    assert mix_weights([["a", "b"], ["b"]], 0).tolist() == pytest.approx([0.75, 0.25])


def test_without_any_reason_all_rows_weigh_the_same():
    assert mix_weights([[], []], 0.2).tolist() == [0.5, 0.5]
    assert mix_weights([], 0.2).tolist() == []


def test_hashes_of_names_are_uniform_the_same_again_and_others_under_another_key():
    names = [f"0{n:x}" for n in range(20_000)]
    uniforms = hash_uniforms(names, "pick")
    assert hash_uniforms(names[:3], "pick").tolist() == uniforms[:3].tolist()
    assert np.abs(np.sort(uniforms) - np.arange(20_000) / 20_000).max() < 0.015
    assert abs(np.corrcoef(uniforms, hash_uniforms(names, "double"))[0, 1]) < 0.03
    assert 0 < uniforms.min() < uniforms.max() <= 1


@given(REASONS, st.integers(1, 8), st.floats(0.05, 1), st.integers(1, 5), st.integers(0, 1000))
def test_rows_that_come_piece_by_piece_are_picked_as_if_all_came_at_once(reasons, count, share, size, seed):
    uniforms = 1 - np.random.default_rng(seed).random(len(reasons))
    picked, chances = draw_by_priority(mix_weights(reasons, share), uniforms, count)
    drawn = PriorityDraw(count, share)
    for at in range(0, len(reasons), size):
        piece = slice(at, at + size)
        drawn.add([str(at) for at in range(len(reasons))][piece], reasons[piece], uniforms[piece])
    found = {int(row.name): row for row in drawn.finish()}
    assert set(found) == set(np.flatnonzero(picked))
    assert [found[at].probability for at in sorted(found)] == pytest.approx(chances[picked])
    assert all(list(found[at].reasons) == reasons[at] for at in found)


def test_of_no_rows_none_is_picked():
    assert PriorityDraw(3, 0.2).finish() == []
