import copy
import json
import pickle
import subprocess
import sys

import polars as pl
import pytest

from penumbra.core.loading.problem_defaults import OPTIONAL_NAMES
from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.problem import PROBLEM_PARTS
from penumbra.core.settings import PROJECT_ROOT
from penumbra.features import Category, Number
from service.http.requests.record_reader import Contract
from tests.core.loading.bird_files import FILES, describe_fault


def test_the_shipped_problem_has_every_name_of_the_protocols():
    problem = load_problem()
    assert problem.schema.TIME == "time_hour"
    assert [part for part in PROBLEM_PARTS if not vars(getattr(problem, part))] == []
    assert set(problem.files) == set(PROBLEM_PARTS)


def test_what_is_optional_has_its_default(write_package):
    problem = load_problem(package=write_package())
    assert (problem.schema.CHECKS, problem.schema.OUTCOME, problem.source.CONVERSIONS) == ((), {}, ())
    assert problem.schema.QUESTION == ""
    assert (problem.slices.SLICES, problem.rules.RULES) == ({}, ())
    assert problem.slices.DAY.meta.eq(pl.col("seen").dt.date())
    assert "slices" not in problem.files


BARE_FILES = {
    "schema": FILES["schema"]
    .partition("EXAMPLE")[0]
    .replace(
        "class Labelled",
        """    kind = dy.Enum(["owl", "tit"])
    tame = dy.Bool(nullable=True)
    hatched = dy.Date(nullable=True)
    @dy.rule()
    def heavy_owls(cls):
        return (pl.col("kind") != "owl") | (pl.col("grams") > 10).fill_null(True)
class Labelled""",
    ),
    "source": """
from penumbra.sources import TableFiles
SOURCE = TableFiles("birds/*.csv", time="seen", period="year")
""",
    "features": None,
    "candidates": FILES["candidates"].replace("def baseline(columns):\n    return None\n", ""),
}


def test_a_problem_may_leave_out_all_that_follows_from_its_contract(write_package):
    problem = load_problem(package=write_package(**BARE_FILES))
    assert problem.source.fetch.__self__.period == "year"
    assert (Number("grams"), Category("kind"), Category("tame")) == problem.features.FEATURES
    assert problem.candidates.baseline is None
    assert problem.schema.EXAMPLE["seen"] == "2024-03-01T12:00:00"
    assert "features" not in problem.files


def test_a_sensitive_column_is_no_feature_by_default(write_package):
    sensitive = 'SENSITIVE = {"bird": pl.col("kind").cast(pl.String)}\n'
    problem = load_problem(package=write_package(**BARE_FILES | {"schema": BARE_FILES["schema"] + "\n" + sensitive}))
    assert (Number("grams"), Category("tame")) == problem.features.FEATURES


def test_the_example_that_is_drawn_keeps_the_contract_and_is_the_same_every_time(write_package):
    first, second = (load_problem(["schema"], write_package(**BARE_FILES)).schema for _ in range(2))
    assert first.EXAMPLE == second.EXAMPLE
    contract = Contract(first.Row, first.CHECKS, first.EXAMPLE, max_records=1)
    contract.parse_one(json.dumps(first.EXAMPLE).encode())


@pytest.mark.slow
def test_a_contract_that_no_example_is_found_for_asks_for_one(write_package):
    rule = '(pl.col("kind") != "owl") | (pl.col("grams") > 10).fill_null(True)'
    never = BARE_FILES["schema"].replace(rule, 'pl.col("ring") == 123_456_789')
    assert "schema.py: EXAMPLE lacks ring, seen, kind: expected every column" in describe_fault(
        write_package(**BARE_FILES | {"schema": never})
    )


def test_functions_of_the_file_go_before_those_of_its_source(write_package):
    own = BARE_FILES["source"] + "def batches():\n    return ['mine']\n"
    problem = load_problem(package=write_package(**BARE_FILES | {"source": own}))
    assert problem.source.batches() == ["mine"]
    assert problem.source.parse.__self__.time == "seen"


def test_a_source_with_a_wrong_option_is_named_with_its_line(write_package):
    wrong = BARE_FILES["source"].replace("year", "hour")
    assert "problem/source.py, line 3: ValueError: period = 'hour': expected one of day, week, month" in describe_fault(
        write_package(source=wrong)
    )


def test_a_part_has_the_names_of_its_protocol_and_no_other(write_package):
    problem = load_problem(package=write_package(source=FILES["source"] + "SECRET = 1\n"))
    assert set(vars(problem.source)) == {"batches", "fetch", "parse", "CONVERSIONS"}


def test_only_the_parts_that_are_asked_for_are_imported(write_package):
    package = write_package(candidates="raise RuntimeError", source="raise RuntimeError")
    problem = load_problem(SERVED_PARTS, package)
    with pytest.raises(AttributeError, match="no part 'source': load_problem"):
        problem.source.fetch("2013-01")


@pytest.mark.slow
def test_the_service_loads_its_parts_without_a_training_library_or_sqlalchemy():
    loading = "penumbra.core.loading.problem_loading"
    code = f"import sys; from {loading} import *; load_problem(SERVED_PARTS); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT_ROOT)}, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"sklearn", "pandas", "mlflow", "sqlalchemy", "problem.candidates", "problem.source"} & loaded == set()


def test_a_loaded_problem_pickles_as_its_name(write_package):
    package = write_package()
    again = copy.copy(load_problem(["features"], package))  # by pickle's protocol
    assert (again.package, list(again.loaded)) == (package, ["schema", "features"])
    assert pickle.dumps(again) == pickle.dumps(load_problem(["features"], package))


def test_what_was_checked_where_it_was_pickled_is_not_checked_again(write_package, monkeypatch):
    checked = load_problem(["features"], write_package())
    monkeypatch.setattr("penumbra.core.loading.problem_loading.PART_CHECKS", {})
    assert list(copy.copy(checked).loaded) == ["schema", "features"]  # by pickle's protocol


def test_every_optional_name_belongs_to_a_part():
    assert set(OPTIONAL_NAMES) <= {name for protocol in PROBLEM_PARTS.values() for name in protocol.__annotations__}
