import copy
import itertools
import json
import pickle
import subprocess
import sys

import polars as pl
import pytest

from penumbra.core.loading.problem_defaults import OPTIONAL_NAMES
from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.problem import PROBLEM_PARTS, ProblemError
from penumbra.core.settings import PROJECT_ROOT
from penumbra.features import Category, Number
from service.http.requests.record_reader import Contract
from tests.helpers.problems.orders import load_orders

NUMBERS = itertools.count()
FILES = {
    "schema": """
import dataframely as dy
import polars as pl
TIME = "seen"
class Row(dy.Schema):
    ring = dy.Int32(primary_key=True)
    seen = dy.Datetime(nullable=False)
    grams = dy.Float64(nullable=True)
class Labelled(Row):
    wingspan = dy.Float64(nullable=True)
def target():
    return pl.col("wingspan") > 30
EXAMPLE = {"ring": 7, "seen": "2013-04-01T12:00:00"}
""",
    "source": """
def batches():
    return []
def fetch(batch):
    return {}
def parse(files):
    raise ValueError("nothing")
""",
    "features": """
from penumbra.features import Number
FEATURES = (Number("grams"),)
""",
    "candidates": """
from penumbra.patterns import Candidate
def tree(columns):
    return None
def baseline(columns):
    return None
CANDIDATES = {"tree": Candidate(tree)}
""",
}


