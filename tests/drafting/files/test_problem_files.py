"""What is written for a draft: a problem that loads, in files that formatter, linter and type checker take."""

import ast
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penumbra.core.task import Task
from penumbra.drafting.draft import DraftSource, NumberFormat
from penumbra.drafting.files.problem_files import render_problem
from penumbra.drafting.files.schema_file import render_schema
from penumbra.drafting.files.source_file import render_source
from tests.helpers.checkout import REPOSITORY
from tests.helpers.problems.drafts import AGE, AMOUNT, COMMENT, GIFT, RETURNED, SHOP, TIME, draft_orders, drop_key
from tests.helpers.problems.written_problems import load_written

TASKS = {"binary": "binary", "classes": "multiclass", "number": "regression"}
LONG = tuple(f"a rather long value, number {n}" for n in range(40))


def draft_with(*columns, **changes):
    """The binary draft with columns in the place of those with the same names, or beside them."""
    draft = draft_orders("orders.csv")
    named = {column.name: column for column in draft.columns[:-1]}
    outcome = draft.columns[-1]
    named |= {column.name: column for column in columns if column.name != outcome.name}
    outcome = next((column for column in columns if column.name == outcome.name), outcome)
    return replace(draft, columns=(*named.values(), outcome), **changes)


@pytest.mark.parametrize("task", TASKS)
def test_a_draft_becomes_a_problem_of_its_task(tmp_path, task):
    with load_written(draft_orders("orders.csv", task), tmp_path) as problem:
        assert Task.from_schema(problem.schema).kind == TASKS[task]
        assert problem.schema.TIME == "ordered at"
        assert problem.schema.Row.primary_key() == ["order"]
        assert list(problem.schema.Row.columns()) == [
            *("order", "ordered at", "shop", "amount (EUR)", "class", "gift?"),
        ]
        assert list(problem.candidates.CANDIDATES) == ["forest", "boosting", "linear"]
        assert list(problem.slices.SLICES) == ["shop", "gift?"]


def shift_of_a_missing_value(task, estimator):
    """How far a lost number moves the prediction of one row more, of 2,000 of which one, a far one, lacks the number.

    In standard deviations of the truth, or as a difference of probabilities.
    """
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2_000, 2))
    truth = inputs[:, 0] + rng.normal(size=2_000)
    inputs[0, 0], truth[0] = np.nan, truth.max()
    labels = {"binary": truth >= truth.max(), "classes": np.digitize(truth, [0, truth.max()]), "number": truth}[task]
    estimator.fit(inputs, labels)
    predict = estimator.predict if task == "number" else estimator.predict_proba
    whole, lacking = predict(np.array([[0.0, 0.0], [np.nan, 0.0]]))
    return np.abs(whole - lacking).max() / (truth.std() if task == "number" else 1)


@pytest.mark.parametrize(("task", "limit"), [("binary", 0.1), ("classes", 0.1), ("number", 1.0)])
def test_a_single_missing_value_in_all_rows_decides_no_answer_of_the_linear_candidate(tmp_path, task, limit):
    columns = SimpleNamespace(names=["age", "amount"], categorical=[], numeric=[0, 1])
    with load_written(draft_orders("orders.csv", task), tmp_path) as problem:
        assert shift_of_a_missing_value(task, problem.candidates.CANDIDATES["linear"].make(columns)) < limit


def test_without_a_key_there_is_none(tmp_path):
    with load_written(drop_key(draft_orders("orders.csv")), tmp_path) as problem:
        assert not problem.schema.Row.primary_key()


def test_without_a_column_of_few_values_there_are_no_slices(tmp_path):
    draft = draft_with(replace(SHOP, features=(), role="unused"), replace(GIFT, features=(), role="unused"))
    assert "slices.py" not in render_problem(draft)


@pytest.mark.parametrize(
    ("column", "positive", "expression"),
    [
        (RETURNED, "yes", 'pl.col("returned?") == "yes"'),
        (replace(RETURNED, dtype=pl.Int8(), max_length=None), 1, 'pl.col("returned?") == 1'),
        (replace(RETURNED, dtype=pl.Boolean(), max_length=None), True, 'pl.col("returned?")'),
        (replace(RETURNED, dtype=pl.Boolean(), max_length=None), False, '~pl.col("returned?")'),
    ],
)
def test_a_binary_target_says_which_value_means_yes(column, positive, expression):
    draft = draft_orders("orders.csv")
    written = render_schema(replace(draft_with(column), target=replace(draft.target, positive=positive)))
    assert f"    return {expression}\n" in written


def test_a_comment_has_quotation_marks_as_they_are():
    late = replace(COMMENT, name="shipped", reason="lies after the row's time")
    written = render_schema(draft_with(late))
    assert '    # Without "shipped": lies after the row\'s time\n' in written


