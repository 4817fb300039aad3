"""The review page over HTTP: who gets in, and what a browser may do with it."""

import httpx
import pytest

from service.http.access.access_control import read_keys
from tests.helpers.pages import review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, pick_logged_rows

KEYS = read_keys({"PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234", "PENUMBRA_KEYS__APPROVE": f"carol:{'k' * 20}"})
ALICE, CAROL = ({"authorization": f"Bearer {key}"} for key in ("key-of-alice-1234", "k" * 20))


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    return pick_logged_rows(tmp_path_factory.mktemp("review"), 2)


@pytest.fixture(scope="module")
def client(reviewed):
    with (
        review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS, KEYS) as address,
        httpx.Client(base_url=address, trust_env=False) as opened,
    ):
        yield opened


@pytest.fixture
def body(reviewed):
    return {"actions": [{"token": "0" * 32, "case": reviewed.ids[0], "kind": "answer", "label": {"late": True}}]}


@pytest.mark.slow
def test_the_page_takes_a_reviewer_s_key_for_reading_too(client):
    assert client.get("/review").status_code == client.get("/review/next", headers=CAROL).status_code == 401
    assert client.get("/review/next", headers=ALICE).json()["reviewer"] == "alice"
    assert client.get("/review/progress", headers=ALICE).json()["statuses"]["open"] == 2


def test_the_page_runs_its_own_scripts_only_and_asks_nobody_else(client):
    page = client.get("/review", headers=ALICE)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
    assert not [part for part in ("<style", "onclick=", "style=", "http:", "https:") if part in page.text]
    assert client.get("/review/review.js", headers=ALICE).headers["content-type"] == "text/javascript; charset=utf-8"


def test_the_worker_is_for_the_page_alone_and_is_kept_to_the_same_policy(client):
    worker = client.get("/review/worker.js", headers=ALICE)
    assert worker.headers["service-worker-allowed"] == "/review"
    assert (
        worker.headers["content-security-policy"]
        == client.get("/review", headers=ALICE).headers["content-security-policy"]
    )
    assert client.get("/review/worker.js").status_code == 401
    assert "/review/next" not in worker.text


@pytest.mark.parametrize("path", ["/review/", "/review/../overview.html", "/review/review_site.py", "/review/next/x"])
def test_there_is_nothing_beside_the_page_s_own_files(client, path):
    assert client.get(path, headers=ALICE).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (CAROL, 401),
        ({**ALICE, "origin": "http://a.example"}, 403),
        ({**ALICE, "sec-fetch-site": "cross-site"}, 403),
        ({**ALICE, "host": "a.example"}, 421),
        ({**ALICE, "content-type": "text/plain"}, 415),
    ],
)
def test_who_may_not_answer_records_nothing(client, reviewed, body, headers, status):
    assert client.post("/review/actions", json=body, headers=headers).status_code == status
    assert reviewed.read_actions() == []


def test_other_methods_are_refused(client):
    assert client.request("DELETE", "/review/actions", headers=ALICE).status_code == 405
    assert client.post("/review/next", json={}, headers=ALICE).status_code == 405
