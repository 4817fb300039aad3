"""Whatever the columns of a contract are called, every store and stage gives what it gives under other names."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penumbra.core.columns import RESERVED_PREFIX, find_illegal_names
from penumbra.core.problem import ProblemError
from penumbra.data.source_reader import BatchRefused
from tests.helpers.problems.orders import open_orders_store
from tests.helpers.problems.renamed_orders import PLAIN_NAMES, collect_loop_facts, load_renamed_orders

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic
WORDS = """
    row day model label batch inputs id time prediction prediction_id features record index count literal len value key
    loss output decision event target candidate live baseline threshold names values root self field0 rows days slice
    penumbra a.b a-b a/b [0] 'q' {x} %s $x ^a a* a|b # <b> class None lambda __slots__ __class__ _private
    model_config größe 日付
"""
AWKWARD_NAMES = [*WORDS.split(), "order date", "amount (EUR)", "the target", " ", "é" * 90, "x" * 300]


def is_legal(name: str) -> bool:
    return not list(find_illegal_names("", [name]))


column_names = st.one_of(
    st.sampled_from(AWKWARD_NAMES),
    st.text(min_size=1, max_size=20).filter(is_legal),
    st.text(string.ascii_letters + string.punctuation, min_size=1, max_size=3).filter(is_legal),
)
namings = st.lists(column_names, min_size=len(PLAIN_NAMES), max_size=len(PLAIN_NAMES), unique=True).map(
    lambda names: dict(zip(PLAIN_NAMES, names, strict=True))
)
OURS = {
    "order_id": "prediction_id", "at": "time", "region": "model", "amount": "row", "age": "day", "member": "label",
    "churned": "prediction",
}  # fmt: skip
ALIASES = {**PLAIN_NAMES, "at": "order date", "amount": "amount (EUR)", "region": "REGION", "age": "region"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, database: Path) -> dict[str, Any]:
    """What comes of the orders under their own names."""
    return collect_loop_facts(tmp_path_factory.mktemp("plain"), database, PLAIN_NAMES)


@pytest.mark.slow
@given(names=namings)
@example(names=OURS)
@example(names=ALIASES)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_stage_gives_the_same_whatever_the_columns_are_called(
    tmp_path_factory: pytest.TempPathFactory, database: Path, expected: dict[str, Any], names: dict[str, str]
) -> None:
    found = collect_loop_facts(tmp_path_factory.mktemp("named"), database, names)
    np.testing.assert_equal(found, expected)


@pytest.mark.slow
@given(names=namings)
def test_a_problem_with_legal_names_loads(tmp_path_factory: pytest.TempPathFactory, names: dict[str, str]) -> None:
    problem = load_renamed_orders(tmp_path_factory.mktemp("named"), names)
    assert list(problem.schema.Labelled.columns()) == list(names.values())


def test_a_raw_column_of_the_engines_is_refused_and_others_beside_the_contract_are_kept(tmp_path: Path) -> None:
    raw = {"order_id,": "order_id,row,{},", "10_000 + n,": '10_000 + n, "row": 1, "x": 2,'}
    changes = [(old, new.format("primary_key")) for old, new in raw.items()]
    store = open_orders_store(tmp_path / "kept", source=changes, schema=[("min=18", "min=30")])
    store.stage("2024-01", store.problem.source.fetch("2024-01"))
    assert {"row", "primary_key"} <= set(store.quarantine("2024-01").columns)
    changes = [(old, new.format("penumbra.row")) for old, new in raw.items()]
    store = open_orders_store(tmp_path / "refused", source=changes)
    with pytest.raises(BatchRefused, match=r"gives the column 'penumbra.row': expected names that don't begin with"):
        store.stage("2024-01", store.problem.source.fetch("2024-01"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{RESERVED_PREFIX}row", "'penumbra.row': expected a name that doesn't begin with 'penumbra.'"),
        ("*", "'*', which polars takes for a pattern of names"),
        ("^a$", "'^a$', which polars takes for a pattern of names"),
        ('a "net"', "expected no quotation mark, backslash or control character"),
        ("a\\b", "expected no quotation mark, backslash or control character"),
        ("a\nb", "expected no quotation mark, backslash or control character"),
        ("primary_key", "Rules and columns must not be named equally"),
        ("age|min", "Rules and columns must not be named equally"),
        ("age|dtype", "Rules and columns must not be named equally"),
    ],
)
def test_a_name_that_cant_be_a_column_is_refused_when_the_problem_is_loaded(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(ProblemError, match="schema") as refused:
        load_renamed_orders(tmp_path, {**PLAIN_NAMES, "amount": name})
    assert words in str(refused.value)
