"""What a pass of `make promote` decides by the evidence, and what it enters."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import numpy as np
import pytest
from msgspec.structs import replace as replace_fields

from flows.steps.model_version import ModelVersion, open_model_version
from flows.steps.promote import paired_evidence, verdicts, version_history
from flows.steps.promote.verdicts import ForcedPromotion, PromotionRefused
from penumbra.approvals.requests import list_requests
from penumbra.promotion.unseen_losses import EarlierDays
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEvent
from tests.helpers.flow_workspace import Workspace
from tests.helpers.models import registered_versions
from tests.helpers.models.promotion_passes import PROBLEM, run_promotion
from tests.helpers.models.registered_versions import (
    append_earlier_event,
    log_compared_days,
    make_aliased_registry,
    read_ledger_entries,
    score_calibrated,
    score_noisy,
    score_with_failures,
)


def score_some(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(chances)) < 0.4, np.inf, chances)


def score_inverted(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 1 - chances


def test_an_unsigned_version_is_not_promoted(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    settings = registered_versions.make_registry_settings(tmp_path)
    registry = settings.registry.model_copy(update={"signed_by": ["a key that signed none"]})
    asking = settings.model_copy(update={"registry": registry})
    with pytest.raises(UnfitBundle, match=r"version \d is not used, as it isn't signed and registry.signed_by asks"):
        verdicts.judge_cases(asking, PROBLEM, verdicts.prepare_aliases(asking), ForcedPromotion("now", "2"))
    assert models.aliases() == {"live": "1", "candidate": "2"}


@pytest.mark.slow
def test_a_better_new_recipe_becomes_live_and_the_old_one_previous(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    text = run_promotion(tmp_path)
    assert models.aliases() == {"live": "2", "previous": "1"}, text
    _, verdict, promotion = read_ledger_entries(tmp_path)
    assert (verdict.verdict, verdict.versions, verdict.data_version) == (
        "promote",
        {"candidate": "2", "live": "1"},
        "data-2",
    )
    evidence = verdict.evidence["evidence"]
    assert (evidence["rule"], evidence["days"], evidence["labels"]) == (
        "superiority",
        registered_versions.NUMBER_OF_DAYS,
        registered_versions.NUMBER_OF_DAYS * registered_versions.ROWS_PER_DAY,
    )
    assert evidence["better"] >= 50
    assert verdict.settings["promotion"]["promote_level"] == 0.02
    assert (promotion.kind, promotion.versions) == ("promotion", {"live": "2", "previous": "1"})
    assert "promotion promote (live 2, previous 1)" in models.tags("2")["ledger.00003"]


@pytest.mark.slow
def test_days_at_the_gate_count_as_days_seen_where_it_compared_the_same_two_versions(
    tmp_path: Path, database: Path
) -> None:
    days = [["2013-03-01", 50, 2.0], ["2013-03-02", 40, -2.0]]
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate", verdict="pass", evidence={"compared_days": days})
    entry = Ledger(tmp_path / "ledger").append(replace_fields(event, versions={"candidate": "2", "live": "1"}))
    earlier = replace_fields(entry, evidence={"overall": "pass"})  # as it was before days were recorded
    assert version_history.find_gate_days([entry], "2", "1") == EarlierDays(2, 0.05)
    for entries, live in (([entry], "3"), ([earlier], "1"), ([], "1")):
        assert version_history.find_gate_days(entries, "2", live) == EarlierDays()
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    assert "28 days, 2 of them at the gate, can't show what comes on fewer than one day in 9" in run_promotion(tmp_path)


@pytest.mark.parametrize(
    "days", [[["2024-01-01", 10]], "x", [["2024-01-01", 10, None]], 3, None, [["monday", 10, 0.5]], {"a": 1}]
)
def test_days_at_the_gate_that_are_not_what_the_gate_writes_count_for_nothing_and_are_said(
    tmp_path: Path, days: object
) -> None:
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate", verdict="pass", evidence={"compared_days": days})
    entry = Ledger(tmp_path / "ledger").append(replace_fields(event, versions={"candidate": "2", "live": "1"}))
    found = version_history.find_gate_days([entry], "2", "1")
    assert (found.days, found.worst) == (0, 0.0)
    assert found.fault.startswith("no day at the gate counts: compared_days of the ledger's entry 1 is odd: ")


@pytest.mark.slow
def test_a_verdict_says_that_the_days_at_the_gate_cannot_be_read(tmp_path: Path, database: Path) -> None:
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate", verdict="pass", evidence={"compared_days": "x"})
    Ledger(tmp_path / "ledger").append(replace_fields(event, versions={"candidate": "2", "live": "1"}))
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    assert "compared_days of the ledger's entry 1 is odd: Expected `array`, got `str`" in run_promotion(tmp_path)


@pytest.mark.slow
def test_rows_that_the_shadow_left_out_as_it_was_behind_are_no_part_of_a_day(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_some}, score_noisy)
    text = run_promotion(tmp_path)
    assert models.aliases() == {"live": "2", "previous": "1"}, text
    found = read_ledger_entries(tmp_path)[1].evidence
    assert found["evidence"]["labels"] == found["shadow"]["answered"]
    assert found["shadow"]["left_out"] == found["shadow"]["rows"] - found["shadow"]["answered"] > 0
    assert "left out as it was behind" in text


@pytest.mark.slow
def test_the_evidence_counts_labels_of_people_apart(tmp_path: Path, database: Path) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="3")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="3", live="1")
    log_compared_days(tmp_path, "1", {"3": score_calibrated}, reviewed=12)
    run_promotion(tmp_path)
    entry = read_ledger_entries(tmp_path)[1]
    assert entry.evidence["evidence"]["by_people"] == 12
    assert "12 of the labels are by people" in entry.details


@pytest.mark.slow
def test_the_same_recipe_is_promoted_after_the_shadow_days_unless_it_is_worse(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="3")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="3", live="1")
    log_compared_days(tmp_path, "1", {"3": score_calibrated})
    run_promotion(tmp_path, now=registered_versions.FIRST_TIME + dt.timedelta(days=5, hours=8))
    evidence = read_ledger_entries(tmp_path)[-1].evidence["evidence"]
    assert (evidence["verdict"], evidence["days"], evidence["days_needed"]) == ("keep collecting", 5, 2)
    run_promotion(tmp_path)
    assert models.aliases() == {"live": "3", "previous": "1"}


@pytest.mark.slow
def test_a_recipe_that_predicted_the_same_at_the_gate_need_only_be_no_worse(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1")
    registered_versions.register_version(models, tmp_path, 4, recipe="c", same_recipe="a")
    models.set_alias("candidate", "4")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="4", live="1")
    log_compared_days(tmp_path, "1", {"4": score_calibrated})
    run_promotion(tmp_path)
    assert models.aliases() == {"live": "4", "previous": "1"}


@pytest.mark.slow
def test_a_new_recipe_that_isnt_shown_to_be_better_goes_on_collecting(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated})
    assert "keep collecting" in run_promotion(tmp_path)
    assert models.aliases() == {"live": "1", "candidate": "2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "gate"),
    [(score_noisy, "pass"), (score_with_failures, "pass"), (score_inverted, "pass"), (score_calibrated, "fail")],
)
def test_what_is_worse_or_broken_or_failed_at_the_gate_leaves_the_shadow(
    tmp_path: Path, database: Path, says: registered_versions.ScoreSimulator, gate: str
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", gate, candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": says})
    run_promotion(tmp_path)
    assert models.aliases() == {"live": "1"}
    assert read_ledger_entries(tmp_path)[-1].verdict == "reject"


@pytest.mark.slow
def test_what_never_was_at_the_gate_is_not_promoted(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    assert "no verdict of the gate" in run_promotion(tmp_path)
    assert models.version("candidate") == "2"


@pytest.mark.slow
def test_a_candidate_of_which_the_shadow_says_nothing_yet_goes_on_collecting(tmp_path: Path, database: Path) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {})
    assert "keep collecting.\n  no day counts yet\n" in run_promotion(tmp_path)
    assert read_ledger_entries(tmp_path)[-1].evidence["shadow"]["rows"] == 0


@pytest.mark.slow
def test_days_of_which_the_candidate_has_learnt_some_are_no_evidence(tmp_path: Path, database: Path) -> None:
    models, settings = (
        make_aliased_registry(tmp_path, database, live="1", candidate="3"),
        registered_versions.make_registry_settings(tmp_path),
    )
    log_compared_days(tmp_path, "1", {"3": score_calibrated})
    versions = (open_model_version(settings, PROBLEM, models, name) for name in ("1", "3"))
    with next(versions) as live, next(versions) as new:
        taught = replace(new, facts={**new.facts, "test": ["2013-03"]})
        days = [
            paired_evidence.compare_candidate(settings, live, each, registered_versions.NOW).evidence.days
            for each in (new, taught)
        ]
    assert days == [registered_versions.NUMBER_OF_DAYS, registered_versions.NUMBER_OF_DAYS - 1]


@pytest.mark.slow
def test_a_candidate_that_isnt_let_into_the_shadow_is_said_to_be(tmp_path: Path, database: Path) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/refused").write_text("2\nmodel.onnx is damaged\n")
    assert "the deployer doesn't let it into the shadow: model.onnx is damaged" in run_promotion(tmp_path)


@pytest.mark.slow
def test_answers_that_a_rule_or_another_model_had_a_say_in_are_left_out(tmp_path: Path, database: Path) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, rules=["clamp"])
    run_promotion(tmp_path)
    assert read_ledger_entries(tmp_path)[-1].evidence["evidence"]["labels"] == 0


def weigh_promoted(folder: Path, database: Path, *, live: Any, previous: Any) -> tuple[Any, str]:
    """Run a pass over days that version 2 has answered since its promotion; returns the registry, and what is said."""
    models = make_aliased_registry(folder, database, live="2", previous="1")
    append_earlier_event(folder, "promotion", "promote", live="2", previous="1")
    first, now = map(registered_versions.shift_after_ledger, (registered_versions.FIRST_TIME, registered_versions.NOW))
    log_compared_days(folder, "2", {"1": previous}, live, first)
    return models, run_promotion(folder, now=now)


@pytest.mark.slow
def test_a_promotion_that_does_worse_is_rolled_back_and_investigated(tmp_path: Path, database: Path) -> None:
    models, _ = weigh_promoted(tmp_path, database, live=score_noisy, previous=score_calibrated)
    assert models.aliases() == {"live": "1", "previous": "2"}
    _, verdict, rollback = read_ledger_entries(tmp_path)
    assert (verdict.verdict, verdict.evidence["evidence"]["verdict"]) == ("investigate", "reject")
    assert (rollback.kind, rollback.versions) == ("rollback", {"live": "1", "previous": "2"})
    assert list_requests(read_ledger_entries(tmp_path)) == []


@pytest.mark.slow
def test_a_promotion_that_does_well_stays(tmp_path: Path, database: Path) -> None:
    models, said = weigh_promoted(tmp_path, database, live=score_calibrated, previous=score_noisy)
    assert "Version 2, live: ok." in said
    assert models.aliases() == {"live": "2", "previous": "1"}


@pytest.mark.slow
def test_what_was_answered_before_the_promotion_doesnt_count_for_it(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="2", previous="1")
    append_earlier_event(tmp_path, "promotion", "promote", live="2", previous="1")
    log_compared_days(tmp_path, "2", {"1": score_calibrated}, score_noisy)
    run_promotion(tmp_path)
    assert models.aliases() == {"live": "2", "previous": "1"}


def drop_column(name: str) -> Any:
    """The flights with a contract that hasn't this column."""
    columns = {column: made for column, made in PROBLEM.schema.Row.columns().items() if column != name}
    fewer = type("Fewer", (dy.Schema,), {"__module__": __name__, **columns})
    return SimpleNamespace(**{**PROBLEM.loaded, "schema": SimpleNamespace(**{**vars(PROBLEM.schema), "Row": fewer})})


