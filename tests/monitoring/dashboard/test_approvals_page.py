"""The page of approvals: the evidence, and answers under the name of a key's holder."""

import contextlib
import datetime as dt
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from monitoring.dashboard.approvals.evidence import describe_evidence
from monitoring.dashboard.overview import overview_page
from monitoring.dashboard.places import find_free_ports, write_page_digests
from monitoring.dashboard.server import make_dashboard_config
from penumbra.approvals.requests import list_requests, make_approval_terms
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.system.http_client import find_free_port
from penumbra.logs.append_log import LogWriter, encode_json, list_segments
from penumbra.logs.indexing.index import LogIndex
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FACTS_TAG, JSON_TAG_FACTS, FinishedRun
from penumbra.reviews.records import ReviewBlock, ReviewCase
from service.http.access.access_control import read_keys
from tests.helpers.models import recorded_windows
from tests.helpers.models.registered_versions import make_aliased_registry
from tests.helpers.pages import browser_pages, local_sites
from tests.helpers.servers import local_service

CAROL, ALICE, ADMINS = "carols-own-long-key", "alices-own-long-key", "a-long-admin-key"
ADMIN_KEY = {"PENUMBRA_KEYS__ADMIN": ADMINS}
PEOPLES_KEYS = {"PENUMBRA_KEYS__APPROVE": f"carol:{CAROL}", "PENUMBRA_KEYS__REVIEW": f"alice:{ALICE}"}
KEYS = read_keys(PEOPLES_KEYS | ADMIN_KEY)
MARKUP = "<script>alert(1)</script>"
FAULT = {"day": "2013-04-05", "what": "frozen", "column": "temp", "text": f"temp is stuck {MARKUP}", "cause": "ice"}
EVIDENCE = {
    **{"days": 41, "labels": 1200, "by_people": 7, "live_loss": 0.52, "candidate_loss": 0.5, "difference": 0.02},
    **{"low": 0.001, "high": None, "better": 80.5, "worse": 0.1, "loss": "log-loss"},
}
CHECK = {"name": "baseline", "measured": 0.1, "limit": 0.0, "verdict": "pass", "sentence": "better than the baseline"}


def fill_ledger(folder: Path, database: Path) -> ModelRegistry:
    """Entry 2 is a promotion that waits, entry 3 an investigation."""
    models = make_aliased_registry(folder, database, live="1", candidate="2")
    settings = recorded_windows.make_history_settings(folder)
    ledger, pair = open_ledger(settings), {"candidate": "2", "live": "1"}
    terms = make_approval_terms(settings.promotion)
    entered: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("pass", pair, {"checks": [CHECK]}),
        ("promote", pair, {**terms, "evidence": EVIDENCE, "faults": []}),
        ("investigate", {"live": "1"}, {"window": {"begin": "2013-04-04"}, "faults": [FAULT]}),
    ]
    for verdict, versions, evidence in entered:
        said = {"reason": f"so {MARKUP}", "details": [f"12 of the labels are by people {MARKUP}"]}
        facts: dict[str, Any] = {**said, "versions": versions, "evidence": evidence}
        ledger.append(LedgerEvent(kind="verdict", verdict=verdict, actor="ann", **facts))
    return models


@contextlib.contextmanager
def serve_overview(folder: Path, keys: Any = KEYS) -> Iterator[SimpleNamespace]:
    settings = recorded_windows.make_history_settings(folder)
    sockets, ports = folder / "sockets", find_free_ports("127.0.0.1", find_free_port())
    sockets.mkdir(exist_ok=True)
    write_page_digests(sockets, keys)
    config = make_dashboard_config(settings, load_problem(overview_page.SHOWN_PARTS), ports, sockets)
    listening = [socket.create_server(("127.0.0.1", port)) for port in ports.values()]
    address = f"http://127.0.0.1:{ports['overview']}"
    with local_sites.serve_config(config, listening), httpx.Client(base_url=address, trust_env=False) as client:
        yield SimpleNamespace(client=client, address=address, ledger=open_ledger(settings))
    for each in listening:
        each.close()


@pytest.fixture
def site(tmp_path: Path, database: Path) -> Iterator[SimpleNamespace]:
    models = fill_ledger(tmp_path, database)
    with serve_overview(tmp_path) as found:
        found.models = models
        yield found


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.slow
def test_whoever_reads_the_overview_reads_the_evidence_and_all_of_it_is_text(site: SimpleNamespace) -> None:
    shown = site.client.get("/approvals")
    assert (shown.status_code, "form-action 'self'" in shown.headers["content-security-policy"]) == (200, True)
    assert MARKUP not in shown.text
    for words in (
        "2: Promote version 2 over version 1",
        "41 days, 1,200 labels, 7 of them by people",
        "0.5200 → 0.5000, +0.0200 a row in its favour [+0.0010, no limit]",
        "<li>12 of the labels are by people ",
        "better than the baseline",
        "3: Investigation",
        "2013-04-05: temp is stuck",
        "<code>penumbra history 2</code>",
    ):
        assert words in shown.text
    assert "entry 2 waits for 1 person" in site.client.get("/").text
    assert "Investigations that nobody has ended: 3" in site.client.get("/").text


