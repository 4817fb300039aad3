"""What `service/http/bentoml_app.py` relies on without its being documented; both ways through uvicorn are one."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import pytest
from bentoml.exceptions import BentoMLException
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from problem.schema import EXAMPLE
from service.connections.http_protocol import FastHttpProtocol
from tests.helpers.servers import local_service
from tests.helpers.servers.raw_http import BODY, encode_request, exchange_bytes, run_server, without_ids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The ports of two servers: one as it is, one with uvicorn's own protocol; and how often the first took the short
    way."""
    folder = tmp_path_factory.mktemp("factory")
    local_service.deploy_version(folder, "1")
    taken: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        respond = FastHttpProtocol._respond
        patch.setattr(FastHttpProtocol, "_respond", lambda *args: (taken.append(args[1][0]), respond(*args))[1])
        service = local_service.build_service(local_service.make_service_settings(folder), local_service.PROBLEM)
        with (
            run_server(service.to_asgi()) as (short, config),
            run_server(service.to_asgi(), http=HttpToolsProtocol) as (usual, _),
        ):
            assert issubclass(config.http_protocol_class, FastHttpProtocol)
            yield short, usual, taken


CUT = encode_request()
CHUNKED = encode_request(b"", Transfer_Encoding="chunked", Content_Length="") + b"%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)
REQUESTS: dict[str, tuple[int, list[bytes]]] = {  # how many are answered the short way, and the pieces
    "plain": (1, [CUT]),
    "two on one connection": (2, [CUT, CUT]),
    "pipelined": (3, [CUT * 3]),
    "in pieces": (1, [CUT[:10], CUT[10:100], CUT[100:-20], CUT[-20:]]),
    "refused": (1, [encode_request(b'{"carrier": "ZZ"}')]),
    "not JSON": (1, [encode_request(b"{")]),
    "a list": (0, [encode_request(b"[%b]" % BODY)]),
    "a list, then a record": (1, [encode_request(b"[%b]" % BODY), CUT]),
    "a list and a record, pipelined": (0, [encode_request(b"[%b]" % BODY) + CUT]),
    "a record and a list, pipelined": (1, [CUT + encode_request(b"[%b]" % BODY)]),
    "a record and a refused one, pipelined": (2, [CUT + encode_request(b"{")]),
    "empty": (0, [encode_request(b"")]),
    "whitespace first": (0, [encode_request(b" " + BODY)]),
    "larger than is kept": (0, [encode_request(b"{" + b" " * 100_000 + BODY[1:])]),
    "chunked": (0, [CHUNKED]),
    "another content type": (0, [encode_request(Content_Type="text/plain")]),
    "another method": (0, [encode_request(method="PUT")]),
    "another path": (0, [encode_request(target="/feedback")]),
    "with a query": (0, [encode_request(target="/predict?x=1")]),
    "through a proxy": (0, [encode_request(X_Forwarded_For="192.0.2.1")]),
    "the last of its connection": (0, [encode_request(Connection="close")]),
    "HTTP/1.0": (0, [CUT.replace(b"HTTP/1.1", b"HTTP/1.0")]),
    "asking before it sends": (0, [encode_request(Expect="100-continue")]),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_short_way_says_what_the_usual_way_says(servers: Any, name: str) -> None:
    short, usual, taken = servers
    expected_short, pieces = REQUESTS[name]
    taken.clear()
    answered = exchange_bytes(short, *pieces)
    assert without_ids(answered) == without_ids(exchange_bytes(usual, *pieces))
    assert len(taken) == expected_short
    assert answered.startswith(b"HTTP/1.1 ")


def test_bentomls_client_gets_what_the_service_answers(servers: Any) -> None:
    with bentoml.SyncHTTPClient(f"http://127.0.0.1:{servers[0]}") as client:
        one, (first, second) = client.predict(EXAMPLE), client.predict([EXAMPLE, EXAMPLE])
        with pytest.raises(BentoMLException, match="the record breaks the contract") as refused:
            client.predict({**EXAMPLE, "time_hour": "2013-04-01T21:00:00+00:60"})
        client._temp_dir.cleanup()  # the client leaves that to a finalizer, which warns in whatever test it runs
    assert one["probability"] == first["probability"] == second["probability"]
    assert refused.value.error_code == 422


@pytest.mark.slow
def test_a_client_that_goes_away_halfway_leaves_the_server_well(servers: Any) -> None:
    short, _, _ = servers
    exchange_bytes(short, CUT[:-5])
    assert b" 200 OK" in exchange_bytes(short, CUT)


@pytest.mark.slow
@pytest.mark.parametrize("piece", [CUT[:-20], CHUNKED[:-30]])
def test_a_sender_that_is_too_slow_is_told_so(tmp_path: Path, piece: bytes) -> None:
    service = local_service.build_service(
        local_service.make_service_settings(tmp_path, timeout_seconds=0.2), local_service.PROBLEM
    )
    with (
        run_server(service.to_asgi()) as (port, _),
        socket.create_connection(("127.0.0.1", port), 10) as connection,
    ):
        connection.sendall(piece)
        response_bytes = b"".join(iter(lambda: connection.recv(65536), b""))
    assert response_bytes.startswith(b"HTTP/1.1 503")
    assert b"this took longer than 0.2 s" in response_bytes


@pytest.mark.slow
def test_a_server_that_stops_waits_for_a_request_that_has_begun(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    with run_server(
        local_service.build_service(local_service.make_service_settings(tmp_path), local_service.PROBLEM).to_asgi()
    ) as (port, _):
        connection = socket.create_connection(("127.0.0.1", port), 10)
        connection.sendall(CUT[:-20])
        threading.Timer(0.3, connection.sendall, [CUT[-20:]]).start()
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
    connection.close()


@pytest.mark.slow
def test_bentoml_makes_an_application_whose_timeouts_and_metrics_can_be_left_out(tmp_path: Path) -> None:
    factory = local_service.build_service(
        local_service.make_service_settings(tmp_path), local_service.PROBLEM
    )._make_factory(True)
    assert (factory.timeout, factory.enable_metrics) == (None, False)
    assert {"openapi_spec_view", "_service_instance"} <= set(dir(factory))
