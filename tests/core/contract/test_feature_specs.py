import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, get_args

import dataframely as dy
import polars as pl
import pytest

from penumbra.core.contract.feature_specs import UnportableFeature, UnreadableFeature, describe_features, read_features
from penumbra.core.problem import ProblemError
from penumbra.core.settings import PROJECT_ROOT
from penumbra.features import Category, ClockMinutes, Difference, Expression, Feature, Hour, Month, Number, Weekday
from tests.helpers.problems.orders import load_orders

pytestmark = pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")


class Order(dy.Schema):
    amount = dy.Float64(nullable=True)
    age = dy.Int16()
    region = dy.Enum(["north", "south"])
    at = dy.Datetime(time_zone="UTC")


BUILT_IN: tuple[Feature, ...] = (
    Number("amount"),
    Category("region"),
    ClockMinutes("age"),
    Hour("at", "Europe/Berlin"),
    Weekday("at", "Europe/Berlin"),
    Month("at", "Europe/Berlin"),
    Difference("amount", "age"),
)
EXPRESSIONS = {
    "log": pl.col("amount").log1p(),
    "ratio": pl.col("amount") / (pl.col("age") + 1),
    "coast": pl.col("region").is_in(["north"]).cast(pl.Float64),
    "night": pl.when(pl.col("at").dt.hour() < 6).then(1).otherwise(0),
    "zone": pl.col("at").dt.convert_time_zone("America/New_York").dt.hour(),
    "shares": pl.col("region").replace_strict({"north": 0.5, "south": 0.25}, default=None, return_dtype=pl.Float64),
}


def test_every_kind_of_feature_has_an_example_here() -> None:
    assert {type(feature) for feature in BUILT_IN} | {Expression} == set(get_args(Feature))


def test_features_read_back_as_they_were_described() -> None:
    assert read_features(json.loads(json.dumps(describe_features(BUILT_IN))), Order) == BUILT_IN


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_reads_back_and_computes_the_same(name: str) -> None:
    written = Expression(name, EXPRESSIONS[name], Order)
    (read,) = read_features(json.loads(json.dumps(describe_features([written]))), Order)
    assert describe_features([read]) == describe_features([written])
    rows = Order.sample(20)
    assert rows.select(read.expr()).equals(rows.select(written.expr()))
    record = rows.row(0, named=True)
    assert read.scalar()(record) == pytest.approx(written.scalar()(record), nan_ok=True)


def test_another_expression_is_another_feature() -> None:
    first, second = (Expression("x", pl.col("amount") * factor, Order) for factor in (2, 3))
    assert describe_features([first]) != describe_features([second])


FOREIGN = {
    "map_elements": pl.col("amount").map_elements(lambda value: value, return_dtype=pl.Float64),
    "map_batches": pl.col("amount").map_batches(lambda values: values),
    "fold": pl.fold(pl.lit(0), lambda total, value: total + value, [pl.col("amount")]),
    "nested": pl.when(pl.col("amount").map_batches(lambda values: values) > 1).then(1).otherwise(0),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_expression_with_a_python_function_is_not_described(name: str) -> None:
    with pytest.raises(UnportableFeature, match=f"{name} has code that isn't polars'"):
        describe_features([Expression(name, FOREIGN[name], Order)])


def test_a_plugin_is_not_described() -> None:
    library = Path(pl.__file__)  # any file will do: it isn't loaded until the expression is evaluated
    foreign = pl.plugins.register_plugin_function(plugin_path=library, function_name="f", args=[pl.col("amount")])
    with pytest.raises(UnportableFeature, match="FfiPlugin"):
        describe_features([Expression("x", foreign, Order)])


@pytest.mark.parametrize("name", FOREIGN)
def test_a_python_function_that_stands_in_a_bundle_all_the_same_is_refused_before_it_is_read(name: str) -> None:
    content = json.loads(FOREIGN[name].meta.serialize(format="json"))
    spec = {"kind": "Expression", "name": name, "expression": content, "polars": pl.__version__, "text": ""}
    with pytest.raises(UnreadableFeature, match=f"{name}, which has code that isn't polars'"):
        read_features([spec], Order)


def test_an_expression_of_a_polars_that_writes_otherwise_says_so_and_is_taken_from_the_code_where_that_has_it() -> None:
    written = Expression("log", pl.col("amount").log1p(), Order)
    (spec,) = describe_features([written])
    unreadable = {**spec, "expression": {"Shape": "new"}, "polars": "9.9.9"}
    with pytest.raises(
        UnreadableFeature, match=rf"expression log, written by polars 9.9.9, which polars {pl.__version__}"
    ):
        read_features([unreadable], Order)
    assert read_features([unreadable], Order, [Number("amount"), written]) == (written,)


def test_the_text_of_earlier_releases_is_read_without_being_executed(tmp_path: Path) -> None:
    assert read_features([repr(feature) for feature in BUILT_IN], Order) == BUILT_IN
    for text in (
        f"open({str(tmp_path / 'x')!r}, 'w')",
        f"Number(column=open({str(tmp_path / 'x')!r}, 'w'))",
        "Number(",
    ):
        with pytest.raises(UnreadableFeature):
            read_features([text], Order)
    assert not (tmp_path / "x").exists()


def test_the_text_of_an_expression_of_earlier_releases_counts_where_the_code_still_has_it() -> None:
    feature = Expression("log", pl.col("amount").log1p(), Order)
    assert read_features([repr(feature)], Order, [feature]) == (feature,)
    with pytest.raises(UnreadableFeature, match="Expression"):
        read_features([repr(feature)], Order)


@pytest.mark.parametrize("spec", [{"kind": "Nought", "column": "a"}, {"kind": "Number", "colour": "a"}, {}])
def test_a_kind_that_this_code_does_not_have_is_named(spec: dict[str, Any]) -> None:
    with pytest.raises(UnreadableFeature, match="a kind of feature that this code doesn't have"):
        read_features([spec], Order)


PRINT = """
import polars as pl, problem.schema
from penumbra.features import Expression
from penumbra.core.contract.feature_specs import describe_features
print(describe_features([Expression("doubled", pl.col("distance") * 2, problem.schema.Row)]))
"""


@pytest.mark.slow
def test_features_are_described_the_same_in_every_process() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", PRINT], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout == second.stdout != ""


def test_a_problem_whose_feature_no_model_could_carry_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    features = [
        ("import Category, Feature, Number", "import Category, Expression, Feature, Number"),
        (
            'Number("age"))',
            'Number("age"), Expression("old", pl.col("age").map_batches(lambda age: age > 60), Row))',
        ),
        ('"""The model\'s inputs."""', '"""The model\'s inputs."""\n\nimport polars as pl\n\nfrom .schema import Row'),
    ]
    with (
        pytest.raises(
            ProblemError, match=r"features\.py: FEATURES has the Expression 'old', .*code that isn't polars'"
        ),
        warnings.catch_warnings(),
    ):
        load_orders(tmp_path, features=features)
