"""The review page in a real browser: by keyboard, on a phone, and for who can't see it."""

import datetime as dt

import pytest

from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.records import ReviewAction
from service.http.access.access_control import read_keys
from tests.helpers.pages import browser_pages, review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, MARKUP, list_actions, pick_logged_rows
from tests.helpers.servers.local_service import PROBLEM
from tests.monitoring.dashboard.review.page_actions import (
    find_actions,
    get_case,
    press,
    wait_for_worker,
    wait_until_sent,
)

PHONE = {"width": 390, "height": 844}
TARGETS_SCRIPT = """() => [...document.querySelectorAll('button, a, input, textarea')]
  .filter(e => e.checkVisibility() && !e.matches('.skip-link, [type=checkbox]'))
  .map(e => [e.getBoundingClientRect().height, e.textContent])"""


def test_three_rows_by_keyboard_alone_with_sureness_note_and_undo(open_as, reviewed):
    page = open_as("ann")
    first = press(page, "y")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.keyboard.type("snow, yes")
    page.keyboard.press("Escape")
    second = press(page, "n")
    press(page, "c")
    assert page.locator("#last-answer").inner_text().startswith("Can't tell")
    assert press(page, "u") != get_case(page)
    skipped = press(page, "s")
    wait_until_sent(page)
    actions = find_actions(reviewed, "ann")
    assert list_actions(actions) == [
        ("ann", "answer", {"late": True}),
        ("ann", "answer", {"late": False}),
        ("ann", "cannot_tell", {}),
        ("ann", "undo", {}),
        ("ann", "skip", {}),
    ]
    assert [action["case"] for action in actions] == [first, second, skipped, skipped, skipped]
    assert (actions[1]["note"], actions[1]["sureness"]) == ("snow, yes", "guess")
    assert page.errors == []


def test_what_models_say_is_on_the_page_only_after_the_answer(open_as):
    page = open_as("bea")
    assert "probability" not in page.content()
    press(page, "c")
    page.get_by_text("done by you today").wait_for()
    wait_until_sent(page)
    assert "probability" not in page.content()
    press(page, "y")
    page.locator("#last-said").get_by_text("the service (version 1)").wait_for()
    assert page.locator("#last").get_by_text("close call (chance 0.25)").is_visible()
    assert "probability" not in page.locator("#work").inner_text()


def test_what_a_client_sent_is_text_on_the_page(open_as):
    page = open_as("flo")
    while MARKUP not in page.locator("#columns").inner_text():
        press(page, "s")
    assert (page.title(), page.locator("#columns script").count()) == ("Review", 0)


