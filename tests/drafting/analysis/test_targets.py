"""The target of a draft: the task by its values, and what can't be learnt."""

import pytest

from penumbra.drafting.draft import DraftRefused, DraftTarget
from tests.helpers.problems.drafted_orders import ROWS, draft_table, make_orders


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "1", "1"], DraftTarget("binary", "target", 1)),
        (["1.0", "0.0", "0.0", ""], DraftTarget("binary", "target", 1)),
        (["true", "false"], DraftTarget("binary", "target", True)),
        (["1", "2", "2"], DraftTarget("binary", "target", 2, reason="the larger of two numbers is yes")),
        (["ja", "nein"], DraftTarget("binary", "target", "ja", reason="'ja' is yes by its word")),
        (["stays", "churned"], DraftTarget("binary", "target", "churned", reason="'churned' is yes by its word")),
        (["a"] * 300 + ["b"] * 100, DraftTarget("binary", "target", "b", reason="'b' is yes as the rarer of two")),
        (["b", "a", "c"], DraftTarget("classes", "target")),
        (["1.5", "2.5", "7"], DraftTarget("number", "target")),
        (["3,5", "2,25", "7,0"], DraftTarget("number", "target")),
        (
            ["1", "2", "3"],
            DraftTarget(
                "number",
                "target",
                reason="3 whole numbers, predicted as a number; make text of them to predict classes",
            ),
        ),
    ],
)
def test_the_task_follows_from_the_values_of_the_target(tmp_path, values, expected):
    found = draft_orders_with_target(tmp_path, values)
    assert found.target == expected
    column = found.columns[-1]
    assert (column.name, column.role, column.nullable) == ("target", "outcome", True)


def draft_orders_with_target(folder, values):
    table = make_orders(target=values)
    del table["late"]
    return draft_table(folder, table, "target")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["no"], "the target 'target' is 'no' in all rows: there is nothing to learn"),
        (["7"], "the target 'target' is 7 in all rows: there is nothing to learn"),
        ([""], "the target 'target' can't be predicted (no row has a value): expected yes or no, a class, or a number"),
        (
            ["no"] * 397 + ["yes"] * 3,
            "the target 'target' has too few rows of True (3): expected at least 10 of each of two values",
        ),
        ([""] * 380 + ["a", "b"] * 10, "the target 'target' is known in 20 rows: expected at least 30"),
        (
            [f"v{n}" for n in range(ROWS)],
            "the target 'target' is text with 400 different values: expected yes or no, a number, or at most 50 "
            "classes",
        ),
        (
            ["2024-01-01", "2024-01-02"],
            "the target 'target' can't be predicted (its values are dates or times): expected yes or no, a class, or a "
            "number",
        ),
    ],
)
def test_a_target_that_can_t_be_learnt_is_refused_with_the_reason(tmp_path, values, sentence):
    with pytest.raises(DraftRefused) as refused:
        draft_orders_with_target(tmp_path, values)
    assert str(refused.value) == sentence


def test_rows_without_an_outcome_and_rare_classes_are_told(tmp_path):
    found = draft_orders_with_target(tmp_path, ["a"] * 200 + ["b"] * 150 + ["c"] * 30 + [""] * 20)
    assert found.notes == (
        "20 rows have no 'target': kept, and not learnt from",
        "the target 'target' has few rows of c (30): scores will vary by chance",
    )


@pytest.mark.parametrize("values", [["TRUE", "FALSE", "NA"], ["True", "False", "None"], ["yes", "no", "-"]])
def test_an_outcome_that_others_tools_write_as_missing_is_no_class(tmp_path, values):
    found = draft_orders_with_target(tmp_path, values[:2] * 190 + values[2:] * 20)
    assert found.target == DraftTarget("binary", "target", True)
    assert found.notes == ("20 rows have no 'target': kept, and not learnt from", f"read as missing: '{values[2]}'")


def test_a_target_that_isn_t_there_is_refused_with_the_columns(tmp_path):
    with pytest.raises(DraftRefused, match=r"data\.csv has no column 'churned': it has day, amount, late$"):
        draft_table(tmp_path, make_orders(), "churned")
