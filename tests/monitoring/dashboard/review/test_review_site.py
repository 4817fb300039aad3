"""The review page's requests: the next cases, what is hidden until they are answered, and answers that count once."""

import datetime as dt
import json

import httpx
import pytest

from monitoring.dashboard.review.review_site import ReviewPage
from penumbra.logs.append_log import read_entries
from service.http.access import KeyHolder, read_keys
from service.http.refusals import RequestRefused
from tests.helpers import review_pages
from tests.helpers.review_pages import JUDGED_FLIGHTS, list_actions, pick_logged_rows

ALICE, BOB = (KeyHolder(name, frozenset(["review"])) for name in ("alice", "bob"))
NOBODY = KeyHolder("", frozenset())
LATE = {"late": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pick_logged_rows(tmp_path_factory.mktemp("review"), 30)


def open_page(reviewed):
    return ReviewPage(reviewed.settings, JUDGED_FLIGHTS)


def read(page, what, holder=ALICE, **query):
    return json.loads(page.read(f"/review/{what}", query, holder)[1])


def send(page, *actions, holder=ALICE, reviewer=""):
    return json.loads(page.record(json.dumps({"actions": actions, "reviewer": reviewer}).encode(), holder)[1])[
        "results"
    ]


def act(case, kind="answer", label=LATE, number=1, **fields):
    given = {} if kind in ("skip", "undo", "cannot_tell") else {"label": label}
    return {"token": f"{number:032x}", "case": case, "kind": kind, **given, **fields}


def test_a_case_has_the_whole_row_those_like_it_and_the_form_of_an_answer(made):
    found = read(open_page(made), "next", count="30")
    assert (found["reviewer"], found["form"]) == ("alice", [{"name": "late", "kind": "boolean"}])
    assert {case["case"] for case in found["cases"]} == set(made.ids)
    first = next(case for case in found["cases"] if case["case"] == made.ids[0])
    weights = [weight for _, _, weight in first["columns"]]
    assert (len(weights), weights[0], weights) == (16, 1.0, sorted(weights, reverse=True))
    assert {outcome for outcome, _ in first["neighbours"]["rows"]} <= {"yes", "no"}


def test_a_row_that_keeps_the_contract_no_more_is_shown_as_it_is(made):
    shown = read(open_page(made), "next", count="30")["cases"]
    odd = next(case for case in shown if case["case"] == made.ids[-1])
    assert ({name: value for name, value, _ in odd["columns"]}["dest"], odd["neighbours"]) == (
        review_pages.MARKUP,
        None,
    )


def test_what_models_and_rules_say_is_hidden_until_the_case_is_answered(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 2)
    page = open_page(reviewed)
    cases = read(page, "next", count="9")["cases"]
    assert not [word for word in ("said", "probability", "a rule", "close call") if word in json.dumps(cases)]
    (answered,) = send(page, act(reviewed.ids[0]))
    assert (answered["status"], answered["said"]["rules"]) == ("decided", ["a rule"])
    assert (answered["said"]["reasons"], answered["said"]["probability"]) == (["close call"], 0.25)
    assert answered["said"]["models"][0][1].startswith(f"probability {reviewed.outputs[0]:.2f}: ")


def test_where_answers_needn_t_be_blind_they_are_said_at_once(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1, blind=False)
    (case,) = read(open_page(reviewed), "next")["cases"]
    assert case["said"]["rules"] == ["a rule"]


def test_an_action_that_is_sent_twice_is_recorded_once(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 2)
    page, case = open_page(reviewed), reviewed.ids[0]
    assert send(page, act(case))[0]["status"] == "decided"
    assert send(page, act(case))[0]["status"] == "decided"
    assert send(page, act(case, "undo", number=2), act(case))[0]["status"] == "open"
    assert list_actions(reviewed.read_actions()) == [("alice", "answer", LATE), ("alice", "undo", {})]


def test_an_answer_is_a_label_with_its_reviewer_note_and_sureness(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1)
    send(open_page(reviewed), act(reviewed.ids[0], note="as the tower said", sureness="likely"))
    (label,) = read_entries(tmp_path / "labels")
    assert (label["label"], label["reviewers"], label["note"]) == (LATE, ["alice"], "as the tower said")
    assert (label["source"], label["sureness"], label["probability"]) == ("review", "likely", 0.25)


def test_a_label_that_the_contract_refuses_is_said_and_the_others_are_recorded(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 2)
    odd, good = send(open_page(reviewed), act(reviewed.ids[0], label={"late": "maybe"}), act(reviewed.ids[1], number=2))
    assert "late is 'maybe'" in odd["error"]
    assert good["status"] == "decided"


def test_two_that_differ_are_a_conflict_which_is_shown_with_both_answers_and_decided_by_adjudication(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1, reviewers=2)
    page, case = open_page(reviewed), reviewed.ids[0]
    send(page, act(case, note="it rained"))
    assert read(page, "next")["cases"] == []
    assert send(page, act(case, label={"late": False}, number=2), holder=BOB)[0]["status"] == "conflict"
    (conflict,) = read(page, "next", mode="adjudicate")["cases"]
    assert [(answer["reviewer"], answer["label"], answer["note"]) for answer in conflict["answers"]] == [
        ("alice", {"late": True}, "it rained"),
        ("bob", {"late": False}, ""),
    ]
    assert send(page, act(case, "adjudicate", number=3), holder=BOB)[0]["status"] == "decided"


def test_progress_counts_what_each_did_today_and_estimates_the_error_rate_of_all_rows(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 3)
    page = open_page(reviewed)
    send(page, act(reviewed.ids[0]), act(reviewed.ids[1], "skip", number=2))
    found = read(page, "progress")
    assert (found["today"], found["statuses"]["open"], found["statuses"]["decided"]) == ({"alice": 1}, 2, 1)
    assert "from 1 of 3 picked rows" in dict(found["facts"])["decisions"]


def test_who_has_a_key_answers_under_its_name_only(made):
    page = open_page(made)
    with pytest.raises(RequestRefused, match="this key is alice's"):
        send(page, act(made.ids[0]), reviewer="bob")
    with pytest.raises(RequestRefused, match="expected a name"):
        send(page, act(made.ids[0]), holder=NOBODY)
    with pytest.raises(RequestRefused, match="a name has at most 40 letters"):
        read(page, "next", NOBODY, reviewer="<b>")
    assert read(page, "next", NOBODY)["cases"] == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"actions":[]}', b'{"actions":[{"token":"1","case":"1-0","kind":"answer"}]}', b"\xff"]
)
def test_a_body_that_is_no_list_of_actions_is_refused(made, body):
    with pytest.raises(RequestRefused, match="nothing was recorded"):
        open_page(made).record(body, ALICE)


