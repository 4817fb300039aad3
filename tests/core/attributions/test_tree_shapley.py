import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.attributions.leaf_paths import TreeNodes, list_leaf_paths
from penumbra.core.attributions.tree_shapley import TreeShapley

NAN = float("nan")
CARRIERS = np.array([[False, False, True, False, True]])  # codes 0 and 2


def build_and_tree(**changes: np.ndarray) -> TreeNodes:
    """8 where column 0 is above 1 and column 1 above 5, which half of the rows are, independently; else 0."""
    return TreeNodes(
        **{
            "leaf": np.array([False, True, False, True, True]),
            "value": np.array([0.0, 0.0, 0.0, 0.0, 8.0]),
            "target": np.zeros(5, int),
            "column": np.array([0, 0, 1, 0, 0]),
            "threshold": np.array([1.0, 0.0, 5.0, 0.0, 0.0]),
            "missing_true": np.array([False, False, True, False, False]),
            "true": np.array([1, 0, 3, 0, 0]),
            "false": np.array([2, 0, 4, 0, 0]),
            "cover": np.array([4.0, 2.0, 2.0, 1.0, 1.0]),
            "members": np.zeros((0, 3), bool),
            "member_set": np.full(5, -1),
            **changes,
        }
    )


def attribute(tree: TreeNodes, row: list[float], sources: tuple[int, ...] = (0, 1)) -> list[float]:
    shapley = TreeShapley(list_leaf_paths(tree, np.array(sources), 0), 2)
    assert shapley.expected == 2
    return shapley.compute(np.array([row]))[0].tolist()


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ([2.0, 6.0], [3.0, 3.0]),  # 2 + 3 + 3 = 8: each as much, by symmetry
        ([2.0, 4.0], [1.0, -3.0]),  # alone, column 0 adds 2, and nothing beside column 1, which takes 2, or all 4
        ([0.0, 4.0], [-1.0, -1.0]),
    ],
)
def test_two_inputs_share_what_only_both_bring(row: list[float], values: list[float]) -> None:
    assert attribute(build_and_tree(), row) == pytest.approx(values)


def test_a_missing_value_goes_to_its_side_of_a_split() -> None:
    assert attribute(build_and_tree(), [2.0, NAN]) == attribute(build_and_tree(), [2.0, 4.0])
    assert attribute(build_and_tree(), [NAN, 6.0]) == attribute(build_and_tree(), [2.0, 6.0])


@pytest.mark.parametrize(("code", "like"), [(0.0, 4.0), (2.0, 4.0), (1.0, 6.0), (-1.0, 6.0), (7.0, 6.0), (NAN, 6.0)])
def test_a_code_goes_to_the_side_that_its_set_says(code: float, like: float) -> None:
    by_carrier = build_and_tree(members=CARRIERS, member_set=np.array([-1, -1, 0, -1, -1]))
    assert attribute(by_carrier, [2.0, code]) == attribute(build_and_tree(), [2.0, like])


def test_columns_of_one_input_are_known_together() -> None:
    """As one input they are what a single one is that brings all of it."""
    assert attribute(build_and_tree(), [2.0, 6.0], sources=(1, 1)) == pytest.approx([0.0, 6.0])


def test_splits_on_the_same_column_are_one_condition() -> None:
    twice = build_and_tree(column=np.array([0, 0, 0, 0, 0]))
    assert attribute(twice, [6.0, NAN]) == pytest.approx([6.0, 0.0])
    assert attribute(twice, [3.0, NAN]) == pytest.approx([-2.0, 0.0])


def test_a_node_without_weight_in_training_divides_by_no_zero() -> None:
    tree = build_and_tree(cover=np.array([4.0, 0.0, 4.0, 3.0, 1.0]))
    assert attribute(tree, [0.0, 6.0]) == pytest.approx([-5.0, 3.0])


def test_many_rows_are_computed_as_one() -> None:
    rows = np.random.default_rng(1).uniform(0, 8, (500, 2))
    shapley = TreeShapley(list_leaf_paths(build_and_tree(), np.arange(2), 0), 2)
    assert np.array_equal(shapley.compute(rows), np.concatenate([shapley.compute(row[None]) for row in rows]))


def test_no_tree_has_no_attributions() -> None:
    empty = {name: each[:0] for name, each in build_and_tree().to_arrays().items()}
    shapley = TreeShapley(list_leaf_paths(TreeNodes.from_arrays(empty), np.arange(2), 0), 2)
    assert (shapley.expected, shapley.compute(np.zeros((1, 2))).tolist()) == (0, [[0.0, 0.0]])


@given(st.integers(0, 100))
def test_tables_of_a_model_take_no_more_than_they_may_and_change_no_value(max_values: int) -> None:
    paths, rows = list_leaf_paths(build_and_tree(), np.arange(2), 0), np.random.default_rng(1).uniform(0, 8, (20, 2))
    shapley = TreeShapley(paths, 2, max_values)
    tables = [group.table for group in shapley._groups if group.table is not None]
    assert sum(table.size for table in tables) <= max_values
    assert shapley.compute(rows) == pytest.approx(TreeShapley(paths, 2).compute(rows))


@pytest.mark.parametrize("least", [-np.inf, -1e300])
def test_no_value_is_too_small_for_a_leaf(least: float) -> None:
    assert attribute(build_and_tree(), [least, 6.0]) == attribute(build_and_tree(), [0.0, 6.0])
    assert attribute(build_and_tree(), [np.inf, -least]) == attribute(build_and_tree(), [2.0, 6.0])
