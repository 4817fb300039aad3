"""The overview page as a reader sees it, in a browser."""

import datetime as dt
import itertools
import re

import msgspec
import pytest

from flows.steps.monitor.window_summary import format_window_summary
from monitoring.dashboard.overview import cards, overview_page
from monitoring.dashboard.overview.flow_runs import FlowRun
from monitoring.dashboard.overview.window_charts import build_window_explanation
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_store import WindowStore
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.logs.append_log import LogWriter, encode_json, list_segments
from penumbra.logs.lag import INDEX_METRICS_FILE
from penumbra.registry.history.ledger import LEDGER_FILE
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.reviews.records import ReviewBlock, ReviewCase
from tests.helpers.logs import prediction_logs
from tests.helpers.models import recorded_windows
from tests.helpers.models.registered_versions import make_aliased_registry
from tests.helpers.pages import browser_pages

PROBLEM = load_checked_problem()

POINT = '[aria-roledescription="point"]'


@pytest.fixture(scope="module")
def browser():
    with browser_pages.launch_chromium() as found:
        yield found


def pick_first_rows(settings, count):
    segment, *_ = list_segments(settings.service.predictions)
    lines = segment.read_bytes().splitlines()[:count]
    cases = [ReviewCase(msgspec.json.decode(line)["id"], ["chance"], 0.5) for line in lines]
    log = LogWriter(settings.review.folder)
    block = ReviewBlock(dt.datetime.now(dt.UTC), {}, count, count, count, {"chance": count})
    log.append([encode_json(entry) for entry in (*cases, block)])
    log.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory, database):
    """The page of four windows, the last of which retrains; the last two have reports."""
    settings = recorded_windows.make_monitored_history(tmp_path_factory.mktemp("watched"), database)
    kept = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    for window in WindowStore(settings.monitor.folder).read()[2:]:
        kept.folder.joinpath("reports", str(window.begin)).mkdir(parents=True)
        kept.mark_published(window, ["data", "candidate-quality"])
    pick_first_rows(settings, 2)
    return overview_page.write_overview(settings, PROBLEM).absolute().as_uri()


@pytest.fixture
def seen(browser, written):
    with browser_pages.open_page(browser, written) as found:
        yield found


def test_title_and_first_lines_say_what_is_watched_and_the_last_verdict(seen):
    assert seen.page.title() == "flight-delay: retrain"
    assert seen.page.inner_text("h1") == "flight-delay"
    assert seen.page.inner_text("#status").split("\n")[0] == "▲ retrain in the window 2013-04-22 to 2013-04-28"
    assert "temp drifted" in seen.page.inner_text("#status")
    assert "risen most where carrier is EV (0.4500 → 0.6100)" in seen.page.inner_text("#status")


def test_the_cards_of_live_model_and_candidate_are_a_click_away_and_load_nothing(seen):
    for alias, version in (("live", "1"), ("candidate", "2")):
        with seen.page.context.expect_page() as opened:
            seen.page.click(f"#{alias} a[aria-label='Card of version {version}']", modifiers=["Control"])
        card = opened.value
        assert card.inner_text("h1").endswith(f", version {version}")
        assert "What the model is for was not recorded with this version." in card.inner_text("main")
        loaded = card.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
        assert [address for address in loaded if not address.startswith("data:")] == []
        card.close()


def test_why_the_latest_alarm_was_raised_is_said_in_words_and_as_a_table(seen):
    why = seen.page.inner_text("#why")
    assert "The latest window with an alarm: 2013-04-22 to 2013-04-28, ▲ retrain" in why
    assert "1.60 times its threshold, since about 2013-04-22 (2013-04-20 to 2013-04-23): higher: quartiles 29" in why
    assert "the same rows lose more than they did on the reference" in why
    assert "dest\n5.0% of the rows have a value that the reference never had" in why
    rows = seen.page.locator("#parts tbody tr").all_inner_texts()
    assert rows[0].split("\t") == ["change of the loss", "+0.0600", "+0.0200 to +0.1000", "100%"]
    assert rows[-1].split("\t") == ["where carrier is EV", "+0.0200", "+0.0100 to +0.0300", "33%"]


