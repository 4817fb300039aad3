"""Whatever the contract and however a record comes, alone, in a list or through BentoML: one answer."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.logs.append_log import encode_json
from service.http.refusals import RequestRefused
from service.http.requests.fast_parser import build_fast_parser
from service.http.requests.record_reader import Contract, RecordReader, build_record_model
from tests.helpers.problems.generated_problems import RequestMaker, draw_problem, draw_schema, list_checks
from tests.helpers.servers import local_service
from tests.helpers.servers.generated_services import decode_answers, make_generated_service, read_inputs

JSON = {"content-type": "application/json"}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic
randoms = st.integers(0, 2**63).map(random.Random)


def read(parse: Callable[[bytes], Any], body: bytes) -> Any:
    """The record with the types of its values, or that it is refused."""
    try:
        record = parse(body)
    except RequestRefused as refused:
        return "refused" if refused.status in (400, 413, 422) else refused.status
    return {name: (type(value), value) for name, value in record.items()}


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(randoms)
def test_a_record_is_read_alike_quickly_by_pydantic_and_in_a_list(draw: random.Random) -> None:
    row = draw_schema(draw)
    checks, made = list_checks(row), RequestMaker(row)
    contract = Contract(row, checks, {}, 10)
    plain = RecordReader(build_record_model(row, checks, {}), 10, "")
    fast = build_fast_parser(build_model_fields(row), checks, contract.dtypes)
    neighbour = next(
        (body for body in (made.draw_record(draw, 0).encode() for _ in range(9)) if is_kept(plain, body)), None
    )
    for body in (made.draw_body(draw) for _ in range(100)):
        alone = read(contract.parse_one, body)
        assert read(plain.parse_one, body) == alone
        assert read(lambda body: contract.parse_batch(b"[" + body + b"]")[0], body) == alone or b"[" in body[:4]
        if fast and (quick := fast.parse_one(body)) is not None:
            assert {name: (type(value), value) for name, value in quick.items()} == alone
        if neighbour:
            listed = read(lambda body: contract.parse_batch(b"[%b,%b]" % (neighbour, body))[-1], body)
            assert listed == alone or body[:1] != b"{"
        if alone != "refused":
            record = contract.parse_one(body)
            assert contract.to_frame([record]).row(0, named=True) == record
            assert contract.parse_one(encode_json(record)) == record


def is_kept(reader: RecordReader, body: bytes) -> bool:
    return read(reader.parse_one, body) != "refused"


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(randoms)
def test_a_record_has_one_answer_on_all_ways(draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        made = make_generated_service(Path(name), draw_problem(draw), draw)
        with (
            local_service.TestClient(
                made.service.to_asgi(), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)
            ) as own,
            local_service.TestClient(made.service.to_plain_asgi()) as bentoml,
        ):
            bodies = [made.requests.draw_body(draw) for _ in range(40)]
            posts = [[http.post("/predict", content=body, headers=JSON) for body in bodies] for http in (own, bentoml)]
            good = [n for n, response in enumerate(posts[0]) if response.status_code == 200 and bodies[n][:1] == b"{"]
            listed = own.post("/predict", content=b"[%b]" % b",".join(bodies[n] for n in good), headers=JSON)
        assert [response.status_code for response in posts[1]] == [response.status_code for response in posts[0]]
        assert {response.status_code for response in posts[0]} <= {200, 400, 413, 422}
        inputs = read_inputs(Path(name))
        if good:
            answers = [describe_answer(posts[0][n].content, inputs) for n in good]
            assert [describe_answer(posts[1][n].content, inputs) for n in good] == answers
            assert [each for answer in decode_answers(listed.content) for each in [describe(answer, inputs)]] == answers


@pytest.mark.slow
@pytest.mark.parametrize("seed", [8, 13])
def test_no_request_that_the_document_allows_is_a_5xx(tmp_path: Path, seed: int) -> None:
    import schemathesis

    draw = random.Random(seed)
    made = make_generated_service(tmp_path, draw_problem(draw), draw)
    with local_service.TestClient(made.service.to_asgi(), "http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        document = schemathesis.openapi.from_dict(http.get("/docs.json").json())
        statuses = {status for path in ("/predict", "/feedback") for status in collect_statuses(http, document, path)}
    assert {200} <= statuses <= {200, 413, 422}


def collect_statuses(http: Any, document: Any, path: str) -> set[int]:
    """The statuses of answers to requests that the document allows there."""
    statuses: set[int] = set()

    @settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=document[path]["POST"].as_strategy())
    def send(case: Any) -> None:
        statuses.add(http.post(path, json=case.body).status_code)

    send()
    return statuses


def describe_answer(body: bytes, inputs: dict[str, Any]) -> Any:
    (answer,) = decode_answers(body)
    return describe(answer, inputs)


def describe(answer: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """All of an answer but its id, with what the model was given."""
    return {**answer, "prediction_id": inputs[answer["prediction_id"]]}
