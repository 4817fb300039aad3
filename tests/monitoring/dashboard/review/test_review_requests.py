"""The review page's requests: the next cases, what is hidden until they are answered, and answers that count once."""

import datetime as dt
import json
import shutil

import pytest

from monitoring.dashboard.review.review_requests import ReviewRequests
from penumbra.logs.append_log import encode_json, read_entries
from penumbra.storage.sealed import replace_sealed_file
from service.http.access.access_control import KeyHolder
from service.http.refusals import RequestRefused
from tests.helpers.logs import prediction_logs
from tests.helpers.models import registered_versions
from tests.helpers.models.faulty_bundles import make_faulty_bundle
from tests.helpers.pages import review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, list_actions, pick_logged_rows
from tests.helpers.servers.local_service import PROBLEM, wait_until

ALICE, BOB = (KeyHolder(name, frozenset(["review"])) for name in ("alice", "bob"))
NOBODY = KeyHolder("", frozenset())
LATE = {"late": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return pick_logged_rows(tmp_path_factory.mktemp("review"), 30)


def open_page(reviewed):
    return ReviewRequests(reviewed.settings, JUDGED_FLIGHTS)


def list_next(page, holder=ALICE, **query):
    return json.loads(encode_json(page.list_next(query, holder)))


def send(page, *actions, holder=ALICE, reviewer=""):
    body = json.dumps({"actions": actions, "reviewer": reviewer}).encode()
    return page.record(body, holder)["results"]


def act(case, kind="answer", label=LATE, number=1, **fields):
    given = {} if kind in ("skip", "undo", "cannot_tell") else {"label": label}
    return {"token": f"{number:032x}", "case": case, "kind": kind, **given, **fields}


@pytest.mark.slow
def test_a_case_has_the_whole_row_those_like_it_and_the_form_of_an_answer(made):
    found = list_next(open_page(made), count="30")
    field = {"name": "late", "nullable": True, "tells_target": True, "kind": "boolean"}
    assert (found["reviewer"], found["form"]) == ("alice", [field])
    assert {case["case"] for case in found["cases"]} == set(made.ids)
    first = next(case for case in found["cases"] if case["case"] == made.ids[0])
    weights = [weight for _, _, weight in first["columns"]]
    assert (len(weights), weights[0], weights) == (16, 1.0, sorted(weights, reverse=True))
    assert {outcome for outcome, _ in first["neighbours"]["rows"]} <= {"yes", "no"}


@pytest.mark.slow
def test_the_question_is_said_and_rows_like_it_show_the_outcome_columns_that_the_target_is_made_of(made):
    found = list_next(ReviewRequests(made.settings, PROBLEM), count="30")
    assert found["question"].startswith("How many minutes late")
    near = next(case for case in found["cases"] if case["case"] == made.ids[0])["neighbours"]
    assert near["columns"][0] == "arr_delay"
    assert {(outcome, values[0]) for outcome, values in near["rows"]} <= {("yes", 42), ("no", 3)}


@pytest.mark.slow
def test_a_row_that_keeps_the_contract_no_more_is_shown_as_it_is(made):
    shown = list_next(open_page(made), count="30")["cases"]
    odd = next(case for case in shown if case["case"] == made.ids[-1])
    assert ({name: value for name, value, _ in odd["columns"]}["dest"], odd["neighbours"]) == (
        review_pages.MARKUP,
        None,
    )


def test_what_models_and_rules_say_is_hidden_until_the_case_is_answered(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 2)
    page = open_page(reviewed)
    cases = list_next(page, count="9")["cases"]
    assert not [word for word in ("said", "probability", "a rule", "close call") if word in json.dumps(cases)]
    (answered,) = send(page, act(reviewed.ids[0]))
    assert (answered["status"], answered["said"]["rules"]) == ("decided", ["a rule"])
    assert (answered["said"]["reasons"], answered["said"]["probability"]) == (["close call"], 0.25)
    assert answered["said"]["models"][0][1].startswith(f"probability {reviewed.outputs[0]:.2f}: ")


def test_who_cannot_tell_is_not_told_what_models_say_as_they_may_answer_after_an_undo(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1)
    (unsure,) = send(open_page(reviewed), act(reviewed.ids[0], "cannot_tell"))
    assert (unsure["status"], unsure["said"]) == ("cannot tell", None)


def test_a_whole_number_that_a_browser_would_round_is_sent_as_text(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1)
    entry = prediction_logs.make_prediction(8)
    entry.record["flight"] = 2**53 + 1
    review_pages.pick_one_more(reviewed, entry)
    cases = list_next(open_page(reviewed), count="9")["cases"]
    assert ["flight", "9007199254740993", 0.0] in [column for case in cases for column in case["columns"]]


@pytest.mark.slow
def test_a_row_on_which_the_model_fails_is_shown_with_words_among_the_others(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 2)
    shutil.rmtree(tmp_path / "state" / "bundles" / "1")
    make_faulty_bundle(tmp_path / "state" / "bundles" / "1", "raises")
    cases = list_next(open_page(reviewed), count="9")["cases"]
    assert [(len(case["columns"]), case["neighbours"]) for case in cases] == [(16, None)] * 2
    assert cases[0]["problem"].startswith("the model fails beside its reference rows (")


@pytest.mark.parametrize("count", ["9" * 5000, "-1", "many", "\u0663"])
def test_a_count_that_is_no_number_of_cases_is_refused_with_words(made, count):
    with pytest.raises(RequestRefused, match="expected a number of cases"):
        open_page(made).list_next({"count": count}, ALICE)


@pytest.mark.parametrize(("output", "said"), [(0.75, "probability 0.75"), (float("nan"), "no answer")])
def test_what_the_candidate_says_stands_beside_the_service_s_answer(tmp_path, output, said):
    reviewed = pick_logged_rows(tmp_path, 1)
    now = dt.datetime.now(dt.UTC)
    registered_versions.log_shadow_answers(tmp_path, "2", reviewed.ids, [now], [output])
    replace_sealed_file(tmp_path / "state" / "candidate", "2")
    (answered,) = send(open_page(reviewed), act(reviewed.ids[0]))
    assert answered["said"]["models"][1] == ("candidate (version 2)", said)


def test_where_answers_needn_t_be_blind_they_are_said_at_once(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1, blind=False)
    (case,) = list_next(open_page(reviewed))["cases"]
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
    reviewed = pick_logged_rows(tmp_path, 1, twice=1)
    page, case = open_page(reviewed), reviewed.ids[0]
    send(page, act(case, note="it rained"))
    assert list_next(page)["cases"] == []
    assert send(page, act(case, label={"late": False}, number=2), holder=BOB)[0]["status"] == "conflict"
    (conflict,) = list_next(page, mode="adjudicate")["cases"]
    assert [(answer["reviewer"], answer["label"], answer["note"]) for answer in conflict["answers"]] == [
        ("alice", {"late": True}, "it rained"),
        ("bob", {"late": False}, ""),
    ]
    assert send(page, act(case, "adjudicate", number=3), holder=BOB)[0]["status"] == "decided"


@pytest.mark.slow
def test_progress_counts_what_each_did_today_and_estimates_the_error_rate_of_all_rows(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 3)
    page = open_page(reviewed)
    send(page, act(reviewed.ids[0]), act(reviewed.ids[1], "skip", number=2))
    found = page.describe_progress()
    assert (found["today"], found["statuses"]["open"], found["statuses"]["decided"]) == ({"alice": 1}, 2, 1)
    assert "from 1 of 3 picked rows" in dict(found["facts"])["decisions"]


@pytest.mark.slow
def test_progress_tells_of_an_answer_soon_after_it_and_of_cases_that_wait_for_a_second_person(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 3, twice=1)
    page = open_page(reviewed)
    assert page.describe_progress()["half_answered"] == 0
    send(page, act(reviewed.ids[0]), act(reviewed.ids[1], number=2))
    wait_until(lambda: "from 1 of 3 picked rows" in dict(page.describe_progress()["facts"])["decisions"])
    assert page.describe_progress()["half_answered"] == 1


def test_who_has_a_key_answers_under_its_name_only(made):
    page = open_page(made)
    with pytest.raises(RequestRefused, match="this key is alice's"):
        send(page, act(made.ids[0]), reviewer="bob")
    with pytest.raises(RequestRefused, match="expected a name"):
        send(page, act(made.ids[0]), holder=NOBODY)
    with pytest.raises(RequestRefused, match="a name has at most 40 letters"):
        list_next(page, NOBODY, reviewer="<b>")
    assert list_next(page, NOBODY)["cases"] == []


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


def test_a_case_says_until_when_an_answer_waits_for_it(tmp_path):
    reviewed = pick_logged_rows(tmp_path, 1)
    name = review_pages.pick_one_more(reviewed, due=dt.datetime(2999, 1, 1, tzinfo=dt.UTC))
    first = list_next(open_page(reviewed))["cases"][0]
    assert (first["case"], first["due"]) == (name, "2999-01-01T00:00:00Z")
