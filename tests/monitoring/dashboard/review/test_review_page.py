"""The review page in a real browser: by keyboard, offline, on a phone, and for who can't see it."""

import contextlib
import datetime as dt

import pytest

from monitoring.dashboard.review import review_site
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.records import ReviewAction
from service.http.access.access_control import read_keys
from tests.helpers.pages import browser_pages, review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, MARKUP, list_actions, pick_logged_rows
from tests.helpers.servers.local_service import PROBLEM, wait_until

PHONE = {"width": 390, "height": 844}
TARGETS_SCRIPT = """() => [...document.querySelectorAll('button, a, input, textarea')]
  .filter(e => e.checkVisibility() && !e.matches('.skip-link, [type=checkbox]'))
  .map(e => [e.getBoundingClientRect().height, e.textContent])"""
FORM_SCRIPT = """async form => {
  const { drawFields } = await import('/review/drawing.js');
  const place = document.createElement('form'), answers = [];
  document.body.append(place);
  drawFields(place, form, label => answers.push(label));
  return [place, answers];
}"""

INLINE_SCRIPT = """() => {
  window.ran = "kept out";
  const script = document.createElement('script');
  script.textContent = "window.ran = 'ran'";
  document.body.append(script);
  return window.ran;
}"""
NUMBERS_SCRIPT = """async numbers => {
  const { formatLabel, formatValue } = await import('/review/drawing.js');
  return [...numbers.map(formatValue), formatLabel({ delay: numbers[3], reason: null })];
}"""


@pytest.fixture(scope="module")
def browser():
    with browser_pages.launch_chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    return pick_logged_rows(tmp_path_factory.mktemp("review"), 40)


@pytest.fixture(scope="module")
def address(reviewed):
    with review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS) as found:
        yield f"{found}/review"


@pytest.fixture
def open_as(browser, address):
    """Opens the page for a reviewer, in a browser of their own."""
    with contextlib.ExitStack() as opened:

        def open_as(name, **options):
            context = opened.enter_context(contextlib.closing(browser.new_context(**options)))
            return open_page_as(context, address, name)

        yield open_as


def open_page_as(context, address, name):
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    page.locator("#work").wait_for()
    page.wait_for_load_state("networkidle")
    return page


def get_case(page):
    page.wait_for_function("() => document.getElementById('row-about').textContent")
    return page.locator("#row-about").inner_text().split(" · ")[-1]


def press(page, key):
    """Press a key, and wait for another row."""
    before = get_case(page)
    page.keyboard.press(key)
    page.wait_for_function("before => !document.getElementById('row-about').textContent.includes(before)", arg=before)
    return before


def wait_until_sent(page):
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('review.action'))")


def wait_for_worker(page):
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")


def find_actions(reviewed, reviewer):
    return [action for action in reviewed.read_actions() if action["reviewer"] == reviewer]


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


def test_offline_an_answer_waits_in_the_browser_and_is_recorded_once(open_as, reviewed):
    page = open_as("cy")
    page.context.set_offline(True)
    answered = {press(page, "y"), press(page, "n")}
    banner = page.get_by_role("status").filter(has_text="2 answers are kept in this browser")
    banner.wait_for()
    assert find_actions(reviewed, "cy") == []
    page.context.set_offline(False)
    wait_until_sent(page)
    banner.wait_for(state="hidden")
    actions = find_actions(reviewed, "cy")
    assert (len(actions), {action["case"] for action in actions}) == (2, answered)


def test_an_answer_whose_acknowledgement_was_lost_is_sent_again_and_recorded_once(open_as, reviewed):
    page, lost = open_as("dan"), []

    def lose(route):
        route.fetch()
        lost.append(route)
        route.abort()

    page.route("**/review/actions", lose, times=1)
    press(page, "y")
    wait_until_sent(page)
    assert (len(lost), len(find_actions(reviewed, "dan"))) == (1, 1)


def test_answers_that_cannot_be_sent_together_are_sent_one_by_one_and_the_one_that_is_at_fault_is_named(
    open_as, reviewed
):
    page = open_as("fay")
    page.context.set_offline(True)
    for note in ("'x\\ud83d'", "''", "'x'.repeat(1 << 20)"):
        page.evaluate(f"() => {{ document.getElementById('note').value = {note}; }}")
        press(page, "y")
    press(page, "n")
    page.context.set_offline(False)
    wait_until_sent(page)
    assert list_actions(find_actions(reviewed, "fay")) == [
        ("fay", "answer", {"late": True}),
        ("fay", "answer", {"late": False}),
    ]
    assert page.locator("#banner").inner_text().startswith("Not recorded: ")


def test_what_waits_is_not_sent_under_a_name_with_which_the_reviewers_begins(open_as, reviewed):
    page = open_as("flo.lee")
    page.route("**/review/actions", lambda route: route.abort())
    press(page, "y")
    page.unroute("**/review/actions")
    page.evaluate("localStorage.setItem('review.name', 'flo')")
    page.reload()
    page.locator("#work").wait_for()
    press(page, "s")
    page.wait_for_function(
        "() => Object.keys(localStorage).filter(key => key.includes('review.action.flo')).length === 1"
    )
    assert list_actions(find_actions(reviewed, "flo")) == [("flo", "skip", {})]


