"""Business rules from the request to the answer and the log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs import append_log
from penumbra.logs.schema import get_refusals_folder
from penumbra.rules import Answer, Between, CloseCall, FewRows, OneOf, Override, Refuse, Review, Rule
from problem import schema
from tests.helpers.servers import local_service

EXAMPLE = schema.EXAMPLE
RULES = (
    Rule("closed", "nothing leaves from there", OneOf("origin", ["LGA"]), Refuse()),
    Rule("rare", "too few flights", FewRows("carrier", below=5), Answer()),
    Rule("fog", "flights wait for it to lift", Between("visib", 0, 0.5), Override(True)),
    Rule("close", "may be either", CloseCall(0.2), Review()),
)
FACTS: dict[str, Any] = {"baseline": 0.25, "counts": {"carrier": {"UA": 100, "AA": 2}}}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    local_service.deploy_version(folder, "1", **FACTS)
    with local_service.open_test_client(folder, rules=RULES) as http:
        yield http


def post_changed_example(client: Any, **changed: Any) -> Any:
    return client.post("/predict", json={**EXAMPLE, **changed})


@pytest.mark.slow
def test_an_answer_by_rule_names_it_in_answer_and_log(client: Any, folder: Path) -> None:
    answer = post_changed_example(client, carrier="AA").json()
    assert (answer["probability"], answer["decision"], answer["rules"]) == (0.25, False, ["rare"])
    found = append_log.find_entry_in_segments(folder / "predictions", answer["prediction_id"])
    assert found is not None
    assert (found["rules"], found["inputs"], found["output"]) == (["rare"], [], 0.25)


def test_a_decision_that_a_rule_overrides_keeps_the_models_probability(client: Any) -> None:
    clear, foggy = post_changed_example(client, visib=1.0).json(), post_changed_example(client, visib=0.2).json()
    assert foggy["decision"] is True
    assert "fog" in foggy["rules"]
    assert "fog" not in clear.get("rules", [])


def test_a_refusal_is_a_422_with_rule_and_reason(client: Any) -> None:
    answer = post_changed_example(client, origin="LGA")
    assert answer.status_code == 422
    assert "closed: nothing leaves from there" in answer.json()["error"]
    assert answer.json()["details"] == [
        {"rule": "closed", "expected": "not that origin is LGA: nothing leaves from there"}
    ]


def test_of_a_list_the_whole_is_refused_and_each_record_named(client: Any, folder: Path) -> None:
    before = len(list(append_log.read_entries(folder / "predictions")))
    answer = client.post("/predict", json=[EXAMPLE, {**EXAMPLE, "origin": "LGA"}])
    assert answer.status_code == 422
    assert [fault["index"] for fault in answer.json()["details"]] == [1]
    assert len(list(append_log.read_entries(folder / "predictions"))) == before


def test_what_is_refused_is_kept_with_the_rule(client: Any, folder: Path) -> None:
    post_changed_example(client, origin="LGA", flight=4711)
    *_, last = append_log.read_entries(get_refusals_folder(folder / "predictions"))
    assert (last["rule"], last["model"], last["record"]["flight"]) == ("closed", "1", 4711)


def test_the_document_describes_what_rules_add_to_an_answer(client: Any) -> None:
    answer = client.get("/docs.json").json()["components"]["schemas"]["Answer"]["properties"]
    assert {"rules", "review", "failed_rules", "fallback"} <= set(answer)


FLIGHTS = st.fixed_dictionaries(
    {
        "carrier": st.sampled_from(["UA", "AA", "YV"]),
        "origin": st.sampled_from(["JFK", "EWR"]),
        "visib": st.sampled_from([None, 0.1, 3.0]),
        "temp": st.floats(50, 100),
    }
)


@pytest.mark.slow
@given(st.lists(FLIGHTS, min_size=1, max_size=4))
def test_lists_and_single_records_get_the_same_answers(client: Any, changes: list[dict[str, Any]]) -> None:
    records = [{**EXAMPLE, **changed} for changed in changes]
    together = client.post("/predict", json=records).json()
    alone = [client.post("/predict", content=json.dumps(record), headers=JSON).json() for record in records]
    assert [_without_id(answer) for answer in together] == [_without_id(answer) for answer in alone]


JSON = {"content-type": "application/json"}


def _without_id(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "prediction_id"}
