"""A row that is scored in a table gets the answer, the marks and the log entry of the same record over HTTP."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.steps.score.parts.input_tables import RowPart
from flows.steps.score.parts.part_scoring import REJECTED_FILE, SCORES_FILE, PartScorer
from penumbra.logs.append_log import decode_entry, encode_json
from penumbra.rules import (
    Answer,
    Between,
    Clamp,
    CloseCall,
    Defer,
    FewRows,
    ModelPriors,
    OneOf,
    Outside,
    Override,
    Refuse,
    Review,
    Rule,
)
from problem import schema
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract
from service.inference.blocked_records import SuspectRecord, append_event, compute_digest, fold_events, read_events
from service.inference.models.live_model import LiveModels
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_rule_engine_factory
from service.inference.runs.batch_run import RefusedByRules
from tests.flows.score.scored_flights import make_flights, make_problem, make_score_settings
from tests.helpers.servers import local_service

SEGMENT = "1a22a002a325f1485"
TIMELESS = ("id", "time", "micros", "job", "due")


@dataclass(frozen=True)
class CarrierBegins:
    """A condition of a team's own."""

    letter: str
    words = "the carrier begins so"

    def test(self, known: ModelPriors) -> Any:
        return lambda record, prediction: record["carrier"].startswith(self.letter)


@dataclass(frozen=True)
class NotBetween(Between):
    """A condition derived from a built-in one."""

    def test(self, known: ModelPriors) -> Any:
        inside = super().test(known)
        return lambda record, prediction: not inside(record, prediction)


@dataclass(frozen=True)
class Failing:
    """A condition that can't be told of some records."""

    words = "it can be told"

    def test(self, known: ModelPriors) -> Any:
        return lambda record, prediction: record["temp"] < 0


RULES = [
    Rule("closed", "nothing leaves there", OneOf("origin", ["LGA"]), Refuse()),
    Rule("unknown_carrier", "never met", FewRows("carrier", below=5), Answer()),
    Rule("far", "too far to say", Between("distance", 9000, 10_000), Answer(0.75)),
    Rule("delta", "ours", CarrierBegins("D"), Override(True)),
    Rule("cold", "needs a temperature", Failing(), Review()),
    Rule("close", "may be either", CloseCall(0.2), Defer(5)),
    Rule("damp", "somebody decides", Between("humid", 30, 60), Defer(5, default=False)),
    Rule("sure", "nothing is that sure", Outside(0.05, 0.95), Clamp(0.05, 0.95)),
    Rule("wet", "only a look", Between("humid", 20.5, 30.5), Review()),
    Rule("long", "more than the column can hold", Between("distance", 500.5, 10**6), Override(False)),
    Rule("dry", "derived from a built-in one", NotBetween("humid", 30, 100), Review()),
    Rule("united", "nobody knows", CarrierBegins("U"), Answer(0.9)),
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    counts = {"carrier": dict.fromkeys(schema.CARRIERS[:12], 9)}
    local_service.deploy_version(folder, "1", baseline=0.25, counts=counts)
    return folder


def answer_over_http(folder: Path, rules: list[Rule], body: bytes) -> dict[str, Any] | str:
    """What the pipeline of the service says of one record, and the entry that would be logged; or who refuses it."""
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=100)
    live = LiveModels(folder / "state", local_service.PROBLEM, make_rule_engine_factory(rules, "review"))
    live.refresh()
    try:
        (scored,) = InferencePipeline(live, contract).predict_batch([contract.parse_one(body)])
    except RequestRefused:
        return "contract"
    except RefusedByRules as refused:
        return refused.refused[0][2].name
    entry = {**scored._asdict(), **scored.marks, "contract": contract.version}
    return {key: value for key, value in json.loads(msgspec.json.encode(entry)).items() if key not in ("marks", "due")}


def score_records(
    folder: Path, rules: list[Rule], bodies: list[bytes], scratch: Path, on_error: str = "review"
) -> list[dict[str, Any] | str]:
    """The same of a table with these records."""
    chosen = make_score_settings(folder)
    chosen = chosen.model_copy(update={"rules": chosen.rules.model_copy(update={"on_error": on_error})})
    scorer = PartScorer(chosen, make_problem(rules))
    rows = pl.DataFrame([json.loads(body) for body in bodies], infer_schema_length=None)
    scorer.score_part(RowPart(0, 0, rows), "records", "job", SEGMENT, scratch)
    found: dict[int, dict[str, Any] | str] = {}
    lines = (
        (scratch / "predictions" / f"{SEGMENT}.jsonl").read_bytes().splitlines()
        if (scratch / "predictions").exists()
        else []
    )
    entries = {entry["id"]: entry for entry in map(decode_entry, lines)}
    for row in pl.read_ipc(scratch / SCORES_FILE).iter_rows(named=True):
        entry = entries.pop(row["prediction_id"])
        assert (row["probability"], row["decision"]) == (entry["output"], entry["decision"])
        assert (row["rules"] or "").split() == entry.get("rules", [])
        assert row["review"] == entry.get("review", False)
        assert row["pending"] == entry.get("pending", False) == ("due" in entry)
        found[row["penumbra.row"]] = {key: value for key, value in entry.items() if key not in TIMELESS}
    assert entries == {}
    if (scratch / REJECTED_FILE).exists():
        for row in pl.read_ipc(scratch / REJECTED_FILE).iter_rows(named=True):
            (reason, *_) = row["penumbra.broken"]
            found[row["penumbra.row"]] = reason if reason in {rule.name for rule in rules} else "contract"
    return [found[number] for number in range(len(bodies))]


