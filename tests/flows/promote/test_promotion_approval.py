"""Promotions that wait for people, on a real registry and ledger."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from flows.steps.promote import verdicts
from flows.steps.promote.verdicts import ForcedPromotion
from penumbra.approvals import answers, requests
from penumbra.approvals.announcements import announce_approvals
from penumbra.approvals.answers import ApprovalAnswer, record_answer
from penumbra.approvals.requests import ApprovalRefused, find_request
from penumbra.core.settings import Settings
from penumbra.registry import pointers
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from tests.helpers.models import registered_versions
from tests.helpers.models.promotion_passes import PROBLEM, run_promotion_pass
from tests.helpers.models.registered_versions import (
    append_earlier_event,
    log_compared_days,
    make_aliased_registry,
    score_calibrated,
    score_noisy,
)


def make_settings(folder: Path, **promotion: Any) -> Settings:
    settings = registered_versions.make_registry_settings(folder)
    changed = settings.promotion.model_copy(update={"approve": "people", **promotion})
    return settings.model_copy(update={"promotion": changed})


def read_ledger(settings: Settings) -> list[LedgerEntry]:
    return open_ledger(settings).entries()


def summarise_ledger(settings: Settings) -> list[tuple[str, str, str]]:
    return [(entry.kind, entry.verdict, entry.actor) for entry in read_ledger(settings)[1:]]


def answer(
    settings: Settings, actor: str, choice: Any = "approve", number: int = 2, reason: str = "", via: Any = "command"
) -> str:
    return record_answer(settings, ApprovalAnswer(number, actor, choice, reason, via))


@pytest.fixture
def waiting(tmp_path: Path, database: Path) -> tuple[Settings, ModelRegistry]:
    """Version 2 is better than version 1 and waits for 1 person: entry 2."""
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    settings = make_settings(tmp_path)
    said = run_promotion_pass(settings)
    assert "Nothing was moved: entry 2 waits for 1 person until 20" in said
    assert said.endswith("`penumbra approve 2` approves it.")
    return settings, models


@pytest.fixture
def ordered(tmp_path: Path, database: Path) -> tuple[Settings, ModelRegistry]:
    """Somebody ordered that version 3, no candidate, becomes live; two have to approve that: entry 2."""
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    settings = make_settings(tmp_path, approvers=2)
    run_promotion_pass(settings, ForcedPromotion("the labels are late", "3"))
    return settings, models


@pytest.mark.slow
def test_a_promotion_waits_however_often_it_is_judged_and_is_entered_once(waiting: Any) -> None:
    settings, models = waiting
    run_promotion_pass(settings)
    assert models.aliases() == {"live": "1", "candidate": "2"}
    (verdict,) = read_ledger(settings)[1:]
    assert (verdict.verdict, verdict.evidence["approval"]["approvers"]) == ("promote", 1)
    assert verdict.evidence["evidence"]["better"] >= 50


@pytest.mark.slow
def test_an_approval_moves_the_aliases_and_the_promotion_says_who_approved(waiting: Any) -> None:
    settings, models = waiting
    assert answer(settings, "carol").endswith("live is version 2; the candidate: none")
    assert models.aliases() == {"live": "2", "previous": "1"}
    approval, promotion = read_ledger(settings)[2:]
    assert (approval.kind, approval.verdict, approval.actor) == ("approval", "approve", "carol")
    assert (promotion.versions, promotion.evidence) == (
        {"live": "2", "previous": "1"},
        {"verdict": 2, "approved_by": ["carol"]},
    )
    assert promotion.reason.endswith("; approved by carol")
    assert "ledger.00004" in models.tags("2")


@pytest.mark.slow
def test_the_same_answer_twice_is_entered_once(waiting: Any) -> None:
    settings, _ = waiting
    answer(settings, "carol")
    assert answer(settings, "carol") == "entry 2 is approved by carol; carol has said so already"
    assert len(read_ledger(settings)) == 4
    with pytest.raises(ApprovalRefused, match="entry 2: it waits no more: entry 2 is approved by carol"):
        answer(settings, "bob")


@pytest.mark.slow
def test_two_approvers_are_two_people(tmp_path: Path, ordered: Any) -> None:
    settings, models = ordered
    assert "waits for 2 people, of whom carol answered" in answer(settings, "carol")
    assert "carol has said so already" in answer(settings, "carol")
    assert models.aliases() == {"live": "1", "candidate": "2"}
    answer(settings, "bob")
    assert models.aliases() == {"live": "3", "previous": "1", "candidate": "2"}
    assert read_ledger(settings)[-1].evidence["approved_by"] == ["carol", "bob"]


@pytest.mark.slow
def test_a_key_and_an_account_which_may_be_one_person_s_are_not_added_up(ordered: Any) -> None:
    settings, models = ordered
    answer(settings, "carol", via="page")
    said = answer(settings, "csmith")
    assert "of whom carol and csmith answered: both have to answer on the page, or both by command, until " in said
    assert "csmith has said so already" in answer(settings, "csmith")
    assert models.aliases() == {"live": "1", "candidate": "2"}
    answer(settings, "bob", via="page")
    assert models.aliases() == {"live": "3", "previous": "1", "candidate": "2"}


def test_one_of_two_approvers_declines_whichever_way_the_other_answered(ordered: Any) -> None:
    settings, _ = ordered
    answer(settings, "carol", via="page")
    assert answer(settings, "csmith", "decline", reason="too early") == "entry 2 is declined by csmith"


@pytest.mark.parametrize("order", [("carol", "Carol"), ("Carol", "carol")])
def test_a_name_in_another_case_is_the_same_person(ordered: Any, order: tuple[str, str]) -> None:
    settings, models = ordered
    answer(settings, order[0])
    assert f"{order[1]} has said so already" in answer(settings, order[1])
    answer(settings, order[1], "decline", reason="second thoughts")
    assert models.aliases() == {"live": "1", "candidate": "2"}
    assert find_request(read_ledger(settings), 2).choices == {order[1]: "decline"}


@pytest.mark.slow
def test_more_approvers_count_for_what_waits_already_and_fewer_do_not(waiting: Any, tmp_path: Path) -> None:
    settings, models = waiting
    two = make_settings(tmp_path, approvers=2)
    assert "entry 2 waits for 2 people" in run_promotion_pass(two)
    assert "waits for 2 people, of whom carol answered" in answer(two, "carol")
    assert "waits for 2 people, of whom carol answered" in run_promotion_pass(settings)
    assert models.aliases() == {"live": "1", "candidate": "2"}
    assert answer(settings, "bob").startswith("entry 2 is approved by carol and bob")


@pytest.mark.slow
def test_an_order_takes_the_place_of_the_same_promotion_that_waits(waiting: Any) -> None:
    settings, models = waiting
    ordered = ForcedPromotion("the contract ends today")
    assert "entry 3 waits for 1 person" in run_promotion_pass(settings, ordered)
    assert "entry 3 waits for 1 person" in run_promotion_pass(settings, ordered)
    order, void = read_ledger(settings)[2:]
    assert (order.verdict, order.reason) == ("promote", "forced: the contract ends today")
    assert (void.verdict, void.evidence, void.reason) == ("void", {"verdict": 2}, "entry 3 orders it by force")
    case = verdicts.judge_cases(settings, PROBLEM, models.aliases() or {}, None, registered_versions.NOW)[0]
    unsure = verdicts.replace(case, decision=verdicts.PromotionDecision("keep collecting", "too few labels"))
    verdicts.act_on_cases(settings, [unsure])
    assert find_request(read_ledger(settings), 3).status == "waiting"
    run_promotion_pass(settings, ForcedPromotion("for another reason"))
    assert [entry.verdict for entry in read_ledger(settings)[5:]] == ["promote", "void"]


@pytest.mark.slow
def test_an_order_to_promote_a_canary_that_was_ended_since_is_refused_and_void(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2", canary="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    settings = make_settings(tmp_path, canary_share=0.2)
    run_promotion_pass(settings, ForcedPromotion("please"))
    ended = LedgerEvent(
        kind="canary", verdict="ended", actor="ann", reason="bad", versions={"canary": "2", "live": "1"}
    )
    open_ledger(settings).append(ended)
    why = r"entry 2: entry 3 \(canary ended\) took version 2 back: the next pass judges anew"
    with pytest.raises(ApprovalRefused, match=why):
        answer(settings, "carol")
    assert models.aliases() == {"live": "1"}
    assert "entry 2 is void: entry 3 (canary ended) took version 2 back" in run_promotion_pass(settings)


@pytest.mark.slow
def test_a_rollback_that_the_registry_has_not_heard_of_comes_before_an_approval(waiting: Any) -> None:
    settings, models = waiting
    state = settings.service.state
    state.mkdir(parents=True, exist_ok=True)
    pointers.roll_back_pointers(state, pointers.RollbackPin("3", "1", dt.datetime.now(dt.UTC)))
    with pytest.raises(ApprovalRefused, match="entry 2: version 3 is live by now, where version 1 was"):
        answer(settings, "carol")
    assert models.aliases() == {"live": "3", "previous": "1", "candidate": "2"}
    assert pointers.read_rollback_pin(state) is None


def test_a_promotion_by_force_waits_too(ordered: Any) -> None:
    settings, _ = ordered
    (request,) = requests.list_requests(read_ledger(settings))
    assert request.is_forced
    assert str(request) == "promote version 3 by force over version 1: forced: the labels are late"


@pytest.mark.slow
def test_a_declined_candidate_leaves_the_shadow(waiting: Any) -> None:
    settings, models = waiting
    with pytest.raises(ApprovalRefused, match="say why"):
        answer(settings, "carol", "decline")
    answer(settings, "carol", "decline", reason="not before the holidays")
    assert models.aliases() == {"live": "1"}
    decline, rejection = read_ledger(settings)[2:]
    assert (decline.verdict, rejection.kind, rejection.verdict) == ("decline", "verdict", "reject")
    assert rejection.reason == "entry 2: declined by carol: not before the holidays"
    assert "There is no candidate" in run_promotion_pass(settings)


def test_a_declined_order_leaves_the_candidate_in_the_shadow(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    settings = make_settings(tmp_path)
    run_promotion_pass(settings, ForcedPromotion("now"))
    answer(settings, "carol", "decline", reason="there is no hurry")
    assert models.aliases() == {"live": "1", "candidate": "2"}
    assert len(read_ledger(settings)) == 3


@pytest.mark.slow
def test_what_nobody_approved_in_time_is_void_once_and_judged_anew(waiting: Any) -> None:
    settings, models = waiting
    models.set_alias("candidate", "3")
    run_promotion_pass(settings)
    models.set_alias("candidate", "2")
    at_once = make_settings(settings.ledger.folder.parent, approval_days=0)
    run_promotion_pass(at_once)
    number = read_ledger(settings)[-1].number
    with pytest.raises(ApprovalRefused, match=rf"entry {number}: its time ended at 20.*: the next pass judges anew"):
        answer(settings, "carol", number=number)
    said = run_promotion_pass(settings)
    assert f"entry {number} is void: 0 of 1 approved it by 20" in said
    assert f"entry {number + 2} waits for 1 person" in said
    run_promotion_pass(settings)
    assert [entry.verdict for entry in read_ledger(settings)[number - 1 :]] == ["promote", "void", "promote"]


@pytest.mark.slow
def test_a_candidate_that_does_worse_meanwhile_voids_the_approval(waiting: Any) -> None:
    settings, models = waiting
    state = settings.service.state
    state.mkdir(parents=True, exist_ok=True)
    case = verdicts.judge_cases(settings, PROBLEM, models.aliases() or {}, None, registered_versions.NOW)[0]
    worse = verdicts.replace(case, decision=verdicts.PromotionDecision("reject", "12 % of its answers failed"))
    said = verdicts.act_on_cases(settings, [worse])
    assert "entry 2 is void: a later pass says reject: 12 % of its answers failed" in said
    assert [entry.verdict for entry in read_ledger(settings)[1:]] == ["promote", "void", "reject"]
    assert models.aliases() == {"live": "1"}
    with pytest.raises(ApprovalRefused, match="entry 2: it waits no more: entry 2 is void: a later pass says reject"):
        answer(settings, "carol")


@pytest.mark.slow
def test_aliases_that_were_moved_meanwhile_are_refused_in_words_and_void_the_approval(waiting: Any) -> None:
    settings, models = waiting
    models.set_alias("candidate", "3")
    with pytest.raises(ApprovalRefused, match="entry 2: the candidate is version 3 by now, where version 2 was"):
        answer(settings, "carol")
    append_earlier_event(settings.ledger.folder.parent, "verdict", "fail", candidate="3", live="1")
    models.set_alias("live", "3")
    with pytest.raises(ApprovalRefused, match="entry 2: version 3 is live by now, where version 1 was"):
        answer(settings, "carol")
    models.delete_alias("candidate")
    assert "entry 2 is void: version 3 is live by now, where version 1 was" in run_promotion_pass(settings)


@pytest.mark.slow
def test_a_canary_begins_without_anybody(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    settings = make_settings(tmp_path, canary_share=0.2)
    run_promotion_pass(settings)
    assert models.aliases() == {"live": "1", "candidate": "2", "canary": "2"}


@pytest.mark.slow
def test_where_the_rule_decides_again_nothing_waits_any_more(waiting: Any) -> None:
    settings, models = waiting
    rule = settings.promotion.model_copy(update={"approve": "rule"})
    said = run_promotion_pass(settings.model_copy(update={"promotion": rule}))
    assert 'entry 2 is void: promotion.approve is "rule" by now' in said
    assert models.aliases() == {"live": "2", "previous": "1"}


@pytest.mark.slow
def test_killed_between_ledger_and_aliases_the_next_pass_moves_them(waiting: Any, monkeypatch: Any) -> None:
    settings, models = waiting

    def die(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "move_aliases", die)
    with pytest.raises(KeyboardInterrupt):
        answer(settings, "carol")
    monkeypatch.undo()
    assert models.aliases() == {"live": "1", "candidate": "2"}
    run_promotion_pass(settings)
    assert models.aliases() == {"live": "2", "previous": "1"}
    assert [entry.verdict for entry in read_ledger(settings)[1:]] == ["promote", "approve", "promote"]


@pytest.mark.slow
def test_the_webhook_is_told_what_waits_and_how_it_ended_once_each(waiting: Any) -> None:
    settings, _ = waiting
    (waits,) = announce_approvals(settings)
    assert waits.startswith("entry 2 waits for 1 person until 20")
    assert "promote version 2 over version 1" in waits
    run_promotion_pass(settings)
    assert announce_approvals(settings) == []
    answer(settings, "carol", reason="looks good")
    assert announce_approvals(settings) == ["entry 2 (promotion): approve by carol: looks good"]
    assert announce_approvals(settings) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "words"), [(1, r"entry 1 \(verdict pass\) waits for nobody"), (9, "the ledger has no entry 9: it has 2")]
)
def test_what_waits_for_nobody_is_refused(waiting: Any, number: int, words: str) -> None:
    settings, _ = waiting
    with pytest.raises(ApprovalRefused, match=words):
        answer(settings, "carol", number=number)
    with pytest.raises(ApprovalRefused, match="entry 2: it is a promotion: approve it without --accept"):
        answer(settings, "carol", "keep", reason="no")
    assert find_request(read_ledger(settings), 2).status == "waiting"
