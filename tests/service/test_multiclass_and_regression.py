"""The service of a multi-class and of a regression problem, by the same machinery as the example's binary one."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penumbra.cli.reports.serving import lineage_report
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.features import Category, Number
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import labels
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.lineage import explain_prediction
from penumbra.registry.pointers import read_pointer
from penumbra.rules import CloseCall, Review, Rule
from service.http.requests.responses import make_decision_function
from service.inference.models.live_model import LiveModels
from service.processes.deployment.version_deployment import deploy_live
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic

SPECIES = ("crow", "owl", "wren")
KINDS = (Category("place"), Number("grams"))


class Bird(dy.Schema):
    ring = dy.Int32(primary_key=True, min=1, max=999)
    seen = dy.Datetime(nullable=False)
    place = dy.String(regex="^[a-z]{1,9}$", nullable=False)
    grams = dy.Float64(nullable=True, min=1, max=5000)


class Named(Bird):
    species = dy.Enum(SPECIES, nullable=True)
    wingspan = dy.Float64(nullable=True, min=1, max=300)


GIVEN = {"ring": 7, "seen": "2013-04-01T12:00:00", "place": "wood", "grams": 310.5}
OUTCOME = {"species": "owl", "wingspan": 95.5}


def problem(column: str) -> Any:
    """Predict this column of a bird."""
    schema = SimpleNamespace(
        Row=Bird, Labelled=Named, TIME="seen", CHECKS=(), EXAMPLE=GIVEN, OUTCOME=OUTCOME, target=lambda: pl.col(column)
    )
    return SimpleNamespace(
        schema=schema, features=SimpleNamespace(FEATURES=KINDS), rules=SimpleNamespace(RULES=(), OBSERVED_DECISIONS=())
    )


PROBLEMS = {"multiclass": problem("species"), "regression": problem("wingspan")}
TASKS = {kind: Task.from_schema(made.schema) for kind, made in PROBLEMS.items()}


def deploy(folder: Path, task: Task, **facts: Any) -> bundle.Bundle:
    """Make a small tree for the task the live version 1."""
    from penumbra.training.onnx.compile import compile_model

    rows = pl.DataFrame({"place": ["wood", "field"] * 20, "grams": np.linspace(5.0, 900.0, 40)})
    encoding = FeatureEncoder(KINDS, learn_category_tables(KINDS, derive_features(KINDS, rows)))
    matrix, draw = encoding.encode_frame(derive_features(KINDS, rows)), np.random.default_rng(1)
    if task.kind == "multiclass":
        model = DecisionTreeClassifier(max_depth=3, random_state=1).fit(matrix, np.arange(40) % 3)
        answers = model.predict_proba(matrix)
    else:
        model = DecisionTreeRegressor(max_depth=3, random_state=1).fit(matrix, draw.random(40) * 100)
        answers = model.predict(matrix)
    place = folder / "state/bundles/1"
    bundle_writing.write_model_files(place, compile_model(model, 2), matrix, answers)
    bundle_writing.write_reference_rows(place, rows)
    bundle_writing.seal_bundle(
        place, {"task": {"kind": task.kind, "classes": task.classes}, **facts}, KINDS, encoding.tables
    )
    (folder / "state/live").write_text("1")
    return bundle.read_bundle(place, PROBLEMS[task.kind], "1")


@pytest.fixture(scope="module", params=PROBLEMS)
def served(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    kind, place = request.param, tmp_path_factory.mktemp("answers")
    live = deploy(place, TASKS[kind])
    service = local_service.build_service(local_service.make_service_settings(place), PROBLEMS[kind])
    with local_service.TestClient(service.to_asgi(), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        yield SimpleNamespace(kind=kind, place=place, live=live, http=http, service=service)


def predicted(answer: dict[str, Any]) -> Any:
    return list(answer["probabilities"].values()) if "probabilities" in answer else answer["value"]


def test_an_answer_has_what_its_task_is_about(served: Any) -> None:
    answer = served.http.post("/predict", json=GIVEN).json()
    if served.kind == "multiclass":
        assert sorted(answer) == ["decision", "model_version", "prediction_id", "probabilities"]
        assert tuple(answer["probabilities"]) == SPECIES
        assert answer["probabilities"][answer["decision"]] == max(answer["probabilities"].values())
    else:
        assert sorted(answer) == ["model_version", "prediction_id", "value"]


@pytest.mark.parametrize(("margin", "marks"), [(1.0, {"rules": ["close"], "review": True}), (1e-9, {})])
def test_a_close_call_among_classes_compares_the_two_most_probable(tmp_path: Path, margin: float, marks: Any) -> None:
    """Bundles of release 0.1 have a threshold whatever their task is."""
    deploy(tmp_path, TASKS["multiclass"], threshold=0.3)
    rules = (Rule("close", "either class is about as likely", CloseCall(margin), Review()),)
    ruled = SimpleNamespace(
        **{**vars(PROBLEMS["multiclass"]), "rules": SimpleNamespace(RULES=rules, OBSERVED_DECISIONS=())}
    )
    service = local_service.build_service(local_service.make_service_settings(tmp_path), ruled)
    with local_service.TestClient(service.to_asgi(), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        single, (listed,) = http.post("/predict", json=GIVEN).json(), http.post("/predict", json=[GIVEN]).json()
    names = ("rules", "review", "failed_rules")
    assert [{name: each[name] for name in names if name in each} for each in (single, listed)] == [marks, marks]


@pytest.mark.slow
def test_records_and_lists_get_exactly_the_predictions_of_training_time(served: Any) -> None:
    rows = Bird.sample(50)
    records = json.loads(rows.write_json())
    listed = served.http.post("/predict", json=records).json()
    single = [served.http.post("/predict", json=record).json() for record in records]
    assert [predicted(each) for each in listed] == served.live.score(rows).tolist()
    assert [predicted(each) for each in single] == served.live.score(rows).tolist()


def test_the_fast_path_answers_as_bentoml_would(served: Any) -> None:
    with local_service.TestClient(served.service.to_plain_asgi()) as plain:
        expected = plain.post("/predict", json=GIVEN).json()
    answer = served.http.post("/predict", json=GIVEN).json()
    assert {**answer, "prediction_id": ""} == {**expected, "prediction_id": ""}


def test_the_log_has_inputs_output_and_decision(served: Any) -> None:
    answer = served.http.post("/predict", json={**GIVEN, "place": "sea", "grams": None}).json()
    found = explain_prediction(local_service.make_service_settings(served.place), answer["prediction_id"])["prediction"]
    assert (found["inputs"], found["output"]) == ([-1.0, None], predicted(answer))
    assert found["decision"] == answer.get("decision", answer.get("value"))
    assert 0 < found["micros"] < 10_000_000


def test_the_document_describes_the_answer(served: Any) -> None:
    schemas = served.http.get("/docs.json").json()["components"]["schemas"]
    answer = served.http.post("/predict", json=GIVEN).json()
    assert set(answer) == set(schemas["Answer"]["required"])
    if served.kind == "multiclass":
        assert schemas["Answer"]["properties"]["decision"]["enum"] == list(SPECIES)


def test_labels_are_joined_with_output_decision_and_target(served: Any) -> None:
    answer = served.http.post("/predict", json={**GIVEN, "ring": 8}).json()
    assert served.http.post("/feedback", json={"ring": 8, **OUTCOME}).status_code == 200
    index = LogIndex.from_settings(local_service.make_service_settings(served.place), PROBLEMS[served.kind].schema)
    index.catch_up()
    row = labels.join_labels(index).row(by_predicate=pl.col("id") == answer["prediction_id"], named=True)
    assert (row["output"], row["decision"]) == (predicted(answer), answer.get("decision", answer.get("value")))
    assert row["target"] == OUTCOME["species" if served.kind == "multiclass" else "wingspan"]


def test_an_empty_join_has_the_dtypes_of_a_full_one(served: Any, tmp_path: Path) -> None:
    schema = PROBLEMS[served.kind].schema
    served.http.post("/predict", json=GIVEN)
    empty, full = (
        LogIndex.from_settings(local_service.make_service_settings(place), schema) for place in (tmp_path, served.place)
    )
    full.catch_up()
    assert labels.join_labels(empty).schema == labels.join_labels(full).schema


def test_explain_says_the_answer_in_words(served: Any) -> None:
    answer = served.http.post("/predict", json=GIVEN).json()
    links = dict(
        lineage_report.build_lineage_links(
            explain_prediction(local_service.make_service_settings(served.place), answer["prediction_id"])
        )
    )
    said = f"{answer['decision']} (" if served.kind == "multiclass" else f"{answer['value']:g}"
    assert links["answer"][0].startswith(said)


@pytest.mark.parametrize(("made", "wanted"), [("multiclass", "regression"), ("regression", "multiclass")])
def test_a_bundle_of_another_task_is_refused(tmp_path: Path, made: str, wanted: str) -> None:
    deploy(tmp_path, TASKS[made])
    with pytest.raises(bundle.BrokenBundle, match=f"another task: .*{made}.*the contract has .*{wanted}"):
        bundle.read_bundle(tmp_path / "state/bundles/1", PROBLEMS[wanted], "1")
    live = LiveModels(tmp_path / "state", PROBLEMS[wanted])
    live.refresh()
    assert live.model is None
    assert live.explain_absence().startswith("version 1 can't answer with this code: it was made for another task")


def test_a_version_of_another_task_is_never_pointed_to(tmp_path: Path) -> None:
    deploy(tmp_path / "made", TASKS["regression"])
    registry, state = local_service.FolderRegistry(tmp_path / "made/state/bundles", "1"), tmp_path / "state"
    with pytest.raises(bundle.BrokenBundle, match="another task"):
        deploy_live(registry, state, PROBLEMS["multiclass"])
    assert read_pointer(state) is None
    assert "another task: regression" in LiveModels(state, PROBLEMS["multiclass"]).explain_absence()


def test_a_bundle_whose_answers_have_another_shape_is_refused(tmp_path: Path) -> None:
    deploy(tmp_path, TASKS["multiclass"])
    place = tmp_path / "state/bundles/1"
    tables = bundle.read_bundle(place, PROBLEMS["multiclass"]).inputs.tables
    bundle_writing.seal_bundle(place, {"task": {"kind": "regression"}}, KINDS, tables)
    with pytest.raises(bundle.BrokenBundle, match=r"shape \(40, 3\): expected \(\)"):
        bundle.read_bundle(place, PROBLEMS["regression"])


@pytest.mark.parametrize(
    ("task", "output", "decision"),
    [
        (Task("binary"), 0.3, True),
        (Task("binary"), math.nextafter(0.3, 0), False),
        (TASKS["multiclass"], [0.2, 0.4, 0.4], "owl"),
        (TASKS["regression"], -2.5, -2.5),
    ],
)
def test_the_decision_follows_from_the_output(task: Task, output: Any, decision: Any) -> None:
    decide: Callable[[Any], Any] = make_decision_function(task, 0.3)
    assert decide(output) == decision
    assert type(decide(output)) is type(decision)
