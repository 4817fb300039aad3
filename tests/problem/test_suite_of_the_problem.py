"""The tests in `problem_tests/` pass for a sound problem, and say what is wrong with another in one sentence."""

import datetime as dt
import os
import re
import runpy
import subprocess
import sys
from types import SimpleNamespace

import polars as pl
import pytest
from _pytest.outcomes import Failed, Skipped

from flows.steps.doctor.examination import examine_store
from penumbra.core.settings import load_settings
from penumbra.data.source_reader import BatchRefused
from penumbra.training.doctor.checks import SHARED_MISSINGNESS
from problem_tests import conftest, test_candidates, test_contract, test_features, test_slices, test_source
from problem_tests.sample import take_sample
from tests.helpers.checkout import REPOSITORY, link_checkout
from tests.helpers.problems.orders import load_orders, write_orders
from tests.helpers.programs.forking import find_python

SETTINGS = load_settings()
SETTINGS = SETTINGS.model_copy(update={"data": SETTINGS.data.model_copy(update={"today": dt.date(2024, 4, 1)})})


def sample_orders(folder, **changes):
    """A sample of the orders with a fault."""
    return take_sample(SETTINGS, load_orders(folder, **changes), folder / "sample")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return sample_orders(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def ship(tmp_path_factory):
    """The suite's fixture `ship` for a sample."""
    return lambda sample: test_candidates.ship.__wrapped__(sample, tmp_path_factory)


def test_it_fits_with_as_many_threads_as_are_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    runpy.run_path(conftest.__file__)
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_it_fits_with_one_thread_where_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # brought back afterwards
    monkeypatch.delenv("OMP_NUM_THREADS")
    runpy.run_path(conftest.__file__)
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_sample_is_the_two_newest_batches_where_these_have_enough_rows(sound):
    assert sound.store.batches() == ["2024-02", "2024-03"]
    assert 2_000 <= sound.labelled.height < 4_000


def test_a_sample_of_small_batches_takes_more_of_them(tmp_path):
    sample = sample_orders(tmp_path, source=[("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 10")])
    assert sample.store.batches() == ["2024-01", "2024-02", "2024-03"]


KNOWN = '"churned": str(churned).lower(),'


@pytest.mark.slow
def test_a_sample_reaches_back_for_a_class_that_the_newest_batches_lack(tmp_path):
    only_in_january = '"churned": str(day.month == 1 and n == 0).lower(),'
    sample = sample_orders(tmp_path, source=[(KNOWN, only_in_january)])
    assert sample.store.batches() == ["2024-01", "2024-02", "2024-03"]
    assert (sample.missing_classes, sample.labelled["penumbra.label"].sum()) == ([], 31)


@pytest.mark.slow
def test_a_sample_reaches_back_over_batches_without_outcomes(tmp_path):
    in_january = '"churned": str(churned).lower() if day.month == 1 else "",'
    assert sample_orders(tmp_path, source=[(KNOWN, in_january)]).store.batches() == ["2024-01", "2024-02", "2024-03"]


ENUM = [
    ("churned = dy.Bool(nullable=True)", 'churned = dy.Enum(["no", "yes", "moved"], nullable=True)'),
    ('OUTCOME = {"churned": False}', 'OUTCOME = {"churned": "no"}'),
]


@pytest.mark.slow
def test_a_class_that_no_batch_has_is_no_fault_of_the_candidates(tmp_path, ship):
    source = [(KNOWN, '"churned": "yes" if churned else "no",'), ('("member", "churned")', '("member",)')]
    sample = sample_orders(tmp_path, schema=ENUM, source=source)
    assert sample.missing_classes == ["moved"]
    shipped = ship(sample)
    test_candidates.test_a_candidate_can_be_fitted_and_shipped(shipped, "boosting")
    test_candidates.test_a_candidate_is_served_as_it_was_trained(sample, shipped, "boosting")
    test_candidates.test_the_baseline_looks_at_no_input(sample)


@pytest.mark.slow
def test_an_outcome_that_is_always_the_same_in_the_newest_batches_is_skipped_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("problem_tests.sample.MAX_BATCHES", 2)
    sample = sample_orders(tmp_path, source=[(KNOWN, '"churned": str(day.month == 1).lower(),')])
    with pytest.raises(
        Skipped, match="it is False in all 3,600 rows that have one in the newest 2 batches; older ones"
    ):
        test_source.test_the_outcome_varies(sample)
    with pytest.raises(Skipped, match="the outcome of the newest batches is always False: nothing can be learnt from"):
        conftest.varied_sample.__wrapped__(sample)
    test_features.test_the_doctor_finds_nothing(sample, SETTINGS)


def fail_message(test, *fixtures):
    with pytest.raises(Failed) as failed:
        test(*fixtures)
    assert not failed.value.pytrace
    return str(failed.value)


def test_an_example_that_breaks_the_contract_is_named(tmp_path):
    problem = load_orders(tmp_path, schema=[('"age": 40', '"age": 140')])
    test = test_contract.test_the_example_is_a_request_that_keeps_the_contract
    assert fail_message(test, problem, SETTINGS).startswith(
        "EXAMPLE of problem/schema.py is refused as a request: age is 140, expected "
    )


def test_a_column_of_labels_that_the_outcome_lacks_is_said_to_be_missing_in_one_sentence(tmp_path):
    columns = (
        "churned = dy.Bool(nullable=True)",
        "churned = dy.Bool(nullable=True)\n    paid = dy.Int8(nullable=True)",
    )
    problem = load_orders(tmp_path, schema=[columns])
    test = test_contract.test_the_outcome_of_the_example_can_be_reported_and_tells_the_target
    with pytest.raises(Failed) as failed:
        test(problem, SETTINGS)
    assert str(failed.value) == (
        "OUTCOME of problem/schema.py is refused as a label: paid is missing, expected a value or null: the field is "
        "required: add it to OUTCOME"
    )
    assert (failed.value.pytrace, failed.value.__context__) == (False, None)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ('{"churned": "no"}', "OUTCOME of problem/schema.py is refused as a label: churned is "),
        ('{"churned": None}', "target() of problem/schema.py is null for the OUTCOME {'churned': None}"),
    ],
)
def test_an_outcome_that_can_not_be_reported_is_named(tmp_path, outcome, words):
    problem = load_orders(tmp_path, schema=[('{"churned": False}', outcome)])
    test = test_contract.test_the_outcome_of_the_example_can_be_reported_and_tells_the_target
    assert fail_message(test, problem, SETTINGS).startswith(words)