def test_what_waits_is_sent_after_the_page_was_closed_and_opened_again(open_as, reviewed):
    page = open_as("eve")
    page.route("**/review/actions", lambda route: route.abort())
    press(page, "y")
    assert find_actions(reviewed, "eve") == []
    page.unroute("**/review/actions")
    page.reload()
    page.locator("#work").wait_for()
    wait_until_sent(page)
    assert list_actions(find_actions(reviewed, "eve")) == [("eve", "answer", {"late": True})]


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


FORMS = [
    ({"kind": "whole", "min": -9, "max": 99}, "42", [{"delay": 42}], ""),
    ({"kind": "whole", "min": -9, "max": 99}, "4.2", [], "delay: expected a whole number, not 4.2"),
    ({"kind": "number", "min": -9, "max": 99}, "100", [], "delay: expected -9 to 99"),
    ({"kind": "number"}, "1,5", [{"delay": 1.5}], ""),
    ({"kind": "number"}, "", [], "delay: a value is needed"),
    ({"kind": "number"}, "1,000", [], "delay: expected a number, not 1,000: write a decimal point"),
    ({"kind": "number"}, "-1.25e3", [{"delay": -1250}], ""),
    ({"kind": "whole"}, "1,000", [], "delay: expected a whole number, not 1,000"),
    ({"kind": "whole"}, "1.000", [], "delay: expected a whole number, not 1.000"),
    ({"kind": "whole"}, "0x1F", [], "delay: expected a whole number, not 0x1F"),
    ({"kind": "whole"}, "9007199254740993", [], "delay: expected a whole number, not 9007199254740993"),
    ({"kind": "text"}, "2013-04-01", [{"delay": "2013-04-01"}], ""),
]


def draw_form(page, *fields):
    drawn = page.evaluate_handle(FORM_SCRIPT, [{"name": "delay", **field} for field in fields])
    return drawn.get_property("0").as_element(), drawn.get_property("1")


def test_the_form_follows_the_outcome_s_columns(open_as):
    page = open_as("kim")
    place, given = draw_form(page, {"kind": "classes", "classes": ["none", "short"]})
    assert [each.get_attribute("aria-keyshortcuts") for each in place.query_selector_all("button")] == ["1", "2"]
    place.query_selector_all("button")[1].click()
    assert given.json_value() == [{"delay": "short"}]
    for field, typed, answers, fault in FORMS:
        place, given = draw_form(page, field)
        place.query_selector("input").fill(typed)
        place.query_selector("input").press("Enter")
        assert (given.json_value(), page.locator("#answer-error").inner_text()) == (answers, fault)


def test_a_column_that_may_have_no_value_can_be_answered_with_none(open_as):
    page = open_as("lou")
    for field in ({"kind": "boolean"}, {"kind": "classes", "classes": ["null"]}, {"kind": "whole"}, {"kind": "text"}):
        place, given = draw_form(page, {**field, "nullable": True})
        place.query_selector("[aria-keyshortcuts=x]").click()
        if place.query_selector("[type=submit]"):
            page.keyboard.press("Enter")
        assert given.json_value() == [{"delay": None}]


def test_numbers_are_shown_with_all_digits_before_the_point_and_what_people_said_is_not_rounded(open_as):
    page = open_as("mia")
    shown = page.evaluate(NUMBERS_SCRIPT, [1234567, -2000000001, 1234567.25, 0.123456789, 51.0])
    assert shown[:5] == ["1234567", "-2000000001", "1234567", "0.123457", "51"]
    assert shown[5] == "delay 0.123456789, reason no value"


def test_offline_the_page_is_reloaded_with_its_rows_and_answers_are_recorded_once(browser, reviewed):
    with contextlib.closing(browser.new_context()) as context:
        with review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS) as found:
            page = open_page_as(context, f"{found}/review", "ira")
            wait_for_worker(page)
            answered = [press(page, "y")]
            wait_until_sent(page)
        answered.append(press(page, "n"))
        for key in "yc":
            page.reload()
            page.locator("#work").wait_for()
            answered.append(press(page, key))
        page.get_by_role("status").filter(has_text="3 answers are kept in this browser").wait_for()
        assert page.evaluate(INLINE_SCRIPT) == "kept out"
        assert len(find_actions(reviewed, "ira")) == 1
        with review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS, port=int(found.rpartition(":")[2])):
            page.evaluate("dispatchEvent(new Event('online'))")
            wait_until_sent(page)
    assert [action["case"] for action in find_actions(reviewed, "ira")] == answered
    assert len(set(answered)) == 4


def test_other_files_of_the_page_replace_those_that_a_browser_keeps(open_as, tmp_path, monkeypatch):
    page = open_as("kim")
    wait_for_worker(page)
    before = page.evaluate("caches.keys()")
    style = tmp_path / "review.css"
    style.write_text("body { outline-color: rgb(1, 2, 3); }")
    monkeypatch.setitem(review_site.PAGE_FILES, "review.css", style)
    page.reload()
    wait_until(lambda: set(page.evaluate("caches.keys()")).isdisjoint(before))
    page.context.set_offline(True)
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).outlineColor") == "rgb(1, 2, 3)"
    assert len(before) == len(page.evaluate("caches.keys()")) == 1
