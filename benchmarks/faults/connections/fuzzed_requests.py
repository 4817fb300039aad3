"""Requests that keep or break contracts drawn at random, sent on every way there is: no 5xx, one answer on all ways.

Each contract has columns of any dtype and any limit, a small model, and a service of its own over HTTP. A record goes
there alone, pipelined and through uvicorn's own protocol, in lists, to BentoML's own API, and by BentoML's client.
"""

import contextlib
import json
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bentoml
import polars as pl
from bentoml.exceptions import BentoMLException

from benchmarks.faults.connections.pipelined_requests import PipelinedConnection, RawResponse, encode_request
from benchmarks.faults.report import FaultReport
from penumbra.logs.indexing.index import LogIndex
from tests.helpers.problems.generated_problems import draw_problem
from tests.helpers.servers import local_service
from tests.helpers.servers.generated_services import (
    GeneratedService,
    decode_answers,
    make_generated_service,
    read_inputs,
)
from tests.helpers.servers.raw_http import run_server

REQUESTS, ROUNDS, RECORDS, CLIENT_RECORDS = 100_000, 20, 50, 5
REFUSED = (400, 413, 415, 422)
ALONE, PROXY, ONE, LISTS, API, CLIENT = "alone", "through a proxy", "a list of one", "lists", "BentoML's API", "client"
LABELS = "labels"
PREDICTION_IDS = ('"019fa1c2d3e4b5a69-0"', '"019fa1c2d3e4b5a69-1f"', '"019fa1c2d3e4b5a69-0\\n"', '"x"', "1", "null")
MAX_FINDINGS = 20

WayAnswers = dict[str, RawResponse]