@pytest.mark.slow
def test_an_answer_takes_a_key_to_approve_and_is_under_its_holders_name(site: SimpleNamespace) -> None:
    form = {"choice": "approve", "reason": "looks good"}
    for headers in ({}, bearer(ALICE), bearer("a guess of no use")):
        refused = site.client.post("/approvals/2", data=form, headers=headers)
        assert (refused.status_code, "a key of the role approve" in refused.json()["error"]) == (401, True)
    nameless = site.client.post("/approvals/2", data=form, headers=bearer(ADMINS))
    assert (nameless.status_code, "an admin key names nobody" in nameless.json()["error"]) == (403, True)
    foreign = {**bearer(CAROL), "origin": "http://a.example"}
    assert site.client.post("/approvals/2", data=form, headers=foreign).status_code == 403
    answered = site.client.post("/approvals/2", data=form, headers=bearer(CAROL))
    assert (answered.status_code, "live is version 2; the candidate: none" in answered.text) == (200, True)
    assert site.models.aliases() == {"live": "2", "previous": "1"}
    assert [(e.kind, e.actor) for e in site.ledger.entries()[3:]] == [("approval", "carol"), ("promotion", "carol")]


@pytest.mark.slow
def test_what_can_t_be_answered_is_said_on_the_page(site: SimpleNamespace) -> None:
    site.models.set_alias("live", "3")
    stale = site.client.post("/approvals/2", data={"choice": "approve"}, headers=bearer(CAROL))
    assert (stale.status_code, "version 3 is live by now, where version 1 was" in stale.text) == (409, True)
    quiet = site.client.post("/approvals/3", data={"choice": "keep"}, headers=bearer(CAROL))
    assert (quiet.status_code, "entry 3: say why" in quiet.text) == (409, True)
    assert len(site.ledger.entries()) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/approvals/x", {"choice": "approve"}, 404),
        ("/approvals/2", {"choice": "void"}, 400),
        ("/approvals/2", {"choice": "approve", "reason": "x" * 20_000}, 413),
        ("/approvals/9", {"choice": "approve"}, 409),
    ],
)
def test_what_is_no_answer_is_refused(site: SimpleNamespace, path: str, form: dict[str, str], status: int) -> None:
    assert site.client.post(path, data=form, headers=bearer(CAROL)).status_code == status
    assert site.client.get("/approvals/2").status_code == 404


@pytest.mark.slow
def test_a_ledger_that_was_edited_is_said(site: SimpleNamespace) -> None:
    path = site.ledger.folder / "ledger.jsonl"
    path.write_text(path.read_text().replace("temp is stuck", "temp is fine"))
    answer = site.client.get("/approvals")
    assert (answer.status_code, "line 3" in answer.json()["error"]) == (503, True)


@pytest.mark.slow
def test_with_an_admin_key_alone_the_page_shows_the_command_and_answers_nothing(tmp_path: Path, database: Path) -> None:
    fill_ledger(tmp_path, database)
    with serve_overview(tmp_path, read_keys(ADMIN_KEY)) as found:
        assert "<code>penumbra approve 2</code>" in found.client.get("/approvals").text
        assert found.client.post("/approvals/2", data={"choice": "approve"}, headers=bearer(ADMINS)).status_code == 403
        assert len(found.ledger.entries()) == 3


@pytest.mark.slow
def test_without_keys_the_page_shows_the_command_and_answers_nothing(tmp_path: Path, database: Path) -> None:
    fill_ledger(tmp_path, database)
    with serve_overview(tmp_path, []) as found:
        assert "<code>penumbra approve 2</code>" in found.client.get("/approvals").text
        refused = found.client.post("/approvals/2", data={"choice": "approve"})
        assert (refused.status_code, "set PENUMBRA_KEYS__APPROVE" in refused.json()["error"]) == (403, True)
        assert len(found.ledger.entries()) == 3


