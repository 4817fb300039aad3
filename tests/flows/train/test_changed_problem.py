"""A live model, and a `problem/` that has changed since it was made: the orders."""

import contextlib
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

from flows.steps.train.gate_evaluation import list_skipped_checks
from flows.steps.train.live_model import predict_with_live
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.contract.contract_changes import describe_contract, find_contract_break
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.problem import Problem
from penumbra.core.settings import RegistrySettings
from penumbra.core.task import Task
from penumbra.features import Expression, Number
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import read_pointer
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.training.onnx.compile import compile_model
from service.http.requests.record_reader import Contract
from service.processes.deployment.version_deployment import deploy_live, discard_damaged_bundle
from service.shadow.scorer import Scorer
from tests.helpers.problems.orders import load_orders
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic

AGE = "age = dy.Int16(nullable=False, min=18, max=99)"
AMOUNT = "amount = dy.Float64(nullable=True, min=0, max=10_000)"
REGION = 'region = dy.Enum(["north", "south", "west"])'
MEMBER = "    member = dy.Bool(nullable=False)\n"
EXAMPLE_AGE = '"age": 40, "member": True}'
LESS = [('Category("region"), Number("amount"), Number("age")', 'Number("age"),')]
OTHER_ORDER = [
    ('Category("region"), Number("amount"), Number("age")', 'Number("age"), Category("member"), Number("amount")')
]
LOGARITHM = [
    ("import Category, Feature, Number", "import Category, Expression, Feature, Number"),
    ('Number("age"))', 'Number("age"), Expression("log", pl.col("amount").log1p(), Row))'),
    ('"""The model\'s inputs."""', '"""The inputs."""\n\nimport polars as pl\n\nfrom .schema import Row'),
]
RECORDS = [
    {
        "order_id": 7 + n,
        "at": "2024-03-01T12:00:00",
        "region": region,
        "amount": amount,
        "age": 30 + n,
        "member": n % 2 == 0,
    }
    for n, (region, amount) in enumerate([("north", 20.5), ("south", None), ("west", 312.25), ("north", 4.0)])
]