def test_a_batch_that_is_refused_is_said_by_one_test(tmp_path):
    with pytest.raises(BatchRefused) as refused:
        sample_orders(tmp_path, schema=[("max=10_000", "max=10")])
    said = fail_message(test_source.test_the_newest_batches_are_accepted, refused.value)
    assert said.startswith("batch 2024-03 refused: ")
    with pytest.raises(Skipped, match="see the test of the newest batches"):
        conftest.sample.__wrapped__(refused.value)


def test_a_source_without_a_complete_batch_is_said(tmp_path):
    with pytest.raises(BatchRefused, match=r"lists none that is complete by data\.today, 2024-04-01"):
        sample_orders(tmp_path, source=[('f"2024-{month:02}", dt.date(2024', 'f"2024-{month:02}", dt.date(2034')])


@pytest.mark.parametrize(("error", "is_skipped"), [("ConnectionError", True), ("FileNotFoundError", False)])
def test_a_source_out_of_reach_is_skipped_and_a_missing_file_is_not(tmp_path, tmp_path_factory, error, is_skipped):
    problem = load_orders(tmp_path, source=[("    first = dt.date.from", f'    raise {error}("x")\n    dt.date.from')])
    take = conftest.attempt.__wrapped__
    if is_skipped:
        with pytest.raises(Skipped, match=r"the source is out of reach: .*ConnectionError: x"):
            take(SETTINGS, problem, tmp_path_factory)
    else:
        assert "FileNotFoundError: x" in str(take(SETTINGS, problem, tmp_path_factory))


@pytest.mark.slow
def test_bytes_that_change_from_fetch_to_fetch_are_found(tmp_path):
    stamp = '"fetched.txt": str(time.time_ns()).encode(), "orders.csv"'
    sample = sample_orders(
        tmp_path, source=[("import math\n", "import math\nimport time\n"), ('"orders.csv": ', f"{stamp}: ")]
    )
    said = fail_message(test_source.test_fetching_a_batch_twice_gives_the_same_bytes, sample)
    assert said.startswith("problem/source.py: fetched.txt of batch 2024-03 has other bytes when it is fetched again")