def test_a_phone_shows_all_of_it_without_scrolling_sideways_and_with_large_targets(open_as):
    page = open_as("gil", viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [target for target in page.evaluate(TARGETS_SCRIPT) if target[0] < 44] == []
    before = get_case(page)
    page.get_by_role("button", name="Yes").tap()
    page.wait_for_function("before => !document.getElementById('row-about').textContent.includes(before)", arg=before)
    assert page.locator("#answer").bounding_box()["y"] > PHONE["height"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_the_page_stands_out_from_what_is_behind_it(open_as, scheme):
    page = open_as("hal", color_scheme=scheme)
    press(page, "s")
    page.get_by_text("no error rate").or_(page.get_by_text("error rate")).first.wait_for()
    assert page.evaluate(browser_pages.CONTRAST_SCRIPT)[0][0] >= 4.5


def test_a_screen_reader_finds_landmarks_names_and_what_has_changed(open_as):
    page = open_as("ida")
    for role, name in [("region", "Row"), ("region", "Answer"), ("region", "Progress"), ("navigation", "Pages")]:
        assert page.get_by_role(role, name=name, exact=True).is_visible()
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("group", name="How sure are you?").get_by_role("button").count() == 3
    assert page.get_by_role("rowheader", name="carrier").is_visible()
    unnamed = [node for node in page.locator("button, input, textarea").all() if not node.aria_snapshot().count('"')]
    assert [node for node in unnamed if node.is_visible()] == []
    said = page.locator("#live")
    assert said.inner_text().startswith("Next row. ")
    page.keyboard.press("y")
    page.wait_for_function("() => document.getElementById('live').textContent.includes('the service')")
    assert page.evaluate("document.activeElement.id") == "row-title"
    page.keyboard.press("g")
    assert page.get_by_role("button", name="Guess", pressed=True).is_visible()


def test_two_answers_that_differ_are_adjudicated_with_both_in_sight(open_as, reviewed):
    page, case = open_as("nan"), review_pages.pick_one_more(reviewed, reviewers=2)
    desk = ReviewDesk(reviewed.settings, JUDGED_FLIGHTS)
    for name, late in (("lea", True), ("max", False)):
        desk.record(ReviewAction(case, name, "answer", dt.datetime.now(dt.UTC), {"late": late}, note=f"{name} knows"))
    press(page, "s")
    page.get_by_role("button", name="Conflicts (1)").click()
    page.get_by_role("heading", name="A row on which two answers differ").wait_for()
    assert page.locator("#answers").inner_text().split("\n\n") == [
        "lea: late yes · lea knows",
        "max: late no · max knows",
    ]
    assert page.get_by_role("button", name="Can't tell").count() == 0
    page.keyboard.press("n")
    page.get_by_text("There is no row on which answers differ.").wait_for()
    wait_until_sent(page)
    assert list_actions(find_actions(reviewed, "nan"))[-1] == ("nan", "adjudicate", {"late": False})


def test_a_number_is_typed_wherever_the_focus_is_and_a_note_stays_until_its_row_is_answered(browser, tmp_path):
    reviewed = pick_logged_rows(tmp_path, 4)
    with review_pages.serve_overview_site(reviewed.settings, PROBLEM) as found, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{found}/review")
        page.get_by_label("Name").fill("pat")
        page.keyboard.press("Enter")
        page.locator("#work").wait_for()
        assert page.get_by_text("How many minutes late did the flight arrive?").is_visible()
        page.keyboard.type("12")
        first = press(page, "Enter")
        page.keyboard.type("yox")
        page.keyboard.press("Escape")
        assert (page.locator("#fields input").input_value(), page.locator("#note").input_value()) == ("", "x")
        second = get_case(page)
        assert press(page, "u") == second
        page.locator("#row-title").focus()
        page.keyboard.type("-7")
        assert press(page, "Enter") == first
        assert page.locator("#note").input_value() == "x"
        page.keyboard.type("45")
        assert press(page, "Enter") == second
        wait_until_sent(page)
    said = [(each["case"], each["kind"], each.get("label"), each.get("note")) for each in reviewed.read_actions()]
    assert said == [
        (first, "answer", {"arr_delay": 12}, None),
        (first, "undo", None, None),
        (first, "answer", {"arr_delay": -7}, None),
        (second, "answer", {"arr_delay": 45}, "x"),
    ]


def test_who_has_a_key_signs_in_by_the_browser_s_own_question(browser, reviewed):
    keys = read_keys({"PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234"})
    context = browser.new_context(http_credentials={"username": "me", "password": "key-of-alice-1234"})
    page = context.new_page()
    with review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS, keys) as found:
        page.goto(f"{found}/review")
        page.locator("#work").wait_for()
        assert (page.locator("#who").inner_text(), page.locator("#name-form").is_visible()) == ("alice", False)
        press(page, "y")
        wait_until_sent(page)
        wait_for_worker(page)
        page.reload()
        page.locator("#work").wait_for()
    page.reload()  # the dashboard has ended by now
    page.locator("#work").wait_for()
    assert page.locator("#who").inner_text() == "alice"
    context.close()
    assert list_actions(find_actions(reviewed, "alice")) == [("alice", "answer", {"late": True})]


def test_keys_can_be_listed_and_turned_off(open_as, reviewed):
    page = open_as("jo")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").get_by_text("Can't tell").is_visible()
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    page.keyboard.press("s")
    wait_until_sent(page)
    assert find_actions(reviewed, "jo") == []