class RequestFuzzer:
    """Sends records to the service of one problem on every way, and compares what came of them."""

    def __init__(self, made: GeneratedService, seed: int, own_port: int, api_port: int) -> None:
        self.made = made
        self.sent: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.differing: Counter[str] = Counter()
        self.findings: list[str] = []
        self._seed = seed
        self._draw = random.Random(seed)
        self._own, self._api = PipelinedConnection(own_port), PipelinedConnection(api_port)
        self._client = bentoml.SyncHTTPClient(f"http://127.0.0.1:{own_port}")
        self._rounds: list[tuple[bytes, WayAnswers]] = []

    def send_round(self) -> None:
        """Send some records on every way, and labels alone and in lists."""
        bodies = [self.made.requests.draw_body(self._draw) for _ in range(RECORDS)]
        alone = self._post(ALONE, "/predict", bodies)
        ways = {
            ALONE: alone,
            PROXY: self._post(PROXY, "/predict", bodies, x_forwarded_for="127.0.0.1"),
            ONE: self._post(ONE, "/predict", [b"[%b]" % body for body in bodies]),
            API: self._post(API, "/predict", bodies),
        }
        for body, *responses in zip(bodies, *ways.values(), strict=True):
            self._rounds.append((body, dict(zip(ways, responses, strict=True))))
        self._send_lists(bodies, alone)
        for body, response in list(zip(bodies, alone, strict=True))[:CLIENT_RECORDS]:
            self._send_by_client(body, response)
        self._send_labels()

    def compare_ways(self) -> None:
        """Compare acceptance, answers and the model's inputs, once all rounds are sent and logged."""
        inputs = read_inputs(self.made.folder)
        for body, answers in self._rounds:
            described = {way: _describe(response, inputs) for way, response in answers.items()}
            for way, description in described.items():
                is_list_of_lists = way == ONE and body.lstrip()[:1] != b"{"
                if description != described[ALONE] and not is_list_of_lists:
                    self._report(way, body, description, described[ALONE])
        self._check_index(len(inputs))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._client._temp_dir.cleanup()
        self._own.close()
        self._api.close()

    def _post(self, way: str, path: str, bodies: Sequence[bytes], **headers: str) -> list[RawResponse]:
        connection = self._api if way == API else self._own
        responses = connection.exchange_all([encode_request(path, body, **headers) for body in bodies])
        for body, response in zip(bodies, responses, strict=True):
            self._count(way, body, response.status)
        return responses

    def _count(self, way: str, body: bytes, status: int) -> None:
        self.sent[way] += 1
        self.accepted[way] += status == 200
        if status not in (200, *REFUSED):
            self.failed[way] += 1
            self._find(f"{way}: {status} for {body[:300]!r}")

    def _send_lists(self, bodies: Sequence[bytes], alone: Sequence[RawResponse]) -> None:
        """All records that are accepted alone, in one list; and with one that isn't."""
        good = [body for body, response in zip(bodies, alone, strict=True) if response.status == 200]
        bad = [body for body, response in zip(bodies, alone, strict=True) if response.status != 200]
        if not good:
            return
        (response,) = self._post(LISTS, "/predict", [b"[%b]" % b",".join(good)])
        expected = [response for response in alone if response.status == 200]
        for n, body in enumerate(good):
            answer = json.dumps(decode_answers(response.body)[n]).encode() if response.status == 200 else response.body
            self._rounds.append((body, {ALONE: expected[n], LISTS: RawResponse(response.status, answer)}))
        if objects := [body for body in bad if body[:1] == b"{"]:
            (response,) = self._post(LISTS, "/predict", [b"[%b]" % b",".join([*good[:3], objects[0]])])
            if response.status == 200:
                self._report(LISTS, objects[0], "accepted", "refused alone")

    def _send_by_client(self, body: bytes, alone: RawResponse) -> None:
        """BentoML's client sends values, so the record is what JSON makes of the body."""
        try:
            value = json.loads(body)
            resent = json.dumps(value).encode()
        except (ValueError, RecursionError):
            return
        (expected,) = self._post(ALONE, "/predict", [resent]) if resent != body else (alone,)
        status, content = 200, b""
        try:
            content = json.dumps(self._client.predict(value)).encode()
        except BentoMLException as error:
            status = error.error_code.value
        self._count(CLIENT, resent, status)
        self._rounds.append((resent, {ALONE: expected, CLIENT: RawResponse(status, content)}))

    def _send_labels(self) -> None:
        labels = [self._draw_label() for _ in range(RECORDS // 2)]
        alone = self._post(LABELS, "/feedback", labels)
        listed = self._post(LABELS, "/feedback", [b"[%b]" % each for each in labels])
        for label, one, many in zip(labels, alone, listed, strict=True):
            if (one.status == 200) != (many.status == 200):
                self._report(LABELS, label, many.status, one.status)

    def _draw_label(self) -> bytes:
        """A label by a prediction's id or by key, sometimes by both or neither."""
        label = {"happened": self._draw.choice(("null", "null", "true", "1.5", '"x"', "1e400", "[]", '"\\ud800"'))}
        if (way := self._draw.random()) < 0.5:
            label["prediction_id"] = self._draw.choice(PREDICTION_IDS)
        if 0.4 < way < 0.95:
            label["id"] = self._draw.choice(self.made.requests.columns["id"][self._draw.random() < 0.2])
        return ("{" + ",".join(f'"{name}":{value}' for name, value in label.items()) + "}").encode()

    def _check_index(self, predictions: int) -> None:
        """Every logged line can be indexed."""
        index = LogIndex.from_settings(local_service.make_service_settings(self.made.folder), self.made.problem.schema)
        index.catch_up()
        with index.open() as db:
            ((found,),) = db.execute("SELECT COUNT(*) FROM predictions")
            ((unreadable,),) = db.execute("SELECT SUM(unreadable) FROM segments")
        if unreadable or found != predictions:
            self._report("index", b"", f"{found} of {predictions} predictions, {unreadable} lines unreadable", "all")

    def _report(self, way: str, body: bytes, found: Any, expected: Any) -> None:
        self.differing[way] += 1
        self._find(f"{way}: {body[:300]!r} gives {found}, {ALONE} {expected}")

    def _find(self, finding: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(f"contract {self._seed}, {finding}")


def _describe(response: RawResponse, inputs: dict[str, Any]) -> Any:
    """The answer without its id, with what the model was given; or that it is refused."""
    if response.status != 200:
        return "refused" if response.status in REFUSED else response.status
    (answer,) = decode_answers(response.body)
    return {**answer, "prediction_id": inputs.get(answer["prediction_id"], "not in the log")}


def inject_faults(requests: int = REQUESTS, first_seed: int = 1) -> FaultReport:
    """Send requests to services of contracts drawn at random.

    Args:
        requests: At least so many requests in all.
        first_seed: The seed of the first contract; the next ones have the numbers after it.

    Returns:
        The counts `fuzzed` (requests), `5xx` and `disagreements` (answers that differ from those to the record alone),
        with a row for each way.
    """
    fuzzers: list[RequestFuzzer] = []
    while sum(fuzzer.sent.total() for fuzzer in fuzzers) < requests:
        fuzzers.append(_fuzz_contract(first_seed + len(fuzzers), rounds=min(ROUNDS, requests // 250)))
    totals = {
        name: sum((getattr(each, name) for each in fuzzers), Counter()) for name in ("sent", "accepted", "failed")
    }
    differing = sum((fuzzer.differing for fuzzer in fuzzers), Counter[str]())
    table = pl.DataFrame(
        [
            {"way": way, "requests": sent, "accepted": totals["accepted"][way], "5xx": totals["failed"][way]}
            | {"disagreements": differing[way]}
            for way, sent in {**dict.fromkeys(differing, 0), **totals["sent"]}.items()
        ]
    )
    counts = {"fuzzed": totals["sent"].total(), "5xx": totals["failed"].total(), "disagreements": differing.total()}
    return FaultReport(counts, table, tuple(finding for fuzzer in fuzzers for finding in fuzzer.findings))


def _fuzz_contract(seed: int, rounds: int) -> RequestFuzzer:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.ExitStack() as running:
        warnings.simplefilter("ignore")
        made = make_generated_service(Path(folder), draw_problem(draw), draw)
        own_port, _ = running.enter_context(run_server(made.service.to_asgi()))
        api_port, _ = running.enter_context(run_server(made.service.to_plain_asgi()))
        fuzzer = RequestFuzzer(made, seed, own_port, api_port)
        with contextlib.closing(fuzzer):
            for _ in range(rounds):
                fuzzer.send_round()
        running.close()
        fuzzer.compare_ways()
    return fuzzer
