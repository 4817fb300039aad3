"""Alarms over HTTP, to a server that is there, slow to come to itself, or not there at all."""

import json
from contextlib import AbstractContextManager
from email.message import Message

import pytest

from penumbra.core.system.http_client import find_free_port
from penumbra.core.system.webhook import post_alarms
from tests.helpers.planted_secrets import PLANTED
from tests.helpers.servers.small_server import SmallServer, run_small_server


class Chat(SmallServer):
    """Answers with these statuses in turn, the last one for ever; keeps what it was sent."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses, self.received = list(statuses), []

    def respond(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        self.received.append((headers["content-type"], json.loads(body)))
        return (self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]), b""


def chat(*statuses: int) -> AbstractContextManager[Chat]:
    return run_small_server(Chat(*statuses))


def send(server: Chat, *alarms: str) -> bool:
    return post_alarms(f"http://127.0.0.1:{server.server_port}/hook", alarms, pause=0.01)


def test_alarms_arrive_as_one_message_that_slack_reads() -> None:
    with chat(200) as server:
        assert send(server, "temp is stuck", "é → °C")
    assert server.received == [("application/json", {"text": "temp is stuck\né → °C"})]


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/{secret}", "http://[{secret}/", "http://h\t/{secret}"])
def test_a_failure_is_told_without_the_address_which_is_a_secret(
    capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert not post_alarms(address.format(port=find_free_port(), secret=PLANTED), ["temp is stuck"], pause=0.01)
    assert "the webhook was not reached" in (printed := capsys.readouterr().out)
    assert PLANTED not in printed


def test_an_alarm_mentions_nobody_links_nowhere_and_is_one_line_of_bounded_length() -> None:
    with chat(200) as server:
        assert send(server, "<!channel> see\n<http://a.example|here> & now", "x" * 5_000)
    (_, message) = server.received[0]
    first, second = message["text"].split("\n")
    assert first == "&lt;!channel&gt; see &lt;http://a.example|here&gt; &amp; now"
    assert len(second) == 1_000


def test_of_very_many_alarms_the_first_are_told_and_the_others_counted() -> None:
    with chat(200) as server:
        assert send(server, *(f"alarm {number}" for number in range(50)))
    assert server.received[0][1]["text"].split("\n")[-2:] == ["alarm 19", "and 30 more: penumbra history"]


def test_a_server_that_comes_to_itself_gets_the_message() -> None:
    with chat(503, 500, 200) as server:
        assert send(server, "temp is stuck")
    assert len(server.received) == 3


def test_a_server_that_refuses_is_left_alone_after_three_times(capsys: pytest.CaptureFixture[str]) -> None:
    with chat(404) as server:
        assert not send(server, "temp is stuck")
    assert "not reached (HTTPError: HTTP Error 404" in capsys.readouterr().out
    assert len(server.received) == 3


NOBODY = [f"http://127.0.0.1:{find_free_port()}/", "http://nowhere.invalid/", "no address"]


@pytest.mark.parametrize("url", NOBODY, ids=["no server", "no machine", "no address"])
def test_a_webhook_that_is_not_there_stops_nothing(url: str) -> None:
    assert not post_alarms(url, ["temp is stuck"], pause=0.0)


def test_without_an_alarm_or_a_webhook_nothing_is_sent() -> None:
    with chat(200) as server:
        assert send(server)
        assert post_alarms("", ["temp is stuck"])
    assert server.received == []
