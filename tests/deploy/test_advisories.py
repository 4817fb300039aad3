"""The real pip-audit is asked about a lock of two distributions; the database that it asks is a small one in here."""

import json
from collections.abc import Iterator
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy import advisories
from deploy.advisories import Advisory, AuditFailed, find_advisories
from penumbra.cli.app import main
from penumbra.core.system.http_client import find_free_port
from tests.helpers.servers.small_server import SmallServer, run_small_server

LOCK = "".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in ("click==8.5.1", "jinja2==2.4.1"))
FAULT = {
    "id": "PYSEC-2024-2",
    "aliases": ["GHSA-1"],
    "summary": "A fault.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}],
        }
    ],
}


class Database(SmallServer):
    """Knows of one fault, of the old distribution; `answer` is sent instead where there is one."""

    answer: bytes = b""
    status: int = 200

    def respond(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        asked = json.loads(body)
        known = (asked["package"]["name"], asked["version"]) == ("jinja2", "2.4.1")
        return self.status, self.answer or json.dumps({"vulns": [FAULT]} if known else {}).encode()


@pytest.fixture
def database() -> Iterator[Database]:
    with run_small_server(Database()) as server:
        yield server


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "small.lock").write_text(LOCK)
    return tmp_path / "small.lock"


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def address_of(server: Database) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.slow
def test_an_advisory_is_named_with_its_distribution_and_the_version_that_mends_it(
    database: Database, lock: Path
) -> None:
    (found,) = find_advisories((), [lock], address_of(database))
    assert found == Advisory("PYSEC-2024-2", "jinja2", "2.4.1", ("2.11.3",))


@pytest.mark.slow
def test_an_accepted_advisory_is_left_out(database: Database, lock: Path) -> None:
    assert find_advisories(["PYSEC-2024-2"], [lock], address_of(database)) == []


@pytest.mark.slow
def test_what_is_no_answer_of_a_database_is_not_taken_for_no_advisory(database: Database, lock: Path) -> None:
    database.answer = b"<html>"
    with pytest.raises(AuditFailed, match=r"can't be asked: it answers with something else than JSON$"):
        find_advisories((), [lock], address_of(database))


@pytest.mark.slow
def test_an_error_of_the_database_is_told_as_such(database: Database, lock: Path) -> None:
    database.status = 503
    with pytest.raises(
        AuditFailed, match=f"at 127.0.0.1:{database.server_port} can't be asked: it answers with an error$"
    ):
        find_advisories((), [lock], address_of(database))


@pytest.mark.slow
def test_a_lock_without_hashes_is_refused_in_the_words_of_the_audit(database: Database, lock: Path) -> None:
    lock.write_text("click==8.5.1\n")
    with pytest.raises(AuditFailed, match="hash"):
        find_advisories((), [lock], address_of(database))


def run_audit(monkeypatch: pytest.MonkeyPatch, lock: Path, address: str) -> Any:
    monkeypatch.setattr(advisories, "find_advisories", partial(find_advisories, locks=[lock], address=address))
    return CliRunner().invoke(main, ["audit"])


@pytest.mark.slow
def test_the_command_ends_with_3_at_an_advisory(
    database: Database, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_audit(monkeypatch, lock, address_of(database))
    assert (found.exit_code, found.stdout) == (3, "jinja2 2.4.1: PYSEC-2024-2, mended in 2.11.3\n")


@pytest.mark.slow
def test_the_command_says_when_no_database_can_be_reached(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"127.0.0.1:{find_free_port()}"
    done = run_audit(monkeypatch, lock, f"http://{host}")
    assert done.exit_code == 1
    assert done.stderr == (
        f"nothing was audited: the database of advisories at {host} can't be asked: it refuses the connection\n"
    )


@pytest.mark.slow
def test_a_name_that_nobody_knows_is_told_as_such(lock: Path, no_proxy: None) -> None:
    with pytest.raises(AuditFailed, match=r"advisories at nowhere\.invalid can't be asked: its name can't be resolved"):
        find_advisories((), [lock], "https://nowhere.invalid/v1/query")


@pytest.mark.slow
def test_a_proxy_that_is_not_there_is_told_as_such(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{find_free_port()}")
    with pytest.raises(AuditFailed, match=r"at nowhere\.invalid can't be asked: the proxy doesn't let it through$"):
        find_advisories((), [lock], "https://nowhere.invalid/v1/query")
