"""The gate's comparison of training with what the service answers, on the orders: a Boolean category, a naive time."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

from flows.steps.train.release import registration
from flows.steps.train.release.run_record import TrainingRuns
from flows.steps.train.release.served_forms import compare_served_forms
from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.problem import Problem
from penumbra.features import Category, Expression, Feature, Number, Weekday
from penumbra.registry.bundles.bundle import Bundle, open_onnx_session
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.training.gate.gate import GateReport
from penumbra.training.gate.gate_checks import FormComparison, check_served_forms
from penumbra.training.onnx.compile import compile_model
from tests.helpers.problems.orders import load_orders

KINDS: tuple[Feature, ...] = (
    Category("region"),
    Category("member"),
    Category("age"),
    Weekday("at", "America/New_York"),
    Number("amount"),
)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return load_orders(tmp_path_factory.mktemp("orders"))


def make_rows(problem: Problem, kinds: tuple[Feature, ...] = KINDS) -> pl.DataFrame:
    """A batch as the data store keeps it."""
    text = problem.source.parse(problem.source.fetch("2024-01")).head(300)
    rows = problem.schema.Labelled.validate(text.with_columns(problem.source.CONVERSIONS), cast=True)
    return rows.with_columns(pl.struct(derive_features(kinds, rows)).alias(INPUTS_COLUMN))


def release(rows: pl.DataFrame, kinds: tuple[Feature, ...] = KINDS, fitted: object = None) -> Bundle:
    """A small tree, compiled, or an estimator that isn't."""
    features = rows[INPUTS_COLUMN].struct.unnest()
    encoder = FeatureEncoder(kinds, learn_category_tables(kinds, features))
    tree = DecisionTreeClassifier(max_depth=3, random_state=1).fit(encoder.encode_frame(features), rows["churned"])
    session = None if fitted else open_onnx_session(compile_model(tree, len(kinds)))
    return Bundle(Path(), {"version": "", "task": {"kind": "binary"}, "threshold": 0.5}, encoder, session, fitted)


def test_a_sound_problem_answers_the_same_in_every_form(problem: Problem) -> None:
    rows = make_rows(problem)
    compared = compare_served_forms(problem, release(rows), rows)
    assert compared.difference == ""
    assert compared.records > 150


def test_a_feature_that_reads_other_rows_is_named_with_both_of_its_values(problem: Problem) -> None:
    kinds = (*KINDS, Expression("rank", pl.col("age").rank("ordinal"), problem.schema.Row))
    rows = make_rows(problem, kinds)
    difference = compare_served_forms(problem, release(rows, kinds), rows).difference
    assert difference.startswith("rank is ")
    assert " in training and 1 for a single record where age = " in difference or "for the same rows now" in difference
    assert difference.endswith("let rank depend on nothing but the columns of its own row")


def test_features_that_were_derived_by_other_code_are_found(problem: Problem) -> None:
    rows = make_rows(problem)
    stale = rows.with_columns(pl.col(INPUTS_COLUMN).struct.with_fields(pl.field("amount") * 100))
    difference = compare_served_forms(problem, release(stale), stale).difference
    assert difference.startswith(
        f"amount is {rows['amount'][0] * 100:.9g} in training and {rows['amount'][0]:.9g} for the"
    )
    assert "penumbra ingest --again" in difference


class BatchMean:
    """An estimator whose answer for a row depends on the rows beside it."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        share = np.full(len(matrix), 1 / (1 + np.nan_to_num(matrix[:, -1]).mean()))
        return np.stack([1 - share, share], axis=1)


def test_a_model_that_answers_a_batch_otherwise_than_a_row_is_found(problem: Problem) -> None:
    rows = make_rows(problem)
    difference = compare_served_forms(problem, release(rows, fitted=BatchMean()), rows).difference
    assert "the same inputs get" in difference
    assert difference.endswith("let the candidate predict each row by itself, whatever the rows beside it")


def test_rows_that_no_request_can_hold_are_said_to_be_refused(tmp_path: Path) -> None:
    problem = load_orders(
        tmp_path,
        schema=[
            ("import polars as pl", "import polars as pl\n\nfrom penumbra.features import NotAbove"),
            ("EXAMPLE =", 'CHECKS = (NotAbove("order_id", "age"),)\nEXAMPLE ='),
        ],
    )
    rows = make_rows(problem)
    difference = compare_served_forms(problem, release(rows), rows).difference
    assert difference.startswith("the service refuses every row like those of training")
    assert "order_id is at most age" in difference


class Strict(BatchMean):
    """An estimator that can't take values beyond those of training, of which the contract allows some."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        if np.isnan(matrix).any() or matrix[:, -1].max() > 1000:
            raise ValueError("Input contains NaN,\ninfinity or a large value")
        return np.full((len(matrix), 2), 0.5)


def test_real_rows_decide_where_a_model_cannot_take_what_the_contract_allows(problem: Problem) -> None:
    rows = make_rows(problem)
    compared = compare_served_forms(problem, release(rows, fitted=Strict()), rows)
    assert (compared.difference, compared.records <= 20) == ("", True)


def test_a_model_that_fails_on_real_rows_is_said_to_in_one_line(problem: Problem) -> None:
    rows = make_rows(problem).with_columns(amount=pl.lit(None, pl.Float64))
    rows = rows.with_columns(pl.col(INPUTS_COLUMN).struct.with_fields(amount=pl.lit(None, pl.Float64)))
    difference = compare_served_forms(problem, release(rows, fitted=Strict()), rows).difference
    assert difference.endswith("ValueError: Input contains NaN, infinity or a large value")


def test_a_model_whose_answers_differ_is_not_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = SimpleNamespace(register=lambda *_: pytest.fail("it was registered"), aliases=dict)
    runs = TrainingRuns(FinishedRun("train", 0, 1), [], {}, "d")
    monkeypatch.setattr(registration, "ModelRegistry", lambda settings: registry)
    monkeypatch.setattr(registration, "build_training_runs", lambda *_: runs)
    monkeypatch.setattr(registration, "record_training_runs", lambda *_: "run")
    monkeypatch.setattr(registration, "complete_bundle", lambda outcome: tmp_path)
    sentence = "amount is 1 in training and 2 for a list where amount = 2.0"
    outcome: Any = SimpleNamespace(
        settings=SimpleNamespace(
            registry=None,
            ledger=SimpleNamespace(folder=tmp_path),
            training=SimpleNamespace(folder=tmp_path),
            cluster=SimpleNamespace(state=""),
        ),
        plan=SimpleNamespace(
            fingerprint="f",
            facts={"data_version": "d", "revision": "r", "settings": {}},
            split=SimpleNamespace(all=["2024-01"], test=["2024-01"]),
        ),
        matrices=SimpleNamespace(arrays=SimpleNamespace(folder=tmp_path), problem=None),
        winner=SimpleNamespace(candidate="tree"),
        trials=[],
        tested=[SimpleNamespace(candidate="tree", scores={"log_loss": 0.5})],
        remarks=[],
        gate=SimpleNamespace(
            report=GateReport([check_served_forms(FormComparison(250, sentence))]),
            failed=pl.DataFrame(),
            live=None,
            compared=pl.DataFrame(),
        ),
    )
    text = registration.register_outcome(outcome)
    assert text.startswith("No version was registered, see the check `forms`: tree")
    assert sentence in text
    (entry,) = Ledger(tmp_path).entries()
    assert (entry.verdict, entry.versions) == ("fail", {})
