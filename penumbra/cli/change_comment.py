"""The report on a change where people look for it: the page of the pipeline's run, and one comment of the request.

Each push replaces the comment of the push before. The pipeline of a fork has no right to comment: that is said, and is
no failure. Which host it is, and which request, is told by the variables that hosts set for their pipelines.

Source:
    GitHub, "Default environment variables" and "REST API endpoints for issue comments"; GitLab, "Predefined CI/CD
    variables" and "Notes API"; Azure DevOps, "Logging commands".
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from penumbra.cli.reports.decisions.change_report import REPORT_MARK
from penumbra.core.text.errors import describe_error

MAX_CHARACTERS = 60_000  # GitHub takes 65,536
TIMEOUT_SECONDS = 20.0
PAGE_SIZE = 100
CUT = "…\n\n(The file of the report has the rest.)\n"
NO_HOST = "no comment: this isn't a pipeline of GitHub or GitLab"
NO_REQUEST = "no comment: this pipeline isn't that of a pull or merge request"
NO_TOKEN = "no comment: {} isn't set, as in pipelines of forks (docs/ci.md)"


@dataclass(frozen=True)
class CommentApi:
    """The comments of a pull or merge request.

    Args:
        comments: The address at which they are listed and made.
        edited: The address before the number of one that is replaced.
        method: The HTTP method that replaces one.
        headers: What authorises a request.
    """

    comments: str
    edited: str
    method: str
    headers: Mapping[str, str]

    def replace_comment(self, text: str) -> str:
        """Replace the comment that begins with the report's mark, or make one where none may be replaced.

        Args:
            text: The new text, which begins with the mark.

        Returns:
            What was done, in words.

        Raises:
            httpx.HTTPError: The host can't be reached, or refuses.
        """
        with httpx.Client(headers=dict(self.headers), timeout=TIMEOUT_SECONDS) as client:
            earlier = [one["id"] for one in self._list(client) if str(one["body"]).startswith(REPORT_MARK)]
            for number in reversed(earlier):
                answer = client.request(self.method, f"{self.edited}/{number}", json={"body": text})
                if answer.status_code not in (
                    httpx.codes.FORBIDDEN,
                    httpx.codes.NOT_FOUND,
                ):  # those are somebody else's
                    answer.raise_for_status()
                    return "the comment of the push before is replaced"
            client.post(self.comments, json={"body": text}).raise_for_status()
        return "the comment is made"

    def _list(self, client: httpx.Client) -> Iterator[Mapping[str, Any]]:
        for page in itertools.count(1):
            answer = client.get(self.comments, params={"per_page": PAGE_SIZE, "page": page}).raise_for_status()
            yield from (found := _read_comments(answer))
            if len(found) < PAGE_SIZE:
                return


def _read_comments(answer: httpx.Response) -> list[Mapping[str, Any]]:
    """The comments in an answer, which a proxy may have given in the host's place."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, list):
        kind = answer.headers.get("content-type", "something else")
        raise httpx.DecodingError(f"{answer.url} answers with {kind} in place of a list of comments")
    return found


def post_report(text: str, file: Path, environ: Mapping[str, str]) -> str:
    """Show the report on the page of the pipeline's run, and as a comment of the request that it belongs to.

    Args:
        text: The report.
        file: The file that has it.
        environ: The environment variables of the pipeline.

    Returns:
        What became of the comment, as a sentence.
    """
    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a") as page:
            page.write(text)
    if environ.get("TF_BUILD"):
        print(f"##vso[task.uploadsummary]{file.absolute()}", flush=True)
    api = find_comment_api(environ)
    if isinstance(api, str):
        return api
    shown = text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + CUT
    try:
        return api.replace_comment(shown)
    except httpx.HTTPError as error:
        return f"no comment: {describe_error(error)}"


def find_comment_api(environ: Mapping[str, str]) -> CommentApi | str:
    """Find the comments of the request that a pipeline runs for.

    Args:
        environ: The environment variables of the pipeline.

    Returns:
        How to reach them; or why there are none, as a sentence.
    """
    if environ.get("GITHUB_ACTIONS"):
        return _find_github_api(environ)
    return _find_gitlab_api(environ) if environ.get("GITLAB_CI") else NO_HOST


def _find_github_api(environ: Mapping[str, str]) -> CommentApi | str:
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text())
    if not (number := event.get("pull_request", {}).get("number")):
        return NO_REQUEST
    if not (token := environ.get("GITHUB_TOKEN")):
        return NO_TOKEN.format("GITHUB_TOKEN")
    issues = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}/issues"
    headers = {"authorization": f"Bearer {token}", "accept": "application/vnd.github+json"}
    return CommentApi(f"{issues}/{number}/comments", f"{issues}/comments", "PATCH", headers)


def _find_gitlab_api(environ: Mapping[str, str]) -> CommentApi | str:
    if not (number := environ.get("CI_MERGE_REQUEST_IID")):
        return NO_REQUEST
    if not (token := environ.get("GITLAB_TOKEN")):
        return NO_TOKEN.format("GITLAB_TOKEN")
    project = f"{environ['CI_API_V4_URL']}/projects/{environ['CI_PROJECT_ID']}"
    notes = f"{project}/merge_requests/{number}/notes"
    return CommentApi(notes, notes, "PUT", {"private-token": token})