@pytest.fixture
def write_package(tmp_path, monkeypatch):
    """A function that writes a `problem/` folder under a new name, with some files changed; returns the name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files):
        name = f"problem_of_birds_{next(NUMBERS)}"
        (tmp_path / name).mkdir()
        for part, code in {"__init__": "", **FILES, **files}.items():
            if code is not None:
                (tmp_path / name / f"{part}.py").write_text(code)
        return name

    return write


def describe_fault(package, parts=tuple(PROBLEM_PARTS)):
    """The message of the error, with the folder called problem."""
    with pytest.raises(ProblemError) as error:
        load_problem(parts, package=package)
    return str(error.value).replace(package, "problem")


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


def test_the_service_loads_its_parts_without_a_training_library():
    loading = "penumbra.core.loading.problem_loading"
    code = f"import sys; from {loading} import *; load_problem(SERVED_PARTS); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT_ROOT)}, capture_output=True, text=True, check=True
    )
    assert {"sklearn", "pandas", "mlflow", "problem.candidates", "problem.source"} & set(done.stdout.split()) == set()


def test_a_loaded_problem_pickles_as_its_name(write_package):
    package = write_package()
    again = copy.copy(load_problem(["features"], package))  # by pickle's protocol
    assert (again.package, list(again.loaded)) == (package, ["schema", "features"])
    assert pickle.dumps(again) == pickle.dumps(load_problem(["features"], package))


def test_what_was_checked_where_it_was_pickled_is_not_checked_again(write_package, monkeypatch):
    checked = load_problem(["features"], write_package())
    monkeypatch.setattr("penumbra.core.loading.problem_loading.PART_CHECKS", {})
    assert list(copy.copy(checked).loaded) == ["schema", "features"]  # by pickle's protocol


ROW_OF_TEXT = FILES["schema"].replace("dy.Datetime(nullable=False)", "dy.String()")


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        ("schema", None, "schema.py is missing: expected a Python file with Labelled, Row, TIME, target"),
        ("candidates", None, "candidates.py is missing: expected a Python file with CANDIDATES"),
        ("schema", "TIME = 3", "schema.py: TIME is 3: expected the name of a column of Row"),
        (
            "schema",
            FILES["schema"] + "TIME = 'when'",
            "schema.py: TIME names the column 'when', which Row doesn't have: expected one of ring, seen, grams",
        ),
        ("schema", ROW_OF_TEXT, "schema.py: TIME names the column 'seen', a dy.String: expected a dy.Datetime"),
        ("schema", FILES["schema"] + "EXAMPLE = 1", "schema.py: EXAMPLE is 1: expected a dict of JSON values"),
        ("schema", FILES["schema"] + "del EXAMPLE['ring']", "schema.py: EXAMPLE lacks ring: expected every column"),
        ("schema", FILES["schema"] + "EXAMPLE['eggs'] = 2", "schema.py: EXAMPLE has eggs, no column of Row"),
        ("schema", FILES["schema"] + "OUTCOME = {'grams': 2}", "OUTCOME has grams, no column that only Labelled has"),
        ("schema", FILES["schema"] + "QUESTION = 3", "schema.py: QUESTION is 3: expected a text"),
        ("schema", FILES["schema"] + "Row = {}", "schema.py: Row is {}: expected a subclass of dataframely.Schema"),
        ("schema", FILES["schema"] + "Labelled = Row", "schema.py: Labelled has no column that Row hasn't"),
        ("schema", FILES["schema"] + "target = pl.col('grams')", "expected a function that takes no argument"),
        ("schema", FILES["schema"] + "target = lambda: pl.col('note')", "schema.py: target() fails on the columns"),
        ("schema", FILES["schema"] + "target = lambda: 1 / 0", "schema.py: target() fails on the columns of Labelled"),
        (
            "schema",
            FILES["schema"] + "target = lambda: pl.col('seen')",
            "schema.py: target() gives Datetime(time_unit='us', time_zone=None): expected Boolean, an Enum of classes",
        ),
        (
            "schema",
            FILES["schema"] + "target = lambda: pl.col('wingspan') - pl.col('grams')",
            "schema.py: target() reads grams of Row, which a label that is reported later hasn't: expected columns of "
            "the outcome only (wingspan); have parse() in problem/source.py compute what it needs as one more column",
        ),
        ("schema", FILES["schema"] + "target = lambda: pl.lit(True)", "schema.py: target() reads no column: expected"),
        (
            "schema",
            FILES["schema"] + "target = lambda: pl.col('wingspan').cum_sum() > 3",
            "schema.py: target() reads other rows",
        ),
        (
            "schema",
            FILES["schema"] + "target = lambda: pl.col('wingspan') > pl.col('wingspan').mean()",
            "schema.py: target() reads other rows",
        ),
        (
            "schema",
            FILES["schema"].replace(
                "    grams", "    @dy.rule()\n    def odd(cls): return pl.col('nope') > 1\n    grams"
            ),
            "schema.py: the rule 'odd' fails on the columns of Labelled: ColumnNotFoundError: unable to find column",
        ),
        (
            "schema",
            FILES["schema"].replace(
                "    wing", "    @dy.rule()\n    def odd(cls): return pl.col('ring') + 1\n    wing"
            ),
            "schema.py: the rule 'odd' gives Int32: expected Boolean, true where a row keeps it",
        ),
        (
            "schema",
            FILES["schema"].replace("    grams", "    @dy.rule()\n    def odd(cls): return 1 / 0\n    grams"),
            "schema.py: the rule 'odd' fails on the columns of Labelled: ZeroDivisionError: division by zero",
        ),
        (
            "schema",
            FILES["schema"].replace("dy.Datetime(nullable=False)", "dy.Datetime(nullable=True)"),
            "schema.py: TIME names the column 'seen', which may be null: expected nullable=False",
        ),
        (
            "slices",
            "import polars as pl\nDAY = pl.col('seen').dt.date().max()",
            "slices.py: DAY doesn't give each row a value of its own",
        ),
        (
            "slices",
            "import polars as pl\nSLICES = {'ring': pl.col('ring').cast(pl.String).first()}",
            "slices.py: SLICES['ring'] doesn't give each row a value of its own",
        ),
        (
            "schema",
            FILES["schema"] + "from penumbra.features import *\nCHECKS = (NotAbove('grams', 'most'),)",
            "schema.py: CHECKS reads most, no column of Row: expected any of ring, seen, grams",
        ),
        (
            "schema",
            FILES["schema"] + "SENSITIVE = {'eggs': pl.col('eggs').cast(pl.String)}",
            "schema.py: SENSITIVE['eggs'] reads eggs, no column of Row: expected any of ring, seen, grams",
        ),
        (
            "schema",
            FILES["schema"] + "SENSITIVE = {'weight': pl.col('grams')}",
            "schema.py: SENSITIVE['weight'] gives Float64: expected String",
        ),
        (
            "schema",
            FILES["schema"] + "SENSITIVE = {'year': pl.col('seen').dt.year().cast(pl.String)}",
            "SENSITIVE['year'] reads seen, a Datetime(",
        ),
        ("schema", FILES["schema"] + "SENSITIVE = ('grams',)", "expected a dict of polars expressions by name"),
        ("source", FILES["source"] + "del fetch", "fetch is missing: expected a function that takes one argument"),
        ("source", FILES["source"] + "def fetch(): ...", "expected a function that takes one argument"),
        ("source", FILES["source"] + "CONVERSIONS = 'grams'", "CONVERSIONS is 'grams': expected a list of polars"),
        ("features", "FEATURES = ()", "features.py: FEATURES is empty: expected at least one feature"),
        ("features", "FEATURES = ('grams',)", "FEATURES is ('grams',): expected a tuple of features from penumbra"),
        ("features", FILES["features"] + "FEATURES *= 2", "features.py: FEATURES has grams more than once"),
        (
            "features",
            FILES["features"].replace("grams", "weight"),
            "features.py: FEATURES has weight, which reads weight, no column of Row",
        ),
        (
            "features",
            FILES["features"].replace("grams", ""),
            "features.py: FEATURES has '', which reads '', no column of Row",
        ),
        ("candidates", FILES["candidates"] + "CANDIDATES = {'tree': tree}", "expected a dict of penumbra.patterns"),
        ("candidates", FILES["candidates"] + "CANDIDATES = {'tree': Candidate(1)}", "has 'tree' with make=1: expected"),
        ("candidates", FILES["candidates"] + "CANDIDATES = {'baseline': Candidate(tree)}", "expected another name"),
        ("candidates", FILES["candidates"] + "baseline = 1", "candidates.py: baseline is 1: expected a function"),
        (
            "candidates",
            FILES["candidates"] + "import polars as pl\nCANDIDATES = {'a': Candidate(tree, learns=pl.col('eggs'))}",
            "candidates.py: CANDIDATES has 'a', which learns eggs, no column of Labelled",
        ),
        ("slices", "import polars as pl\nDAY = pl.col('seen')", "slices.py: DAY gives Datetime("),
        ("slices", "import polars as pl\nDAY = pl.col('day')", "slices.py: DAY can't be computed from the columns"),
        (
            "slices",
            "import polars as pl\nSLICES = {'ring': pl.col('ring')}",
            "SLICES['ring'] gives Int32: expected Str",
        ),
        (
            "slices",
            "import polars as pl\nSLICES = {'penumbra.day': pl.lit('a')}",
            "slices.py: SLICES has 'penumbra.day': expected a name that doesn't begin with 'penumbra.'",
        ),
        (
            "rules",
            "from penumbra.rules import *\nRULES = (Rule('odd', 'why', OneOf('eggs', [1]), Review()),)",
            "rules.py: RULES has odd, which reads eggs, no column of Row: expected any of ring, seen, grams",
        ),
        (
            "rules",
            "from penumbra.rules import *\nRULES = (Rule('odd', 'why', OneOf('ring', [1]), Review()),) * 2",
            "rules.py: RULES has odd more than once: expected a name of its own for each",
        ),
        ("rules", "OBSERVED_DECISIONS = False", "rules.py: OBSERVED_DECISIONS is False: expected a tuple of decisions"),
        (
            "rules",
            "OBSERVED_DECISIONS = ('no',)",
            "rules.py: OBSERVED_DECISIONS has 'no', no decision: expected any of ",
        ),
        ("source", "a = 1\nb = a +\n", "problem/source.py, line 2: SyntaxError: invalid syntax"),
        ("source", "\nimport no_such_library\n", "problem/source.py, line 2: ModuleNotFoundError: No module named"),
        ("features", "def a():\n    return 1 / 0\na()\n", "problem/features.py, line 2: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_named_with_file_name_and_expectation(write_package, part, code, words):
    assert words in describe_fault(write_package(**{part: code}))


def test_all_faults_are_named_at_once(write_package):
    fault = describe_fault(write_package(features="FEATURES = 1", source="fetch = 2"))
    assert "problem/features.py: FEATURES is 1" in fault
    assert "problem/source.py: batches is missing" in fault
    assert "problem/source.py: fetch is 2" in fault


def test_an_error_in_a_users_file_is_chained(write_package):
    with pytest.raises(ProblemError) as error:
        load_problem(package=write_package(schema="import no_such_library"))
    assert isinstance(error.value.__cause__, ModuleNotFoundError)


def test_a_missing_folder_is_named():
    with pytest.raises(ProblemError, match=r"nowhere/schema.py is missing"):
        load_problem(package="nowhere")


def test_every_optional_name_belongs_to_a_part():
    assert set(OPTIONAL_NAMES) <= {name for protocol in PROBLEM_PARTS.values() for name in protocol.__annotations__}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ('dy.Enum(["west", "west"])', "region is a dy.Enum that can't be made: Enum categories must be unique; found"),
        ("dy.Enum([1, 2])", "region is a dy.Enum that can't be made: Enum categories must be strings"),
        ('dy.List(dy.Enum(["a", "a"]))', "region is a dy.List that can't be made: Enum categories must be unique"),
        ("dy.Decimal(50, 2)", "region is a dy.Decimal that can't be made: precision must be between 1 and 38, got 50"),
        (
            'dy.Datetime(time_zone="Mars")',
            "region is a dy.Datetime that can't be made: unable to parse time zone: 'Mars'",
        ),
        (
            'dy.Datetime(time_unit="s")',
            "region is a dy.Datetime that can't be made: invalid `time_unit`: Expected one of",
        ),
    ],
)
def test_a_column_of_a_dtype_that_polars_refuses_is_named(tmp_path, column, words):
    with pytest.raises(ProblemError) as refused:
        load_orders(tmp_path, schema=[('dy.Enum(["north", "south", "west"])', column)])
    assert f"schema.py: {words}" in str(refused.value)
    assert "\n" not in str(refused.value)