@pytest.mark.slow
def test_what_differs_from_the_live_version_is_said(tmp_path: Path, database: Path) -> None:
    models = fill_ledger(tmp_path, database)
    facts = {
        **{"candidate": "boosting", "parameters": {}, "train": ["2013-01"], "judged": ["2013-02"], "files": {}},
        **{"data_version": "a" * 32, "revision": "b" * 40},
    }
    for number, settings in ((4, {"gate": {"margin": 0.1}}), (5, {"gate": {"margin": 0.2}})):
        bundle = local_service.make_bundle(tmp_path / f"made/{number}", number)
        tags = {"facts": json.dumps(facts), "settings": json.dumps(settings), "environment": "{}"}
        run = models.record(FinishedRun("train", 0, 1, tags=tags), artifacts={"bundle": bundle})
        models.register(run, "bundle", {})
    own = recorded_windows.make_history_settings(tmp_path)
    terms = make_approval_terms(own.promotion, is_forced=True)
    versions = {"candidate": "5", "live": "4"}
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(
        LedgerEvent(kind="verdict", verdict="promote", actor="ann", reason="forced", versions=versions, evidence=terms)
    )
    entries = ledger.entries()
    by_rule, _, forced = (describe_evidence(own, load_problem(), entries, each) for each in list_requests(entries))
    assert forced["changes"] == ["settings.gate.margin: 0.1 → 0.2"]
    assert forced["title"] == "Promote version 5 over version 4, by force"
    assert by_rule["changes"][0].startswith("What changed can't be read off the registry")


def pick_first_rows(settings: Settings, problem: Problem, count: int) -> None:
    LogIndex.from_settings(settings, problem.schema).catch_up()
    segment, *_ = list_segments(settings.service.predictions)
    ids = [json.loads(line)["id"] for line in segment.read_bytes().splitlines()[:count]]
    block = ReviewBlock(dt.datetime.now(dt.UTC), {}, 20, count, 10, {"chance": 20})
    log = LogWriter(settings.review.folder)
    log.append([encode_json(entry) for entry in (*(ReviewCase(name, ["chance"], 0.5) for name in ids), block)])
    log.close()


@pytest.mark.slow
@pytest.mark.parametrize("explored", [0, 4])
def test_how_wrong_both_versions_were_on_reviewed_rows_that_models_decided_is_among_the_figures(
    tmp_path: Path, database: Path, explored: int
) -> None:
    fill_ledger(tmp_path, database)
    settings, problem = recorded_windows.make_history_settings(tmp_path), load_problem()
    recorded_windows.log_weeks(tmp_path, 1)
    segment, *_ = list_segments(settings.service.predictions)
    lines = segment.read_bytes().splitlines(keepends=True)
    marked = [line.replace(b"{", b'{"explored":true,', 1) for line in lines[:explored]]
    segment.write_bytes(b"".join([*marked, *lines[explored:]]))
    pick_first_rows(settings, problem, 10 + explored)
    entries = open_ledger(settings).entries()
    figures = dict(describe_evidence(settings, problem, entries, list_requests(entries)[0])["figures"])
    for name in ("version 2 on reviewed rows", "served, on these rows"):
        assert figures[name].startswith("error rate ")
        assert figures[name].endswith("from 10 of 10 picked rows")


@pytest.mark.slow
def test_reviewed_rows_that_the_new_version_may_have_learnt_from_do_not_count(tmp_path: Path, database: Path) -> None:
    models = fill_ledger(tmp_path, database)
    settings, problem = recorded_windows.make_history_settings(tmp_path), load_problem()
    recorded_windows.log_weeks(tmp_path, 1)
    pick_first_rows(settings, problem, 10)
    entries, run = open_ledger(settings).entries(), models.find_run_id("2")
    for name in JSON_TAG_FACTS:
        models.client.set_tag(run, name, "{}")
    for batch, shown in (("2013-02", 1), ("2013-04", 0)):
        models.client.set_tag(run, FACTS_TAG, json.dumps({"train": [batch]}))
        figures = describe_evidence(settings, problem, entries, list_requests(entries)[0])["figures"]
        assert sum(name.startswith("version 2 on reviewed rows after 2013-03-0") for name, _ in figures) == shown


@pytest.mark.slow
def test_a_person_approves_in_a_browser_and_on_a_phone_nothing_is_cut_off(site: SimpleNamespace) -> None:
    with browser_pages.launch_chromium() as browser:
        page = browser.new_page(
            viewport=browser_pages.PHONE_SIZE, http_credentials={"username": "any", "password": CAROL}
        )
        page.goto(f"{site.address}/approvals")
        assert page.evaluate("document.documentElement.scrollWidth") == browser_pages.PHONE_SIZE["width"]
        contrast = page.evaluate(browser_pages.CONTRAST_SCRIPT)
        assert contrast[0][0] >= 4.5, contrast[0]
        page.get_by_label("Why").first.fill("checked")
        page.get_by_role("button", name="Approve").press("Enter")
        assert "entry 2 is approved by carol" in page.get_by_role("status").inner_text()
        assert "Promote version 2" not in page.inner_text("main").split("Ended")[0]
    assert site.models.aliases() == {"live": "2", "previous": "1"}
