"""Moves of aliases: by force, of two passes at once, and finished after a kill."""

from pathlib import Path

import pytest

from flows.steps.promote import promotion_case, verdicts
from flows.steps.promote.verdicts import ForcedPromotion, PromotionRefused
from penumbra.core.system.actor import get_actor
from penumbra.registry import aliases
from tests.helpers.models import registered_versions
from tests.helpers.models.promotion_passes import PROBLEM, run_promotion
from tests.helpers.models.registered_versions import (
    append_earlier_event,
    make_aliased_registry,
    read_ledger_entries,
)
from tests.helpers.programs.forking import get_pass_forks


@pytest.mark.slow
def test_by_force_a_person_promotes_with_a_reason_and_the_ledger_says_who(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    run_promotion(tmp_path, ForcedPromotion("the contract with the airline ends today"))
    assert models.aliases() == {"live": "2", "previous": "1"}
    _, verdict, promotion = read_ledger_entries(tmp_path)
    assert verdict.actor == promotion.actor == get_actor()
    assert verdict.reason == "forced: the contract with the airline ends today"


@pytest.mark.slow
def test_by_force_another_version_than_the_candidate_can_be_named(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    run_promotion(tmp_path, ForcedPromotion("forward again", "3"))
    assert models.aliases() == {"live": "3", "previous": "1", "candidate": "2"}


@pytest.mark.parametrize(
    ("forced", "words"),
    [
        (ForcedPromotion(" "), "needs a reason"),
        (ForcedPromotion("why not"), "There is no candidate"),
        (ForcedPromotion("why not", "1"), "version 1 is live already"),
    ],
)
def test_a_promotion_by_force_that_cant_be_is_refused(
    tmp_path: Path, database: Path, forced: ForcedPromotion, words: str
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    with pytest.raises(PromotionRefused, match=words):
        run_promotion(tmp_path, forced)
    assert (models.aliases(), len(read_ledger_entries(tmp_path))) == ({"live": "1"}, 1)


def promote_version(folder: Path, version: str) -> None:
    settings = registered_versions.make_registry_settings(folder)
    cases = verdicts.judge_cases(
        settings, PROBLEM, {"live": "1", "candidate": "2"}, ForcedPromotion("at once", version)
    )
    verdicts.act_on_cases(settings, cases)


@pytest.mark.slow
def test_of_two_promotions_at_once_one_wins_and_the_ledger_has_both(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    context = get_pass_forks()
    processes = [context.Process(target=promote_version, args=(tmp_path, version)) for version in ("2", "3")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    found = read_ledger_entries(tmp_path)
    (promotion,) = [entry for entry in found if entry.kind == "promotion"]
    verdicts = [entry for entry in found if entry.kind == "verdict"]
    assert models.version("live") == promotion.versions["live"]
    assert sorted(entry.versions["candidate"] for entry in verdicts) == ["2", "3"]
    assert sorted(entry.reason.startswith("not acted on: the aliases are") for entry in verdicts) == [False, True]


@pytest.mark.slow
def test_a_promotion_that_was_entered_before_a_kill_is_finished(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "promotion", "promote", live="2", previous="1")
    assert (
        verdicts.prepare_aliases(registered_versions.make_registry_settings(tmp_path))
        == models.aliases()
        == {"live": "2", "previous": "1"}
    )


@pytest.mark.slow
def test_a_flow_run_that_acts_again_after_its_machine_was_lost_enters_nothing_twice(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    settings = registered_versions.make_registry_settings(tmp_path)
    forced = ForcedPromotion("why not")
    cases = verdicts.judge_cases(settings, PROBLEM, verdicts.prepare_aliases(settings), forced)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(promotion_case, "move_aliases", die)
        with pytest.raises(KeyboardInterrupt):
            verdicts.act_on_cases(settings, cases, "argo-7")
    entered = read_ledger_entries(tmp_path)
    for _ in range(2):
        assert "has entered it (entry 2). Live is version 2." in verdicts.act_on_cases(settings, cases, "argo-7")
    assert read_ledger_entries(tmp_path) == entered
    assert [entry.kind for entry in entered[1:]] == ["verdict", "promotion"]


def test_an_alias_that_was_moved_meanwhile_isnt_moved_again(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="3", candidate="2")
    with pytest.raises(
        aliases.AliasesChanged, match="candidate 2, live 3 by now, where candidate 2, live 1 was judged"
    ):
        aliases.move_aliases(models, {"live": "1", "candidate": "2"}, {"live": "2", "previous": "1"})
    assert models.aliases() == {"live": "3", "candidate": "2"}