def test_a_log_that_can_t_be_written_is_a_503_after_which_the_page_sends_again(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1)
    page = open_page(reviewed)
    reviews = tmp_path / "reviews"
    moved = reviews.rename(tmp_path / "elsewhere")
    reviews.write_text("a file in its place")
    with pytest.raises(RequestRefused, match="can't be written") as refused:
        send(page, act(reviewed.ids[0]))
    assert refused.value.status == 503
    reviews.unlink()
    moved.rename(reviews)
    assert send(page, act(reviewed.ids[0]))[0]["status"] == "decided"


def test_over_http_only_a_reviewer_s_key_and_pages_of_the_site_itself_get_in(made):
    keys = read_keys(
        {"PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234", "PENUMBRA_KEYS__APPROVE": f"carol:{'k' * 20}"}
    )
    with review_pages.serve_overview_site(made.settings, JUDGED_FLIGHTS, keys) as address:
        client = httpx.Client(base_url=address, trust_env=False)
        key = {"authorization": "Bearer key-of-alice-1234"}
        assert client.get("/review").status_code == 401
        page = client.get("/review", headers=key)
        assert page.headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'"
        )
        assert not [part for part in ("<style", "onclick=", "style=", "http:", "https:") if part in page.text]
        assert client.get("/review/next", headers=key).json()["reviewer"] == "alice"
        assert client.get("/review/../overview.html", headers=key).status_code == 404
        assert client.request("DELETE", "/review/actions", headers=key).status_code == 405
        body = {"actions": [act(made.ids[0], number=77)]}
        for wrong in ({}, {"authorization": f"Bearer {'k' * 20}"}):
            assert client.post("/review/actions", json=body, headers=wrong).status_code == 401
        foreign = {**key, "origin": "http://a.example"}
        assert client.post("/review/actions", json=body, headers=foreign).status_code == 403
        assert client.post("/review/actions", content=b"{}", headers=key).status_code == 415
        assert client.post("/review/actions", json=body, headers={**key, "host": "a.example"}).status_code == 421
        assert not [action for action in made.read_actions() if action["token"] == f"{77:032x}"]
        client.close()


def test_a_case_says_until_when_an_answer_waits_for_it(tmp_path):
    from penumbra.reviews.records import ReviewBlock, ReviewCase
    from tests.helpers import prediction_logs

    reviewed = pick_logged_rows(tmp_path, 1)
    due = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(7))
    block = ReviewBlock(dt.datetime.now(dt.UTC), {}, 1, 1, 1, {})
    prediction_logs.append_to_new_segment(tmp_path / "reviews", [ReviewCase(name, ["rule x"], 1.0, due=due), block])
    first = read(open_page(reviewed), "next")["cases"][0]
    assert (first["case"], first["due"]) == (name, "2999-01-01T00:00:00Z")