def test_a_version_that_cant_answer_with_this_code_is_neither_compared_nor_promoted(
    tmp_path: Path, database: Path
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    settings, changed = registered_versions.make_registry_settings(tmp_path), drop_column("temp")
    for forced, version in ((None, "1"), (ForcedPromotion("now"), "2")):
        with pytest.raises(
            UnfitBundle, match=f"version {version} can't answer with this code: .*the column temp, which"
        ):
            verdicts.judge_cases(settings, changed, models.aliases(), forced)


def have_fit_versions(monkeypatch: pytest.MonkeyPatch, *fit: str) -> None:
    """Have all but these versions be of another contract."""
    require_fit = ModelVersion.require_fit
    changed = SimpleNamespace(**{**vars(PROBLEM), **PROBLEM.loaded, **vars(drop_column("temp"))})

    def require_of_contract(version: ModelVersion) -> None:
        require_fit(version if version.folder.name in fit else replace(version, problem=changed))

    monkeypatch.setattr(ModelVersion, "require_fit", require_of_contract)


def test_a_promotion_to_a_version_that_cant_answer_with_this_code_says_what_to_do(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", previous="3")
    append_earlier_event(tmp_path, "promotion", "promote", live="1", previous="3")
    have_fit_versions(monkeypatch, "3")
    (promoted,) = verdicts.judge_cases(registered_versions.make_registry_settings(tmp_path), PROBLEM, models.aliases())
    assert "version 1 can't answer with this code" in promoted.decision.reason
    assert "make a version for the changed code: `penumbra train`" in promoted.decision.reason


def test_a_candidate_that_cant_answer_with_this_code_waits_and_the_promotion_is_reviewed_without_its_like(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2", previous="3")
    settings = registered_versions.make_registry_settings(tmp_path)
    append_earlier_event(tmp_path, "promotion", "promote", live="1", previous="3")
    have_fit_versions(monkeypatch, "1")
    promoted, candidate = verdicts.judge_cases(settings, PROBLEM, models.aliases())
    assert promoted.decision.verdict == "ok"
    assert promoted.decision.reason.startswith("it isn't compared with the previous version: version 3 can't answer")
    assert "penumbra train" not in promoted.decision.reason
    assert candidate.decision.verdict == "keep collecting"
    assert candidate.decision.reason.startswith("version 2 can't answer with this code: ")


@pytest.mark.parametrize("forced", [None, ForcedPromotion("now", "2")], ids=["by evidence", "by force"])
def test_beside_a_live_model_without_ledger_and_answers_nothing_is_decided(
    tmp_path: Path, database: Path, forced: ForcedPromotion | None
) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    with pytest.raises(BrokenLedger, match=r"version 1 of .* is live in .* doesn't name it, and .* has no answer"):
        run_promotion(tmp_path, forced)
    assert (models.aliases(), read_ledger_entries(tmp_path)) == ({"live": "1", "candidate": "2"}, [])


@pytest.mark.slow
def test_a_live_model_that_was_set_by_hand_is_judged_once_it_has_answered(tmp_path: Path, database: Path) -> None:
    make_aliased_registry(tmp_path, database, live="1", candidate="2")
    log_compared_days(tmp_path, "1", {"2": score_calibrated})
    assert "keep collecting" in run_promotion(tmp_path)


def test_without_candidate_or_live_model_nothing_is_decided(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="1")
    assert run_promotion(tmp_path) == verdicts.NO_CANDIDATE_MESSAGE
    models.delete_alias("live")
    with pytest.raises(PromotionRefused, match="no live model"):
        run_promotion(tmp_path)


@pytest.mark.slow
def test_the_flow_promotes_and_its_refusal_is_one_sentence(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="1", candidate="2")
    append_earlier_event(tmp_path, "verdict", "pass", candidate="2", live="1")
    log_compared_days(tmp_path, "1", {"2": score_calibrated}, score_noisy)
    place = Workspace(tmp_path / "flow")
    settings = {
        name.removeprefix("PENUMBRA_").lower(): value
        for name, value in registered_versions.make_registry_environment(tmp_path).items()
    }
    text, code = place.run_unchecked(*place.flow("promote"), "--force", "True", **settings)
    assert (code, "needs a reason" in text, "Traceback" in text) == (1, True, False)
    assert "Live is version 2; the candidate: none." in place.run(*place.flow("promote"), **settings)
    assert models.aliases() == {"live": "2", "previous": "1"}