@functools.cache
def list_flights() -> list[dict[str, Any]]:
    flights = [json.loads(line) for line in make_flights(300).write_ndjson().splitlines()]
    return [flight | {"time_hour": flight["time_hour"].replace("+00:00", "Z")} for flight in flights]


CHANGES = st.sampled_from(
    [
        {},
        {"temp": None, "dewp": None},
        {"temp": 20.0, "dewp": 30.0},
        {"distance": 9500},
        {"distance": 20_000},
        {"origin": "LGA"},
        {"carrier": "DL"},
        {"carrier": "YV"},
        {"humid": 25.0, "wind_dir": None},
        {"dest": 'Q"Q'},
        {"sched_dep_time": 1275},
    ]
)
RECORDS = st.lists(
    st.builds(
        lambda flight, change: {**flight, **change}, st.deferred(lambda: st.sampled_from(list_flights())), CHANGES
    ),
    min_size=1,
    max_size=12,
)


@dataclass(frozen=True)
class AskedOnce:
    """A condition that holds, or fails, each other time that it is asked."""

    asked: list[Any]
    fails: bool = False
    words = "it is its turn"

    def test(self, known: ModelPriors) -> Any:
        def test(record: dict[str, Any], prediction: Any) -> bool:
            self.asked.append(record)
            if self.fails and len(self.asked) % 2:
                raise OSError("away")
            return len(self.asked) % 2 == 1

        return test


@pytest.mark.parametrize("then", [Refuse(), Answer(0.75), Clamp(0.4, 0.45), Override(True), Review(), Defer(5)])
def test_a_condition_is_asked_once_of_a_row(state: Path, tmp_path: Path, then: Any) -> None:
    when, bodies = AskedOnce([]), [json.dumps(flight).encode() for flight in list_flights()[:9]]
    rules = [Rule("turn", "its turn", when, then), Rule("close", "may be either", CloseCall(0.2), Clamp(0.1, 0.9))]
    found = score_records(state, rules, bodies, tmp_path)
    fired = [each == "turn" or "turn" in each.get("rules", []) for each in found]
    assert (len(when.asked), sum(fired)) == (9, 5)


@pytest.mark.parametrize("on_error", ["model", "review", "baseline"])
@pytest.mark.parametrize("then", [Refuse(), Clamp(0.4, 0.45), Override(True), Review(), Defer(5)])
def test_a_condition_that_fails_is_asked_once_of_a_row_too(
    state: Path, tmp_path: Path, then: Any, on_error: str
) -> None:
    when, bodies = AskedOnce([], fails=True), [json.dumps(flight).encode() for flight in list_flights()[:9]]
    rules = [Rule("turn", "its turn", when, then)]
    found = [dict(each) for each in score_records(state, rules, bodies, tmp_path, on_error)]
    failed = [each["failed_rules"] == ["turn"] for each in found if "failed_rules" in each]
    assert (len(when.asked), failed) == (9, [True] * 5)
    assert [each.get("review", False) for each in found] == [on_error == "review" and at % 2 == 0 for at in range(9)]
    assert ({each["output"] for each in found[::2]} == {0.25}) == (on_error == "baseline")


def test_only_rows_whose_record_is_blocked_or_suspect_are_scored_one_by_one_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    contract, asked = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=100), list[bytes]()
    bodies = [json.dumps(flight).encode() for flight in list_flights()[:9]]
    lines = [encode_json(contract.parse_one(body)) for body in bodies]
    blocked, suspect = (SuspectRecord("1", compute_digest(lines[at]), msgspec.Raw(lines[at])) for at in (2, 5))
    append_event(tmp_path / "state", "block", "ann", [blocked])
    append_event(tmp_path / "state", "crash", "SIGKILL", [suspect])
    predict = InferencePipeline.predict_each

    def note_and_predict(self: InferencePipeline, records: Any) -> Any:
        asked.extend(map(encode_json, records))
        return predict(self, records)

    monkeypatch.setattr(InferencePipeline, "predict_each", note_and_predict)
    (tmp_path / "part").mkdir()
    found = score_records(tmp_path, [], bodies, tmp_path / "part")
    assert asked == [lines[2], lines[5]]
    assert [dict(each).get("fallback") for each in found] == [None, None, "baseline", *[None] * 6]
    assert not fold_events(read_events(tmp_path / "state"))[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, rules=st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.name))
@pytest.mark.slow
def test_a_row_gets_the_answer_of_the_same_record_over_http(
    state: Path, tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], rules: list[Rule]
) -> None:
    bodies = [json.dumps(record).encode() for record in records]
    found = score_records(state, rules, bodies, tmp_path_factory.mktemp("part"))
    assert found == [answer_over_http(state, rules, body) for body in bodies]
