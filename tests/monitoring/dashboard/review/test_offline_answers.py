"""Answers on the review page while the browser is offline, the service away, or a request lost: recorded once."""

import contextlib

from monitoring.dashboard.review import review_site
from tests.helpers.pages import review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, list_actions
from tests.helpers.servers.local_service import wait_until
from tests.monitoring.dashboard.review.page_actions import (
    find_actions,
    open_page_as,
    press,
    wait_for_worker,
    wait_until_sent,
)

INLINE_SCRIPT = """() => {
  window.ran = "kept out";
  const script = document.createElement('script');
  script.textContent = "window.ran = 'ran'";
  document.body.append(script);
  return window.ran;
}"""


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