def test_every_picture_has_a_point_for_each_window(seen):
    counts = {
        name: seen.page.locator(f"#chart-{name} {POINT}").count() for name in ("drift", "loss", "labels", "shadow")
    }
    assert counts == {"drift": 4, "loss": 4, "labels": 4, "shadow": 4}


def test_alarms_and_faults_are_marked_by_shape_and_in_words(seen):
    points = seen.page.locator(f"#chart-drift {POINT}")
    words = [points.nth(place).get_attribute("aria-label") for place in range(4)]
    assert words[3] == "2013-04-22 to 2013-04-28: 1.60 (temp), an alarm"
    assert words[2] == "2013-04-15 to 2013-04-21: 0.90 (temp), a data fault"
    assert [", a" in word for word in words] == [False, False, True, True]
    shapes = {points.nth(place).get_attribute("d")[:30] for place in range(4)}
    assert len(shapes) == 3


def test_the_data_card_says_which_version_and_how_old(seen):
    card = seen.page.inner_text("#data")
    assert "01234567" in card
    assert "3: 2013-01 to 2013-03" in card
    assert "complete until 2013-04-01, 0 days before the flows' clock" in card


def test_the_cards_say_who_is_live_and_how_far_the_candidate_has_come(seen):
    assert "version 1" in seen.page.inner_text("#live")
    card = seen.page.inner_text("#candidate")
    assert all(
        words in card for words in ("version 2", "keep collecting", "9 days, 5,400 labels", "9 of about 21 days")
    )
    assert "it isn't shown to be better than the live model: odds of 3.2 to 1 after 9 days" in card
    assert "the next day to count is 2013-04-29" in card
    assert "98.2% of those due" in seen.page.inner_text("#labels")


def test_the_card_of_reviews_says_what_waits_and_leads_to_the_page(seen):
    card = seen.page.inner_text("#reviews")
    assert "2 open" in card
    assert "no error rate yet: none of 2 picked rows is answered" in card
    assert seen.page.get_attribute("#reviews a", "href").endswith(":3001/review")


def test_the_table_of_windows_begins_with_the_latest_and_leads_to_its_reports(seen):
    rows = seen.page.locator("#windows tbody tr")
    assert rows.count() == 4
    assert "retrain" in rows.first.inner_text()
    links = rows.first.locator("a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "reports/2013-04-22/data.html",
        "reports/2013-04-22/candidate-quality.html",
    ]
    assert "none" in rows.last.inner_text()


def test_every_flow_has_its_last_run_and_the_ledger_its_latest_entries(seen):
    assert seen.page.locator("#flows tbody th").all_inner_texts() == ["ingest", "train", "monitor", "promote"]
    assert seen.page.locator("#ledger tbody th").all_inner_texts() == ["2", "1"]


def test_a_window_judged_before_explanations_were_recorded_says_so_and_how_to_get_one(tmp_path):
    old = recorded_windows.make_window(0, "retrain", explanation=None)
    why = build_window_explanation([old], tmp_path)
    ((subject, sentence),) = why["lines"]
    assert subject == "unknown"
    assert "2013-04-01 to 2013-04-07 was judged by a version that kept no explanation: remove " in sentence
    assert f"{tmp_path}/windows/2013-04-01.json" in sentence
    assert (why["verdict"], why["parts"]) == ("retrain", [])


