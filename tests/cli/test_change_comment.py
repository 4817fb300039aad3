"""The report of each push replaces that of the push before, and a fork, which may not comment, is told so."""

import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from penumbra.cli.change_comment import NO_HOST, NO_REQUEST, post_report
from penumbra.cli.reports.decisions.change_report import REPORT_MARK
from tests.helpers.servers.small_server import serve_in_thread

REPORT = f"{REPORT_MARK}\n## What this change does\n"


class CodeHost(http.server.BaseHTTPRequestHandler):
    """The comments of one request, as GitHub and GitLab serve them, two a page."""

    comments: ClassVar[list[dict[str, Any]]] = []
    requests: ClassVar[list[str]] = []
    may_write: ClassVar[bool] = True

    def do_GET(self) -> None:
        page = int(self.path.rpartition("page=")[2])
        self.answer(200, self.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        self.write_comment(len(self.comments) + 1)

    def do_PATCH(self) -> None:
        self.write_comment(int(self.path.rpartition("/")[2]))

    def do_PUT(self) -> None:
        self.do_PATCH()

    def write_comment(self, number: int) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))["body"]
        self.requests.append(f"{self.command} {self.path}")
        is_ours = not any(each["id"] == number and "locked" in each for each in self.comments)
        if self.may_write and is_ours:
            self.comments[number - 1 : number] = [{"id": number, "body": body}]
        self.answer(201 if self.may_write and is_ours else 403, {})

    def answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a host with a comment that somebody wrote."""
    monkeypatch.setattr(CodeHost, "comments", [{"id": 1, "body": "Looks good"}])
    monkeypatch.setattr(CodeHost, "requests", [])
    monkeypatch.setattr(CodeHost, "may_write", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), CodeHost) as server, serve_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def make_github_variables(host: str, folder: Path, event: dict[str, Any]) -> dict[str, str]:
    (folder / "event.json").write_text(json.dumps(event))
    return {
        **{"GITHUB_ACTIONS": "true", "GITHUB_API_URL": host, "GITHUB_REPOSITORY": "shop/churn", "GITHUB_TOKEN": "t"},
        **{"GITHUB_EVENT_PATH": str(folder / "event.json"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")},
    }


def make_gitlab_variables(host: str) -> dict[str, str]:
    project = {"CI_API_V4_URL": host, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "7"}
    return {"GITLAB_CI": "true", "GITLAB_TOKEN": "t", **project}


def test_on_github_the_second_push_replaces_the_comment_of_the_first(host: str, tmp_path: Path) -> None:
    environ = make_github_variables(host, tmp_path, {"pull_request": {"number": 7}})
    assert post_report(REPORT, tmp_path / "report.md", environ) == "the comment is made"
    after = post_report(f"{REPORT}Better.\n", tmp_path / "report.md", environ)
    assert after == "the comment of the push before is replaced"
    assert [comment["body"] for comment in CodeHost.comments] == ["Looks good", f"{REPORT}Better.\n"]
    issues = "/repos/shop/churn/issues"
    assert CodeHost.requests == [f"POST {issues}/7/comments", f"PATCH {issues}/comments/2"]
    assert (tmp_path / "summary.md").read_text() == f"{REPORT}{REPORT}Better.\n"


def test_on_gitlab_the_second_push_replaces_the_note_of_the_first(host: str, tmp_path: Path) -> None:
    environ = make_gitlab_variables(host)
    said = [post_report(REPORT, tmp_path / "report.md", environ) for _ in range(2)]
    assert said == ["the comment is made", "the comment of the push before is replaced"]
    notes = "/projects/5/merge_requests/7/notes"
    assert CodeHost.requests == [f"POST {notes}", f"PUT {notes}/2"]


def test_a_report_that_somebody_else_has_posted_is_left_and_the_own_one_replaced(host: str, tmp_path: Path) -> None:
    CodeHost.comments[0] = {"id": 1, "body": REPORT, "locked": True}
    said = [post_report(f"{REPORT}{n}", tmp_path / "report.md", make_gitlab_variables(host)) for n in range(2)]
    assert said == ["the comment is made", "the comment of the push before is replaced"]
    assert [comment["body"] for comment in CodeHost.comments] == [REPORT, f"{REPORT}1"]


def test_an_earlier_report_is_found_behind_a_hundred_comments(host: str, tmp_path: Path) -> None:
    CodeHost.comments += [{"id": number, "body": "Why?"} for number in range(2, 130)]
    environ = make_gitlab_variables(host)
    said = [post_report(REPORT, tmp_path / "report.md", environ) for _ in range(2)]
    assert said[1] == "the comment of the push before is replaced"


def test_a_fork_that_may_not_comment_has_its_report_in_the_summary(host: str, tmp_path: Path) -> None:
    CodeHost.may_write = False
    environ = make_github_variables(host, tmp_path, {"pull_request": {"number": 7}})
    assert post_report(REPORT, tmp_path / "report.md", environ).startswith(
        "no comment: HTTPStatusError: Client error '403"
    )
    assert (tmp_path / "summary.md").read_text() == REPORT
    environ |= {"GITHUB_TOKEN": ""}
    assert post_report(REPORT, tmp_path / "report.md", environ).startswith("no comment: GITHUB_TOKEN isn't set")


@pytest.mark.parametrize("page", ["<html>Log in</html>", '{"message": "Log in"}'])
def test_a_page_to_log_in_at_in_place_of_the_comments_is_said(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    def answer_page(self: CodeHost, *_: object) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    monkeypatch.setattr(CodeHost, "answer", answer_page)
    said = post_report(REPORT, tmp_path / "report.md", make_gitlab_variables(host))
    assert said.startswith("no comment: DecodingError: ")
    assert "answers with text/html in place of a list of comments" in said


def test_a_host_that_is_away_is_said(tmp_path: Path) -> None:
    environ = make_gitlab_variables("http://127.0.0.1:9")
    assert post_report(REPORT, tmp_path / "report.md", environ).startswith("no comment: Connect")


def test_without_a_request_there_is_no_comment(tmp_path: Path) -> None:
    environ = make_github_variables("http://127.0.0.1:9", tmp_path, {"ref": "main"})
    assert post_report(REPORT, tmp_path / "report.md", environ) == NO_REQUEST
    assert post_report(REPORT, tmp_path / "report.md", {"GITLAB_CI": "true"}) == NO_REQUEST


def test_azure_shows_the_file_on_the_page_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert post_report(REPORT, tmp_path / "report.md", {"TF_BUILD": "True"}) == NO_HOST
    assert capsys.readouterr().out == f"##vso[task.uploadsummary]{tmp_path}/report.md\n"


def test_a_report_that_is_longer_than_a_comment_may_be_is_cut(host: str, tmp_path: Path) -> None:
    post_report(REPORT + "x" * 70_000, tmp_path / "report.md", make_gitlab_variables(host))
    assert len(CodeHost.comments[1]["body"]) < 65_536
