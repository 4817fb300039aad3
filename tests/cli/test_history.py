from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.cli import history
from penumbra.registry.aliases import move_aliases
from penumbra.registry.ledger import Ledger, LedgerEvent
from tests.helpers import registered_versions as world
from tests.helpers.local_service import FolderRegistry
from tests.helpers.registered_versions import append_earlier_event, make_aliased_registry


def test_an_empty_ledger_says_what_makes_its_first_entries(tmp_path: Path) -> None:
    assert "make train" in history.format_ledger(Ledger(tmp_path).entries())


def written(folder: Path) -> Ledger:
    """Version 2 was promoted over 1, and rolled back; 3 came through the gate."""
    append_earlier_event(folder, "verdict", "pass", candidate="1")
    append_earlier_event(folder, "promotion", "promote", live="1")
    append_earlier_event(folder, "verdict", "not enough data", candidate="2", live="1")
    append_earlier_event(folder, "promotion", "promote", live="2", previous="1")
    append_earlier_event(folder, "rollback", "rollback", live="1", previous="2")
    append_earlier_event(folder, "verdict", "pass", candidate="3", live="1")
    return Ledger(folder / "ledger")


def test_the_table_has_a_line_for_each_entry_newest_last(tmp_path: Path) -> None:
    head, *lines = history.format_ledger(written(tmp_path).entries()).splitlines()
    assert head.split() == ["entry", "time", "kind", "verdict", "versions", "actor", "reason"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert "live 1, previous 2" in lines[4]
    assert lines[4].endswith("ann    earlier")


def test_an_entry_expands_to_all_its_evidence(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(LedgerEvent(kind="verdict", actor="ann", reason="r", evidence={"days": {"better": 80.5}}))
    assert '"better": 80.5' in history.format_ledger_entry(ledger.entries(), "1")
    with pytest.raises(LookupError, match="no entry 2: it has 1"):
        history.format_ledger_entry(ledger.entries(), "2")


def test_the_ledger_tells_the_aliases(tmp_path: Path) -> None:
    entries = written(tmp_path).entries()
    told = [history.derive_aliases(entries[:count]) for count in range(7)]
    assert told == [
        {},
        {},
        {"live": "1"},
        {"live": "1", "candidate": "2"},
        {"live": "2", "previous": "1"},
        {"live": "1", "previous": "2"},
        {"live": "1", "previous": "2", "candidate": "3"},
    ]


def test_a_rejected_candidate_is_none_any_more_unless_the_rejection_came_too_late(tmp_path: Path) -> None:
    entries = written(tmp_path).entries()
    append_earlier_event(tmp_path, "verdict", "reject", candidate="3", live="1")
    (rejected,) = Ledger(tmp_path / "ledger").entries()[6:]
    assert "candidate" not in history.derive_aliases([*entries, rejected])
    late = msgspec.structs.replace(rejected, evidence={"overtaken": "…"})
    assert history.derive_aliases([*entries, late])["candidate"] == "3"


def test_the_registrys_aliases_are_rebuilt_and_the_versions_tagged(tmp_path: Path, database: Path) -> None:
    models = make_aliased_registry(tmp_path, database, live="3", candidate="1", mine="2")
    entries = written(tmp_path).entries()
    said = history.rebuild_aliases(world.make_registry_settings(tmp_path), entries)
    assert said.splitlines() == ["candidate: 1 -> 3", "live: 3 -> 1", "previous: none -> 2"]
    assert models.aliases() == {"live": "1", "previous": "2", "candidate": "3", "mine": "2"}
    assert "by ann: earlier" in models.tags("2")["ledger.00005"]
    assert "are what the ledger says" in history.rebuild_aliases(world.make_registry_settings(tmp_path), entries)


ALIASES = st.dictionaries(st.sampled_from(["live", "previous", "candidate"]), st.sampled_from("123"))


@given(ALIASES, ALIASES)
def test_a_move_leads_from_any_aliases_to_any_others(before: dict[str, str], after: dict[str, str]) -> None:
    registry = FolderRegistry(Path(), **before)
    move_aliases(registry, before, after)
    assert registry.aliases() == after


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in world.make_registry_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_lost_line_is_one_sentence_and_exit_1(here: Path) -> None:
    path = written(here).folder / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(SystemExit, match="line 1: this is entry 2: lines are missing"):
        history.main([])


def test_the_command_prints_table_entry_or_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(here)
    history.main([])
    history.main(["5"])
    assert '"kind": "rollback"' in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no entry 9"):
        history.main(["9"])
