"""From a CSV to a served answer: analysis, written files, settings, and the tests that every problem passes."""

import datetime as dt
from types import SimpleNamespace

import polars as pl
import pytest

from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.drafting.analysis.problem_analysis import draft_problem
from penumbra.drafting.files.settings_file import choose_settings, edit_settings
from problem_tests import test_candidates, test_contract, test_features, test_slices, test_source
from problem_tests.sample import take_sample
from problem_tests.serving import ask, open_service
from tests.helpers.problems.drafts import write_orders
from tests.helpers.problems.written_problems import load_written

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of what the estimators say, as in problem_tests/
]
CASES = {
    "binary, with time and key": ("returned?", {"time": "ordered at", "key": ["order"]}),
    "classes, without key": ("size", {"key": []}),
    "number, without time": ("paid, in €", {"time": None, "key": []}),
}
ANSWERS = {"returned?": "probability", "size": "probabilities", "paid, in €": "value"}
DROPPED = {"returned?": [], "size": [], "paid, in €": ["ordered at"]}


def write_foreign_table(path, dropped):
    """The orders as a spreadsheet of some countries has them: semicolons, decimal commas, days before months."""
    table = pl.read_csv(write_orders(path)).drop(dropped)
    floats = pl.selectors.float().cast(pl.String).str.replace(".", ",", literal=True)
    times = pl.selectors.by_name("ordered at", require_all=False).str.to_datetime().dt.strftime("%d.%m.%Y %H:%M")
    table.with_columns(floats, times).write_csv(path, separator=";")
    return path


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def drafted(request, tmp_path_factory):
    """The settings, the loaded problem and a sample of it, as `penumbra init` would have them."""
    target, choices = CASES[request.param]
    folder = tmp_path_factory.mktemp("drafted", numbered=True)
    draft = draft_problem(str(write_foreign_table(folder / "orders.csv", DROPPED[target])), target, **choices)
    (folder / "package").mkdir()
    package = folder / "package" / folder.name
    package.mkdir()
    with load_written(draft, package) as problem:
        values = choose_settings(draft, problem.source.batches(), 20, "orders", dt.date(2026, 1, 1))
        (folder / "settings.toml").write_text(edit_settings((PROJECT_ROOT / "settings.toml").read_text(), values))
        settings = load_settings(folder / "settings.toml", environ={})
        sample = take_sample(settings, problem, folder / "sample")
        ship = test_candidates.ship.__wrapped__(sample, tmp_path_factory)
        yield SimpleNamespace(target=target, settings=settings, problem=problem, sample=sample, ship=ship)


def test_the_tests_of_a_problem_pass(drafted):
    problem, settings, sample = drafted.problem, drafted.settings, drafted.sample
    test_contract.test_the_example_is_a_request_that_keeps_the_contract(problem, settings)
    test_contract.test_the_outcome_of_the_example_can_be_reported_and_tells_the_target(problem, settings)
    test_source.test_fetching_a_batch_twice_gives_the_same_bytes(sample)
    test_source.test_the_outcome_varies(sample)
    test_features.test_the_doctor_finds_nothing(sample, settings)
    test_features.test_every_feature_has_values(sample)
    test_slices.test_every_slice_and_the_day_can_be_computed(sample)
    test_candidates.test_the_baseline_looks_at_no_input(sample)


@pytest.mark.parametrize("candidate", ["forest", "boosting", "linear"])
def test_each_candidate_is_served_as_it_was_trained(drafted, candidate):
    assert set(drafted.settings.training.candidates) == set(drafted.problem.candidates.CANDIDATES)
    test_candidates.test_a_candidate_can_be_fitted_and_shipped(drafted.ship, candidate)
    test_candidates.test_a_candidate_is_served_as_it_was_trained(drafted.sample, drafted.ship, candidate)


def test_the_example_is_answered_in_the_tasks_own_words(drafted):
    _, state = drafted.ship("linear")
    with open_service(drafted.sample, state) as http:
        answer = ask(http, drafted.problem.schema.EXAMPLE)
    assert ANSWERS[drafted.target] in answer
