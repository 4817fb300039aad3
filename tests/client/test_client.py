"""The client against a real service over HTTP: answers, errors, and what goes wrong between the two."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from penumbra.client import (
    AsyncClient,
    Client,
    InvalidRequest,
    NotPermitted,
    RetryPolicy,
    ServiceFailed,
    ServiceOverloaded,
    ServiceUnavailable,
    ServiceUnreachable,
    TooLarge,
    UnknownId,
)
from penumbra.core.system.http_client import find_free_port
from penumbra.logs.append_log import read_entries
from problem.schema import EXAMPLE, OUTCOME
from tests.helpers.servers import local_service

KEY = "predict-key-of-anna"
PATIENT = RetryPolicy(deadline_seconds=60, attempt_seconds=3)
BAD = {**EXAMPLE, "temp": "warm"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    local_service.deploy_version(folder, "1", baseline=0.2)
    with local_service.start_server(folder, service__max_records=50) as (_, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, seconds=60)
        yield str(http.base_url)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with Client(url, policy=PATIENT, trust_env=False) as made:
        yield made


def list_logged(folder: Path) -> list[str]:
    return [entry["id"] for entry in read_entries(folder / "predictions")]


def test_a_record_is_answered_with_its_types(client: Client, folder: Path) -> None:
    answer = client.predict(EXAMPLE)
    assert answer.prediction_id in list_logged(folder)
    assert isinstance(answer.decision, bool)
    assert (answer.model_version, answer.logged, answer.rules) == ("1", True, ())
    assert answer.probability is not None
    assert 0 <= answer.probability <= 1


def test_the_same_key_gets_the_same_answer(client: Client) -> None:
    assert client.predict(EXAMPLE, "mine") == client.predict(EXAMPLE, "mine")
    assert client.predict_list([EXAMPLE] * 7, "a list") == client.predict_list([EXAMPLE] * 7, "a list")


def test_a_key_with_another_list_or_with_other_parts_is_refused_and_nothing_more_is_logged(
    client: Client, url: str, folder: Path
) -> None:
    with Client(url, policy=PATIENT, max_records=2, trust_env=False) as other:
        asked: list[tuple[str, Callable[[], Any], list[Callable[[], Any]]]] = [
            (
                "orders",
                lambda: client.predict_list([EXAMPLE] * 3, "orders"),
                [
                    lambda: client.predict_list([EXAMPLE] * 4, "orders"),
                    lambda: other.predict_list([EXAMPLE] * 3, "orders"),
                    lambda: client.predict_table(pl.from_dicts([EXAMPLE] * 3), "orders"),
                ],
            ),
            (
                "twos",
                lambda: other.predict_list([EXAMPLE] * 2, "twos"),
                [
                    lambda: other.predict_list([EXAMPLE] * 4, "twos"),
                    lambda: list(other.predict_stream([EXAMPLE], "twos")),
                ],
            ),
            ("fours", lambda: other.predict_list([EXAMPLE] * 4, "fours"), [lambda: other.predict(EXAMPLE, "fours")]),
            ("one", lambda: client.predict(EXAMPLE, "one"), [lambda: client.predict_list([EXAMPLE], "one")]),
        ]
        for key, ask, others in asked:
            first, logged = ask(), list_logged(folder)
            for refused in others:
                with pytest.raises(InvalidRequest, match="this idempotency key was sent with another request"):
                    refused()
            assert ask() == first, key
            assert list_logged(folder) == logged


def test_a_long_list_is_sent_in_parts_even_where_the_service_takes_fewer_than_the_client_thinks(
    client: Client, folder: Path
) -> None:
    before = len(list_logged(folder))
    answers = client.predict_list({**EXAMPLE, "temp": 50 + n / 10} for n in range(170))
    assert [answer.prediction_id for answer in answers] == list_logged(folder)[before:]
    assert len(answers) == 170


def test_an_option_to_which_the_version_has_no_answer_is_an_invalid_request_and_none_of_a_key(client: Client) -> None:
    for ask in (
        lambda: client.predict(EXAMPLE, uncertainty=True),
        lambda: client.predict_list([EXAMPLE], "k", uncertainty=True),
    ):
        with pytest.raises(InvalidRequest, match="uncertainty is true: expected false, as version 1") as caught:
            ask()
        assert [detail.field for detail in caught.value.details] == ["uncertainty"]


def test_a_faulty_record_is_named_by_its_position_in_the_whole_list(client: Client) -> None:
    records = [EXAMPLE] * 120 + [BAD] + [EXAMPLE] * 3
    with pytest.raises(InvalidRequest) as caught:
        client.predict_list(records)
    (detail,) = caught.value.details
    assert (detail.index, detail.field) == (120, "temp")
    assert len(caught.value.answered) == 93
    assert "temp" in str(caught.value)


@pytest.mark.parametrize("to_library", [lambda frame: frame, lambda frame: frame.to_arrow()])
def test_a_table_is_answered_by_a_table_of_its_library(
    client: Client, folder: Path, to_library: Callable[[pl.DataFrame], Any]
) -> None:
    before = len(list_logged(folder))
    table = to_library(pl.from_dicts([{**EXAMPLE, "temp": 50 + n / 10} for n in range(170)]))
    answers = client.predict_table(table, f"a table of {type(table)}")
    assert type(answers) is type(table)
    frame = pl.DataFrame(answers) if isinstance(answers, pl.DataFrame) else pl.from_arrow(answers)
    assert isinstance(frame, pl.DataFrame)
    assert frame["prediction_id"].to_list() == list_logged(folder)[before:]
    assert frame["probability"].is_between(0, 1).all()
    again = client.predict_table(table, f"a table of {type(table)}")
    assert again.equals(answers)


def test_a_faulty_row_of_a_table_is_named(client: Client) -> None:
    table = pl.from_dicts([EXAMPLE] * 70).with_columns(temp=pl.Series([50.0] * 69 + [500.0]))
    with pytest.raises(InvalidRequest) as caught:
        client.predict_table(table)
    assert [(detail.index, detail.field) for detail in caught.value.details] == [(69, "temp")]
    with pytest.raises(TypeError, match=r"expected a polars.DataFrame or a pyarrow.Table"):
        client.predict_table([EXAMPLE])


def test_labels_are_sent_one_by_one_or_many(client: Client, folder: Path) -> None:
    label = {"prediction_id": client.predict(EXAMPLE).prediction_id, **OUTCOME}
    assert client.send_label(label).outcome == "accepted"
    assert len({each.label_id for each in client.send_labels([label] * 120)}) == 120


def test_what_became_of_an_answer_is_told(client: Client) -> None:
    name = client.predict(EXAMPLE).prediction_id
    with pytest.raises(UnknownId, match="not left to people"):
        client.review(name)
    with pytest.raises(UnknownId):
        client.review("no/such id?")
    assert client.explain(name)["prediction"]["id"] == name


def test_health_readiness_and_metrics_are_told(client: Client) -> None:
    assert client.is_alive()
    assert client.readiness().ready
    assert client.readiness().model_version == "1"
    assert "penumbra_records_total" in client.metrics()


def test_where_nobody_listens_an_error_says_so_within_the_deadline() -> None:
    began = time.monotonic()
    with Client(f"http://127.0.0.1:{find_free_port()}", policy=RetryPolicy(deadline_seconds=1)) as nobody:
        assert not nobody.is_alive()
        with pytest.raises(ServiceUnreachable, match="ConnectError"):
            nobody.predict(EXAMPLE)
    assert time.monotonic() - began < 30


def test_a_wrong_path_of_an_address_is_no_unknown_id(url: str) -> None:
    with Client(f"{url}/v2/", policy=PATIENT, trust_env=False) as client:
        for ask in (lambda: client.predict(EXAMPLE), lambda: client.review("1-2-3"), client.metrics):
            with pytest.raises(ServiceFailed, match=rf"404: (POST|GET) {url}/v2/\w+.*no answer of the service"):
                ask()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        Client("127.0.0.1:3000")


def test_the_asynchronous_client_does_the_same(url: str, folder: Path) -> None:
    async def ask() -> list[Any]:
        async with AsyncClient(url, policy=PATIENT, trust_env=False) as client:
            answers = await asyncio.gather(*(client.predict(EXAMPLE) for _ in range(20)))
            answers += await client.predict_list([EXAMPLE] * 120)
            table = await client.predict_table(pl.from_dicts([EXAMPLE] * 60))
            assert len(table) == 60
            label = {"prediction_id": answers[0].prediction_id, **OUTCOME}
            accepted = [await client.send_label(label), *await client.send_labels([label] * 60)]
            assert {each.outcome for each in accepted} == {"accepted"}
            with pytest.raises(InvalidRequest) as caught:
                await client.predict_list([EXAMPLE] * 60 + [BAD])
            assert caught.value.details[0].index == 60
            assert await client.is_alive()
            assert (await client.readiness()).ready
            assert "penumbra" in await client.metrics()
            assert (await client.explain(answers[0].prediction_id))["labels"]
            with pytest.raises(UnknownId):
                await client.review(answers[0].prediction_id)
            return [answer.prediction_id for answer in answers]

    before = set(list_logged(folder))
    assert set(asyncio.run(ask())) <= set(list_logged(folder)) - before


def test_a_service_that_is_killed_and_started_again_within_a_list_answers_each_record_once(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    port, stages = find_free_port(), [threading.Event() for _ in range(2)]

    def serve() -> None:
        for stage in stages:
            with local_service.start_server(tmp_path, service__port=port) as (process, _):
                stage.wait(60)
                os.kill(process.pid, signal.SIGKILL)

    host = threading.Thread(target=serve)
    host.start()
    answers = []
    with Client(f"http://127.0.0.1:{port}", policy=PATIENT, max_records=20, trust_env=False) as client:
        for number, answer in enumerate(client.predict_stream([EXAMPLE] * 300)):
            answers.append(answer.prediction_id)
            if number == 100:
                stages[0].set()
    stages[1].set()
    host.join()
    assert len(answers) == 300
    assert sorted(answers) == sorted(list_logged(tmp_path))


def test_a_service_that_hangs_for_a_while_answers_once(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    impatient = RetryPolicy(deadline_seconds=60, attempt_seconds=0.3)
    with local_service.start_server(tmp_path, service__hang_seconds=60) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, seconds=60)
        (worker,) = local_service.find_workers(process.pid)
        with Client(str(http.base_url), policy=impatient, trust_env=False) as client:
            client.predict(EXAMPLE)
            worker.suspend()
            threading.Timer(2, worker.resume).start()
            answers = client.predict_list([EXAMPLE] * 5)
    assert [answer.prediction_id for answer in answers] == list_logged(tmp_path)[1:]


def test_a_service_that_is_too_busy_is_asked_again_until_it_answers(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    with local_service.start_server(tmp_path, service__max_concurrency=1) as (_, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, seconds=60)
        with Client(str(http.base_url), policy=PATIENT, trust_env=False) as client, ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: client.predict_list([EXAMPLE] * 3000), range(6)))
            refused = read_turned_away(client)
        hasty = Client(str(http.base_url), policy=RetryPolicy(deadline_seconds=0.01), trust_env=False)
        with ThreadPoolExecutor(6) as threads:
            errors = list(threads.map(lambda _: find_error(hasty), range(6)))
    assert sum(map(len, answers)) == 18_000
    assert refused > 0
    assert any(isinstance(error, ServiceOverloaded | ServiceUnreachable) for error in errors)


def read_turned_away(client: Client) -> float:
    lines = client.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('penumbra_turned_away_total{status="429"}'))


def find_error(client: Client) -> Exception | None:
    try:
        client.predict_list([EXAMPLE] * 3000)
    except Exception as error:
        return error
    return None


def test_keys_limits_and_a_missing_model_are_exceptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_KEYS__PREDICT", KEY)
    with local_service.start_server(tmp_path, service__max_body_bytes=1024) as (_, http):
        url, hasty = str(http.base_url), RetryPolicy(deadline_seconds=1)
        with pytest.raises(NotPermitted, match="no valid key"):
            Client(url, policy=hasty, trust_env=False).predict(EXAMPLE)
        client = Client(url, KEY, policy=hasty, trust_env=False)
        with pytest.raises(ServiceUnavailable):
            client.predict(EXAMPLE)
        with pytest.raises(NotPermitted, match="this key is for predict"):
            client.metrics()
        with pytest.raises(TooLarge):
            client.predict({**EXAMPLE, "carrier": "U" * 2000})
        assert not client.readiness().ready
        assert client.readiness().reason