def make_version(folder: Path, problem: Problem) -> bundle.Bundle:
    """Make a bundle as training does, with a small tree."""
    rows = problem.schema.Row.sample(300, generator=dy.random.Generator(1))
    kinds = problem.features.FEATURES
    derived = derive_features(kinds, rows)
    inputs = FeatureEncoder(tuple(kinds), learn_category_tables(kinds, derived))
    matrix, labels = inputs.encode_frame(derived), np.random.default_rng(1).random(300) < 0.5
    model = DecisionTreeClassifier(max_depth=6, min_samples_leaf=3, random_state=1).fit(np.nan_to_num(matrix), labels)
    answers = model.predict_proba(matrix)
    bundle_writing.write_model_files(folder, compile_model(model, matrix.shape[1]), matrix[:20], answers[:20])
    reference = {LABEL_COLUMN: pl.Series(labels), PREDICTION_COLUMN: pl.Series(answers[:, 1])}
    bundle_writing.write_reference_rows(folder, rows.with_columns(**reference))
    facts = {"threshold": 0.5, "contract": describe_contract(problem.schema.Row), "task": {"kind": "binary"}}
    batches = {"train": ["2024-01"], "validation": [], "test": []}
    bundle_writing.seal_bundle(folder, {**facts, **batches}, kinds, inputs.tables)
    return bundle.read_bundle(folder, problem, folder.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with version 1, made with the orders as they are, and its answers to `RECORDS`, single and as a list."""
    folder = tmp_path_factory.mktemp("made")
    problem = load_orders(folder / "then")
    make_version(folder / "state/bundles/1", problem)
    (folder / "state/live").write_text("1")
    with serve(folder, problem) as http:
        answers = http.post("/predict", json=RECORDS).json()
        assert [answer["probability"] for answer in answers] == [ask(http, record)["probability"] for record in RECORDS]
    (folder / "answers").write_text(json.dumps([answer["probability"] for answer in answers]))
    return folder


@contextlib.contextmanager
def serve(folder: Path, problem: Problem) -> Iterator[Any]:
    """The service with this problem, as it would be after a restart."""
    app = local_service.build_service(local_service.make_service_settings(folder), problem).to_asgi()
    with local_service.TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        yield http


def ask(http: Any, record: dict[str, Any]) -> Any:
    return http.post("/predict", json=record).json()


@pytest.mark.parametrize("features", [LESS, OTHER_ORDER, LOGARITHM], ids=["less", "other order", "more"])
def test_after_a_change_of_features_the_live_version_answers_what_it_answered_before(
    made: Path, tmp_path: Path, features: Any
) -> None:
    before = json.loads((made / "answers").read_text())
    with serve(made, load_orders(tmp_path, features=features)) as http:
        assert http.get("/readyz").json() == {"ready": True, "model_version": "1"}
        assert [answer["probability"] for answer in http.post("/predict", json=RECORDS).json()] == before
        assert [ask(http, record)["probability"] for record in RECORDS] == before


GOES_ON = {
    "a category gained": [(REGION, 'region = dy.Enum(["east", "north", "south", "west"])')],
    "a category lost that isn't asked for": [('"north", "south", "west"', '"west", "south", "north"')],
    "text": [(REGION, "region = dy.String(nullable=False)")],
    "a wider number": [(AGE, "age = dy.Float64(nullable=False, min=18, max=99)")],
    "a new column": [(MEMBER, MEMBER + "    vouchers = dy.Int8(nullable=True)\n")],
    "never null": [(AMOUNT, "amount = dy.Float64(nullable=True, min=0, max=20_000)")],
}


@pytest.mark.parametrize("change", GOES_ON)
def test_a_change_of_the_contract_that_the_model_can_live_with_changes_no_answer(
    made: Path, tmp_path: Path, change: str
) -> None:
    before = json.loads((made / "answers").read_text())
    with serve(made, load_orders(tmp_path, schema=GOES_ON[change])) as http:
        assert [answer["probability"] for answer in http.post("/predict", json=RECORDS).json()] == before


def test_a_new_category_is_one_that_the_model_has_never_seen(made: Path, tmp_path: Path) -> None:
    with serve(made, load_orders(tmp_path, schema=GOES_ON["a category gained"])) as http:
        assert ask(http, {**RECORDS[0], "region": "east"})["model_version"] == "1"


RENAMED = [(AGE, AGE.replace("age", "years")), (EXAMPLE_AGE, EXAMPLE_AGE.replace("age", "years"))]
YEARS = [('Number("age")', 'Number("years")')]
TEXT = [(AGE, "age = dy.String(nullable=False)"), (EXAMPLE_AGE, EXAMPLE_AGE.replace("40", '"40"'))]
CLASSES = [
    ("churned = dy.Bool(nullable=True)", 'churned = dy.Enum(["stays", "goes"], nullable=True)'),
    ('OUTCOME = {"churned": False}', 'OUTCOME = {"churned": "stays"}'),
]
CANNOT_GO_ON: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "renamed": (
        {"schema": RENAMED, "features": YEARS},
        {"years": 40},
        "its feature age reads the column age, which Row in problem/schema.py doesn't have",
    ),
    "text for a number": (
        {"schema": TEXT, "features": [('Number("age")', 'Category("age")')]},
        {"age": "40"},
        "its feature age reads the column age as Int16, and Row in problem/schema.py has String now",
    ),
    "classes": (
        {"schema": CLASSES},
        {"age": 40},
        "it was made for another task: binary, and the contract has multiclass (stays, goes) now",
    ),
}


@pytest.mark.parametrize("change", CANNOT_GO_ON)
def test_where_the_live_version_cant_go_on_everybody_says_why_and_what_to_do(
    made: Path, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    files, age, why = CANNOT_GO_ON[change]
    record = {name: value for name, value in RECORDS[0].items() if name != "age"} | age
    with serve(made, load_orders(tmp_path, **files)) as http:
        ready, asked = http.get("/readyz"), http.post("/predict", json=record)
    reason = ready.json()["reason"]
    assert reason.startswith(f"version 1 can't answer with this code: {why}; undo that change of problem/")
    assert "`penumbra train`, then `penumbra promote --force --version" in reason
    assert (ready.status_code, asked.status_code, asked.json()["error"]) == (503, 503, reason)
    assert any(reason in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("then", "now"),
    [(dy.Int16(), dy.UInt16()), (dy.Int8(), dy.Int64()), (dy.Decimal(10, 2), dy.Float64()), (dy.Int16(), dy.Float64())],
    ids=["unsigned", "wider", "no decimals", "a float"],
)
def test_an_expression_needs_the_type_of_number_that_it_was_made_for_and_a_number_any(
    then: dy.Column, now: dy.Column
) -> None:
    visits = Expression("made", pl.col("visits") - 50, type("Then", (dy.Schema,), {"visits": then}))
    labelled = type("Labelled", (dy.Schema,), {"visits": now, "left": dy.Bool()})
    schema = types.SimpleNamespace(
        Row=type("Row", (dy.Schema,), {"visits": now}), Labelled=labelled, target=lambda: pl.col("left")
    )
    made_for, task = describe_contract(visits.schema), Task.from_schema(schema)
    assert find_contract_break(made_for, [Number("visits")], task, schema) == ""
    assert find_contract_break(made_for, [visits], task, schema) == (
        f"its feature made reads the column visits as {then.dtype}, and Row in problem/schema.py has {now.dtype} now"
    )


def test_the_deployer_keeps_the_last_good_version_and_says_why(made: Path, tmp_path: Path) -> None:
    then, now = load_orders(tmp_path / "then"), load_orders(tmp_path / "now", **CANNOT_GO_ON["renamed"][0])
    make_version(tmp_path / "registry/2", now)
    make_version(tmp_path / "registry/1", then)
    registry, state = local_service.FolderRegistry(tmp_path / "registry", "2"), tmp_path / "state"
    assert deploy_live(registry, state, now) == "2"
    registry.versions_by_alias["live"] = "1"
    with pytest.raises(UnfitBundle, match="version 1 can't answer"):
        deploy_live(registry, state, now)
    assert read_pointer(state) == "2"


@pytest.mark.slow
def test_a_service_that_starts_with_no_version_that_can_answer_says_which_and_why(tmp_path: Path) -> None:
    then, now = load_orders(tmp_path / "then"), load_orders(tmp_path / "now", **CANNOT_GO_ON["renamed"][0])
    make_version(tmp_path / "registry/1", then)
    with pytest.raises(UnfitBundle):
        deploy_live(local_service.FolderRegistry(tmp_path / "registry", "1"), tmp_path / "state", now)
    with serve(tmp_path, now) as http:
        assert http.get("/readyz").json()["reason"].startswith("version 1 can't answer with this code")


def test_a_version_that_doesnt_fit_is_not_taken_for_a_damaged_one(made: Path, tmp_path: Path) -> None:
    discard_damaged_bundle(made / "state", load_orders(tmp_path, **CANNOT_GO_ON["renamed"][0]))
    assert (read_pointer(made / "state"), (made / "state/bundles/1").is_dir()) == ("1", True)


def test_in_the_shadow_each_version_scores_with_its_own_features(made: Path, tmp_path: Path) -> None:
    now = load_orders(tmp_path / "now", features=LOGARITHM)
    versions = [bundle.read_bundle(made / "state/bundles/1", now, "1"), make_version(tmp_path / "2", now)]
    contract = Contract(now.schema.Row, now.schema.CHECKS, now.schema.EXAMPLE, max_records=10)
    rows = contract.to_frame(contract.parse_batch(json.dumps(RECORDS).encode()))
    lines = [json.dumps({"id": "x", "record": record}).encode() for record in RECORDS]
    for version in versions:
        scored = Scorer(version, contract).score(lines)
        assert [result.output for result in scored] == version.score(rows).tolist()
    assert [len(version.inputs.kinds) for version in versions] == [3, 4]


@pytest.fixture
def registered(made: Path, registry: RegistrySettings) -> RegistrySettings:
    """A registry whose live version is 1."""
    models = ModelRegistry(registry)
    run = models.record(FinishedRun("train", 0, 1), artifacts={"bundle": made / "state/bundles/1"})
    models.set_alias("live", models.register(run, "bundle", {}))
    return registry


@pytest.mark.slow
def test_a_training_with_other_features_is_compared_with_the_live_version(
    registered: RegistrySettings, made: Path, tmp_path: Path
) -> None:
    now = load_orders(tmp_path / "now", features=LESS)
    rows = now.schema.Row.sample(20).with_columns(pl.lit("2024-02").alias(BATCH_COLUMN))
    live = predict_with_live(registered, now, rows)
    assert live is not None
    assert live.known.all()
    expected = bundle.read_bundle(made / "state/bundles/1", load_orders(tmp_path / "then")).score(rows)
    np.testing.assert_array_equal(live.predictions, expected)


def test_a_training_that_cant_be_compared_with_the_live_version_says_why(
    registered: RegistrySettings, tmp_path: Path
) -> None:
    now = load_orders(tmp_path, **CANNOT_GO_ON["classes"][0])
    rows = now.schema.Row.sample(20).with_columns(pl.lit("2024-02").alias(BATCH_COLUMN))
    live = predict_with_live(registered, now, rows)
    assert live is not None
    assert live.predictions.shape == (20, 2)
    skipped = list_skipped_checks(live)
    assert skipped.keys() == {"live", "slices"}
    assert skipped["live"].startswith("version 1 can't answer with this code: it was made for another task")