@pytest.mark.slow
def test_an_outcome_that_never_varies_is_found(tmp_path):
    sample = sample_orders(tmp_path, schema=[('pl.col("churned")', 'pl.col("churned") & False')])
    said = fail_message(test_source.test_the_outcome_varies, sample)
    assert said.startswith("target: it is False in all 5,460 rows that have one: ")


LEAKY = """
import polars as pl
from penumbra.features import Expression
from .schema import Labelled
FEATURES = (*FEATURES, Expression("left", pl.col("churned").cast(pl.Float64), Labelled))
"""


@pytest.mark.slow
def test_a_feature_that_knows_the_outcome_is_found(tmp_path):
    sample = sample_orders(tmp_path, features=[('Number("age"))\n', f'Number("age"))\n{LEAKY}')])
    said = fail_message(test_features.test_the_doctor_finds_nothing, sample, SETTINGS)
    assert "left: it reads churned, and a request has no such column" in said


SELDOM = [('"amount": amount', '"amount": amount if day.month == 1 or n == 0 and day.day == 1 else ""')]
SPARSE = [('"amount": amount', '"amount": amount if n == 0 and day.day == 1 else ""')]


@pytest.mark.slow
def test_a_feature_that_is_seldom_there_in_the_newest_batches_fails_only_where_they_are_all(tmp_path):
    sample = sample_orders(tmp_path, source=SELDOM)
    assert not sample.is_whole
    test_features.test_the_doctor_finds_nothing(sample, SETTINGS)
    (tmp_path / "all").mkdir()
    whole = sample_orders(tmp_path / "all", source=[*SPARSE, ("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 21")])
    assert whole.is_whole
    said = fail_message(test_features.test_the_doctor_finds_nothing, whole, SETTINGS)
    assert re.match(r"amount: 99.\d% missing in all 1,911 rows: ", said)


@pytest.mark.slow
def test_a_feature_that_is_missing_beside_the_outcome_in_the_newest_batches_alone_fails_nothing(tmp_path):
    source = [
        (KNOWN, '"churned": "" if day.month == 3 and n < 20 else str(churned).lower(),'),
        ('"amount": amount', '"amount": "" if day.month == 3 and n < 20 or day.month == 1 and n < 30 else amount'),
    ]
    sample = sample_orders(tmp_path, source=source)
    assert not sample.is_whole
    assert [each.check for each in examine_store(sample.store)] == [SHARED_MISSINGNESS]
    test_features.test_the_doctor_finds_nothing(sample, SETTINGS)


DEAD = """
import polars as pl
from penumbra.features import Expression
from .schema import Row
FEATURES = (*FEATURES, Expression("dead", pl.when(pl.col("age") < 0).then(pl.col("age")), Row))
"""


def test_a_feature_without_values_is_found(tmp_path):
    sample = sample_orders(tmp_path, features=[('Number("age"))\n', f'Number("age"))\n{DEAD}')])
    said = fail_message(test_features.test_every_feature_has_values, sample)
    assert said == "problem/features.py: dead is missing in all 3,600 rows of the newest batches"


ENDED = ('"amount": amount', '"amount": ""')


@pytest.mark.slow
def test_a_feature_of_a_column_that_has_ended_is_skipped_where_older_batches_may_have_it(tmp_path):
    sample = sample_orders(tmp_path, source=[ENDED])
    test_features.test_the_doctor_finds_nothing(sample, SETTINGS)
    with pytest.raises(
        Skipped, match=r"^amount is missing in all 3,600 rows of the newest batches, as what it is made"
    ):
        test_features.test_every_feature_has_values(sample)


def test_a_feature_of_a_column_that_no_batch_has_is_found(tmp_path):
    sample = sample_orders(tmp_path, source=[ENDED, ("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 21")])
    said = fail_message(test_features.test_every_feature_has_values, sample)
    assert said == "problem/features.py: amount is missing in all 1,911 rows of the newest batches"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ('raise RuntimeError("no licence")', "RuntimeError: no licence"),
        ("from sklearn.svm import LinearSVC\n    return LinearSVC()", "wrap it in CalibratedClassifierCV"),
        (
            "from sklearn.linear_model import Ridge\n    return Ridge(alpha=-1)",
            "InvalidParameterError: The 'alpha' parameter",
        ),
    ],
)
def test_a_candidate_that_can_not_be_fitted_or_shipped_is_named_with_the_reason(tmp_path, ship, make, words):
    sample = sample_orders(tmp_path, candidates=[('small trees."""\n', f'small trees."""\n    {make}\n')])
    said = fail_message(test_candidates.test_a_candidate_can_be_fitted_and_shipped, ship(sample), "boosting")
    assert said.startswith("candidate boosting: ")
    assert words in said