def test_reasons_stand_where_a_person_would_write_them():
    written = render_schema(draft_orders("orders.csv"))
    assert '    # whole numbers\n    class_ = dy.Int16(min=0, max=200, alias="class")\n' in written
    assert '    # Without "comment": free text, as good as never the same\n' in written


def test_a_long_list_of_values_is_a_constant():
    written = render_schema(draft_with(replace(SHOP, categories=LONG, dtype=pl.Enum(LONG))))
    assert "    shop = dy.Enum(SHOP_VALUES)\n" in written


def test_spellings_are_converted_together(tmp_path):
    spelling = NumberFormat(",", ".", ("€",))
    draft = draft_with(
        replace(AMOUNT, number_format=spelling),
        replace(AGE, number_format=spelling),
        replace(COMMENT, role="feature", dtype=pl.Date(), time_format="%d.%m.%Y", example="2024-01-02"),
    )
    assert render_source(draft) == (
        '"""Where raw batches come from, and how they are read."""\n\n'
        "from penumbra.sources import TableFiles, read_numbers, read_times\n\n"
        'SOURCE = TableFiles("orders.csv", time="ordered at", period="month")\n'
        "CONVERSIONS = [\n"
        '    read_numbers("amount (EUR)", "class", decimal=",", thousands=".", signs=("€",)),\n'
        '    read_times("comment", form="%d.%m.%Y"),\n'
        "]\n"
    )


def test_a_query_is_a_constant_beside_the_database():
    source = DraftSource("sql", "duckdb:shop.duckdb", "SELECT * FROM orders", "ordered at", "week")
    assert render_source(draft_with(source=source)).endswith(
        'QUERY = "SELECT * FROM orders"\n'
        'SOURCE = SqlQuery("duckdb:shop.duckdb", QUERY, time="ordered at", period="week")\n'
    )


def every_kind():
    """A draft with a column of each kind, and what makes lines long."""
    long = replace(SHOP, name="long", attribute="long", categories=LONG, dtype=pl.Enum(LONG))
    seen = replace(TIME, name="seen", attribute="seen", role="feature", time_format="%d.%m.%Y %H:%M")
    seen = replace(seen, features=("hour", "weekday", "month"))
    clock = replace(AGE, name="clock", attribute="clock", features=("clock",), reason="a clock time, " * 20)
    numbers = [
        replace(AMOUNT, name=f"n. {n}", attribute=f"n_{n}", number_format=NumberFormat(",", ".")) for n in range(9)
    ]
    return draft_with(long, seen, clock, *numbers)


@pytest.mark.parametrize(
    "draft", [*(draft_orders("orders.csv", task) for task in TASKS), every_kind()], ids=[*TASKS, "every kind"]
)
def test_the_files_are_as_the_formatter_and_the_linter_want_them(tmp_path, draft):
    folder = write_files(draft, tmp_path / "problem")
    for words in (["format", "--diff"], ["check"]):
        run_checker("ruff", *words, "--no-cache", "--config=pyproject.toml", folder)


@pytest.mark.slow
def test_the_files_are_as_the_type_checker_wants_them(tmp_path):
    drafts = {**{task: draft_orders("orders.csv", task) for task in TASKS}, "every": every_kind()}
    run_checker("mypy", *(write_files(draft, tmp_path / f"of_{name}") for name, draft in drafts.items()))


def write_files(draft, folder):
    folder.mkdir()
    for name, text in render_problem(draft).items():
        (folder / name).write_text(text)
    return folder


def run_checker(*words):
    """Run one of the linters as `make lint` does, with the cache that the type checker has of libraries."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


SIGNS = ["a", '"', "'", "\\", "\n", "#", "{", "(", "type:", '"""', "\u2019", " ", "\x00", "\u2013"]
HOSTILE = st.lists(st.sampled_from(SIGNS), min_size=1).map("".join)


@pytest.mark.slow
@given(name=HOSTILE, reason=HOSTILE, value=HOSTILE)
@example(name="a", reason="type:", value="a")
def test_text_of_the_data_never_becomes_code(name, reason, value):
    shop = replace(SHOP, name=name, categories=(value, "other"), reason=reason)
    left_out = replace(COMMENT, name=reason, reason=name)
    returned = replace(RETURNED, name=value)
    draft = draft_orders("orders.csv")
    target = replace(draft.target, column=value, positive=name)
    columns = (*draft.columns[:2], shop, left_out, returned)
    plain = replace(draft, columns=(*draft.columns[:2], SHOP, COMMENT, RETURNED))
    hostile = replace(draft, columns=columns, target=target)
    for text, expected in zip(render_problem(hostile).values(), render_problem(plain).values(), strict=True):
        assert shape(text) == shape(expected)


def shape(text):
    """The syntax without the texts in it; type comments are read, too, as a type checker does."""
    tree = ast.parse(text, type_comments=True)
    return [type(node).__name__ for node in ast.walk(tree) if not isinstance(node, ast.keyword | ast.Constant)]
