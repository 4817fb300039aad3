from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.registry.aliases import move_aliases
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.ledger_sync import derive_aliases, rebuild_aliases, require_history
from tests.helpers.logs.prediction_logs import log_predictions, make_prediction
from tests.helpers.models import registered_versions as world
from tests.helpers.models.registered_versions import append_earlier_event, make_aliased_registry, write_example_ledger
from tests.helpers.servers.local_service import FolderRegistry


def test_the_ledger_tells_the_aliases(tmp_path: Path) -> None:
    entries = write_example_ledger(tmp_path).entries()
    derived = [derive_aliases(entries[:count]) for count in range(7)]
    assert derived == [
        {},
        {},
        {"live": "1"},
        {"live": "1", "candidate": "2"},
        {"live": "2", "previous": "1"},
        {"live": "1", "previous": "2"},
        {"live": "1", "previous": "2", "candidate": "3"},
    ]


def test_a_rejected_candidate_is_none_any_more_unless_the_rejection_came_too_late(tmp_path: Path) -> None:
    entries = write_example_ledger(tmp_path).entries()
    append_earlier_event(tmp_path, "verdict", "reject", candidate="3", live="1")
    (rejected,) = Ledger(tmp_path / "ledger").entries()[6:]
    assert "candidate" not in derive_aliases([*entries, rejected])
    late = msgspec.structs.replace(rejected, evidence={"overtaken": "…"})
    assert derive_aliases([*entries, late])["candidate"] == "3"


@pytest.mark.slow
def test_the_registrys_aliases_are_rebuilt_and_the_versions_tagged(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="3", candidate="1", mine="2")
    entries = write_example_ledger(tmp_path).entries()
    message = rebuild_aliases(world.make_registry_settings(tmp_path), entries)
    assert message.splitlines() == ["candidate: 1 -> 3", "live: 3 -> 1", "previous: none -> 2"]
    assert models.aliases() == {"live": "1", "previous": "2", "candidate": "3", "mine": "2"}
    assert "by ann: earlier" in models.tags("2")["ledger.00005"]
    assert "are what the ledger says" in rebuild_aliases(world.make_registry_settings(tmp_path), entries)


def test_a_live_version_that_the_ledger_does_not_name_may_be_another_projects(tmp_path: Path) -> None:
    entries, settings = write_example_ledger(tmp_path).entries(), world.make_registry_settings(tmp_path)
    require_history(settings, {"live": "3"}, entries)
    for log in ("empty", "with answers"):
        with pytest.raises(BrokenLedger) as refused:
            require_history(settings, {"live": "7"}, entries)
        assert "version 7 of flight-delay is live in sqlite:///" in str(refused.value), log
        assert "doesn't name it. If it is another project's, give this one another name in registry.model." in str(
            refused.value
        )
        log_predictions(tmp_path, make_prediction(1))


def test_nobody_takes_the_alias_of_another_projects_live_model(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="3")
    entries = write_example_ledger(tmp_path).entries()[:5]
    with pytest.raises(BrokenLedger, match="another project's"):
        rebuild_aliases(world.make_registry_settings(tmp_path), entries)
    assert models.aliases() == {"live": "3"}


ALIASES = st.dictionaries(st.sampled_from(["live", "previous", "candidate"]), st.sampled_from("123"))


@given(ALIASES, ALIASES)
def test_a_move_leads_from_any_aliases_to_any_others(before: dict[str, str], after: dict[str, str]) -> None:
    registry = FolderRegistry(Path(), **before)
    move_aliases(registry, before, after)
    assert registry.aliases() == after
