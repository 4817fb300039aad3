"""What is wrong with a problem is named when it is loaded: the file, the name, and what was expected."""

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import ProblemError
from tests.core.loading.bird_files import FILES, describe_fault
from tests.helpers.problems.orders import load_orders

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
        (
            "schema",
            FILES["schema"] + "import datetime as dt\nEXAMPLE['ring'] = dt.date(2024, 3, 1)",
            "schema.py: EXAMPLE has ring = datetime.date(2024, 3, 1): expected values as a request has them in JSON",
        ),
        (
            "schema",
            FILES["schema"] + "def target(): return 'wingspan'",
            "expected a polars expression, such as pl.col('",
        ),
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
            FILES["schema"] + 'target = lambda: pl.col("wingspan") + pl.max_horizontal("^wing.*$")',
            "schema.py: target() reads columns by a pattern, a list or a type: expected columns of the outcome",
        ),
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
            FILES["schema"].replace(
                "    wing", "    @dy.rule()\n    def odd(cls): return pl.col('ring').drop_nulls() > 0\n    wing"
            ),
            "schema.py: the rule 'odd' gives 0 values for 20 rows: expected one for each row",
        ),
        (
            "schema",
            FILES["schema"].replace(
                "    wing", "    @dy.rule()\n    def odd(cls): return pl.lit(pl.Series([True, True]))\n    wing"
            ),
            "schema.py: the rule 'odd' gives 2 values for 20 rows: expected one for each row",
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
            "schema.py: SENSITIVE['weight'] gives Float64: expected String, as .cast(pl.String) makes it",
        ),
        (
            "schema",
            FILES["schema"] + "SENSITIVE = {'year': pl.col('seen').dt.year().cast(pl.String)}",
            "SENSITIVE['year'] reads seen, a Datetime(",
        ),
        (
            "schema",
            FILES["schema"] + "SENSITIVE = {'heavy': (pl.col('grams') > pl.col('grams').median()).cast(pl.String)}",
            "SENSITIVE['heavy'] reads other rows: expected the same group of a row whatever rows are beside it",
        ),
        ("schema", FILES["schema"] + "SENSITIVE = ('grams',)", "expected a dict of polars expressions by name"),
        ("source", FILES["source"] + "del fetch", "fetch is missing: expected a function that takes one argument"),
        ("source", FILES["source"] + "def fetch(): ...", "expected a function that takes one argument"),
        ("source", FILES["source"] + "CONVERSIONS = 'grams'", "CONVERSIONS is 'grams': expected a list of polars"),
        ("features", "FEATURES = ()", "features.py: FEATURES is empty: expected at least one feature"),
        ("features", "FEATURES = ('grams',)", "FEATURES is ('grams',): expected a tuple of features from penumbra"),
        (
            "features",
            FILES["features"] + "class Own(Number): ...\nFEATURES = (Own('grams'),)",
            "FEATURES is (Own(column='grams'),): expected a tuple of features from penumbra",
        ),
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
        (
            "candidates",
            FILES["candidates"] + "CANDIDATES = {'tree': Candidate(1)}",
            "has 'tree', a Candidate(…) with make = 1: expected a function of the columns",
        ),
        (
            "candidates",
            FILES["candidates"] + "CANDIDATES = {'tree': Candidate(tree, learns='eggs')}",
            "has 'tree', a Candidate(…) with learns = 'eggs': expected a polars expression",
        ),
        (
            "candidates",
            FILES["candidates"] + "CANDIDATES = {'tree': Candidate(tree, window=0)}",
            "CANDIDATES has 'tree' with window = 0: expected at least 1",
        ),
        (
            "candidates",
            FILES["candidates"] + "CANDIDATES = {'tree': Candidate(tree, trials=0)}",
            "CANDIDATES has 'tree' with trials = 0: expected at least 1",
        ),
        (
            "candidates",
            FILES["candidates"] + "CANDIDATES = {'tree': Candidate(tree, search=dict), 'tree-1': Candidate(tree)}",
            "CANDIDATES has 'tree-1', as a search of 'tree' is called: expected another name",
        ),
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
