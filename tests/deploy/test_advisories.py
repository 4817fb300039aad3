"""The advisories of a database that speaks OSV's protocol, and one that doesn't answer."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from deploy import advisories
from deploy.advisories import Advisory, DatabaseUnreachable, find_advisories, list_audited_distributions
from deploy.locks import LockedDistribution
from penumbra.cli.app import main
from penumbra.core.http_client import find_free_port

OLD, SOUND = LockedDistribution("jinja2", "2.4.1", ("0" * 64,)), LockedDistribution("click", "8.5.1", ("0" * 64,))


class Database(ThreadingHTTPServer):
    """Knows of one fault, of the old one; counts the requests."""

    requests: list[int]
    answer: bytes = b""


class Answering(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        self.server.requests.append(len(asked))
        results = [
            {"vulns": [{"id": "GHSA-1"}, {"id": "PYSEC-2"}]}
            if (query["package"], query["version"]) == ({"ecosystem": "PyPI", "name": "jinja2"}, "2.4.1")
            else {}
            for query in asked
        ]
        body = self.server.answer or json.dumps({"results": results}).encode()
        self.send_response(200 if self.path == "/v1/querybatch" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def database() -> Iterator[Database]:
    with Database(("127.0.0.1", 0), Answering) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address_of(server: Database) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_each_advisory_is_named_with_its_distribution_but_those_that_are_accepted(database: Database) -> None:
    found = find_advisories([SOUND, OLD], (), address_of(database))
    assert found == [Advisory("GHSA-1", "jinja2", "2.4.1"), Advisory("PYSEC-2", "jinja2", "2.4.1")]
    assert find_advisories([SOUND, OLD], ["GHSA-1", "PYSEC-2"], address_of(database)) == []


def test_all_that_the_locks_pin_is_asked_for_in_a_few_requests(database: Database) -> None:
    distributions = list_audited_distributions()
    assert {"uv", "bentoml", "mlflow", "numpy"} <= {each.name for each in distributions}
    assert find_advisories([*distributions, *distributions], (), address_of(database)) == []
    assert (sum(database.requests), max(database.requests)) == (2 * len(distributions), 500)


@pytest.mark.parametrize("answer", [b"<html>", b'{"results": []}', b"[]", b'{"results": 1}'])
def test_a_database_that_speaks_otherwise_is_said_and_not_taken_for_no_advisory(
    database: Database, answer: bytes
) -> None:
    database.answer = answer
    with pytest.raises(DatabaseUnreachable, match="the database of advisories at http://127"):
        find_advisories([SOUND], (), address_of(database))


def run_audit(monkeypatch: pytest.MonkeyPatch, address: str, *words: str) -> Any:
    real = find_advisories
    monkeypatch.setattr(advisories, "list_audited_distributions", lambda: [OLD])
    monkeypatch.setattr(advisories, "find_advisories", lambda each, accepted: real(each, accepted, address))
    return CliRunner().invoke(main, ["audit", *words])


def test_the_command_ends_with_3_at_an_advisory_and_with_0_without(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_audit(monkeypatch, address_of(database))
    assert (found.exit_code, found.stdout) == (3, "jinja2 2.4.1: GHSA-1\njinja2 2.4.1: PYSEC-2\n")


def test_the_command_says_when_no_database_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_audit(monkeypatch, f"http://127.0.0.1:{find_free_port()}")
    assert done.exit_code == 1
    assert done.stderr.startswith("nothing was audited: the database of advisories at http://127.0.0.1")
