from types import SimpleNamespace

import dataframely as dy
import polars as pl
import pytest

from penumbra.core.histograms import DegradedSlice
from penumbra.logs.append_log import list_segments
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import PredictionEntry, ShadowRow
from penumbra.reviews.selection.needs import NeedFinder
from problem import features
from tests.helpers.logs.prediction_logs import append_to_new_segment, log_predictions
from tests.helpers.logs.review_cases import MONDAY, make_review_settings
from tests.helpers.logs.reviewed_rows import INPUTS, RULED, log_rows, make_row
from tests.helpers.servers.local_service import deploy_version

CARRIER = next(at for at, kind in enumerate(features.FEATURES) if kind.name == "carrier")


def find_reasons(folder, *slices, problem=RULED):
    settings = make_review_settings(folder)
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    finder = NeedFinder(settings, problem, index, slices)
    rows = finder.read(b"".join(path.read_bytes() for path in list_segments(folder / "predictions")))
    return [list(reasons) for reasons in finder.find_reasons(rows)]


def name_slice(column, value):
    return DegradedSlice(column, value, 60, 0.6, 0.5, 0.7, 0.4)


def answer_in_shadow(folder, name, decision, status="ok", model="2"):
    append_to_new_segment(folder / "shadow", [ShadowRow(name, model, MONDAY, 0.1, decision, status)])


def code_carrier(code):
    return [code if at == CARRIER else value for at, value in enumerate(INPUTS)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with a model that has a threshold of 0.5."""
    folder = tmp_path_factory.mktemp("served")
    deploy_version(folder, "1")
    return folder


def test_a_row_that_nothing_is_said_of_has_no_reason(tmp_path):
    log_rows(tmp_path, 1)
    assert find_reasons(tmp_path) == [[]]


def test_rules_that_only_decide_are_no_reason(tmp_path):
    log_predictions(tmp_path, make_row(1, rules=["look", "change"], review=True), make_row(2, rules=["change"]))
    assert find_reasons(tmp_path) == [["rule look"], []]


def test_a_rule_that_is_gone_from_the_problem_is_still_a_reason(tmp_path):
    log_rows(tmp_path, 1, rules=["gone", "change"], review=True)
    assert find_reasons(tmp_path) == [["rule gone"]]


def test_a_decision_that_a_shadow_model_makes_otherwise_is_a_disagreement(tmp_path):
    names = log_rows(tmp_path, 3)
    for name, decision in zip(names, [False, True, False], strict=True):
        answer_in_shadow(tmp_path, name, decision, "ok" if name != names[2] else "nan")
    assert find_reasons(tmp_path) == [["disagreement"], [], []]


def test_what_a_rule_decided_is_compared_with_no_shadow_model(tmp_path):
    (name,) = log_rows(tmp_path, 1, rules=["change"])
    answer_in_shadow(tmp_path, name, False)
    assert find_reasons(tmp_path) == [[]]


def test_where_chance_decided_the_models_own_decision_is_compared_with_the_shadow_as_if_nothing_was_explored(tmp_path):
    names = log_rows(tmp_path, 2, decision=True, explored=True, explore_share=0.1)
    for name, decision in zip(names, [False, True], strict=True):
        answer_in_shadow(tmp_path, name, decision)
    assert find_reasons(tmp_path) == [[], ["disagreement"]]


def test_rows_of_a_slice_that_got_worse_are_named_by_it(tmp_path):
    log_predictions(tmp_path, *(make_row(1, record={"carrier": carrier}) for carrier in ("AA", "U<", None)))
    worse = [name_slice("carrier", "U\\x3c"), name_slice("carrier", "(missing)")]
    assert find_reasons(tmp_path, *worse) == [[], ["slice carrier U\\x3c"], ["slice carrier (missing)"]]


def test_a_slice_of_a_column_that_rows_do_not_have_names_none(tmp_path):
    log_rows(tmp_path, 1)
    assert find_reasons(tmp_path, name_slice("gone", "x")) == [[]]


def test_a_value_that_the_model_never_met_is_unseen_and_a_missing_one_is_not(served, tmp_path):
    (tmp_path / "state").symlink_to(served / "state")
    rows = [
        make_row(n, inputs=code_carrier(-1.0), record={"carrier": carrier}) for n, carrier in enumerate(["ZZ", None])
    ]
    log_predictions(tmp_path, *rows, make_row(3, inputs=code_carrier(2.0)))
    unseen = [[reason for reason in each if reason.startswith("unseen")] for each in find_reasons(tmp_path)]
    assert unseen == [["unseen carrier"], [], []]


def test_a_prediction_at_the_threshold_is_a_close_call_unless_no_model_was_asked(served, tmp_path):
    (tmp_path / "state").symlink_to(served / "state")
    log_predictions(tmp_path, make_row(1, output=0.5), make_row(2, output=0.5, inputs=[]))
    close = ["close call" in each for each in find_reasons(tmp_path)]
    assert close == [True, False]


def test_rows_of_a_model_whose_bundle_is_gone_have_the_other_reasons(tmp_path):
    log_rows(tmp_path, 1, output=0.5, rules=["look"], review=True)
    assert find_reasons(tmp_path) == [["rule look"]]


def test_a_damaged_line_is_left_out(tmp_path):
    log_rows(tmp_path, 2)
    (path,) = list_segments(tmp_path / "predictions")
    path.write_bytes(path.read_bytes().replace(b'"flight":0', b'"flight":7'))
    assert find_reasons(tmp_path) == [[]]


class Bird(dy.Schema):
    ring = dy.Int64(primary_key=True)
    seen = dy.Datetime(time_zone="UTC")


class Measured(Bird):
    wingspan = dy.Float64(nullable=True)


class Coloured(Bird):
    colour = dy.Enum(["black", "grey", "white"])


def make_problem(labelled, target):
    return SimpleNamespace(
        schema=SimpleNamespace(Row=Bird, Labelled=labelled, TIME="seen", target=lambda: pl.col(target)),
        features=SimpleNamespace(FEATURES=()),
        rules=SimpleNamespace(RULES=()),
    )


def log_birds(folder, count, output, decision, **fields):
    records = [{"ring": number, "seen": MONDAY} for number in range(count)]
    birds = [PredictionEntry(MONDAY, "contract", record, [], output, decision, "1", 80, **fields) for record in records]
    return append_to_new_segment(folder / "predictions", birds)


def test_of_numbers_the_largest_differences_from_the_shadow_are_disagreements(tmp_path):
    names = log_birds(tmp_path, 40, 100.0, 100.0)
    answers = [ShadowRow(name, "2", MONDAY, 100 + at / 10, 100 + at / 10) for at, name in enumerate(names)]
    append_to_new_segment(tmp_path / "shadow", answers)
    assert [
        at for at, reasons in enumerate(find_reasons(tmp_path, problem=make_problem(Measured, "wingspan"))) if reasons
    ] == [38, 39]


def test_of_classes_the_models_own_decision_is_the_most_probable_one_where_chance_decided(tmp_path):
    names = log_birds(tmp_path, 2, [0.2, 0.5, 0.3], "white", explored=True, explore_share=0.1)
    for name, decision in zip(names, ["grey", "white"], strict=True):
        answer_in_shadow(tmp_path, name, decision)
    assert find_reasons(tmp_path, problem=make_problem(Coloured, "colour")) == [[], ["disagreement"]]