@pytest.mark.slow
def test_a_baseline_that_looks_at_inputs_is_found(tmp_path):
    sample = sample_orders(
        tmp_path, candidates=[("return DummyClassifier(", "return boosting(columns)\n    DummyClassifier(")]
    )
    said = fail_message(test_candidates.test_the_baseline_looks_at_no_input, sample)
    assert said.startswith(
        "baseline() of problem/candidates.py is a HistGradientBoostingClassifier whose predictions differ"
    )


@pytest.mark.slow
def test_answers_that_differ_from_training_are_found(sound, ship, monkeypatch):
    monkeypatch.setattr(test_candidates, "read_one", lambda answer: 0.5)
    said = fail_message(test_candidates.test_a_candidate_is_served_as_it_was_trained, sound, ship(sound), "boosting")
    assert said.startswith("candidate boosting: ")
    assert "answers to POST /predict with one record differ: 0.5 instead of training's" in said


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ({"by member": pl.col("member")}, "by member has the dtype Boolean: expected String"),
        ({"by shop": pl.col("shop")}, "by shop: ColumnNotFoundError: "),
        ({"by age": pl.when(pl.col("age") > 200).then(pl.lit("old"))}, "by age is null in all 3,600 rows"),
    ],
)
def test_a_slice_that_can_not_be_computed_is_named(sound, slices, words):
    problem = SimpleNamespace(slices=SimpleNamespace(DAY=sound.problem.slices.DAY, SLICES=slices))
    changed = SimpleNamespace(problem=problem, rows=sound.rows)
    said = fail_message(test_slices.test_every_slice_and_the_day_can_be_computed, changed)
    assert said.startswith(f"problem/slices.py: {words}")


@pytest.fixture
def run_suite(tmp_path):
    """Run the suite in a checkout with another problem; returns the exit code and the output."""

    def run(problem, **settings):
        (tmp_path / "checkout").mkdir()
        checkout = link_checkout(tmp_path / "checkout", problem)
        environ = {f"PENUMBRA_{name.upper()}": value for name, value in settings.items()}
        known = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # a plugin's, by the forked process
        command = [*find_python(), "-m", "pytest", "-W", known, "-p", "no:cacheprovider", "problem_tests"]
        environ |= {**os.environ, "PYTHONPATH": str(checkout)}
        done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.slow
def test_a_sound_problem_is_green(tmp_path, run_suite):
    problem = write_orders(tmp_path / "problem")
    code, output = run_suite(problem, data__today="2024-04-01", training__candidates="boosting")
    assert code == 0, output


@pytest.mark.slow
def test_a_problem_that_leaves_out_what_follows_from_its_contract_is_green(tmp_path, run_suite):
    problem = write_orders(tmp_path / "problem", schema=[("EXAMPLE", "SAMPLE")], candidates=[("baseline", "constant")])
    (problem / "features.py").unlink()
    code, output = run_suite(problem, data__today="2024-04-01", training__candidates="boosting")
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sky", "temperature"])
def test_the_examples_are_green(run_suite, name):
    code, output = run_suite(REPOSITORY / "examples" / name, training__candidates="boosting")
    assert code == 0, output


@pytest.mark.slow
def test_a_folder_that_can_not_be_loaded_is_one_failure_with_its_sentence(tmp_path, run_suite):
    code, output = run_suite(write_orders(tmp_path / "problem", schema=[('TIME = "at"', 'TIME = "when"')]))
    assert code == 1
    assert "problem/schema.py: TIME names the column 'when'" in output
    assert "1 failed" in output.splitlines()[-1]
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("folders", [("tests/core", "problem_tests"), ("problem_tests", "tests/core")])
def test_both_suites_in_one_process_are_refused(folders):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *folders]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True)
    assert done.returncode == 4
    assert "tests/ and problem_tests/ need a process each" in done.stdout + done.stderr