def test_evidently_is_linked_at_its_first_page_until_there_are_reports(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    addresses = overview_page.PageAddresses("http://a", "http://b")
    assert 'href="http://b"' in overview_page.write_overview(settings, PROBLEM, addresses).read_text()
    kept = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    kept.workspace.joinpath(str(kept.project)).mkdir(parents=True)
    assert (
        f'href="http://b/projects/{kept.project}"'
        in overview_page.write_overview(settings, PROBLEM, addresses).read_text()
    )


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_has_to_be_scrolled_sideways(browser, written, width):
    with browser_pages.open_page(browser, written, {"width": width, "height": 800}) as seen:
        assert seen.width <= width


def test_a_phone_shows_each_value_with_its_name(browser, written):
    with browser_pages.open_page(browser, written, browser_pages.PHONE_SIZE) as seen:
        cell = seen.page.locator('#windows td[data-of="Loss"]').first
        before = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert "Loss" in before


def test_the_page_asks_nobody_for_anything(seen):
    assert seen.requested_hosts == set()
    assert [address for address in seen.requested if not address.startswith(("file:", "data:"))] == []


def test_it_can_be_read_by_who_can_t_see_it(seen):
    assert seen.page.get_attribute("html", "lang") == "en"
    levels = [int(each.evaluate("h => h.tagName[1]")) for each in seen.page.locator("h1, h2, h3").all()]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert seen.page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    assert seen.page.locator("figure:not([aria-label]), table:not(:has(caption)), meter:not([aria-label])").count() == 0


def test_every_text_stands_out_from_what_is_behind_it(seen):
    ratio, text = seen.page.evaluate(browser_pages.CONTRAST_SCRIPT)[0]
    assert ratio >= 4.5, text


def test_before_anything_was_trained_the_page_says_what_to_do(browser, tmp_path):
    page = overview_page.write_overview(recorded_windows.make_history_settings(tmp_path), PROBLEM).absolute().as_uri()
    with browser_pages.open_page(browser, page, browser_pages.PHONE_SIZE) as seen:
        assert "Nothing has been watched yet" in seen.page.inner_text("#status")
        assert [seen.page.inner_text(f"#{card} .big") for card in ("data", "live", "candidate", "labels")] == [
            "none",
            "none",
            "none",
            "none due",
        ]
        assert "make train" in seen.page.inner_text("#live")
        assert "before that, make train and make serve." in seen.page.inner_text("#status")
        assert seen.width <= 375


@pytest.mark.slow
def test_what_has_been_done_is_no_step_before_the_first_pass(tmp_path, monkeypatch, database):
    monkeypatch.setattr(overview_page.flow_runs, "list_latest_flow_runs", lambda names: [])
    make_aliased_registry(tmp_path, database, live="1")
    recorded_windows.log_weeks(tmp_path, 1)
    settings = recorded_windows.make_history_settings(tmp_path)
    assert read_head(settings).endswith("make monitor does a pass.")
    page = overview_page.write_overview(settings, PROBLEM).read_text()
    assert "no judged window has labels that are due" in page
    assert "none due" not in page


def record_silence(settings, last):
    text = f"the last rows are of {last}, 52 days before 2013-06-05"
    event = LedgerEvent(kind="verdict", verdict="investigate", actor="ann", reason=text, evidence={"stale": last})
    open_ledger(settings).append(event)
    return text


def read_head(settings):
    """The page's head as text, without a browser."""
    page = overview_page.write_overview(settings, PROBLEM).read_text()
    section = page.partition('id="status">')[2].partition("</section>")[0]
    return " ".join(re.sub("<[^>]+>", " ", section).split())


def test_after_a_pass_that_judged_no_window_the_head_says_what_the_pass_said(tmp_path, monkeypatch):
    settings = recorded_windows.make_history_settings(tmp_path)
    passed = FlowRun("MonitorFlow", "1", dt.datetime.now(dt.UTC), dt.datetime.now(dt.UTC), good=True)
    monkeypatch.setattr(overview_page.flow_runs, "list_latest_flow_runs", lambda flows: [passed])
    said = format_window_summary(settings.monitor, settings.data.today, [], "").splitlines()[0]
    assert read_head(settings).endswith(f"No verdict yet {said}")


@pytest.mark.parametrize(("flow_run", "state"), [("7", "done"), ("", "running")])
def test_the_run_that_writes_the_page_as_its_last_work_is_done_there(tmp_path, monkeypatch, flow_run, state):
    writes = FlowRun("MonitorFlow", "7", dt.datetime.now(dt.UTC), None, good=False, at_work=True)
    monkeypatch.setattr(overview_page.flow_runs, "list_latest_flow_runs", lambda flows: [writes])
    settings = recorded_windows.make_history_settings(tmp_path)
    page = overview_page.write_overview(settings, PROBLEM, flow_run=flow_run).read_text()
    flows = re.sub("<[^>]+>", " ", page.partition('id="flows-title"')[2].partition("</section>")[0])
    assert {"done", "running"} & set(flows.split()) == {state}


@pytest.mark.slow
def test_the_head_says_that_rows_have_stopped_arriving_and_what_the_last_window_said(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    WindowStore(settings.monitor.folder).write(recorded_windows.make_window(0))
    assert read_head(settings).startswith("✓ ok in the window 2013-04-01 to 2013-04-07")
    text = record_silence(settings, "2013-04-05")
    head = read_head(settings)
    assert head.startswith(f"? investigate since 2013-04-05 {text}; ok in the window 2013-04-01 to 2013-04-07")


@pytest.mark.slow
def test_beside_a_last_window_that_is_ok_the_head_counts_those_before_that_were_not(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    for number, verdict in enumerate(["ok", "retrain", "retrain", "ok"]):
        WindowStore(settings.monitor.folder).write(recorded_windows.make_window(number, verdict))
    said = "✓ ok in the window 2013-04-22 to 2013-04-28, not in 2 of the 3 before it"
    assert read_head(settings).startswith(said)


@pytest.mark.slow
def test_the_head_is_the_windows_again_when_one_begins_after_the_silence(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    record_silence(settings, "2013-04-05")
    assert read_head(settings).startswith("? investigate since 2013-04-05")
    WindowStore(settings.monitor.folder).write(recorded_windows.make_window(1))
    assert read_head(settings).startswith("✓ ok in the window 2013-04-08 to 2013-04-14")


def test_what_can_t_be_read_is_said_on_the_page_and_the_rest_is_shown(browser, tmp_path, database):
    settings = recorded_windows.make_monitored_history(tmp_path, database)
    (settings.ledger.folder / LEDGER_FILE).write_text("?\n")
    (settings.monitor.folder / "windows/2013-04-01.json").write_text("?")
    with browser_pages.open_page(browser, overview_page.write_overview(settings, PROBLEM).absolute().as_uri()) as seen:
        problems = seen.page.locator(".problem").all_inner_texts()
        assert [word in problem for word, problem in zip(("2013-04-01.json", LEDGER_FILE), problems, strict=True)] == [
            True
        ] * 2
        assert "version 1" in seen.page.inner_text("#live")


@pytest.mark.slow
def test_a_loss_that_does_not_fit_the_target_is_said_on_the_page(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    WindowStore(settings.monitor.folder).write(recorded_windows.make_window(0))
    unfit = settings.model_copy(update={"promotion": settings.promotion.model_copy(update={"loss": "absolute_error"})})
    assert "the target of problem/schema.py is classes" in overview_page.write_overview(unfit, PROBLEM).read_text()
    assert read_head(unfit).startswith("✓ ok in the window")


def test_who_is_behind_with_the_logs_is_said_on_the_page(browser, tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    prediction_logs.append_to_new_segment(settings.service.predictions, [prediction_logs.make_prediction(1)])
    (settings.service.predictions / INDEX_METRICS_FILE).touch()
    with browser_pages.open_page(browser, overview_page.write_overview(settings, PROBLEM).absolute().as_uri()) as seen:
        assert "predictions wait for the index" in seen.page.locator(".problem").first.inner_text()


def test_what_records_say_is_text_on_the_page(browser, tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    reason = "<script>alert(1)</script><b>bold</b>"
    WindowStore(settings.monitor.folder).write(recorded_windows.make_window(0, "investigate", reason=reason))
    with browser_pages.open_page(browser, overview_page.write_overview(settings, PROBLEM).absolute().as_uri()) as seen:
        assert reason in seen.page.inner_text("#status")
        assert seen.page.locator("script, b").count() == 0


def test_a_long_name_of_a_recipe_breaks_between_its_words(tmp_path, monkeypatch):
    settings = recorded_windows.make_history_settings(tmp_path)
    card = cards.OverviewCard("version 1", [("recipe", "augmented_boosting <b>")])
    monkeypatch.setattr(cards, "build_live_card", lambda *given: card)
    page = overview_page.write_overview(settings, PROBLEM).read_text()
    assert "<dd>augmented_<wbr>boosting &lt;b&gt;</dd>" in page
